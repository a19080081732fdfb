/* gpu: an NVIDIA GPU through its driver, which is opened at run time and never linked.

   libcuda (the driver) and libnvrtc (the compiler of generated text) are looked for when the first of a
   state's work wants them; `gpu_open` gives the state's device or says why there is none.  A text becomes
   machine code for the device present (gpu_module_new; kept on disk by its content), a kernel of it is
   launched with arguments as cuLaunchKernel takes them.  All work of a state goes through one stream, in
   order; what copies to the host waits for it.

   Whatever fails leaves a norn error and changes nothing else: after a lost device every call fails with
   what it died of, and the state goes on with the CPU.  One thread at a time uses a gpu. */
#ifndef NORN_GPU_H
#define NORN_GPU_H
#include "base/base.h"

typedef struct gpu gpu;
typedef uint64_t gpu_ptr;            /* an address of the device; 0: none */

/* ---- devices ---------------------------------------------------------------------------------- */

typedef struct gpu_info {
  char name[128];
  size_t memory;                     /* bytes */
  int major, minor;                  /* compute capability: 9, 0 */
  int sms, clock_khz;
  int threads_sm, threads_block;     /* at most: on a multiprocessor, in a block */
  int registers_sm;
  size_t shared_sm, shared_block, shared_most;   /* bytes: of a multiprocessor, of a block, if asked for */
  size_t l2;                         /* bytes */
  int memory_khz, memory_bits;       /* of which follows the bandwidth: 2 khz bits / 8; 0: not told */
  bool usable;
  char why[200];                     /* if it is not: a sentence */
} gpu_info;

typedef struct gpu_software {
  int driver;                        /* the CUDA version that the driver has, 13000 for 13.0; 0: no driver */
  int nvrtc;                         /* NVRTC's, likewise; 0: not here */
  char why_driver[240], why_nvrtc[240];    /* a sentence where it is 0 */
} gpu_software;

/* Looks at what is there, without making a context: how many devices there are.  Infos of the first
   `most` are written.  Never fails: what is wrong stands in `software`. */
int gpu_list(norn_state *, gpu_software *, gpu_info *, int most);

/* "CUDA 13.0" (of the driver), "NVRTC 13.0", "cuBLASLt 13.0"; NULL: it is not here. */
const char *gpu_version_cuda(void);
const char *gpu_version_nvrtc(void);
const char *gpu_version_blas(void);

/* The device of the state, opened at the first call (the environment's NORN_GPU is its number, else 0)
   and closed with the state.  NULL: error set, whose text begins "no GPU: " and says why (configured away,
   no driver, too old, no device, no NVRTC, a device that was lost). */
gpu *gpu_open(norn_state *);
/* The same, quietly: NULL and no error; *why, if wanted, is the sentence (it lives as long as the state). */
gpu *gpu_there(norn_state *, const char **why);
const gpu_info *gpu_info_of(const gpu *);
norn_state *gpu_state(const gpu *);
/* Bytes that are free now; 0 when it can't be known. */
size_t gpu_free_memory(gpu *);
bool gpu_lost(const gpu *);
/* Who has memory there and may live longer than the gpu (what handles hold is freed after it): `gone` is called
   before the device is closed, for all guests that have not left. */
typedef struct gpu_guest { void (*gone)(struct gpu_guest *); struct gpu_guest *next; } gpu_guest;
void gpu_guest_come(gpu *, gpu_guest *);
void gpu_guest_leave(gpu *, gpu_guest *);

/* ---- memory ----------------------------------------------------------------------------------- */

/* n bytes, aligned to 256; 0: error set (NORN_EMEMORY). `what` names them in the error. */
gpu_ptr     gpu_alloc(gpu *, size_t n, const char *what);
void        gpu_release(gpu *, gpu_ptr);             /* 0 is nothing */
norn_status gpu_upload(gpu *, gpu_ptr to, const void *from, size_t n);     /* `from` may be changed after */
norn_status gpu_download(gpu *, void *to, gpu_ptr from, size_t n);         /* waits */
norn_status gpu_copy(gpu *, gpu_ptr to, gpu_ptr from, size_t n);           /* on the device */
norn_status gpu_fill(gpu *, gpu_ptr, int byte, size_t n);
/* Waits until all work is done; here failures of kernels come to light. */
norn_status gpu_wait(gpu *);

/* Parts of the host's memory that go there together and stay while somebody holds them: what has the same bytes is
   there once in a state.  Each part's `at` becomes the bytes before it, a multiple of 256.  The address of the first;
   0: error set. */
typedef struct gpu_part { const void *from; size_t bytes, at; } gpu_part;
gpu_ptr     gpu_keep(gpu *, gpu_part *, int n, const char *what);
void        gpu_let_go(gpu *, gpu_ptr);              /* a hold less; 0 is nothing */

/* An arena: one piece of device memory whose size is known up front.  It has room for fixed + n each
   bytes (a kilobyte a gpu_arena_get on top is the arena's affair).  If the device has no room the error is
   "10000000 particles need 1.2 GiB on the GPU, which has 800 MiB free; 6500000 would fit"; `what` is
   "particles". */
typedef struct gpu_arena { gpu *g; gpu_ptr base; size_t size, used; } gpu_arena;
norn_status gpu_arena_new(gpu *, gpu_arena *, size_t fixed, size_t each, int64_t n, const char *what);
/* The next n bytes, aligned to 256; 0: it has none left (an error of the caller's sizes, NORN_EUSE). */
gpu_ptr     gpu_arena_get(gpu_arena *, size_t n);
void        gpu_arena_free(gpu_arena *);             /* zeroed ones too */

/* ---- code ------------------------------------------------------------------------------------- */

/* A text in the common subset of C11 and CUDA C++ (no templates, no overloads, casts spelled out, no
   C++ or C headers but those that gpu_prelude has).  Before it stand gpu_prelude, then the prologue.
   A comment of its own line or end of line, at FILE:LINE:COL between slash-star and star-slash, says
   from which place of the program the lines from there on are: errors repeat it.
   Errors count lines in `text` alone. */
typedef struct gpu_text {
  const char *name;                  /* a word: of files and in messages */
  const char *prologue;              /* or NULL: the dialect, for instance */
  const char *text;
  unsigned flags;
} gpu_text;
enum {
  GPU_FMA = 1,                       /* contraction of a * b + c is allowed (else only fma() is one) */
  GPU_FAST = 2,                      /* f32: approximate division and root, denormals are 0 */
  GPU_HOT = 4                        /* says nothing to the compiler: the proof wants no spills in its kernels */
};

/* What a kernel takes of the device.  local: bytes of a thread beyond registers (arrays and spills);
   spills: bytes stored and loaded, -1: not known. */
typedef struct gpu_use {
  char name[100];
  int registers, local, shared, spill_stores, spill_loads;
} gpu_use;
typedef struct gpu_code {
  char *bytes; size_t n, room;
  size_t ptx;                        /* bytes of the PTX that NVRTC made on the way, the same for sm_90 as for compute_90 */
  gpu_use *use; int nuse; size_t cuse;
} gpu_code;

/* Needs no device, only NVRTC.  arch: "sm_90" for machine code, "compute_90" for PTX (then without
   uses).  What is written is freed by gpu_code_free. */
norn_status gpu_compile(norn_state *, const gpu_text *, const char *arch, gpu_code *);
void        gpu_code_free(norn_state *, gpu_code *);
/* What stands before every text: KERNEL (of a function that the host launches), DEVICE (of one that
   kernels call), SHARED (before an array of a block), fixed-width integers, NULL, true and false.  On the host
   (not __CUDACC_RTC__) it is what makes the same text C. */
const char *gpu_prelude(void);

typedef struct gpu_module gpu_module;
typedef struct gpu_kernel gpu_kernel;
/* Compiles for the state's device, or finds it in the cache, and loads.  NULL: error set. */
gpu_module *gpu_module_new(gpu *, const gpu_text *);
void        gpu_module_free(gpu_module *);           /* NULL is nothing; also after the device was lost */
/* A kernel by its name; it lives as long as the module.  NULL: error set. */
gpu_kernel *gpu_kernel_of(gpu_module *, const char *name);
/* As loaded: from the driver. */
const gpu_use *gpu_kernel_use(const gpu_kernel *);

/* ---- launches --------------------------------------------------------------------------------- */

#define GPU_ARGS(...) ((void *[]){ __VA_ARGS__ })
/* blocks of `threads` threads, each with `shared` bytes beside what the kernel declares.  args: addresses of
   the arguments, in order. */
norn_status gpu_launch(gpu *, const gpu_kernel *, int64_t blocks, int threads, size_t shared,
                       void *const *args);
/* At least n threads, in blocks of the size that fills the device best. */
norn_status gpu_launch_n(gpu *, const gpu_kernel *, int64_t n, size_t shared, void *const *args);
/* How many blocks of that size can be on the device at once, for kernels that walk in strides. */
int64_t     gpu_resident(gpu *, const gpu_kernel *, int threads, size_t shared);
/* Threads of a block for which most are resident; at most `most` (0: no bound). */
int         gpu_threads(gpu *, const gpu_kernel *, size_t shared, int most);
/* Shared memory beyond the 48 KiB that need no asking: before launches with more. */
norn_status gpu_kernel_shared(gpu *, gpu_kernel *, size_t bytes);

/* ---- time ------------------------------------------------------------------------------------- */

/* Marks in the stream; seconds between two, waiting for the later one; negative: error set. */
typedef struct gpu_mark { gpu *g; void *event; } gpu_mark;
norn_status gpu_mark_put(gpu *, gpu_mark *);         /* makes it at the first use */
double      gpu_seconds(const gpu_mark *from, const gpu_mark *to);
void        gpu_mark_free(gpu_mark *);

#endif
