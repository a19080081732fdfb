/* block: chooses the CPU level at which block_level.c runs. */
#include "dist/block.h"

static const block_fn *const levels[BLOCK_LEVELS] = {
  block_base,
#ifdef HAVE_X86_LEVELS
  block_avx2, block_avx512,
#endif
};

bool block_has(int level)
{
#ifdef HAVE_X86_LEVELS
  if (level == BLOCK_AVX512)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl");
  if (level == BLOCK_AVX2) return __builtin_cpu_supports("avx2");
#endif
  return level == BLOCK_BASE;
}

int block_level(void)
{
  return block_has(BLOCK_AVX512) ? BLOCK_AVX512 : block_has(BLOCK_AVX2) ? BLOCK_AVX2 : BLOCK_BASE;
}

void block_at(int level, int family, const norn_block *b) { levels[level][family](b); }

#define FAMILY(name, np) \
  void name##_block(const norn_block *b) { levels[block_level()][BLOCK_##name](b); }
FAMILIES(FAMILY)
