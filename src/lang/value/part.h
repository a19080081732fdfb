/* part.h: values seen as trees, for equality, order, hash and show.

   An array is seen as its rows, whatever its packing; a row of a matrix is a `part` of the array,
   so that nothing need be allocated to look at it.  Records show their fields in the order of
   their names, maps their keys and values in turn.  Structures may be deep (a list of a million
   cells), so those who walk them keep what is still to be seen on a stack that starts in the C
   frame and grows through a `mem` of its own. */
#ifndef NORN_LANG_PART_H
#define NORN_LANG_PART_H
#include "lang/value/array.h"
#include "lang/value/hamt.h"

/* A value, or rows of a packed array that no object stands for: then v is the array, and the part
   has `rank` dimensions and begins at element `at`. */
typedef struct part { val v; int rank; int64_t at; } part;

part    part_whole(val);
int64_t part_len(const part *);                /* of an array */
int64_t part_children(const part *);
part    part_child(const part *, int64_t i);
static inline bool part_is_array(const part *p) { return p->v.tag == NORN_ARRAY; }
static inline bool part_is_number(val v) { return V_IS_INT(v) || V_IS_REAL(v); }

/* The values inside an object that is no array and no map. */
static inline const val *fields_of(val v, int64_t *n)
{
  *n = ((const obj *)v.p)->n;
  switch (V_KIND(v)) {
  case NORN_DATA: return ((const data *)v.p)->f;
  case NORN_RECORD: return v_rec(v)->f;
  case NORN_FUN: return v_clo(v)->cap;
  case NORN_DIST: case NORN_ENGINE: return v_tab(v)->a;
  case NORN_MODEL: return ((const modl *)v.p)->a;
  default: *n = 0; return NULL;
  }
}

/* Still to be seen: children [i, n) of x (and of y, beside it).  n 0: `after` decides a
   comparison. */
typedef struct task { part x, y; int64_t i, n; int after; } task;
typedef struct tasks { mem m; task few[24], *v; size_t n, cap; bool failed; } tasks;
void tasks_init(tasks *);
void tasks_free(tasks *);
void tasks_push(tasks *, part x, part y, int64_t n, int after);

/* Exact comparison of an integer and a real: -1, 0, 1; 2 if the real is NaN. */
int compare_mixed(int64_t i, double d);
#endif
