/* report_curves.c: how a run went, from metrics.jsonl: losses, speed, and the scores taken on the way. */
#include "base/memory.h"
#include "job/curves.h"
#include "job/report_parts.h"

#include <string.h>

/* A chart of one key over the steps of one phase, its running mean upon it. */
static glot_status put_key(glot_str *out, const json_t *lines, const glot_report_curve *what, glot_error *err)
{
    glot_curve c = {0}, smooth = {0};
    glot_status status = glot_curve_read(&c, lines, what->phase, what->key, err);
    if (status == GLOT_OK)
        status = glot_curve_smooth(&smooth, &c, err);
    glot_svg_series series[] = {{.x = c.x, .y = c.y, .n = c.n, .is_faint = smooth.n > 0},
                                {.x = smooth.x, .y = smooth.y, .n = smooth.n}};
    if (status == GLOT_OK)
        glot_svg_lines(out, &what->head, series, 2);
    glot_curve_release(&c);
    glot_curve_release(&smooth);
    return status;
}

/* The evaluations on the way (eval_every), a line for each language. */
static glot_status put_scores(glot_str *out, const json_t *results, const json_t *lines, glot_error *err)
{
    static const glot_svg_head head = {"scores-on-the-way", "Bits per byte on the way", "step"};
    size_t n = glot_report_n_languages(results);
    glot_curve *curves = NULL;
    glot_svg_series *series = NULL;
    glot_status status = glot_new(&curves, n, sizeof *curves, "a chart", err);
    if (status == GLOT_OK)
        status = glot_new(&series, n, sizeof *series, "a chart", err);
    for (size_t k = 0; k < n && status == GLOT_OK; k++) {
        const char *name = glot_report_language(results, k);
        status = glot_curve_read_scores(&curves[k], lines, name, err);
        series[k] =
            (glot_svg_series){.name = name, .x = curves[k].x, .y = curves[k].y, .n = curves[k].n, .style = k};
    }
    if (status == GLOT_OK)
        glot_svg_lines(out, &head, series, n);
    for (size_t k = 0; curves && k < n; k++)
        glot_curve_release(&curves[k]);
    glot_free(curves);
    glot_free(series);
    return status;
}

const glot_report_curve glot_report_curve_list[] = {
    {"train", "ce", {"train-ce", "Stage 1: cross-entropy, nats a token", "step"}},
    {"train", "balance", {"train-balance", "Stage 1: load balancing, 1 is perfect", "step"}},
    {"train", "tokens_per_s", {"train-speed", "Stage 1: tokens a second", "step"}},
    {"review", "ce", {"review-ce", "Review: cross-entropy, nats a token", "step"}},
    {"review", "lpr", {"review-lpr", "Review: LPR loss", "step"}},
    {"review", "tokens_per_s", {"review-speed", "Review: tokens a second", "step"}},
    {0},
};

static bool has_phase(const json_t *lines, const char *phase)
{
    size_t i;
    const json_t *line;
    json_array_foreach(lines, i, line)
    {
        if (strcmp(glot_json_text(line, "phase"), phase) == 0)
            return true;
    }
    return false;
}

glot_status glot_report_curves(glot_str *out, const json_t *results, const json_t *lines, glot_error *err)
{
    if (!json_array_size(lines))
        return GLOT_OK;
    bool has_balance = glot_report_has_any_choice(results); /* else it is 1 whatever the router does */
    bool has_router = glot_report_total(json_object_get(results, "experts")) >
                      (long long)json_array_size(json_object_get(results, "experts"));
    bool has_stage_1 = has_phase(lines, "train");
    glot_report_section(
        out, "How it went",
        has_router && has_stage_1 && !has_balance
            ? "Load balancing is not drawn: every layer's router chooses all of its experts, so "
              "that it is 1 by definition."
            : NULL);
    glot_svg_begin_charts(out);
    GLOT_TRY(put_scores(out, results, lines, err));
    for (const glot_report_curve *c = glot_report_curve_list; c->phase; c++)
        if (has_balance || strcmp(c->key, "balance") != 0)
            GLOT_TRY(put_key(out, lines, c, err));
    glot_svg_end_charts(out);
    return GLOT_OK;
}
