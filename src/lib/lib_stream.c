/* lib_stream.c: draws in files as they come (keep_draws), so that what a run drew survives its end,
   whatever that is.

   The listener of norn_on_draw puts each draw of an outermost inference into the drawset of its
   chain and the row into the file of its chain, which is flushed every second and every 100 draws.
   A draw that needs new columns makes the file be written again, under its new head.  A file that
   can't be written ends the keeping, not the inference. */
#include "infer/infer.h"
#include "io/stan_csv.h"
#include "lib/lib_draws.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SLOT = 1, FLUSH_DRAWS = 100, CHAINS_MAX = 100000 };
#define FLUSH_SECONDS 1.0

typedef struct chain_file {
  drawset set;
  FILE *f;
  char path[4096];
  text row, about;
  uint64_t changes;                   /* of the layout that the file has */
  int unflushed;
  double flushed;
} chain_file;

typedef struct stream {
  norn_state *st;
  mem m;
  char path[4000];
  chain_file **chain; size_t nchain, cchain;    /* NULL: no draw of that chain yet */
  const norn_infer *of; uint64_t random;        /* whose draws the files hold */
  bool several;                                 /* chain 0 is x_1.csv, not x.csv */
  bool broken;
} stream;

static double now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- one file ---- */

/* Says once that keeping has ended; the inference goes on. */
static void tell_broken(stream *s, const char *path)
{
  norn_span nowhere = { 0, 0, 0 };
  if (!s->broken)
    norn_warning(s->st, nowhere, "draws are no longer kept as they come: can't write %s: %s", path,
                 strerror(errno ? errno : ENOMEM));
  s->broken = true;
}

static void chain_free(stream *s, chain_file *c)
{
  if (!c) return;
  bool lost = c->f && ferror(c->f);
  errno = lost ? EIO : 0;
  if (c->f && (fclose(c->f) != 0 || lost)) tell_broken(s, c->path);
  drawset_free(&c->set);
  text_free(&c->row);
  text_free(&c->about);
  mem_put(&s->m, c, sizeof *c);
}

static void close_chains(stream *s)
{
  for (size_t k = 0; k < s->nchain; k++) chain_free(s, s->chain[k]);
  s->nchain = 0;
}

static bool broken(stream *s, const char *path)
{
  tell_broken(s, path);
  close_chains(s);
  return false;
}

static void path_of(const stream *s, int k, char *out, size_t size)
{
  if (k == 0 && !s->several) snprintf(out, size, "%s", s->path);
  else draws_chain_path(s->path, k, out, size);
}

/* With a second chain the file of the first gets a number. */
static bool become_several(stream *s)
{
  s->several = true;
  chain_file *c = s->nchain ? s->chain[0] : NULL;
  if (!c) return true;
  char path[4096];
  path_of(s, 0, path, sizeof path);
  if (c->f && rename(c->path, path) != 0) return broken(s, path);
  snprintf(c->path, sizeof c->path, "%s", path);
  return true;
}

static chain_file *chain_of(stream *s, norn_infer *inf, int k)
{
  if (k > 0 && !s->several && !become_several(s)) return NULL;
  if ((size_t)k < s->nchain && s->chain[k]) return s->chain[k];
  errno = 0;
  if (k < 0 || k >= CHAINS_MAX) return NULL;
  if (!mem_grow(&s->m, &s->chain, &s->cchain, (size_t)k + 1, sizeof *s->chain))
    return broken(s, s->path), NULL;
  while (s->nchain <= (size_t)k) s->chain[s->nchain++] = NULL;
  chain_file *c = s->chain[k] = mem_zero(&s->m, sizeof *c);
  if (!c) return broken(s, s->path), NULL;
  drawset_init(&c->set, s->st, &s->m);
  text_init(&c->row, &s->m);
  text_init(&c->about, &s->m);
  path_of(s, k, c->path, sizeof c->path);
  draws_about(s->st, norn_infer_model(inf), norn_get(inf->options), inf->engine->name, k,
              norn_none(),
              &c->about);
  return c;
}

static bool put_text(stream *s, chain_file *c)
{
  errno = 0;
  if (c->row.failed) return broken(s, c->path);
  bool good = fwrite(c->row.s, 1, c->row.n, c->f) == c->row.n;
  c->row.n = 0;
  double t = now();
  if (good && (++c->unflushed >= FLUSH_DRAWS || t - c->flushed >= FLUSH_SECONDS)) {
    good = fflush(c->f) == 0;
    c->unflushed = 0;
    c->flushed = t;
  }
  return good || broken(s, c->path);
}

/* The rows so far under the head that the layout has now: a new file in the place of the old. */
static bool write_again(stream *s, chain_file *c)
{
  char part[4104];
  size_t n;
  const char *why = "";
  errno = 0;
  snprintf(part, sizeof part, "%s.part", c->path);
  char *old = fflush(c->f) == 0 ? file_read(&s->m, c->path, &n, &why) : NULL;
  if (!old) return broken(s, c->path);
  bool good = stan_csv_again(&c->set, c->about.s, old, n, &c->row) && !c->row.failed;
  mem_put(&s->m, old, n + 1);
  FILE *f = good ? fopen(part, "wb") : NULL;
  good = f && fwrite(c->row.s, 1, c->row.n, f) == c->row.n && fflush(f) == 0 &&
         rename(part, c->path) == 0;
  c->row.n = 0;
  fclose(c->f);
  c->f = f;
  return good || broken(s, part);
}

/* The draw at hand to its file. */
static bool write_draw(stream *s, chain_file *c)
{
  if (!c->f) {
    errno = 0;
    if (!c->about.s || c->about.failed || !stan_csv_head(&c->set, c->about.s, NULL, &c->row) ||
        !(c->f = fopen(c->path, "wb")))
      return broken(s, c->path);
    c->flushed = now() - FLUSH_SECONDS;
  } else if (c->changes != c->set.changes) {
    if (!write_again(s, c)) return false;
  }
  c->changes = c->set.changes;
  stan_csv_levels(&c->set, &c->row);
  return (stan_csv_row(&c->set, &c->row) || broken(s, c->path)) && put_text(s, c);
}

/* ---- draws ---- */

static void put_draw(stream *s, drawset *set, const norn_drawn *d)
{
  char name[600];
  drawset_begin(set);
  for (int k = 0; k < d->nstat; k++) drawset_stat(set, d->stat_name[k], d->stat[k]);
  bool weighted = d->logw != 0;
  for (size_t k = 0; k < set->nvar && !weighted; k++)
    weighted = set->var[k].stat && strcmp(set->var[k].name, "log_weight") == 0;
  if (weighted) drawset_stat(set, "log_weight", d->logw);
  for (int k = 0; k < d->nchoice; k++)
    drawset_choice(set, norn_addr_name(s->st, d->addr[k], name, sizeof name), d->choice[k]);
  drawset_value(set, d->value);
}

/* Draws of another inference replace those of the last. */
static void start_over(stream *s, const norn_infer *inf)
{
  close_chains(s);
  s->of = inf;
  s->random = inf->stream;
  s->several = false;
  draws_remove_old(s->path);
}

static bool on_draw(void *user, norn_infer *inf, const norn_drawn *d)
{
  stream *s = user;
  if (s->broken) return true;
  if (s->of != inf || s->random != inf->stream) {
    start_over(s, inf);
    if (inf->nlogw > 1 && !infer_tell_again(inf, inf->nlogw - 1, on_draw, s)) return norn_error(s->st)->code == NORN_OK;
  }
  chain_file *c = chain_of(s, inf, d->chain);
  if (!c) return true;
  put_draw(s, &c->set, d);
  errno = 0;
  if (drawset_end(&c->set)) {
    write_draw(s, c);
    return true;
  }
  norn_span nowhere = { 0, 0, 0 };
  norn_warning(s->st, nowhere, "draws are no longer kept as they come: %s",
               norn_error(s->st)->text);
  norn_clear(s->st);
  s->broken = true;
  close_chains(s);
  return true;
}

/* ---- the native ---- */

static void stream_free(norn_state *st, void *p)
{
  stream *s = p;
  if (!s) return;
  s->broken = true;                    /* at the end of a state nobody may be there to hear it */
  close_chains(s);
  mem_put(&s->m, s->chain, s->cchain * sizeof *s->chain);
  norn_alloc(st, s, sizeof *s, 0);
}

void draws_keep_flush(norn_state *st)
{
  stream *s = *norn_slot(st, SLOT);
  for (size_t k = 0; s && k < s->nchain; k++)
    if (s->chain[k] && s->chain[k]->f) fflush(s->chain[k]->f);
}

norn_status draws_keep(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  void **slot = norn_slot(st, SLOT);
  const char *path;
  *out = norn_unit();
  infer_slot *inference = infer_slot_of(st);
  if (!inference) return lib_failed(st);
  *inference->kept = 0;
  if (*slot) {
    norn_on_draw(st, NULL, NULL);
    close_chains(*slot);
    stream_free(st, *slot);
    *slot = NULL;
  }
  if (!lib_given(args, 0, n)) return NORN_OK;
  if (!lib_want_file(st, args, 0, &path)) return lib_failed(st);
  if (draws_format_of(path) != DRAWS_CSV || strlen(path) > sizeof((stream *)0)->path - 20)
    return norn_fail(st, NORN_EIO, 0, "draws are kept in a file .csv, got %.100s", path);
  norn_status code = draws_can_write(st, path);
  if (code) return code;
  stream *s = norn_alloc(st, NULL, 0, sizeof *s);
  if (!s) return norn_fail(st, NORN_EMEMORY, -1, "not enough memory");
  memset(s, 0, sizeof *s);
  s->st = st;
  s->m = lib_mem(st);
  snprintf(s->path, sizeof s->path, "%s", path);
  *slot = s;
  norn_slot_on_free(st, SLOT, stream_free);
  snprintf(inference->kept, sizeof inference->kept, "%s", path);
  norn_on_draw(st, on_draw, s);
  return NORN_OK;
}
