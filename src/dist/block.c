/* block: chooses the CPU level at which block_level.c runs. */
#include "dist/block.h"

static const block_fn *const levels[LEVELS] = {
  block_base,
#ifdef HAVE_X86_LEVELS
  block_avx2, block_avx512,
#endif
};

void block_at(int level, int family, const norn_block *b) { levels[level][family](b); }

bool block_is_family(block_fn f)
{
#define FAMILY(name, np) if (f == name##_block) return true;
  FAMILIES(FAMILY)
#undef FAMILY
  return false;
}

#define FAMILY(name, np) \
  void name##_block(const norn_block *b) { levels[level_best()][BLOCK_##name](b); }
FAMILIES(FAMILY)
