/* latent.c: values that stand for what a recording has not told a run yet (norn.h, norn_latent).

   Whoever records answers a discrete choice with its number; the run may carry it about, in arrays
   and records too, without anybody knowing its value.  Arithmetic, comparisons, branches, indices and
   natives ask for it where they meet one, and leave it in its register.  Any other instruction that
   needs the value fails on a kind that it does not know; latent_retry then puts what the driver says
   into the registers that it reads, and it runs again.  Nothing else has to know latent values. */
#include "lang/symbolic/delayed.h"
#include "lang/compile/flow.h"
#include <string.h>

norn_datum norn_latent(int64_t k)
{
  val v;
  v.tag = NORN_LATENT;
  v.i = k;
  return v;
}

void norn_latent_attach(norn_state *st, norn_datum (*value)(void *user, int64_t k), void *user)
{
  st->latent = value;
  st->latent_user = user;
}

enum { DEEPEST = 200 };
static bool any(const val *v, int64_t n, bool (*is)(val), int depth)
{
  for (int64_t i = 0; i < n; i++)
    if (latent_holds(v[i], is, depth + 1)) return true;
  return false;
}

bool latent_holds(val x, bool (*is)(val), int depth)
{
  norn_view v;
  norn_dist d;
  if (is(x)) return true;
  if (!V_IS_HEAP(x) || depth > DEEPEST) return false;
  if (x.tag == NORN_ARRAY)
    return norn_array_view(x, &v) && v.elem == NORN_VALUES && any(v.v, v.n, is, depth);
  if (x.tag == NORN_RECORD) return any(v_rec(x)->f, v_rec(x)->sh->n, is, depth);
  if (V_KIND(x) == NORN_DATA) return any(((const data *)x.p)->f, ((const data *)x.p)->h.n, is, depth);
  if (x.tag == NORN_MODEL) return any(((const modl *)x.p)->a, ((const modl *)x.p)->h.n, is, depth);
  if (x.tag == NORN_FUN) return any(v_clo(x)->cap, v_clo(x)->h.n, is, depth);
  return norn_dist_view(x, &d) && any(d.args, d.n, is, depth);
}

bool norn_has_latent(norn_datum x) { return latent_holds(x, v_is_latent, 0); }

/* A copy of an object with n values from `from` on, each forced. */
static val forced_object(norn_state *st, val x, size_t head, uint32_t n)
{
  const obj *from = x.p;
  obj *to = heap_alloc(st, head + n * sizeof(val));
  if (!to) return state_memory(st);
  uint8_t flags = to->flags;
  memcpy(to, from, head);
  to->flags = flags;
  val *v = (val *)(void *)((char *)to + head);
  for (uint32_t i = 0; i < n; i++) v[i] = norn_unit();
  for (uint32_t i = 0; i < n; i++) {
    v[i] = norn_force(st, ((const val *)(const void *)((const char *)from + head))[i]);
    if (norn_is_none(v[i])) return v[i];
  }
  return (val){.tag = x.tag, .p = to};
}

static val forced_array(norn_state *st, val x)
{
  int64_t n = norn_array_length(x);
  vec *z = vec_new(st, NORN_VALUES, 1, &n);
  for (int64_t i = 0; z && i < n; i++) {
    z->b->v[i] = norn_force(st, vec_at(st, v_vec(x), i));
    if (norn_is_none(z->b->v[i])) return norn_none();
  }
  return z ? vec_pack(st, z->b->v, n) : norn_none();
}

static bool delays(const norn_state *st)
{
  return st->current && st->current->flags & NORN_RUN_DELAY;
}

norn_datum norn_force(norn_state *st, norn_datum x)
{
  if (delays(st)) return delayed_force(st, x);
  if (x.tag == NORN_LATENT) return st->latent ? st->latent(st->latent_user, x.i) : x;
  if (!norn_has_latent(x)) return x;
  if (x.tag == NORN_ARRAY) return forced_array(st, x);
  if (x.tag == NORN_RECORD) return forced_object(st, x, sizeof(rec), v_rec(x)->sh->n);
  if (V_KIND(x) == NORN_DATA) return forced_object(st, x, sizeof(data), ((const data *)x.p)->h.n);
  if (x.tag == NORN_MODEL) return forced_object(st, x, sizeof(modl), ((const modl *)x.p)->h.n);
  if (x.tag == NORN_FUN) return forced_object(st, x, sizeof(clo), v_clo(x)->h.n);
  return forced_object(st, x, sizeof(tab), ((const tab *)x.p)->h.n);
}

/* Forces register r; false: it held nothing latent. */
static bool force_register(norn_state *st, val *r)
{
  if (!delays(st) && !norn_has_latent(*r)) return false;
  val v = norn_force(st, *r);
  if (norn_is_none(v) || (v.tag == r->tag && v.i == r->i)) return false;
  *r = v;
  return true;
}

bool latent_retry(norn_run *r, const ins *pc, val *R)
{
  norn_state *st = r->st;
  const proto *p = v_clo(R[-1])->p;
  flow f;
  bool found = false;
  norn_status code = st->err.code;
  if (!latent_on(st) || r->finished || code == NORN_EMEMORY || code == NORN_EINTERRUPT || code == NORN_ELIMIT)
    return false;
  norn_err was = st->err;
  norn_clear(st);
  flow_of(p->code, (uint32_t)(pc - p->code), &f);
  for (int i = 0; i < f.nread; i++) found |= force_register(st, R + f.read[i]);
  for (int i = 0; i < f.n; i++) found |= force_register(st, R + f.from + i);
  if (!found && !st->err.code) st->err = was;
  return found;
}

bool latent_native(norn_state *st, const norn_native *f, const val **args, int n, val *known)
{
  static const char *const carriers[] = {
    "len", "push", "concat", "full", "repeat", "first", "last", "take", "drop", "slice", "reverse",
    "indexed", "set_at", "merge", "field", "print",
  };
  bool found = delays(st);
  for (int i = 0; i < n && !found; i++) found = norn_has_latent((*args)[i]);
  if (!found) return true;
  for (int i = 0; i < NORN_COUNT(carriers); i++)
    if (!strcmp(carriers[i], f->name)) return true;
  for (int i = 0; i < n; i++) {
    known[i] = norn_force(st, (*args)[i]);
    if (norn_is_none(known[i]) && !norn_is_none((*args)[i])) return false;
  }
  *args = known;
  return true;
}

bool norn_run_latents(norn_run *r, bool (*f)(void *user, int64_t k), void *user)
{
  latent_visit v = {f, user};
  return run_visit_live(r, &v);
}
