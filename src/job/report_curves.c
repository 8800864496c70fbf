/* report_curves.c: how a run went, from metrics.jsonl: losses, speed, and the scores taken on the way. */
#include "base/memory.h"
#include "job/report_parts.h"
#include "job/svg.h"

#include <string.h>

enum { MAX_CURVES = 8 };

/* One line of a chart. */
typedef struct curve {
    double *x, *y;
    size_t n;
} curve;

static glot_status make_curve(curve *c, size_t n, glot_error *err)
{
    GLOT_TRY(glot_new(&c->x, n, sizeof *c->x, "a chart", err));
    return glot_new(&c->y, n, sizeof *c->y, "a chart", err);
}

static bool has_phase(const json_t *line, const char *phase)
{
    const char *found = json_string_value(json_object_get(line, "phase"));
    return found && strcmp(found, phase) == 0;
}

static void add_point(curve *c, const json_t *line, const json_t *value)
{
    if (!json_is_number(value))
        return;
    c->x[c->n] = (double)json_integer_value(json_object_get(line, "step"));
    c->y[c->n++] = json_number_value(value);
}

/* The values of one key over the steps of one phase. */
static glot_status put_key(glot_str *out, const json_t *lines, const char *phase, const char *key, const char *title, glot_error *err)
{
    size_t i;
    const json_t *line;
    curve c = {0};
    glot_status status = make_curve(&c, json_array_size(lines), err);
    if (status == GLOT_OK)
        json_array_foreach(lines, i, line) if (has_phase(line, phase)) add_point(&c, line, json_object_get(line, key));
    if (c.n)
        glot_svg_lines(out, title, "step", &(glot_svg_series){NULL, c.x, c.y, c.n}, 1);
    glot_free(c.x);
    glot_free(c.y);
    return status;
}

/* The evaluations on the way (eval_every): those with a step. *n_points: the most of any language. */
static glot_status read_scores(curve *curves, size_t n, const json_t *results, const json_t *lines, size_t *n_points, glot_error *err)
{
    for (size_t k = 0; k < n; k++) {
        size_t i;
        const json_t *line;
        GLOT_TRY(make_curve(&curves[k], json_array_size(lines), err));
        json_array_foreach(lines, i, line)
        {
            const json_t *score = json_object_get(json_object_get(line, "text"), glot_report_language(results, k));
            if (has_phase(line, "eval") && json_object_get(line, "step"))
                add_point(&curves[k], line, json_object_get(score, "bits_per_byte"));
        }
        *n_points = curves[k].n > *n_points ? curves[k].n : *n_points;
    }
    return GLOT_OK;
}

static glot_status put_scores(glot_str *out, const json_t *results, const json_t *lines, glot_error *err)
{
    curve curves[MAX_CURVES] = {{0}};
    glot_svg_series series[MAX_CURVES];
    size_t n = 0, n_points = 0;
    while (n < MAX_CURVES && glot_report_language(results, n))
        n++;
    glot_status status = read_scores(curves, n, results, lines, &n_points, err);
    for (size_t k = 0; k < n; k++)
        series[k] = (glot_svg_series){glot_report_language(results, k), curves[k].x, curves[k].y, curves[k].n};
    if (status == GLOT_OK && n_points)
        glot_svg_lines(out, "bits per byte on the way", "step", series, n);
    for (size_t k = 0; k < n; k++) {
        glot_free(curves[k].x);
        glot_free(curves[k].y);
    }
    return status;
}

glot_status glot_report_curves(glot_str *out, const json_t *results, const json_t *lines, glot_error *err)
{
    static const struct {
        const char *phase, *key, *title;
    } charts[] = {{"train", "ce", "stage 1: cross-entropy, nats a token"},
                  {"train", "balance", "stage 1: load balancing, 1 is perfect"},
                  {"review", "ce", "review: cross-entropy, nats a token"},
                  {"review", "lpr", "review: LPR loss"},
                  {"train", "tokens_per_s", "stage 1: tokens a second"},
                  {"review", "tokens_per_s", "review: tokens a second"}};
    if (!json_array_size(lines))
        return GLOT_OK;
    glot_report_section(out, "How it went", NULL);
    GLOT_TRY(put_scores(out, results, lines, err));
    for (size_t i = 0; i < sizeof charts / sizeof charts[0]; i++)
        GLOT_TRY(put_key(out, lines, charts[i].phase, charts[i].key, charts[i].title, err));
    return GLOT_OK;
}
