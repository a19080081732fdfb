/* archive.h: the inside of an archive, shared by archive*.c.

   A checkpoint's image is four sections.  What norn_archive_ calls write goes to `state`; a value is a
   kind and a number there, and the object of that number waits in a queue until its turn comes.  So
   structure of any depth, shared or cyclic, is written without recursion, and read in two passes:
   `heads` say what objects there are and how large, `bodies` what is in them.  `code` names the things
   of the program: functions, natives, rows, shapes.

        state    the calls' numbers | value: kind, number | run: frames, live registers ...
        heads    kind, size | kind, size | ...                         objects 1, 2, ...
        bodies   fields     | fields     | ...
        code     thing      | thing      | ...                         each before what names it

   Whole numbers are written seven bits a byte, low bits first, with the top bit where more follow. */
#ifndef NORN_LANG_ARCHIVE_H
#define NORN_LANG_ARCHIVE_H
#include "lang/state.h"
#include "base/archive.h"

enum { SECTION_CODE, SECTION_HEADS, SECTION_BODIES, SECTION_STATE, SECTION_COUNT };
typedef enum {
  THING_SOURCE, THING_PROTO, THING_STUB, THING_NATIVE, THING_ROW, THING_ENGINE, THING_SHAPE,
  THING_CTOR, THING_METHOD, THING_LIBRARY, THING_COUNT
} thing_kind;

typedef struct bytes { uint8_t *s; size_t n, cap; } bytes;
typedef struct reading { const uint8_t *at, *end; } reading;
/* Addresses to numbers from 1, by open addressing. */
typedef struct numbers { const void **key; uint32_t *number; size_t size, n; } numbers;
/* Something of the program that was read; starts: of a function, which of its words begin an
   instruction. */
typedef struct thing { thing_kind kind; const void *p; uint8_t *starts; } thing;

struct norn_archive {
  norn_state *st;
  bool reading;
  bool prints;                        /* only the fingerprint is wanted: code is followed */
  bool code_only;                     /* prints: of code wherever it stands, not of a model's arguments */
  norn_status status;
  const char *file;                   /* for messages */
  int in;                             /* the section that calls write to or read from */
  bytes out[SECTION_COUNT], whole;
  reading from[SECTION_COUNT];
  numbers objects, things, runs;
  obj **object; size_t nobject, cobject, written;     /* by number - 1; those below are written */
  norn_span place, *origin; size_t corigin;           /* whose values are written now; of each object */
  uint64_t promised;                                  /* bytes of bodies that no head claims yet */
  thing *thing; size_t nthing, cthing;                /* read, by number - 1 */
  const proto **follow; size_t nfollow, cfollow;      /* prints: whose code is to be followed */
  norn_run **run; size_t nrun, crun;                  /* by number - 1 */
  int depth;                                          /* of archives in archives (of handles) */
};

/* archive.c */
static inline bool archive_good(const norn_archive *a) { return a->status == NORN_OK; }
bool     archive_damaged(norn_archive *, const char *what);      /* an error; gives false */
bool     archive_no_memory(norn_archive *);                      /* likewise */
void     put_raw(norn_archive *, const void *, size_t n);
void     put_byte(norn_archive *, unsigned);
void     put_uint(norn_archive *, uint64_t);
void     put_text(norn_archive *, const char *, size_t n);
bool     get_raw(norn_archive *, void *, size_t n);
unsigned get_byte(norn_archive *);
uint64_t get_uint(norn_archive *);                               /* 0 when it fails */
const char *get_text(norn_archive *, size_t *n);                 /* in the image; NULL when it fails */
static inline size_t left_in(const norn_archive *a, int section)
{
  return (size_t)(a->from[section].end - a->from[section].at);
}
/* The number of an address, made if need be; 0: no memory (the archive has failed). */
uint32_t archive_number(norn_archive *, numbers *, const void *, bool *is_new);

/* As archive_reader, of what stands in an archive. */
norn_archive *archive_reader_in(norn_archive *, const uint8_t *, size_t n);

/* archive_code.c: numbers of things; 0: it can't be saved (the archive has failed). */
uint32_t code_proto(norn_archive *, const proto *);
uint32_t code_file(norn_archive *, uint32_t file);               /* 0 too for file 0 */
uint32_t code_native(norn_archive *, const norn_native *);
uint32_t code_row(norn_archive *, const norn_dist_row *);
uint32_t code_engine(norn_archive *, const norn_engine *);
uint32_t code_shape(norn_archive *, const shape *);
uint32_t code_ctor(norn_archive *, uint32_t id);
uint32_t code_library(norn_archive *, const char *name);         /* read before what is named after it */
bool     code_follow(norn_archive *);                            /* prints: all that is reached */
bool     code_read(norn_archive *);                              /* the whole section */
/* What was read under a number, if it is of that kind; else the archive fails. */
const thing *code_thing(norn_archive *, uint64_t number, thing_kind);

/* archive_value.c */
void value_put(norn_archive *, val);
val  value_get(norn_archive *);
bool objects_put(norn_archive *);                                /* the queue */
bool objects_get(norn_archive *);                                /* both sections */
/* The object of a number (0: NULL) if it is of that kind; else NULL and the archive fails. */
obj *object_of(norn_archive *, uint64_t number, unsigned kind);
#endif
