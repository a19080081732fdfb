/* checkpoint.h: what the `archive` functions of the built-in engines share (checkpoint.c).  All give false
   after a failure, which the archive remembers. */
#ifndef NORN_INFER_CHECKPOINT_H
#define NORN_INFER_CHECKPOINT_H
#include "base/archive.h"
#include "infer/engine.h"

bool column_archive(norn_archive *, column *);
bool blame_archive(norn_archive *, blame *);
/* When reading: room for n elements in an array whose elements are archived one by one. */
bool archive_room(norn_archive *, void *array_pointer, size_t *capacity, size_t n, size_t size);
/* Handles of this shelf that checkpoints keep. */
extern const archive_handle population_archived, net_archived;
#endif
