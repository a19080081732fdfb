/* safetensors.h: files of named tensors (the format's description: huggingface/safetensors): 8 bytes of
   length, a header in JSON, then the numbers, least byte first.  Read from memory that is mapped; a reader
   trusts nothing that it reads: numbers must fill what follows the header without gaps, as the format
   demands. */
#ifndef NORN_NN_SAFETENSORS_H
#define NORN_NN_SAFETENSORS_H
#include "norn.h"
#include <stdbool.h>
#include <stddef.h>

typedef enum { TENSOR_F64, TENSOR_F32, TENSOR_F16, TENSOR_BF16, TENSOR_I64, TENSOR_I32, TENSOR_I16, TENSOR_I8,
               TENSOR_U64, TENSOR_U32, TENSOR_U16, TENSOR_U8, TENSOR_BOOL, TENSOR_TYPES } tensor_type;

typedef struct tensor_entry {
  const char *name;            /* UTF-8, 0-terminated */
  tensor_type type;
  int rank; int64_t dims[8];
  const void *data; size_t size;        /* bytes; may be unaligned when read */
} tensor_entry;

enum { TENSOR_RANK = 8, TENSOR_HEADER = 16 << 20, TENSOR_MOST = 1 << 16 };   /* limits of what is read */
typedef struct tensor_file {
  tensor_entry *entry; int n;
  char **key, **value; int nmeta;       /* "__metadata__": texts */
  void *map; size_t size;               /* NULL: the bytes are the caller's */
  norn_state *st;
  char *text; size_t ntext, ctext;      /* where names, keys and values stand */
  int nentry, nkey;                     /* for how many there is room */
} tensor_file;
extern const char *const tensor_type_names[TENSOR_TYPES];      /* "F64" ... */
size_t      tensor_type_size(tensor_type);

/* false: error set, which names the file and what is wrong with it. */
bool        tensor_file_open(norn_state *, const char *path, tensor_file *);
/* The same of bytes (borrowed), called `name` in errors. */
bool        tensor_file_view(norn_state *, const char *name, const void *bytes, size_t, tensor_file *);
void        tensor_file_close(tensor_file *);
const tensor_entry *tensor_file_find(const tensor_file *, const char *name);
const char *tensor_file_meta(const tensor_file *, const char *key);      /* NULL: none */
int64_t     tensor_count(const tensor_entry *);
/* Numbers of a floating type as f32 into x (tensor_count), rounded to nearest; false: another type. */
bool        tensor_to_f32(const tensor_entry *, float *x);
/* Writes beside it first, so that whatever goes wrong the last good file stays.  The numbers begin at a
   multiple of 64 bytes, larger types first, so that each stands at a multiple of its size; within a type by
   name.  The bytes of the file depend on nothing else. */
norn_status tensor_file_write(norn_state *, const char *path, const tensor_entry *, int n,
                              const char *const *key, const char *const *value, int nmeta);
/* The same bytes in memory of norn_alloc (NULL after a failure), for tensor_file_view. */
norn_status tensor_file_bytes(norn_state *, const tensor_entry *, int n, const char *const *key,
                              const char *const *value, int nmeta, void **bytes, size_t *size);
#endif
