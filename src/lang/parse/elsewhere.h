/* elsewhere.h: names of other languages and libraries, and what is written for them here. */
#ifndef NORN_LANG_ELSEWHERE_H
#define NORN_LANG_ELSEWHERE_H
#include <stdbool.h>
#include <stddef.h>

/* The name that `name`, a word of another language, has here, or a sentence (with a space) that says how it is written;
   NULL: nothing is known of it. */
const char *elsewhere_find(const char *name);

/* The i-th of all that are known; false: there are fewer. */
bool elsewhere_pair(size_t i, const char **there, const char **here);

#endif
