/* train.h: the work of norn train, whatever learns (train_work.c). */
#ifndef NORN_CLI_TRAIN_H
#define NORN_CLI_TRAIN_H
#include "cli.h"

typedef struct train_work {            /* the first member of what a row's functions know */
  cli *c;
  const struct train_row *row;
  char *checkpoint;                    /* malloc'ed */
  double saved;                        /* when it was last written */
  bool begun;
} train_work;
typedef struct train_row {
  norn_status (*begin)(train_work *, bool resumes);
  norn_step   (*step)(train_work *);
  norn_status (*save)(train_work *);                   /* the checkpoint */
  void        (*progress)(const train_work *, norn_progress *);
  norn_status (*put)(train_work *);                    /* writes what was learned to --out, and says so */
  int64_t     (*where)(const train_work *, char *words, size_t n);   /* steps done; "step 7 of 20" */
} train_row;

/* The name of the checkpoint; and can all files be written?  Says why not. */
bool train_files(train_work *);
/* The exit status. */
int  train_run(train_work *);
#endif
