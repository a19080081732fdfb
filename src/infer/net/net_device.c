/* net_device.c: a training whose net learns on a GPU (nn/gpu.h).  Runs are simulated and laid out here as ever; a batch
   goes there whole.  Weights come back when somebody looks: for what is good, for files, at the end. */
#include "infer/net/net_train.h"
#include "gpu/gpu.h"
#include "nn/gpu.h"

const char *training_device_lacks(const net_training *t)
{
  return t->n->spec.adapt ? "batch sizes that adapt need gradients of parts (adapt = true)" : NULL;
}

bool training_device(net_training *t, gpu *g, bool bf16)
{
  t->there = nn_gpu_new(g, t->n->model, bf16);
  return t->there != NULL;
}

bool training_there(net_training *t, const nn_tokens *tk, bool learn, double *sum)
{
  return !nn_gpu_loss(t->there, tk, t->scale, learn, sum, NULL);
}

bool training_home(net_training *t)
{
  if (!t->there || !t->moved) return true;
  if (nn_gpu_read(t->there)) return false;
  t->moved = false;
  return true;
}

bool training_away(net_training *t) { return !t->there || !nn_gpu_put(t->there); }
