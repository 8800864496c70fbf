/* svg_parts.h: what the charts share. Private to src/job/svg*.c. */
#ifndef GLOT_JOB_SVG_PARTS_H
#define GLOT_JOB_SVG_PARTS_H

#include "job/svg.h"

/* Units of a chart: its width, room at the right, and the height of a line of text. */
enum { SVG_WIDTH = 400, SVG_RIGHT = 10, SVG_LINE = 16 };

/* <figure>, the title, <svg> of that height, named for those who cannot see it; and </svg> with the label of
 * x. */
void svg_begin(glot_str *out, const glot_svg_head *head, double height);
void svg_end(glot_str *out, const glot_svg_head *head, double height);
/* After svg_end and the legend. */
void svg_end_figure(glot_str *out);
/* One text; `anchor` is start, middle or end. */
void svg_text(glot_str *out, double x, double y, const char *anchor, const char *text);

/* Room at the left for the longest of the names, and a name, cut to that room, before x = left. */
double svg_names_width(const char *const *names, size_t n);
void svg_name(glot_str *out, double left, double y, const char *name);

/* Ticks at 1, 2 or 5 times a power of ten, about `wanted` in the range; at least `least` apart. Tick i is at
 * first + i * step. */
typedef struct svg_ticks {
    double first, step;
    int n;
    int decimals; /* so that two ticks never look alike */
} svg_ticks;
svg_ticks svg_ticks_of(double from, double to, int wanted, double least);
/* Place and number of a tick. */
double svg_tick(char number[32], const svg_ticks *ticks, int i);

/* A range made a little wider; one that is next to nothing beside its numbers becomes one per cent of them,
 * so that rounding is not drawn as if it meant something. */
void svg_widen(double *from, double *to);

#endif
