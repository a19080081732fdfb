/* prove.c: compiles texts of kernels by NVRTC, without a device, and says what each kernel takes.

     prove FILE.cu ...      files that NORN_DUMP_KERNELS wrote

   Each goes to PTX and to machine code of sm_80 and sm_90.  It has failed if one can't be compiled, or if a
   hot kernel spills (GPU_HOT of its text).  One line a kernel and architecture. */
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
    bool spills = u->spill_stores > 0 || u->spill_loads > 0, hot = flags & GPU_HOT;
    bad += spills && hot;
    printf("%s: %-24s %-7s %3d registers, %5d bytes shared, %5d local, %4d spilt%s\n", spills && hot ? "FAIL" : "PASS",
           u->name, arch, u->registers, u->shared, u->local, u->spill_stores, hot ? ", hot" : "");
  }
  if (!c.nuse) printf("PASS: %-24s %-10s %zu bytes\n", name, arch, c.n);
  gpu_code_free(st, &c);
  free(s);
  return bad != 0;
}

int main(int argc, char **argv)
{
  static const char *const archs[] = { "compute_90", "sm_80", "sm_90" };
  int bad = 0;
  norn_config config = norn_config_default();
  config.quiet = true;
  norn_state *st = norn_new(&config);
  gpu_software s;
  gpu_list(st, &s, NULL, 0);
  if (!s.nvrtc) {
    printf("FAIL: there is no NVRTC: %s\n", s.why_nvrtc);
    return 1;
  }
  printf("NVRTC %d.%d\n", s.nvrtc / 1000, s.nvrtc % 1000 / 10);
  for (int i = 1; i < argc; i++)
    for (size_t k = 0; k < sizeof archs / sizeof *archs; k++) bad += prove(st, argv[i], archs[k]);
  norn_free(st);
  if (argc < 2) puts("FAIL: no texts");
  return bad || argc < 2;
}
