/* model.c: given(m, {...}) and do(m, {...}): model values with some choices fixed, and what runs
   see of them.

   A model value's a[1] is unit or an array [seen, kind, name, value, kind, name, value, ...] where
   seen is an array of integers, one per name, that runs set to 1 when they meet the choice.  It is
   the one array that is written after it was made; it holds no pointers and no program can reach
   it.  A name that no run of an inference met is an error (norn_model_check): a misspelt name must
   not sample the prior silently. */
#include "lang/env_in.h"
#include "lang/compile/flow.h"
#include <string.h>

enum { PER_FIX = 3 };

static int fixes_of(val constraints)
{
  return constraints.tag == NORN_ARRAY ? (int)(norn_array_length(constraints) / PER_FIX) : 0;
}

static const val *fix_at(val constraints, int k)
{
  norn_view v;
  norn_array_view(constraints, &v);
  return v.v + 1 + k * PER_FIX;
}

/* ---- making ---- */

/* An array with room for n fixes and its seen flags. */
static val constraints_new(norn_state *st, int n, val **to)
{
  int64_t flags = n, all = 1 + (int64_t)n * PER_FIX;
  void *at;
  val seen = norn_array(st, NORN_I64, 1, &flags, &at);
  if (seen.tag == NORN_NONE) return seen;
  if (n) memset(at, 0, (size_t)n * sizeof(int64_t));
  val c = norn_array(st, NORN_VALUES, 1, &all, &at);
  if (c.tag == NORN_NONE) return c;
  *to = at;
  (*to)[0] = seen;
  return c;
}

static norn_status check_name(norn_state *st, const char *what, val old, const char *name)
{
  uint64_t hash;
  if (!addr_parse(st, 0, name, &hash)) {
    norn_fail(st, NORN_EDOMAIN, 1, "\"%s\" is not the name of a choice", name);
    norn_hint(st, "names look like x, theta[3] or theta.z[0, 1]");
    return NORN_EDOMAIN;
  }
  for (int i = 0; i < fixes_of(old); i++)
    if (!strcmp(norn_string_view(fix_at(old, i)[1], NULL), name))
      return norn_fail(st, NORN_EDOMAIN, 1, "%s fixes %s, which is fixed already", what, name);
  return NORN_OK;
}

static val model_with(norn_state *st, const modl *m, val constraints)
{
  size_t size = sizeof *m + m->h.n * sizeof m->a[0];
  modl *made = heap_alloc(st, size);
  if (!made) return norn_none();
  obj_init(made, NORN_MODEL, m->h.aux, m->h.n);
  made->pad = 0;
  memcpy(made->a, m->a, m->h.n * sizeof m->a[0]);
  made->a[1] = constraints;
  return v_obj(NORN_MODEL, made);
}

static norn_status fix(norn_state *st, const char *what, const val *args, bool is_do, val *out)
{
  char was[120];
  norn_dist d;
  val model = args[0];
  if (norn_dist_view(model, &d) && d.row->expand && d.row->expand(st, &d, &model)) return st->err.code;
  if (model.tag != NORN_MODEL)
    return norn_fail(st, NORN_ETYPE, 0, "%s needs a model value, got %s", what,
                     norn_describe(st, args[0], was, sizeof was));
  int n = norn_record_size(args[1]);
  if (n < 0)
    return norn_fail(st, NORN_ETYPE, 1, "%s needs a record of choices, got %s", what,
                     norn_describe(st, args[1], was, sizeof was));
  const modl *m = model.q;
  int before = fixes_of(m->a[1]);
  val *to, constraints = constraints_new(st, before + n, &to);
  if (constraints.tag == NORN_NONE) return NORN_EMEMORY;
  to++;
  if (before) memcpy(to, fix_at(m->a[1], 0), (size_t)before * PER_FIX * sizeof *to);
  to += before * PER_FIX;
  for (int i = 0; i < n; i++, to += PER_FIX) {
    const char *name = norn_record_at(st, args[1], i, &to[2]);
    to[0] = norn_int(is_do ? FIX_DO : FIX_GIVEN);
    to[1] = norn_cstring(st, name);
    if (to[1].tag == NORN_NONE) return NORN_EMEMORY;
    if (check_name(st, what, m->a[1], name)) return NORN_EDOMAIN;
  }
  *out = model_with(st, m, constraints);
  return out->tag == NORN_NONE ? NORN_EMEMORY : NORN_OK;
}

static norn_status given(norn_state *st, const val *args, int n, val *out)
{
  (void)n;
  return fix(st, "given", args, false, out);
}

static norn_status intervene(norn_state *st, const val *args, int n, val *out)
{
  (void)n;
  return fix(st, "do", args, true, out);
}

/* For the C half of sbc: the record of keys and values that a simulation left. */
static norn_status observing(norn_state *st, const val *args, int n, val *out)
{
  norn_view keys, values;
  (void)n;
  if (args[0].tag != NORN_MODEL || !norn_array_view(norn_record_get(st, args[1], "keys"), &keys) ||
      !norn_array_view(norn_record_get(st, args[1], "values"), &values) || keys.elem != NORN_I64 ||
      keys.rank != 1 || keys.n != values.dims[0])
    return norn_fail(st, NORN_ETYPE, 1, "the observations of a simulation are a record of keys and "
                     "values");
  const modl *m = args[0].q;
  int before = fixes_of(m->a[1]);
  val *to, constraints = constraints_new(st, before + 1, &to);
  if (constraints.tag == NORN_NONE) return NORN_EMEMORY;
  to++;
  if (before) memcpy(to, fix_at(m->a[1], 0), (size_t)before * PER_FIX * sizeof *to);
  to += before * PER_FIX;
  to[0] = norn_int(FIX_OBSERVED);
  to[1] = norn_cstring(st, "");
  to[2] = args[1];
  *out = model_with(st, m, constraints);
  return out->tag == NORN_NONE ? NORN_EMEMORY : NORN_OK;
}

const norn_native model_natives[3] = {
    {"given", "m, choices",
     "The model m with some choices observed: each weighs by the density of its value.\n"
     "Names are addresses as a posterior prints them; one that no run meets is an error.\n"
     "Example: infer(given(coin(), { x: true, \"theta[3]\": 1 }), importance(1000))",
     given, NORN_PURE, NULL},
    {"do", "m, choices",
     "The model m with some choices set from outside (Pearl's intervention): they add no weight.\n"
     "Example: infer(do(smoking(), { smokes: true }), importance(1000))",
     intervene, NORN_PURE, NULL},
    {"_observing", "m, observed",
     "The model m with simulated values in the place of what it observes.\n"
     "Example: infer(_observing(m, info(infer(m, _simulate(missing, 1))).observed), nuts())",
     observing, NORN_PURE, NULL},
};

const char *norn_model_at(norn_state *st, norn_datum model, int i, norn_datum *value)
{
  *value = norn_none();
  if (model.tag != NORN_MODEL) return NULL;
  const modl *m = model.q;
  const proto *p = v_clo(m->a[0])->p;
  if (i < 0 || i >= p->nargs) return NULL;
  if (i < (int)m->h.n - 2) *value = m->a[2 + i];
  return sym_name(st, p->params[i]);
}

bool scope_replaces(const scope *s)
{
  for (uint32_t i = 0; i < s->h.n; i++) if (s->fix[i].what == FIX_OBSERVED) return true;
  return false;
}

/* ---- running ---- */

scope *scope_enter(norn_state *st, const modl *m, scope *up, uint64_t path)
{
  val c = m->a[1];
  int n = fixes_of(c);
  scope *s = heap_alloc(st, sizeof *s + (size_t)n * sizeof s->fix[0]);
  if (!s) return NULL;
  obj_init(s, V_SCOPE, 0, (uint32_t)n);
  s->up = up;
  s->seen_by = n ? fix_at(c, 0)[-1] : norn_unit();
  for (int i = 0; i < n; i++) {
    const val *f = fix_at(c, i);
    s->fix[i] = (scope_fix){.value = f[2], .what = (uint32_t)f[0].i, .key = (uint32_t)i};
    if (f[0].i == FIX_OBSERVED) continue;
    bool well = addr_parse(st, path, norn_string_view(f[1], NULL), &s->fix[i].addr);
    if (!well && st->home && st->err.code) return NULL;            /* a name that is new to a worker */
  }
  return s;
}

/* ---- names that no run met ---- */

static void hint_near(norn_state *st, const char *name)
{
  nearest near;
  char shown[128], best[128] = "";
  nearest_init(&near, name);
  for (size_t i = 0; st->addrs && i <= st->addr_mask; i++) {
    if (!st->addrs[i].comp) continue;
    nearest_try(&near, norn_addr_name(st, st->addrs[i].hash, shown, sizeof shown));
    if (nearest_found(&near) == shown) {
      memcpy(best, shown, sizeof best);
      near.best = best;
    }
  }
  if (nearest_found(&near)) norn_hint(st, "did you mean %s?", nearest_found(&near));
}

norn_status norn_model_check(norn_state *st, val model)
{
  norn_view seen;
  if (model.tag != NORN_MODEL) return NORN_OK;
  val c = ((const modl *)model.q)->a[1];
  int n = fixes_of(c);
  for (int i = 0; i < n; i++) {
    const val *f = fix_at(c, i);
    norn_array_view(fix_at(c, 0)[-1], &seen);
    if (seen.i[i] || f[0].i == FIX_OBSERVED) continue;
    const char *name = norn_string_view(f[1], NULL);
    norn_fail(st, NORN_EINFER, -1,
              "%s fixes %s, but no run of the model made a choice of that name",
              f[0].i == FIX_DO ? "do" : "given", name);
    hint_near(st, name);
    return NORN_EINFER;
  }
  return NORN_OK;
}

/* ---- observations ---- */

/* The number of the observation at that place among those of the function, in the order of the text; -1. */
static int observe_number(const proto *p, norn_span at)
{
  int before = 0;
  bool found = false;
  for (uint32_t pc = 0; pc < p->ncode; pc += 1 + (uint32_t)op_table[p->code[pc].op].nlit) {
    unsigned op = p->code[pc].op;
    if (op != OP_OBSERVE && op != OP_OBSERVED) continue;
    norn_span s = span_unpack(p->code[pc + (op == OP_OBSERVED ? 3 : 2)].u);
    found |= s.start == at.start && s.file == at.file;
    before += s.start < at.start;
  }
  return found ? before : -1;
}

int norn_observe_number(norn_state *st, norn_span at)
{
  int k = -1;
  for (const proto *p = st->protos; p && k < 0; p = p->next)
    if (p->file == at.file && at.start >= p->span.start && at.start < p->span.end) k = observe_number(p, at);
  for (const proto *p = st->protos; p && k < 0; p = p->next)
    if (p->file == at.file) k = observe_number(p, at);
  return k;
}
