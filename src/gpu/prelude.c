/* prelude.c: what stands before every text: the words that NVRTC's C++ and the host's C share. */
#include "gpu/gpu_in.h"

/* NVRTC has no C headers: these are here by name, and empty. */
const char *const gpu_headers[] = {
  "stdbool.h", "stddef.h", "stdint.h", "string.h", "math.h", "float.h", "limits.h",
};
const int gpu_nheaders = NORN_COUNT(gpu_headers);

static const char prelude[] =
  "#ifndef NORN_PRELUDE\n"
  "#define NORN_PRELUDE\n"
  "#ifdef __CUDACC_RTC__\n"
  "typedef signed char int8_t;\n"
  "typedef unsigned char uint8_t;\n"
  "typedef short int16_t;\n"
  "typedef unsigned short uint16_t;\n"
  "typedef int int32_t;\n"
  "typedef unsigned int uint32_t;\n"
  "typedef long long int64_t;\n"
  "typedef unsigned long long uint64_t;\n"
  "typedef long long intptr_t;\n"
  "typedef unsigned long long uintptr_t;\n"
  "#define INT32_MIN (-2147483647 - 1)\n"
  "#define INT32_MAX 2147483647\n"
  "#define UINT32_MAX 4294967295u\n"
  "#define INT64_MIN (-9223372036854775807ll - 1)\n"
  "#define INT64_MAX 9223372036854775807ll\n"
  "#define UINT64_MAX 18446744073709551615ull\n"
  "#define INT64_C(x) x##ll\n"
  "#define UINT64_C(x) x##ull\n"
  "#define INFINITY __int_as_float(0x7f800000)\n"
  "#define NAN __int_as_float(0x7fffffff)\n"
  "#define HUGE_VAL ((double)INFINITY)\n"
  "#define DBL_MAX 1.7976931348623157e308\n"
  "#define DBL_MIN 2.2250738585072014e-308\n"
  "#define DBL_EPSILON 2.220446049250313e-16\n"
  "#define FLT_MAX 3.40282346638528859812e+38f\n"
  "#define FLT_MIN 1.17549435082228750797e-38f\n"
  "#define FLT_EPSILON 1.1920928955078125e-07f\n"
  "#define restrict __restrict__\n"
  "#define _Static_assert static_assert\n"
  "#define KERNEL extern \"C\" __global__ void\n"
  "#define DEVICE static __device__ __forceinline__\n"
  "#define SHARED __shared__\n"
  "#define SHARED_ROOM(type, name) extern __shared__ type name[]\n"
  "#else\n"
  "#include <float.h>\n"
  "#include <limits.h>\n"
  "#include <math.h>\n"
  "#include <stdbool.h>\n"
  "#include <stddef.h>\n"
  "#include <stdint.h>\n"
  "#include <string.h>\n"
  "#ifndef KERNEL\n"
  "#define KERNEL void\n"
  "#define DEVICE static inline\n"
  "#define SHARED static\n"
  "#endif\n"
  "#endif\n"
  "#endif\n";

const char *gpu_prelude(void) { return prelude; }
