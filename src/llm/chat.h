/* chat.h: conversations as the text that a model was taught to read them in.  Files keep a template in the language Jinja
   (tokenizer.chat_template); the common ones are recognised by what stands in them and written by hand here, as
   llama.cpp does (llama-chat.cpp).  Others are an error that says how to use such a model. */
#ifndef NORN_LLM_CHAT_H
#define NORN_LLM_CHAT_H
#include "llm/vocab.h"

typedef struct chat_message { const char *role, *content; size_t nrole, ncontent; } chat_message;

typedef enum chat_kind {
  CHAT_NONE, CHAT_CHATML, CHAT_LLAMA2, CHAT_LLAMA2_SYS, CHAT_LLAMA3, CHAT_GEMMA, CHAT_PHI3, CHAT_PHI4, CHAT_MISTRAL_V1,
  CHAT_MISTRAL_V3, CHAT_MISTRAL_TEKKEN, CHAT_MISTRAL_V7, CHAT_ZEPHYR, CHAT_VICUNA, CHAT_DEEPSEEK, CHAT_COMMAND_R, CHAT_GRANITE, CHAT_KINDS
} chat_kind;
extern const char *const chat_names[CHAT_KINDS];
/* By the template's text; CHAT_NONE: unknown. */
chat_kind chat_detect(const char *, size_t n);
/* The tokens of a conversation, up to where the model's answer begins (begin token as the file says, special tokens of the
   template, never of what people said).  template: the text of tokenizer.chat_template, NULL: none.  messages: an array
   of records {role, content}. */
norn_status chat_tokens(norn_state *, const vocab *, const char *template, size_t n, norn_datum messages, lm_tokens *out);
/* The same as text. */
norn_status chat_text(norn_state *, chat_kind, norn_datum messages, text *out);
#endif
