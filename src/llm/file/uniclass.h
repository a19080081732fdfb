/* uniclass.h: what kind a character is, as far as tokenizers tell: Unicode's general categories, coarsely. */
#ifndef NORN_LLM_UNICLASS_H
#define NORN_LLM_UNICLASS_H
#include <stdint.h>

/* UPPER: Lu, Lt; LOWER: Ll; LETTER: Lm, Lo; then M, N, P, S; SPACE: White_Space, whatever its category; OTHER: C. */
typedef enum uniclass {
  UNI_OTHER, UNI_UPPER, UNI_LOWER, UNI_LETTER, UNI_MARK, UNI_NUMBER, UNI_PUNCT, UNI_SYMBOL, UNI_SPACE
} uniclass;
uniclass uniclass_of(uint32_t code);
#endif
