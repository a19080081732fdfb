/* decoder_gpu_args: what kernels of the decoder are told (decoder_gpu_kernels.h), as the host and the device read it.
   Addresses are of the device; ld: floats from row to row. */
#ifndef NORN_LLM_DECODER_GPU_ARGS_H
#define NORN_LLM_DECODER_GPU_ARGS_H

enum { DEC_SPAN = 256, DEC_CHUNK = 64, DEC_WARPS = 4, DEC_DEEP_WARPS = 8, DEC_TILE_ROWS = 8 };

/* y (m, rows) = x (m, k) w' + bias, or added to y: one to three matrices of one format that read the same x.  Rows of
   x have zeros behind k up to a multiple of DEC_SPAN; there are as many as a multiple of DEC_TILE_ROWS.  row: bytes of
   a row of weights; whole: these are a multiple of 16; beside: tiles of the batch in a block. */
typedef struct dec_matrix { uint64_t w, bias, y; int64_t rows, ldy; } dec_matrix;
typedef struct dec_products {
  dec_matrix of[3];
  uint64_t x;
  int64_t k, row;
  int n, m, ldx, add, whole, beside;
} dec_products;

/* Rows from .. to - 1 see the first `seen` tokens of a page, which stand at positions first on (decoder_in.h). */
typedef struct dec_view { uint64_t page; int seen, first, from, to; } dec_view;

/* A place is the address of a page, with the slot in its last four bits.  place (n, longest): of each position of row
   i; `which`: rows of these that are still at work, 0: all.  where: floats of a page before the layer's; part (m,
   heads, chunks, 2 + d): greatest score, sum of exps and of values of DEC_CHUNK positions. */
typedef struct dec_looks {
  uint64_t place, length, which, q, part, y;
  int64_t longest, where, ldy;
  int m, heads, group, d, chunks;
  float scale;
} dec_looks;

/* q (m, heads d) gets its positions; keys and values (m, few d) go to the places of their tokens.  turn (m, turned):
   cosine and sine of each pair, whose second number stands `other` behind the first, pairs `step` apart. */
typedef struct dec_stores {
  uint64_t place, turn, q, k, v;
  int64_t where, stride;                         /* stride: floats of a head of keys */
  int m, heads, few, d, turned, step, other;
} dec_stores;
#endif
