/* chat.h: conversations as the text that a model was taught to read them in.  Files keep a template
   in the language Jinja (tokenizer.chat_template); the common ones are recognised by what stands in
   them and written by hand here, as llama.cpp does (llama-chat.cpp), to the letter of the models'
   own templates.  Others are an error that says how to use such a model.  What templates do for
   tools is not done. */
#ifndef NORN_LLM_CHAT_H
#define NORN_LLM_CHAT_H
#include "llm/file/vocab.h"

typedef enum chat_kind {
  CHAT_NONE, CHAT_CHATML, CHAT_PHI4, CHAT_LLAMA3, CHAT_LLAMA2, CHAT_MISTRAL, CHAT_MISTRAL_V1,
  CHAT_MISTRAL_V3, CHAT_TEKKEN, CHAT_MISTRAL_V7, CHAT_GEMMA, CHAT_PHI3, CHAT_ZEPHYR, CHAT_OPENCHAT,
  CHAT_DEEPSEEK, CHAT_KINDS
} chat_kind;
const char *chat_name(chat_kind);
/* By the template's text; CHAT_NONE: unknown. */
chat_kind chat_detect(norn_state *, const char *, size_t n);

/* messages: an array of records {role, content}, of roles "system" (the first, if any), "user" and
   "assistant".  template: the text of tokenizer.chat_template, NULL: none. */
/* The tokens of a conversation up to where the model's answer begins: the begin token where file or
   template put one, and special tokens of the template, never of what people said. */
norn_status chat_tokens(norn_state *, const vocab *, const char *template, size_t n,
                        norn_datum messages, lm_tokens *out);
/* The same as text, without the first begin token; begin, end: what those tokens are called. */
norn_status chat_text(norn_state *, const char *template, size_t n, const char *begin,
                      const char *end, norn_datum messages, text *out);
#endif
