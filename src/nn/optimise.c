/* optimise.c: the steps of optimise.h. */
#include "nn/optimise.h"
#include "nn/ops.h"
#include <math.h>

const nn_adam nn_adam_usual = {
  .rate = 1e-3, .beta1 = .9, .beta2 = .999, .eps = 1e-8, .decay = 0, .clip = 1, .warm = 100
};

/* Loshchilov, Hutter 2017, "SGDR": half a cosine, after a rise in a straight line. */
double nn_adam_rate(const nn_adam *a, double progress)
{
  double rise = a->step < a->warm ? (double)(a->step + 1) / (double)a->warm : 1, share = 0;
  if (progress >= 0) share = progress < 1 ? progress : 1;
  else if (a->steps > a->warm && a->step > a->warm) {
    share = (double)(a->step - a->warm) / (double)(a->steps - a->warm);
    if (share > 1) share = 1;
  }
  return a->rate * rise * .5 * (1 + cos(M_PI * share));
}

/* In f64, in four sums, so that it is neither slow nor dependent on anything. */
static double squares(const float *g, size_t n)
{
  double s[4] = { 0 };
  for (size_t i = 0; i + 4 <= n; i += 4)
    for (int j = 0; j < 4; j++) s[j] += (double)g[i + (size_t)j] * (double)g[i + (size_t)j];
  return (s[0] + s[2]) + (s[1] + s[3]);          /* n is a multiple of 16 */
}

double nn_adam_step(nn_adam *a, nn_params *p, const float *g, double progress)
{
  double norm = sqrt(squares(g, p->count)), rate = nn_adam_rate(a, progress);
  int64_t step = ++a->step;
  if (!isfinite(norm)) return norm;
  double c1 = 1 - pow(a->beta1, (double)step), c2 = 1 - pow(a->beta2, (double)step);
  nn_adam_numbers k = { .beta1 = (float)a->beta1, .fresh1 = (float)(1 - a->beta1), .beta2 = (float)a->beta2,
                        .fresh2 = (float)(1 - a->beta2), .eps = (float)a->eps,
                        .scale = a->clip > 0 && norm > a->clip ? (float)(a->clip / norm) : 1,
                        .rate = (float)(rate / c1), .root = (float)(1 / sqrt(c2)) };
  for (int i = 0; i < p->n; i++) {
    const nn_tensor *t = p->tensor + i;
    k.shrink = t->decay ? (float)(rate * a->decay) : 0;
    nn_adam_numbers_step(&k, (int64_t)t->n, g + t->at, p->m + t->at, p->v + t->at, p->w + t->at);
  }
  return norm;
}

/* The mean of a part of b / parts sequences differs from that of all; scaled up by `parts`, gradients of
   parts are such means, whose variance is that of one sequence's gradient over b / parts. */
int64_t nn_batch_size(const nn_params *p, const float *const *part, int parts, int64_t b, double theta,
                      int64_t most)
{
  double square = 0, spread = 0;
  if (parts < 2) return b < most ? b : most;
  for (size_t i = 0; i < p->count; i++) {
    double sum = 0, rest = 0;
    for (int k = 0; k < parts; k++) sum += (double)part[k][i];
    for (int k = 0; k < parts; k++) {
      double e = parts * (double)part[k][i] - sum;
      rest += e * e;
    }
    square += sum * sum;
    spread += rest;
  }
  double variance = spread / (parts - 1) * (double)b / parts, wants = variance / (theta * theta * square);
  if (!(wants > (double)b)) wants = (double)b;
  return wants < (double)most ? (int64_t)ceil(wants) : most;
}
