/* open.c: a state with everything built in: the language, then shelf by shelf what Norn programs
   find in it, last the part of the library that is written in Norn.  It stands here as bytes and is
   read when a name of it is first wanted. */
#include "lib/lib.h"
#include "dist/dist.h"
#include "infer/engine.h"

static const unsigned char prelude_norn[] = {
#include "stdlib/prelude.inc"
0 };
static const unsigned char inference_norn[] = {
#include "stdlib/inference.inc"
0 };
static const unsigned char language_context_norn[] = {
#include "stdlib/language_context.inc"
0 };
static const unsigned char its_norn[] = {
#include "stdlib/its.inc"
0 };
static const unsigned char lists_norn[] = {
#include "stdlib/lists.inc"
0 };
static const unsigned char maps_norn[] = {
#include "stdlib/maps.inc"
0 };
static const unsigned char sets_norn[] = {
#include "stdlib/sets.inc"
0 };
static const unsigned char stats_norn[] = {
#include "stdlib/stats.inc"
0 };
static const unsigned char strings_norn[] = {
#include "stdlib/strings.inc"
0 };
static const unsigned char online_norn[] = {
#include "stdlib/online.inc"
  0
};
static const unsigned char tables_norn[] = {
#include "stdlib/tables.inc"
0 };
static const unsigned char worked_sums_norn[] = {
#include "stdlib/worked_sums.inc"
  0
};

static const struct { const char *name; const unsigned char *source; size_t n; } library[] = {
  { "prelude", prelude_norn, sizeof prelude_norn - 1 },
  { "inference", inference_norn, sizeof inference_norn - 1 },
  { "language_context", language_context_norn, sizeof language_context_norn - 1 },
  { "its", its_norn, sizeof its_norn - 1 },
  { "lists", lists_norn, sizeof lists_norn - 1 },
  { "maps", maps_norn, sizeof maps_norn - 1 },
  { "sets", sets_norn, sizeof sets_norn - 1 },
  { "stats", stats_norn, sizeof stats_norn - 1 },
  { "strings", strings_norn, sizeof strings_norn - 1 },
  { "online", online_norn, sizeof online_norn - 1 },
  { "tables", tables_norn, sizeof tables_norn - 1 },
  { "worked_sums", worked_sums_norn, sizeof worked_sums_norn - 1 },
};

norn_status lib_norn_open(norn_state *st)
{
  norn_status code = NORN_OK;
  for (int k = 0; k < NORN_COUNT(library) && !code; k++)
    code = norn_add_library(st, library[k].name, library[k].source, library[k].n);
  return code;
}

static norn_status (*const shelves[])(norn_state *) = {
  dist_add_all, engines_add, lib_math_open, lib_special_open, lib_big_open, lib_array_open,
  lib_sort_open, lib_string_open, lib_map_open, lib_stats_open, lib_linalg_open,
  lib_interp_open, lib_dist_open, lib_gp_open, lib_ode_open, lib_functions_open, lib_infer_open, lib_blocks_open,
  lib_chains_open, lib_predict_open, lib_sbc_open, lib_c2st_open, lib_net_ask_open,
  lib_save_open, lib_plot_open, lib_io_open, lib_sys_open, lib_ffi_open, lib_table_open, lib_llm_open, lib_its_open,
  lib_norn_open,
};

norn_state *norn_new(const norn_config *config)
{
  norn_state *st = norn_new_bare(config);
  for (int k = 0; st && k < NORN_COUNT(shelves); k++)
    if (shelves[k](st) != NORN_OK) {
      norn_free(st);
      return NULL;
    }
  return st;
}
