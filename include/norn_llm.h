/* norn_llm.h: training of small language models, for C programs: a transformer of GPT-2's shape that reads and writes
   bytes, from a text.

       norn_text_spec s = norn_text_spec_usual();
       norn_text_training *t = norn_text_training_new(st, text, n, &s);
       while (norn_text_training_step(t) == NORN_STEP_MORE) ...
       norn_text_training_write(t, "model.gguf");

   and llm("builtin:model.gguf") in Norn.  The rules of norn.h hold here. */
#ifndef NORN_LLM_PUBLIC_H
#define NORN_LLM_PUBLIC_H

#include "norn.h"
#include "norn_infer.h"

#ifdef __cplusplus
extern "C" {
#endif
#if defined __GNUC__
#pragma GCC visibility push(default)
#endif

typedef struct {
  int layers, width, heads, context;   /* width a multiple of heads; context in bytes, the begin token included */
  int batch;                           /* texts a step, each at most a context long */
  int64_t steps;
  double rate, decay, warm;            /* AdamW's greatest rate and decay; share of steps in which the rate rises */
  bool documents;                      /* empty lines divide the text into documents; else it is one */
  const char *type;                    /* of the numbers in the file: "f32", "f16", "q8_0" */
  const char *name;                    /* of the model, in the file */
  uint64_t seed;
} norn_text_spec;
norn_text_spec norn_text_spec_usual(void);

typedef struct norn_text_training norn_text_training;
/* The text is borrowed until the end of training.  The same text, spec and number of steps give the same model to the
   bit on any number of threads (of one kind of processor).  NULL: error set. */
norn_text_training *norn_text_training_new(norn_state *, const char *text, size_t n, const norn_text_spec *);
void                norn_text_training_free(norn_text_training *);
/* One step.  FAIL: error set; what was learned before stands. */
norn_step           norn_text_training_step(norn_text_training *);
typedef struct {
  int64_t step, steps, tokens;         /* tokens that were learned from */
  double loss, held_out;               /* mean -log p of a byte, of late and on texts never trained on (NaN: none) */
  double rate;
  int64_t parameters, documents;
} norn_text_trained;
void                norn_text_training_look(const norn_text_training *, norn_text_trained *);
void                norn_text_training_progress(const norn_text_training *, norn_progress *);
/* The model so far, as a GGUF file. */
norn_status         norn_text_training_write(norn_text_training *, const char *path);
/* All that is needed to go on to the same bits; load wants the same text, and has the spec that was saved. */
norn_status         norn_text_training_save(norn_text_training *, const char *path);
norn_text_training *norn_text_training_load(norn_state *, const char *text, size_t n, const char *path);

#if defined __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif
#endif
