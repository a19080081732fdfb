/* cache: a private folder for what was made from a text and can be made again: machine code.

   An entry is two files beside each other, BASE.c and BASE.so for instance, where BASE is the folder
   ($XDG_CACHE_HOME/norn, or ~/.cache/norn) and a hash of the text.  What was made counts only if the text
   beside it is this one to the last byte, and both are ours and nobody else could write them.  Whoever makes
   an entry writes files of its own and renames them, the text first. */
#ifndef NORN_CACHE_H
#define NORN_CACHE_H
#include <stdbool.h>
#include <stddef.h>

enum { CACHE_PATH = 700, CACHE_FILE = CACHE_PATH + 80 };

/* The base of a text's entry, "folder/hash"; the folder is made if it is not there.  false: there is none,
   or others may enter it. */
bool cache_base(char base[CACHE_PATH], const char *text, size_t n);
/* base and an ending, as a path. */
const char *cache_file(char to[CACHE_FILE], const char *base, const char *ending);
/* A base for files that are being made: of this process and of `self` alone.  At most CACHE_PATH + 59
   bytes. */
void cache_own(char own[CACHE_FILE], const char *base, const void *self);
/* A regular file of ours that nobody else may write. */
bool cache_is_ours(int file);
/* Opens it for reading if it is; -1: no. */
int  cache_open(const char *path);
/* Holds the file just this text? */
bool cache_has(const char *path, const char *text, size_t n);
/* A new file; false if there is one already, or it can't be written whole. */
bool cache_write(const char *path, const void *bytes, size_t n);
/* One of several that want an entry makes it: who gets the lock.  It counts for a minute at most. */
bool cache_lock(const char *base);
void cache_unlock(const char *base);
#endif
