/* mem.c: stochastic memoisation: the code of a memoised function.

   mem(f) is a closure over f (capture 0) and an identity (capture 1) whose code depends on the
   number of arguments alone, so one stub per number is assembled here by hand:

        ASAVE  s             MEMGET sets the path to (identity, arguments) when it finds nothing
        MEMGET k n -> call   k := the value, or the key
        RET    k
     call:
        GETCAP w+1 0         w: the window of the call
        MOVE   w+2+i r[i]
        CALL   w n
        MEMPUT k w
        AREST  s
        RET    w

   The addresses of choices inside depend on the identity and the arguments, never on the caller. */
#include "lang/env_in.h"

typedef struct stub { ins *code; uint32_t n; } stub;

static void emit(stub *s, unsigned op, unsigned a, unsigned b, int c)
{
  s->code[s->n++] = (ins){{(uint16_t)op, (uint16_t)a, (uint16_t)b, (uint16_t)c}};
}

static void assemble(stub *s, int nargs)
{
  unsigned k = (unsigned)nargs * 16, save = k + 16, w = k + 32;
  emit(s, OP_ASAVE, save, 0, 0);
  emit(s, OP_MEMGET, k, (unsigned)nargs, 2);
  emit(s, OP_RET, k, 0, 0);
  emit(s, OP_GETCAP, w + 16, 0, 0);
  for (unsigned i = 0; i < (unsigned)nargs; i++) emit(s, OP_MOVE, w + 32 + 16 * i, 16 * i, 0);
  emit(s, OP_CALL, w, (unsigned)nargs, 0);
  emit(s, OP_MEMPUT, k, w, 0);
  emit(s, OP_AREST, save, 0, 0);
  emit(s, OP_RET, w, 0, 0);
}

/* Parameter names for messages: x0, x1 ... */
static bool name_params(norn_state *st, sym *names, int nargs)
{
  for (int i = 0; i < nargs; i++) {
    const char name[2] = {'x', (char)('0' + i)};
    if (!(names[i] = sym_intern(st, name, 2))) return false;
  }
  return true;
}

proto *memo_stub(norn_state *st, int nargs)
{
  if (st->memo_stubs[nargs]) return st->memo_stubs[nargs];
  if (st->home) return state_at_home(st), NULL;
  proto *p = mem_zero(&st->mem, sizeof *p);
  if (!p) return NULL;
  stub s = {.code = mem_get(&st->mem, ((size_t)nargs + 8) * sizeof *s.code)};
  sym *names = mem_zero(&st->mem, ((size_t)nargs + 1) * sizeof *names);
  p->nargs = p->nreq = (uint16_t)nargs;
  p->ncap = 2;
  p->nregs = (uint16_t)(2 * nargs + 4);
  p->bytes = p->nregs * 16u;
  p->samples = p->stdlib = true;
  p->name = "mem", p->params = names;
  p->code = s.code, p->ncode = s.code ? (uint32_t)nargs + 8 : 0;
  if (s.code) assemble(&s, nargs);
  if (!s.code || !names || !name_params(st, names, nargs) || !code_liveness(st, p)) {
    proto_free(st, p);
    return NULL;
  }
  p->next = st->protos;
  return st->protos = st->memo_stubs[nargs] = p;
}
