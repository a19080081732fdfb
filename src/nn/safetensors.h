/* safetensors.h: files of named tensors (the format's description: huggingface/safetensors): 8 bytes of length, a header
   in JSON, then the numbers.  Read from memory that is mapped; a reader trusts nothing that it reads. */
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

typedef struct tensor_file {
  tensor_entry *entry; int n;
  char **key, **value; int nmeta;       /* "__metadata__": texts */
  void *map; size_t size;
  norn_state *st;
} tensor_file;

/* false: error set, which names the file and what is wrong with it. */
bool        tensor_file_open(norn_state *, const char *path, tensor_file *);
/* The same of bytes (borrowed), called `name` in errors. */
bool        tensor_file_view(norn_state *, const char *name, const void *bytes, size_t, tensor_file *);
void        tensor_file_close(tensor_file *);
const tensor_entry *tensor_file_find(const tensor_file *, const char *name);
const char *tensor_file_meta(const tensor_file *, const char *key);      /* NULL: none */
/* Numbers of a floating type as f32 into x (entry's count); false: another type. */
bool        tensor_to_f32(const tensor_entry *, float *x);
/* Writes beside it first, so that whatever goes wrong the last good file stays.  Aligned to 64 bytes, keys sorted. */
norn_status tensor_file_write(norn_state *, const char *path, const tensor_entry *, int n, const char *const *key,
                              const char *const *value, int nmeta);
#endif
