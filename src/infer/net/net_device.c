/* net_device.c: a training whose net learns on a GPU (nn/gpu.h).  Runs are simulated and laid out here as ever; a batch
   goes there whole.  Weights come back when somebody looks: for what is good, for files, at the end. */
#include "infer/net/net_train.h"
#include "gpu/gpu.h"
#include "nn/gpu.h"

/* Nets with fewer weights learn as fast here. */
#define SMALL 200000

static norn_status refused(norn_state *st, const char *why)
{
  norn_fail(st, NORN_EINFER, -1, "device = \"gpu\" of train can't be had: %s", why);
  norn_hint(st, "norn devices tells what this machine has; device = \"auto\" takes the CPU where there is no other way");
  return NORN_EINFER;
}

norn_status training_place(net_training *t, device_kind device, bool bf16)
{
  char why[300] = "batch sizes that adapt need gradients of parts (adapt = true)";
  norn_state *st = t->st;
  struct gpu *g = NULL;
  if (device == DEVICE_CPU || (device == DEVICE_AUTO && t->n->params.count < SMALL)) return NORN_OK;
  if (!t->n->spec.adapt) g = device_gpu(st, why, sizeof why);
  if (!g) return device == DEVICE_GPU ? refused(st, why) : NORN_OK;
  if (training_device(t, g, bf16)) return NORN_OK;
  if (device == DEVICE_GPU) return norn_error(st)->code;
  norn_clear(st);
  return NORN_OK;
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
