/* fuzz_safetensors.c: any bytes are a file of tensors or an error; each tensor of one lies within the
   bytes, and what was read is written and read back the same. */
#include "nn/safetensors.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *s, size_t n);

static void written(norn_state *st, const tensor_file *f)
{
  char path[64];
  tensor_file again;
  snprintf(path, sizeof path, "/tmp/norn_fuzz_tensors_%ld", (long)getpid());
  if (tensor_file_write(st, path, f->entry, f->n, (const char *const *)f->key,
                        (const char *const *)f->value, f->nmeta))
    return;                                                      /* no room there */
  if (!tensor_file_open(st, path, &again) || again.n != f->n || again.nmeta != f->nmeta) abort();
  for (int k = 0; k < f->n; k++) {
    const tensor_entry *e = &f->entry[k], *r = tensor_file_find(&again, e->name);
    if (!r || r->size != e->size || (e->size && memcmp(r->data, e->data, e->size))) abort();
  }
  tensor_file_close(&again);
  unlink(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *s, size_t n)
{
  norn_config c = norn_config_default();
  c.max_memory = 256 << 20;
  norn_state *st = norn_new_bare(&c);
  tensor_file f;
  if (!st) return 0;
  uint8_t *copy = malloc(n ? n : 1);
  if (copy && n) memcpy(copy, s, n);
  if (copy && tensor_file_view(st, "fuzz", copy, n, &f)) {
    float *x = malloc(n * 4 + 4);
    for (int k = 0; x && k < f.n; k++) {
      const uint8_t *at = f.entry[k].data;
      if (at < copy || at + f.entry[k].size > copy + n) abort();
      tensor_to_f32(&f.entry[k], x);
    }
    free(x);
    written(st, &f);
    tensor_file_close(&f);
  } else if (copy && !norn_error(st)->code) {
    abort();
  }
  free(copy);
  norn_free(st);
  return 0;
}

#include "replay.h"
