/* svg.c: one chart: the data's box, round ticks, a line for each series. */
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
        glot_str_printf(out, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.4g</text>", LEFT - 6, place_y(b, y) + 4.0, fabs(y) < step * 1e-6 ? 0.0 : y);
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

void glot_svg_lines(glot_str *out, const char *title, const char *x_label, const glot_svg_series *series, size_t n)
{
    box b = bounds(series, n);
    if (!isfinite(b.x0) || !isfinite(b.y0) || !isfinite(b.y1))
        return;
    glot_str_printf(out, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"", WIDTH, HEIGHT);
    glot_html_text(out, title);
    glot_str_printf(out, "\"><text class=\"title\" x=\"%d\" y=\"16\">", LEFT);
    glot_html_text(out, title);
    glot_str_puts(out, "</text>");
    put_ticks(out, &b);
    glot_str_printf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">", WIDTH - RIGHT, HEIGHT - 6);
    glot_html_text(out, x_label);
    glot_str_puts(out, "</text>");
    for (size_t s = 0; s < n && s < MAX_SERIES; s++) {
        put_line(out, &b, &series[s], s);
        glot_str_printf(out, "<text class=\"s%zu legend\" x=\"%d\" y=\"%d\">", s, LEFT + (int)s * 90, HEIGHT - 6);
        glot_html_text(out, series[s].name);
        glot_str_puts(out, "</text>");
    }
    glot_str_puts(out, "</svg>\n");
}
