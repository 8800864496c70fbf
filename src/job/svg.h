/* svg.h: charts as inline SVG, coloured by CSS classes (s0, s1, ...) so that they follow light and dark. */
#ifndef GLOT_JOB_SVG_H
#define GLOT_JOB_SVG_H

#include "base/json.h"
#include "base/str.h"

typedef struct glot_svg_series {
    const char *name;
    const double *x, *y; /* [n] */
    size_t n;
} glot_svg_series;

/* Appends one chart with axes, ticks and, where there are several series, a legend; at most 8; series without points are left out. */
void glot_svg_lines(glot_str *out, const char *title, const char *x_label, const glot_svg_series *series, size_t n);
/* Appends a heat map of n_rows times n_columns; value(user, row, column) may be NaN: no cell. The least value is palest. */
void glot_svg_heat(glot_str *out, const char *title, const char *const *rows, size_t n_rows, size_t n_columns,
                   double (*value)(const void *user, size_t row, size_t column), const void *user);
/* Appends a bar for each of the array's numbers (>= 0). */
void glot_svg_bars(glot_str *out, const char *title, const char *x_label, const json_t *values);
/* Appends text with & < > " escaped. */
void glot_html_text(glot_str *out, const char *text);

#endif
