/* tiny.h: the model that is built in, "builtin:tiny": a GGUF file of a transformer of bytes, which
   tiny/make.sh makes. */
#ifndef NORN_LLM_TINY_H
#define NORN_LLM_TINY_H
#include <stddef.h>

extern const unsigned char lm_tiny_bytes[];      /* aligned to 64 */
extern const size_t lm_tiny_size;
#endif
