/* net_in.h: what the files that turn programs into tokens share (net.h): places, the walk over simulated
   runs. */
#ifndef NORN_INFER_NET_IN_H
#define NORN_INFER_NET_IN_H
#include "infer/net/net.h"

/* ---- net_schema.c: from addresses to sites ---- */

/* What was found for an address: its site (-1: there is none) and indices. */
typedef struct net_place { uint64_t key; int32_t site, index[NET_INDICES]; } net_place;
typedef struct net_places { norn_state *st; net_place *at; size_t size, used; } net_places;

/* What a value is made of, as far as its distribution says: kinds of one name are sites of their own. */
typedef enum { NET_CLASS_REAL, NET_CLASS_BOOL, NET_CLASS_WHOLE } net_class;
net_class net_class_of(const norn_dist *);
net_class net_class_of_site(const net_site *);

/* The site of an event: its number, -1: there is none; NET_NAMELESS: its address has no name yet (the run
   must note names: NORN_RUN_NAMES); NET_FAILED: error set.  add: sites that are not there are added
   (learning). */
enum { NET_NAMELESS = -2, NET_FAILED = -3 };
int net_place_of(const net_schema *, norn_state *, const norn_event *, int32_t *index);
int net_place_or_add(net_schema *, norn_state *, const norn_event *, int32_t *index);
/* Is it an observation of the program, also one that is missing? */
static inline bool net_of_data(const norn_event *ev)
{
  return ev->kind == NORN_OBSERVE ? !(ev->flags & NORN_EV_GIVEN) : (ev->flags & NORN_EV_MISSING) != 0;
}
/* Indices that the name has. */
int  net_site_indices(const net_site *);
/* Which element of its site a coordinate is, by the last of its indices. */
int64_t net_element(const net_site *, const net_event *, int c);
/* Lays out the table's rows, and `wide`; sites and inputs are known.  asked: which sites have heads. */
void net_lay_out(net_schema *);

/* Of a schema whose places are those of none: a copy of from's, with that state; and its end.  false: error set. */
bool net_places_copy(norn_state *, net_schema *to, const net_schema *from);
void net_places_free(norn_state *, net_schema *);

/* ---- net_event.c: the numbers of choices ---- */

/* Numbers of a value of d at a site that is plain, or not: coordinates, or elements; -1: it has none. */
int64_t net_numbers(norn_state *, const norn_dist *, net_class, bool plain, norn_datum value, norn_support *);
/* Of a scalar family: its support, and the coordinate of a number, which on the edge, where rounding has put
   it, is that of the nearest number inside; false: it is outside.  log |du/dx| is added to *log_slope, if not
   NULL. */
norn_support net_one_support(const norn_dist_row *, const double *p);
bool    net_one_coordinate(const norn_support *, double x, double *u, double *log_slope);
/* The number of d's values, if it is finite and they are the same for all its elements; else -1. */
int64_t net_categories(norn_state *, const norn_dist *);
/* At most n of the numbers in its arguments, in order (norn_dist_leaves). */
int     net_leaves(const norn_dist *, double *out, int n);
/* A number as a feature: itself near 0, a logarithm far away. */
float   net_feature(double z);
bool    net_runs_start(norn_state *, net_runs *, int n, int ninput);   /* emptied, with room for n runs */
bool    net_runs_number(norn_state *, net_runs *, size_t n);           /* room for n more numbers */
bool    net_runs_event(norn_state *, net_runs *);                      /* and for one more event */

/* ---- net_source.c ---- */

/* Runs with a stream of their own; lanes that can't are tried again after NET_AGAIN runs; fewer runs than NET_FEW are
   not worth lanes. */
enum { NET_BLOCK = 4096, NET_AGAIN = 1024, NET_FEW = 32, NET_NAME = 64 };
/* Of a worker's runs: one must go on in the caller's thread, or when memory has been collected. */
typedef enum { NET_HERE, NET_HOME, NET_COLLECT } net_away;
struct net_source {
  norn_state *st;
  norn_ref *what;
  bool makes;                  /* what is a function that makes models */
  bool checked;                /* a run has been looked at for addresses that are taken twice */
  char (*input)[NET_NAME]; int ninput, cinput;
  uint64_t stream;
  /* net_lanes.c: the runs that were simulated last in lanes, for that schema: of one block, `first` on. */
  net_runs block, some;        /* some: runs alone, where lanes can't */
  uint64_t first, print;
  bool whole;                  /* block has them */
  uint32_t width;              /* how many go at once next time; 0: not known yet */
  double each;                 /* seconds of a run alone, of late */
  bool threadless;             /* threads can't do the program's runs */
  net_away away;
  int apart;                   /* times that they fell apart: after some lanes are not tried again */
};
uint64_t net_block_stream(const net_source *, uint64_t block);
/* Does s->block have run i? */
bool net_block_has(const net_source *, const net_schema *, uint64_t i);
/* Makes it so, in lanes.  false: it can't be done so; perhaps error set. */
bool net_lanes_block(net_source *, const net_schema *, uint64_t i);
/* The same at the end of `out`, if all that are done so at once are among the n runs from i on: how many; 0: they are
   not; -1: it can't be done so, perhaps error set. */
int  net_lanes_into(net_source *, const net_schema *, uint64_t i, int n, net_runs *out);

/* Runs by the scalar VM: here; on threads too, where that is worth it (net_source_crew.c).  false: error set. */
bool net_runs_alone(net_source *, const net_schema *, uint64_t first, int n, net_runs *out);
bool net_runs_threads(net_source *, const net_schema *, uint64_t first, int n, net_runs *out);

/* A choice or observation of simulated run k with its value.  NET_MET_NAMES: the run is done again, with
   names. */
typedef enum { NET_MET_FAILED, NET_MET, NET_MET_NAMES } net_met;
typedef struct net_walk {
  net_met (*begin)(void *user, int k, norn_datum model);               /* again, when it is done again */
  net_met (*meet)(void *user, int k, const norn_event *, norn_datum value);
  void *user;
} net_walk;
bool net_source_walk(net_source *, uint64_t first, int n, const net_walk *);
int  net_source_ninput(const net_source *);
const char *net_source_input(const net_source *, int i);
/* Finds out which arguments the net has to see (net_inputs.c), and tells; of a function that makes models. */
bool net_inputs_find(net_source *, bool pfn);
/* Appends the numbers of input `name` of a model value: their number, and of elements of an array.  false:
   error set. */
bool net_input_numbers(norn_state *, norn_datum model, const char *name, net_runs *, uint32_t *n,
                       int64_t *elements);
#endif
