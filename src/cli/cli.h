/* cli: the `norn` command: scripts, one-liners, checks, inference from the shell, and the REPL.

   It is an embedder like any other: everything here goes through norn.h.  One `cli` holds what the
   command line asked for and the state it made; every function takes it first. */
#ifndef NORN_CLI_H
#define NORN_CLI_H
#include "norn.h"
#include <stdio.h>

enum { EXIT_FINE = 0, EXIT_PROGRAM = 1, EXIT_USAGE = 2, EXIT_INTERRUPT = 130 };

/* ---- what the command line asked for (options.c) ---- */

typedef enum {
  CMD_REPL, CMD_RUN, CMD_EVAL, CMD_INFER, CMD_TRAIN, CMD_CHECK, CMD_EXPLAIN, CMD_DIS, CMD_DOC,
  CMD_DEVICES, CMD_VERSION, CMD_HELP
} cli_command;

enum { FORMAT_CSV = 1, FORMAT_NC = 2, FORMAT_JSON = 4 };

typedef struct { const char *name, *value; } cli_flag;   /* --particles 1000: an engine's option */

typedef struct progress {
  bool on, terminal;
  int shown;                    /* lines that stand on the terminal */
  double begun, engine_begun;   /* of the work; of the inference that reports now */
  double drawn;                 /* when a line was last written */
  double first_done, last_done;
  double saved;                 /* when a checkpoint was last written; 0: none was */
  char engine[32];
} progress;

/* Of checkpoints (checkpoint.c).  since: it could not be saved since then; next: no try before; asked: so many times
   to stop; said, told: why. */
typedef struct saving { double last, since, next; int asked; bool any, said, told; } saving;

/* Warnings of one kind: the same place, the same words but for numbers. */
enum { WARNING_KINDS = 16, WARNINGS_SHOWN = 3 };
typedef struct cli_warned { uint64_t kind, n; } cli_warned;

typedef struct cli {
  cli_command command;
  norn_config config;
  norn_state *st;
  bool quiet;
  const char **words;  int nwords;     /* what is no option: files, names, a script's arguments */
  const char **evals;  int nevals;     /* -e */
  const char **plugins; int nplugins;  /* --load */
  const char **data;   int ndata;      /* --data */
  cli_flag *flags;     int nflags;
  const char *model, *engine, *out;
  int chains;                          /* 0: not asked for */
  unsigned formats;                    /* of the draws in --out; 0: not asked for */
  bool predictive;                     /* and the groups of inference_data */
  const char *checkpoint;              /* its file, or NULL */
  double every;                        /* seconds between two checkpoints; 0: not asked for */
  bool fresh;                          /* one that is there is not gone on from */
  saving saving;
  bool said_kind, said_seed;           /* --kind, --seed were given */
  const char *kind;                    /* of a net; NULL: npe */
  const char *text;                    /* what a language model is learned from; NULL: a net is learned */
  double seconds; uint64_t train_steps;  /* of training; 0: not asked for */
  bool resume;
  progress bar;
  cli_warned warned[WARNING_KINDS]; int nwarned;
} cli;

/* Fills *c; on a mistake says so on stderr and returns false. */
bool options_parse(cli *c, int argc, char **argv);
void options_free(cli *);
/* The option of this command, or of the engine (NULL: none), whose name is nearest to one that there is not (with _
   for -); NULL: none is near. */
const char *options_near(const cli *, const char *name, const norn_engine *e);
void options_help(FILE *);
/* "2G", "500M", "4096" as bytes; "10", "1.5s", "500ms", "2m", "1h" as seconds. */
bool options_bytes(const char *text, size_t *out);
bool options_seconds(const char *text, double *out);
bool options_count(const char *text, uint64_t *out);   /* "1000" or "1e6" */

/* ---- running and reporting (work.c) ---- */

bool  cli_open(cli *);                  /* makes the state, opens plugins, arms Ctrl-C */
void  cli_close(cli *);
/* Loads and drives a text; warnings and errors go to stderr.  *out is the value (NULL: of no
   interest).  A text that ends too early gives NORN_EINCOMPLETE without a word; for cli_eval_whole
   it is a mistake. */
norn_status cli_eval(cli *, const char *name, const char *text, size_t n, unsigned flags,
                     norn_datum *out);
norn_status cli_eval_whole(cli *, const char *name, const char *text, size_t n, unsigned flags,
                           norn_datum *out);
/* Reads a whole file ("-": standard input); NULL and a message on stderr if that fails. */
char *cli_read(cli *, const char *path, size_t *n);
bool  cli_flushed(void);         /* all that was printed is out, and no part was lost before */
void  cli_complain(cli *, const char *format, ...) NORN_PRINTF(2, 3);   /* "norn: ..." on stderr */
void  cli_report(cli *, const norn_err *, bool warning);
int   cli_diagnostics(cli *);           /* prints all; returns the number of errors */
void  cli_print(cli *, norn_datum, bool source_form, size_t limit);     /* and a newline */
int   cli_exit_code(norn_status);
bool  cli_is_posterior(norn_datum);
double cli_now(void);                   /* seconds, from some start */
/* The i-th engine that has a name for users (helpers start with _); NULL past the last. */
const norn_engine *cli_engine_at(cli *, int i);
/* Levenshtein's distance, counting a swap of neighbours as one; of names of more than 62 bytes 64. */
int   cli_distance(const char *a, const char *b);
/* The name that the state knows which is nearest to `name`; false if none is near. */
bool  cli_nearest(cli *, const char *name, char *out, size_t n);

/* ---- Ctrl-C (interrupt.c) ---- */

void interrupt_arm(norn_state *);       /* SIGINT stops this state while it is busy */
/* From here on SIGTERM is as Ctrl-C, and the first of either is only remembered: whoever looks at
   interrupt_seen stops in good order.  The second stops the state, the third the process. */
void interrupt_gently(bool);
void interrupt_busy(bool);              /* it computes; otherwise SIGINT is only remembered */
bool interrupt_seen(void);              /* since the last call; forgets it */
bool interrupt_wait(int fd);            /* until fd can be read; false: a signal came first */

/* ---- progress (progress.c) ---- */

void progress_start(cli *);             /* a piece of work begins */
void progress_wipe(cli *);              /* before anything else is written, and at the end */
bool progress_report(void *cli_, const char *engine, const norn_progress *);
/* One line of work: at most n - 1 bytes and `width` columns (0: any). */
void progress_line(const progress *, const char *engine, const norn_progress *, double now,
                   int width, char *buf, size_t n);

/* ---- checkpoints (checkpoint.c) ---- */

typedef norn_status checkpoint_save(void *what, cli *, const char *path);
bool cli_is_there(const char *path);    /* a file */
bool checkpoint_asked_well(cli *);      /* false: said which option needs --checkpoint */
bool checkpoint_is_there(const cli *);  /* one to go on from */
void checkpoint_told(cli *, const norn_progress *);         /* "resuming from FILE, 12 %" */
/* Around the work: from begin on Ctrl-C and SIGTERM are remembered (interrupt_gently).  done: the file is of no use
   any more. */
void checkpoint_begin(cli *);
void checkpoint_end(cli *, bool done);
/* Between two steps: writes one if it is time; after Ctrl-C it writes the last and fails. */
norn_status checkpoint_pause(cli *, checkpoint_save *, void *what);

/* ---- commands ---- */

int repl_main(cli *);                                       /* repl.c */
int infer_main(cli *);                                      /* infer_cmd.c */
/* The model of the file that --model names, with its data; NULL after a complaint. */
int infer_model(cli *, norn_ref **model);
/* The same, but a model without parameters uncalled; the text of an engine's value with the flags as its
   options, evaluated.  EXIT_FINE, or another after a complaint. */
int infer_subject(cli *, norn_ref **model);
int cli_engine_value(cli *, norn_ref **engine);
int train_main(cli *);                                      /* train_cmd.c */
int train_text_main(cli *);                                 /* train_text.c */
int explain_main(cli *);                                    /* explain_cmd.c */
int devices_main(cli *);                                    /* devices.c */
/* A line that starts with a colon; false: leave the REPL. *failed is set when it was a mistake. */
typedef struct session { cli *c; int inputs; char *loaded; } session;
bool command_run(session *, const char *line, bool *failed);  /* command.c */
const char *command_name(int i);                              /* ":load", ...; NULL past the last */
bool help_topic(cli *, const char *topic);                    /* help.c; false: nothing known */
void help_engines(cli *);
bool help_engine(cli *, const char *name);

/* ---- the folder of --out (outdir.c) ---- */

typedef struct outdir outdir;
/* Makes the folder and sees that it can be written; takes what it needs of the library before a
   program can put its own in the place.  NULL: said why, or (quietly) no --out. */
outdir *outdir_open(cli *, bool *failed);
/* The run begins: what an earlier one left is removed.  false: said why. */
bool outdir_begin(outdir *);
/* Draws of run k (from 1) of several, or of the only one (0), are kept from here on. */
void outdir_keep(outdir *, int k);
/* What was printed; once per run. */
void outdir_print(outdir *, const char *text);
/* The posterior of a run: draws, info, diagnostics.  false: said why. */
bool outdir_save(outdir *, int k, norn_datum posterior);
bool outdir_close(outdir *);             /* false: said why */

/* ---- do runs agree? (draws.c) ---- */

typedef struct draws draws;
draws *draws_new(norn_state *);
/* Adds the draws of a posterior; its first chain gets the number `chain`. */
norn_status draws_add(draws *, int chain, norn_datum posterior);
/* Per column: mean and sd over all chains, and R-hat, which compares them.  malloc'ed. */
char  *draws_agreement(const draws *);
void   draws_free(draws *);

#endif
