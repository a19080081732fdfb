/* net_answer.h: one answer of a net as a distribution (net_answer.c). */
#ifndef NORN_INFER_NET_ANSWER_H
#define NORN_INFER_NET_ANSWER_H
#include "infer/net/net.h"

/* What head `head` of a net answered, z, for one number: its coordinate is mean + sd times the head's;
   bounds are those of its support.  Not real: a whole number or a boolean. */
typedef struct net_reply { int head; const float *z; size_t at; double mean, sd, lower, upper; bool real; } net_reply;

/* Of a pfn, whose questions see the context alone: notes the question for the one number of a choice at which run 0 of
   those asked stands.  false: error set, or (no error) the net does not know it. */
bool       net_asked_note(net_asked *, norn_run *, const norn_event *, net_reply *);
/* Asks all that were noted since net_asked_restart, in one pass through the net: r has them in their order, and gets z,
   which lives until it is asked again.  false: error set. */
bool       net_asked_replies(net_asked *, net_reply *r);
/* The distribution; net_value: the net as a value.  NONE: error set. */
norn_datum net_answer_dist(norn_state *, norn_datum net_value, const net_reply *);
extern const norn_engine engine_log_q, engine_answer, engine_answers;
#endif
