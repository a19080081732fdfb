/* level: the register widths for which LEVEL_SOURCES (Makefile.am) are compiled: two, four and
   eight doubles.  Each gives the same bits; a caller takes the widest that this CPU has. */
#ifndef NORN_LEVEL_H
#define NORN_LEVEL_H
#include <stdbool.h>

enum { LEVEL_BASE, LEVEL_AVX2, LEVEL_AVX512, LEVELS };
bool level_has(int level);       /* in this build and on this CPU */
int  level_best(void);
#endif
