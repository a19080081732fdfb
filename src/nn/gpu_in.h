/* gpu_in.h: what the files of gpu.h share. */
#ifndef NORN_NN_GPU_IN_H
#define NORN_NN_GPU_IN_H
#include "nn/gpu.h"
#include "nn/model_in.h"

/* The kernels of gpu_kernels.h and, from `attend` on, of gpu_attention.h, by name. */
#define NN_KERNELS(X) \
  X(embed) X(embed_part) X(embed_end) X(rows) X(rows_back) X(norm) X(norm_back) X(columns) X(columns_end) X(gelu) \
  X(gelu_back) X(swiglu) X(swiglu_back) X(split) X(merge) X(merge_back) X(split_back) X(softmax) X(softmax_back) \
  X(loss_soft) X(loss_bit) X(loss_mixture) X(squares) X(adam) X(numbers) X(attend) \
  X(attend_q) X(attend_kv) X(tiles)
enum {
#define X(name) K_##name,
  NN_KERNELS(X)
#undef X
  NN_KERNEL_COUNT
};

enum { NN_HEAD_MOST = 128, NN_TILE_AT = 64 };  /* of gpu_attention.h: numbers of a head, rows of a tile */
enum { NN_BAND = 32, NN_COLUMNS = 512 };       /* rows and columns of a block that sums: NN_ROWS, 8 NN_TILE there */

/* Questions of one head: their rows are padded to a multiple of 16, so that their arrays are aligned. */
typedef struct nn_group { int head; int64_t q, n, from, rows, z; } nn_group;

/* Where what a block keeps for going back lies. */
typedef struct nn_layer {
  gpu_ptr x, a, qkv, q, k, v, lse, o,      /* qkv, or q, k, v by heads */
          x1, c, u, g, stat1, stat2;
} nn_layer;

/* A batch on the device: n tokens in b sequences of t (tp: padded), nq rows of questions (padded). */
typedef struct nn_there {
  int64_t b, n, t, tp, nq, zn;
  int64_t chunk;                       /* sequences whose attention is computed at once */
  int64_t entries, pieces;             /* at most, of the embedding's derivative */
  gpu_ptr marks;                       /* of tiles of tokens */
  gpu_ptr row, coef, order, see, where, target, first, list;
  gpu_ptr start, token, part_coef, row_first;
  gpu_ptr xq, f, statf, hu, hg, z, dz, dg, df, dxq, loss;
  gpu_ptr qkv, step, oh, s, dp, p, ds;           /* step: what a block's last product gave (n, d) */
  gpu_ptr dx, dxn, dn, du, dyh, dot, dq, dk, dv, part;
  size_t bytes;
} nn_there;

struct nn_gpu {
  gpu *g;
  norn_state *st;
  const nn_model *m;
  bool bf16, whole, fused;             /* whole: attention by gpu_attention.h; fused: GELU ends a product */
  size_t real;                         /* bytes of a `num` */
  gpu_module *module;
  gpu_kernel *k[NN_KERNEL_COUNT];
  size_t *at, count;                   /* where tensors begin there, by multiples of 128 */
  gpu_ptr w, grad, mom, var, wn, shrinks, squares;
  gpu_ptr border; size_t *border_at;   /* of bars */
  gpu_ptr memory; size_t bytes;        /* of a batch */
  nn_there v;
  nn_layer *layer;
  nn_group *group; int ngroup, cgroup;
  char *host; size_t nhost;            /* scratch of the host */
  struct nn_watch *watch;              /* or NULL */
  norn_status bad;                     /* of the batch at work: after a failure nothing more is launched */
};

/* A launch, unless something failed before. */
void    nn_gpu_launch(nn_gpu *, int kernel, int64_t blocks, int threads, void *const *args);
/* n threads of a kernel, in blocks of 256. */
void    nn_gpu_go(nn_gpu *, int kernel, int64_t n, void *const *args);
/* What comes next is of that kind, for who watches. */
void    nn_gpu_now(nn_gpu *, nn_gpu_part);
/* Rows of a head's answers, padded. */
int     nn_gpu_width(const nn_gpu *, int head);
void   *nn_gpu_host(nn_gpu *, size_t bytes);                   /* NULL: error set */
gpu_ptr nn_gpu_weight(const nn_gpu *, int tensor);             /* as products read it */
gpu_ptr nn_gpu_float(const nn_gpu *, int tensor);              /* in floats: biases, gains, the table */
gpu_ptr nn_gpu_grad(const nn_gpu *, int tensor);
const char *nn_gpu_kernels(void);
/* gpu_room.c: memory for a batch, and the batch there. */
norn_status nn_gpu_lay(nn_gpu *, const nn_tokens *, bool learn);
/* What the derivative of the table needs, which can wait until the device is busy; *pieces of it. */
norn_status nn_gpu_lay_entries(nn_gpu *, const nn_tokens *, int64_t *pieces);
#endif
