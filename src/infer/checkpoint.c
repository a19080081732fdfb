/* checkpoint: an inference, with those that it waits for, in a file, and back.

       "NORNCKPT" | version, byte order, build | head, its hash | image (lang/archive/archive.h)

   The head says what the checkpoint is of: fingerprints of program, data and engine and the seed's
   stream, so that a foreign one is refused by name before anything of it is read.  The image holds names
   of addresses and the inferences, outermost first: of each the model and engine, what engines leave
   with it (draws, choices, notes, warnings), what the engine itself keeps (its `archive`), and the run
   that waits for the next.

   Reading begins with an inference that was just made.  Its engine's init runs as ever; then what was
   saved takes the place of what is there.  Files are written beside the last good one and renamed.

   A whole program is kept likewise: "program" stands in the place of an engine's name, and before the inferences that
   its run waits for lie its globals (lang/archive/archive_state.c) and the run.  It is read into a state that has loaded the
   same text and run none of it. */
#include "infer/checkpoint.h"
#include "base/archive.h"
#include "infer/infer.h"
#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum { FORM = 3, ORDER = 0x01020304, DEEPEST = 10000 };
static const char whole_program[] = "program";     /* in the place of an engine's name */
static const char magic[8] = { 'N', 'O', 'R', 'N', 'C', 'K', 'P', 'T' };

typedef struct preface { char magic[8]; uint32_t version, order; uint64_t build; } preface;
typedef struct head {
  uint64_t program, values, engine, stream;
  double done, total, seconds;
  char name[64];                       /* of the engine, for messages */
  uint64_t hash;                       /* of all before it */
} head;

/* ---- what engines and inferences are made of ---- */

/* Of one that lies on the heap: it has that many values. */
static bool column_settled(norn_archive *a, column *c)
{
  if (!norn_archive_reading(a)) return true;
  norn_state *st = norn_archive_state(a);
  engine_put(st, c->word, c->cap * sizeof *c->word);
  c->word = NULL;
  c->cap = 0;
  return norn_array_length(norn_get(c->heap)) == (int64_t)(c->n + c->skip) ||
         norn_archive_fail(a, "a column of draws is not whole");
}

bool column_archive(norn_archive *a, column *c)
{
  return norn_archive_u64(a, &c->tag) && norn_archive_size(a, &c->n) && norn_archive_size(a, &c->skip) &&
         norn_archive_ref(a, &c->heap) &&
         (c->heap ? column_settled(a, c) : norn_archive_array(a, &c->word, &c->cap, c->n, sizeof *c->word));
}

bool archive_room(norn_archive *a, void *array_pointer, size_t *capacity, size_t n, size_t size)
{
  if (!norn_archive_reading(a)) return true;
  if (n > archive_left(a)) return norn_archive_fail(a, "a list has no end");
  return engine_room(norn_archive_state(a), array_pointer, capacity, n, size) ||
         norn_archive_fail(a, "out of memory");
}

bool blame_archive(norn_archive *a, blame *b)
{
  size_t n = b->n;
  if (!norn_archive_size(a, &n) || !archive_room(a, &b->line, &b->cap, n, sizeof *b->line)) return false;
  b->n = n;
  for (size_t i = 0; i < n; i++)
    if (!norn_archive_span(a, &b->line[i].span) || !norn_archive_u64(a, &b->line[i].count)) return false;
  return norn_archive_span(a, &b->where) && norn_archive_text(a, b->why, sizeof b->why);
}

/* ---- an inference ---- */

static bool choices_archive(norn_archive *a, norn_infer *inf)
{
  size_t n = inf->nchoice;
  if (!norn_archive_size(a, &n)) return false;
  for (size_t i = 0; i < n; i++) {
    uint64_t addr = i < inf->nchoice ? inf->choice[i].addr : 0;
    if (!norn_archive_bytes(a, &addr, sizeof addr)) return false;
    infer_choice *c = norn_archive_reading(a) ? infer_choice_column(inf, addr) : &inf->choice[i];
    if (!c) return norn_archive_fail(a, "out of memory");
    if (!norn_archive_u64(a, &c->first) || !column_archive(a, &c->c)) return false;
  }
  return norn_archive_bool(a, &inf->mixed) && norn_archive_size(a, &inf->guess) && norn_archive_size(a, &inf->cells) &&
         norn_archive_bool(a, &inf->no_choices);
}

/* Of the draw that comes next. */
static bool coming_archive(norn_archive *a, norn_infer *inf)
{
  size_t n;
  if (!column_archive(a, &inf->coming)) return false;
  n = inf->coming.n;
  if (!norn_archive_array(a, &inf->coming_addr, &inf->ccoming, n, sizeof *inf->coming_addr) ||
      !norn_archive_size(a, &inf->ncoming_stat))
    return false;
  n = inf->ncoming_stat;
  if (!norn_archive_array(a, &inf->coming_stat, &inf->cstat_value, n, sizeof *inf->coming_stat) ||
      !archive_room(a, &inf->coming_name, &inf->cstat_name, n, sizeof *inf->coming_name))
    return false;
  for (size_t i = 0; i < n; i++) if (!norn_archive_name(a, &inf->coming_name[i])) return false;
  return true;
}

static bool stats_archive(norn_archive *a, norn_infer *inf)
{
  size_t n = inf->nstat;
  if (!norn_archive_size(a, &n) || !archive_room(a, &inf->stat, &inf->cstat, n, sizeof *inf->stat))
    return false;
  inf->nstat = n;
  for (size_t i = 0; i < n; i++) {
    infer_stat *s = &inf->stat[i];
    if (!norn_archive_name(a, &s->name) || !norn_archive_size(a, &s->n) ||
        !norn_archive_array(a, &s->x, &s->cap, s->n, sizeof *s->x))
      return false;
  }
  size_t of = inf->of ? inf->nlogw : 0;
  return norn_archive_int(a, &inf->chain) && norn_archive_int(a, &inf->nchain) &&
         norn_archive_bool(a, &inf->chained) && norn_archive_size(a, &of) &&
         norn_archive_array(a, &inf->of, &inf->cof, of, sizeof *inf->of);
}

static bool notes_archive(norn_archive *a, norn_infer *inf)
{
  size_t n = inf->nnote, m = inf->nwarning;
  bool reads = norn_archive_reading(a);
  if (!norn_archive_size(a, &n) || !archive_room(a, &inf->note, &inf->cnote, n, sizeof *inf->note))
    return false;
  for (size_t i = n; reads && i < inf->nnote; i++) norn_drop(inf->note[i].value);
  for (size_t i = inf->nnote; reads && i < n; i++) inf->note[i] = (infer_note){ NULL, NULL };
  inf->nnote = n;
  for (size_t i = 0; i < n; i++) {
    if (!norn_archive_name(a, &inf->note[i].key) || !norn_archive_ref(a, &inf->note[i].value))
      return false;
    if (!inf->note[i].value) return norn_archive_fail(a, "a note has no value");
  }
  if (!norn_archive_size(a, &m) || !archive_room(a, &inf->warning, &inf->cwarning, m, sizeof *inf->warning))
    return false;
  inf->nwarning = m;
  for (size_t i = 0; i < m; i++) {
    infer_warning *w = &inf->warning[i];
    if (!norn_archive_span(a, &w->span) || !norn_archive_u64(a, &w->key) ||
        !norn_archive_text(a, w->text, sizeof w->text))
      return false;
  }
  return blame_archive(a, &inf->dead);
}

/* What engines leave with it. */
static bool draws_archive(norn_archive *a, norn_infer *inf)
{
  double spent = infer_seconds() - inf->start;
  if (!norn_archive_f64(a, &spent) || !column_archive(a, &inf->values)) return false;
  if (norn_archive_reading(a)) inf->start = infer_seconds() - spent;
  return norn_archive_u64(a, &inf->stamps) && norn_archive_size(a, &inf->nlogw) &&
         norn_archive_array(a, &inf->logw, &inf->clogw, inf->nlogw, sizeof *inf->logw) &&
         choices_archive(a, inf) && coming_archive(a, inf) && stats_archive(a, inf) &&
         norn_archive_ref(a, &inf->marginals) && norn_archive_bool(a, &inf->improper) &&
         norn_archive_f64(a, &inf->log_evidence) && norn_archive_f64(a, &inf->evidence_se) &&
         norn_archive_int(a, &inf->chains) && norn_archive_i64(a, &inf->per_chain) &&
         norn_archive_f64(a, &inf->left_over) && notes_archive(a, inf);
}

/* What init looks at. */
static bool basis_archive(norn_archive *a, norn_infer *inf)
{
  return norn_archive_bytes(a, &inf->stream, sizeof inf->stream) && norn_archive_bool(a, &inf->begun) &&
         norn_archive_bool(a, &inf->by_rule) && norn_archive_text(a, inf->why, sizeof inf->why) &&
         norn_archive_ref(a, &inf->resume) && norn_archive_ref(a, &inf->answer);
}

static bool self_archive(norn_archive *a, norn_infer *inf)
{
  const norn_engine *e = inf->engine;
  if (!draws_archive(a, inf) || !inf->begun) return norn_archive_status(a) == NORN_OK;
  if (e->version < 2 || !e->archive) return norn_archive_fail(a, "%s can't be checkpointed", e->name);
  return !e->archive(inf, inf->self, a) && norn_archive_status(a) == NORN_OK;
}

/* ---- writing ---- */

static bool level_put(norn_archive *a, norn_infer *inf)
{
  norn_datum model = norn_get(inf->model), engine = norn_get(inf->options);
  norn_ref *named = inf->named;
  bool nested = inf->inner != NULL;
  return norn_archive_value(a, &model) && norn_archive_value(a, &engine) && norn_archive_ref(a, &named) &&
         basis_archive(a, inf) && self_archive(a, inf) && norn_archive_bool(a, &nested) &&
         (!nested || norn_archive_run(a, &inf->waiting));
}

/* Of the model and the engine that were asked for. */
static bool infer_print(norn_infer *inf, head *h)
{
  norn_datum engine = inf->named ? norn_get(inf->named) : norn_get(inf->options);
  uint64_t one, two;
  if (!inf->printed) {
    if (!archive_prints(inf->st, norn_get(inf->model), &inf->print[0], &inf->print[1]) ||
        !archive_prints(inf->st, engine, &one, &two))
      return false;
    inf->print[2] = hash_mix(one + 3 * two);
    inf->printed = true;
  }
  h->program = inf->print[0];
  h->values = inf->print[1];
  h->engine = inf->print[2];
  h->stream = inf->stream0;
  snprintf(h->name, sizeof h->name, "%s", inf->engine->name);
  return true;
}

static void head_end(head *h, norn_infer *inf)
{
  norn_progress p;
  if (inf) {
    norn_infer_progress(inf, &p);
    h->done = p.done;
    h->total = p.total;
    h->seconds = infer_seconds() - inf->start;
  }
  h->hash = hash_bytes(h, offsetof(head, hash), FORM);
}

static bool head_make(norn_infer *inf, head *h)
{
  memset(h, 0, sizeof *h);
  if (!infer_print(inf, h)) return false;
  head_end(h, inf);
  return true;
}

/* All that was written, under that head. */
static norn_status image_write(norn_state *st, norn_archive *a, const head *h, const char *path)
{
  preface p = { .version = FORM, .order = ORDER, .build = archive_build() };
  const uint8_t *image;
  const char *why = "";
  size_t n;
  if (!archive_written(a, &image, &n)) return norn_error(st)->code;
  memcpy(p.magic, magic, sizeof magic);
  const void *part[] = { &p, h, image };
  const size_t size[] = { sizeof p, sizeof *h, n };
  if (file_replace(path, part, size, 3, &why)) return NORN_OK;
  return norn_fail(st, NORN_EIO, -1, "can't write the checkpoint %s: %s", path, why);
}

static bool levels_put(norn_archive *a, norn_infer *root)
{
  for (norn_infer *inf = root; inf && !norn_archive_status(a); inf = inf->inner) level_put(a, inf);
  return !norn_archive_status(a);
}

static norn_status image_save(norn_infer *root, norn_archive *a, const char *path)
{
  head h;
  if (!archive_addresses(a) || !levels_put(a, root) || !head_make(root, &h)) return norn_error(root->st)->code;
  return image_write(root->st, a, &h, path);
}

/* Can all of them be saved?  One that is waited for is over some day: then the others can, and a program that waits
   for the root; and what chooses an engine will have become one. */
static norn_status all_archive(const norn_infer *root, bool program)
{
  for (const norn_infer *inf = root; inf; inf = inf->inner) {
    const norn_engine *e = inf->engine;
    if (!inf->begun || (e->version >= 2 && e->archive)) continue;
    bool later = program || inf != root || e == &engine_auto || e == &engine_more;
    return norn_fail(root->st, later ? NORN_EINCOMPLETE : NORN_EINFER, -1, "%s can't be checkpointed",
                     e->name + (e->name[0] == '_'));
  }
  return NORN_OK;
}

norn_status norn_infer_save(norn_infer *root, const char *path)
{
  norn_state *st = root->st;
  if (root->outer || root->done || root->failed)
    return norn_fail(st, NORN_EUSE, -1, "only an outermost inference that goes on can be saved");
  norn_status s = all_archive(root, false);
  norn_archive *a = s ? NULL : archive_writer(st);
  if (!a) return s ? s : NORN_EMEMORY;
  s = image_save(root, a, path);
  archive_free(a);
  return s;
}

/* ---- reading ---- */

static bool level_begin(norn_archive *a, norn_infer *inf)
{
  if (!inf->begun || !inf->engine->init || !inf->engine->init(inf, inf->self)) return true;
  return norn_archive_fail(a, "%s does not begin as it did: %s", inf->engine->name,
                           norn_error(inf->st)->text);
}

/* The inference that `outer` waits for; NULL: *root, which is there, or is made. */
static norn_infer *level_get(norn_archive *a, norn_infer **root, norn_infer *outer)
{
  norn_state *st = norn_archive_state(a);
  norn_datum model, engine;
  norn_ref *named = NULL;
  if (!norn_archive_value(a, &model) || !norn_archive_value(a, &engine) || !norn_archive_ref(a, &named))
    return NULL;
  norn_infer *inf = outer || !*root ? infer_make(st, model, engine, 0) : *root;
  const norn_engine *e = norn_engine_view(engine, NULL);
  bool many = inf && inf->engine == &engine_many;       /* of an array of models, which has not begun */
  bool well = inf && (many || norn_kind_of(model) == NORN_MODEL) && (e || engine.tag == NORN_UNIT);
  if (inf && outer) {
    outer->inner = inf;
    inf->outer = outer;
  } else if (inf) {
    *root = inf;
  }
  if (well) norn_set(inf->model, model);
  if (well && e && !many && e != inf->engine) well = !infer_become(inf, engine);
  if (inf) {
    norn_drop(inf->named);
    inf->named = named;
  } else {
    norn_drop(named);
  }
  if (!well) return norn_archive_fail(a, "an inference in it can't be made"), NULL;
  if (e) norn_set(inf->options, engine);
  return basis_archive(a, inf) && level_begin(a, inf) && self_archive(a, inf) ? inf : NULL;
}

static bool levels_get(norn_archive *a, norn_infer **root)
{
  norn_infer *outer = NULL;
  bool nested = true;
  for (int depth = 0; nested; depth++) {
    norn_infer *inf = depth < DEEPEST ? level_get(a, root, outer) : NULL;
    if (!inf || !norn_archive_bool(a, &nested)) return false;
    if (nested && (!norn_archive_run(a, &inf->waiting) || !inf->waiting != (inf->engine == &engine_many)))
      return norn_archive_fail(a, "a nested inference answers nothing");
    (*root)->top = outer = inf;
  }
  return true;
}

static norn_status foreign(norn_state *st, const char *path, const char *other, const char *hint)
{
  norn_status s = norn_fail(st, NORN_EIO, -1, "%s is the checkpoint of %s", path, other);
  norn_hint(st, "%s", hint);
  return s;
}

/* Is it of this build, whole, and of what has the head `mine`? */
static norn_status head_check(norn_state *st, const head *mine, const char *path, const uint8_t *s, size_t n)
{
  preface p;
  head h;
  if (n < sizeof p || (memcpy(&p, s, sizeof p), memcmp(p.magic, magic, sizeof magic)))
    return norn_fail(st, NORN_EIO, -1, "%s is no checkpoint of Norn", path);
  if (p.version != FORM || p.order != ORDER || p.build != archive_build())
    return foreign(st, path, "another build of Norn", "only the build that wrote it can go on from it");
  if (n < sizeof p + sizeof h) return norn_fail(st, NORN_EIO, -1, "%s is damaged: its head is cut", path);
  memcpy(&h, s + sizeof p, sizeof h);
  if (h.hash != hash_bytes(&h, offsetof(head, hash), FORM))
    return norn_fail(st, NORN_EIO, -1, "%s is damaged: its head is not what was written", path);
  h.name[sizeof h.name - 1] = 0;
  bool whole = !strcmp(mine->name, whole_program);
  if (whole != !strcmp(h.name, whole_program))
    return foreign(st, path, whole ? "a single inference" : "a whole program",
                   whole ? "norn infer goes on from it" : "norn FILE goes on from it");
  if (h.program != mine->program)
    return foreign(st, path, "another program", whole ? "the program, or a module that it imports, has changed"
                                                      : "the model, or a function that it calls, has changed");
  if (h.values != mine->values)
    return foreign(st, path, whole ? "other arguments" : "other data",
                   whole ? "give the program the same arguments"
                         : "the model's arguments, or globals that it reads, differ");
  if (h.engine != mine->engine) {
    char other[140];
    snprintf(other, sizeof other, "another engine or other options of it (%s)", h.name);
    return foreign(st, path, other, "name the same engine with the same options");
  }
  if (h.stream != mine->stream) return foreign(st, path, "another seed", "give the same seed");
  return NORN_OK;
}

static norn_status image_load(norn_infer *root, const char *path, const uint8_t *s, size_t n)
{
  norn_state *st = root->st;
  head mine;
  norn_status code = infer_print(root, &mine) ? head_check(st, &mine, path, s, n) : norn_error(st)->code;
  if (code) return code;
  size_t skip = sizeof(preface) + sizeof(head);
  norn_archive *a = archive_reader(st, path, s + skip, n - skip);
  if (!a) return norn_error(st)->code;
  bool well = archive_addresses(a) && levels_get(a, &root) && archive_finished(a);
  archive_free(a);
  return well ? NORN_OK : norn_error(st)->code;
}

/* The bytes of a checkpoint, n + 1 of m's; NULL: error set. */
static char *checkpoint_read(norn_state *st, mem *m, const char *path, size_t *n)
{
  const char *why = "";
  mem_init(m);
  char *s = file_read(m, path, n, &why);
  if (!s) norn_fail(st, NORN_EIO, -1, "can't read the checkpoint %s: %s", path, why);
  return s;
}

norn_status norn_infer_load(norn_infer *root, const char *path)
{
  norn_state *st = root->st;
  size_t n;
  mem m;
  if (root->begun || root->outer || root->failed)
    return norn_fail(st, NORN_EUSE, -1, "a checkpoint goes into an inference that was just made");
  char *s = checkpoint_read(st, &m, path, &n);
  if (!s) return norn_error(st)->code;
  norn_status code = image_load(root, path, (const uint8_t *)s, n);
  mem_put(&m, s, n + 1);
  if (code) root->failed = root->spoilt = true;
  return code;
}

/* ---- whole programs ---- */

bool infer_program_begin(infer_slot *slot, norn_run *run)
{
  infer_program *p = &slot->program;
  norn_state *st = norn_run_state(run);
  if (p->run != run) {
    norn_infer_free(p->waits);
    *p = (infer_program){ .run = run };
  }
  if (p->known) return true;
  p->stream = archive_stream(run);
  return p->known = archive_prints(st, archive_bottom(run), &p->print[0], &p->print[1]);
}

static void program_head(const infer_program *p, head *h)
{
  memset(h, 0, sizeof *h);
  h->program = p->print[0];
  h->values = p->print[1];
  h->stream = p->stream;
  snprintf(h->name, sizeof h->name, "%s", whole_program);
}

/* Draws are kept in that file again: the listener is told those that there are, too. */
static void keep_again(norn_state *st, infer_slot *slot)
{
  static const char keep[] = "keep_draws";
  char path[sizeof slot->kept];
  norn_datum f, name, out;
  infer_program resumed = slot->program;               /* not the program that the name is */
  memcpy(path, slot->kept, sizeof path);
  slot->program = (infer_program){ 0 };
  bool well = norn_eval(st, "--checkpoint", keep, sizeof keep - 1, 0, &f) == NORN_OK &&
              !norn_is_none(name = norn_cstring(st, path)) && norn_call(st, f, &name, 1, &out) == NORN_OK;
  slot->program = resumed;
  if (well) return;
  norn_warning(st, (norn_span){ 0 }, "draws are no longer kept as they come (keep_draws), as the program was resumed: %s",
               norn_error(st)->text);
  norn_clear(st);
}

/* Both ways: what the program has made of its state, its run, and whether an inference follows. */
static bool program_archive(norn_archive *a, infer_slot *slot, norn_run **run, bool *waits)
{
  if (!norn_archive_text(a, slot->kept, sizeof slot->kept)) return false;
  return archive_addresses(a) && archive_globals(a) && norn_archive_u32(a, &slot->count) && norn_archive_run(a, run) &&
         norn_archive_span(a, &slot->program.span) && norn_archive_bool(a, waits);
}

norn_status norn_program_save(norn_state *st, const char *path)
{
  infer_slot *slot = infer_slot_of(st);
  infer_program *p = slot ? &slot->program : NULL;
  if (!p) return NORN_EMEMORY;
  if (!p->run || !p->known || slot->driving != 1)
    return norn_fail(st, NORN_EUSE, -1, "only a program that norn_drive drives, and that pauses, can be saved");
  bool waits = p->waits != NULL;
  head h;
  norn_status s = waits ? all_archive(p->waits, true) : NORN_OK;
  norn_archive *a = s ? NULL : archive_writer(st);
  if (!a) return s ? s : NORN_EMEMORY;
  program_head(p, &h);
  head_end(&h, p->waits);
  bool well = archive_libraries(a) && program_archive(a, slot, &p->run, &waits) && (!waits || levels_put(a, p->waits));
  s = well ? image_write(st, a, &h, path) : norn_error(st)->code;
  archive_free(a);
  return s;
}

static norn_status program_read(infer_slot *slot, norn_run **run, const char *path, const uint8_t *s, size_t n)
{
  norn_state *st = norn_run_state(*run);
  infer_program *p = &slot->program;
  head mine;
  bool waits = false;
  program_head(p, &mine);
  norn_status code = head_check(st, &mine, path, s, n);
  if (code) return code;
  size_t skip = sizeof(preface) + sizeof(head);
  norn_archive *a = archive_reader(st, path, s + skip, n - skip);
  if (!a) return norn_error(st)->code;
  bool well = program_archive(a, slot, run, &waits) && (!waits || levels_get(a, &p->waits)) && archive_finished(a);
  if (well && !*run) well = norn_archive_fail(a, "it holds no program");
  archive_free(a);
  p->run = *run;
  return well ? NORN_OK : norn_error(st)->code;
}

norn_status norn_program_load(norn_state *st, norn_run **run, const char *path)
{
  infer_slot *slot = infer_slot_of(st);
  size_t n;
  mem m;
  if (!slot) return NORN_EMEMORY;
  if (slot->driving) return norn_fail(st, NORN_EUSE, -1, "a checkpoint goes into a program that has not begun");
  norn_status code = infer_program_begin(slot, *run) ? NORN_OK : norn_error(st)->code;
  char *s = code ? NULL : checkpoint_read(st, &m, path, &n);
  if (s) {
    code = program_read(slot, run, path, (const uint8_t *)s, n);
    mem_put(&m, s, n + 1);
  } else if (!code) {
    code = norn_error(st)->code;
  }
  if (!code) {
    if (*slot->kept && !slot->drawn) keep_again(st, slot);
    return NORN_OK;
  }
  norn_infer_free(slot->program.waits);
  norn_run_free(*run);
  *run = NULL;
  slot->program = (infer_program){ 0 };
  return code;
}
