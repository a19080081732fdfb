/* comp.h: from the syntax tree to code, shared by resolve.c, effect.c and comp_*.c.

   resolve.c   gives every name its binding, finds captures, checks names and placement
   effect.c    which functions may sample: a fixed point over the module
   infer.c     what is known about types: int, real or bool, else anything
   comp_*.c    one walk that emits code: registers by stack discipline, results built in place

   Registers: a local lives in the register that its value was built in.  `top` is the next free one;
   a window (call, native, distribution) starts at top. */
#ifndef NORN_LANG_COMP_H
#define NORN_LANG_COMP_H
#include "lang/parse/ast.h"
#include "lang/env.h"
#include "lang/run.h"

/* NEVER: control does not get there; NUM: an integer or a real, not known which. */
typedef enum { TY_NEVER = -1, TY_ANY = 0, TY_INT, TY_REAL, TY_NUM, TY_BOOL } ty;

typedef struct fn_info fn_info;
typedef struct binding binding;
/* What calling a function may do (effect.c): anything, or what the calls of these parameters do. */
#define EFFECTS_PARAMS 8
typedef struct effects { bool any; int n; const binding *v[EFFECTS_PARAMS]; } effects;
typedef enum { BIND_LOCAL, BIND_PARAM, BIND_FN, BIND_GLOBAL } bind_kind;
/* What a name stands for. */
struct binding {
  bind_kind kind;
  const char *name; norn_span span;
  fn_info *owner;               /* the function whose local it is; NULL for GLOBAL */
  env_entry *entry;             /* GLOBAL */
  fn_info *fn;                  /* BIND_FN: the local function */
  int reg; ty type;             /* LOCAL, PARAM: set while compiling */
  bool used;
  const ast *init;              /* what it was bound to, if a plain let */
  const ast *drawn;             /* the distribution that it was drawn from; set while compiling */
};

/* Local functions defined one after another: they may call each other and share their captures. */
typedef struct fn_group { fn_info **v; int n; binding **caps; int ncaps, ccaps; } fn_group;

struct fn_info {
  const ast_fn *ast; const ast *node;
  fn_info *up;                  /* the function around it; NULL: top level of the module */
  binding *self;                /* of a local fn */
  fn_group *group;              /* of a local fn */
  binding **caps; int ncaps, ccaps;
  effects effects;
  bool is_model, is_top;
  int ncalls, nanon;            /* static numbers in addresses, over all lambdas inside */
  fn_info *numbers;             /* the named function whose numbers it uses */
  proto *p;
  env_entry *entry;             /* of a top-level one */
};

/* Destination of control at the end of an expression. */
typedef struct fold fold;
typedef struct fnstate fnstate;
typedef enum { TAIL_NO, TAIL_RET, TAIL_FOLD } tail_kind;

typedef struct comp {
  norn_state *st; module *mod; uint32_t file; unsigned flags;
  arena *a; ast_module *tree;
  fnstate *f;                   /* the function being emitted */
  fn_info **fns; size_t nfns, cfns;   /* all functions of the module, outer before inner */
  fn_info *top;                 /* the module's top level */
  proto *protos;                /* made so far; linked into the state at the end */
  bool memory;                  /* memory ran out */
  bool broken;                  /* the text has syntax errors */
  const char *let_name;         /* the name that a let gives to the expression that comes next */
  bool repl;
} comp;

/* The function being emitted. */
struct fnstate {
  fnstate *up; fn_info *info; proto *p;
  ins *code; size_t n, ccode;
  span_at *spans; size_t nspans, cspans;
  val *consts; size_t nconsts, cconsts;
  int top, max;
  fold *folds;                  /* the innermost fold */
  int start;                    /* where a tail self-call jumps to */
  bool too_large;
};

typedef struct jumps { int *v; size_t n, cap; } jumps;
/* next: jumps to the end of the turn */
struct fold { fold *up; ast_states *states; int *regs; ty *types; ty *seen; int kept; jumps *next; };

/* ---- resolve.c ---- */
bool resolve_module(comp *);                                       /* false: memory */
binding *resolve_global(comp *, sym name);                         /* a binding for a global entry; NULL: unknown */
/* module.name; NULL if the base is no module */
env_entry *resolve_module_member(comp *, const ast *field, bool complain);
env_entry *comp_callee(comp *, const ast *fn);                     /* the global entry that a callee names, or NULL */
sym  comp_sym(comp *, const char *);
void *comp_get(comp *, size_t);                                    /* arena memory; NULL sets c->memory */
diag *comp_error(comp *, norn_span, const char *format, ...) NORN_PRINTF(3, 4);
/* Declares (hoists) the module's functions: entries, protos with their signatures. */
bool declare_module(comp *);
/* foreign.c: a foreign block's functions as natives of the module; their derivatives. */
void declare_foreign(comp *, const ast *);
void comp_foreign(comp *, const ast *);
proto *proto_new(comp *, const ast_fn *, const char *name, bool is_model, norn_span);
void proto_free(norn_state *, proto *);

/* ---- effect.c ---- */
void effect_module(comp *);
/* reread.c: AST_REREAD of the observes in a function; false: no memory. */
bool reread_mark(comp *, const ast_fn *);
uint8_t effect_of(comp *, const ast *);                            /* of evaluating an expression */
uint8_t effect_of_call(comp *, const ast *call);                   /* of the call itself, arguments evaluated */
bool is_special(comp *, const ast *fn, const char *name);          /* fn names the builtin `name`, not shadowed */

/* ---- infer.c ---- */
ty infer(comp *, const ast *);
void infer_fold(comp *, const ast *loop, fold *);                  /* the types of its states, to a fixed point */
ty ty_join(ty, ty);
ty ty_binary(int op, ty, ty);                                      /* of a op b; op is an ast_binary */
static inline bool ty_is_num(ty t) { return t == TY_INT || t == TY_REAL || t == TY_NUM; }

/* ---- comp_emit.c ---- */
int  emit(comp *, int op, int a, int b, int k);                    /* registers unscaled; literal words follow,
                                                                      zeroed; its index */
int  emit_i(comp *, int op, int a, int b, int64_t);
int  emit_f(comp *, int op, int a, int b, double);
int  emit_p(comp *, int op, int a, int b, int k, const void *);
void emit_lit(comp *, int at, int k, uint64_t);
void emit_span(comp *, int at, int arg, norn_span);                /* for the instruction at `at` */
void land(comp *, int at);                                         /* the jump at `at` comes here */
void jump_back(comp *, int at, int to);
int  temp(comp *);
int  temps(comp *, int n);
int64_t constant(comp *, val);                                     /* index in the constants */
bool fn_finish(comp *, proto *);                                   /* scales operands, hands over code */
void jumps_add(comp *, jumps *, int at);
void jumps_land(comp *, jumps *);

/* ---- comp_*.c: emitting ---- */
ty   expr(comp *, const ast *, int dst, tail_kind);
int  operand(comp *, const ast *, ty *);                           /* a local's own register, else a new temporary */
int  operand_in(comp *, const ast *, ty *, int dst);               /* may be built in dst if that is safe */
bool fresh(comp *, int dst);                                       /* dst is the newest temporary and no local */
ty   leave(comp *, int dst, tail_kind, ty, const ast *);           /* RET if in tail position */
void cond(comp *, const ast *, bool sense, jumps *);               /* jumps when the truth equals sense */
void load_int(comp *, int dst, int64_t);
void load_binding(comp *, const binding *, int dst, norn_span);
void function_value(comp *, fn_info *, int dst);
bool compile_function(comp *, fn_info *);                          /* emits its body into its proto */
ty   binary(comp *, const ast *, int dst);
ty   comp_call(comp *, const ast *, int dst, tail_kind);
ty   comp_for(comp *, const ast *, int dst);
ty   comp_comprehension(comp *, const ast *, int dst);
ty   comp_next(comp *, const ast *, tail_kind);
ty   comp_match(comp *, const ast *, int dst, tail_kind);
void comp_pattern(comp *, const ast *pat, int reg, jumps *fail);
void comp_let_pattern(comp *, const ast *pat, int reg);            /* must match, else a run-time error */
void comp_draw(comp *, const ast *);                               /* let x ~ d */
ty   comp_observe(comp *, const ast *, int dst);
ty   comp_special(comp *, const ast *call, int dst, bool *done);   /* sample, factor, ... */
ty   comp_block(comp *, ast *const *v, uint32_t n, int dst, tail_kind);
void comp_statements(comp *, ast *const *v, uint32_t n);              /* their locals stay */
ty   comp_record(comp *, const ast *, int dst);
ty   comp_index(comp *, const ast *, int dst);
void comp_distribution(comp *, const ast *);                       /* the body of a distribution definition */
ty   entry_value(comp *, env_entry *, int dst, norn_span, const ast *);   /* a builtin as a value */
/* What the arguments of a call must fit.  what: "function" and the like, for messages. */
typedef struct signature {
  const char *what, *name;
  int n, nreq;
  const sym *names;
  const val *defaults;
  bool variadic;
  const char *text;
} signature;
signature comp_signature(comp *, const char *what, const env_entry *);       /* of a builtin */
void comp_assign(comp *, const ast *const *es, const int *regs, const ty *want, int n,
                 const ast *also);   /* as if at once */
/* Arguments of a call put into registers from w on, named ones reordered, defaults filled; false: reported. */
bool comp_arguments(comp *, const ast *call, const signature *, int w, int *count);
uint64_t name_comp(comp *, const char *);
uint64_t anon_comp(comp *);
uint64_t call_comp(comp *, const ast *callee, const char *let_name);
fn_info *numbers_of(comp *);
#endif
