/* report_similarity.c: the languages' similarity (METHOD 4), pair by pair and as the S that a layerwise
 * allocation (METHOD 5) and language gates go by. */
#include "base/memory.h"
#include "job/report_parts.h"
#include "job/svg.h"

#include <math.h>

static const json_t *pair_of(const json_t *layers, size_t layer, size_t pair)
{
    return json_array_get(json_object_get(json_array_get(layers, layer), "pairs"), pair);
}

static double similarity_at(const void *layers, size_t pair, size_t layer)
{
    const json_t *sim = json_object_get(pair_of(layers, layer, pair), "sim");
    return json_is_number(sim) ? json_number_value(sim) : (double)NAN;
}

/* "el en", as the first layer names its pairs. */
static void put_pair_name(glot_str *out, const json_t *pair)
{
    const char *a = json_string_value(json_object_get(pair, "a")),
               *b = json_string_value(json_object_get(pair, "b"));
    glot_str_printf(out, "%s %s", a ? a : "?", b ? b : "?");
}

static glot_status put_heat(glot_str *out, const json_t *layers, glot_error *err)
{
    static const glot_svg_head head = {"similarity", "Similarity of two languages", "layer"};
    size_t n = json_array_size(json_object_get(json_array_get(layers, 0), "pairs"));
    glot_str *names = NULL;
    const char **rows = NULL;
    glot_status status = glot_new(&names, n, sizeof *names, "the report", err);
    if (status == GLOT_OK)
        status = glot_new(&rows, n, sizeof *rows, "the report", err);
    for (size_t i = 0; i < n && status == GLOT_OK; i++) {
        put_pair_name(&names[i], pair_of(layers, 0, i));
        status = glot_str_check(&names[i], "the report", err);
        rows[i] = names[i].data;
    }
    if (status == GLOT_OK)
        glot_svg_heat(out, &head, rows, n, json_array_size(layers), similarity_at, layers);
    for (size_t i = 0; names && i < n; i++)
        glot_str_release(&names[i]);
    glot_free(names);
    glot_free(rows);
    return status;
}

static glot_status put_mean(glot_str *out, const json_t *layers, glot_error *err)
{
    static const glot_svg_head head = {"similarity-mean", "S: its mean over pairs with a new language",
                                       "layer"};
    double *x = NULL, *y = NULL;
    size_t n = 0;
    glot_status status = glot_new(&x, json_array_size(layers), sizeof *x, "the report", err);
    if (status == GLOT_OK)
        status = glot_new(&y, json_array_size(layers), sizeof *y, "the report", err);
    for (size_t l = 0; l < json_array_size(layers) && status == GLOT_OK; l++) {
        const json_t *s = json_object_get(json_array_get(layers, l), "S");
        if (!json_is_number(s))
            continue;
        x[n] = (double)l;
        y[n++] = json_number_value(s);
    }
    if (status == GLOT_OK)
        glot_svg_lines(out, &head, &(glot_svg_series){.x = x, .y = y, .n = n}, 1);
    glot_free(x);
    glot_free(y);
    return status;
}

glot_status glot_report_similarity(glot_str *out, const json_t *results, glot_error *err)
{
    const json_t *layers = json_object_get(json_object_get(results, "similarity"), "layers");
    if (json_array_size(layers) == 0)
        return GLOT_OK;
    glot_report_section(
        out, "Similarity of the languages",
        "Mean cosine between the hidden states of two languages, layer by layer, before training. Where "
        "they are unlike, a layerwise allocation has the new experts.");
    glot_svg_begin_charts(out);
    GLOT_TRY(put_heat(out, layers, err));
    GLOT_TRY(put_mean(out, layers, err));
    glot_svg_end_charts(out);
    return GLOT_OK;
}
