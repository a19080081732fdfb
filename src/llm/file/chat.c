/* chat.c: conversations by the common templates (chat.h).  A kind is a row of texts that stand
   around what is said; where templates of a kind differ (a system message that stands there when
   none is given, how the answer begins), the difference is read out of the template. */
#include "llm/file/chat.h"
#include <stdio.h>
#include <string.h>

/* In texts, \1 is the end token's name. */
typedef struct form {
  const char *name, *system[2], *user[2], *assistant[2], *answer;
  unsigned does;
} form;
/* TRIM all that is said, or TRIM_ANSWERS; system messages stand with the FIRST or LAST user's; roles ALTERNATE. */
enum { TRIM = 1, TRIM_ANSWERS = 2, FIRST = 4, LAST = 8, ALTERNATE = 16, NO_SYSTEM = 32 };
#define IM "<|im_start|>"
#define HEAD(role) "<|start_header_id|>" role "<|end_header_id|>\n\n"
#define SEEK(word) "<\xef\xbd\x9c" word "\xef\xbd\x9c>"
static const form forms[CHAT_KINDS] = {
  [CHAT_NONE] = { .name = "unknown" },
  [CHAT_CHATML] = { "chatml", { IM "system\n", "<|im_end|>\n" }, { IM "user\n", "<|im_end|>\n" },
                    { IM "assistant\n", "<|im_end|>\n" }, IM "assistant\n", 0 },
  [CHAT_PHI4] = { "phi4", { IM "system<|im_sep|>", "<|im_end|>" }, { IM "user<|im_sep|>", "<|im_end|>" },
                  { IM "assistant<|im_sep|>", "<|im_end|>" }, IM "assistant<|im_sep|>", 0 },
  [CHAT_LLAMA3] = { "llama3", { HEAD("system"), "<|eot_id|>" }, { HEAD("user"), "<|eot_id|>" },
                    { HEAD("assistant"), "<|eot_id|>" }, HEAD("assistant"), TRIM },
  [CHAT_LLAMA2] = { "llama2", { "<<SYS>>\n", "\n<</SYS>>\n\n" }, { "[INST] ", " [/INST]" }, { " ", " \1" }, "",
                    FIRST | ALTERNATE },
  [CHAT_MISTRAL] = { "mistral", { "", "" }, { "[INST] ", " [/INST]" }, { "", "\1" }, "", ALTERNATE | NO_SYSTEM },
  [CHAT_MISTRAL_V1] = { "mistral-v1", { "", "\n\n" }, { " [INST] ", " [/INST]" }, { " ", "\1" }, "",
                        FIRST | ALTERNATE },
  [CHAT_MISTRAL_V3] = { "mistral-v3", { "", "\n\n" }, { "[INST] ", "[/INST]" }, { " ", "\1" }, "",
                        LAST | ALTERNATE | TRIM_ANSWERS },
  [CHAT_TEKKEN] = { "mistral-v3-tekken", { "", "\n\n" }, { "[INST]", "[/INST]" }, { "", "\1" }, "", LAST | ALTERNATE },
  [CHAT_MISTRAL_V7] = { "mistral-v7", { "[SYSTEM_PROMPT] ", "[/SYSTEM_PROMPT]" }, { "[INST] ", "[/INST]" },
                        { " ", "\1" }, "", 0 },
  [CHAT_GEMMA] = { "gemma", { "", "\n\n" }, { "<start_of_turn>user\n", "<end_of_turn>\n" },
                   { "<start_of_turn>model\n", "<end_of_turn>\n" }, "<start_of_turn>model\n",
                   TRIM | FIRST | ALTERNATE },
  [CHAT_PHI3] = { "phi3", { "<|system|>\n", "<|end|>\n" }, { "<|user|>\n", "<|end|>\n" },
                  { "<|assistant|>\n", "<|end|>\n" }, "<|assistant|>\n", 0 },
  [CHAT_ZEPHYR] = { "zephyr", { "<|system|>\n", "\1\n" }, { "<|user|>\n", "\1\n" }, { "<|assistant|>\n", "\1\n" },
                    "<|assistant|>\n", 0 },
  [CHAT_OPENCHAT] = { "openchat", { "GPT4 Correct System: ", "<|end_of_turn|>" },
                      { "GPT4 Correct User: ", "<|end_of_turn|>" },
                      { "GPT4 Correct Assistant: ", "<|end_of_turn|>" }, "GPT4 Correct Assistant:", 0 },
  [CHAT_DEEPSEEK] = { "deepseek", { "", "" }, { SEEK("User"), "" },
                      { SEEK("Assistant"), SEEK("end\xe2\x96\x81of\xe2\x96\x81sentence") },
                      SEEK("Assistant"), 0 },
};
#undef IM
#undef HEAD
const char *chat_name(chat_kind k) { return forms[k].name; }

typedef struct chat {
  norn_state *st;
  mem m;
  form f;
  bool begins_turns;                   /* llama2: the begin token in front of each turn of the user */
  const char *begin, *end;
  text *out;
  vocab_span *span; size_t nspan, cspan;
  text answer, silent, flat;           /* silent: a system message for those that give none;
                                          flat: the template (`flatten`) */
  bool has_silent;
} chat;

static void *alloc_hook(void *user, void *p, size_t old, size_t n) { return norn_alloc(user, p, old, n); }
static bool no_memory(norn_state *st) { return !norn_fail(st, NORN_EMEMORY, -1, "not enough memory"); }

/* ---- recognising ---- */

/* Without space, line ends (as \n too) and with one kind of quote: what templates' writers do differently. */
static void flatten(text *t, const char *s, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    if (s[i] == '\\' && i + 1 < n && s[i + 1] == 'n') i++;
    else if (s[i] == '"') text_putc(t, '\'');
    else if (s[i] && !strchr(" \n\r\t", s[i])) text_putc(t, s[i]);
  }
}
static const char *find(const text *t, const char *what) { return t->n ? strstr(t->s, what) : NULL; }
static bool holds(const char *s, size_t n, const char *what)
{
  size_t k = strlen(what);
  for (size_t i = 0; i + k <= n; i++)
    if (memcmp(s + i, what, k) == 0) return true;
  return false;
}

static chat_kind detect_mistral(const text *flat, const char *s, size_t n)
{
  if (find(flat, "[SYSTEM_PROMPT]")) return holds(s, n, "[SYSTEM_PROMPT] ") ? CHAT_MISTRAL_V7 : CHAT_NONE;
  if (find(flat, "'[INST]'+system_message") || find(flat, "[AVAILABLE_TOOLS]"))
    return holds(s, n, " [INST]") ? CHAT_MISTRAL_V1 : holds(s, n, "\"[INST]\"") ? CHAT_TEKKEN : CHAT_MISTRAL_V3;
  if (find(flat, "<<SYS>>")) return CHAT_LLAMA2;
  return find(flat, "Onlyuserandassistantroles") ? CHAT_MISTRAL : CHAT_NONE;
}
/* Today's date, and texts of their own that stand in front whatever is said: no template here does that. */
static bool beyond(const text *flat)
{
  return find(flat, "KnowledgeCutoff") || find(flat, "functioncallingAImodel") ||
         (find(flat, "strftime_now") && !find(flat, "'26Jul2024'"));
}
static chat_kind detect(const text *flat, const char *s, size_t n)
{
  if (beyond(flat)) return CHAT_NONE;
  if (find(flat, "<|im_start|>"))
    return find(flat, "<|im_sep|>") ? CHAT_PHI4 : find(flat, "<end_of_utterance>") ? CHAT_NONE : CHAT_CHATML;
  if (find(flat, "[INST]")) return detect_mistral(flat, s, n);
  if (find(flat, "<|start_header_id|>") && find(flat, "<|end_header_id|>")) return CHAT_LLAMA3;
  if (find(flat, "<start_of_turn>")) return CHAT_GEMMA;
  if (find(flat, "<|end|>") && (find(flat, "'<|assistant|>'") || find(flat, "message['role']+'|>'+''+")))
    return CHAT_PHI3;
  if (find(flat, "'<|user|>'+message['content']+eos_token")) return CHAT_ZEPHYR;
  if (find(flat, "'GPT4Correct'")) return CHAT_OPENCHAT;
  if (find(flat, SEEK("User")) && find(flat, SEEK("Assistant"))) return CHAT_DEEPSEEK;
  return CHAT_NONE;
}

static void chat_init(chat *c, norn_state *st)
{
  *c = (chat){ .st = st };
  mem_init(&c->m);
  c->m.alloc = alloc_hook;
  c->m.user = st;
}
static void chat_open(chat *c)
{
  text_init(&c->answer, &c->m);
  text_init(&c->silent, &c->m);
  text_init(&c->flat, &c->m);
}
static void chat_close(chat *c)
{
  text_free(&c->answer);
  text_free(&c->silent);
  text_free(&c->flat);
  mem_put(&c->m, c->span, c->cspan * sizeof *c->span);
}
chat_kind chat_detect(norn_state *st, const char *s, size_t n)
{
  chat c;
  chat_init(&c, st);
  chat_open(&c);
  flatten(&c.flat, s, n);
  chat_kind k = c.flat.failed ? CHAT_NONE : detect(&c.flat, s, n);
  chat_close(&c);
  return k;
}

/* ---- what templates of a kind differ in ---- */

/* The text from s up to `end`, as Jinja reads it in quotes; false: it does not end, or is no plain text. */
static bool literal(text *out, const char *s, const char *stop, const char *end)
{
  size_t k = strlen(end);
  for (; s < stop; s++) {
    if ((size_t)(stop - s) >= k && memcmp(s, end, k) == 0) return true;
    if (strchr("'\"{}", *s)) return false;
    if (*s == '\\' && s + 1 < stop) {
      s++;
      text_putc(out, *s == 'n' ? '\n' : *s);
    } else {
      text_putc(out, *s);
    }
  }
  return false;
}
/* Behind the first (or last) place of `what`; NULL: it does not come. */
static const char *behind(const char *s, size_t n, const char *what, bool last)
{
  const char *found = NULL;
  size_t k = strlen(what);
  for (size_t i = 0; i + k <= n; i++)
    if (memcmp(s + i, what, k) == 0) {
      found = s + i + k;
      if (!last) break;
    }
  return found;
}
/* A text that stands somewhere behind `mark` (and a line end, if `line`) and before `end`: the first that is plain. */
static bool marked(text *out, const char *s, size_t n, const char *mark, bool line, const char *end)
{
  const char *stop = s + n;
  for (const char *at = s; (at = behind(at, (size_t)(stop - at), mark, false));) {
    const char *from = at;
    if (line && at < stop && *at == '\n') from++;
    else if (line && stop - at > 1 && at[0] == '\\' && at[1] == 'n') from += 2;
    else if (line) continue;
    out->n = 0;
    if (literal(out, from, stop, end) && out->n) return true;
  }
  out->n = 0;
  return false;
}

/* A system message that stands in the template: <|im_start|>system\nTEXT<|im_end|>, or set system_message = 'TEXT'. */
static void find_silent(chat *c, chat_kind k, const char *s, size_t n)
{
  if (k == CHAT_CHATML) c->has_silent = marked(&c->silent, s, n, "<|im_start|>system", true, "<|im_end|>");
  else if (k == CHAT_LLAMA2) c->has_silent = marked(&c->silent, s, n, "set system_message = '", false, "'");
  else if (k == CHAT_LLAMA3) c->has_silent = holds(s, n, "Cutting Knowledge Date: December 2023");
}
/* How the answer begins: what stands in one text with the last opening of the assistant. */
static void find_answer(chat *c, chat_kind k, const char *s, size_t n)
{
  const char *mark = k == CHAT_CHATML ? "<|im_start|>assistant" : SEEK("Assistant");
  const char *at = k == CHAT_CHATML || k == CHAT_DEEPSEEK ? behind(s, n, mark, true) : NULL;
  if (at && at - s > (ptrdiff_t)strlen(mark)) {
    char quote[2] = { at[-(ptrdiff_t)strlen(mark) - 1], 0 };
    text_puts(&c->answer, mark);
    if (strchr("'\"", quote[0]) && literal(&c->answer, at, s + n, quote) && c->answer.n > strlen(mark)) return;
    c->answer.n = 0;
  }
  text_puts(&c->answer, c->f.answer);
}
static void find_rules(chat *c, chat_kind k, const char *s, size_t n)
{
  const text *flat = &c->flat;
  c->f = forms[k];
  if (k == CHAT_GEMMA && find(flat, "Systemrolenotsupported")) c->f.does |= NO_SYSTEM;
  if (k == CHAT_PHI3 && !find(flat, "system") && !find(flat, "message['role']+'|>'")) c->f.does |= NO_SYSTEM;
  if (k == CHAT_LLAMA2 && find(flat, "content.strip()")) c->f.does |= TRIM;
  c->begins_turns = k == CHAT_LLAMA2 && find(flat, "bos_token+'[INST]");
  find_silent(c, k, s, n);
  find_answer(c, k, s, n);
}

/* ---- writing ---- */

static void put(chat *c, const char *s)
{
  for (; *s; s++)
    if (*s == 1) text_puts(c->out, c->end);
    else text_putc(c->out, *s);
}
static bool is_blank(char c) { return c == ' ' || (c >= 9 && c <= 13); }
/* What somebody said. */
static void say(chat *c, const char *s, size_t n, bool trim)
{
  while (trim && n && is_blank(*s)) s++, n--;
  while (trim && n && is_blank(s[n - 1])) n--;
  if (!mem_grow(&c->m, &c->span, &c->cspan, c->nspan + 1, sizeof *c->span)) {
    c->out->failed = true;
    return;
  }
  c->span[c->nspan++] = (vocab_span){ c->out->n, c->out->n + n };
  text_put(c->out, s, n);
}

enum { SYSTEM, USER, ASSISTANT };
typedef struct said { int role; const char *s; size_t n; } said;

static bool wrong(chat *c, const char *format, ...) NORN_PRINTF(2, 3);
static bool wrong(chat *c, const char *format, ...)
{
  char why[200];
  va_list args;
  va_start(args, format);
  vsnprintf(why, sizeof why, format, args);
  va_end(args);
  norn_fail(c->st, NORN_EDOMAIN, 0, "%s", why);
  norn_hint(c->st, "as in lm.chat([{ role: \"system\", content: \"Be brief.\" }, "
            "{ role: \"user\", content: \"Hello\" }])");
  return false;
}
static bool message_at(chat *c, norn_datum all, int64_t i, said *out)
{
  static const char *const roles[] = { "system", "user", "assistant" };
  norn_datum one = norn_array_at(c->st, all, i);
  size_t n;
  if (norn_record_size(one) < 0) return wrong(c, "message %lld is not a record", (long long)i);
  const char *role = norn_string_view(norn_record_get(c->st, one, "role"), &n);
  out->s = norn_string_view(norn_record_get(c->st, one, "content"), &out->n);
  if (!role || !out->s)
    return wrong(c, "message %lld has no %s that is a string", (long long)i, role ? "content" : "role");
  for (out->role = 0; out->role < 3 && strcmp(role, roles[out->role]);) out->role++;
  if (out->role == 3)
    return wrong(c, "message %lld has the role \"%.40s\"; \"system\", \"user\" or \"assistant\" is expected",
                 (long long)i, role);
  if (out->role == SYSTEM && i > 0)
    return wrong(c, "message %lld is a system message; only the first can be one", (long long)i);
  if (out->role == SYSTEM && (c->f.does & NO_SYSTEM)) {
    wrong(c, "the model's template (%s) has no system messages", c->f.name);
    norn_hint(c->st, "put it in front of what the user says first");
    return false;
  }
  return true;
}

/* The system message, where it stands by itself. */
static void put_system(chat *c, const said *m)
{
  static const char dates[] = "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n";
  bool dated = c->has_silent && !c->silent.n;
  put(c, c->f.system[0]);
  if (dated) put(c, dates);
  if (m) say(c, m->s, m->n, c->f.does & TRIM);
  else put(c, c->silent.n ? c->silent.s : "");
  put(c, c->f.system[1]);
}
/* A user's, with a system message in it or NULL; `silent`: the template's.  What llama2 trims is
   both together, which begins with a mark. */
static void put_user(chat *c, const said *m, const said *system, bool silent, bool first)
{
  if (c->begins_turns && !first) put(c, c->begin);
  put(c, c->f.user[0]);
  if (system || silent) {
    put(c, c->f.system[0]);
    if (system) say(c, system->s, system->n, false);
    else put(c, c->silent.s);
    put(c, c->f.system[1]);
  }
  const char *s = m->s;
  size_t n = m->n;
  bool both = (system || silent) && c->f.does & TRIM && c->f.system[0][0];
  while (both && n && is_blank(s[n - 1])) n--;
  say(c, s, n, (c->f.does & TRIM) && !both);
  put(c, c->f.user[1]);
}
static void put_assistant(chat *c, const said *m)
{
  said a = *m;
  if (c->f.answer[0] && c->f.name == forms[CHAT_DEEPSEEK].name) {      /* what was thought is not repeated */
    const char *at = behind(a.s, a.n, "</think>", true);
    if (at) a = (said){ ASSISTANT, at, (size_t)(a.s + a.n - at) };
  }
  put(c, c->f.assistant[0]);
  say(c, a.s, a.n, c->f.does & (TRIM | TRIM_ANSWERS));
  put(c, c->f.assistant[1]);
}

static bool write_all(chat *c, norn_datum all)
{
  norn_view v;
  said system = { 0 }, m, *given = NULL;
  bool inside = c->f.does & (FIRST | LAST);
  if (!norn_array_view(all, &v) || v.rank != 1 || v.n == 0)
    return wrong(c, "a chat is an array of messages, records of role and content");
  int64_t first = 0;
  if (!message_at(c, all, 0, &system)) return false;
  if (system.role == SYSTEM) {
    given = &system;
    first = 1;
  }
  if (first == v.n) return wrong(c, "a chat of a system message alone has nobody who asks");
  if (!inside && (given || c->has_silent)) put_system(c, given);
  for (int64_t i = first; i < v.n; i++) {
    if (!message_at(c, all, i, &m)) return false;
    if ((c->f.does & ALTERNATE) && m.role != ((i - first) % 2 ? ASSISTANT : USER))
      return wrong(c, "message %lld is %s; in the model's template (%s) user and assistant take turns, the user first",
                   (long long)i, m.role == USER ? "the user's" : "the assistant's", c->f.name);
    bool here = inside && i == (c->f.does & FIRST ? first : v.n - 1);
    if (m.role == ASSISTANT) put_assistant(c, &m);
    else put_user(c, &m, here ? given : NULL, here && !given && c->has_silent, i == first);
  }
  if (inside && (c->f.does & LAST) && given && m.role != USER)
    return wrong(c, "the last message is the assistant's; in the model's template (%s) the system "
                 "message stands in the last of the user's", c->f.name);
  put(c, c->answer.n ? c->answer.s : "");
  return !c->out->failed || no_memory(c->st);
}

static bool write_chat(chat *c, const char *template, size_t n, norn_datum messages)
{
  if (!template) {
    norn_fail(c->st, NORN_EDOMAIN, 0, "the model has no chat template (tokenizer.chat_template)");
    norn_hint(c->st, "a model that was not taught to chat goes on with a text: lm.context(\"...\")");
    return false;
  }
  flatten(&c->flat, template, n);
  if (c->flat.failed) return no_memory(c->st);
  chat_kind k = detect(&c->flat, template, n);
  if (k == CHAT_NONE) {
    norn_fail(c->st, NORN_EDOMAIN, 0, "the model's chat template is none of those that Norn knows");
    norn_hint(c->st, "a server reads every template: llm(\"http://...#model\")");
    return false;
  }
  find_rules(c, k, template, n);
  if (c->answer.failed || c->silent.failed) return no_memory(c->st);
  return write_all(c, messages);
}

norn_status chat_text(norn_state *st, const char *template, size_t n, const char *begin,
                      const char *end, norn_datum messages, text *out)
{
  chat c;
  chat_init(&c, st);
  chat_open(&c);
  c.begin = begin;
  c.end = end;
  c.out = out;
  bool fine = write_chat(&c, template, n, messages);
  chat_close(&c);
  return fine ? NORN_OK : norn_error(st)->code;
}

/* A special token's name, 0-terminated in `room`. */
static void name_of(const lm_vocab *l, lm_token t, char *room, size_t size)
{
  size_t n = t < 0 ? 0 : l->at[t + 1] - l->at[t];
  if (n >= size) n = 0;
  if (n) memcpy(room, l->bytes + l->at[t], n);
  room[n] = 0;
}
norn_status chat_tokens(norn_state *st, const vocab *v, const char *template, size_t n,
                        norn_datum messages, lm_tokens *out)
{
  chat c;
  text all;
  char begin[64], end[64];
  const lm_vocab *l = vocab_tokens(v);
  int had = out->n;
  chat_init(&c, st);
  chat_open(&c);
  text_init(&all, &c.m);
  name_of(l, l->begin, begin, sizeof begin);
  name_of(l, l->end, end, sizeof end);
  c.begin = begin;
  c.end = end;
  c.out = &all;
  bool fine = write_chat(&c, template, n, messages);
  if (fine && l->begin >= 0 && (vocab_add_begin(v) || find(&c.flat, "bos_token")))
    fine = lm_tokens_add(st, out, l->begin);
  fine = fine && !vocab_encode_spans(v, all.n ? all.s : "", all.n,
                                     VOCAB_SPECIAL | VOCAB_SPACE, c.span, (int)c.nspan, out);
  if (!fine) out->n = had;
  text_free(&all);
  chat_close(&c);
  return fine ? NORN_OK : norn_error(st)->code;
}
