/* net_api: include/norn_net.h: training and nets for C programs. */
#include "norn_net.h"
#include "infer/net/net_train.h"
#include <string.h>

struct norn_training { norn_state *st; net_training *t; };

/* Takes t; NULL stays NULL. */
static norn_training *wrap(norn_state *st, net_training *t)
{
  norn_training *w = t ? engine_get(st, sizeof *w) : NULL;
  if (!w) {
    net_training_free(t);
    return NULL;
  }
  *w = (norn_training){ st, t };
  return w;
}

norn_training *norn_training_new(norn_state *st, norn_datum model, norn_datum spec, double seconds, int64_t steps,
                                 uint64_t seed)
{
  net_spec s;
  if (!net_spec_read(st, spec, &s)) return NULL;
  if (!(seconds >= 0) || steps < 0 || (seconds > 0 && steps > 0)) {
    norn_fail(st, NORN_EUSE, -1, "training wants seconds, or steps, at least 0 and not both, got %g and %lld", seconds,
              (long long)steps);
    return NULL;
  }
  if (steps) s.steps = steps;
  return wrap(st, net_training_new(st, model, &s, seconds, seed));
}

norn_status norn_training_device(norn_training *w, const char *device, bool bf16)
{
  static const char *const devices[] = { "cpu", "gpu", "auto" };
  for (int k = 0; k < 3; k++)
    if (!strcmp(device, devices[k])) return training_place(w->t, (device_kind)k, bf16);
  return norn_fail(w->st, NORN_EDOMAIN, -1, "device must be \"cpu\", \"gpu\" or \"auto\", got \"%.40s\"", device);
}

norn_step norn_training_step(norn_training *w)
{
  norn_step s = net_training_step(w->t);
  return s == NORN_STEP_MORE && norn_poll(w->st) ? NORN_STEP_FAIL : s;
}

void norn_training_look(const norn_training *w, norn_trained *out)
{
  net_progress p;
  net_training_progress(w->t, &p);
  *out = (norn_trained){ .step = p.step, .fraction = p.fraction, .loss = p.loss, .held_out = p.held_out, .marginal = p.marginal,
                         .efficiency = p.efficiency, .kl = p.kl,
                         .rate = p.rate, .runs_per_second = p.runs_per_second,
                         .batch = p.batch, .skipped = p.skipped };
}

void norn_training_progress(const norn_training *w, norn_progress *out)
{
  net_progress p;
  *out = (norn_progress){ 0 };
  net_training_progress(w->t, &p);
  net_progress_text(&p, out);
}

norn_datum norn_training_net(norn_training *w)
{
  net *n = net_training_result(w->t);
  if (!n) return norn_none();
  norn_datum v = net_datum(w->st, n);
  if (norn_is_none(v)) net_free(n);
  return v;
}

norn_status norn_training_save(norn_training *w, const char *path)
{
  return net_training_save(w->t, path);
}

norn_training *norn_training_load(norn_state *st, norn_datum model, const char *path)
{
  return wrap(st, net_training_load(st, model, path));
}

norn_status norn_training_agrees(const norn_training *w, const char *path, norn_datum spec, double seconds, int64_t steps,
                                 const uint64_t *seed)
{
  return net_training_agrees(w->t, path, spec, false, seconds, steps, seed);
}

void norn_training_free(norn_training *w)
{
  if (!w) return;
  norn_state *st = w->st;
  net_training_free(w->t);
  engine_put(st, w, sizeof *w);
}

/* ---- nets ---- */

static const net *want(norn_state *st, norn_datum v)
{
  const net *n = net_view(v);
  char what[120];
  if (!n) norn_fail(st, NORN_ETYPE, 0, "a net is wanted, got %s", norn_describe(st, v, what, sizeof what));
  return n;
}

norn_status norn_net_save(norn_state *st, norn_datum v, const char *path)
{
  const net *n = want(st, v);
  return n ? net_save(st, n, path) : norn_error(st)->code;
}

norn_datum norn_net_load(norn_state *st, const char *path)
{
  net *n = net_load(st, path);
  if (!n) return norn_none();
  norn_datum v = net_datum(st, n);
  if (norn_is_none(v)) net_free(n);
  return v;
}

norn_datum norn_net_info(norn_state *st, norn_datum v)
{
  const net *n = want(st, v);
  return n ? net_info(st, n) : norn_none();
}
