/* net_file.h: nets as files, and what a training adds to one (net_file.c). */
#ifndef NORN_INFER_NET_FILE_H
#define NORN_INFER_NET_FILE_H
#include "infer/net/net.h"
#include "nn/safetensors.h"

/* The metadata of a file has "format" and "net"; the tensors of a net have names without "adam." and
   "training.". */
typedef struct net_more {
  bool moments;                              /* of the optimiser, too */
  const tensor_entry *entry; int n;          /* further tensors */
  const char *const *key, *const *value; int nmeta;
} net_more;
/* more: NULL: none.  The same net and more give the same bytes. */
norn_status net_file_write(norn_state *, const net *, const net_more *, const char *path);
/* moments: they must be there, and the net is for training.  keep: left open for what else is in the file,
   to be closed by the caller; NULL: closed.  NULL: error set, and keep is closed. */
net *net_file_read(norn_state *, const char *path, bool moments, tensor_file *keep);
/* The same without a file: bytes of norn_alloc, and a net of such bytes (borrowed), called `name` in errors. */
norn_status net_bytes_write(norn_state *, const net *, void **bytes, size_t *size);
net *net_bytes_read(norn_state *, const char *name, const void *bytes, size_t size);
#endif
