/* net_answers: a pfn asked about many data sets at once: what answer(net, models) is made of.

   Each model is run once for its context and its questions (net_asked_look).  Sequences of both,

       context tokens, who see one another  |  questions, who see the context

   go through the net together, PART of them in a part, the longest first; so a pass is of large products, and parts are
   threads' work.  A number differs from that of answer(net, model), which remembers the context, by the rounding
   of floats alone; how data sets are parted depends on their order, not on threads. */
#include "infer/infer.h"
#include "infer/net/amortized.h"
#include "infer/net/net_asked_in.h"
#include "base/pool.h"
#include <string.h>

enum { SETS = 64, PART = 16, PARTS = SETS / PART, LANE_ANSWERS = 26 };

typedef struct part {
  nn_tokens tk;
  size_t room;                         /* bytes of tk's arrays, which begin at row */
  nn_room *nn;
  float *z; size_t nz;
} part;

typedef struct answers {
  norn_ref *net;
  int64_t all, done;
  net_asked *set[SETS];
  int n;                               /* data sets of this round */
  int order[SETS], length[SETS];       /* that of place k among the longest; tokens of data set i */
  part part[PARTS];
} answers;

static norn_status answers_init(norn_infer *inf, void *self)
{
  answers *e = self;
  norn_state *st = norn_infer_state(inf);
  norn_datum v = norn_infer_option(inf, 1), of = norn_infer_option(inf, 0);
  const char *path = norn_string_view(of, NULL);
  if (path && norn_config_of(st)->no_files)
    return norn_fail(st, NORN_EIO, -1, "the net \"%.100s\" can't be read: files are forbidden here", path);
  net *own = path ? net_load(st, path) : NULL;
  if (path && !own) return norn_error(st)->code;
  if (own && norn_is_none(of = net_datum(st, own))) {
    net_free(own);
    return NORN_EMEMORY;
  }
  const net *n = net_view(of);
  if (!n || n->spec.kind != NET_PFN) {
    norn_fail(st, NORN_EINFER, -1, "answer wants a pfn net%s%s", n ? ", got one of " : "",
              n ? net_kind_names[n->spec.kind] : "");
    norn_hint(st, "infer(model(data), amortized(net)) is the posterior by this one");
    return NORN_EINFER;
  }
  e->all = norn_array_length(v);
  if (e->all < 0) return norn_fail(st, NORN_ETYPE, -1, "answer wants a model value or an array of them");
  return (e->net = norn_keep(st, of)) ? NORN_OK : NORN_EMEMORY;
}

/* ---- a round: contexts and questions ---- */

static bool element_failed(norn_state *st, int64_t k, int64_t all)
{
  if (!norn_error(st)->hint[0]) norn_hint(st, "it is element %lld of the %lld models", (long long)k, (long long)all);
  return false;
}

static bool look(norn_infer *inf, answers *e, int i)
{
  norn_state *st = norn_infer_state(inf);
  const net *n = net_view(norn_get(e->net));
  int64_t k = e->done + i;
  char what[120];
  norn_datum model = norn_array_at(st, norn_infer_option(inf, 1), k);
  if (model.tag != NORN_MODEL) {
    norn_fail(st, NORN_ETYPE, -1, "answer wants models, got %s", norn_describe(st, model, what, sizeof what));
    return element_failed(st, k, e->all);
  }
  uint64_t program = net_program(st, model);
  model = norn_array_at(st, norn_infer_option(inf, 1), k);
  if (norn_error(st)->code || net_must_be_of(st, n, program, model)) return element_failed(st, k, e->all);
  uint64_t stream = norn_stream_split(norn_infer_stream(inf), ENGINE_LANE, LANE_ANSWERS, (uint32_t)k);
  if (!(e->set[i] = net_asked_look(st, n, model, stream))) return element_failed(st, k, e->all);
  const char *refusal = net_asked_refusal(e->set[i]);
  if (refusal) norn_fail(st, NORN_EINFER, -1, "the net says nothing here: %s", refusal);
  else if (!net_asked_missing(e->set[i]))
    norn_fail(st, NORN_EINFER, -1, "a pfn net predicts missing observations, and none of these is missing");
  else return true;
  return element_failed(st, k, e->all);
}

/* The data set at place k, by falling length. */
static net_asked *at_place(const answers *e, int k) { return e->set[e->order[k]]; }

static void sort(answers *e)
{
  for (int i = 0; i < e->n; i++) {
    int k = i, n = e->length[i] = net_asked_context(e->set[i]) + e->set[i]->noted;
    for (; k > 0 && e->length[e->order[k - 1]] < n; k--) e->order[k] = e->order[k - 1];
    e->order[k] = i;
  }
}

/* Arrays for b sequences of t tokens and nq questions, in one piece. */
static bool tokens_room(norn_state *st, part *p, int b, int t, int nq, int wide)
{
  nn_tokens *tk = &p->tk;
  size_t n = (size_t)b * (size_t)t, q = (size_t)nq, j = (size_t)wide;
  size_t bytes = n * j * (sizeof *tk->row + sizeof *tk->coef) + q * (2 * sizeof *tk->at + sizeof *tk->target) +
                 n * 2 * sizeof *tk->order;
  engine_put(st, tk->row, p->room);
  *tk = (nn_tokens){ .b = b, .t = t, .j = wide, .row = engine_get(st, bytes) };
  p->room = tk->row ? bytes : 0;
  if (!tk->row) return false;
  tk->coef = (float *)(void *)(tk->row + n * j);
  tk->at = (int32_t *)(void *)(tk->coef + n * j);
  tk->head = tk->at + q;
  tk->target = (float *)(void *)(tk->head + q);
  tk->order = (int16_t *)(void *)(tk->target + q);
  tk->see = tk->order + n;
  return true;
}

/* Sequence s of a part: the context of a, then its questions. */
static void lay(nn_tokens *tk, int s, const net_asked *a)
{
  size_t j = (size_t)tk->j;
  int first = s * tk->t, at = first + net_asked_context(a);
  net_asked_lay(a, tk, first);
  memcpy(row_of(tk, at), a->nrow, (size_t)a->noted * j * sizeof *tk->row);
  memcpy(coef_of(tk, at), a->ncoef, (size_t)a->noted * j * sizeof *tk->coef);
  for (int i = 0; i < a->noted; i++, at++) {
    tk->order[at] = NN_UNSEEN;
    tk->see[at] = 1;
  }
  while (at < first + tk->t) pad(tk, at++);
}

/* Questions of a part by rising head; each reply learns where its answer will be. */
static size_t questions(answers *e, part *p, int from)
{
  nn_tokens *tk = &p->tk;
  const net_schema *s = &e->set[0]->net->schema;
  size_t width = 0;
  for (int h = 0; h < s->nhead; h++)
    for (int i = 0; i < tk->b; i++) {
      net_asked *a = at_place(e, from + i);
      for (int q = 0; q < a->noted; q++) {
        if (a->reply[q].head != h) continue;
        tk->at[tk->nq] = i * tk->t + net_asked_context(a) + q;
        tk->head[tk->nq++] = h;
        a->reply[q].at = width;
        width += (size_t)nn_head_width(&s->head[h]);
      }
    }
  return width;
}

static bool part_fill(norn_state *st, answers *e, part *p, int from)
{
  int b = e->n - from < PART ? e->n - from : PART, t = e->length[e->order[from]], nq = 0;
  for (int i = 0; i < b; i++) nq += at_place(e, from + i)->noted;
  if (!tokens_room(st, p, b, t, nq, e->set[0]->net->schema.wide)) return false;
  for (int i = 0; i < b; i++) lay(&p->tk, i, at_place(e, from + i));
  size_t width = questions(e, p, from);
  if (!engine_room(st, &p->z, &p->nz, width, sizeof *p->z) || (!p->nn && !(p->nn = nn_room_new(st)))) return false;
  return nn_room_fit(p->nn, e->set[0]->net->model, &p->tk, false) ||
         !norn_fail(st, NORN_EMEMORY, -1, "out of memory for the answers of %d data sets", e->n);
}

static void part_job(void *of, int k)
{
  answers *e = of;
  part *p = &e->part[k];
  const nn_model *m = e->set[0]->net->model;
  nn_model_answers(m, p->nn, &p->tk, p->z);
}

/* One pass for all data sets of the round.  false: error set. */
static bool pass(norn_state *st, answers *e)
{
  int parts = (e->n + PART - 1) / PART;
  pthread_t thread[PARTS];
  pool all;
  sort(e);
  for (int k = 0; k < parts; k++) if (!part_fill(st, e, &e->part[k], k * PART)) return false;
  int threads = parts > 1 ? norn_crew_threads(st, 0) : 1;
  pool_start(&all, thread, threads < parts ? threads : parts);
  pool_run(&all, parts, part_job, NULL, e);
  pool_end(&all);
  return true;
}

/* ---- what they said ---- */

/* The distributions of data set i, which was in part p, as a draw.  false: error set. */
static bool give(norn_infer *inf, answers *e, int i, const part *p)
{
  norn_state *st = norn_infer_state(inf);
  net_asked *a = e->set[i];
  column all = { 0 };
  bool good = true;
  for (int q = 0; good && q < a->noted; q++) {
    a->reply[q].z = p->z + a->reply[q].at;
    norn_datum v = net_answer_dist(st, norn_get(e->net), &a->reply[q]);
    good = !norn_is_none(v) && column_push(st, &all, v);
  }
  norn_datum draw = good ? column_array(st, &all) : norn_none();
  good = good && !norn_is_none(draw) && !norn_infer_draw(inf, draw, 0);
  column_free(st, &all);
  return good;
}

static void sets_free(answers *e)
{
  for (int i = 0; i < SETS; i++) {
    net_asked_free(e->set[i]);
    e->set[i] = NULL;
  }
}

static norn_step answers_step(norn_infer *inf, void *self)
{
  answers *e = self;
  norn_state *st = norn_infer_state(inf);
  e->n = e->all - e->done < SETS ? (int)(e->all - e->done) : SETS;
  bool good = true;
  for (int i = 0; good && i < e->n; i++) good = look(inf, e, i) && !norn_poll(st);
  good = good && (!e->n || pass(st, e));
  int place[SETS];
  for (int k = 0; k < e->n; k++) place[e->order[k]] = k;
  for (int i = 0; good && i < e->n; i++) good = give(inf, e, i, &e->part[place[i] / PART]);
  sets_free(e);
  e->done += e->n;
  return !good ? NORN_STEP_FAIL : e->done < e->all ? NORN_STEP_MORE : NORN_STEP_DONE;
}

static void answers_progress(norn_infer *inf, void *self, norn_progress *p)
{
  const answers *e = self;
  (void)inf;
  p->done = (double)e->done;
  p->total = (double)e->all;
}

static void answers_free(norn_infer *inf, void *self)
{
  answers *e = self;
  norn_state *st = norn_infer_state(inf);
  sets_free(e);
  for (int k = 0; k < PARTS; k++) {
    part *p = &e->part[k];
    engine_put(st, p->tk.row, p->room);
    engine_put(st, p->z, p->nz * sizeof *p->z);
    nn_room_free(p->nn);
  }
  if (e->net) norn_drop(e->net);
}

/* Draws are kept by the inference, and a round begins and ends in a step. */
static norn_status answers_archive(norn_infer *inf, void *self, norn_archive *a)
{
  answers *e = self;
  (void)inf;
  norn_archive_i64(a, &e->done);
  if (!norn_archive_status(a) && (e->done < 0 || e->done > e->all)) norn_archive_fail(a, "its data sets are others");
  return norn_archive_status(a);
}

static const norn_option answers_options[] = {
  { "net", NULL, "a pfn net, or the name of its file" },
  { "models", NULL, "an array of model values" }
};
const norn_engine engine_answers = {
  .version = NORN_ENGINE_VERSION, .name = "_answers", .doc = "What answer(net, models) is made of.",
  .options = answers_options, .noptions = NORN_COUNT(answers_options), .size = sizeof(answers),
  .init = answers_init, .step = answers_step, .progress = answers_progress, .free = answers_free,
  .archive = answers_archive
};
