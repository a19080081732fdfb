/* device: see device.h. */
#include "infer/device.h"
#include "infer/gradient/approx.h"
#include "gpu/gpu.h"
#include "infer/gradient/density.h"
#include "infer/infer.h"
#include <stdio.h>
#include <string.h>

/* ---- options ---- */

static int option_named(norn_infer *inf, const char *name)
{
  const norn_engine *e = infer_engine(inf);
  for (int i = 0; i < e->noptions; i++)
    if (!strcmp(e->options[i].name, name)) return i;
  return -1;
}

static norn_status of_the_gpu(norn_infer *inf, const char *option)
{
  norn_state *st = norn_infer_state(inf);
  norn_fail(st, NORN_EDOMAIN, -1, "%s of %s is for the GPU, and device is \"cpu\"", option,
            engine_called(infer_engine(inf)));
  norn_hint(st, "device = \"gpu\", or \"auto\" to have it where it pays");
  return NORN_EDOMAIN;
}

norn_status device_read(norn_infer *inf, device_wish *w)
{
  static const char *const devices[] = {"cpu", "gpu", "auto"}, *const precisions[] = {"f64", "f32"};
  int precision = 0;
  norn_state *st = norn_infer_state(inf);
  *w = (device_wish){0};
  if (option_named(inf, "device") < 0) return NORN_OK;
  if (!option_choice(inf, option_named(inf, "device"), devices, 3, &w->device) ||
      !option_choice(inf, option_named(inf, "precision"), precisions, 2, &precision) ||
      !option_bool(inf, option_named(inf, "verify"), &w->verify))
    return norn_error(st)->code;
  w->f32 = precision == 1;
  if (w->device != DEVICE_CPU) return NORN_OK;
  return w->f32 ? of_the_gpu(inf, "precision = \"f32\"")
       : w->verify ? of_the_gpu(inf, "verify = true") : NORN_OK;
}

/* ---- the GPU ---- */

struct gpu *device_gpu(norn_state *st, char *why, size_t n)
{
  const char *reason = NULL;
  gpu *g = gpu_there(st, &reason);
  if (n) snprintf(why, n, "%s", g || !reason ? "" : reason);
  return g;
}

static norn_status refused(norn_infer *inf, const char *why, const char *hint)
{
  norn_state *st = norn_infer_state(inf);
  norn_fail(st, NORN_EINFER, -1, "device = \"gpu\" of %s can't be had: %s", engine_called(infer_engine(inf)), why);
  norn_hint(st, "%s", hint);
  return NORN_EINFER;
}

norn_status device_refused(norn_infer *inf, const char *why)
{
  return refused(inf, why, "device = \"auto\" takes the CPU where there is no other way");
}

static norn_status no_device(norn_infer *inf, const char *why)
{
  return refused(inf, why, "norn devices tells what this machine has; device = \"auto\" takes the CPU where there is "
                           "no other way");
}

norn_status device_open(norn_infer *inf, const device_wish *w, struct gpu **out, char *why, size_t n)
{
  *out = NULL;
  if (n) *why = 0;
  if (w->device == DEVICE_CPU) return NORN_OK;
  *out = device_gpu(norn_infer_state(inf), why, n);
  return *out || w->device == DEVICE_AUTO ? NORN_OK : no_device(inf, why);
}

/* An error there that only an order makes one of the inference. */
static norn_status failed_there(norn_infer *inf, const device_wish *w)
{
  char why[300];
  norn_state *st = norn_infer_state(inf);
  if (w->device == DEVICE_GPU) return norn_error(st)->code;
  snprintf(why, sizeof why, "%.290s", norn_error(st)->text);
  norn_clear(st);
  device_note(inf, "cpu", why);
  return NORN_OK;
}

norn_status device_density(norn_infer *inf, const device_wish *w, norn_density *d)
{
  char why[300] = "";
  gpu *g;
  if (w->device == DEVICE_CPU) return NORN_OK;
  norn_status status = device_open(inf, w, &g, why, sizeof why);
  if (status) return status;
  if (!g) return device_note(inf, "cpu", why), NORN_OK;
  bigdata *on = bigdata_new(g, (bigdata_wish){.f32 = w->f32, .order = w->device == DEVICE_GPU,
                                              .verify = w->verify});
  if (!on) return norn_error(norn_infer_state(inf))->code;
  int n = density_gpu(d, on, why, sizeof why);
  if (n < 0) return failed_there(inf, w);
  if (!n && w->device == DEVICE_GPU)
    return refused(inf, why, "norn explain tells which parts of a density a GPU takes; chees and hmc(shared = true) run "
                             "whole chains there");
  device_note(inf, n ? "gpu" : "cpu", n ? NULL : why);
  return NORN_OK;
}

norn_status device_compare(norn_infer *inf, bool f32, const double log_z[2], double sd,
                           const uint32_t seen[2])
{
  double there = log_z[0], cpu = log_z[1], far = fabs(there - cpu);
  double most = (f32 ? 6 : .01) * sd + (f32 ? 1e-4 : 1e-9) * (1 + fabs(cpu));
  norn_infer_note(inf, "cpu_log_evidence", norn_real(cpu));
  if (far <= most && seen[0] == seen[1]) return NORN_OK;
  norn_fail(norn_infer_state(inf), NORN_EINFER, -1,
            "the GPU differs from the CPU: log evidence %.10g and %.10g after %u and %u observations, where "
            "%.2g is allowed", there, cpu, (unsigned)seen[0], (unsigned)seen[1], most);
  return NORN_EINFER;
}

void device_note(norn_infer *inf, const char *device, const char *why)
{
  norn_state *st = norn_infer_state(inf);
  norn_infer_note(inf, "device", norn_cstring(st, device));
  norn_infer_note(inf, "device_why", why && *why ? norn_cstring(st, why) : norn_missing());
}
