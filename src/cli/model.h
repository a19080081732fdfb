/* model: which models a session has, and what their parameters are, read from the one-line
   signature that norn_doc gives: "model eight_schools(y, sigma = 10)". */
#ifndef NORN_CLI_MODEL_H
#define NORN_CLI_MODEL_H
#include "norn.h"

enum { SIGNATURE_MAX = 64 };

typedef struct {
  char name[128], text[512];           /* "eight_schools", "eight_schools(y, sigma = 10)" */
  struct { char name[64]; bool optional; } params[SIGNATURE_MAX];
  int n;
} signature;

typedef struct { char **names; int n; } name_list;

/* The models of the session that are not in `known` (may be NULL). */
void models_list(norn_state *, const name_list *known, name_list *out);
void names_free(name_list *);
/* False: there is no such model, or it has more parameters than SIGNATURE_MAX. */
bool signature_read(norn_state *, const char *name, signature *out);
int  signature_find(const signature *, const char *param);   /* -1: none of that name */

#endif
