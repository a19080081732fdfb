/* base: memory, text and source positions; what every other shelf stands on.

   All memory goes through a `mem`: one hook, counted, limited, and able to fail the n-th request
   (fault injection).  Nothing here aborts: out of memory is NULL or a sticky `failed`. */
#ifndef NORN_BASE_H
#define NORN_BASE_H
#include "norn.h"
#include <stdarg.h>

#define NORN_LIKELY(x) __builtin_expect(!!(x), 1)
#define NORN_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define NORN_COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

/* ---- memory ---- */
typedef struct mem {
  void *(*alloc)(void *user, void *p, size_t old, size_t n);
  void *user;
  size_t used, peak, limit;      /* bytes now, at most, allowed (0: no limit) */
  uint64_t requests, fail_at;    /* the fail_at-th request from the start fails (0: never) */
  uint64_t refused;              /* requests that failed so far */
} mem;
void  mem_init(mem *);                                       /* malloc, no limit */
void *mem_get(mem *, size_t n);                              /* not cleared; NULL: none left */
void *mem_zero(mem *, size_t n);                             /* cleared */
void *mem_resize(mem *, void *p, size_t old, size_t n);     /* as realloc; NULL leaves p as is */
void  mem_put(mem *, void *p, size_t n);                     /* frees; p may be NULL */
/* Makes room for at least `want` elements of `size` bytes in a growing array; false: no memory. */
bool  mem_grow(mem *, void *array_pointer, size_t *capacity, size_t want, size_t size);

/* ---- arenas: freed all at once ---- */
typedef struct arena { mem *m; struct arena_block *blocks; char *at, *end; } arena;
void  arena_init(arena *, mem *);
void *arena_get(arena *, size_t n);                          /* 16-byte aligned, cleared; or NULL */
char *arena_text(arena *, const char *s, size_t n);          /* a 0-terminated copy */
char *arena_printf(arena *, const char *format, ...) NORN_PRINTF(2, 3);
void  arena_free(arena *);                                   /* all of it; it can be used again */

/* ---- growing text ---- */
/* s is 0-terminated when n > 0 */
typedef struct text { mem *m; char *s; size_t n, cap; bool failed; } text;
void text_init(text *, mem *);
void text_put(text *, const char *s, size_t n);
void text_puts(text *, const char *s);
void text_putc(text *, char c);
void text_printf(text *, const char *format, ...) NORN_PRINTF(2, 3);      /* as in the C locale */
/* The shortest form that reads back equal; 1.0 keeps ".0"; nan, inf, -inf. */
void text_real(text *, double x);
void text_quoted(text *, const char *s, size_t n);           /* as a Norn string literal */
void text_free(text *);

/* ---- UTF-8 ---- */
/* Length of the valid sequence at s (1..4), 0 if malformed or n is 0; *code is its code point. */
int    utf8_next(const char *s, size_t n, uint32_t *code);
int    utf8_put(uint32_t code, char out[4]);                 /* bytes written, 0 if no code point */
size_t utf8_count(const char *s, size_t n);                  /* code points */
int    utf8_width(const char *s, size_t n);                  /* columns of a terminal, about */

/* ---- hashing ---- */
static inline uint64_t hash_mix(uint64_t x)                  /* splitmix64's finaliser */
{
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
  x = (x ^ x >> 27) * 0x94d049bb133111ebu;
  return x ^ x >> 31;
}
uint64_t hash_bytes(const void *, size_t n, uint64_t seed);
/* By what an observation is known in another run: its address and where it stands. */
static inline uint64_t hash_observation(uint64_t addr, norn_span at)
{
  return hash_mix(addr ^ hash_mix((uint64_t)at.file << 32 | at.start));
}

/* ---- nearest names, for hints ---- */
/* Damerau-Levenshtein distance, at most `limit` + 1. */
int edit_distance(const char *a, const char *b, int limit);
typedef struct { const char *want, *best; int distance; } nearest;
void        nearest_init(nearest *, const char *want);
void        nearest_try(nearest *, const char *candidate);
const char *nearest_found(const nearest *);                  /* NULL when nothing is near enough */

/* ---- sources and the printer of errors ---- */
typedef struct source { char *name, *text; size_t n; uint32_t *lines; uint32_t nlines; } source;
typedef struct sources { mem *m; source *v; size_t n, cap; } sources;   /* file id k is v[k - 1] */
void     sources_init(sources *, mem *);
/* Copies; 0: no memory. */
uint32_t sources_add(sources *, const char *name, const char *text, size_t n);
const source *sources_get(const sources *, uint32_t file);   /* NULL for 0 or unknown */
/* From 1, columns in code points. */
void     sources_place(const sources *, norn_span, uint32_t *line, uint32_t *column);
void     sources_free(sources *);
/* The one printer (DESIGN 6): place, sentence, line, caret range, hint, calls.  kind: "error",
   "warning". */
void     error_print(text *, const sources *, const char *kind, const norn_err *);
/* Fills an error. */
void     error_set(norn_err *, norn_status, norn_span, const char *format, ...)
  NORN_PRINTF(4, 5);
void     error_setv(norn_err *, norn_status, norn_span, const char *format, va_list);
void     error_hint(norn_err *, const char *format, ...) NORN_PRINTF(2, 3);

/* Diagnostics of one compilation, in the order found. */
typedef struct diag { norn_err e; bool warning; } diag;
typedef struct diags { mem *m; diag *v; size_t n, cap; int errors; bool failed; } diags;
void  diags_init(diags *, mem *);
/* NULL: no memory. */
diag *diags_add(diags *, bool warning, norn_span, const char *format, ...) NORN_PRINTF(4, 5);
/* By place within each file, and only the first error of those at one place (parser and resolver
   may both see a mistake). */
void  diags_settle(diags *);
void  diags_free(diags *);

/* Whole files.  NULL with *why set ("No such file or directory") on failure; the text is
   0-terminated, free with mem_put(n + 1). */
char *file_read(mem *, const char *path, size_t *n, const char **why);
/* Parts one after the other into a file, which is there whole or as it was: written beside it
   (path.new), to the disk, and renamed.  false: *why. */
bool  file_replace(const char *path, const void *const *part, const size_t *size, int n,
                   const char **why);
#endif
