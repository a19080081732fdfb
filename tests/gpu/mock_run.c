/* mock_run.c: runs a kernel on the CPU: block after block, a fiber for each thread that has to wait.

   A fiber takes one thread after another; one whose thread waits (at a barrier, or for the lanes of its
   warp) is left standing and another one goes on with the threads that have not begun.  When all are
   waiting, those whose wait is over go on.  If there are none, the kernel would hang on a device: that is
   an error here, and so is a barrier that the threads of a block reach at different lines. */
#include "mock.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#if defined __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define LEAVE(save, bottom, size) __sanitizer_start_switch_fiber(save, bottom, size)
#define ARRIVE(save) __sanitizer_finish_switch_fiber(save, NULL, NULL)
#else
#define LEAVE(save, bottom, size) ((void)(save))
#define ARRIVE(save) ((void)(save))
#endif

/* swapcontext asks the kernel for the mask of signals at each switch, and under a sanitizer its guard clears the
   shadow of a whole stack: here only stack and registers change, where the compiler can do that. */
#if defined __x86_64__ && !defined __CET__
typedef void *place[5];
#define BY_PLACES 1
#else
typedef ucontext_t place;
#define BY_PLACES 0
#endif

enum { STACK = MOCK_STACK, THREADS = 1024, VALUE = 16 };

typedef enum { NEW, READY, BARRIER, WARP, ENDED } where;
typedef struct { where is; bool orders; mock_thread me; int line, vote; unsigned mask; int how, what, width, n;
                 unsigned char value[VALUE]; unsigned got; struct fiber *fiber; } task;
typedef struct fiber { place at; bool begun; char *stack; void *fake; struct fiber *next, *other; } fiber;

static struct {
  task t[THREADS];
  int n, begun, order[THREADS], current;
  fiber *idle, *here, *all;          /* by next; by other */
  place home;
  void *home_fake;
  const void *home_bottom; size_t home_size;
  mock_rt *rt;
  void (*call)(void **);
  void **args;
  const char *wrong;
  char text[800];
} m;

/* ---- fibers ---- */

static void body(void);

/* A new fiber's first steps: its stack is there, and body is called on it. */
static void begin_on(fiber *f, ucontext_t *at)
{
  getcontext(at);
  at->uc_stack.ss_sp = f->stack;
  at->uc_stack.ss_size = STACK;
  at->uc_link = NULL;
  makecontext(at, body, 0);
}

#if BY_PLACES
__attribute__((noinline, noreturn, no_sanitize("address"))) static void jump(void **to)
{
  __builtin_longjmp(to, 1);
}

/* Keeps where we are in *from and goes on at *to, or in a fiber that has not begun. */
__attribute__((noinline, no_sanitize("address"))) static void change(void **from, void **to, fiber *begins)
{
  if (__builtin_setjmp(from)) return;
  if (begins) {
    ucontext_t at;
    begin_on(begins, &at);
    setcontext(&at);
  }
  jump(to);
}
#else
static void change(place *from, place *to, fiber *begins)
{
  if (begins) begin_on(begins, to);
  swapcontext(from, to);
}
#define change(from, to, begins) change(&(from), &(to), begins)
#endif

static void go_home(where w)
{
  task *t = &m.t[m.current];
  fiber *f = t->fiber = m.here;
  t->is = w;
  LEAVE(&f->fake, m.home_bottom, m.home_size);
  change(f->at, m.home, NULL);
  ARRIVE(f->fake);
}

static void body(void)
{
#if defined __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(NULL, &m.home_bottom, &m.home_size);
#endif
  for (;;) {
    while (m.begun < m.n) {
      m.current = m.order[m.begun++];
      m.rt->now = &m.t[m.current].me;
      m.call(m.args);
      m.t[m.current].is = ENDED;
    }
    fiber *f = m.here;               /* nothing left to begin: it waits to be used again */
    f->next = m.idle;
    m.idle = f;
    LEAVE(&f->fake, m.home_bottom, m.home_size);
    change(f->at, m.home, NULL);
    ARRIVE(f->fake);
  }
}

static fiber *fiber_new(void)
{
  fiber *f = calloc(1, sizeof *f);
  if (!f) return NULL;
  f->stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (f->stack != MAP_FAILED) {
    f->other = m.all;
    m.all = f;
    return f;
  }
  free(f);
  return NULL;
}

static void enter(fiber *f)
{
  bool begins = !f->begun;
  m.here = f;
  m.rt->stack = f->stack;
  f->begun = true;
  LEAVE(&m.home_fake, f->stack, STACK);
  change(m.home, f->at, begins ? f : NULL);
  ARRIVE(m.home_fake);
}

/* They are kept from launch to launch, but for those that were left in a kernel that went wrong. */
__attribute__((destructor)) static void free_fibers(void)
{
  while (m.all) {
    fiber *f = m.all;
    m.all = f->other;
    munmap(f->stack, STACK);
    free(f);
  }
  m.idle = NULL;
}

/* ---- what threads wait for ---- */

static int wait_barrier(int at, int is)
{
  task *t = &m.t[m.current];
  t->line = at;
  t->vote = is;
  go_home(BARRIER);
  return (int)t->got;
}

static void wait_shuffle(unsigned mask, void *value, int n, int how, int what, int width)
{
  task *t = &m.t[m.current];
  t->mask = mask;
  t->how = how;
  t->what = what;
  t->width = width;
  t->n = n;
  memcpy(t->value, value, (size_t)n);
  go_home(WARP);
  memcpy(value, t->value, (size_t)n);
}

static unsigned wait_ballot(unsigned mask, int is)
{
  task *t = &m.t[m.current];
  t->mask = mask;
  t->how = -1;
  t->vote = is;
  go_home(WARP);
  return t->got;
}

/* Of a __syncwarp: a vote that nobody looks at, and an order. */
static void wait_warp(unsigned mask)
{
  m.t[m.current].orders = true;
  wait_ballot(mask, 0);
}

/* ---- what ends waits ---- */

void mock_failed(const char *what)
{
  if (m.wrong) return;
  snprintf(m.text, sizeof m.text, "%s", what);
  m.wrong = m.text;
}

static void fail(const char *what, int line)
{
  char words[200];
  snprintf(words, sizeof words, "%s (line %d)", what, line);
  mock_failed(words);
}

static bool barrier_over(void)
{
  int count = 0, line = -1;
  for (int k = 0; k < m.n; k++) {
    task *t = &m.t[k];
    if (t->is == ENDED) continue;
    if (t->is != BARRIER) return false;
    if (line >= 0 && t->line != line) fail("threads of a block stand at different barriers", t->line);
    line = t->line;
    count += t->vote;
  }
  if (line < 0) return false;
  for (int k = 0; k < m.n; k++)
    if (m.t[k].is == BARRIER) {
      m.t[k].is = READY;
      m.t[k].got = (unsigned)count;
    }
  mock_race_barrier();
  return true;
}

/* The lane whose value lane i gets; itself where there is none. */
static int source_lane(const task *t, int i)
{
  int base = i / t->width * t->width, j = i;
  if (t->how == 0) return base + (t->what & (t->width - 1));
  if (t->how == 1) j = i ^ t->what;
  if (t->how == 2) j = i + t->what;
  if (t->how == 3) j = i - t->what;
  return j < base || j >= base + t->width ? i : j;
}

static bool warp_over(int first)
{
  unsigned char old[32][VALUE];
  unsigned votes = 0, mask = 0;
  int lanes = m.n - first < 32 ? m.n - first : 32, i = 0;
  while (i < lanes && m.t[first + i].is != WARP) i++;
  if (i == lanes) return false;
  /* several masks may be under way; the first that is complete goes on */
  for (; i < lanes; i++) {
    if (m.t[first + i].is != WARP) continue;
    bool all = true;
    mask = m.t[first + i].mask;
    for (int k = 0; k < lanes && all; k++)
      if (mask >> k & 1) {
        const task *t = &m.t[first + k];
        all = t->is == ENDED || (t->is == WARP && t->mask == mask);
      }
    if (all && mask >> i & 1) break;
    mask = 0;
  }
  if (!mask) return false;
  if (m.t[first + i].orders) mock_race_warp(first, lanes < 32 ? mask & ((1u << lanes) - 1) : mask);
  for (int k = 0; k < lanes; k++)
    if (mask >> k & 1) {
      memcpy(old[k], m.t[first + k].value, VALUE);
      votes |= m.t[first + k].is == WARP && m.t[first + k].vote ? 1u << k : 0;
    }
  for (int k = 0; k < lanes; k++) {
    task *t = &m.t[first + k];
    if (!(mask >> k & 1) || t->is != WARP) continue;
    t->is = READY;
    t->orders = false;
    t->got = votes;
    if (t->how < 0) continue;
    int j = source_lane(t, k);
    if (j < lanes && mask >> j & 1 && m.t[first + j].is != ENDED) memcpy(t->value, old[j], VALUE);
    else fail("a lane is asked for its value that does not take part", first + j);
    t->vote = 0;
  }
  return true;
}

static bool some_over(void)
{
  bool some = false;
  for (int k = 0; k < m.n; k += 32) some |= warp_over(k);
  return some || barrier_over();
}

/* ---- a block ---- */

static void shuffle_order(long how, unsigned *seed)
{
  for (int k = 0; k < m.n; k++) m.order[k] = how == 1 ? m.n - 1 - k : k;
  for (int k = m.n - 1; k > 0 && how == 2; k--) {
    int j = (int)((unsigned)rand_r(seed) % (unsigned)(k + 1)), x = m.order[k];
    m.order[k] = m.order[j];
    m.order[j] = x;
  }
}

static void run_ready(void)
{
  for (int i = 0; i < m.n; i++) {
    int k = m.order[i];
    if (m.t[k].is != READY) continue;
    m.current = k;
    m.rt->now = &m.t[k].me;
    enter(m.t[k].fiber);
  }
}

/* Nothing is known of memory when a block begins: all bits set is NaN, and a great number. */
__attribute__((no_sanitize("address"))) static void spoil(void *from, void *to)
{
  for (volatile char *p = from; p && p < (char *)to; p++) *p = -1;
}

static void run_block(mock_dim threads, mock_dim blocks, mock_dim block, size_t shared)
{
  m.n = (int)(threads.x * threads.y * threads.z);
  m.begun = 0;
  for (int k = 0; k < m.n; k++) {
    unsigned u = (unsigned)k;
    m.t[k] = (task){ .is = NEW, .me = { .thread = { u % threads.x, u / threads.x % threads.y,
                                                    u / threads.x / threads.y },
                                        .block = block, .threads = threads, .blocks = blocks, .number = k } };
  }
  mock_race_block();
  spoil(m.rt->room, m.rt->room + shared);
  spoil(m.rt->block_start, m.rt->block_end);
  while (!m.wrong) {
    if (m.begun < m.n) {
      fiber *f = m.idle ? m.idle : fiber_new();
      if (!f) {
        fail("no memory for a thread", 0);
        return;
      }
      if (f == m.idle) m.idle = f->next;
      enter(f);
      continue;
    }
    run_ready();
    bool ended = true, ready = false;
    for (int k = 0; k < m.n; k++) {
      ended &= m.t[k].is == ENDED;
      ready |= m.t[k].is == READY;
    }
    if (ended) return;
    if (!ready && !some_over()) fail("threads wait for ever", m.t[0].line);
  }
}

const char *mock_run(mock_rt *rt, void (*call)(void **), mock_dim blocks, mock_dim threads, size_t shared,
                     void **args)
{
  long how = mock_order("order", 0);
  int64_t n = (int64_t)blocks.x * blocks.y * blocks.z;
  unsigned seed = 7;
  if ((int64_t)threads.x * threads.y * threads.z > THREADS) return "a block of more than 1024 threads";
  m.rt = rt;
  m.call = call;
  m.args = args;
  m.wrong = NULL;
  rt->barrier = wait_barrier;
  rt->shuffle = wait_shuffle;
  rt->ballot = wait_ballot;
  rt->warp = wait_warp;
  rt->room = malloc(shared + 64);
  rt->access = mock_order("races", 1) ? mock_race_access : NULL;
  mock_race_launch(rt);
  mock_race_memory(rt->room, shared, true);
  mock_race_memory(rt->block_start, (size_t)((char *)rt->block_end - (char *)rt->block_start), true);
  m.n = (int)(threads.x * threads.y * threads.z);
  shuffle_order(how, &seed);
  for (int64_t i = 0; i < n && !m.wrong; i++) {
    int64_t k = how ? n - 1 - i : i;
    mock_dim b = { (unsigned)(k % blocks.x), (unsigned)(k / blocks.x % blocks.y),
                   (unsigned)(k / blocks.x / blocks.y) };
    run_block(threads, blocks, b, shared);
  }
  mock_race_forget(rt->room);
  mock_race_forget(rt->block_start);
  free(rt->room);
  if (m.wrong) free_fibers();
  return m.wrong;
}
