/* net_schema: sites: which pattern an address has, and which rows of the table its tokens take (net.h).

   Rows of the table, first those that all sites share:

       hot i                  index i < hot, of any of the NET_INDICES places: place * schema.hot + i
       then of each input     what it is, its number          (arrays: nothing; elements have rows of their
   sites)
       then of each site, from `row` on:
         value                here is a value of it
         question c           what is its coordinate c?       (split: one; as many as heads)
         number c             coordinate or count, or 1 and -1 of booleans; of categories one row each
         argument i           of the prior, in questions
         index i              as a number
         covariate i

   A coordinate that is real or a count is a feature by its standard form, net_feature of it. */
#include "infer/net/net_in.h"
#include <stdio.h>
#include <string.h>

enum { NAME_MOST = 4096, PARTS = 80, PERIOD = 4 };

/* ---- patterns ---- */

/* An address in parts: text with [] for indices, and these. */
typedef struct part { char text[64]; int64_t index[NET_INDICES]; int n; } part;

/* Indices inside of brackets at *s, which is moved behind them; text: "[]" or "[,]". */
static void part_indices(const char **s, part *p, size_t *at)
{
  for (; **s; ++*s) {
    bool number = **s == '[' || **s == ',';
    if (**s != ' ' && !(**s == '-' || (**s >= '0' && **s <= '9')) &&
        *at + 1 < sizeof p->text) p->text[(*at)++] = **s;
    if (number) {
      long long i = 0;
      sscanf(*s + 1, "%lld", &i);
      if (p->n == NET_INDICES) memmove(p->index, p->index + 1, --p->n * sizeof *p->index);
      p->index[p->n++] = i;
    }
    if (**s == ']') { ++*s; return; }
  }
}

/* What memoised calls have been called with is no part of the pattern. */
static void part_braces(const char **s, part *p, size_t *at)
{
  for (; **s && **s != '}'; ++*s) {}
  if (**s) ++*s;
  for (const char *t = "{}"; *t && *at + 1 < sizeof p->text; t++) p->text[(*at)++] = *t;
}

/* The last PARTS - 1 parts of a printed address. */
static int parts_of(const char *s, part *p)
{
  int n = 0;
  while (*s == '.') s++;                     /* a long path begins with .. */
  while (*s) {
    if (n == PARTS) memmove(p, p + 1, --n * sizeof *p);
    part *q = &p[n++];
    size_t at = 0;
    memset(q, 0, sizeof *q);
    while (*s && *s != '.')
      if (*s == '[') part_indices(&s, q, &at);
      else if (*s == '{') part_braces(&s, q, &at);
      else if (at + 1 < sizeof q->text) q->text[at++] = *s++;
      else s++;
    if (*s) s++;
  }
  return n;
}

/* Blocks of parts that follow their like are taken out, the last one stays; *depth: how many parts. */
static int parts_fold(part *p, int n, int *depth)
{
  *depth = 0;
  for (int period = 1; period <= PERIOD; period++)
    for (int i = 0; i + 2 * period <= n;) {
      bool same = true;
      for (int k = 0; same && k < period; k++) same = !strcmp(p[i + k].text, p[i + period + k].text);
      if (!same) { i++; continue; }
      memmove(p + i, p + i + period, (size_t)(n - i - period) * sizeof *p);
      n -= period;
      *depth += period;
    }
  return n;
}

static int32_t index_in_range(int64_t i)
{
  return i > INT32_MAX ? INT32_MAX : i < INT32_MIN ? INT32_MIN : (int32_t)i;
}

/* The pattern of a printed address, with its indices, of which the depth of recursion is the last. */
static bool pattern_of(const char *name, char *out, size_t size, int32_t *index)
{
  part p[PARTS];
  int depth, n = parts_fold(p, parts_of(name, p), &depth), m = 0;
  int64_t last[NET_INDICES + 1];
  size_t at = 0;
  for (int i = 0; i < n; i++) {
    int k = snprintf(out + at, size - at, "%s%s", i ? "." : "", p[i].text);
    if (k < 0 || at + (size_t)k >= size) return false;
    at += (size_t)k;
    for (int j = 0; j < p[i].n; j++) {
      if (m == NET_INDICES) memmove(last, last + 1, --m * sizeof *last);
      last[m++] = p[i].index[j];
    }
  }
  if (!n) *out = 0;
  if (m < NET_INDICES) last[m++] = depth;
  for (int i = 0; i < NET_INDICES; i++) index[i] = i < m ? index_in_range(last[i]) : 0;
  return true;
}

int net_site_indices(const net_site *s)
{
  int n = 0;
  for (const char *c = s->name; *c; c++) n += *c == '[' || *c == ',';
  return n < NET_INDICES ? n : NET_INDICES;
}

int64_t net_element(const net_site *s, const net_event *e, int c)
{
  if (s->split) return c;
  int n = net_site_indices(s);
  return n ? e->index[n - 1] : c;
}

/* ---- places: what is known of addresses ---- */

static net_place *place_find(const net_places *t, uint64_t key)
{
  size_t k = key & (t->size - 1);
  while (t->at[k].key && t->at[k].key != key) k = (k + 1) & (t->size - 1);
  return &t->at[k];
}

static bool places_grow(net_places *t)
{
  if (2 * (t->used + 1) <= t->size) return true;
  net_places old = *t;
  t->size = old.size ? 2 * old.size : 256;
  if (!(t->at = engine_get(t->st, t->size * sizeof *t->at))) { *t = old; return false; }
  for (size_t i = 0; i < old.size; i++)
    if (old.at[i].key) *place_find(t, old.at[i].key) = old.at[i];
  engine_put(t->st, old.at, old.size * sizeof *old.at);
  return true;
}

static void places_forget(net_places *t)
{
  memset(t->at, 0, t->size * sizeof *t->at);
  t->used = 0;
}

static uint64_t place_key(const norn_event *ev)
{
  uint64_t key = net_of_data(ev) ? hash_observation(ev->addr, ev->span) : ev->addr;
  key = hash_mix(key + 0x9e3779b97f4a7c15u * (1 + (uint64_t)net_class_of(ev->dist)));
  return key ? key : 1;
}

/* ---- sites by name ---- */

static const char *const class_names[] = { "real", "bool", "whole" };

static int site_named(const net_schema *h, const char *name, net_class class)
{
  size_t n = strlen(name);
  for (int i = 0; i < h->nsite; i++) {
    const char *s = h->site[i].name;
    if (strncmp(s, name, n) || net_class_of_site(&h->site[i]) != class) continue;
    if (!s[n] || (s[n] == ':' && !strcmp(s + n + 1, class_names[class]))) return i;
  }
  return -1;
}

static bool site_of_name(const net_schema *h, const char *name)
{
  for (int i = 0; i < h->nsite; i++)
    if (!strcmp(h->site[i].name, name)) return true;
  return false;
}

/* The same name may be observed in several places of a function: the second and later of its observations
   have their number behind it. */
static int site_find(const net_schema *h, norn_state *st, const norn_event *ev, const char *pattern,
                     char *name,
                     size_t size)
{
  net_class class = net_class_of(ev->dist);
  int number = net_of_data(ev) ? norn_observe_number(st, ev->span) : 0;
  if (number > 0) snprintf(name, size, "%s~%d", pattern, number);
  else snprintf(name, size, "%s", pattern);
  return site_named(h, name, class);
}

static int site_add(net_schema *h, norn_state *st, net_class class, const char *name)
{
  size_t cap = (size_t)h->csite;
  bool taken = site_of_name(h, name);
  if (!engine_room(st, &h->site, &cap, (size_t)h->nsite + 1, sizeof *h->site)) return NET_FAILED;
  h->csite = (int)cap;
  net_site *s = &h->site[h->nsite];
  memset(s, 0, sizeof *s);
  int k = snprintf(s->name, sizeof s->name, "%s%s%s", name, taken ? ":" : "",
                   taken ? class_names[class] : "");
  if (k < 0 || (size_t)k >= sizeof s->name) {
    norn_fail(st, NORN_EINFER, -1, "the name %s is too long for a net", name);
    norn_hint(st, "nets keep names of at most %d bytes: write shorter names in nested models",
              (int)sizeof s->name - 1);
    return NET_FAILED;
  }
  s->value = class == NET_CLASS_REAL ? NET_REAL : class == NET_CLASS_BOOL ? NET_BOOL : NET_COUNT;
  s->head = -1;
  return h->nsite++;
}

static int look_up(const net_schema *h, net_schema *add, norn_state *st, const norn_event *ev, int32_t *index)
{
  char shown[NAME_MOST], pattern[96], name[128];
  norn_addr_name(st, ev->addr, shown, sizeof shown);
  if (*shown == '@' && ev->addr) return NET_NAMELESS;
  if (*shown == '@') *shown = 0;             /* a literal that is observed by the model itself */
  if (strlen(shown) + 1 >= sizeof shown || !pattern_of(shown, pattern, sizeof pattern, index)) {
    if (!add) return -1;
    engine_fail(st, NORN_EINFER, ev->span, "the name of this choice is too long for a net: %.60s ...", shown);
    norn_hint(st, "write shorter names in nested models");
    return NET_FAILED;
  }
  int i = site_find(h, st, ev, pattern, name, sizeof name);
  if (i >= 0 || !add) return i;
  i = site_add(add, st, net_class_of(ev->dist), name);
  if (i == NET_FAILED) engine_place(st, ev->span);
  return i;
}

static int place_of(const net_schema *h, net_schema *add, norn_state *st, const norn_event *ev,
                    int32_t *index)
{
  enum { MOST = 1 << 20 };
  net_places *t = h->places;
  uint64_t key = place_key(ev);
  net_place *p = t->used ? place_find(t, key) : NULL;
  if (NORN_LIKELY(p && p->key)) {
    memcpy(index, p->index, sizeof p->index);
    return p->site;
  }
  int i = look_up(h, add, st, ev, index);
  if (i == NET_NAMELESS || i == NET_FAILED) return i;
  if (t->used >= MOST) places_forget(t);
  if (!places_grow(t)) return NET_FAILED;
  p = place_find(t, key);
  p->key = key;
  p->site = i;
  memcpy(p->index, index, sizeof p->index);
  t->used++;
  return i;
}

int net_place_of(const net_schema *h, norn_state *st, const norn_event *ev, int32_t *index)
{
  return place_of(h, NULL, st, ev, index);
}

int net_place_or_add(net_schema *h, norn_state *st, const norn_event *ev, int32_t *index)
{
  return place_of(h, h, st, ev, index);
}

/* ---- the table's rows ---- */

static int numbers_of(const net_site *s)
{
  int n = s->split ? 1 : s->coords;
  return s->value == NET_CATEGORY || (s->value == NET_BOOL && n == 1) ? n * s->categories : n;
}

static int features_of(const net_site *s)
{
  int n = s->nargs + s->ncovariates;
  for (int i = 0; i < NET_INDICES; i++) n += (s->index_scale[i] != 0) + (s->hot > 0);
  return n;
}

void net_lay_out(net_schema *h)
{
  int row;
  h->hot = 0;
  h->wide = 2;
  for (int i = 0; i < h->nsite; i++) if (h->site[i].hot > h->hot) h->hot = h->site[i].hot;
  row = NET_INDICES * h->hot;
  for (int i = 0; i < h->ninput; i++) {
    h->input[i].row = row;
    row += h->input[i].array ? 0 : 2;
  }
  for (int i = 0; i < h->nsite; i++) {
    net_site *s = &h->site[i];
    int coords = s->split ? 1 : s->coords;
    s->row = row;
    row += 1 + (s->head < 0 ? 0 : coords) + numbers_of(s) + s->nargs + NET_INDICES + s->ncovariates;
    int wide = 1 + coords + features_of(s);
    if (wide > h->wide) h->wide = wide;
  }
  h->rows = row;
}

/* ---- making, copying, freeing ---- */

bool net_schema_open(norn_state *st, net_schema *h)
{
  if (!(h->places = engine_get(st, sizeof *h->places))) return false;
  h->places->st = st;
  return places_grow(h->places);
}

bool net_places_copy(norn_state *st, net_schema *to, const net_schema *from)
{
  net_places *p = engine_get(st, sizeof *p);
  to->places = p;
  if (!p) return false;
  p->st = st;
  if (!(p->at = engine_get(st, from->places->size * sizeof *p->at))) return false;
  p->size = from->places->size;
  p->used = from->places->used;
  memcpy(p->at, from->places->at, p->size * sizeof *p->at);
  return true;
}

void net_places_free(norn_state *st, net_schema *h)
{
  if (h->places) engine_put(st, h->places->at, h->places->size * sizeof *h->places->at);
  engine_put(st, h->places, sizeof *h->places);
  h->places = NULL;
}

/* Of site and head arrays the copies; NULL stays NULL.  false: no memory, error set. */
static bool doubled(norn_state *st, double **x, const double *from, size_t n)
{
  *x = NULL;
  if (!from) return true;
  if (!(*x = engine_get(st, n * sizeof **x))) return false;
  memcpy(*x, from, n * sizeof **x);
  return true;
}

static size_t scales_of(const net_site *s) { return s->split ? 1 : (size_t)s->coords; }

bool net_schema_copy(norn_state *st, net_schema *to, const net_schema *from)
{
  *to = *from;
  to->places = NULL;
  to->nsite = to->csite = to->ninput = to->nhead = 0;
  to->site = engine_get(st, (size_t)from->nsite * sizeof *to->site);
  to->input = engine_get(st, (size_t)from->ninput * sizeof *to->input);
  to->head = engine_get(st, (size_t)from->nhead * sizeof *to->head);
  bool good = to->site && to->input && to->head;
  to->csite = good ? from->nsite : 0;
  if (good) memcpy(to->input, from->input, (size_t)from->ninput * sizeof *to->input);
  to->ninput = good ? from->ninput : 0;
  for (int i = 0; good && i < from->nsite; i++) {
    net_site *s = &to->site[to->nsite++];
    *s = from->site[i];
    s->mean = s->sd = NULL;
    good = doubled(st, &s->mean, from->site[i].mean, scales_of(s)) &&
           doubled(st, &s->sd, from->site[i].sd, scales_of(s));
  }
  for (int i = 0; good && i < from->nhead; i++) {
    to->head[to->nhead] = from->head[i];
    good = doubled(st, &to->head[to->nhead++].border, from->head[i].border, (size_t)from->head[i].n + 1);
  }
  if (good && net_schema_open(st, to)) return true;
  net_schema_free(st, to);
  return false;
}

void net_schema_free(norn_state *st, net_schema *h)
{
  for (int i = 0; i < h->nsite; i++) {
    size_t n = scales_of(&h->site[i]) * sizeof(double);
    engine_put(st, h->site[i].mean, n);
    engine_put(st, h->site[i].sd, n);
  }
  for (int i = 0; i < h->nhead; i++)
    engine_put(st, h->head[i].border, ((size_t)h->head[i].n + 1) * sizeof(double));
  engine_put(st, h->site, (size_t)h->csite * sizeof *h->site);
  engine_put(st, h->input, (size_t)h->ninput * sizeof *h->input);
  engine_put(st, h->head, (size_t)h->nhead * sizeof *h->head);
  net_places_free(st, h);
  *h = (net_schema){ 0 };
}
