/* http.h: servers of language models, inside: what the files http*.c share.

       http.c         the wire: libcurl, opened when it is first wanted
       http_send.c    many requests at once: in flight, asked again, at the pace that is allowed
       http_store.c   what was answered, kept: the cache, record and replay
       http_body.c    requests as JSON
       http_answer.c  answers from JSON, with what the server said and what can't be right
       http_texts.c   texts drawn and scored
       http_tokens.c  llama-server: its vocabulary, whole distributions of the next token
       http_open.c    the row: the URI, options, which kind of server it is

   A wire is a seam: tests/unit/test_http.c has one without sockets and with a clock of its own. */
#ifndef NORN_LLM_HTTP_H
#define NORN_LLM_HTTP_H
#include "llm/llm.h"

extern const lm_row lm_http_row, lm_https_row;
/* "libcurl 7.88.1"; NULL: it is not here.  Opens it. */
const char *http_version(void);

/* ---- the wire ---- */

typedef struct http_request {
  bool post;
  const char *url, *body, *key;   /* key: NULL: none; never shown */
  size_t n;
  double timeout;                 /* seconds */
} http_request;
typedef struct http_reply {
  int status;                     /* 0: none came, see why */
  char why[200];
  char type[80], retry_after[80]; /* headers, or "" */
  text body;
} http_reply;
typedef struct http_wire {
  void *self;
  bool (*send)(void *self, int slot, const http_request *);   /* false: it can't even begin */
  int (*wait)(void *self, double seconds);   /* a slot whose reply is there; -1: none in that time */
  http_reply *(*reply)(void *self, int slot);
  void (*drop)(void *self, int slot);        /* the slot is free again, done or not */
  double (*now)(void *self);                 /* seconds, from anywhere */
  int64_t (*date)(void *self);               /* seconds since 1970 */
  void (*free)(void *self);
} http_wire;
/* libcurl's; slots: 0 .. slots - 1.  false: error set. */
bool http_wire_curl(norn_state *, mem *, int slots, http_wire *out);

/* ---- an opened server ---- */

/* HTTP_PLAIN: what OpenAI documents and nothing else. */
typedef enum { HTTP_PLAIN, HTTP_VLLM, HTTP_SGLANG, HTTP_LLAMA, HTTP_LLAMA_PYTHON, HTTP_KINDS } http_kind;
extern const char *const http_kind_names[HTTP_KINDS];
enum { HTTP_PATH = 1024 };
enum { AT_COMPLETIONS, AT_CHAT, AT_NATIVE, AT_TOKENIZE, AT_TEMPLATE, AT_MODELS, AT_PROPS, AT_COUNT };

typedef struct http_store {
  char folder[HTTP_PATH];         /* of the cache; "": none */
  char record[HTTP_PATH], replay[HTTP_PATH];
  struct http_entry { uint64_t key; char *text, *answer; size_t ntext, nanswer; } *v;   /* of record or replay */
  size_t n, cap;
  bool warned;
} http_store;

typedef struct http {
  lm base;
  mem m;
  http_wire wire;
  http_kind kind;
  char url[HTTP_PATH];            /* up to /v1, no slash behind it */
  char at[AT_COUNT][HTTP_PATH];
  char model[256];
  char key_name[64];              /* the variable with the key, or that should have it */
  char *key; size_t nkey;         /* NULL: none */
  int in_flight, retries, choices, top;
  double timeout, patience, rate;
  bool echo, tokens;
  int nvocab;                     /* llama-server: how many tokens; 0: not known */
  char end[64];                   /* how the server names the end of a text, or "" */
  int last;                       /* status of the last answer */
  double next, until;             /* no request before: the pace; what a server asked for */
  http_store store;
  struct http_vocab *vocab;       /* http_tokens.c's */
} http;
static inline http *http_of(lm *l) { return (http *)l; }

/* ---- requests ---- */

typedef enum { HTTP_TAKEN, HTTP_AGAIN, HTTP_REFUSED } http_took;
typedef struct http_job {
  bool post;
  const char *url;
  text body;
  uint64_t seed;                  /* of its jitter */
  int state, tries, slot;         /* the sender's */
  double at;
} http_job;
/* An answer of status 200 is given to `take`.  AGAIN: it was cut short (the error says how), and is asked for again.
   REFUSED: the error is set. */
typedef struct http_batch {
  http_job *v;
  int n;
  http_took (*take)(void *user, int k, const char *body, size_t n);
  void *user;
} http_batch;
/* All of them, or the first error: then nothing new is sent, but what is under way is waited for and taken, since it
   has been paid for.  After an interrupt nothing is. */
norn_status http_send(http *, http_batch *);
/* One request, whose answer is added to an empty text. */
norn_status http_ask(http *, bool post, const char *url, const char *body, size_t n, text *out);
/* Seconds that a header Retry-After asks for; negative: it says nothing that can be understood. */
double http_retry_after(const char *header, int64_t date);
/* The first bytes of what came, on one line, without the key. */
const char *http_shown(http *, char *out, size_t room, const char *s, size_t n);
bool http_has_key(const http *, const char *s, size_t n);
norn_status http_no_memory(norn_state *);

/* ---- what is kept ---- */

norn_status http_store_open(http *, norn_datum options);
void http_store_close(http *);
/* The answer kept for a key; false: none. */
bool http_store_get(http *, const text *key, text *answer);
void http_store_put(http *, const text *key, const char *answer, size_t n);
/* Replay and record: whole requests. */
bool http_replays(const http *);
bool http_recorded(http *, const http_job *, const char **answer, size_t *n);
norn_status http_record(http *, const http_job *, const char *answer, size_t n);

/* ---- bodies ---- */

/* The body that draws n answers (ids: the context's tokens, for llama-server), and which path it is for. */
norn_status http_draw_body(http *, const lm_ask *, const lm_tokens *ids, int n, int *path, text *out);
/* The same, appended to out as what an answer is known by in the cache: URL, body, draw. */
norn_status http_draw_key(http *, const lm_ask *, const lm_tokens *ids, text *out);
/* Echo: the context with what is to be scored behind it, from byte *from. */
norn_status http_echo_body(http *, const lm_ask *, text *out, text *prompt, size_t *from);
/* llama-server: one token, with the whole distribution. */
void http_next_body(http *, const lm_token *, int n, int probs, text *out);
void http_json_string(text *, const char *s, size_t n);
/* What a node's context is: text, messages of a chat as JSON, or a prompt made by the server's template. */
typedef enum { HTTP_TEXT, HTTP_CHAT, HTTP_PROMPT, HTTP_BAD } http_at;
http_at http_context(http *, const lm_node *, text *out);
/* Is the context empty? */
bool http_begins(const lm_node *);
norn_status http_chat(lm *, norn_datum messages, text *out, lm_node **node);

/* ---- answers ---- */

/* One choice, as its JSON value, to what was said. */
http_took http_choice(http *, const lm_ask *, norn_datum choice, lm_said *out);
/* llama-server: what is kept of an answer (NONE: something is missing), and what it says.  *known:
   of how many tokens the sum out->logp is; -1: there is no score to be had. */
norn_datum http_native_choice(http *, norn_datum body);
http_took http_native(http *, const lm_ask *, norn_datum choice, lm_said *out, lm_tokens *ids, int *known);
/* A body of n choices: the array of them, and what it cost.  */
http_took http_choices(http *, const char *body, size_t n, norn_datum *choices, int64_t *prompt, int64_t *answer);
/* The score of the bytes from `from` of an echoed prompt. */
http_took http_echo(http *, const char *body, size_t n, const text *prompt, size_t from, const lm_ask *, lm_said *out);
/* The body as a record.  AGAIN: it is no JSON. */
http_took http_record_of(http *, const char *body, size_t n, norn_datum *out);
/* Sets the error: what is wrong with an answer, and its first bytes. */
http_took http_lies(http *, const char *body, size_t n, const char *format, ...) NORN_PRINTF(4, 5);
/* NULL: there is none, or it is no string. */
const char *http_field(http *, norn_datum record, const char *name, size_t *n);
bool http_number(http *, norn_datum record, const char *name, double *out);

/* Memory; what close gives back.  For the row, and for tests that fill in the rest. */
void http_start(http *);
void http_close(lm *);
norn_status http_texts(lm *, int n, const lm_ask *, lm_said *);
norn_status http_eval(lm *, lm_node *const *, int n);
norn_status http_encode(lm *, const char *, size_t n, lm_tokens *out);
void http_forget(lm *, lm_node *);
/* llama-server: the vocabulary is there from now on; the tokens of contexts (in node->state). */
norn_status http_vocab_open(http *);
void http_vocab_close(http *);
norn_status http_ids(http *, int n, const lm_ask *);
const lm_tokens *http_ids_of(const lm_node *);
/* llama-server: texts scored by the distribution of each token. */
norn_status http_scores(http *, int n, const lm_ask *, lm_said *);
/* The same of given tokens: adds log p(ids[from, n) | before, ids[0, from)) to logp. */
typedef struct http_seq {
  const lm_tokens *before, *ids;
  int from, n;
  const lm_ask *ask;
  double temperature, top_p, logp;
} http_seq;
norn_status http_seqs(http *, int n, http_seq *);
/* The context of a prompt made by a template: special tokens by their names. */
norn_status http_start_chat(http *, const char *, size_t n, lm_node **);
#endif
