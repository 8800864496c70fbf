/* svg_layers.c: heat maps and bars, a column for each layer. */
#include "job/svg_parts.h"

#include <math.h>
#include <stdio.h>

enum { ROW = 20, TOP = 4, BARS = 90, BARS_LEFT = 30, BOTTOM = 38 };

/* Where the columns are. */
typedef struct columns {
    double left, width;
    size_t n;
} columns;

static columns columns_of(double left, size_t n)
{
    return (columns){left, (SVG_WIDTH - SVG_RIGHT - left) / (double)n, n};
}

static double middle_of(const columns *c, size_t column)
{
    return c->left + ((double)column + 0.5) * c->width;
}

/* Numbers under the columns, under every fifth or tenth where they are narrow. */
static void put_columns(glot_str *out, const columns *c, double y)
{
    char number[24];
    for (size_t i = 0; i < c->n; i += c->width >= 18.0 ? 1 : c->width >= 4.5 ? 5 : 10) {
        snprintf(number, sizeof number, "%zu", i);
        svg_text(out, middle_of(c, i), y + SVG_LINE, "middle", number);
    }
}

/* ---- heat ---- */

/* A heat map's numbers. */
typedef struct heat {
    double (*value)(const void *user, size_t row, size_t column);
    const void *user;
    double least, most;
} heat;

static void find_range(heat *h, size_t n_rows, size_t n_columns)
{
    h->least = INFINITY;
    h->most = -INFINITY;
    for (size_t r = 0; r < n_rows; r++)
        for (size_t c = 0; c < n_columns; c++) {
            h->least = fmin(h->least, h->value(h->user, r, c));
            h->most = fmax(h->most, h->value(h->user, r, c));
        }
}

static void put_cell(glot_str *out, const heat *h, const columns *c, size_t row, size_t column,
                     const char *name)
{
    double v = h->value(h->user, row, column);
    double place = h->most > h->least ? (v - h->least) / (h->most - h->least) : 0.5;
    if (isnan(v))
        return;
    glot_str_printf(out,
                    "<rect class=\"heat cell\" x=\"%.2f\" y=\"%d\" width=\"%.2f\" height=\"%d\" "
                    "fill-opacity=\"%.3f\"><title>",
                    c->left + (double)column * c->width, TOP + (int)row * ROW, c->width, ROW,
                    0.06 + 0.94 * place);
    glot_html_text(out, name);
    glot_str_printf(out, ", layer %zu: %.4f</title></rect>", column, v);
}

void glot_svg_heat(glot_str *out, const glot_svg_head *head, const char *const *rows, size_t n_rows,
                   size_t n_columns, double (*value)(const void *user, size_t row, size_t column),
                   const void *user)
{
    heat h = {.value = value, .user = user};
    find_range(&h, n_rows, n_columns);
    if (!isfinite(h.least) || !isfinite(h.most))
        return;
    columns c = columns_of(svg_names_width(rows, n_rows), n_columns);
    double bottom = TOP + (double)n_rows * ROW, height = bottom + BOTTOM;
    char scale[96];
    svg_begin(out, head, height);
    for (size_t r = 0; r < n_rows; r++) {
        svg_name(out, c.left, TOP + (double)r * ROW + 14.0, rows[r]);
        for (size_t i = 0; i < n_columns; i++)
            put_cell(out, &h, &c, r, i, rows[r]);
    }
    put_columns(out, &c, bottom);
    snprintf(scale, sizeof scale, "faintest %.3f, strongest %.3f", h.least, h.most);
    svg_text(out, c.left, height - 4.0, "start", scale);
    svg_end(out, head, height);
    svg_end_figure(out);
}

/* ---- bars ---- */

static double count_at(const json_t *counts, size_t column)
{
    return fmax(json_number_value(json_array_get(counts, column)), 0.0);
}

static void put_rectangle(glot_str *out, const columns *c, size_t column, double y, double height,
                          bool is_faint)
{
    glot_str_printf(out, "<rect class=\"heat cell%s\" x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\"/>",
                    is_faint ? " faint" : "", c->left + (double)column * c->width, y, c->width, height);
}

/* What was there, faint, what is new on top of it, and the sum above where it has room. `unit`: height of
 * one. */
static void put_bar(glot_str *out, const columns *c, size_t column, double all, double old, double unit)
{
    double bottom = TOP + SVG_LINE + BARS;
    char number[32];
    int letters = snprintf(number, sizeof number, "%.0f", all);
    if (old > 0.0)
        put_rectangle(out, c, column, bottom - old * unit, old * unit, true);
    if (all > old)
        put_rectangle(out, c, column, bottom - all * unit, (all - old) * unit, false);
    if (letters * 6.6 <= c->width)
        svg_text(out, middle_of(c, column), bottom - all * unit - 4.0, "middle", number);
}

void glot_svg_bars(glot_str *out, const glot_svg_head *head, const json_t *before, const json_t *counts)
{
    size_t n = json_array_size(counts);
    double most = 0.0, bottom = TOP + SVG_LINE + BARS;
    char number[32];
    for (size_t i = 0; i < n; i++)
        most = fmax(most, count_at(counts, i));
    if (!(most > 0.0))
        return;
    columns c = columns_of(BARS_LEFT, n);
    svg_begin(out, head, bottom + BOTTOM);
    snprintf(number, sizeof number, "%.0f", most);
    svg_text(out, BARS_LEFT - 6, bottom - BARS + 4.0, "end", number);
    svg_text(out, BARS_LEFT - 6, bottom + 4.0, "end", "0");
    for (size_t i = 0; i < n; i++)
        put_bar(out, &c, i, count_at(counts, i), fmin(count_at(before, i), count_at(counts, i)), BARS / most);
    put_columns(out, &c, bottom);
    svg_end(out, head, bottom + BOTTOM);
    svg_end_figure(out);
}
