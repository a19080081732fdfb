/* mock_llm PORTFILE: a server of a language model that misbehaves as it is told.  It listens on a free port of this
   machine, which it writes to PORTFILE, and ends when that file is gone.

   Its model has the tokens "a" (probability 1/2), "b" (1/4), "ab" (1/8) and the end (1/8), whatever stands before; any
   other byte is a token of probability e^-5 that is never drawn.  http://127.0.0.1:PORT/KIND/v1#HOW: KIND is vllm,
   openai, llama or me (llama-cpp-python, with the ways that the real one has: see `python`); HOW (the model's name) says
   how it answers.  At its end it writes to PORTFILE.counts how many
   requests of each name came. */
#include <arpa/inet.h>
#include <math.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { BODY = 1 << 16, HOWS = 64 };
typedef struct count { char how[40]; int n; } count;

/* ---- counts, shared by all that answer ---- */

static int next_of(count *all, const char *how)
{
  for (int k = 0; k < HOWS; k++) {
    if (!all[k].how[0]) snprintf(all[k].how, sizeof all[k].how, "%s", how);
    if (strcmp(all[k].how, how) == 0) return __atomic_fetch_add(&all[k].n, 1, __ATOMIC_SEQ_CST);
  }
  return 0;
}

/* ---- text that grows ---- */

typedef struct page { char s[BODY]; size_t n; } page;

static void put(page *p, const char *format, ...)
{
  va_list args;
  va_start(args, format);
  int n = vsnprintf(p->s + p->n, sizeof p->s - p->n, format, args);
  va_end(args);
  if (n > 0 && (size_t)n < sizeof p->s - p->n) p->n += (size_t)n;
}

static void put_json(page *p, const char *s, size_t n)
{
  put(p, "\"");
  for (size_t k = 0; k < n; k++) {
    unsigned char c = (unsigned char)s[k];
    if (c == '"' || c == '\\') put(p, "\\%c", c);
    else if (c < 32) put(p, "\\u%04x", c);
    else put(p, "%c", c);
  }
  put(p, "\"");
}

/* ---- what was asked ---- */

static const char *value_of(const char *body, const char *name)
{
  char key[60];
  snprintf(key, sizeof key, "\"%s\":", name);
  const char *s = strstr(body, key);
  if (!s) return NULL;
  s += strlen(key);
  while (*s == ' ' || *s == '[') s++;
  return s;
}

static double number_of(const char *body, const char *name, double otherwise)
{
  const char *s = value_of(body, name);
  return s ? strtod(s, NULL) : otherwise;
}

/* A string, or the first of an array of strings. */
static size_t string_of(const char *body, const char *name, char *out, size_t room)
{
  const char *s = value_of(body, name);
  size_t n = 0;
  if (s && *s == '"')
    for (s++; *s && *s != '"' && n + 1 < room; s++) {
      if (*s != '\\') out[n++] = *s;
      else if (*++s == 'n') out[n++] = '\n';
      else if (*s == 'u') out[n++] = (char)strtol((char[5]){ s[1], s[2], s[3], s[4], 0 }, NULL, 16), s += 4;
      else out[n++] = *s;
    }
  out[n] = 0;
  return n;
}

/* ---- the model ---- */

static const char *const pieces[] = { "a", "b", "ab", "" };
static const double probs[] = { .5, .25, .125, .125 };
enum { END = 3 };

static int token_at(const char *s)
{
  return s[0] == 'a' && s[1] == 'b' ? 2 : s[0] == 'a' ? 0 : s[0] == 'b' ? 1 : 4;
}

static int drawn(uint64_t *state)
{
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  double u = (double)(*state >> 11) * 0x1p-53;
  return u < .5 ? 0 : u < .75 ? 1 : u < .875 ? 2 : END;
}

/* off: its log-probabilities are those of wrong places. */
typedef struct said { int ids[256], n; char text[600]; size_t len; const char *how; bool off; } said;

static void draw(const char *body, uint64_t seed, said *t)
{
  char stop[100];
  int max = (int)number_of(body, value_of(body, "max_tokens") ? "max_tokens" : "n_predict", 16);
  uint64_t state = seed * 0x9e3779b97f4a7c15u + 1;
  size_t nstop = string_of(body, "stop", stop, sizeof stop);
  *t = (said){ .how = "length" };
  for (int k = 0; k < 8; k++) drawn(&state);
  while (t->n < max && t->n < 250) {
    int id = drawn(&state);
    t->ids[t->n++] = id;
    strcpy(t->text + t->len, pieces[id]);
    t->len += strlen(pieces[id]);
    char *found = nstop ? strstr(t->text, stop) : NULL;
    if (found) t->len = (size_t)(found - t->text);
    if (found || id == END) {
      t->text[t->len] = 0;
      t->how = found ? "word" : "eos";
      return;
    }
  }
}

/* me: llama-cpp-python has no name for the end, and a token of the byte 0. */
static void put_tops(page *p, bool me)
{
  put(p, "{\"a\": %.17g, \"b\": %.17g, \"ab\": %.17g", log(.5), log(.25), log(.125));
  put(p, me ? ", \"\\u0000\": -40, \"\": %.17g}" : ", \"<end>\": %.17g}", log(.125));
}

static void put_choice(page *p, const char *how, const said *t, bool chat, bool logprobs)
{
  put(p, chat ? "{\"index\": 0, \"message\": {\"role\": \"assistant\", \"content\": " : "{\"index\": 0, \"text\": ");
  if (strcmp(how, "utf8") == 0) put(p, "\"\xc3(\"");
  else put_json(p, t->text, t->len);
  put(p, chat ? "}, \"finish_reason\": \"%s\"" : ", \"finish_reason\": \"%s\"", strcmp(t->how, "length") ? "stop" : "length");
  if (!logprobs || strcmp(how, "nologp") == 0) {
    put(p, "}");
    return;
  }
  put(p, chat ? ", \"logprobs\": {\"content\": [" : ", \"logprobs\": {\"tokens\": [");
  for (int k = 0; k < t->n; k++) {
    const char *name = t->ids[k] == END ? "<end>" : pieces[t->ids[k]];
    put(p, k ? ", " : "");
    if (chat) put(p, "{\"token\": \"%s\", \"logprob\": %.17g}", name, log(probs[t->ids[k]]));
    else put(p, "\"%s\"", name);
  }
  put(p, chat ? "]" : "], \"token_logprobs\": [");
  for (int k = 0; k < t->n && !chat; k++) {
    put(p, k ? ", " : "");
    if (strcmp(how, "nan") == 0) put(p, "NaN");
    else put(p, "%.17g", strcmp(how, "positive") == 0 ? .7 : t->off ? -9. : log(probs[t->ids[k]]));
  }
  put(p, chat ? "}}" : "]}}");
}

/* What llama-cpp-python 0.3.36 does (tests/llm/real.sh): the end is not among the tokens; of an empty prompt the begin
   token is the answer's first, counted and taken off, and what follows has numbers of the wrong places; where the
   window is full ("window": of 3 tokens) the text is cut, and "length" is said. */
static void python(said *t, const char *how, const char *body, int *total)
{
  int most = (int)number_of(body, "max_tokens", 16);
  const char *prompt = value_of(body, "prompt");
  bool begins = prompt && strncmp(prompt, "\"\"", 2) == 0;
  if (strcmp(t->how, "eos") == 0) t->n--;
  if (begins) t->off = true, most--;
  if (strcmp(how, "window") == 0 && most > 3) most = 3;
  if (t->n > most) {
    t->n = most;
    t->how = "length";
    for (t->len = 0; most > 0; most--) t->len += strlen(pieces[t->ids[t->n - most]]);
    t->text[t->len] = 0;
  }
  *total += begins;
}

static void completion(page *p, const char *how, const char *body, bool chat, bool me)
{
  int n = (int)number_of(body, "n", 1), total = 0;
  said t;
  bool logprobs = value_of(body, me && chat ? "top_logprobs" : "logprobs") != NULL;
  if (me || strcmp(how, "once") == 0) n = 1;
  put(p, "{\"object\": \"text_completion\", \"choices\": [");
  for (int k = 0; k < n; k++) {
    draw(body, (uint64_t)number_of(body, "seed", 0) + (uint64_t)k, &t);
    if (me) python(&t, how, body, &total);
    put(p, k ? ", " : "");
    put_choice(p, how, &t, chat, logprobs);
    total += t.n;
  }
  put(p, "], \"usage\": {\"prompt_tokens\": 7, \"completion_tokens\": %d}}", strcmp(how, "counts") ? total : 9999);
}

/* me: llama-cpp-python counts the begin token, which it takes off; a model that has none ("nobos") is off by one place, and
   so has nothing of the token that it drew.  Whoever lets the model end there ("grammar" does not) gets nothing of it either. */
static void echo(page *p, const char *how, const char *body, bool me)
{
  char prompt[4096];
  size_t n = string_of(body, "prompt", prompt, sizeof prompt);
  int many = 0;
  bool off = me && strcmp(how, "nobos") == 0, ends = off || (me && !value_of(body, "grammar"));
  put(p, "{\"choices\": [{\"text\": ");
  put_json(p, prompt, n);
  for (int round = 0; round < 3; round++) {
    static const char *const heads[] = { ", \"finish_reason\": \"length\", \"logprobs\": {\"tokens\": [", "], \"token_logprobs\": [", "], \"top_logprobs\": [" };
    put(p, "%s", heads[round]);
    for (size_t at = 0; at < n;) {
      int id = token_at(prompt + at);
      size_t len = id < 3 ? strlen(pieces[id]) : 1;
      put(p, at ? ", " : "");
      if (round == 0) put_json(p, prompt + at, len), many++;
      else if (at == 0) put(p, "null");
      else if (round == 1) put(p, "%.17g", off ? -9. : id < 3 ? log(probs[id]) : -5.);
      else put_tops(p, me);
      at += len;
    }
    if (ends) continue;
    if (round == 0) put(p, ", \"b\"");
    else if (round == 1) put(p, ", %.17g", log(.25));
    else put(p, ", "), put_tops(p, me);
  }
  put(p, "]}}], \"usage\": {\"prompt_tokens\": %d, \"completion_tokens\": 1}}", many + (me && !off));
}

/* ---- llama-server ---- */

static void tokenize(page *p, const char *body)
{
  char s[4096];
  size_t n = string_of(body, "content", s, sizeof s);
  put(p, "{\"tokens\": [");
  for (size_t at = 0; at < n;) {
    bool end = strncmp(s + at, "<end>", 5) == 0 && strstr(body, "\"parse_special\": true");
    int id = end ? END : token_at(s + at);
    put(p, "%s%d", at ? ", " : "", id < 4 ? id : 4 + (unsigned char)s[at]);
    at += end ? 5 : id < 3 ? strlen(pieces[id]) : 1;
  }
  put(p, "]}");
}

static void put_vocabulary(page *p)
{
  double sum = 1 + 256 * exp(-20);
  for (int k = 0; k < 260; k++) {
    put(p, "%s{\"id\": %d, \"token\": \"\", \"bytes\": [", k ? ", " : "", k);
    if (k < 3) put(p, k == 0 ? "97" : k == 1 ? "98" : "97, 98");
    else if (k > 3) put(p, "%d", k - 4);
    put(p, "], \"logprob\": %.9g}", k < 4 ? log(probs[k] / sum) : -20 - log(sum));
  }
}

static void native(page *p, const char *body)
{
  said t;
  int probs_wanted = (int)number_of(body, "n_probs", 0);
  draw(body, (uint64_t)number_of(body, "seed", 0), &t);
  put(p, "{\"content\": ");
  put_json(p, t.text, t.len);
  put(p, ", \"tokens\": [");
  for (int k = 0; k < t.n; k++) put(p, k ? ", %d" : "%d", t.ids[k]);
  put(p, "], \"stop_type\": \"%s\", \"tokens_predicted\": %d, \"tokens_evaluated\": 7, \"completion_probabilities\": [",
      strcmp(t.how, "length") ? t.how : "limit", t.n);
  int shown = t.n - (strcmp(t.how, "word") == 0);    /* as llama-server: without the stop's tokens */
  for (int k = 0; k < shown || (probs_wanted > 4 && k == 0); k++) {
    put(p, "%s{\"id\": %d, \"token\": \"\", \"bytes\": [], \"logprob\": %.9g, \"top_logprobs\": [", k ? ", " : "", t.ids[k], log(probs[t.ids[k]]));
    if (probs_wanted > 4) put_vocabulary(p);
    put(p, "]}");
  }
  put(p, "]}");
}

/* ---- HTTP ---- */

static void send_all(int to, const char *s, size_t n)
{
  for (size_t at = 0; at < n;) {
    ssize_t k = write(to, s + at, n - at);
    if (k <= 0) return;
    at += (size_t)k;
  }
}

static void reply(int to, int status, const char *type, const char *headers, const char *body, size_t n, size_t sent)
{
  char head[400];
  int k = snprintf(head, sizeof head, "HTTP/1.1 %d X\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: close\r\n%s\r\n", status, type, n, headers);
  send_all(to, head, (size_t)k);
  send_all(to, body, sent);
}

static void tell(int to, int status, const char *headers, const char *body)
{
  reply(to, status, "application/json", headers, body, strlen(body), strlen(body));
}

/* What goes wrong before anything is answered; true: that was the answer. */
static bool misbehaves(int to, const char *how, int number, const char *request)
{
  char date[80], line[120];
  time_t then = time(NULL) + 2;
  struct tm t;
  bool early = number < 2;
  if (strcmp(how, "busy") == 0 && early) tell(to, 429, "Retry-After: 1\r\n", "{\"error\": \"slow down\"}");
  else if (strcmp(how, "busy-plain") == 0 && early) tell(to, 429, "", "{\"error\": \"slow down\"}");
  else if (strcmp(how, "busy-date") == 0 && number < 1) {
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&then, &t));
    snprintf(line, sizeof line, "Retry-After: %s\r\n", date);
    tell(to, 429, line, "{}");
  } else if (strcmp(how, "busy-long") == 0) tell(to, 503, "Retry-After: 4000\r\n", "{}");
  else if (strcmp(how, "poor") == 0) tell(to, 429, "", "{\"error\": {\"code\": \"insufficient_quota\"}}");
  else if (strcmp(how, "broken") == 0 && early) tell(to, 500, "", "oh");
  else if (strcmp(how, "always-broken") == 0) tell(to, 500, "", "oh");
  else if (strcmp(how, "html") == 0) reply(to, 200, "text/html", "", "<html>Please log in</html>", 26, 26);
  else if (strcmp(how, "missing") == 0) tell(to, 404, "", "{\"error\": \"no such model\"}");
  else if (strcmp(how, "moved") == 0) tell(to, 302, "Location: http://127.0.0.1:9/\r\n", "");
  else if (strcmp(how, "refuses-5") == 0 && number == 5) tell(to, 400, "", "{\"error\": \"not this one\"}");
  else if (strcmp(how, "slow") == 0 && number < 1) sleep(8);
  else if (strcmp(how, "reset") == 0 && early) {
    struct linger now = { 1, 0 };
    setsockopt(to, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  } else if (strcmp(how, "key") == 0 && !strstr(request, "Authorization: Bearer sk-mock-1234\r\n"))
    tell(to, 401, "", "{\"error\": \"Incorrect API key provided\"}");
  else return false;
  return true;
}

static void answer(int to, const char *request, const char *body, count *all)
{
  static page p;
  char how[40], path[200] = "", kind[20] = "";
  p.n = 0;
  sscanf(request, "%*s %199s", path);
  sscanf(path, "/%19[^/]", kind);
  string_of(body, "model", how, sizeof how);
  int number = how[0] ? next_of(all, how) : 0;
  if (how[0] && misbehaves(to, how, number, request)) return;
  bool native_kind = strcmp(kind, "llama") == 0, me = strcmp(kind, "me") == 0;
  if (strstr(path, "/models"))
    put(&p, "{\"data\": [{\"id\": \"normal\", \"owned_by\": \"%s\", \"meta\": {\"n_vocab\": 260}}]}", native_kind ? "llamacpp" : kind);
  else if (strstr(path, "/props")) put(&p, "{\"bos_token\": \"\", \"eos_token\": \"<end>\"}");
  else if (strstr(path, "/tokenize")) tokenize(&p, body);
  else if (strstr(path, "/apply-template")) put(&p, "{\"prompt\": \"ab\"}");
  else if (strstr(path, "/chat/completions")) completion(&p, how, body, true, me);
  else if (strstr(path, "/completions") && value_of(body, "echo")) echo(&p, how, body, me);
  else if (strstr(path, "/completions")) completion(&p, how, body, false, me);
  else if (strstr(path, "/completion")) native(&p, body);
  else {
    tell(to, 404, "", "{\"error\": \"no such path\"}");
    return;
  }
  size_t n = p.n;
  if (strcmp(how, "cut") == 0 && number < 2) n /= 2;                       /* half an answer, that says it is whole */
  reply(to, 200, "application/json", "", p.s, n, strcmp(how, "short") == 0 && number < 2 ? n / 2 : n);
}

static void serve(int to, count *all)
{
  static char in[BODY];
  size_t n = 0, want = 0;
  char *end = NULL;
  while (n + 1 < sizeof in && (!end || n < want)) {
    ssize_t k = read(to, in + n, sizeof in - 1 - n);
    if (k <= 0) return;
    n += (size_t)k;
    in[n] = 0;
    if (end || !(end = strstr(in, "\r\n\r\n"))) continue;
    const char *length = strstr(in, "Content-Length: ");
    want = (size_t)(end + 4 - in) + (length && length < end ? (size_t)atol(length + 16) : 0);
  }
  if (!end) return;
  answer(to, in, end + 4, all);
}

int main(int argc, char **argv)
{
  struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
  socklen_t size = sizeof at;
  int s = socket(AF_INET, SOCK_STREAM, 0);
  count *all = mmap(NULL, HOWS * sizeof *all, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (argc != 2 || s < 0 || all == MAP_FAILED || bind(s, (void *)&at, sizeof at) || listen(s, 64) || getsockname(s, (void *)&at, &size)) {
    perror("mock_llm PORTFILE");
    return 99;
  }
  signal(SIGCHLD, SIG_IGN);
  signal(SIGPIPE, SIG_IGN);
  FILE *f = fopen(argv[1], "w");
  if (!f || fprintf(f, "%d\n", ntohs(at.sin_port)) < 0 || fclose(f)) return 99;
  struct timeval tick = { .tv_sec = 1 };
  setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &tick, sizeof tick);
  for (time_t from = time(NULL); access(argv[1], F_OK) == 0 && time(NULL) - from < 1200;) {
    int to = accept(s, NULL, NULL);
    if (to < 0) continue;
    if (fork() == 0) {
      close(s);
      serve(to, all);
      shutdown(to, SHUT_WR);
      _exit(0);
    }
    close(to);
  }
  char name[600];
  snprintf(name, sizeof name, "%s.counts", argv[1]);
  f = fopen(name, "w");
  for (int k = 0; f && k < HOWS && all[k].how[0]; k++) fprintf(f, "%s %d\n", all[k].how, all[k].n);
  return f && fclose(f) == 0 ? 0 : 99;
}
