/* device_explain: what of a density would run on a GPU (device.h), by prediction: no device is opened.  Of
   densities whose rows are few nothing is said. */
#include "infer/device.h"
#include "gpu/gpu.h"
#include "infer/gradient/density.h"
#include <stdio.h>

enum { MANY = 1000 };                  /* elements */
typedef struct telling { norn_density *d; text *t; uint32_t most; } telling;

static void most_elements(void *user, const bigdata_part *part)
{
  telling *w = user;
  if (part->n > w->most) w->most = part->n;
}

static const char *bytes_text(double bytes, char *b, size_t n)
{
  static const char *const units[] = {"bytes", "kB", "MB", "GB"};
  int k = 0;
  for (; bytes >= 1000 && k < 3; k++) bytes /= 1000;
  snprintf(b, n, "%.3g %s", bytes, units[k]);
  return b;
}

static void tell_block(void *user, const bigdata_part *part)
{
  char bytes[40];
  telling *w = user;
  uint32_t line = 0;
  size_t n;
  const graph *g = w->d->tape[0].g;
  norn_span span = part->term < g->nterm ? g->term[part->term].span : (norn_span){0, 0, 0};
  const char *s = norn_span_line(w->d->st, span, &n, &line);
  bool takes = !part->lacks && part->gpu_us < part->cpu_us;
  text_printf(w->t, "  ");
  if (s) text_printf(w->t, "line %u, ", line);
  text_printf(w->t, "%u elements, %s a gradient: ", part->n, bytes_text(part->bytes, bytes, sizeof bytes));
  if (part->lacks) text_printf(w->t, "not there: no code for %s\n", part->lacks);
  else text_printf(w->t, "%s: %.3g us there, %.3g us here\n", takes ? "there" : "not there", part->gpu_us,
                   part->cpu_us);
}

bool device_explain(norn_density *d, text *t)
{
  gpu_software software;
  gpu_info info;
  telling w = {.d = d, .t = t};
  if (!d->ntape || !bigdata_parts(d->tape[0].p, NULL, false, most_elements, &w) || w.most < MANY) return true;
  bool there = gpu_list(d->st, &software, &info, 1) > 0 && info.usable;
  text_printf(t, "on a GPU (%s), predicted:\n",
              there ? info.name : "none here can be used; one of 3000 GB/s");
  if (!bigdata_parts(d->tape[0].p, there ? &info : NULL, false, tell_block, &w)) return false;
  text_puts(t, "  all else on the CPU: a GPU takes blocks of terms and what serves only them\n");
  return true;
}
