/* guide_in.h: between guide.c (a vocabulary's trie, masks, guides of one automaton) and the files of guides whose rules
   nest: guide_nest.c (states), guide_nest_mask.c (masks), guide_nest_least.c (the fewest tokens). */
#ifndef NORN_LLM_GUIDE_IN_H
#define NORN_LLM_GUIDE_IN_H
#include "llm/guide/grammar.h"
#include "llm/guide/guide.h"

enum { GUIDE_BUCKETS = 256 };

/* Node i of the trie: nodes below are i + 1 .. past; its tokens are id[first .. first of i + 1).  Groups of four bytes:
   of the nodes just below, of all below. */
typedef struct tnode { int32_t past, first, depth; uint8_t byte; uint64_t kids, below; } tnode;
/* Tokens id[from .. to) lead to `state`. */
typedef struct tspan { int32_t state, from, to; } tspan;

typedef struct mask { struct mask *chain; uint64_t hash; uint64_t bits[]; } mask;
typedef struct kept { int32_t state, limit; const uint64_t *bits; } kept;

struct lm_guides {
  mem m;
  int n, ids, words;                     /* nodes, tokens in the trie, words of a mask */
  size_t room, deepest;                  /* nodes and depths that there is memory for */
  tnode *node;                           /* (n + 1) */
  lm_token *id;                          /* (ids) */
  tspan *span;                           /* (ids + 1) of the walk that was made last */
  int32_t *path;                         /* (deepest + 1) */
  uint64_t *none, *ends, *work;          /* (words) */
  bool alone[256];                       /* a byte that is a token */
  lm_guide *guide[GUIDE_BUCKETS];
};

typedef struct nest nest;

struct lm_guide {
  lm *of;
  lm_guide *chain;
  char *text;                            /* the expression and the stop */
  size_t n, nstop;
  bool grammar;
  grammar g;
  nest *nest;                            /* g.machines > 0; then the rest but masks and kept is not used */
  uint64_t *stays;                       /* (g.r.n) groups of bytes that leave a state as it is */
  const uint64_t **full;                 /* (g.r.n) masks without a limit */
  bool spelled;                          /* each byte that is ever needed is a token, so no state is lost */
  int32_t *least, *farthest;             /* (g.r.n) NULL: not known yet; of the states behind, the farthest */
  int32_t *behind_at, *behind;           /* (g.r.n + 1): which states tokens lead to */
  size_t behind_cap;
  kept *kept; size_t nkept, kept_cap;    /* by hash; bits NULL: free */
  mask **masks; size_t nmasks, masks_cap;
};

static inline uint64_t guide_group(int byte) { return (uint64_t)1 << (byte >> 2); }
static inline void guide_bit(uint64_t *bits, lm_token t) { bits[t >> 6] |= (uint64_t)1 << (t & 63); }
/* The one array that holds these bits (words); NULL: no memory. */
const uint64_t *guide_mask_of(lm_guide *, const uint64_t *bits);
/* The mask that is kept of a state and a limit; NULL: none. */
const uint64_t *guide_kept(const lm_guide *, int state, int limit);
bool guide_keep(lm_guide *, int state, int limit, const uint64_t *bits);         /* false: no memory */
/* Of each class of bytes that lead anywhere one is a token: bytes of a class can stand for each other. */
bool guide_is_spelled(const lm_guide *);

/* ---- nested rules (guide_nest.c) ---- */

/* A state is a set of stacks: for each state q of a machine that may stand on top, the set of stacks below it.  That is
   itself a state, the one in which a text is when that machine has ended.  Sets are made once, so equal ones are one,
   and those in which a machine may end hold what is in the set below it too. */
typedef struct nest_item { int32_t q, below; } nest_item;
typedef struct nest_row { uint64_t stays; bool looked; int32_t next[]; } nest_row;
typedef struct nest_set {
  uint32_t at, n;                        /* its items, by q */
  int32_t bytes, depth;                  /* the fewest bytes to acceptance; the most stacked */
  int32_t far, farthest;                 /* behind a token, at most: bytes; tokens.  -1: not known yet */
  uint32_t hash, print;                  /* of the items; of what it means, the same in all processes */
  bool end;                              /* the empty stack: the text may end */
  nest_row *row;                         /* NULL: not made, or given up */
  const uint64_t *full;                  /* the mask without a limit; NULL: not made */
} nest_set;
/* A set to which a byte leads. */
enum { NEST_DEAD = -1, NEST_ERROR = -2, NEST_NEW = -3 };
enum { NEST_NONE, NEST_END };            /* sets: of nothing; of the empty stack alone */

typedef struct nest_nodes { int32_t *v; size_t n, cap; } nest_nodes;
/* What tokens do above a state q of a machine, whatever stands below: where those lead that stay above, as sets on
   the empty stack, and the nodes of the trie, not its root, at which the machine may have ended. */
typedef struct nest_local {
  uint64_t *bits;                        /* (words) tokens that are allowed, whatever stands below */
  tspan *span; int nspan;                /* state: of `kind` */
  int32_t *kind; int nkind, kinds_cap;   /* sets that tokens lead to, each once */
  nest_nodes ended;
  int far;                               /* the most bytes to the end of the machine behind a token */
} nest_local;

/* Costs of ends: text may end at node `node` of the trie (0: between tokens) with `cost` tokens complete. */
typedef struct nest_way { int32_t node, cost; } nest_way;

typedef struct nest_late { int32_t a, b, is; } nest_late;

struct nest {
  lm_guide *of;
  const grammar *g;
  mem *m;
  int start;
  nest_set *set; int n; size_t set_cap;
  nest_item *item; size_t nitem, item_cap;
  int32_t *table; size_t table_n;
  nest_late *joined, *grafted;           /* made of late */
  int32_t *slot, *touched; int ntouched; bool ended;     /* (g->r.n) the set that is being made */
  int32_t *called, calls_from, calls_past;     /* (machines) sets below machines that begin; which may be there */
  uint64_t groups[256];                  /* of the bytes of a class */
  nest_item *pool; size_t npool, pool_cap;               /* items of joins that are being made */
  uint64_t step, visits;                 /* sets made in this step; nodes of the trie that were walked */
  bool *near; size_t near_cap;           /* of a local's kinds */
  size_t rows;                           /* bytes of rows */
  nest_local **local;                    /* (g->r.n) NULL: not made */
  struct nest_least *least;              /* guide_nest_least.c's; NULL: not made */
};

nest *nest_new(lm_guide *);              /* NULL: error set */
void  nest_free(nest *);
int   nest_step_new(nest *, int set, int class);
/* The set behind a byte; NEST_DEAD; NEST_ERROR: error set. */
static inline int nest_step(nest *s, int set, uint8_t byte)
{
  int c = s->g->r.class_of[byte];
  const nest_row *row = s->set[set].row;
  int to = row ? row->next[c] : NEST_NEW;
  return to == NEST_NEW ? nest_step_new(s, set, c) : to;
}
/* Groups of bytes that leave a set as it is. */
uint64_t nest_stays(nest *, int set);
/* {q above `below`}; `above`, a set on the empty stack, on `below`: NEST_ERROR: error set. */
int nest_one(nest *, int q, int below);
int nest_graft(nest *, int above, int below);
/* Gives up rows where they have become many; not while a walk is made. */
void nest_trim(nest *);
void nest_too_large(nest *, int q, const char *why, const char *hint);           /* sets the error */

/* guide_nest_mask.c: as lm_guide_mask. */
const uint64_t *nest_mask(nest *, int set, int left);
const nest_local *nest_local_of(nest *, int q);          /* NULL: error set */
void nest_local_free(nest *, nest_local *);
int  nest_walk(nest *, int node, int set, nest_nodes *ended);

/* guide_nest_least.c: the fewest tokens to acceptance; -1: none; -2: error set. */
int  nest_least(nest *, int set);
void nest_least_free(nest *);
#endif
