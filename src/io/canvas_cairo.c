/* canvas_cairo: pages that cairo draws: PNG and PDF.  The one door to cairo.

   The library is opened at the first such page and not needed to build: what is used of its
   documented interface (cairographics.org/manual) is declared here. */
#include "io/canvas.h"
#include <dlfcn.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int (*writer)(void *closure, const unsigned char *data, unsigned n);
typedef struct { double x_bearing, y_bearing, width, height, x_advance, y_advance; } extents;

/* Result, name without cairo_, arguments; cairo_t and cairo_surface_t are pointers to us. */
#define CAIRO_FUNCTIONS(F)                                                                         \
  F(const char *, version_string, (void))                                                          \
  F(void *, image_surface_create, (int, int, int))                                                 \
  F(void *, pdf_surface_create_for_stream, (writer, void *, double, double))                       \
  F(void, surface_finish, (void *))                                                                \
  F(int, surface_status, (void *))                                                                 \
  F(int, surface_write_to_png_stream, (void *, writer, void *))                                    \
  F(void, surface_destroy, (void *))                                                               \
  F(void *, create, (void *))                                                                      \
  F(void, destroy, (void *))                                                                       \
  F(int, status, (void *))                                                                         \
  F(const char *, status_to_string, (int))                                                         \
  F(void, scale, (void *, double, double))                                                         \
  F(void, translate, (void *, double, double))                                                     \
  F(void, rotate, (void *, double))                                                                \
  F(void, save, (void *))                                                                          \
  F(void, restore, (void *))                                                                       \
  F(void, set_source_rgba, (void *, double, double, double, double))                               \
  F(void, paint, (void *))                                                                         \
  F(void, new_path, (void *))                                                                      \
  F(void, move_to, (void *, double, double))                                                       \
  F(void, line_to, (void *, double, double))                                                       \
  F(void, close_path, (void *))                                                                    \
  F(void, fill_preserve, (void *))                                                                 \
  F(void, stroke_preserve, (void *))                                                               \
  F(void, set_line_width, (void *, double))                                                        \
  F(void, set_line_cap, (void *, int))                                                             \
  F(void, set_line_join, (void *, int))                                                            \
  F(void, set_dash, (void *, const double *, int, double))                                         \
  F(void, select_font_face, (void *, const char *, int, int))                                      \
  F(void, set_font_size, (void *, double))                                                         \
  F(void, text_extents, (void *, const char *, extents *))                                         \
  F(void, show_text, (void *, const char *))

#define FIELD(result, name, args) result (*name) args;
typedef struct cairo {
  CAIRO_FUNCTIONS(FIELD)
  void (*pdf_surface_set_metadata)(void *, int, const char *);   /* since 1.16 */
  char name[40];
  bool there;
} cairo;

/* The constants of cairo.h and cairo-pdf.h. */
enum { FORMAT_RGB24 = 1, CAP_BUTT = 0, CAP_ROUND = 1, JOIN_ROUND = 1, SLANT_NORMAL = 0,
       WEIGHT_NORMAL = 0, WEIGHT_BOLD = 1, METADATA_CREATE_DATE = 5, WRITE_ERROR = 11 };
enum { PNG_SCALE = 2 };      /* pixels a point */

/* A property of the process, written once before its first reader, as OpenBLAS is (num/la.c). */
static pthread_once_t cairo_once = PTHREAD_ONCE_INIT;
static cairo cairo_found;

static bool find(void *handle, const char *name, void *to)
{
  void *f = dlsym(handle, name);
  memcpy(to, &f, sizeof f);
  return f != NULL;
}

/* NORN_CAIRO names another library with these functions; "none" leaves it out. */
static void find_cairo(void)
{
  cairo f = { .there = false };
  const char *file = getenv("NORN_CAIRO");
  if (!file || !*file) file = "libcairo.so.2";
  void *handle = strcmp(file, "none") == 0 ? NULL : dlopen(file, RTLD_NOW | RTLD_LOCAL);
  if (!handle) return;
#define FIND(result, name, args) && find(handle, "cairo_" #name, &f.name)
  f.there = true CAIRO_FUNCTIONS(FIND);
  if (!f.there) {
    dlclose(handle);
    return;
  }
  find(handle, "cairo_pdf_surface_set_metadata", &f.pdf_surface_set_metadata);
  snprintf(f.name, sizeof f.name, "cairo %.30s", f.version_string());
  cairo_found = f;
}

static const cairo *cairo_open(void)
{
  pthread_once(&cairo_once, find_cairo);
  return cairo_found.there ? &cairo_found : NULL;
}

const char *canvas_cairo(void)
{
  const cairo *f = cairo_open();
  return f ? f->name : NULL;
}

/* ---- pages ---- */

typedef struct page { const cairo *f; void *surface, *draw; bool png; } page;

static page *page_of(canvas *c) { return c->self; }

static void page_move(canvas *c, double x, double y)
{
  page_of(c)->f->move_to(page_of(c)->draw, x, y);
}

static void page_line(canvas *c, double x, double y)
{
  page_of(c)->f->line_to(page_of(c)->draw, x, y);
}

static void page_close(canvas *c) { page_of(c)->f->close_path(page_of(c)->draw); }

static void page_colour(const page *p, colour c)
{
  p->f->set_source_rgba(p->draw, (c >> 24) / 255.0, (c >> 16 & 255) / 255.0, (c >> 8 & 255) / 255.0,
                        (c & 255) / 255.0);
}

static void page_paint(canvas *c, const pen *how)
{
  page *p = page_of(c);
  if (how->fill) {
    page_colour(p, how->fill);
    p->f->fill_preserve(p->draw);
  }
  if (how->stroke) {
    page_colour(p, how->stroke);
    p->f->set_line_width(p->draw, how->width);
    p->f->set_line_cap(p->draw, how->round ? CAP_ROUND : CAP_BUTT);
    p->f->set_dash(p->draw, &how->dash, how->dash > 0, 0);
    p->f->stroke_preserve(p->draw);
  }
  p->f->new_path(p->draw);
}

static void page_word(canvas *c, double x, double y, const char *s, double size, double anchor,
                      bool bold, colour ink, double angle)
{
  page *p = page_of(c);
  extents e = { 0 };
  p->f->save(p->draw);
  p->f->select_font_face(p->draw, "sans-serif", SLANT_NORMAL, bold ? WEIGHT_BOLD : WEIGHT_NORMAL);
  p->f->set_font_size(p->draw, size);
  page_colour(p, ink);
  p->f->translate(p->draw, x, y);
  p->f->rotate(p->draw, angle * 3.14159265358979323846 / 180);
  if (anchor) p->f->text_extents(p->draw, s, &e);
  p->f->move_to(p->draw, -anchor * e.x_advance, 0);
  p->f->show_text(p->draw, s);
  p->f->restore(p->draw);
  p->f->new_path(p->draw);
}

static int page_write(void *closure, const unsigned char *data, unsigned n)
{
  text *t = closure;
  text_put(t, (const char *)data, n);
  return t->failed ? WRITE_ERROR : 0;
}

static bool page_finish(canvas *c)
{
  page *p = page_of(c);
  int bad = p->f->status(p->draw);
  if (!bad && p->png) bad = p->f->surface_write_to_png_stream(p->surface, page_write, &c->out);
  p->f->surface_finish(p->surface);
  if (!bad) bad = p->f->surface_status(p->surface);
  if (bad && !c->out.failed) c->why = p->f->status_to_string(bad);
  return !bad;
}

static void page_free(canvas *c)
{
  page *p = page_of(c);
  if (p->draw) p->f->destroy(p->draw);
  if (p->surface) p->f->surface_destroy(p->surface);
  mem_put(c->m, p, sizeof *p);
}

static const canvas_ops page_ops = { page_move, page_line,   page_close, page_paint,
                                     page_word, page_finish, page_free };

bool canvas_cairo_open(canvas *c, canvas_format format)
{
  const cairo *f = cairo_open();
  if (!f) {
    c->why = "PNG and PDF need cairo, which is not here";
    return false;
  }
  page *p = mem_zero(c->m, sizeof *p);
  if (!p) return false;
  c->self = p;
  c->ops = &page_ops;
  p->f = f;
  p->png = format == CANVAS_PNG;
  if (p->png) p->surface = f->image_surface_create(FORMAT_RGB24, (int)ceil(c->width * PNG_SCALE),
                                                   (int)ceil(c->height * PNG_SCALE));
  else p->surface = f->pdf_surface_create_for_stream(page_write, &c->out, c->width, c->height);
  /* The same picture gives the same file: no date of today. */
  if (!p->png && f->pdf_surface_set_metadata)
    f->pdf_surface_set_metadata(p->surface, METADATA_CREATE_DATE, "2000-01-01T00:00:00Z");
  p->draw = f->create(p->surface);
  if (p->png) f->scale(p->draw, PNG_SCALE, PNG_SCALE);
  f->set_source_rgba(p->draw, 1, 1, 1, 1);
  f->paint(p->draw);
  f->set_line_join(p->draw, JOIN_ROUND);
  return true;
}
