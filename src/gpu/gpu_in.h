/* gpu_in: the inside of the shelf: entry points of the driver and of NVRTC, declared here (nothing of CUDA
   is needed to build), and what a device is made of.  Names, numbers and signatures are those of the CUDA
   Driver API and NVRTC manuals. */
#ifndef NORN_GPU_IN_H
#define NORN_GPU_IN_H
#include "gpu/gpu.h"

enum { CU_OK = 0, CU_INVALID = 1, CU_NO_MEMORY = 2, CU_NO_DEVICE = 100, CU_INVALID_IMAGE = 200,
       CU_NO_BINARY = 209, CU_ECC = 214, CU_INVALID_PTX = 218, CU_PTX_VERSION = 222, CU_NOT_FOUND = 500,
       CU_ILLEGAL_ADDRESS = 700, CU_LAUNCH_RESOURCES = 701, CU_LAUNCH_TIMEOUT = 702,
       CU_CONTEXT_DESTROYED = 709, CU_LAUNCH_FAILED = 719, CU_UNKNOWN = 999 };

/* One line an entry point: the name here, the library's symbol, its parameters. */
#define CUDA_CALLS(X) \
  X(init, "cuInit", (unsigned flags)) \
  X(version, "cuDriverGetVersion", (int *)) \
  X(error_string, "cuGetErrorString", (int code, const char **)) \
  X(count, "cuDeviceGetCount", (int *)) \
  X(device, "cuDeviceGet", (int *device, int ordinal)) \
  X(device_name, "cuDeviceGetName", (char *, int n, int device)) \
  X(device_memory, "cuDeviceTotalMem_v2", (size_t *, int device)) \
  X(device_attribute, "cuDeviceGetAttribute", (int *, int attribute, int device)) \
  X(retain, "cuDevicePrimaryCtxRetain", (void **context, int device)) \
  X(release, "cuDevicePrimaryCtxRelease_v2", (int device)) \
  X(set_current, "cuCtxSetCurrent", (void *context)) \
  X(memory_info, "cuMemGetInfo_v2", (size_t *nfree, size_t *total)) \
  X(alloc, "cuMemAlloc_v2", (gpu_ptr *, size_t)) \
  X(free, "cuMemFree_v2", (gpu_ptr)) \
  X(to_device, "cuMemcpyHtoDAsync_v2", (gpu_ptr, const void *, size_t, void *stream)) \
  X(to_host, "cuMemcpyDtoHAsync_v2", (void *, gpu_ptr, size_t, void *stream)) \
  X(copy, "cuMemcpyDtoDAsync_v2", (gpu_ptr, gpu_ptr, size_t, void *stream)) \
  X(fill, "cuMemsetD8Async", (gpu_ptr, unsigned char, size_t, void *stream)) \
  X(stream_new, "cuStreamCreate", (void **stream, unsigned flags)) \
  X(stream_free, "cuStreamDestroy_v2", (void *stream)) \
  X(stream_wait, "cuStreamSynchronize", (void *stream)) \
  X(event_new, "cuEventCreate", (void **event, unsigned flags)) \
  X(event_free, "cuEventDestroy_v2", (void *event)) \
  X(event_put, "cuEventRecord", (void *event, void *stream)) \
  X(event_wait, "cuEventSynchronize", (void *event)) \
  X(event_time, "cuEventElapsedTime", (float *ms, void *from, void *to)) \
  X(load, "cuModuleLoadData", (void **module, const void *image)) \
  X(unload, "cuModuleUnload", (void *module)) \
  X(function, "cuModuleGetFunction", (void **function, void *module, const char *name)) \
  X(attribute, "cuFuncGetAttribute", (int *, int attribute, void *function)) \
  X(set_attribute, "cuFuncSetAttribute", (void *function, int attribute, int value)) \
  X(launch, "cuLaunchKernel", (void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, \
                               unsigned bz, unsigned shared, void *stream, void **args, void **extra)) \
  X(resident, "cuOccupancyMaxActiveBlocksPerMultiprocessor", (int *blocks, void *function, int threads, \
                                                              size_t shared)) \
  X(best_block, "cuOccupancyMaxPotentialBlockSize", (int *blocks, int *threads, void *function, \
                                                     size_t (*shared)(int threads), size_t each, int most))

#define NVRTC_CALLS(X) \
  X(version, "nvrtcVersion", (int *major, int *minor)) \
  X(narchs, "nvrtcGetNumSupportedArchs", (int *)) \
  X(archs, "nvrtcGetSupportedArchs", (int *)) \
  X(create, "nvrtcCreateProgram", (void **program, const char *text, const char *name, int n, \
                                   const char *const *headers, const char *const *names)) \
  X(destroy, "nvrtcDestroyProgram", (void **program)) \
  X(compile, "nvrtcCompileProgram", (void *program, int n, const char *const *options)) \
  X(log_size, "nvrtcGetProgramLogSize", (void *program, size_t *)) \
  X(log, "nvrtcGetProgramLog", (void *program, char *)) \
  X(cubin_size, "nvrtcGetCUBINSize", (void *program, size_t *)) \
  X(cubin, "nvrtcGetCUBIN", (void *program, char *)) \
  X(ptx_size, "nvrtcGetPTXSize", (void *program, size_t *)) \
  X(ptx, "nvrtcGetPTX", (void *program, char *))

#define GPU_CALL(name, symbol, parameters) int (*name) parameters;
typedef struct cuda_api { void *library; CUDA_CALLS(GPU_CALL) } cuda_api;
typedef struct nvrtc_api { void *library; NVRTC_CALLS(GPU_CALL) } nvrtc_api;
#undef GPU_CALL

enum { GPU_OLDEST = 11020 };         /* the oldest CUDA version of a driver that will do */

/* load.c.  Each opens its library, or says in why (of n bytes) what is missing.  The environment's
   NORN_CUDA and NORN_NVRTC name other files; "none" leaves them out. */
bool cuda_open(cuda_api *, char *why, size_t n);
void cuda_close(cuda_api *);
/* driver: the version of the driver, or 0: an NVRTC of its major version is preferred. */
bool nvrtc_open(nvrtc_api *, int driver, char *why, size_t n);
void nvrtc_close(nvrtc_api *);
int  nvrtc_version(const nvrtc_api *);
/* A function pointer of dlsym's; false: there is none. */
bool gpu_symbol(void *library, const char *name, void *to);
/* Opens the first that is there of names, plainly and in the folders where CUDA lives. */
void *gpu_library(const char *environment, const char *const *names, int n, char *why, size_t size);

struct gpu {
  norn_state *st;
  bool open, tried;
  char why[300];                     /* what was wrong when it could not be opened, or what it died of */
  bool lost;
  cuda_api cu;
  nvrtc_api nvrtc;
  int driver, nvrtc_is;              /* versions */
  int ordinal, device;
  void *context, *stream;
  gpu_info info;
  struct gpu_module *modules;        /* all that are loaded */
  void *blas;                        /* blas.c */
  struct gpu_kept *kept;             /* kept.c */
  gpu_guest *guests;
};

/* device.c */
struct gpu *gpu_of(norn_state *);    /* the state's, opened or not; NULL: no memory */
/* What a call of the driver gave: true for success; else the error is set ("no room", "the GPU was lost
   while ..."). `doing` is what was tried: "launching smc_step". */
bool gpu_check(gpu *, int code, const char *doing);
/* The device is there, and this thread talks to it; false: error set. */
bool gpu_enter(gpu *);

/* prelude.c: headers that a text may include: their names (gpu_nheaders); all are empty, for gpu_prelude
   has what they would declare. */
extern const char *const gpu_headers[];
extern const int gpu_nheaders;

/* compile.c: with this NVRTC. */
norn_status gpu_compile_by(norn_state *, const nvrtc_api *, const gpu_text *, const char *arch, gpu_code *);
/* Writes a text where NORN_DUMP_KERNELS says, if it does. */
void gpu_dump(const gpu_text *);

/* blas.c */
void gpu_blas_free(gpu *);
void gpu_kept_free(gpu *);           /* kept.c */
size_t gpu_blas_version(void);       /* cuBLASLt's; 0: it is not here */
#endif
