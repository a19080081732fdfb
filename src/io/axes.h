/* axes.h: a box of a page with a scale on each side: nice ticks, their words, grid lines.

   Ticks are multiples of 1, 2, 2.5 or 5 times a power of ten (Heckbert, "Nice numbers for graph
   labels", Graphics Gems 1990).  Words are short: what large and tiny numbers have in common, a
   power of ten or an offset, is told once, beside the axis. */
#ifndef NORN_AXES_H
#define NORN_AXES_H
#include "io/canvas.h"

enum { TICKS_MAX = 16, TICK_WORD = 24 };
typedef struct ticks {
  int n;
  double at[TICKS_MAX], step;
  char word[TICKS_MAX][TICK_WORD], note[64];
} ticks;
/* About `want` ticks between lo and hi, finite, lo < hi; whole: at whole numbers only. */
void ticks_make(ticks *, double lo, double hi, int want, bool whole);
/* A number in `digits` significant digits, short and with a real minus sign. */
void ticks_number(char *buf, size_t n, double x, int digits);

/* The values lo and hi lie at the points from and to. */
typedef struct scale { double lo, hi, from, to; } scale;
static inline double scale_at(const scale *s, double v)
{
  return s->from + (v - s->lo) / (s->hi - s->lo) * (s->to - s->from);
}
/* Widened by a part of itself on both sides; a range without width gets one. */
scale scale_wide(double lo, double hi, double part);

typedef struct axes {
  canvas *c;
  double left, top, right, bottom;
  scale x, y;
} axes;
axes axes_new(canvas *, double left, double top, double right, double bottom);
void axes_range(axes *, scale x, scale y);
enum { AXIS_GRID = 1, AXIS_WORDS = 2, AXIS_LINE = 4, AXIS_WHOLE = 8 };
void axes_bottom(const axes *, unsigned flags);
void axes_left(const axes *, unsigned flags);
/* What an axis is of. */
void axes_bottom_name(const axes *, const char *);
void axes_left_name(const axes *, const char *);
/* A word in the middle of the box, where there is nothing to draw. */
void axes_nothing(const axes *, const char *);

/* Points (n, 2) from values. */
static inline void axes_point(const axes *a, double x, double y, double *xy)
{
  xy[0] = scale_at(&a->x, x);
  xy[1] = scale_at(&a->y, y);
}

/* Ink and sizes of all pictures.  The colours of chains are those of Okabe and Ito (Color
   Universal Design, 2008), which people who see two primary colours can tell apart, but for their
   reds: red is for what went wrong. */
#define INK 0x25303bffu
#define INK_SOFT 0x6b7680ffu
#define INK_GRID 0xe6eaeeffu
#define INK_LINE 0xaab3bbffu
#define INK_MAIN 0x2f6690ffu
#define INK_ALARM 0xd1495bffu
enum { WORD_SMALL = 9, WORD_NORMAL = 11, WORD_LARGE = 14 };
colour axes_chain_colour(int chain);
#endif
