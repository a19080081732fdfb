/* json.h: JSON as values of Norn, both ways. */
#ifndef NORN_IO_JSON_H
#define NORN_IO_JSON_H
#include "base/base.h"

enum {
  JSON_IO_NAN = 1, /* reading: null beside numbers is nan, so that the array packs */
  JSON_IO_EXACT =
      2 /* reals that JSON lacks as {"$real": "nan"}, a unit as {"$unit": true}, a big as
           {"$big": [bits, text]}; both ways */
};
/* Integers stay integers, 1.0 is a real, null is missing; an integer beyond 64 bits is a real.
   name: of the file, for errors ("name:line:column: ..."), or NULL for text in a program. */
norn_status json_read(norn_state *, const char *name, const char *s, size_t n, unsigned flags,
                      norn_datum *out);
/* Appends v; indent 0: on one line. */
norn_status json_write(norn_state *, norn_datum v, int indent, unsigned flags, text *out);
#endif
