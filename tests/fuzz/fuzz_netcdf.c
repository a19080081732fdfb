/* fuzz_netcdf.c: any bytes in a file .nc are draws or an error, whatever libnetcdf does with them. */
#include "io/netcdf.h"
#include "drawset_use.h"
#include <stdio.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *s, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *s, size_t n)
{
  char path[] = "/tmp/norn-fuzz-XXXXXX";
  mem m;
  drawset set;
  netcdf_file file;
  norn_state *st = state_with(&m);
  int fd = st ? mkstemp(path) : -1;
  FILE *f = fd >= 0 ? fdopen(fd, "wb") : NULL;
  if (f && fwrite(s, 1, n, f) == n && fclose(f) == 0) {
    drawset_init(&set, st, &m);
    if (netcdf_read(st, path, &set, &file) == NORN_OK) use_set(&set);
    else if (!norn_error(st)->code) abort();
    drawset_free(&set);
  }
  if (fd >= 0) unlink(path);
  norn_free(st);
  return 0;
}

#include "replay.h"
