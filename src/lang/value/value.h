/* value.h: how values lie in memory.

   A value is two words (norn.h's norn_datum): a tag and a payload.  Tags are written and compared
   as whole words; the constructor of a variant sits in the tag's upper half, so `match` never
   touches the heap.  Immediate kinds hold their payload, heap kinds (bit 6) point to an object:

        tag    | ctor (32) | 0 ... | kind (8) |          object | kind | flags | aux (16) | n (32) |
        payload| int64, double, bool or pointer |               | fields ...                      |

   The kind of an object is even, so a forwarding pointer (low bit set) can stand in its first word
   while the collector moves it.  Nothing old points to anything younger but what heap.h lists. */
#ifndef NORN_LANG_VALUE_H
#define NORN_LANG_VALUE_H
#include "norn.h"
#include "base/base.h"

typedef norn_datum val;

/* Kinds beside those of norn_kind; none is ever seen by a program. */
enum {
  V_FRAME = 10, V_ADDR = 11,
  V_LANES = 12,                                  /* lanes.h; p is its lane_vec, the upper half its kind */
  V_HEAP = 0x40, V_BUF = 0x60, V_SCOPE = 0x62, V_HNODE = 0x64,
  V_RANDOM = 0x66                              /* delayed.h */
};

#define V_IS_INT(v)  ((v).tag == NORN_INT)
#define V_IS_REAL(v) ((v).tag == NORN_REAL)
#define V_IS_BOOL(v) ((v).tag == NORN_BOOL)
#define V_IS_HEAP(v) ((v).tag & V_HEAP)
#define V_KIND(v)    ((unsigned)(v).tag & 255u)
#define V_CTOR(v)    ((uint32_t)((v).tag >> 32))

typedef struct obj {
  union {
    struct { uint8_t kind, flags; uint16_t aux; uint32_t n; };
    uintptr_t fwd;
  };
} obj;
enum {
  OBJ_OLD = 1, OBJ_MARK = 2, OBJ_LARGE = 4, OBJ_STATIC = 8,
  OBJ_FRESH = 16                               /* old, not yet scanned once */
};

typedef uint32_t sym;                          /* an interned name; 0 is none */

/* n bytes; 0-terminated */
typedef struct str {
  obj h;
  uint32_t hash, chars;
  char s[];
} str;

/* The storage of arrays.  aux: norn_elem.  Elements have one numbering along a chain of buffers:
   this one stores [base, fill) at index - base, its parent has [0, base) (an append that could not
   be in place shares its prefix so); base is 0 where there is no parent.  fill..cap may be appended
   in place by the array whose end is fill.  scanned: elements below it are not young (VALUES).
   n: twice the worker that made it (state.h), who alone may append in place, and 1 once it was
   copied to a larger one. */
typedef struct buf {
  obj h;
  uint64_t fill, cap, base;
  struct buf *parent;
  uint64_t scanned;
  union { double f[1]; int64_t i[1]; uint8_t b[1]; val v[1]; };
} buf;
#define BUF_HEADER 48

/* An array: a view of len rows of a buffer from element off.  aux: rank; n: the worker that made it,
   who alone may change its form.  b NULL: empty,
   of no type yet (rank 1).  Row size is the product of dims[0 .. rank-2], the inner axes. */
typedef struct vec {
  obj h;
  buf *b;
  int64_t off, len;
  int64_t dims[];
} vec;

/* The shape of a record: its field names in the order written.  Shapes are interned per state.
   order lists the fields by rising name, so that records compare whatever the order they were
   written in; text[i] is the name of field i; hash is of the set of names. */
typedef struct shape {
  uint32_t id, n;
  uint64_t hash;
  struct shape *next;
  const char **text;
  uint32_t *order;
  sym names[];
} shape;
typedef struct rec { obj h; const shape *sh; val f[]; } rec;
typedef struct data { obj h; val f[]; } data;          /* aux: constructor; n fields */
/* A real of `bits` bits: limb[h.n], least first; what: norn_big_kind (num/real.h). */
typedef struct bign {
  obj h;
  int64_t bits, exponent;
  int32_t what, sign;
  uint64_t limb[];
} bign;
typedef struct clo { obj h; const struct proto *p; val cap[]; } clo;   /* n captures */
/* DIST (row: norn_dist_row) and ENGINE (row: norn_engine) with their arguments. */
typedef struct tab { obj h; const void *row; val a[]; } tab;
/* MODEL: a[0] the closure, a[1] constraints (given/do: NORN_ARRAY of [kind, name, value] or unit),
   a[2..] arguments. */
typedef struct modl { obj h; uint64_t pad; val a[]; } modl;
/* HANDLE: never young (handle.c). */
typedef struct handle { obj h; const norn_handle_row *row; void *p; uint64_t serial; } handle;
/* given() and do() in force: absolute addresses fixed within a model that is running; or replaced
   observations, a record of keys and values (what: FIX_OBSERVED). */
enum { FIX_GIVEN, FIX_DO, FIX_OBSERVED };
typedef struct scope_fix { uint64_t addr; val value; uint32_t what, key; } scope_fix;
typedef struct scope { obj h; struct scope *up; val seen_by; scope_fix fix[]; } scope;   /* n */

static inline val v_obj(unsigned kind, const void *o)
{
  val v;
  v.tag = kind;
  v.q = o;
  return v;
}

static inline val v_data(uint32_t ctor, data *o)
{
  val v;
  v.tag = NORN_DATA | (uint64_t)ctor << 32;
  v.p = o;
  return v;
}

static inline val v_enum(uint32_t ctor)
{
  val v;
  v.tag = NORN_ENUM | (uint64_t)ctor << 32;
  v.i = 0;
  return v;
}

static inline bool v_is_lanes(val v) { return V_KIND(v) == V_LANES; }

static inline str *v_str(val v) { return (str *)v.p; }
static inline vec *v_vec(val v) { return (vec *)v.p; }
static inline rec *v_rec(val v) { return (rec *)v.p; }
static inline clo *v_clo(val v) { return (clo *)v.p; }
static inline tab *v_tab(val v) { return (tab *)v.p; }

/* Two 8-byte moves, kept apart by the empty asm: a 16-byte load after two 8-byte stores stalls. */
#define V_COPY(x, y) do { \
    const val *y_ = &(y); \
    val *x_ = &(x); \
    uint64_t t_ = y_->tag; \
    int64_t i_ = y_->i; \
    __asm__("" : "+r"(t_)); \
    x_->tag = t_; \
    x_->i = i_; \
  } while (0)

/* ---- array.c: arrays (all may be called from C code; they allocate without collecting).  NULL and
   NONE: the error is set. ---- */
vec *vec_new(norn_state *, norn_elem, int rank, const int64_t *dims);   /* own, zeroed buffer */
/* The same array with no parent chain: in place, or on a worker that has not made it another. */
vec *vec_flat(norn_state *, vec *);
/* Element or row i; bounds already checked.  Flattens what lies far back in a chain. */
val  vec_at(norn_state *, const vec *, int64_t i);
/* x appended to v (amortised O(1)).  Packs; converts when x does not fit. */
val  vec_push(norn_state *, val v, val x);
val  vec_concat(norn_state *, val a, val b);    /* ++ on arrays and on strings */
/* Rows [from, to), O(1); bounds checked by the caller. */
val  vec_slice(norn_state *, val v, int64_t from, int64_t to);
val  vec_pack(norn_state *, const val *, int64_t n);   /* an array literal */
val  vec_range(norn_state *, int64_t a, int64_t b);    /* a..b as an array of integers */
val  vec_transpose(norn_state *, val);
val  vec_matmul(norn_state *, val, val);        /* matrix and vector products */
/* a[i, j] and slices: ix has an entry per index, two (from, to; NONE is open) where bit k of mask
   is set. */
val  vec_index(norn_state *, val v, const val *ix, int n, unsigned mask);
int64_t vec_row(const vec *);                   /* elements of a row (1 for rank 1) */
int64_t vec_count(const vec *);                 /* elements in all */

/* ---- arith.c: what arithmetic does off the fast path: promotion, arrays, errors.  On failure it
   sets the state's error and returns NONE. ---- */
typedef enum {
  A_ADD, A_SUB, A_MUL, A_DIV, A_IDIV, A_MOD, A_POW,
  A_LT, A_LE, A_EQ, A_NE,
  A_NEG, A_NOT
} arith;
val arith_slow(norn_state *, arith, val x, val y);          /* y unused by NEG and NOT */
val arith_map1(norn_state *, const norn_native *, val x);   /* real1 of a number or an array */

/* ---- show.c, equal.c ---- */
bool     value_equal(val, val);
uint64_t value_hash(val);
int      value_compare(val, val);
void     value_show(norn_state *, text *, val, bool source_form, size_t limit);

/* ---- string.c ---- */
str *str_new(norn_state *, const char *, size_t n);      /* NULL: no memory */
val  str_concat(norn_state *, const val *parts, int n);  /* interpolation: display forms joined */

/* ---- symbol.c, record.c: symbols, shapes, records ---- */
sym          sym_intern(norn_state *, const char *, size_t n);   /* 0: no memory */
const char  *sym_name(norn_state *, sym);          /* lives as long as the state; "" for none */
const shape *shape_intern(norn_state *, const sym *, uint32_t n);
int          shape_find(const shape *, sym);       /* -1 */
void         record_free(norn_state *);            /* symbols and shapes, with the state */
val          rec_new(norn_state *, const shape *, const val *);
/* NONE: r is no record, or no memory; the error is set. */
val          rec_with(norn_state *, val r, const sym *names, const val *values, int n);

/* ---- hamt.c: the persistent map (Bagwell 2001), behind norn_map_* and mem's tables ---- */
val  hamt_new(norn_state *);
val  hamt_put(norn_state *, val map, val key, uint64_t hash, val value);
val  hamt_get(val map, val key, uint64_t hash);    /* NONE if absent */
val  hamt_remove(norn_state *, val map, val key, uint64_t hash);
#endif
