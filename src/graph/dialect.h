/* dialect: the text with which generated code begins: the headers in which formulas are written
   (num/lane.h says how), put together by the build, as C for the host's compiler and as C++ for
   NVRTC.  It includes nothing but, on the host, four headers of C.

   Before it, generated code may define LANES (1).  Floats: a text of its own, in which literals are
   floats, and NORN_F32 is defined. */
#ifndef NORN_GRAPH_DIALECT_H
#define NORN_GRAPH_DIALECT_H
#include <stdbool.h>
#include <stddef.h>

/* The text, which ends in an end of line and a 0, and its length without the 0. */
const char *dialect_text(bool f32);
size_t      dialect_size(bool f32);
#endif
