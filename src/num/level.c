/* level: which register widths this CPU has. */
#include "num/level.h"

#ifdef HAVE_X86_LEVELS
bool level_has(int level)
{
  if (level == LEVEL_AVX512)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl");
  return level == LEVEL_BASE || (level == LEVEL_AVX2 && __builtin_cpu_supports("avx2") &&
                                 __builtin_cpu_supports("fma"));
}
#else
bool level_has(int level) { return level == LEVEL_BASE; }
#endif

int level_best(void)
{
  return level_has(LEVEL_AVX512) ? LEVEL_AVX512 : level_has(LEVEL_AVX2) ? LEVEL_AVX2 : LEVEL_BASE;
}
