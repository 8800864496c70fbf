/* svg.h
 *
 * Charts as inline SVG, each in a <figure> with its title and legend as text of the page. A chart is 400
 * units wide, about as wide as a phone, so that its letters are as large as the page's; a wider page puts
 * several beside one another (glot_svg_begin_charts). Colours and dashes are CSS classes of the page: s0 to
 * s7, d0 to d7; they follow light and dark.
 */
#ifndef GLOT_JOB_SVG_H
#define GLOT_JOB_SVG_H

#include "base/json.h"
#include "base/str.h"

/* What every chart has. */
typedef struct glot_svg_head {
    const char *id;      /* what scripts know it by: "train-ce"; data-chart in the page */
    const char *title;   /* one line */
    const char *x_label; /* "step"; NULL: none */
} glot_svg_head;

typedef struct glot_svg_series {
    const char *name;    /* in the legend; NULL: not there */
    const double *x, *y; /* [n] */
    size_t n;
    size_t style;        /* index into colours and dashes */
    bool is_faint;       /* what a stronger line lies upon */
} glot_svg_series;

/* A value with its interval (NaN: none); the value itself may be NaN: not there. */
typedef struct glot_svg_range {
    double value, low, high;
} glot_svg_range;

/* Around charts that may stand beside one another. */
void glot_svg_begin_charts(glot_str *out);
void glot_svg_end_charts(glot_str *out);

/* Lines over whole numbers (steps, layers), with a legend where a series has a name. Nothing without a
 * point. */
void glot_svg_lines(glot_str *out, const glot_svg_head *head, const glot_svg_series *series, size_t n);
/* A heat map of n_rows times n_columns; value(user, row, column) may be NaN: no cell. The least value is
 * faintest. Nothing without a cell. */
void glot_svg_heat(glot_str *out, const glot_svg_head *head, const char *const *rows, size_t n_rows,
                   size_t n_columns, double (*value)(const void *user, size_t row, size_t column),
                   const void *user);
/* A bar for each of the counts, of which `before` (NULL: unknown) were there already: those are faint. */
void glot_svg_bars(glot_str *out, const glot_svg_head *head, const json_t *before, const json_t *counts);
/* A row for each name, in it `n_values` values on one scale with their intervals. `values`: [n_rows *
 * n_values]; value_names: [n_values], the legend. Colours: classes `kind`0, `kind`1, ... ("s", or "v": before
 * and after). */
void glot_svg_ranges(glot_str *out, const glot_svg_head *head, const char *kind, const char *const *rows,
                     size_t n_rows, const glot_svg_range *values, const char *const *value_names,
                     size_t n_values);

/* A short piece of a series' line, to stand before its name. */
void glot_svg_key(glot_str *out, size_t style);
/* Appends text with & < > " escaped. */
void glot_html_text(glot_str *out, const char *text);

#endif
