/* plugin.c: shared objects with engines, distributions or natives.  An object stays open until the
   process ends, because its tables must outlive every state that it was added to. */
#include "norn.h"
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

norn_status norn_load_plugin(norn_state *st, const char *path)
{
  char local[4096];
  norn_plugin_fn entry = NULL;
  if (norn_config_of(st)->no_foreign)
    return norn_fail(st, NORN_EUSE, -1, "plug-ins are turned off here: %s is not loaded", path);
  if (!strchr(path, '/')) {   /* a bare name is a file here, not one that the linker looks for */
    snprintf(local, sizeof local, "./%s", path);
    path = local;
  }
  void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!object) {
    const char *why = dlerror();
    return norn_fail(st, NORN_EIO, -1, "can't load %s: %s", path, why ? why : "unknown reason");
  }
  void *symbol = dlsym(object, NORN_PLUGIN_ENTRY);
  if (!symbol) {
    norn_status code = norn_fail(st, NORN_EIO, -1, "%s has no function " NORN_PLUGIN_ENTRY, path);
    norn_hint(st, "a plug-in defines: norn_status " NORN_PLUGIN_ENTRY "(norn_state *)");
    dlclose(object);
    return code;
  }
  memcpy(&entry, &symbol, sizeof entry);   /* ISO C has no cast from data to function pointers */
  return entry(st);
}
