/* svg.h: line charts as inline SVG, coloured by CSS classes (s0, s1, ...) so that they follow light and dark. */
#ifndef GLOT_JOB_SVG_H
#define GLOT_JOB_SVG_H

#include "base/str.h"

typedef struct glot_svg_series {
    const char *name;
    const double *x, *y; /* [n] */
    size_t n;
} glot_svg_series;

/* Appends one chart with axes, ticks and a legend; at most 8 series; series without points are left out. */
void glot_svg_lines(glot_str *out, const char *title, const char *x_label, const glot_svg_series *series, size_t n);
/* Appends text with & < > " escaped. */
void glot_html_text(glot_str *out, const char *text);

#endif
