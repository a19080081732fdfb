/* strings.h: what lib_array.c asks of lib_string.c for natives that take both. */
#ifndef NORN_LIB_STRINGS_H
#define NORN_LIB_STRINGS_H
#include "norn.h"

int64_t strings_length(norn_datum); /* code points */
norn_status strings_cut(norn_state *, norn_datum, int64_t from, int64_t to,
                        norn_datum *out); /* within bounds */
norn_status strings_repeat(norn_state *, norn_datum, int64_t times, norn_datum *out);
norn_status strings_reverse(norn_state *, norn_datum, norn_datum *out);
/* The code point index of the first args[1] in args[0]; -1. */
norn_status strings_find(norn_state *, const norn_datum *args, int64_t *at);
#endif
