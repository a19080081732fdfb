/* archive.h: what the language (which knows how values and runs lie in memory) and the shelf of
   inference (which knows what an inference is) share about checkpoints, beside norn.h's
   norn_archive_ calls.  All of it is defined by the language. */
#ifndef NORN_BASE_ARCHIVE_H
#define NORN_BASE_ARCHIVE_H
#include "norn.h"

/* Rows of distributions that no name of the language stands for, by names of their own; the table
   outlives the state. */
typedef struct archive_row { const char *name; const norn_dist_row *row; } archive_row;
void archive_rows(norn_state *, const archive_row *, int n);

/* Handles that hold what is no value (runs), for checkpoints only: `archive` writes what *p is, or makes it where *p is
   NULL; the row's free takes what it made back.  Rows outlive the state. */
typedef struct archive_handle {
  const norn_handle_row *row;
  bool (*archive)(norn_archive *, void **p);
  size_t (*bytes)(const void *p);      /* what it takes; NULL: next to nothing */
} archive_handle;
norn_status archive_handles(norn_state *, const archive_handle *, int n);

/* While an archive is open nothing is collected. */
norn_archive *archive_writer(norn_state *);                    /* NULL: error set */
/* All that was written, in sections with their hashes; it belongs to the archive. */
bool          archive_written(norn_archive *, const uint8_t **bytes, size_t *n);
/* Of such bytes, which must outlive it; file: for messages.  NULL: error set. */
norn_archive *archive_reader(norn_state *, const char *file, const uint8_t *bytes, size_t n);
bool          archive_finished(norn_archive *);                /* all was read; else it is damaged */
void          archive_free(norn_archive *);
/* Bytes that are still to be read: of nothing can there be more. */
size_t        archive_left(const norn_archive *);
/* The names of addresses that runs have met. */
bool          archive_addresses(norn_archive *);
/* Runs in lanes, between two legs, into as many that were just made: each is written as a run of its own,
   and those in the same state meet again. */
bool          lanes_archive(norn_archive *, norn_lanes *);
/* What is written stands so that it can't be saved now; after another step it may.  The status is
   NORN_EINCOMPLETE; gives false. */
bool          archive_not_now(norn_archive *, const char *why);
/* Of a value: the code that it may come to run, and the data that code and value hold.  Equal in
   every process that loaded the same.  false: error set. */
bool          archive_prints(norn_state *, norn_datum, uint64_t *program, uint64_t *data);
/* The code alone, whatever file it stands in and wherever there, and of a model value without its
   arguments. */
bool          archive_program(norn_state *, norn_datum, uint64_t *program);
/* Of checkpoints of programs (archive_state.c).  Libraries are written first of all: what they define has places. */
bool          archive_libraries(norn_archive *);
bool          archive_globals(norn_archive *);
/* The function that a run which has begun is of, and the stream of its numbers. */
norn_datum    archive_bottom(const norn_run *);
uint64_t      archive_stream(const norn_run *);
/* Of a run that stands at an event: its distribution, which lives in the run. */
const norn_dist *archive_choice(const norn_run *);
/* Of the instructions of this build. */
uint64_t      archive_build(void);
#endif
