/* svg.c: charts: lines in the data's box with round ticks, heat maps, bars. */
#include "job/svg.h"

#include <math.h>

enum { WIDTH = 640, HEIGHT = 280, LEFT = 56, RIGHT = 16, TOP = 30, BOTTOM = 40, MAX_SERIES = 8 };

void glot_html_text(glot_str *out, const char *text)
{
    for (const char *p = text; *p; p++) {
        switch (*p) {
        case '&': glot_str_puts(out, "&amp;"); break;
        case '<': glot_str_puts(out, "&lt;"); break;
        case '>': glot_str_puts(out, "&gt;"); break;
        case '"': glot_str_puts(out, "&quot;"); break;
        default: glot_str_append(out, p, 1);
        }
    }
}

typedef struct box {
    double x0, x1, y0, y1;
} box;

static box bounds(const glot_svg_series *series, size_t n)
{
    box b = {INFINITY, -INFINITY, INFINITY, -INFINITY};
    for (size_t s = 0; s < n; s++)
        for (size_t i = 0; i < series[s].n; i++) {
            b.x0 = fmin(b.x0, series[s].x[i]);
            b.x1 = fmax(b.x1, series[s].x[i]);
            b.y0 = fmin(b.y0, series[s].y[i]);
            b.y1 = fmax(b.y1, series[s].y[i]);
        }
    if (b.x1 <= b.x0)
        b.x1 = b.x0 + 1.0;
    double margin = b.y1 > b.y0 ? 0.05 * (b.y1 - b.y0) : 0.5;
    b.y0 -= margin;
    b.y1 += margin;
    return b;
}

static double place_x(const box *b, double x)
{
    return LEFT + (x - b->x0) / (b->x1 - b->x0) * (WIDTH - LEFT - RIGHT);
}

static double place_y(const box *b, double y)
{
    return HEIGHT - BOTTOM - (y - b->y0) / (b->y1 - b->y0) * (HEIGHT - TOP - BOTTOM);
}

/* 1, 2 or 5 times a power of ten, so that about five fit. */
static double tick_step(double range)
{
    double raw = range / 5.0, power = pow(10.0, floor(log10(raw))), first = raw / power;
    return power * (first <= 1.0 ? 1.0 : first <= 2.0 ? 2.0 : first <= 5.0 ? 5.0 : 10.0);
}

static void put_ticks(glot_str *out, const box *b)
{
    double step = tick_step(b->y1 - b->y0);
    for (double y = ceil(b->y0 / step) * step; y <= b->y1; y += step) {
        glot_str_printf(out, "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>", LEFT, WIDTH - RIGHT, place_y(b, y), place_y(b, y));
        glot_str_printf(out, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.6g</text>", LEFT - 6, place_y(b, y) + 4.0, fabs(y) < step * 1e-6 ? 0.0 : y);
    }
    step = tick_step(b->x1 - b->x0);
    for (double x = ceil(b->x0 / step) * step; x <= b->x1; x += step)
        glot_str_printf(out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.4g</text>", place_x(b, x), HEIGHT - BOTTOM + 16, fabs(x) < step * 1e-6 ? 0.0 : x);
}

static void put_line(glot_str *out, const box *b, const glot_svg_series *s, size_t number)
{
    glot_str_printf(out, "<polyline class=\"s%zu\" points=\"", number);
    for (size_t i = 0; i < s->n; i++)
        glot_str_printf(out, "%.1f,%.1f ", place_x(b, s->x[i]), place_y(b, s->y[i]));
    glot_str_puts(out, "\"/>");
    if (s->n == 1)
        glot_str_printf(out, "<circle class=\"s%zu\" cx=\"%.1f\" cy=\"%.1f\" r=\"3\"/>", number, place_x(b, s->x[0]), place_y(b, s->y[0]));
}

/* <figure><svg>, named for those who cannot see it, and its title. */
static void begin_chart(glot_str *out, const char *title, int height)
{
    glot_str_printf(out, "<figure><svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"", WIDTH, height);
    glot_html_text(out, title);
    glot_str_puts(out, "\"><text class=\"title\" x=\"0\" y=\"14\">");
    glot_html_text(out, title);
    glot_str_puts(out, "</text>");
}

static void put_x_label(glot_str *out, const char *label, int y)
{
    glot_str_printf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">", WIDTH - RIGHT, y);
    glot_html_text(out, label);
    glot_str_puts(out, "</text>");
}

void glot_svg_lines(glot_str *out, const char *title, const char *x_label, const glot_svg_series *series, size_t n)
{
    box b = bounds(series, n);
    if (!isfinite(b.x0) || !isfinite(b.y0) || !isfinite(b.y1))
        return;
    begin_chart(out, title, HEIGHT);
    put_ticks(out, &b);
    put_x_label(out, x_label, HEIGHT - 6);
    for (size_t s = 0; s < n && s < MAX_SERIES; s++) {
        if (series[s].n == 0)
            continue;
        put_line(out, &b, &series[s], s);
        if (n == 1)
            break;
        glot_str_printf(out, "<text class=\"s%zu legend\" x=\"%d\" y=\"%d\">", s, LEFT + (int)s * 66, HEIGHT - 6);
        glot_html_text(out, series[s].name);
        glot_str_puts(out, "</text>");
    }
    glot_str_puts(out, "</svg></figure>\n");
}

/* ---- heat maps and bars: a column for each layer ---- */

enum { CELL_LEFT = 90, CELL_HEIGHT = 20, CELL_TOP = 26, BAR_HEIGHT = 90 };

static double column_width(size_t n)
{
    return (double)(WIDTH - CELL_LEFT - RIGHT) / (double)n;
}

/* Numbers under the columns, every fifth where there are many. */
static void put_columns(glot_str *out, size_t n, int y)
{
    double width = column_width(n);
    for (size_t c = 0; c < n; c += n > 12 ? 5 : 1)
        glot_str_printf(out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%zu</text>", CELL_LEFT + ((double)c + 0.5) * width, y, c);
}

static void put_cell(glot_str *out, size_t row, size_t column, double width, double opacity, double value)
{
    glot_str_printf(out, "<rect class=\"heat cell\" x=\"%.2f\" y=\"%d\" width=\"%.2f\" height=\"%d\" fill-opacity=\"%.3f\"><title>layer %zu: %.4f</title></rect>",
                    CELL_LEFT + (double)column * width, CELL_TOP + (int)row * CELL_HEIGHT, width, CELL_HEIGHT, opacity, column, value);
}

void glot_svg_heat(glot_str *out, const char *title, const char *const *rows, size_t n_rows, size_t n_columns,
                   double (*value)(const void *user, size_t row, size_t column), const void *user)
{
    double least = INFINITY, most = -INFINITY;
    for (size_t r = 0; r < n_rows; r++)
        for (size_t c = 0; c < n_columns; c++) {
            least = fmin(least, value(user, r, c));
            most = fmax(most, value(user, r, c));
        }
    if (!(most >= least) || !isfinite(least) || !isfinite(most))
        return;
    int bottom = CELL_TOP + (int)n_rows * CELL_HEIGHT;
    begin_chart(out, title, bottom + 42);
    for (size_t r = 0; r < n_rows; r++) {
        glot_str_printf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">", CELL_LEFT - 8, CELL_TOP + (int)r * CELL_HEIGHT + 14);
        glot_html_text(out, rows[r]);
        glot_str_puts(out, "</text>");
        for (size_t c = 0; c < n_columns; c++) {
            double v = value(user, r, c), place = most > least ? (v - least) / (most - least) : 0.5;
            if (!isnan(v))
                put_cell(out, r, c, column_width(n_columns), 0.06 + 0.94 * place, v);
        }
    }
    put_columns(out, n_columns, bottom + 16);
    glot_str_printf(out, "<text x=\"%d\" y=\"%d\">palest %.3f, darkest %.3f</text>", CELL_LEFT, bottom + 36, least, most);
    put_x_label(out, "layer", bottom + 36);
    glot_str_puts(out, "</svg></figure>\n");
}

void glot_svg_bars(glot_str *out, const char *title, const char *x_label, const json_t *values)
{
    size_t n = json_array_size(values);
    double most = 0.0;
    for (size_t i = 0; i < n; i++)
        most = fmax(most, json_number_value(json_array_get(values, i)));
    if (!(most > 0.0))
        return;
    int bottom = CELL_TOP + 16 + BAR_HEIGHT;
    double width = column_width(n);
    begin_chart(out, title, bottom + 42);
    for (size_t i = 0; i < n; i++) {
        double v = json_number_value(json_array_get(values, i)), height = v / most * BAR_HEIGHT, x = CELL_LEFT + (double)i * width;
        glot_str_printf(out, "<rect class=\"heat cell\" x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\"/>", x, bottom - height, width, height);
        glot_str_printf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%.4g</text>", x + width / 2.0, bottom - height - 4.0, v);
    }
    put_columns(out, n, bottom + 16);
    put_x_label(out, x_label, bottom + 36);
    glot_str_puts(out, "</svg></figure>\n");
}
