/* prove.c: compiles texts of kernels by NVRTC, without a device, and says what each kernel takes.

     prove FILE.cu ...      files that NORN_DUMP_KERNELS wrote
     prove --seen           whether spills and contraction are seen at all

   Each goes to PTX and from there to machine code, for sm_80 and sm_90.  It has failed if one can't be compiled, or if
   a hot kernel spills (GPU_HOT of its text).  One line a kernel and architecture. */
#include "gpu/gpu.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *read_file(const char *path)
{
  FILE *f = fopen(path, "rb");
  size_t n = 0, cap = 1 << 16;
  char *s = malloc(cap);
  if (!f) return free(s), NULL;
  while (s && !feof(f) && !ferror(f)) {
    if (n + 4096 > cap) s = realloc(s, cap *= 2);
    if (s) n += fread(s + n, 1, cap - n - 1, f);
  }
  if (s) s[n] = 0;
  fclose(f);
  return s;
}

/* The first line: "norn kernel NAME, flags N". */
static void first_line(const char *s, char *name, unsigned *flags)
{
  strcpy(name, "text");
  *flags = 0;
  sscanf(s, "/* norn kernel %99[^,], flags %u", name, flags);
}

static int prove(norn_state *st, const char *path, const char *arch)
{
  char name[100];
  unsigned flags;
  int bad = 0;
  char *s = read_file(path);
  gpu_code c;
  if (!s) {
    printf("FAIL: %s: can't be read\n", path);
    return 1;
  }
  first_line(s, name, &flags);
  const gpu_text t = { .name = name, .text = s, .flags = flags };
  if (gpu_compile(st, &t, arch, &c) != NORN_OK) {
    printf("FAIL: %s for %s: %s\n", path, arch, norn_error(st)->text);
    free(s);
    return 1;
  }
  for (int k = 0; k < c.nuse; k++) {
    const gpu_use *u = &c.use[k];
    bool spills = u->spill_stores || u->spill_loads, hot = flags & GPU_HOT;
    bad += spills && hot;
    printf("%s: %-24s %-7s %3d registers, %5d bytes shared, %5d local, %4d spilt%s\n", spills && hot ? "FAIL" : "PASS",
           u->name, arch, u->registers, u->shared, u->local, u->spill_stores, hot ? ", hot" : "");
  }
  bad += !c.ptx || !c.nuse;
  printf("%s: %-24s %-7s %zu bytes of PTX, %zu of machine code\n", c.ptx && c.nuse ? "PASS" : "FAIL", name, arch, c.ptx, c.n);
  gpu_code_free(st, &c);
  free(s);
  return bad != 0;
}

/* Are spills seen at all?  64 numbers that live at once do not fit into the 32 registers of a thread that stands
   among 2,048. */
static int control(norn_state *st)
{
  static const char body[] =
    "KERNEL __launch_bounds__(1024, 2) spills(double *x, int n)\n"
    "{\n"
    "  double y[64];\n"
    "  double *at = x + threadIdx.x;\n"
    "  _Pragma(\"unroll\") for (int k = 0; k < 64; k++) y[k] = at[k * 1024];\n"
    "  for (int t = 0; t < n; t++)\n"
    "    _Pragma(\"unroll\") for (int k = 0; k < 64; k++) y[k] = y[k] * y[(k + 7) % 64] + y[(k + 13) % 64];\n"
    "  _Pragma(\"unroll\") for (int k = 0; k < 64; k++) at[k * 1024] = y[k];\n"
    "}\n";
  gpu_code c;
  bool seen = gpu_compile(st, &(gpu_text){ .name = "spills", .text = body }, "sm_90", &c) == NORN_OK && c.nuse == 1 &&
              c.use[0].spill_stores > 0 && c.use[0].spill_loads > 0 && c.use[0].registers == 32;
  gpu_code_free(st, &c);
  printf("%s: spills are seen\n", seen ? "PASS" : "FAIL");
  return !seen;
}

/* Products and sums are contracted where a text allows it, and only there. */
static int contraction(norn_state *st)
{
  static const char body[] = "KERNEL f(double *x) { x[0] = x[1] * x[2] + x[3]; }\n";
  bool right = true;
  for (unsigned flags = 0; flags <= GPU_FMA; flags += GPU_FMA) {
    gpu_code c;
    const gpu_text t = { .name = "f", .text = body, .flags = flags };
    right &= gpu_compile(st, &t, "compute_90", &c) == NORN_OK && (strstr(c.bytes, "fma.rn.f64") != NULL) == (flags != 0);
    gpu_code_free(st, &c);
  }
  printf("%s: contraction only where it is allowed\n", right ? "PASS" : "FAIL");
  return !right;
}

/* PTX made on the way to machine code is that of the virtual architecture, which newer devices get: so that none is compiled
   for that alone. */
static int on_the_way(norn_state *st)
{
  static const char body[] = "KERNEL f(double *x) { x[threadIdx.x] = x[0] / x[1] + sqrt(x[2]); }\n";
  static const char *const archs[][2] = { { "compute_80", "sm_80" }, { "compute_90", "sm_90" } };
  bool right = true;
  for (size_t k = 0; k < sizeof archs / sizeof *archs; k++) {
    gpu_code c[2];
    const gpu_text t = { .name = "f", .text = body };
    for (int i = 0; i < 2; i++) right &= gpu_compile(st, &t, archs[k][i], &c[i]) == NORN_OK;
    right &= c[0].ptx == c[0].n && c[0].ptx == c[1].ptx && c[1].ptx > 100;
    for (int i = 0; i < 2; i++) gpu_code_free(st, &c[i]);
  }
  printf("%s: PTX is made on the way to machine code\n", right ? "PASS" : "FAIL");
  return !right;
}

/* Lines are written whole: several of this program may share one output. */
int main(int argc, char **argv)
{
  static const char *const archs[] = { "sm_80", "sm_90" };
  int bad = 0;
  norn_config config = norn_config_default();
  config.quiet = true;
  setvbuf(stdout, NULL, _IOLBF, 4096);
  norn_state *st = norn_new(&config);
  gpu_software s;
  gpu_list(st, &s, NULL, 0);
  if (!s.nvrtc) {
    printf("FAIL: there is no NVRTC: %s\n", s.why_nvrtc);
    return 1;
  }
  if (argc == 2 && !strcmp(argv[1], "--seen")) {
    printf("NVRTC %d.%d\n", s.nvrtc / 1000, s.nvrtc % 1000 / 10);
    bad = control(st) + contraction(st) + on_the_way(st);
    argc = 1;
  } else if (argc < 2) {
    puts("FAIL: no texts");
    bad = 1;
  }
  for (int i = 1; i < argc; i++)
    for (size_t k = 0; k < sizeof archs / sizeof *archs; k++) bad += prove(st, argv[i], archs[k]);
  norn_free(st);
  return bad != 0;
}
