/* net_fields.h: the fields of a record as JSON, written and read by one walk: each call writes the field,
   or reads it and checks it.  After the first failure all calls do nothing; the error says which field of
   which file.

   {"kind":"npe","sites":[{"name":"p","mean":[0.5]}, ...]} */
#ifndef NORN_INFER_NET_FIELDS_H
#define NORN_INFER_NET_FIELDS_H
#include "base/base.h"
#include "infer/engine.h"

enum { FIELDS_DEPTH = 6 };
typedef struct fields {
  norn_state *st;
  const char *file;                          /* for messages */
  bool reading, failed;
  text out;                                  /* written */
  norn_datum at[FIELDS_DEPTH];               /* read: the records and lists that we are in */
  int depth;
} fields;

/* Whole numbers, from lo to hi. */
bool fields_int(fields *, const char *name, int *, int64_t lo, int64_t hi);
bool fields_i64(fields *, const char *name, int64_t *, int64_t lo, int64_t hi);
bool fields_u64(fields *, const char *name, uint64_t *);       /* as a text, "0x1f" */
bool fields_bool(fields *, const char *name, bool *);
/* One of n words. */
bool fields_word(fields *, const char *name, int *, const char *const *words, int n);
/* A text in a buffer of size bytes. */
bool fields_text(fields *, const char *name, char *buf, size_t size);
/* Real numbers from lo to hi, to the bit; NaN too where lo is NaN. */
bool fields_real(fields *, const char *name, double *, double lo, double hi);
bool fields_reals(fields *, const char *name, double *, size_t n, double lo, double hi);
/* A record in a record, a list of at most `most` records (*n: how many), and a record of a list; each is
   left by fields_leave. */
bool fields_enter(fields *, const char *name);
bool fields_list(fields *, const char *name, int *n, int most);
bool fields_item(fields *, int i);
void fields_leave(fields *);
/* What was read makes no sense; gives false. */
bool fields_bad(fields *, const char *name, const char *wanted);
#endif
