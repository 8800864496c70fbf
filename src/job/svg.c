/* svg.c: what all charts share: frame, text, ticks. */
#include "job/svg_parts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Letters are 12 units high (the page's style) and about so wide. */
static const double LETTER = 6.6;
enum { MOST_LETTERS = 22 };

void glot_html_text(glot_str *out, const char *text)
{
    for (const char *p = text; *p; p++) {
        switch (*p) {
        case '&':
            glot_str_puts(out, "&amp;");
            break;
        case '<':
            glot_str_puts(out, "&lt;");
            break;
        case '>':
            glot_str_puts(out, "&gt;");
            break;
        case '"':
            glot_str_puts(out, "&quot;");
            break;
        default:
            glot_str_append(out, p, 1);
        }
    }
}

void glot_svg_begin_charts(glot_str *out)
{
    glot_str_puts(out, "<div class=\"charts\">\n");
}

void glot_svg_end_charts(glot_str *out)
{
    glot_str_puts(out, "</div>\n");
}

void svg_begin(glot_str *out, const glot_svg_head *head, double height)
{
    glot_str_printf(out, "<figure data-chart=\"%s\"><figcaption>", head->id);
    glot_html_text(out, head->title);
    glot_str_printf(out, "</figcaption><svg viewBox=\"0 0 %d %.0f\" role=\"img\" aria-label=\"", SVG_WIDTH,
                    height);
    glot_html_text(out, head->title);
    glot_str_puts(out, "\">");
}

void svg_text(glot_str *out, double x, double y, const char *anchor, const char *text)
{
    glot_str_printf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x, y, anchor);
    glot_html_text(out, text);
    glot_str_puts(out, "</text>");
}

void svg_end(glot_str *out, const glot_svg_head *head, double height)
{
    if (head->x_label)
        svg_text(out, SVG_WIDTH - SVG_RIGHT, height - 4.0, "end", head->x_label);
    glot_str_puts(out, "</svg>");
}

void svg_end_figure(glot_str *out)
{
    glot_str_puts(out, "</figure>\n");
}

void glot_svg_key(glot_str *out, size_t style)
{
    glot_str_printf(
        out,
        "<svg class=\"key\" viewBox=\"0 0 24 8\" aria-hidden=\"true\"><polyline class=\"s%zu d%zu\" "
        "points=\"1,4 23,4\"/></svg>",
        style % 8, style / 8 % 8);
}

/* ---- names ---- */

/* Bytes of the first `most` characters of UTF-8, and how many characters they are. */
static size_t first_letters(const char *text, size_t most, size_t *n)
{
    size_t at = 0;
    for (*n = 0; text[at] && *n < most; ++*n)
        for (at++; ((unsigned char)text[at] & 0xC0) == 0x80;)
            at++;
    return at;
}

double svg_names_width(const char *const *names, size_t n)
{
    size_t most = 4;
    for (size_t i = 0; i < n; i++) {
        size_t letters;
        first_letters(names[i], MOST_LETTERS, &letters);
        most = letters > most ? letters : most;
    }
    return LETTER * (double)most + 12.0;
}

void svg_name(glot_str *out, double left, double y, const char *name)
{
    char text[4 * MOST_LETTERS + 4];
    size_t letters, bytes = first_letters(name, MOST_LETTERS, &letters);
    if (name[bytes]) /* too long: the last letter makes room for dots */
        bytes = first_letters(name, MOST_LETTERS - 1, &letters);
    if (bytes > sizeof text - 4) /* no UTF-8 */
        bytes = sizeof text - 4;
    snprintf(text, sizeof text, "%.*s%s", (int)bytes, name, name[bytes] ? "…" : "");
    svg_text(out, left - 8.0, y, "end", text);
}

/* ---- scales ---- */

svg_ticks svg_ticks_of(double from, double to, int wanted, double least)
{
    double rounding = 1e-6, raw = fmax((to - from) / wanted, least);
    double power = pow(10.0, floor(log10(raw) + rounding)), first = raw / power;
    double step = power * (first <= 1.0 + rounding   ? 1.0
                           : first <= 2.0 + rounding ? 2.0
                           : first <= 5.0 + rounding ? 5.0
                                                     : 10.0);
    svg_ticks t = {.first = ceil(from / step - rounding) * step, .step = step};
    t.n = (int)fmin(fmax(floor((to - t.first) / step + rounding) + 1.0, 0.0), 2.0 * wanted);
    t.decimals = (int)fmin(fmax(ceil(-log10(step) - rounding), 0.0), 12.0);
    return t;
}

double svg_tick(char number[32], const svg_ticks *ticks, int i)
{
    double value = ticks->first + i * ticks->step;
    if (fabs(value) < 1e-6 * ticks->step)
        value = 0.0;
    if (fabs(value) >= 1e6 || ticks->step < 1e-6)
        snprintf(number, 32, "%.6g", value);
    else
        snprintf(number, 32, "%.*f", ticks->decimals, value);
    return value;
}

void svg_widen(double *from, double *to)
{
    double size = fmax(fabs(*from), fabs(*to)), least = 0.01 * (size > 0.0 ? size : 1.0);
    double margin = fmax(0.05 * (*to - *from), 0.5 * (least - (*to - *from)));
    *from -= margin;
    *to += margin;
}
