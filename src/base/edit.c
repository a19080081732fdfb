/* edit.c: the nearest name, for hints after a misspelling.

   Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours cost 1
   (Damerau 1964), by the usual table, of which three rows are kept. */
#include "base/base.h"
#include <string.h>
#include <strings.h>

enum { EDIT_MAX = 128 };   /* longer names are only equal or different */

static int smaller(int a, int b)
{
  return a < b ? a : b;
}

int edit_distance(const char *a, const char *b, int limit)
{
  int na = (int)strnlen(a, EDIT_MAX), nb = (int)strnlen(b, EDIT_MAX);
  if (na == EDIT_MAX || nb == EDIT_MAX) return strcmp(a, b) == 0 ? 0 : limit + 1;
  if (na - nb > limit || nb - na > limit) return limit + 1;
  int rows[3][EDIT_MAX + 1];   /* distance of a[0, i) and b[0, j): rows i, i - 1 and i - 2 */
  for (int j = 0; j <= nb; j++) rows[0][j] = j;
  for (int i = 1; i <= na; i++) {
    int *row = rows[i % 3];
    const int *up = rows[(i + 2) % 3], *up2 = rows[(i + 1) % 3];
    int least = row[0] = i;
    for (int j = 1; j <= nb; j++) {
      int d = up[j - 1] + (a[i - 1] != b[j - 1]);
      d = smaller(d, smaller(up[j], row[j - 1]) + 1);
      bool swap = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swap) d = smaller(d, up2[j - 2] + 1);
      row[j] = d;
      least = smaller(least, d);
    }
    if (least > limit + 1) return limit + 1;   /* a swap may still save one */
  }
  return smaller(rows[na % 3][nb], limit + 1);
}

/* How far off a name may be and still be meant: one in three letters. */
static int tolerance(const char *want)
{
  size_t n = strnlen(want, EDIT_MAX);
  return n < 2 ? 0 : n < 6 ? 1 : n < 9 ? 2 : 3;
}

void nearest_init(nearest *n, const char *want)
{
  *n = (nearest){.want = want, .distance = tolerance(want) + 1};
}

void nearest_try(nearest *n, const char *candidate)
{
  if (n->distance == 0) return;
  int d = edit_distance(n->want, candidate, n->distance - 1);
  if (d > 1 && strcasecmp(n->want, candidate) == 0) d = 1;
  if (d >= n->distance) return;
  n->best = candidate;
  n->distance = d;
}

const char *nearest_found(const nearest *n)
{
  return n->best;
}
