/* block: many elements of a scalar family at once (norn_block in norn.h).  NAME_block goes to the
   widest registers that the CPU has; the bits are those of the scalar formula at every level. */
#ifndef NORN_BLOCK_H
#define NORN_BLOCK_H
#include "norn.h"
#include "num/level.h"
#include "dist/families.h"

typedef void (*block_fn)(const norn_block *);
#define FAMILY(name, np) BLOCK_##name,
enum { FAMILIES(FAMILY) BLOCK_FAMILIES };
#undef FAMILY
#define FAMILY(name, np) void name##_block(const norn_block *);
FAMILIES(FAMILY)
#undef FAMILY

/* The levels: two, four or eight numbers to a register. */
extern const block_fn block_base[], block_avx2[], block_avx512[];
/* Is this one of NAME_block: elements do not see one another, and an element may be any number. */
bool block_is_family(block_fn);
/* NAME_block at a level: for tests and the benchmark. */
void block_at(int level, int family, const norn_block *);
#endif
