/* gguf.h: GGUF files, in which language models come (the format's description: ggml-org/ggml, docs/gguf.md): magic,
   version, pairs of metadata, descriptions of tensors, then the numbers.  Versions 2 and 3, least byte first.

   A file is mapped and never copied: tensors and texts of the metadata point into the map.  Nothing in a file is
   believed: each length, count, type and place is checked before it is used, so whoever reads by this interface
   stays within the map.  Errors say the place in the file (a byte), what stands there and what was expected. */
#ifndef NORN_LLM_GGUF_H
#define NORN_LLM_GGUF_H
#include "base/base.h"
#include "llm/file/quant.h"
#include "norn.h"

/* The numbers of the format. */
typedef enum gguf_type {
  GGUF_U8, GGUF_I8, GGUF_U16, GGUF_I16, GGUF_U32, GGUF_I32, GGUF_F32, GGUF_BOOL, GGUF_STRING, GGUF_ARRAY, GGUF_U64,
  GGUF_I64, GGUF_F64, GGUF_KINDS
} gguf_type;
extern const char *const gguf_type_names[GGUF_KINDS];          /* "u8" ... */

/* What is read at most. */
enum { GGUF_PAIRS = 1 << 16, GGUF_TENSORS = 1 << 16, GGUF_RANK = 4, GGUF_KEY = 65535, GGUF_NAME = 255 };

/* A pair of metadata.  Strings are UTF-8 or not, without 0 at the end. */
typedef struct gguf_pair {
  const char *key;         /* 0-terminated */
  gguf_type type, of;      /* of: what an array has */
  uint64_t n;              /* an array's elements; otherwise 1 */
  const uint8_t *at, *end; /* where the value stands in the map, unaligned; an array's first element */
} gguf_pair;

/* dims[0] changes fastest: it is the length of a row. */
typedef struct gguf_tensor {
  const char *name;        /* 0-terminated */
  quant_type type;
  int rank;                /* 1 to 4; dims beyond are 1 */
  int64_t dims[GGUF_RANK];
  const void *data;        /* at a multiple of 8 bytes in a file; in bytes that were given, as those are aligned */
  size_t size;
} gguf_tensor;

typedef struct gguf {
  norn_state *st;
  const char *name;        /* as errors call it: the path; the caller's, or gguf_open's copy */
  uint32_t version;
  gguf_pair *pair; int npair;           /* in the order of the file */
  gguf_tensor *tensor; int ntensor;     /* in the order of the file */
  uint32_t alignment;
  const uint8_t *bytes; size_t size;    /* the whole */
  void *map;                            /* NULL: the bytes are the caller's */
  arena keep;                           /* names, keys */
  mem m;
  int *by_key, *by_name;                /* sorted */
} gguf;

/* false: error set, nothing to close.  *f must not move while it is open. */
bool gguf_open(norn_state *, const char *path, gguf *f);
/* The same of bytes (borrowed; align them to 64), called `name` (borrowed) in errors. */
bool gguf_view(norn_state *, const char *name, const void *bytes, size_t, gguf *f);
void gguf_close(gguf *);

/* ---- metadata ---- */
const gguf_pair *gguf_find(const gguf *, const char *key);     /* NULL: none */
/* Typed.  A key that is not there leaves *out as it is; if it is `needed`, that is an error which
   names it.  Another type than expected, and a number that does not fit, are errors.  false: error
   set.  An integer may stand in any integer type, a real in f32 or f64, and either as an array of
   equal numbers (as some files have one for each layer). */
bool gguf_u32(const gguf *, const char *key, bool needed, uint32_t *out);
bool gguf_f32(const gguf *, const char *key, bool needed, float *out);
bool gguf_bool(const gguf *, const char *key, bool needed, bool *out);
bool gguf_string(const gguf *, const char *key, bool needed, const char **s, size_t *n);
/* An array of elements `of`; NULL in *out if it is not there. */
bool gguf_array(const gguf *, const char *key, gguf_type of, bool needed, const gguf_pair **out);
/* Element i (0 of what is no array) of a pair of numbers. */
int64_t gguf_integer(const gguf_pair *, uint64_t i);           /* integers, bools; u64 above 2^63 - 1 are cut to it */
double  gguf_real(const gguf_pair *, uint64_t i);
/* Strings of an array, one after the other: *at begins as pair->at. */
const char *gguf_next_string(const uint8_t **at, size_t *n);

/* ---- tensors ---- */
const gguf_tensor *gguf_tensor_find(const gguf *, const char *name);       /* NULL: none */
int64_t gguf_tensor_count(const gguf_tensor *);
/* Row i (of all dimensions but the first, together) as floats: dims[0] of them. */
void gguf_tensor_row(const gguf_tensor *, int64_t i, float *out);

/* ---- writing ---- */
/* Keys and strings are copied.  The first error stays and is gguf_write's.  The bytes depend on
   what was put, and in which order, alone. */
typedef struct gguf_writer gguf_writer;
gguf_writer *gguf_writer_new(norn_state *);                    /* NULL: error set */
void gguf_writer_free(gguf_writer *);
void gguf_put_u32(gguf_writer *, const char *key, uint32_t);
void gguf_put_f32(gguf_writer *, const char *key, float);
void gguf_put_bool(gguf_writer *, const char *key, bool);
void gguf_put_string(gguf_writer *, const char *key, const char *, size_t n);
/* Any other number, and arrays of n numbers, in the host's form; of strings (length NULL: 0-terminated). */
void gguf_put_number(gguf_writer *, const char *key, gguf_type, const void *);
void gguf_put_array(gguf_writer *, const char *key, gguf_type of, const void *, uint64_t n);
void gguf_put_strings(gguf_writer *, const char *key, const char *const *, const size_t *length, uint64_t n);
/* Numbers as they are in the format (borrowed until gguf_write); or floats, which are put into it (copied). */
void gguf_put_tensor(gguf_writer *, const char *name, quant_type, int rank, const int64_t *dims, const void *data);
void gguf_put_floats(gguf_writer *, const char *name, quant_type, int rank, const int64_t *dims, const float *);
/* To a file, which is there whole or as it was. */
norn_status gguf_write(gguf_writer *, const char *path);
/* To memory: *bytes from norn_alloc of the state, *size of it. */
norn_status gguf_write_bytes(gguf_writer *, uint8_t **bytes, size_t *size);
#endif
