/* segment: recording and comparing segments (segment.h). */
#include "graph/segment.h"
#include <string.h>

/* ---- memory ---- */

static bool room(segment *s, void *array, size_t *cap, size_t n, size_t size)
{
  void *p;
  if (n <= *cap) return true;
  size_t more = *cap ? 2 * *cap : 16;
  while (more < n) more *= 2;
  memcpy(&p, array, sizeof p);
  p = norn_alloc(s->st, p, *cap * size, more * size);
  if (!p) {
    norn_fail(s->st, NORN_EMEMORY, -1, "out of memory");
    return false;
  }
  memcpy(array, &p, sizeof p);
  *cap = more;
  return true;
}

segment *segment_new(norn_state *st)
{
  segment *s = norn_alloc(st, NULL, 0, sizeof *s);
  if (s) *s = (segment){ .st = st };
  else norn_fail(st, NORN_EMEMORY, -1, "out of memory");
  return s;
}

void segment_free(segment *s)
{
  if (!s) return;
  norn_state *st = s->st;
  norn_alloc(st, s->op, s->cop * sizeof *s->op, 0);
  norn_alloc(st, s->in, s->cin * sizeof *s->in, 0);
  norn_alloc(st, s->out, s->cout * sizeof *s->out, 0);
  norn_alloc(st, s->slot, s->cslot * sizeof *s->slot, 0);
  norn_alloc(st, s->slot_kind, s->cslot_kind, 0);
  norn_alloc(st, s->plate, s->cplate * sizeof *s->plate, 0);
  norn_alloc(st, s->map, s->cmap * sizeof *s->map, 0);
  norn_alloc(st, s->array, s->carray * sizeof *s->array, 0);
  norn_alloc(st, s, sizeof *s, 0);
}

void segment_clear(segment *s)
{
  s->nop = s->nin = s->nout = s->nslot = s->nplate = s->nmap = s->narray = 0;
  s->ndraw = s->nweigh = s->nfun = 0;
}

/* ---- recording ---- */

/* Zeros where nothing stands, so that structures can be compared byte by byte. */
static segment_op *op_new(segment *s, segment_op_name op, unsigned kind, uint32_t n, const uint32_t *arg)
{
  if (!room(s, &s->op, &s->cop, s->nop + 1, sizeof *s->op)) return NULL;
  segment_op *o = &s->op[s->nop++];
  memset(o, 0, sizeof *o);
  o->op = (uint8_t)op;
  o->kind = (uint8_t)kind;
  o->n = (uint8_t)n;
  /* what may raise a flag or is a call is done in each lane */
  o->uniform = op != S_LOAD && op != S_DRAW && op != S_MAP && op != S_INDEX && op != S_LOGP &&
               !(op >= S_IADD && op <= S_INEG);
  for (uint32_t i = 0; i < n; i++) {
    o->arg[i] = arg[i];
    o->uniform &= s->op[arg[i]].uniform;
  }
  return o;
}

static int32_t last(const segment *s) { return (int32_t)s->nop - 1; }

int32_t segment_load(segment *s, unsigned kind, const void *at, uint32_t map)
{
  if (!room(s, &s->in, &s->cin, s->nin + 1, sizeof *s->in)) return -1;
  segment_op *o = op_new(s, S_LOAD, kind, 0, NULL);
  if (!o) return -1;
  o->aux = (uint32_t)s->nin;
  s->in[s->nin++] = (segment_input){ at, map, (uint8_t)kind };
  return last(s);
}

int32_t segment_slot(segment *s, unsigned kind, segment_cell c)
{
  if (!room(s, &s->slot, &s->cslot, s->nslot + 1, sizeof *s->slot) ||
      !room(s, &s->slot_kind, &s->cslot_kind, s->nslot + 1, 1))
    return -1;
  segment_op *o = op_new(s, S_SLOT, kind, 0, NULL);
  if (!o) return -1;
  o->aux = (uint32_t)s->nslot;
  s->slot_kind[s->nslot] = (uint8_t)kind;
  s->slot[s->nslot++] = c;
  return last(s);
}

int32_t segment_plate_of(segment *s, unsigned kind, const void *at)
{
  if (!room(s, &s->plate, &s->cplate, s->nplate + 1, sizeof *s->plate)) return -1;
  segment_op *o = op_new(s, S_PLATE, kind, 0, NULL);
  if (!o) return -1;
  o->aux = (uint32_t)s->nplate;
  s->plate[s->nplate++] = (segment_plate){ at, (uint8_t)kind };
  return last(s);
}

int32_t segment_put(segment *s, segment_op_name op, unsigned kind, uint32_t n, const uint32_t *arg)
{
  if (!op_new(s, op, kind, n, arg)) return -1;
  s->nweigh += op == S_WEIGH;
  return last(s);
}

int32_t segment_fun(segment *s, double (*fun)(double), const char *name, uint32_t x)
{
  segment_op *o = op_new(s, S_MAP, NORN_REAL, 1, &x);
  if (!o) return -1;
  o->fun = fun;
  o->name = name;
  o->aux = s->nfun++;
  return last(s);
}

int32_t segment_index(segment *s, unsigned kind, uint32_t array, uint32_t i)
{
  segment_op *o = op_new(s, S_INDEX, kind, 1, &i);
  if (!o) return -1;
  o->aux = array;
  return last(s);
}

int32_t segment_row(segment *s, segment_op_name op, unsigned kind, const norn_dist_row *row, uint32_t n,
                    const uint32_t *arg)
{
  segment_op *o = op_new(s, op, kind, n, arg);
  if (!o) return -1;
  o->row = row;
  s->ndraw += op == S_DRAW;
  return last(s);
}

uint32_t segment_map(segment *s, const void *map)
{
  for (size_t i = 0; i < s->nmap; i++)
    if (s->map[i] == map) return (uint32_t)i + 1;
  if (!room(s, &s->map, &s->cmap, s->nmap + 1, sizeof *s->map)) return 0;
  s->map[s->nmap++] = map;
  return (uint32_t)s->nmap;
}

int32_t segment_array_of(segment *s, const void *at, int64_t n, unsigned elem)
{
  for (size_t i = 0; i < s->narray; i++)
    if (s->array[i].at == at && s->array[i].n == n && s->array[i].elem == elem) return (int32_t)i;
  if (!room(s, &s->array, &s->carray, s->narray + 1, sizeof *s->array)) return -1;
  s->array[s->narray++] = (segment_array){ at, n, elem };
  return (int32_t)s->narray - 1;
}

bool segment_output_to(segment *s, uint32_t op, void *at)
{
  if (!room(s, &s->out, &s->cout, s->nout + 1, sizeof *s->out)) return false;
  s->out[s->nout++] = (segment_output){ at, op };
  return true;
}

/* ---- structure ---- */

static uint64_t mix(uint64_t h, uint64_t x)
{
  h = (h ^ x) * 0x9e3779b97f4a7c15u;
  return h ^ h >> 29;
}

uint64_t segment_hash(const segment *s)
{
  uint64_t h = mix(s->nop, s->nslot);
  for (size_t i = 0; i < s->nop; i++) {
    const segment_op *o = &s->op[i];
    h = mix(h, o->op | o->kind << 8 | o->n << 16 | (uint64_t)o->aux << 32);
    for (int k = 0; k < o->n; k++) h = mix(h, o->arg[k]);
    h = mix(h, (uintptr_t)o->row ^ (uintptr_t)o->fun);
  }
  for (size_t i = 0; i < s->nin; i++) h = mix(h, s->in[i].map);
  for (size_t i = 0; i < s->nout; i++) h = mix(h, s->out[i].op);
  for (size_t i = 0; i < s->narray; i++) h = mix(h, s->array[i].elem);
  return h;
}

static bool same_op(const segment_op *a, const segment_op *b)
{
  return a->op == b->op && a->kind == b->kind && a->n == b->n && a->aux == b->aux && a->row == b->row &&
         a->fun == b->fun && !memcmp(a->arg, b->arg, a->n * sizeof *a->arg);
}

bool segment_same(const segment *a, const segment *b)
{
  if (a->nop != b->nop || a->nin != b->nin || a->nout != b->nout || a->nslot != b->nslot ||
      a->nplate != b->nplate || a->narray != b->narray)
    return false;
  for (size_t i = 0; i < a->nop; i++)
    if (!same_op(&a->op[i], &b->op[i])) return false;
  for (size_t i = 0; i < a->nin; i++)
    if (a->in[i].map != b->in[i].map) return false;
  for (size_t i = 0; i < a->nout; i++)
    if (a->out[i].op != b->out[i].op) return false;
  for (size_t i = 0; i < a->narray; i++)
    if (a->array[i].elem != b->array[i].elem) return false;
  return true;
}

/* An array of n elements, as large as it is. */
static bool copy(segment *to, void *array, size_t *n, size_t *cap, const void *from, size_t count,
                 size_t size)
{
  if (!room(to, array, cap, count, size)) return false;
  void *p;
  memcpy(&p, array, sizeof p);
  if (count) memcpy(p, from, count * size);
  *n = count;
  return true;
}

segment *segment_shape(const segment *s)
{
  segment *to = segment_new(s->st);
  size_t nkind;
  if (!to) return NULL;
  if (!copy(to, &to->op, &to->nop, &to->cop, s->op, s->nop, sizeof *s->op) ||
      !copy(to, &to->in, &to->nin, &to->cin, s->in, s->nin, sizeof *s->in) ||
      !copy(to, &to->out, &to->nout, &to->cout, s->out, s->nout, sizeof *s->out) ||
      !copy(to, &to->slot, &to->nslot, &to->cslot, s->slot, s->nslot, sizeof *s->slot) ||
      !copy(to, &to->slot_kind, &nkind, &to->cslot_kind, s->slot_kind, s->nslot, 1) ||
      !copy(to, &to->plate, &to->nplate, &to->cplate, s->plate, s->nplate, sizeof *s->plate) ||
      !copy(to, &to->map, &to->nmap, &to->cmap, s->map, s->nmap, sizeof *s->map) ||
      !copy(to, &to->array, &to->narray, &to->carray, s->array, s->narray, sizeof *s->array)) {
    segment_free(to);
    return NULL;
  }
  to->ndraw = s->ndraw;
  to->nweigh = s->nweigh;
  to->nfun = s->nfun;
  return to;
}
