/* lib_its.c: the ledger of `import its`.  A meter counts what a method of inference-time scaling made of its task:
   tokens, steps and rewards, also those of particles that died since, which no posterior knows of.  It is the one
   thing here that changes, so nothing that counts is pure, and programs that count run in one thread. */
#include "lib/lib.h"
#include "base/archive.h"

typedef struct meter { double tokens, steps, rewards; } meter;

static void meter_free(norn_state *st, void *p) { norn_alloc(st, p, sizeof(meter), 0); }
static const norn_handle_row row = { .name = "meter", .free = meter_free };

static bool meter_archive(norn_archive *a, void **p)
{
  meter *m = norn_archive_reading(a) ? norn_alloc(norn_archive_state(a), NULL, 0, sizeof *m) : *p;
  if (!m) return norn_archive_fail(a, "out of memory");
  *p = m;
  return norn_archive_f64(a, &m->tokens) && norn_archive_f64(a, &m->steps) && norn_archive_f64(a, &m->rewards);
}
static const archive_handle archived = { &row, meter_archive, NULL };

static norn_status f_meter(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  meter *m = norn_alloc(st, NULL, 0, sizeof *m);
  (void)args;
  (void)n;
  if (!m) return lib_failed(st);
  *m = (meter){ 0 };
  norn_datum v = norn_handle_new(st, &row, m, sizeof *m);
  if (norn_is_none(v)) meter_free(st, m);
  return lib_give(st, v, out);
}

static meter *want_meter(norn_state *st, const norn_datum *args)
{
  meter *m = norn_handle_view(args[0], &row);
  if (!m) lib_wrong(st, args, 0, "what is counted by", "a meter");
  return m;
}

static norn_status f_spend(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  double tokens, steps, rewards;
  (void)n;
  meter *m = want_meter(st, args);
  if (!m || !norn_want_real(st, args, 1, "the number of tokens", &tokens)
      || !norn_want_real(st, args, 2, "the number of steps", &steps)
      || !norn_want_real(st, args, 3, "the number of rewards", &rewards)) return lib_failed(st);
  if (!(tokens >= 0)) return norn_fail(st, NORN_EDOMAIN, 1, "a step takes no fewer than 0 tokens, got %g", tokens);
  m->tokens += tokens;
  m->steps += steps;
  m->rewards += rewards;
  *out = norn_unit();
  return NORN_OK;
}

static norn_status f_spent(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  static const char *const name[] = { "tokens", "steps", "rewards" };
  meter *m = want_meter(st, args);
  (void)n;
  if (!m) return lib_failed(st);
  norn_datum v[] = { norn_real(m->tokens), norn_real(m->steps), norn_real(m->rewards) };
  return lib_give(st, norn_record(st, NORN_COUNT(name), name, v), out);
}

#define FN(name, params, fn, doc) { name, params, doc, fn, 0, NULL }
#define PART "A part of the ledgers of `import its`; see norn doc its."

static const norn_native natives[] = {
  FN("_meter", "", f_meter, PART),
  FN("_spend", "meter, tokens, steps, rewards", f_spend, PART),
  FN("_spent", "meter", f_spent, PART),
};

norn_status lib_its_open(norn_state *st)
{
  norn_status s = archive_handles(st, &archived, 1);
  return s ? s : norn_add_natives(st, "its", natives, NORN_COUNT(natives));
}
