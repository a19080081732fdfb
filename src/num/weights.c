/* weights: chooses the CPU level at which weights_level.c runs; copies are planned here. */
#include "num/weights.h"
#include <string.h>

static const weights_fns *const levels[LEVELS] = {
  &weights_base,
#ifdef HAVE_X86_LEVELS
  &weights_avx2, &weights_avx512,
#endif
};

const weights_fns *weights_at(int level) { return levels[level]; }

weights_sum weights_exp(const double *logw, double *w, size_t n)
{
  return levels[level_best()]->exp(logw, w, n);
}

double weights_below(const double *w, double sum, size_t n, const double *u, bool each,
                     uint32_t *below)
{
  return levels[level_best()]->below(w, sum, n, u, each, below);
}

/* Stores come first and are overwritten where they were not meant, two numbers at a time: no branch on
   how many there are. */
static inline void copies_of(uint32_t count, uint64_t two, uint32_t **to, uint32_t **from)
{
  uint32_t none = count < 1;
  **to = (uint32_t)two;
  *to += none;
  memcpy(*from, &two, 8);
  for (uint32_t k = 3; __builtin_expect(k < count, 0); k += 2) memcpy(*from + k - 1, &two, 8);
  *from += (int32_t)(count - 1 + none);
}

size_t weights_copies(const uint32_t *below, size_t n, uint32_t *to, uint32_t *from)
{
  const uint64_t next = 0x100000001u;
  uint32_t *first = from;
  uint64_t two = 0;
  uint32_t before = 0;
  size_t i = 0;
  for (; i + 4 <= n; i += 4, two += 4 * next) {
    copies_of(below[i] - before, two, &to, &from);
    copies_of(below[i + 1] - below[i], two + next, &to, &from);
    copies_of(below[i + 2] - below[i + 1], two + 2 * next, &to, &from);
    copies_of(below[i + 3] - below[i + 2], two + 3 * next, &to, &from);
    before = below[i + 3];
  }
  for (; i < n; i++, two += next) {
    copies_of(below[i] - before, two, &to, &from);
    before = below[i];
  }
  return (size_t)(from - first);
}
