/* test_net_file.c: nets as values and as files: all comes back to the bit, also the moments of a training;
   another program's net is refused by name; what is wrong with a file is said. */
#include "unit.h"
#include "base/base.h"
#include "infer/net/net_file.h"
#include "infer/net/net_in.h"
#include <stdlib.h>
#include <unistd.h>

/* A schema by hand: a real site with two coordinates, a bool, a category, a count, an input; sites of data.
   */
static net_site *site(net_schema *s, norn_state *st, const char *name, net_value value, int coords, int head)
{
  net_site *t = &s->site[s->nsite++];
  snprintf(t->name, sizeof t->name, "%s", name);
  *t = (net_site){ .latent = head >= 0, .observed = head < 0, .value = value, .coords = coords, .head = head,
                   .nargs = 1, .hot = 2, .split = head < 0, .categories = value == NET_CATEGORY ? 3 : 2 };
  snprintf(t->name, sizeof t->name, "%s", name);
  size_t n = t->split ? 1 : (size_t)coords;
  t->mean = engine_get(st, n * sizeof *t->mean);
  t->sd = engine_get(st, n * sizeof *t->sd);
  for (size_t k = 0; k < n; k++) t->mean[k] = -.1 + (double)k / 3, t->sd[k] = 1e-7 / 3;
  t->arg_mean[0] = 1.0 / 7;
  t->arg_sd[0] = .3;
  t->index_scale[0] = .25;
  return t;
}
static bool schema_new(norn_state *st, net_schema *s)
{
  static const struct { nn_head_kind kind; int n; } heads[] = { { NN_BARS, 20 }, { NN_MIXTURE, 3 },
    { NN_BERNOULLI, 1 }, { NN_CATEGORIES, 3 }, { NN_COUNTS, 2 } };
  double x[100];
  norn_rng g = { .stream = 3 };
  *s = (net_schema){ .csite = 6, .ninput = 2, .nhead = 5, .longest = 40, .context = 17 };
  s->site = engine_get(st, 6 * sizeof *s->site);
  s->input = engine_get(st, 2 * sizeof *s->input);
  s->head = engine_get(st, 5 * sizeof *s->head);
  for (int k = 0; k < 5; k++) {
    s->head[k] = (nn_head){ .kind = heads[k].kind, .n = heads[k].n };
    for (int i = 0; i < 100; i++) x[i] = norn_rng_normal(&g);
    if (!nn_head_fit(st, &s->head[k], x, 100)) return false;
  }
  s->input[0] = (net_input){ .name = "x \"quoted\"", .array = true, .width = 2, .mean = .3, .sd = 2 };
  s->input[1] = (net_input){ .name = "n", .width = 1, .mean = 1e-5, .sd = 1 };
  site(s, st, "theta[].z", NET_REAL, 2, 0);
  site(s, st, "b", NET_BOOL, 1, 2);
  site(s, st, "k\xc3\xa9", NET_CATEGORY, 1, 3);
  site(s, st, "n", NET_COUNT, 1, 4);
  net_site *y = site(s, st, "y[]", NET_REAL, 7, -1);
  y->ncovariates = 2;
  y->inputs = 1;
  if (!net_schema_open(st, s)) return false;
  net_lay_out(s);
  return true;
}
static net *net_made(norn_state *st, bool learn)
{
  net_spec spec = { .kind = NET_NPE, .shape = { .d = 16, .layers = 2, .heads = 2, .ff = 24, .swiglu = true },
                    .bars = 20, .components = 3, .head = "bars", .subsets = .25, .batch = 64,
                    .most_batch = 512, .steps = 300, .patience = 20, .rate = 1e-3, .decay = .01, .clip = 1,
                    .warm = .05 };
  net_schema s;
  CHECK(schema_new(st, &s));
  net *n = net_new(st, &spec, &s, 0xfedcba9876543210u, learn);
  CHECK(n != NULL && s.site == NULL);
  if (!n) return NULL;
  snprintf(n->model_name, sizeof n->model_name, "coin");
  n->program = 0x8123456789abcdefu;
  n->step = 1234567;
  n->runs = 1e10 / 3;
  n->loss = NAN;
  n->held_out = 5e-324;
  n->marginal = 1e300;
  n->efficiency = 0.1;
  for (size_t i = 0; learn && i < n->params.count; i++) {
    n->params.m[i] = (float)i / 7;
    n->params.v[i] = 1 / (float)(i + 1);
  }
  return n;
}

static void same_doubles(const double *a, const double *b, size_t n)
{
  CHECK(memcmp(a, b, n * sizeof *a) == 0);
}
static void same_schema(const net_schema *a, const net_schema *b)
{
  CHECK(a->nsite == b->nsite && a->ninput == b->ninput && a->nhead == b->nhead && a->rows == b->rows);
  CHECK(a->wide == b->wide && a->hot == b->hot && a->longest == b->longest && a->context == b->context);
  for (int i = 0; i < a->nsite; i++) {
    net_site x = a->site[i], y = b->site[i];
    same_doubles(x.mean, y.mean, x.split ? 1 : (size_t)x.coords);
    same_doubles(x.sd, y.sd, x.split ? 1 : (size_t)x.coords);
    same_doubles(x.arg_mean, y.arg_mean, NET_ARGS);
    same_doubles(x.arg_sd, y.arg_sd, NET_ARGS);
    same_doubles(x.index_scale, y.index_scale, NET_INDICES);
    CHECK_STR(x.name, y.name);
    CHECK(x.latent == y.latent && x.observed == y.observed && x.split == y.split && x.plain == y.plain);
    CHECK(x.value == y.value && x.coords == y.coords && x.categories == y.categories && x.nargs == y.nargs);
    CHECK(x.ncovariates == y.ncovariates && x.inputs == y.inputs && x.hot == y.hot && x.row == y.row);
    CHECK(x.head == y.head);
  }
  for (int i = 0; i < a->ninput; i++) {
    CHECK_STR(a->input[i].name, b->input[i].name);
    CHECK(a->input[i].array == b->input[i].array && a->input[i].width == b->input[i].width);
    CHECK(a->input[i].row == b->input[i].row);
    same_doubles(&a->input[i].mean, &b->input[i].mean, 1);
    same_doubles(&a->input[i].sd, &b->input[i].sd, 1);
  }
  for (int i = 0; i < a->nhead; i++) {
    const nn_head *x = &a->head[i], *y = &b->head[i];
    CHECK(x->kind == y->kind && x->n == y->n);
    same_doubles(&x->at, &y->at, 1);
    same_doubles(&x->scale, &y->scale, 1);
    if (x->kind != NN_BARS) continue;
    same_doubles(x->border, y->border, (size_t)x->n + 1);
    same_doubles(x->tail, y->tail, 2);
  }
}
static void same_net(const net *a, const net *b)
{
  same_schema(&a->schema, &b->schema);
  CHECK(a->params.count == b->params.count && a->seed == b->seed && a->program == b->program);
  CHECK(memcmp(a->params.w, b->params.w, a->params.count * sizeof(float)) == 0);
  CHECK(a->step == b->step && a->runs == b->runs && a->held_out == b->held_out);
  CHECK(a->marginal == b->marginal && a->efficiency == b->efficiency && isnan(b->kl));
  CHECK(isnan(a->loss) ? isnan(b->loss) : a->loss == b->loss);
  CHECK_STR(a->model_name, b->model_name);
  const net_spec *s = &a->spec, *t = &b->spec;
  CHECK(s->kind == t->kind && s->bars == t->bars && s->components == t->components && s->head == t->head);
  CHECK(s->shape.d == t->shape.d && s->shape.layers == t->shape.layers && s->shape.heads == t->shape.heads);
  CHECK(s->shape.ff == t->shape.ff && s->shape.swiglu == t->shape.swiglu && s->shape.rows == t->shape.rows);
  CHECK(s->subsets == t->subsets && s->batch == t->batch && s->most_batch == t->most_batch);
  CHECK(s->adapt == t->adapt && s->steps == t->steps && s->simulations == t->simulations);
  CHECK(s->patience == t->patience && s->rate == t->rate && s->decay == t->decay && s->clip == t->clip);
  CHECK(s->warm == t->warm);
}

static void test_round(norn_state *st, const char *path)
{
  net *a = net_made(st, true), *b;
  float extra[3] = { 1, 2, 3 };
  tensor_entry e = { "training.good", TENSOR_F32, 1, { 3 }, extra, sizeof extra };
  const char *key[] = { "training" }, *value[] = { "1 2 3" };
  net_more more = { .moments = true, .entry = &e, .n = 1, .key = key, .value = value, .nmeta = 1 };
  tensor_file f;
  if (!a) return;
  CHECK(!net_file_write(st, a, &more, path));
  b = net_file_read(st, path, true, &f);
  CHECK(b != NULL);
  if (!b) return;
  same_net(a, b);
  CHECK(memcmp(a->params.m, b->params.m, a->params.count * sizeof(float)) == 0);
  CHECK(memcmp(a->params.v, b->params.v, a->params.count * sizeof(float)) == 0);
  CHECK_STR(tensor_file_meta(&f, "training"), "1 2 3");
  CHECK(tensor_file_find(&f, "training.good")->size == 12);
  tensor_file_close(&f);
  net_free(b);
  /* As a net alone; and the same bytes again. */
  b = net_load(st, path);
  CHECK(b && b->params.m == NULL);
  if (b) same_net(a, b);
  CHECK(!net_save(st, b, path));
  mem m;
  mem_init(&m);
  size_t n1, n2;
  const char *why;
  char *s1 = file_read(&m, path, &n1, &why);
  b->seconds = 17;
  CHECK(!net_save(st, b, path));
  char *s2 = file_read(&m, path, &n2, &why);
  CHECK(s1 && s2 && n1 == n2 && memcmp(s1, s2, n1) == 0);
  mem_put(&m, s1, n1 + 1);
  mem_put(&m, s2, n2 + 1);
  net_free(b);
  CHECK(net_file_read(st, path, true, NULL) == NULL);
  CHECK(strstr(norn_error(st)->text, "holds a net, not a training") != NULL);
  net_free(a);
  norn_clear(st);
}

static void test_value(norn_state *st)
{
  net *a = net_made(st, false);
  norn_datum v = net_datum(st, a), other;
  CHECK(net_view(v) == a && net_view(norn_int(3)) == NULL);
  const char *s = norn_show(st, v, false, 0);
  CHECK(strstr(s, "<npe of model coin: ") == s && strstr(s, ",") && strstr(s, "1,234,567 steps"));
  CHECK(!norn_eval(st, "t", "model gp(x) { let y ~ normal(x, 1); y }; gp(2)", 46, 0, &other));
  CHECK(net_must_be_of(st, a, 0, other) == NORN_OK);
  CHECK(net_must_be_of(st, a, a->program, other) == NORN_OK);
  CHECK(net_must_be_of(st, a, 5, other) == NORN_EINFER);
  CHECK_STR(norn_error(st)->text, "this net was trained for model coin, not for gp");
  snprintf(a->model_name, sizeof a->model_name, "gp");
  CHECK(net_must_be_of(st, a, 5, other) == NORN_EINFER);
  CHECK(strstr(norn_error(st)->text, "another program") != NULL);
  norn_clear(st);
}

/* The file with one piece of its record replaced by another. */
static void changed(norn_state *st, const char *path, const char *from, const char *to, const char *want)
{
  tensor_file f;
  net *a = net_made(st, false);
  CHECK(!net_save(st, a, path) && tensor_file_open(st, path, &f));
  const char *json = tensor_file_meta(&f, "net"), *at = strstr(json, from);
  CHECK(at != NULL);
  if (at) {
    char *record = malloc(strlen(json) + strlen(to) + 1);
    sprintf(record, "%.*s%s%s", (int)(at - json), json, to, at + strlen(from));
    const char *key[] = { "format", "net" }, *value[] = { tensor_file_meta(&f, "format"), record };
    CHECK(!tensor_file_write(st, path, f.entry, f.n, key, value, 2));
    free(record);
    net *b = net_load(st, path);
    CHECK(b == NULL);
    if (b) fprintf(stderr, "%s -> %s was read\n", from, to);
    if (!strstr(norn_error(st)->text, want)) CHECK_STR(norn_error(st)->text, want);
    CHECK(b || norn_error(st)->code == NORN_EIO);
    net_free(b);
  }
  norn_clear(st);
  tensor_file_close(&f);
  net_free(a);
}
static void test_hostile(norn_state *st, const char *path)
{
  changed(st, path, "\"d\":16", "\"d\":-16", "d must be a whole number from 1");
  changed(st, path, "\"d\":16", "\"d\":16384", "wants more than");
  changed(st, path, "\"d\":16", "\"d\":18", "another shape");
  changed(st, path, "\"d\":16", "\"d\":15", "multiple of heads");
  changed(st, path, "\"d\":16", "\"d\":1e9", "d must be");
  changed(st, path, "\"layers\":2", "\"layers\":1000", "wants more than");
  changed(st, path, "\"layers\":2", "\"layers\":3", "wants more than");
  changed(st, path, "\"layers\":2", "\"layers\":1", "no part of the net");
  changed(st, path, "\"kind\":\"npe\"", "\"kind\":\"npx\"", "kind must be a word");
  changed(st, path, "\"kind\":\"npe\"", "\"kind\":3", "kind must be");
  changed(st, path, "\"coords\":2", "\"coords\":3", "mean must be 3 numbers");
  changed(st, path, "\"coords\":7", "\"coords\":99999999", "coords must be");
  changed(st, path, "\"first_head\":0", "\"first_head\":2", "of its kind");
  changed(st, path, "\"first_head\":4", "\"first_head\":5", "first_head must be");
  changed(st, path, "\"first_head\":4", "\"first_head\":-2", "first_head must be");
  changed(st, path, "\"categories\":3", "\"categories\":4", "of its kind");
  changed(st, path, "\"ncovariates\":2", "\"ncovariates\":33", "ncovariates must be");
  changed(st, path, "\"inputs\":1", "\"inputs\":4", "inputs must be");
  changed(st, path, "\"inputs\":1", "\"inputs\":3", "the width of all its inputs");
  changed(st, path, "\"array\":true,\"width\":2", "\"array\":true,\"width\":32", "the width of all its inputs");
  changed(st, path, "\"simulations\":0", "\"simulations\":4294967296", "simulations must be");
  changed(st, path, "\"warm\":0.05", "\"warm\":1e15", "warm must be");
  changed(st, path, "\"hot\":2", "\"hot\":2000", "hot must be");
  changed(st, path, "\"longest\":40", "\"longest\":4000000000", "longest must be");
  changed(st, path, "\"name\":\"b\"", "\"name\":null", "name must be a text");
  changed(st, path, "\"name\":\"b\"", "\"name\":\"b\\u0000\"", "name must be a text");
  changed(st, path, "\"border\":[-", "\"border\":[", "border must be rising");
  changed(st, path, "\"tail\":[", "\"tail\":[0,", "tail must be 2 numbers");
  changed(st, path, "\"n\":20", "\"n\":2", "border must be 3 numbers");
  changed(st, path, "\"program\":\"0x", "\"program\":\"0y", "program must be");
  changed(st, path, "\"program\":\"0x", "\"program\":\"0xffff", "program must be");
  changed(st, path, "\"sites\":[", "\"sites\":[3,", "must be a record");
  changed(st, path, "\"sites\":[", "\"sites\":3,\"x\":[", "sites must be a list");
  changed(st, path, "\"schema\":{", "\"schema\":{}, \"x\":{", "longest must be");
  changed(st, path, "{\"model\"", "[{\"model\"", "not JSON");
  changed(st, path, "\"runs\":3", "\"runs\":{\"$real\":\"nan\"},\"x\":3", "runs must be");
}

static void test_files(norn_state *st, const char *path)
{
  net *a = net_made(st, false);
  tensor_entry e = { "w", TENSOR_F32, 1, { 0 }, NULL, 0 };
  CHECK(!tensor_file_write(st, path, &e, 1, NULL, NULL, 0));
  CHECK(net_load(st, path) == NULL && strstr(norn_error(st)->text, "holds no net of Norn") != NULL);
  const char *key[] = { "format", "net" }, *value[] = { "norn net 2", "{}" };
  CHECK(!tensor_file_write(st, path, &e, 1, key, value, 2));
  CHECK(net_load(st, path) == NULL && strstr(norn_error(st)->text, "version") != NULL);
  a->params.w[5] = NAN;
  CHECK(!net_save(st, a, path));
  CHECK(net_load(st, path) == NULL && strstr(norn_error(st)->text, "not finite") != NULL);
  CHECK(net_save(st, a, "/no/such/folder/x.safetensors") == NORN_EIO);
  CHECK(strstr(norn_error(st)->text, "can't write /no/such/folder/x.safetensors") != NULL);
  net_free(a);
  norn_clear(st);
}

/* The natives save and load. */
static void test_natives(norn_state *st, const char *path)
{
  char file[80], program[400];
  norn_datum v = net_datum(st, net_made(st, false)), w;
  snprintf(file, sizeof file, "%s.safetensors", path);
  CHECK(!norn_set_global(st, "my_net", v));
  snprintf(program, sizeof program, "save(my_net, \"%s\"); load(\"%s\")", file, file);
  CHECK(!norn_eval(st, "t", program, strlen(program), NORN_LOAD_REPL, &w));
  CHECK(net_view(w) && net_view(norn_global(st, "my_net")));
  if (net_view(w)) same_net(net_view(norn_global(st, "my_net")), net_view(w));
  const char *wrong[][2] = {
    { "save(my_net, \"x.json\")", "a net is saved to a file whose name ends in .safetensors, not to x.json" },
    { "save(3, \"x.safetensors\")", "the argument must be a posterior or a net, got an integer" },
    { "save(infer((model() { let x ~ bernoulli(0.5); x })(), enumerate()), \"x.safetensors\")", "" },
    { "save(my_net, \"/no/such/folder/x.safetensors\")", "can't write /no/such/folder/x.safetensors" },
    { "load(\"/no/such/folder/x.safetensors\")", "can't read /no/such/folder/x.safetensors" } };
  for (int k = 0; k < 5; k++) {
    CHECK(norn_eval(st, "t", wrong[k][0], strlen(wrong[k][0]), NORN_LOAD_REPL, &w));
    if (!strstr(norn_error(st)->text, wrong[k][1])) CHECK_STR(norn_error(st)->text, wrong[k][1]);
  }
  CHECK(truncate(file, 3000) == 0);
  snprintf(program, sizeof program, "load(\"%s\")", file);
  CHECK(norn_eval(st, "t", program, strlen(program), NORN_LOAD_REPL, &w) == NORN_EIO);
  CHECK(strstr(norn_error(st)->text, file) && strstr(norn_error(st)->text, "no sound file of tensors"));
  unlink(file);
  norn_clear(st);
}

/* Memory ends at any point of reading: an error, and nothing is lost (ASan looks). */
static void test_memory(norn_state *full, const char *path)
{
  net *a = net_made(full, false);
  CHECK(!net_save(full, a, path));
  net_free(a);
  for (size_t most = 0; most < 1 << 18; most += 3001) {
    norn_state *st = norn_new_bare(NULL);
    norn_config_of(st)->max_memory = norn_memory_used(st) + most;
    net *b = net_load(st, path);
    if (b) net_free(b);
    else CHECK(norn_error(st)->code == NORN_EMEMORY);
    norn_free(st);
  }
}

int main(void)
{
  char path[] = "/tmp/norn_net_XXXXXX";
  int fd = mkstemp(path);
  norn_state *st = norn_new(NULL);
  if (!st || fd < 0) return 1;
  close(fd);
  test_round(st, path);
  test_value(st);
  test_hostile(st, path);
  test_files(st, path);
  test_natives(st, path);
  test_memory(st, path);
  unlink(path);
  norn_free(st);
  return unit_end();
}
