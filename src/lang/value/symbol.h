/* symbol.h: what record.c needs of symbol.c. */
#ifndef NORN_LANG_SYMBOL_H
#define NORN_LANG_SYMBOL_H
#include "lang/state.h"

void symbol_free(norn_state *);
#endif
