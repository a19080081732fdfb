/* mock: a GPU that is none: one shared object with the entry points of the driver, of NVRTC and of
   cuBLASLt, behind which kernels run on the CPU.

       text --mock_nvrtc.c--> cc --> "cubin" (a shared object) --mock_cuda.c--> mock_run.c: for each block,
       a fiber a thread, which stands at a barrier until all do

   Norn opens it by NORN_CUDA, NORN_NVRTC and NORN_CUBLASLT.  What goes wrong is ordered by NORN_MOCK, a list
   of word=number, which is looked at anew in each call:

     version=10020     the driver's CUDA version        devices=0        how many devices
     init=100          cuInit gives that code           cc=75            compute capability
     memory=1000000    bytes of the device              alloc=3          the third allocation finds no room
     load=222          loading code gives that code     refuse=2         the second launch gives 701
     compile=1         the first compilation fails      copy=2           the second copy from the device gives 1
     launch=2          the second launch kills the device, which is seen by who waits
     order=1           blocks and threads go backwards; 2: in an order of chance
     run=0             kernels are launched, but nothing runs: what the host does all the time
     tell=1            says at the end how often each entry point of the driver was called
     races=0           races are not looked for (mock_race.c), nor under a sanitizer
   Counts are of the process and start again when NORN_MOCK changes. */
#ifndef NORN_MOCK_H
#define NORN_MOCK_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MOCK_SHOWN __attribute__((visibility("default")))
/* The entry points are declared nowhere: who calls them asks for them by name. */
#pragma GCC diagnostic ignored "-Wmissing-prototypes"

/* How often an entry point of the driver was called, k = 0, 1, ..., and the bytes that it moved or took; -1: no more have
   been called.  Of the process. */
MOCK_SHOWN long mock_calls(int k, const char **name, double *bytes);

/* The number behind a word of NORN_MOCK, else `otherwise`. */
long mock_order(const char *word, long otherwise);
/* Counts a call of that word: is it the one that the order means? */
bool mock_now(const char *word);

/* ---- what kernels call (mock_device.h declares the same) ---- */

typedef struct { unsigned x, y, z; } mock_dim;
typedef struct mock_thread { mock_dim thread, block, threads, blocks; int number; } mock_thread;
typedef struct mock_rt {
  mock_thread *now;                  /* the thread that runs; number: of its block's */
  char *room;                        /* of SHARED_ROOM */
  void *block_start, *block_end;     /* SHARED arrays of the object */
  /* Until all threads of the block that have not ended are here; at: the line.  Gives how many of
     them have `is`. */
  int (*barrier)(int at, int is);
  /* All lanes of mask give a value of n bytes and get that of another: how 0: of lane `what`, 1: of lane ^
     what, 2: of lane + what, 3: of lane - what; in groups of `width`. */
  void (*shuffle)(unsigned mask, void *value, int n, int how, int what, int width);
  unsigned (*ballot)(unsigned mask, int is);
  void (*warp)(unsigned mask);       /* __syncwarp */
  /* Before an access of n bytes, by the code behind that address; how: MOCK_READS and so on.  NULL: not watched. */
  void (*access)(const void *p, unsigned n, unsigned how, const void *code);
  const void *base;                  /* where the object is loaded */
  char *stack;                       /* (MOCK_STACK) of the thread that runs */
  int code;                          /* a file of the object, -1: none */
} mock_rt;
enum { MOCK_READS = 1, MOCK_WRITES = 2, MOCK_FREE = 4 };     /* FREE: volatile or atomic */
enum { MOCK_STACK = 1 << 20 };

/* Runs a kernel: call takes addresses of its arguments.  NULL, or what went wrong. */
const char *mock_run(mock_rt *, void (*call)(void **), mock_dim blocks, mock_dim threads, size_t shared,
                     void **args);
/* From within a kernel: something is wrong (the first counts). */
void mock_failed(const char *what);

/* ---- mock_race.c ---- */

void mock_race_memory(void *from, size_t n, bool shared);      /* is watched from here on */
void mock_race_forget(void *from);
void mock_race_launch(mock_rt *);
void mock_race_block(void);
void mock_race_barrier(void);
void mock_race_warp(int first, unsigned mask);      /* lanes of the warp that begins with thread `first` */
void mock_race_access(const void *p, unsigned n, unsigned how, const void *code);
#endif
