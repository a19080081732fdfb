/* decoder_plan.c: what a call computes: the nodes that lack keys and values on the ways from the root to the nodes
   that are asked for, once each, ordered so that those that share pages stand side by side and each comes
   behind what it sees. */
#include "llm/decoder/decoder_in.h"
#include <stdlib.h>
#include <string.h>

static bool add_row(dec_batch *b, lm_node *n, bool asked, bool fresh)
{
  if (!mem_grow(b->m, &b->row, &b->cap, b->n + 1, sizeof *b->row)) return false;
  b->row[b->n++] = (dec_row){ n, asked, fresh };
  return true;
}

static int by_depth(const void *a, const void *b)
{
  uint32_t i = ((const dec_row *)a)->node->depth, j = ((const dec_row *)b)->node->depth;
  return (i > j) - (i < j);
}

static int by_place(const void *a, const void *b)
{
  return kv_order(((const dec_row *)a)->node, ((const dec_row *)b)->node);
}

/* The rows; a node that lacks a place is marked by `mark` while they are collected. */
static bool collect(lm_node *const *node, int n, void *mark, dec_batch *b)
{
  for (int i = 0; i < n; i++) {
    bool fresh = !node[i]->state;
    if (!add_row(b, node[i], true, fresh)) return false;
    if (fresh) node[i]->state = mark;
  }
  for (int i = 0; i < n; i++)
    for (lm_node *k = node[i]->parent; k && k->parent && !k->state; k = k->parent) {
      if (!add_row(b, k, false, true)) return false;
      k->state = mark;
    }
  return true;
}

/* Places, those above first; what the batch stands on is not evicted meanwhile. */
static bool place(decoder *d, dec_batch *b)
{
  for (size_t i = 0; i < b->n; i++) {
    const lm_node *n = b->row[i].node;
    if (!b->row[i].fresh) kv_touch(&d->kv, n);
    else if (n->parent->state) kv_touch(&d->kv, n->parent);
  }
  kv_make_room(&d->kv, 0);
  qsort(b->row, b->n, sizeof *b->row, by_depth);
  for (size_t i = 0; i < b->n; i++)
    if (b->row[i].fresh && !kv_put(&d->kv, b->row[i].node)) return false;
  qsort(b->row, b->n, sizeof *b->row, by_place);
  return true;
}

bool dec_batch_make(decoder *d, lm_node *const *node, int n, dec_batch *b)
{
  *b = (dec_batch){ .m = d->m };
  kv_turn(&d->kv);
  bool good = collect(node, n, b, b);
  for (size_t i = 0; i < b->n; i++)
    if (b->row[i].fresh) b->row[i].node->state = NULL;
  if (good && place(d, b)) return true;
  dec_batch_free(d, b, 0);
  return false;
}

void dec_batch_free(decoder *d, dec_batch *b, size_t keep)
{
  while (b->n > keep) {
    const dec_row *r = &b->row[--b->n];
    if (r->fresh) kv_drop(&d->kv, r->node);
  }
  mem_put(b->m, b->row, b->cap * sizeof *b->row);
  *b = (dec_batch){ .m = b->m };
}

/* ---- spans ---- */

typedef struct view { const kv_page *page; int seen; } view;

/* The pages that a node sees, the first first, into `way`. */
static int see(const lm_node *n, view *way)
{
  const kv_page *p = n->state;
  int seen = kv_slot(n) + 1, pages = (int)p->level + 1;
  for (int i = pages; i-- > 0; p = p->parent) {
    way[i] = (view){ p, seen };
    seen = p->fork;
  }
  return pages;
}

/* open[i]: the span that covers the row before at level i. */
static bool spans_of(mem *m, lm_node *const *node, int n, view *way, int *open, dec_span **span, size_t *room,
                     int *spans)
{
  int before = 0;
  *spans = 0;
  for (int r = 0; r < n; r++) {
    int pages = see(node[r], way), same = 0;
    while (same < before && same < pages && (*span)[open[same]].page == way[same].page &&
           (*span)[open[same]].seen == way[same].seen)
      (*span)[open[same++]].to = r + 1;
    for (int i = same; i < pages; i++) {
      if (!mem_grow(m, span, room, (size_t)*spans + 1, sizeof **span)) return false;
      (*span)[*spans] = (dec_span){ way[i].page, way[i].seen, (int)way[i].page->first, r, r + 1 };
      open[i] = (*spans)++;
    }
    before = pages;
  }
  return true;
}

bool dec_spans(mem *m, lm_node *const *node, int n, dec_span **span, size_t *room, int *spans, int *length)
{
  uint32_t most = 0;
  for (int r = 0; r < n; r++) {
    const kv_page *p = node[r]->state;
    length[r] = (int)node[r]->depth;
    if (p->level + 1 > most) most = p->level + 1;
  }
  view *way = mem_get(m, most * sizeof *way);
  int *open = mem_get(m, most * sizeof *open);
  bool good = way && open && spans_of(m, node, n, way, open, span, room, spans);
  mem_put(m, way, most * sizeof *way);
  mem_put(m, open, most * sizeof *open);
  return good;
}
