/* svg_lines.c: lines in the data's box. */
#include "job/svg_parts.h"

#include <math.h>

enum { HEIGHT = 220, LEFT = 50, TOP = 8, BOTTOM = 38, MOST_MARKS = 16 };

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
    b.x1 = fmax(b.x1, b.x0 + fmax(1.0, 1e-9 * fabs(b.x0))); /* one step alone */
    svg_widen(&b.y0, &b.y1);
    return b;
}

static double place_x(const box *b, double x)
{
    return LEFT + (x - b->x0) / (b->x1 - b->x0) * (SVG_WIDTH - LEFT - SVG_RIGHT);
}

static double place_y(const box *b, double y)
{
    return HEIGHT - BOTTOM - (y - b->y0) / (b->y1 - b->y0) * (HEIGHT - TOP - BOTTOM);
}

static void put_ticks(glot_str *out, const box *b)
{
    char number[32];
    svg_ticks t = svg_ticks_of(b->y0, b->y1, 5, 0.0);
    for (int i = 0; i < t.n; i++) {
        double y = svg_tick(number, &t, i);
        glot_str_printf(out, "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>", LEFT,
                        SVG_WIDTH - SVG_RIGHT, place_y(b, y), place_y(b, y));
        svg_text(out, LEFT - 6, place_y(b, y) + 4.0, "end", number);
    }
    t = svg_ticks_of(b->x0, b->x1, 6, 1.0);
    for (int i = 0; i < t.n; i++) {
        double x = svg_tick(number, &t, i);
        svg_text(out, place_x(b, x), HEIGHT - BOTTOM + SVG_LINE, "middle", number);
    }
}

static void put_line(glot_str *out, const box *b, const glot_svg_series *s)
{
    size_t color = s->style % 8, dash = s->style / 8 % 8;
    glot_str_printf(out, "<polyline class=\"s%zu d%zu%s\" points=\"", color, dash,
                    s->is_faint ? " faint" : "");
    for (size_t i = 0; i < s->n; i++)
        glot_str_printf(out, "%s%.1f,%.1f", i ? " " : "", place_x(b, s->x[i]), place_y(b, s->y[i]));
    glot_str_puts(out, "\"/>");
    for (size_t i = 0; i < s->n && s->n <= MOST_MARKS && !s->is_faint; i++)
        glot_str_printf(out, "<circle class=\"s%zu\" cx=\"%.1f\" cy=\"%.1f\" r=\"2.5\"/>", color,
                        place_x(b, s->x[i]), place_y(b, s->y[i]));
}

static void put_legend(glot_str *out, const glot_svg_series *series, size_t n)
{
    size_t n_names = 0;
    for (size_t s = 0; s < n; s++) {
        if (!series[s].name || series[s].n == 0)
            continue;
        glot_str_puts(out, n_names++ ? "<span>" : "<p class=\"legend\"><span>");
        glot_svg_key(out, series[s].style);
        glot_html_text(out, series[s].name);
        glot_str_puts(out, "</span> ");
    }
    glot_str_puts(out, n_names ? "</p>" : "");
}

void glot_svg_lines(glot_str *out, const glot_svg_head *head, const glot_svg_series *series, size_t n)
{
    box b = bounds(series, n);
    if (!isfinite(b.x0) || !isfinite(b.x1) || !isfinite(b.y0) || !isfinite(b.y1))
        return;
    svg_begin(out, head, HEIGHT);
    put_ticks(out, &b);
    for (size_t s = 0; s < n; s++)
        if (series[s].n)
            put_line(out, &b, &series[s]);
    svg_end(out, head, HEIGHT);
    put_legend(out, series, n);
    svg_end_figure(out);
}
