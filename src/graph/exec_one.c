/* exec_one: exec_level.c for one number at a time: single steps of a program, and what a node is
   while it is recorded. */
#define LEVEL one
#include "graph/exec_level.c"
