/* quant_in.h: what the files of formats share. */
#ifndef NORN_LLM_QUANT_IN_H
#define NORN_LLM_QUANT_IN_H
#include <stddef.h>

/* Cut to [low, high], then towards 0; NaN is low. */
static inline int quant_clamp(float x, int low, int high)
{
  return x > (float)low ? x < (float)high ? (int)x : high : low;
}

void quant_q4_K_f32(const void *, float *, size_t n);
void quant_q5_K_f32(const void *, float *, size_t n);
void quant_q6_K_f32(const void *, float *, size_t n);
void quant_q4_K_put(const float *, void *, size_t n);
void quant_q5_K_put(const float *, void *, size_t n);
void quant_q6_K_put(const float *, void *, size_t n);
#endif
