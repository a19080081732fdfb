/* params.c: the tensors of params.h. */
#include "nn/params.h"
#include <stdio.h>
#include <string.h>

enum { ALIGN = 16 };                   /* numbers: a cache line */

void nn_params_init(nn_params *p, norn_state *st) { *p = (nn_params){ .st = st }; }

void nn_params_free(nn_params *p)
{
  size_t bytes = p->count * sizeof(float);
  norn_alloc(p->st, p->tensor, (size_t)p->cap * sizeof *p->tensor, 0);
  if (p->w) norn_alloc(p->st, p->w, bytes, 0);
  if (p->m) norn_alloc(p->st, p->m, bytes, 0);
  if (p->v) norn_alloc(p->st, p->v, bytes, 0);
  *p = (nn_params){ .st = p->st };
}

static int no_memory(nn_params *p, size_t bytes)
{
  norn_fail(p->st, NORN_EMEMORY, -1, "no memory for the %zu bytes of a net", bytes);
  norn_hint(p->st, "a smaller net (size, d, layers), or more memory (--memory)");
  return -1;
}

int nn_params_add(nn_params *p, const char *name, int rank, const int64_t *dims, bool decay)
{
  if (p->n == p->cap) {
    int cap = p->cap ? 2 * p->cap : 64;
    nn_tensor *t = norn_alloc(p->st, p->tensor, (size_t)p->cap * sizeof *t, (size_t)cap * sizeof *t);
    if (!t) return no_memory(p, (size_t)cap * sizeof *t);
    p->tensor = t;
    p->cap = cap;
  }
  nn_tensor *t = p->tensor + p->n;
  *t = (nn_tensor){ .rank = rank, .at = p->count, .n = 1, .decay = decay };
  snprintf(t->name, sizeof t->name, "%s", name);
  for (int i = 0; i < rank; i++) {
    t->dims[i] = dims[i];
    t->n *= (size_t)dims[i];
  }
  p->count += (t->n + ALIGN - 1) / ALIGN * ALIGN;
  return p->n++;
}

static float *zeros(nn_params *p)
{
  float *x = norn_alloc(p->st, NULL, 0, p->count * sizeof *x);
  if (x) memset(x, 0, p->count * sizeof *x);
  return x;
}

bool nn_params_make(nn_params *p, bool learn)
{
  p->w = zeros(p);
  if (learn) {
    p->m = zeros(p);
    p->v = zeros(p);
  }
  if (p->w && (!learn || (p->m && p->v))) return true;
  no_memory(p, (learn ? 3 : 1) * p->count * sizeof *p->w);
  return false;
}

const nn_tensor *nn_params_find(const nn_params *p, const char *name)
{
  for (int i = 0; i < p->n; i++)
    if (strcmp(p->tensor[i].name, name) == 0) return p->tensor + i;
  return NULL;
}

void nn_params_normal(nn_params *p, int tensor, double sd, norn_rng *g)
{
  const nn_tensor *t = p->tensor + tensor;
  for (size_t i = 0; i < t->n; i++) p->w[t->at + i] = (float)(sd * norn_rng_normal(g));
}

void nn_params_fill(nn_params *p, int tensor, double x)
{
  const nn_tensor *t = p->tensor + tensor;
  for (size_t i = 0; i < t->n; i++) p->w[t->at + i] = (float)x;
}
