/* tokens.c: parts of a batch (tokens.h). */
#include "nn/tokens.h"

void nn_tokens_part(const nn_tokens *k, int from, int n, nn_tokens *part, int32_t *at, int32_t *head,
                    float *target)
{
  int64_t first = (int64_t)from * k->t, end = first + (int64_t)n * k->t;
  *part = *k;
  part->b = n;
  part->row += first * k->j;
  part->coef += first * k->j;
  part->order += first;
  part->see += first;
  part->nq = 0;
  part->at = at;
  part->head = head;
  part->target = target;
  for (int q = 0; q < k->nq; q++) {
    if (k->at[q] < first || k->at[q] >= end) continue;
    at[part->nq] = (int32_t)(k->at[q] - first);
    head[part->nq] = k->head[q];
    if (k->target) target[part->nq] = k->target[q];
    part->nq++;
  }
}
