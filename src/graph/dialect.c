/* dialect: see dialect.h.  The bytes are made by the build from the headers (local.mk). */
#include "graph/dialect.h"

static const char f64[] = {
#include "graph/dialect_f64.inc"
  0
};
static const char f32[] = {
#include "graph/dialect_f32.inc"
  0
};

const char *dialect_text(bool floats) { return floats ? f32 : f64; }
size_t dialect_size(bool floats) { return floats ? sizeof f32 - 1 : sizeof f64 - 1; }
