/* See model.h. */
#include "model.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char mark[] = "model ";

typedef struct { norn_state *st; name_list all; } gatherer;

static void gather(void *user, const char *name)
{
  gatherer *g = user;
  char **more = realloc(g->all.names, ((size_t)g->all.n + 1) * sizeof *more);
  if (!more) return;
  g->all.names = more;
  if ((more[g->all.n] = strdup(name)) != NULL) g->all.n++;
}

static bool has(const name_list *l, const char *name)
{
  for (int i = 0; l && i < l->n; i++)
    if (strcmp(l->names[i], name) == 0) return true;
  return false;
}

void models_list(norn_state *st, const name_list *known, name_list *out)
{
  gatherer g = { st, { NULL, 0 } };
  norn_complete(st, "", gather, &g);
  *out = (name_list){ NULL, 0 };
  for (int i = 0; i < g.all.n; i++) {
    const char *doc = norn_doc(st, g.all.names[i]);
    if (!doc || strncmp(doc, mark, sizeof mark - 1) != 0 || has(known, g.all.names[i])) continue;
    gatherer more = { st, *out };
    gather(&more, g.all.names[i]);
    *out = more.all;
  }
  names_free(&g.all);
}

void names_free(name_list *l)
{
  for (int i = 0; i < l->n; i++) free(l->names[i]);
  free(l->names);
  *l = (name_list){ NULL, 0 };
}

/* One parameter from "name: type(...) = fallback"; returns where it ends: at , or ) outside of
   brackets and strings. */
static const char *read_param(const char *p, signature *s)
{
  int depth = 0;
  bool text = false, equal = false;
  const char *start = p += strspn(p, " ");
  size_t n = 0;
  while (isalnum((unsigned char)p[n]) || p[n] == '_' || (unsigned char)p[n] >= 128) n++;
  for (; *p; p++) {
    if (text) {
      if (*p == '\\' && p[1]) p++;
      else if (*p == '"') text = false;
    } else if (*p == '"') text = true;
    else if (strchr("([{", *p)) depth++;
    else if (depth == 0 && (*p == ',' || *p == ')')) break;
    else if (strchr(")]}", *p)) depth--;
    else if (*p == '=' && depth == 0) equal = true;
  }
  if (n > 0 && s->n < SIGNATURE_MAX) {
    snprintf(s->params[s->n].name, sizeof s->params[0].name, "%.*s", (int)n, start);
    s->params[s->n].optional = equal;
  }
  if (n > 0) s->n++;
  return p;
}

bool signature_read(norn_state *st, const char *name, signature *s)
{
  const char *doc = norn_doc(st, name), *p;
  memset(s, 0, sizeof *s);
  if (!doc || strncmp(doc, mark, sizeof mark - 1) != 0) return false;
  doc += sizeof mark - 1;
  snprintf(s->name, sizeof s->name, "%s", name);
  snprintf(s->text, sizeof s->text, "%.*s", (int)strcspn(doc, "\n"), doc);
  p = strchr(s->text, '(');
  for (bool more = p != NULL; more; more = *p == ',') p = read_param(p + 1, s);
  return s->n <= SIGNATURE_MAX;
}

int signature_find(const signature *s, const char *param)
{
  for (int i = 0; i < s->n; i++)
    if (strcmp(s->params[i].name, param) == 0) return i;
  return -1;
}
