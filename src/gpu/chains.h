/* chains: many chains of Hamiltonian dynamics on a GPU: graph/chains.h's table, whose kernels are whole
   transitions: momenta, all leapfrogs of a path, acceptance.  The log density is a program as text
   (graph/density_text.h); 1 to 32 neighbouring threads share a chain.

   Random numbers are the counters of graph/chains.h, as on the CPU.  Sums over chains go by chunks of
   chains in their order, so that they depend on the number of chains only. */
#ifndef NORN_GPU_CHAINS_H
#define NORN_GPU_CHAINS_H
#include "gpu/gpu.h"
#include "graph/chains.h"
#include "graph/density_text.h"

/* f32: positions, momenta and densities of single terms in floats; sums and energies in doubles.
   threads: to a chain, 1, 2, 4 .. 32; 0: chosen here.  flags: of the text (GPU_FMA). */
typedef struct gpu_chains_wish { bool f32; int threads; unsigned flags; } gpu_chains_wish;

/* Why a program can't be chains on a GPU: a noun ("constraint", "a branch on a parameter"), in why (n) or
   NULL.  Needs no device. */
const char *gpu_chains_lacks(const program *, char *why, size_t n);
/* How many threads share a chain best. */
int         gpu_chains_threads(const gpu_info *, const program *, int64_t chains, bool f32);
/* Chains on the device, which outlive the program.  The error (no room: how many would fit) is set. */
norn_status gpu_chains_new(gpu *, const program *, int64_t chains, uint64_t stream, const gpu_chains_wish *,
                           chains_run *out);

/* ---- chains_text.c ---- */
/* The whole text of kernels behind the dialect; step: numbers between the memories of chains; shared: that
   memory is shared memory. */
bool        gpu_chains_text(text *, const density_code *, uint32_t step, bool shared);
#endif
