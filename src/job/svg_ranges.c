/* svg_ranges.c: values on one scale, a row for each name: a mark for each value, a bar for its interval. */
#include "job/svg_parts.h"

#include <math.h>

enum { TOP = 4, BOTTOM = 38, MARK = 11 };

/* Where the numbers go. */
typedef struct scale {
    double left, from, to;
} scale;

static double place(const scale *s, double value)
{
    return s->left + (value - s->from) / (s->to - s->from) * (SVG_WIDTH - SVG_RIGHT - 4 - s->left);
}

static scale scale_of(double left, const glot_svg_range *values, size_t n)
{
    scale s = {left, INFINITY, -INFINITY};
    for (size_t i = 0; i < n; i++) {
        if (isnan(values[i].value))
            continue;
        s.from = fmin(fmin(s.from, values[i].value), values[i].low);
        s.to = fmax(fmax(s.to, values[i].value), values[i].high);
    }
    svg_widen(&s.from, &s.to);
    return s;
}

static void put_ticks(glot_str *out, const scale *s, double bottom)
{
    char number[32];
    svg_ticks t = svg_ticks_of(s->from, s->to, 5, 0.0);
    for (int i = 0; i < t.n; i++) {
        double v = svg_tick(number, &t, i);
        glot_str_printf(out, "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%.1f\"/>",
                        place(s, v), place(s, v), TOP, bottom);
        svg_text(out, place(s, v), bottom + SVG_LINE, "middle", number);
    }
}

static void put_value(glot_str *out, const scale *s, const glot_svg_range *v, double y, const char *kind,
                      size_t i)
{
    if (isnan(v->value))
        return;
    if (!isnan(v->low) && !isnan(v->high))
        glot_str_printf(out, "<polyline class=\"%s%zu interval\" points=\"%.1f,%.1f %.1f,%.1f\"/>", kind,
                        i % 8, place(s, v->low), y, place(s, v->high), y);
    glot_str_printf(out,
                    "<circle class=\"%s%zu\" cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\"><title>%.4f</title></circle>",
                    kind, i % 8, place(s, v->value), y, v->value);
}

static void put_legend(glot_str *out, const char *kind, const char *const *names, size_t n)
{
    glot_str_puts(out, "<p class=\"legend\">");
    for (size_t i = 0; i < n; i++) {
        glot_str_printf(out, "<span><span class=\"dot %s%zu\"></span>", kind, i % 8);
        glot_html_text(out, names[i]);
        glot_str_puts(out, "</span> ");
    }
    glot_str_puts(out, "</p>");
}

void glot_svg_ranges(glot_str *out, const glot_svg_head *head, const char *kind, const char *const *rows,
                     size_t n_rows, const glot_svg_range *values, const char *const *value_names,
                     size_t n_values)
{
    scale s = scale_of(svg_names_width(rows, n_rows), values, n_rows * n_values);
    double row = (double)n_values * MARK + 8.0, bottom = TOP + (double)n_rows * row;
    if (!isfinite(s.from) || !isfinite(s.to))
        return;
    svg_begin(out, head, bottom + BOTTOM);
    put_ticks(out, &s, bottom);
    for (size_t r = 0; r < n_rows; r++) {
        double y = TOP + (double)r * row;
        if (r)
            glot_str_printf(out, "<line class=\"grid\" x1=\"0\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>",
                            SVG_WIDTH, y, y);
        svg_name(out, s.left, y + 0.5 * row + 4.0, rows[r]);
        for (size_t i = 0; i < n_values; i++)
            put_value(out, &s, &values[r * n_values + i], y + 4.0 + ((double)i + 0.5) * MARK, kind, i);
    }
    svg_end(out, head, bottom + BOTTOM);
    put_legend(out, kind, value_names, n_values);
    svg_end_figure(out);
}
