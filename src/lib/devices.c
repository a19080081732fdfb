/* devices.c: what norn.h says of the GPUs of the machine. */
#include "gpu/gpu.h"
#include <stdio.h>
#include <string.h>

int norn_devices(norn_state *st, norn_device *out, int most, char *why, size_t n)
{
  enum { MOST = 64 };
  gpu_software s;
  gpu_info *all = norn_alloc(st, NULL, 0, MOST * sizeof *all);
  bool usable = false;
  if (n) why[0] = 0;
  if (!all) {
    snprintf(why, n, "not enough memory");
    return 0;
  }
  int count = gpu_list(st, &s, all, MOST);
  if (count > MOST) count = MOST;
  for (int k = 0; k < count; k++) {
    const gpu_info *i = &all[k];
    usable |= i->usable && s.nvrtc;
    if (k >= most) continue;
    out[k] = (norn_device){ .memory = i->memory, .major = i->major, .minor = i->minor, .processors = i->sms,
                            .usable = i->usable && s.nvrtc };
    snprintf(out[k].name, sizeof out[k].name, "%s", i->name);
    if (!i->usable) snprintf(out[k].why, sizeof out[k].why, "%s", i->why);
    else if (!s.nvrtc) snprintf(out[k].why, sizeof out[k].why, "there is no NVRTC to compile with");
  }
  norn_alloc(st, all, MOST * sizeof *all, 0);
  if (usable) return count;
  if (!count) snprintf(why, n, "%s", s.why_driver);
  else if (!s.nvrtc) snprintf(why, n, "there is no NVRTC to compile with: %s", s.why_nvrtc);
  else snprintf(why, n, "none of the devices is usable");
  return count;
}
