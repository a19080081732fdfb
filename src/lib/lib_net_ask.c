/* lib_net_ask.c: the C half of what the prelude asks of nets (diagnose). */
#include "lib/lib.h"
#include "infer/net/net.h"

static norn_status f_net_what(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  const net *of = net_view(args[0]);
  (void)n;
  if (!of) return lib_wrong(st, args, 0, "the argument", "a net");
  if (of->what) {
    *out = norn_get(of->what);
    return NORN_OK;
  }
  norn_fail(st, NORN_EINFER, 0, "this net does not know what it was trained on: it comes from a file");
  norn_hint(st, "say it: diagnose(net, sbc = 500, what = coin(data))");
  return NORN_EINFER;
}

static norn_status f_net_kind(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  const net *of = net_view(args[0]);
  (void)n;
  if (!of) return lib_wrong(st, args, 0, "the argument", "a net");
  return lib_give(st, norn_cstring(st, net_kind_names[of->spec.kind]), out);
}

static norn_status f_net_made(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  norn_datum none = norn_none();
  net_source *s = args[1].tag == NORN_INT ? net_source_new(st, args[0], none, (uint64_t)args[1].i) : NULL;
  if (s) none = net_source_model(s, 0);
  net_source_free(s);
  return lib_give(st, none, out);
}

static const norn_native natives[] = {
  {"_net_kind", "net",
   "What a net was trained for: \"npe\", \"pfn\" or \"distribution_transformer\".\n"
   "Example: type_of(_net_kind)\n=> \"function\"",
   f_net_kind, 0, NULL},
  {"_net_made", "what, seed",
   "A model value of those that a net is trained on: what is one, or a model or function that gives one.\n"
   "Example: type_of(_net_made)\n=> \"function\"",
   f_net_made, 0, NULL},
  {"_net_what", "net",
   "What a net was trained on: a model value, or a function that gives one.\n"
   "Example: type_of(_net_what)\n=> \"function\"",
   f_net_what, 0, NULL},
};

norn_status lib_net_ask_open(norn_state *st)
{
  return norn_add_natives(st, NULL, natives, NORN_COUNT(natives));
}
