/* canvas: what all kinds of pages share, and SVG (W3C, Scalable Vector Graphics 1.1). */
#include "io/canvas.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

canvas_format canvas_format_of(const char *name)
{
  const char *end = strrchr(name, '.');
  return !end                              ? CANVAS_UNKNOWN
         : strcasecmp(end, ".svg") == 0    ? CANVAS_SVG
         : strcasecmp(end, ".png") == 0    ? CANVAS_PNG
         : strcasecmp(end, ".pdf") == 0    ? CANVAS_PDF
                                           : CANVAS_UNKNOWN;
}

bool canvas_open(canvas *c, mem *m, canvas_format format, double width, double height,
                 const char *title)
{
  *c = (canvas){ .m = m, .width = width, .height = height };
  text_init(&c->out, m);
  text_init(&c->path, m);
  return format == CANVAS_SVG ? canvas_svg_open(c, title) : canvas_cairo_open(c, format);
}

bool canvas_finish(canvas *c)
{
  bool good = c->ops->finish(c) && !c->out.failed && !c->path.failed;
  return good;
}

void canvas_free(canvas *c)
{
  if (c->ops) c->ops->free(c);
  text_free(&c->out);
  text_free(&c->path);
}

/* ---- paths ---- */

void canvas_line(canvas *c, const double *xy, int64_t n, bool closed, const pen *p)
{
  int down = 0;                          /* points since the last break */
  for (int64_t i = 0; i <= n; i++) {
    if (i == n || !isfinite(xy[2 * i]) || !isfinite(xy[2 * i + 1])) {
      if (down == 1 && p->round) c->ops->line(c, xy[2 * i - 2], xy[2 * i - 1]);
      down = 0;
    } else if (down++) c->ops->line(c, xy[2 * i], xy[2 * i + 1]);
    else c->ops->move(c, xy[2 * i], xy[2 * i + 1]);
  }
  if (closed && n) c->ops->close(c);
  c->ops->paint(c, p);
}

void canvas_segment(canvas *c, double x0, double y0, double x1, double y1, const pen *p)
{
  c->ops->move(c, x0, y0);
  c->ops->line(c, x1, y1);
  c->ops->paint(c, p);
}

void canvas_box(canvas *c, double x, double y, double w, double h, const pen *p)
{
  const double xy[] = { x, y, x + w, y, x + w, y + h, x, y + h };
  canvas_line(c, xy, 4, true, p);
}

void canvas_dots(canvas *c, const double *xy, int64_t n, double radius, colour fill)
{
  pen p = { .stroke = fill, .width = 2 * radius, .round = true };
  for (int64_t i = 0; i < n; i++) {
    if (!isfinite(xy[2 * i]) || !isfinite(xy[2 * i + 1])) continue;
    c->ops->move(c, xy[2 * i], xy[2 * i + 1]);
    c->ops->line(c, xy[2 * i], xy[2 * i + 1]);
  }
  c->ops->paint(c, &p);
}

void canvas_disc(canvas *c, double x, double y, double radius, colour fill, colour rim)
{
  double xy[2] = { x, y };
  canvas_dots(c, xy, 1, radius, rim);
  canvas_dots(c, xy, 1, radius - 1.1, fill);
}

/* ---- words ---- */

void canvas_word(canvas *c, double x, double y, const char *s, double size, unsigned flags,
                 colour ink)
{
  c->ops->word(c, x, y, s, size, flags & WORD_RIGHT ? 1 : flags & WORD_MIDDLE ? .5 : 0,
               flags & WORD_BOLD, ink, 0);
}

void canvas_word_up(canvas *c, double x, double y, const char *s, double size, colour ink)
{
  c->ops->word(c, x, y, s, size, .5, false, ink, -90);
}

/* Widths in hundredths of the size, of space to ~, in DejaVu Sans: Helvetica is narrower. */
static const unsigned char wide[95] = {
  32, 40, 46, 84, 64, 95, 78, 27, 39, 39, 50, 84, 32, 36, 32, 34, 64, 64, 64, 64, 64, 64, 64, 64,
  64, 64, 34, 34, 84, 84, 84, 53, 100, 68, 69, 70, 77, 63, 58, 77, 75, 29, 29, 66, 56, 86, 75, 79,
  60, 79, 69, 63, 61, 73, 68, 99, 69, 61, 69, 39, 34, 39, 84, 50, 50, 61, 63, 55, 63, 62, 35, 63,
  63, 28, 28, 58, 28, 97, 63, 61, 63, 63, 41, 52, 39, 63, 59, 82, 59, 59, 52, 64, 34, 64, 84
};

double canvas_word_width(const char *s, double size)
{
  double sum = 0;
  for (size_t n = strlen(s); n;) {
    uint32_t code;
    int k = utf8_next(s, n, &code);
    if (k < 1) k = 1, code = '?';
    int columns = utf8_width(s, (size_t)k);
    sum += code >= 32 && code < 127 ? wide[code - 32] : columns == 2 ? 100 : columns ? 64 : 0;
    s += k;
    n -= (size_t)k;
  }
  return sum / 100 * size;
}

/* ---- SVG ---- */

/* Hundredths are enough; no trailing zeros; the same in every locale. */
static void put_number(text *t, double x)
{
  char s[32], *p = s + sizeof s;
  if (!(fabs(x) < 1e9)) x = x > 0 ? 1e9 : -1e9;
  long long v = llround(x * 100);
  bool minus = v < 0;
  int digits = 0;
  if (minus) v = -v;
  *--p = 0;
  for (int last = (int)(v % 100); digits < 2; digits++, last /= 10)
    if (*p || last % 10) *--p = (char)('0' + last % 10);
  if (*p) *--p = '.';
  v /= 100;
  do *--p = (char)('0' + v % 10); while (v /= 10);
  if (minus) *--p = '-';
  text_puts(t, p);
}

static void put_attribute(text *t, const char *name, double x)
{
  text_printf(t, " %s=\"", name);
  put_number(t, x);
  text_putc(t, '"');
}

static void put_colour(text *t, const char *name, colour c)
{
  if (!c) {
    text_printf(t, " %s=\"none\"", name);
    return;
  }
  text_printf(t, " %s=\"#%06x\"", name, (unsigned)(c >> 8));
  if ((c & 255) == 255) return;
  char opacity[24];
  snprintf(opacity, sizeof opacity, "%s-opacity", name);
  put_attribute(t, opacity, (c & 255) / 255.0);
}

static void put_escaped(text *t, const char *s)
{
  for (; *s; s++) {
    if (*s == '&') text_puts(t, "&amp;");
    else if (*s == '<') text_puts(t, "&lt;");
    else if (*s == '>') text_puts(t, "&gt;");
    else if (*s == '"') text_puts(t, "&quot;");
    else text_putc(t, (unsigned char)*s < 32 ? ' ' : *s);
  }
}

static void svg_point(canvas *c, char mark, double x, double y)
{
  if (mark) text_putc(&c->path, mark);
  else text_putc(&c->path, ' ');
  put_number(&c->path, x);
  text_putc(&c->path, ' ');
  put_number(&c->path, y);
}

static void svg_move(canvas *c, double x, double y)
{
  svg_point(c, 'M', x, y);
  c->moved = true;
}

/* Points after a first one are lines without a word. */
static void svg_line(canvas *c, double x, double y)
{
  svg_point(c, c->moved ? 0 : 'L', x, y);
}

static void svg_close(canvas *c)
{
  text_putc(&c->path, 'z');
  c->moved = false;
}

static void svg_paint(canvas *c, const pen *p)
{
  text *t = &c->out;
  if (c->path.n && (p->stroke || p->fill)) {
    text_puts(t, "<path d=\"");
    text_put(t, c->path.s, c->path.n);
    text_putc(t, '"');
    put_colour(t, "fill", p->fill);
    if (p->stroke) {
      put_colour(t, "stroke", p->stroke);
      put_attribute(t, "stroke-width", p->width);
      if (p->dash) put_attribute(t, "stroke-dasharray", p->dash);
      if (p->round) text_puts(t, " stroke-linecap=\"round\"");
    }
    text_puts(t, "/>\n");
  }
  c->path.n = 0;
}

static void svg_word(canvas *c, double x, double y, const char *s, double size, double anchor,
                     bool bold, colour ink, double angle)
{
  text *t = &c->out;
  text_puts(t, "<text");
  put_attribute(t, "x", x);
  put_attribute(t, "y", y);
  put_attribute(t, "font-size", size);
  put_colour(t, "fill", ink);
  if (anchor) text_printf(t, " text-anchor=\"%s\"", anchor == 1 ? "end" : "middle");
  if (bold) text_puts(t, " font-weight=\"bold\"");
  if (angle) {
    text_puts(t, " transform=\"rotate(");
    put_number(t, angle);
    text_putc(t, ' ');
    put_number(t, x);
    text_putc(t, ' ');
    put_number(t, y);
    text_puts(t, ")\"");
  }
  text_putc(t, '>');
  put_escaped(t, s);
  text_puts(t, "</text>\n");
}

static bool svg_finish(canvas *c)
{
  text_puts(&c->out, "</g>\n</svg>\n");
  return true;
}

static void svg_free(canvas *c) { (void)c; }

static const canvas_ops svg_ops = { svg_move, svg_line,   svg_close, svg_paint,
                                    svg_word, svg_finish, svg_free };

bool canvas_svg_open(canvas *c, const char *title)
{
  text *t = &c->out;
  c->ops = &svg_ops;
  text_puts(t, "<svg xmlns=\"http://www.w3.org/2000/svg\" version=\"1.1\" role=\"img\"");
  put_attribute(t, "width", c->width);
  put_attribute(t, "height", c->height);
  text_puts(t, " viewBox=\"0 0 ");
  put_number(t, c->width);
  text_putc(t, ' ');
  put_number(t, c->height);
  text_puts(t, "\">\n<title>");
  put_escaped(t, title);
  text_puts(t, "</title>\n<g font-family=\"Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', "
               "sans-serif\" stroke-linejoin=\"round\">\n");
  return true;
}
