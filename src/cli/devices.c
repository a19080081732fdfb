/* norn devices: the GPUs of this machine, and what is used of CUDA. */
#include "cli.h"

static void print_size(double bytes)
{
  double g = bytes / 1073741824;
  printf(g < 10 ? "%.1f GiB" : "%.0f GiB", g);
}

static void print_package(const char *title, const char *name)
{
  const char *version = norn_package(name);
  printf("%s: %s\n", title, version ? version : "not here");
}

int devices_main(cli *c)
{
  enum { MOST = 64 };
  static norn_device all[MOST];
  char why[300];
  if (c->nwords > 0) {
    cli_complain(c, "devices takes no words");
    return EXIT_USAGE;
  }
  int n = norn_devices(c->st, all, MOST, why, sizeof why);
  for (int k = 0; k < n; k++) {
    const norn_device *d = &all[k];
    printf("GPU %d: %s, ", k, d->name);
    print_size((double)d->memory);
    printf(", compute capability %d.%d, %d multiprocessors: %s%s\n", d->major, d->minor, d->processors,
           d->usable ? "usable" : "not usable: ", d->usable ? "" : d->why);
  }
  if (why[0]) printf("no GPU: %s\n", why);
  print_package("driver", "cuda");
  print_package("compiler", "nvrtc");
  print_package("matrix products", "cublaslt");
  return EXIT_FINE;
}
