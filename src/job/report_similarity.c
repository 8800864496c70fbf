/* report_similarity.c: the languages' similarity (METHOD 4) and the experts allocated by it (METHOD 5), one
 * above the other: a column for each layer. */
#include "job/report_similarity.h"
#include "job/svg.h"

#include <math.h>
#include <stdio.h>

/* Sizes of the picture: a heat map's row, a curve, the bars and the numbers above them, and around each of
 * the three. */
enum { WIDTH = 640, LEFT = 72, RIGHT = 16, TOP = 28, NUMBERS = 22, ROW = 18, CURVE = 110, BARS = 90, SUM = 14 };

/* What is drawn. Counts are of results.json, whatever it holds. */
typedef struct picture {
    const json_t *layers; /* [n_layers] of {"S", "pairs"} */
    const json_t *before; /* [n_layers] experts in the measured model, and in the result; */
    const json_t *after;  /* NULL: no bars */
    size_t n_layers, n_pairs;
    double column;      /* width of a layer */
    double least, most; /* similarity of a pair */
    double top;         /* of S */
} picture;

static double s_of(const picture *p, size_t layer)
{
    const json_t *s = json_object_get(json_array_get(p->layers, layer), "S");
    return json_is_number(s) ? json_number_value(s) : (double)NAN;
}

static const json_t *pair_of(const picture *p, size_t layer, size_t pair)
{
    return json_array_get(json_object_get(json_array_get(p->layers, layer), "pairs"), pair);
}

static double similarity_of(const picture *p, size_t layer, size_t pair)
{
    const json_t *sim = json_object_get(pair_of(p, layer, pair), "sim");
    return json_is_number(sim) ? json_number_value(sim) : (double)NAN;
}

/* Counts of as many layers, or NULL. */
static const json_t *counts_of(const json_t *object, size_t n_layers)
{
    const json_t *counts = json_object_get(object, "experts");
    return json_is_array(counts) && json_array_size(counts) == n_layers ? counts : NULL;
}

static picture picture_of(const json_t *results)
{
    const json_t *similarity = json_object_get(results, "similarity"),
                 *layers = json_object_get(similarity, "layers");
    size_t n = json_array_size(layers);
    picture p = {.layers = layers,
                 .n_layers = n,
                 .least = INFINITY,
                 .most = -INFINITY,
                 .top = 0.0,
                 .column = (double)(WIDTH - LEFT - RIGHT) / (double)(n ? n : 1)};
    p.before = counts_of(similarity, n);
    p.after = p.before ? counts_of(results, n) : NULL;
    p.n_pairs = json_array_size(json_object_get(json_array_get(layers, 0), "pairs"));
    for (size_t l = 0; l < n; l++) {
        p.top = fmax(p.top, s_of(&p, l));
        for (size_t i = 0; i < p.n_pairs; i++) {
            p.least = fmin(p.least, similarity_of(&p, l, i));
            p.most = fmax(p.most, similarity_of(&p, l, i));
        }
    }
    return p;
}

static double left_of(const picture *p, size_t layer)
{
    return LEFT + (double)layer * p->column;
}

static double middle_of(const picture *p, size_t layer)
{
    return left_of(p, layer) + 0.5 * p->column;
}

static void begin(glot_str *out, const char *title, double height)
{
    glot_str_printf(out,
                    "<svg viewBox=\"0 0 %d %.0f\" role=\"img\" aria-label=\"%s\"><text class=\"title\" "
                    "x=\"%d\" y=\"16\">%s</text>",
                    WIDTH, height, title, LEFT, title);
}

/* A number under every column, or under every fifth where they are narrow. */
static void put_layer_numbers(glot_str *out, const picture *p, double y)
{
    for (size_t l = 0; l < p->n_layers; l += p->column < 24.0 ? 5 : 1)
        glot_str_printf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%zu</text>", middle_of(p, l),
                        y + 14.0, l);
    glot_str_printf(out, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">layer</text>", LEFT - 6, y + 14.0);
}

/* ---- the heat map ---- */

static void put_pair_name(glot_str *out, const json_t *pair)
{
    const char *a = json_string_value(json_object_get(pair, "a")),
               *b = json_string_value(json_object_get(pair, "b"));
    glot_html_text(out, a ? a : "?");
    glot_str_puts(out, " ");
    glot_html_text(out, b ? b : "?");
}

static void put_row(glot_str *out, const picture *p, size_t pair, double y)
{
    glot_str_printf(out, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">", LEFT - 6, y + 13.0);
    put_pair_name(out, pair_of(p, 0, pair));
    glot_str_puts(out, "</text>");
    for (size_t l = 0; l < p->n_layers; l++) {
        double value = similarity_of(p, l, pair),
               place = p->most > p->least ? (value - p->least) / (p->most - p->least) : 0.5;
        if (isnan(value))
            continue;
        glot_str_printf(out,
                        "<rect class=\"heat\" x=\"%.2f\" y=\"%.1f\" width=\"%.2f\" height=\"%d\" "
                        "fill-opacity=\"%.3f\"><title>",
                        left_of(p, l), y, p->column, ROW, 0.05 + 0.95 * place);
        put_pair_name(out, pair_of(p, l, pair));
        glot_str_printf(out, ", layer %zu: %.4f</title></rect>", l, value);
    }
}

static void put_heat(glot_str *out, const picture *p)
{
    char title[96];
    if (!(p->most >= p->least))
        return;
    snprintf(title, sizeof title, "similarity of two languages, from %.3f (palest) to %.3f", p->least,
             p->most);
    begin(out, title, (double)(TOP + NUMBERS) + (double)p->n_pairs * ROW);
    for (size_t i = 0; i < p->n_pairs; i++)
        put_row(out, p, i, TOP + (double)i * ROW);
    put_layer_numbers(out, p, TOP + (double)p->n_pairs * ROW);
    glot_str_puts(out, "</svg>\n");
}

/* ---- the curve and the bars ---- */

/* From 0 at y = TOP + CURVE to the largest S at y = TOP. */
static void put_curve(glot_str *out, const picture *p)
{
    if (!(p->top > 0.0))
        return;
    begin(out, "S: mean over pairs with a new language",
          TOP + CURVE + NUMBERS);
    for (int i = 0; i <= 2; i++) {
        double y = TOP + CURVE * (1.0 - 0.5 * i);
        glot_str_printf(out, "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>", LEFT,
                        WIDTH - RIGHT, y, y);
        glot_str_printf(out, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.2g</text>", LEFT - 6, y + 4.0,
                        p->top * 0.5 * i);
    }
    glot_str_puts(out, "<polyline class=\"s0\" points=\"");
    for (size_t l = 0; l < p->n_layers; l++)
        if (!isnan(s_of(p, l)))
            glot_str_printf(out, "%.1f,%.1f ", middle_of(p, l),
                            TOP + CURVE * (1.0 - fmax(s_of(p, l), 0.0) / p->top));
    glot_str_puts(out, "\"/>");
    put_layer_numbers(out, p, TOP + CURVE);
    glot_str_puts(out, "</svg>\n");
}

static double count_at(const json_t *counts, size_t layer)
{
    return fmax(json_number_value(json_array_get(counts, layer)), 0.0);
}

static void put_rectangle(glot_str *out, double x, double y, double width, double height, const char *opacity)
{
    glot_str_printf(
        out,
        "<rect class=\"heat\" x=\"%.2f\" y=\"%.1f\" width=\"%.2f\" height=\"%.1f\" fill-opacity=\"%s\"/>", x,
        y, width, height, opacity);
}

/* What was there, pale, what is new on top of it, and the sum above. `unit`: height of one expert. */
static void put_bar(glot_str *out, const picture *p, size_t layer, double unit)
{
    double x = left_of(p, layer) + 0.12 * p->column, width = 0.76 * p->column, bottom = TOP + SUM + BARS;
    double all = count_at(p->after, layer), old = fmin(count_at(p->before, layer), all);
    put_rectangle(out, x, bottom - old * unit, width, old * unit, "0.25");
    if (all > old)
        put_rectangle(out, x, bottom - all * unit, width, (all - old) * unit, "1");
    glot_str_printf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%.0f</text>",
                    middle_of(p, layer), bottom - all * unit - 4.0, all);
}

static void put_bars(glot_str *out, const picture *p)
{
    double most = 1.0;
    if (!p->after)
        return;
    for (size_t l = 0; l < p->n_layers; l++)
        most = fmax(most, count_at(p->after, l));
    begin(out, "experts: those that were there (pale) and the new ones", TOP + SUM + BARS + NUMBERS);
    for (size_t l = 0; l < p->n_layers; l++)
        put_bar(out, p, l, BARS / most);
    put_layer_numbers(out, p, TOP + SUM + BARS);
    glot_str_puts(out, "</svg>\n");
}

void glot_report_similarity(glot_str *out, const json_t *results)
{
    picture p = picture_of(results);
    if (p.n_layers == 0)
        return;
    glot_str_puts(out, "<h2>Similarity of the languages</h2><p class=\"soft\">Mean cosine between the hidden "
                       "states of two languages, layer by layer, before training. "
                       "Where they are unlike, a layerwise allocation has the new experts.</p>");
    put_heat(out, &p);
    put_curve(out, &p);
    put_bars(out, &p);
}
