/* code.h: compiled functions, and the compiler's door.

   text --lex, parse--> ast --resolve--> bound ast --compile--> protos --verify--> runs */
#ifndef NORN_LANG_CODE_H
#define NORN_LANG_CODE_H
#include "lang/value/value.h"
#include "lang/compile/op.h"

typedef union ins {
  struct { uint16_t op, a, b, c; };
  int64_t i;
  double f;
  uint64_t u;
  const void *p;
} ins;

/* arg -1: the whole expression */
typedef struct span_at { uint32_t pc; int16_t arg; uint32_t start, end; } span_at;

typedef struct proto {
  const ins *code;
  uint32_t ncode;
  uint16_t nargs, nreq, ncap, nregs;   /* parameters; of them required; captures; registers */
  uint32_t bytes;                      /* nregs * 16 */
  bool is_model, samples, stdlib;      /* calling makes a model value; may have effects; frames push
                                          no addresses */
  bool aside;                          /* its calls are vm_call's: of models, and of methods of natives */
  struct env_entry *method_of;         /* field.c: it is the method that a function gives to handles */
  clo *self;                           /* of a function without captures (static object) */
  const char *name;
  const sym *params;                   /* parameter names */
  const char *doc;
  norn_span span;
  uint32_t file;
  val *consts;
  uint32_t nconsts;
  uint64_t *live;                      /* bit r of word row pc: register r is live on entry to pc */
  uint32_t live_words;
  span_at *spans;                      /* sorted by pc, then arg */
  uint32_t nspans;
  struct proto *next;                  /* all protos of the state */
} proto;

/* Address components: kind in the top byte; then an index, a number, a hash of mem's arguments, or
   a hash of a name's text (addr.c: addr_component), so that draws do not depend on which other
   names a program or a library has. */
enum { ADDR_NAME = 1, ADDR_INDEX, ADDR_CALL, ADDR_ANON, ADDR_MEMO };

static inline uint64_t addr_numbered(unsigned kind, uint32_t k)
{
  return (uint64_t)kind << 56 | (uint64_t)k << 32;
}

static inline uint64_t addr_index(int64_t i)
{
  return (uint64_t)ADDR_INDEX << 56 | ((uint64_t)i & 0xffffffffffffffu);
}

static inline uint64_t addr_push(uint64_t path, uint64_t comp)
{
  return hash_mix((path ^ comp) * 0x9e3779b97f4a7c15u + 0x632be59bd9b4e019u);
}

/* The address of an event: a component of 0 adds nothing (`as "name"` has pushed it). */
static inline uint64_t addr_event(uint64_t path, uint64_t comp)
{
  return comp ? addr_push(path, comp) : path;
}

/* Spans packed into a literal word: file 16 bits, start 28, length 20 (clipped). */
static inline uint64_t span_pack(norn_span s)
{
  uint64_t n = s.end - s.start;
  if (n > 0xfffff) n = 0xfffff;
  return (uint64_t)(s.file & 0xffff) << 48 | (uint64_t)(s.start & 0xfffffff) << 20 | n;
}
static inline norn_span span_unpack(uint64_t u)
{
  norn_span s = {(uint32_t)(u >> 48), (uint32_t)(u >> 20) & 0xfffffff, 0};
  s.end = s.start + (uint32_t)(u & 0xfffff);
  return s;
}

/* The nearest known span of an instruction or its argument. */
norn_span proto_span(const proto *, uint32_t pc, int arg);

/* Checks every operand, jump and literal of a proto; NULL if well, else what is wrong (in buf). */
const char  *code_verify(norn_state *, const proto *, char *buf, size_t n);
bool         code_liveness(norn_state *, proto *);            /* fills live; false: no memory */
void         proto_free(norn_state *, proto *);                /* comp_emit.c; all of it */
void         code_disassemble(norn_state *, text *, const proto *);
#endif
