/* regex.h: regular expressions as automata over bytes.

   An expression describes whole texts, in Unicode characters; the automaton reads their UTF-8, byte by byte, so
   that it can be stopped and stepped anywhere, also inside a character.  What there is:

       c  \n \t \r \f \v  \. \\ \[ ...      a character (a letter or digit behind \ must be one of these)
       \xHH  \uHHHH  \u{H...}               a character by its number
       .                                    any but a newline
       [abc]  [a-z]  [^...]                 a class; its escapes are those of characters and of \d \w \s
       \d \w \s   \D \W \S                  [0-9], [A-Za-z0-9_], [ \t\n\r\f\v]; and all other characters
       ( )  (?: )  |                        groups, alternatives
       *  +  ?  {m}  {m,}  {m,n}            repetitions; a ? behind one (lazy) changes nothing here
       ^  $                                 at the ends only, where they say what holds anyway

   Whole texts have no use for captures, so ( ) and (?: ) are one.  What would not be regular (backreferences,
   lookaround) is an error with its place, as is all that other dialects have and this one has not. */
#ifndef NORN_LLM_REGEX_H
#define NORN_LLM_REGEX_H
#include "norn.h"

/* The smallest deterministic automaton: from every state but perhaps the first a text's end can be reached.
   State 0 begins.  Bytes that no expression tells apart are one class. */
typedef struct regex {
  norn_state *st;
  int n, classes;
  uint8_t class_of[256];
  int32_t *next;                       /* (n, classes): the state behind a byte; -1: none */
  bool *accepts;                       /* (n) */
} regex;

enum { REGEX_STATES = 20000 };         /* more are an error */

/* The automaton of the expression s.  Errors: NORN_EDOMAIN with the place in s, NORN_ELIMIT where it is too large,
   memory.  Then *r holds nothing. */
norn_status regex_new(norn_state *, const char *s, size_t n, regex *r);
/* The same for texts that may be ended by a stop: those of s in which it does not occur; and any bytes in which it
   does, if what stands in front of it, where it occurs first, is of s. */
norn_status regex_until(norn_state *, const char *s, size_t n, const char *stop, size_t nstop, regex *r);
void        regex_free(regex *);
static inline int regex_step(const regex *r, int state, uint8_t byte)
{
  return r->next[state * r->classes + r->class_of[byte]];
}
#endif
