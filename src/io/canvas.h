/* canvas.h: a page that is drawn on with paths and words, and becomes the bytes of a file.

   SVG is written here, as text: words stay words, which can be searched and read aloud, and the
   same drawing gives the same bytes on every machine.  PNG and PDF are made by cairo, which
   canvas_cairo.c opens when a page wants it.  Lengths are points; y points down.  A page's failures (memory,
   cairo's) are told at its end. */
#ifndef NORN_CANVAS_H
#define NORN_CANVAS_H
#include "base/base.h"

typedef enum { CANVAS_SVG, CANVAS_PNG, CANVAS_PDF, CANVAS_UNKNOWN } canvas_format;
/* By the end of a file's name. */
canvas_format canvas_format_of(const char *name);

typedef uint32_t colour;   /* 0xRRGGBBAA; 0: none */
static inline colour colour_fade(colour c, double alpha)
{
  return (c & 0xffffff00u) | (colour)(alpha * 255 + .5);
}
/* How a path is painted: stroke and fill are 0 where there is none; dash: the length of dashes and
   gaps, 0: a whole line; round: a point without length is a dot. */
typedef struct pen { colour stroke, fill; double width, dash; bool round; } pen;

typedef struct canvas canvas;
/* What a kind of page does; path is what move, line and close have left since the last paint. */
typedef struct canvas_ops {
  void (*move)(canvas *, double x, double y);
  void (*line)(canvas *, double x, double y);
  void (*close)(canvas *);
  void (*paint)(canvas *, const pen *);
  /* At the baseline; anchor: 0 starts there, 0.5 its middle, 1 ends there; angle in degrees. */
  void (*word)(canvas *, double x, double y, const char *s, double size, double anchor, bool bold,
               colour, double angle);
  bool (*finish)(canvas *);     /* the file into c->out; false: c->why */
  void (*free)(canvas *);
} canvas_ops;

struct canvas {
  const canvas_ops *ops;
  mem *m;
  double width, height;
  text out, path;               /* path: of SVG, the path's d */
  const char *why;
  bool moved;
  void *self;                   /* of cairo: its pages */
};

/* false: not enough memory, or, with c->why, cairo is not there. */
bool canvas_open(canvas *, mem *, canvas_format, double width, double height, const char *title);
bool canvas_svg_open(canvas *, const char *title);
bool canvas_cairo_open(canvas *, canvas_format);
/* After it c->out holds the bytes.  false: c->why, NULL for memory. */
bool canvas_finish(canvas *);
void canvas_free(canvas *);
/* "cairo 1.16.0", NULL where there is none; loads it. */
const char *canvas_cairo(void);

/* xy (n, 2): a line through points; where one is not finite it is broken. */
void canvas_line(canvas *, const double *xy, int64_t n, bool closed, const pen *);
void canvas_segment(canvas *, double x0, double y0, double x1, double y1, const pen *);
void canvas_box(canvas *, double x, double y, double w, double h, const pen *);
void canvas_dots(canvas *, const double *xy, int64_t n, double radius, colour);
/* A disc of its own, with a rim. */
void canvas_disc(canvas *, double x, double y, double radius, colour fill, colour rim);

enum { WORD_BOLD = 1, WORD_RIGHT = 2, WORD_MIDDLE = 4 };
void canvas_word(canvas *, double x, double y, const char *s, double size, unsigned flags, colour);
void canvas_word_up(canvas *, double x, double y, const char *s, double size, colour);
/* About how wide, in the widest of the usual sans-serif faces; needs no font. */
double canvas_word_width(const char *s, double size);
#endif
