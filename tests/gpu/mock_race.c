/* mock_race.c: finds races: two threads of a launch that touch the same bytes, one of them writing, with nothing
   that says which comes first.

   The compiler tells of each access to memory (its -fsanitize=thread puts calls before them, which mock_device.h
   leads here), so nothing depends on the order in which threads happen to run.  Of each 4 bytes of device memory
   and of a block's shared memory it is known who wrote them last and who has read them since:

       at       a number that goes on with each block and each barrier of a block: before `launch` is nobody (of shared
                memory, before `block`); before `block` another block, with which there is no order; before `now` an
                earlier phase of this block; now: this phase, whose threads have no order but by __syncwarp
       clock    of a lane: how many __syncwarp it has come to; known[i][j]: how far lane i knows of lane j

   Accesses that are volatile or atomic make no race with each other (block.h tells sums by such words), and give no
   order to others.  Two writes of the same value are a race, too.  Shuffles and votes order nothing, as CUDA C++'s
   manual has it.  Of several races one is told; nothing is told that is none, but where lanes of a warp that waited
   for each other in parts have read the same.

   Flanagan and Freund 2009, "FastTrack: efficient and precise dynamic race detection". */
#include "mock.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { THREADS = 1024, WARP = 32, PAGE = 12, PLACES = 1024, STACK = MOCK_STACK };

enum { ONE, LANES, WARPS, BLOCKS };             /* a thread; lanes of a warp; threads; of more than a block */
/* Who has written, or read since; of several in no order the first of their warp, and the highest clock. */
typedef struct user { uint32_t at, code, lanes; uint16_t thread, clock; uint8_t free, who; } user;
typedef struct cell { user w, r; bool small; } cell;           /* small: some of its bytes have cells of their own */

typedef struct region { char *from; size_t n; bool shared; cell *cells, *bytes; } region;

static struct {
  region *all;
  size_t n, room;
  struct { uintptr_t page; region *is; } found[PLACES];   /* is: NULL: none is there */
  uint32_t launch, block, now;
  uint16_t clock[THREADS], known[THREADS][WARP];
  mock_rt *rt;
  bool told;
  char text[600];
} r;

/* ---- memory ---- */

static void forget_places(void)
{
  for (int k = 0; k < PLACES; k++) r.found[k].page = UINTPTR_MAX;
}

/* Cells of memory that is zero and only there where it is used; NULL: none. */
static cell *cells_new(size_t n)
{
  void *p = mmap(NULL, n * sizeof(cell), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return p == MAP_FAILED ? NULL : p;
}
static void cells_free(cell *c, size_t n)
{
  if (c) munmap(c, n * sizeof(cell));
}

void mock_race_memory(void *from, size_t n, bool shared)
{
  if (r.n == r.room) {
    region *more = realloc(r.all, (r.room = 2 * r.room + 16) * sizeof *more);
    if (!more) return;
    r.all = more;
  }
  cell *c = cells_new(n / 4 + 1);
  if (!c) return;
  r.all[r.n++] = (region){ from, n, shared, c, NULL };
  forget_places();
}

void mock_race_forget(void *from)
{
  for (size_t k = 0; k < r.n; k++)
    if (r.all[k].from == from) {
      cells_free(r.all[k].cells, r.all[k].n / 4 + 1);
      cells_free(r.all[k].bytes, r.all[k].n);
      r.all[k] = r.all[--r.n];
      forget_places();
      return;
    }
}

__attribute__((destructor)) static void forget_all(void)
{
  while (r.n) mock_race_forget(r.all[0].from);
  free(r.all);
  r.all = NULL;
}

static bool inside(const region *g, const char *p) { return p >= g->from && p < g->from + g->n; }

/* Pages in which nothing lies are remembered too: tables of constants. */
static region *region_of(const char *p)
{
  uintptr_t page = (uintptr_t)p >> PAGE, k = (page ^ page >> 10) % PLACES;
  if (r.found[k].page == page && (!r.found[k].is || inside(r.found[k].is, p))) return r.found[k].is;
  region *is = NULL;
  bool some = false;
  for (size_t i = 0; i < r.n; i++) {
    const region *g = &r.all[i];
    some |= (uintptr_t)g->from >> PAGE <= page && (uintptr_t)(g->from + g->n) >> PAGE >= page;
    if (inside(g, p)) is = &r.all[i];
  }
  if (is || !some) {
    r.found[k].page = page;
    r.found[k].is = is;
  }
  return is;
}

/* ---- what is in order ---- */

void mock_race_launch(mock_rt *rt)
{
  r.rt = rt;
  r.told = false;
  r.launch = ++r.now;
}

void mock_race_block(void)
{
  r.block = ++r.now;
  memset(r.clock, 0, sizeof r.clock);
  memset(r.known, 0, sizeof r.known);
}

void mock_race_barrier(void) { r.now++; }

void mock_race_warp(int first, unsigned mask)
{
  uint16_t most[WARP] = { 0 };
  for (int i = 0; i < WARP; i++)
    for (int j = 0; mask >> i & 1 && j < WARP; j++)
      if (r.known[first + i][j] > most[j]) most[j] = r.known[first + i][j];
  for (int i = 0; i < WARP; i++) if (mask >> i & 1) most[i] = ++r.clock[first + i];
  for (int i = 0; i < WARP; i++) if (mask >> i & 1) memcpy(r.known[first + i], most, sizeof most);
}

/* Has lane j of this thread's warp come to a __syncwarp after its clock was that, and is that known here? */
static bool after(int me, int j, uint16_t clock) { return r.known[me][j] > clock; }

static bool ordered(const user *u, int me)
{
  if (u->who == BLOCKS || u->at < r.block) return false;
  if (u->at < r.now) return true;
  if (u->who == ONE) return u->thread == me || (u->thread / WARP == me / WARP && after(me, u->thread % WARP, u->clock));
  if (u->who == WARPS || u->thread / WARP != me / WARP) return false;
  for (int j = 0; j < WARP; j++)
    if (u->lanes >> j & 1 && j != me % WARP && !after(me, j, u->clock)) return false;
  return true;
}

/* since: what is older is of an earlier launch, or of an earlier block in its shared memory. */
static bool meets(const user *u, uint32_t since, const user *is)
{
  return u->at >= since && !(u->free && is->free) && !ordered(u, is->thread);
}

/* Who is after those that are known stands for them. */
static void add(user *was, const user *u, uint32_t since)
{
  bool known = was->at >= since;
  if (!known || ordered(was, u->thread)) {
    *was = *u;
    return;
  }
  if (was->who == BLOCKS || was->at < r.block) was->who = BLOCKS;
  else was->who = was->who != WARPS && was->thread / WARP == u->thread / WARP ? LANES : WARPS;
  was->lanes |= u->lanes;
  if (u->clock > was->clock) was->clock = u->clock;
  was->at = r.now;
  was->free &= u->free;
}

/* ---- what is told ---- */

/* "NAME:12, from NAME:40": where the access stands, and where what it stands in was called from first. */
static void place_of(uint32_t code, char *to, size_t n)
{
  char command[200], line[300], first[80] = "", last[80] = "";
  snprintf(to, n, "+%#x", (unsigned)code);
  if (r.rt->code <= 0) return;
  snprintf(command, sizeof command, "addr2line -s -i -e /proc/%d/fd/%d %#x 2>/dev/null", (int)getpid(), r.rt->code,
           (unsigned)code - 1);
  FILE *f = popen(command, "r");
  if (!f) return;
  while (fgets(line, sizeof line, f)) {
    line[strcspn(line, " \n")] = 0;
    snprintf(last, sizeof last, "%.79s", line);
    if (!first[0]) strcpy(first, last);
  }
  pclose(f);
  if (first[0] && first[0] != '?') snprintf(to, n, strcmp(first, last) ? "%s, from %s" : "%s", first, last);
}

static void tell(const user *was, bool wrote, const user *is, bool writes, const region *g, const char *p)
{
  char before[180], here[180], who[40];
  mock_dim b = r.rt->now->block;
  if (r.told) return;
  r.told = true;
  place_of(was->code, before, sizeof before);
  place_of(is->code, here, sizeof here);
  if (was->who == BLOCKS || was->at < r.block) snprintf(who, sizeof who, "another block");
  else snprintf(who, sizeof who, was->who == ONE ? "thread %u" : "one like thread %u", (unsigned)was->thread);
  snprintf(r.text, sizeof r.text,
           "a race: thread %u of block %u,%u,%u %s %s memory (%zu bytes from its beginning) at %s, which %s has %s at %s",
           (unsigned)is->thread, b.x, b.y, b.z, writes ? "writes" : "reads",
           g->shared ? "shared" : "device", (size_t)(p - g->from), here, who,
           wrote ? "written" : "read", before);
  mock_failed(r.text);
}

/* What has been known of these bytes, and is from here on (`keeps`). */
static void look(cell *c, const user *u, unsigned how, const region *g, const char *p, bool keeps)
{
  uint32_t since = g->shared ? r.block : r.launch;
  if (meets(&c->w, since, u)) tell(&c->w, true, u, how & MOCK_WRITES, g, p);
  if (how & MOCK_WRITES && meets(&c->r, since, u)) tell(&c->r, false, u, true, g, p);
  if (!keeps) return;
  if (how & MOCK_READS) add(&c->r, u, since);
  if (how & MOCK_WRITES) add(&c->w, u, since);
}

void mock_race_access(const void *at, unsigned n, unsigned how, const void *code)
{
  const char *p = at, *stack = r.rt->stack;
  if (p >= stack && p < stack + STACK) return;
  region *g = region_of(p);
  if (!g) return;
  int me = r.rt->now->number;
  user u = { .at = r.now, .code = (uint32_t)((const char *)code - (const char *)r.rt->base), .thread = (uint16_t)me,
             .clock = r.clock[me], .lanes = 1u << me % WARP, .free = (how & MOCK_FREE) != 0 };
  for (size_t k = (size_t)(p - g->from), end = k + n < g->n ? k + n : g->n; k < end;) {
    cell *c = g->cells + k / 4;
    bool whole = k % 4 == 0 && k + 4 <= end;
    look(c, &u, how, g, g->from + k, whole);
    if (!whole && !g->bytes && !(g->bytes = cells_new(g->n))) return;
    c->small |= !whole;
    for (size_t j = k; c->small && j < end && j < k + (whole ? 4 : 1); j++)
      look(g->bytes + j, &u, how, g, g->from + j, !whole);
    k += whole ? 4 : 1;
  }
}
