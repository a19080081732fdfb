/* drawset.h: draws as named variables of numbers: what files of draws hold.

   A draw of Norn is a tree (the value that the model returned), choices by address and numbers
   about the draw (lp, energy).  A file of draws has columns.  Between them stand variables: all
   numbers whose paths differ in indices only.  Its *pattern* is the path without the numbers:

       choices z[0] .. z[7]            pattern z[]          name z         dims [8]
       choices theta[0].z .. [7].z     pattern theta[].z    name theta.z   dims [8]
       choice theta = [1.0, 2.0, 3.0]  pattern theta        name theta     dims [3]
       value { a: [{ b: 1.0 }, ...] }  pattern a[].b        name a.b       dims [2]

   A choice and a part of the value of one name are one variable as long as they are equal.  What is
   no number (a string, a constructor) is a level: a whole number from 1, beside the list of what
   they stand for.  What a draw lacks is missing, a NaN of its own.  Draws are put in one after the
   other; the layout grows with them, and `changes` counts how often it did. */
#ifndef NORN_IO_DRAWSET_H
#define NORN_IO_DRAWSET_H
#include "base/base.h"

typedef enum { DRAWSET_REAL, DRAWSET_INT, DRAWSET_BOOL, DRAWSET_LEVEL, DRAWSET_KINDS } drawset_kind;
extern const char *const drawset_kind_names[DRAWSET_KINDS];

/* Where numbers stood in a file that has been written (stan_csv.c). */
typedef struct drawset_place {
  int64_t at, size;
  int rank; int64_t dims[NORN_RANK_MAX];
} drawset_place;

typedef struct drawset_var {
  char *name;                       /* no two have the same */
  char *choice, *value;             /* patterns; NULL: it is none */
  bool stat;
  drawset_kind kind;
  bool ragged;                      /* some draws lack some of its numbers */
  int rank; int64_t dims[NORN_RANK_MAX], size;
  double *x; size_t cap;            /* (size) of the draw at hand */
  double *all;                      /* (n, size) of all draws, once they are kept */
  char **level; size_t nlevel, clevel;      /* as JSON */
  int64_t by_choice, by_value;      /* numbers that this draw has put in */
  bool differ;                      /* the choice is not the part of the value */
  drawset_place was; int64_t levels_were;
} drawset_var;

typedef struct drawset {
  norn_state *st;
  mem *m;
  drawset_var *var; size_t nvar, cvar;
  size_t cursor;                    /* the variable that was found last */
  int64_t n, kept;                  /* draws so far; those that there is room for in `all` */
  uint64_t changes;
  bool failed;                      /* the error is in the state */
} drawset;

void drawset_init(drawset *, norn_state *, mem *);
void drawset_free(drawset *);

/* ---- putting draws in: begin, any of the parts (choices before the value), end ---- */
void drawset_begin(drawset *);
void drawset_stat(drawset *, const char *name, double);
void drawset_choice(drawset *, const char *address, norn_datum);
void drawset_value(drawset *, norn_datum);
/* false: error set, now or in one of the others. */
bool drawset_end(drawset *);
/* The layout stays, the draws are put in again and kept: room for n of them. */
bool drawset_keep(drawset *, int64_t n);

/* ---- making a set from a file ---- */
/* A variable without numbers yet; NULL: no memory.  name and patterns are copied. */
drawset_var *drawset_add(drawset *, const char *name, const char *choice, const char *value,
                         drawset_kind, int rank, const int64_t *dims);
bool drawset_add_level(drawset *, drawset_var *, const char *json, size_t n);
/* {"variable": "theta", "kind": "real", "dims": [8], "choice": "theta[]", "value": "theta[]"}: what
   files say of a variable, and one made of such a record (with no more than `most` numbers; NULL:
   error set). */
void drawset_describe(const drawset_var *, text *);
drawset_var *drawset_described(drawset *, norn_datum record, int64_t most);
void drawset_json(text *, const char *s);                   /* a string in quotes */
bool drawset_is_utf8(const char *s, size_t n);              /* as names of variables must be */
/* What a path looks like without its brackets: "theta[].z" gives "theta.z", "" gives "value". */
void drawset_name_of(const char *pattern, char *name, size_t size);
/* How many indices a pattern has room for. */
int  drawset_holes(const char *pattern);

/* ---- taking draws out ---- */
static const uint64_t drawset_missing_bits = 0x7ff80000000007a2u;   /* 1954, as in R */
double drawset_missing(void);
bool   drawset_is_missing(double);
/* How the values of a set are built.  While it is open nothing may be collected: in a native. */
typedef struct drawset_node drawset_node;
typedef struct drawset_reader {
  drawset *s;
  norn_datum **level;               /* of each variable: the values of its levels */
  arena a;
  drawset_node *root;
} drawset_reader;
bool drawset_reader_open(drawset_reader *, drawset *);          /* false: error set */
void drawset_reader_close(drawset_reader *);
/* What draw i returned.  NONE: error set. */
norn_datum drawset_value_of(drawset_reader *, int64_t i);
/* f is told each address of a choice with its array (n).  false: error set, or f gave false. */
bool drawset_choices(drawset_reader *,
                     bool (*f)(void *user, const char *address, norn_datum column),
                     void *user);
#endif
