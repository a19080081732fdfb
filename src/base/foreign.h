/* foreign.h: what a `foreign` block declares, as the language hands it to whoever can call C.

   The language knows no calling convention: it reads the declarations, and a maker (src/lib) turns
   each into a native.  Declarations live as long as the state.

       foreign "libm.so.6" { fn j0(x: c_double) -> c_double }

   A parameter is an argument of the Norn function unless it only goes out, or its name is _. */
#ifndef NORN_FOREIGN_H
#define NORN_FOREIGN_H
#include "base/base.h"

/* id, the C type; the fixed ones.  FN: a callback. */
#define FOREIGN_KINDS(X)                                                                           \
  X(DOUBLE, double) X(FLOAT, float)                                                                \
  X(INT8, int8_t) X(INT16, int16_t) X(INT32, int32_t) X(INT64, int64_t)                            \
  X(UINT8, uint8_t) X(UINT16, uint16_t) X(UINT32, uint32_t) X(UINT64, uint64_t)                    \
  X(BOOL, bool) X(STRING, const char *) X(POINTER, void *) X(FN, void *)
typedef enum {
  FOREIGN_VOID,
#define X(id, type) FOREIGN_##id,
  FOREIGN_KINDS(X)
#undef X
  FOREIGN_KINDS_COUNT
} foreign_kind;

/* By value (arrays: a pointer to a copy); a pointer to one; a pointer that C writes through; both. */
typedef enum { FOREIGN_VALUE, FOREIGN_REF, FOREIGN_OUT, FOREIGN_INOUT } foreign_mode;

/* A whole number made of arguments, in postfix: 'k' the constant v, 'p' parameter v, 'l' the length
   of array v, 's' its number of elements; + - * / of the two before. */
typedef struct foreign_op { char op; int64_t v; } foreign_op;
#define FOREIGN_SIZE_DEPTH 16
typedef struct foreign_size { int n; const foreign_op *v; } foreign_size;

typedef struct foreign_fn foreign_fn;
typedef struct foreign_type {
  foreign_kind kind;           /* of an array: its elements */
  foreign_mode mode;
  bool array;
  const char *word;            /* as it was written: c_int */
  const foreign_size *size;    /* how many elements; NULL: as many as are given */
  const foreign_fn *fn;        /* FN */
} foreign_type;
typedef struct foreign_param {
  const char *name;            /* "_": C gets the default, or 0 */
  foreign_type type;
  const foreign_size *fallback;
  int arg;                     /* which argument of the Norn function; -1: none */
} foreign_param;
struct foreign_fn {
  const char *name;
  int n, nargs, nouts;
  const foreign_param *params;
  foreign_type result;         /* VOID: none */
};
#define FOREIGN_PARAMS 32

static inline bool foreign_goes_out(const foreign_type *t)
{
  return t->mode == FOREIGN_OUT || t->mode == FOREIGN_INOUT;
}
/* Does C get a pointer to memory that Norn provides? */
static inline bool foreign_by_pointer(const foreign_type *t)
{
  return t->array || t->mode != FOREIGN_VALUE;
}

/* Each fails with norn_fail. */
typedef struct foreign_maker {
  /* The library of that name; dir: where the declaring file lies, or NULL. */
  norn_status (*open)(norn_state *, const char *name, const char *dir, void **library);
  /* Fills f and flags, or real1, of a row that has its other fields. */
  norn_status (*make)(norn_state *, void *library, const char *symbol, const foreign_fn *,
                      norn_native *row);
} foreign_maker;
/* Defined by the language. */
void foreign_made_by(norn_state *, const foreign_maker *);
#endif
