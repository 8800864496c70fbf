/* report_compare.c: several runs on one page: scores and curves beside one another, and what makes the runs
 * different. */
#include "base/file.h"
#include "base/memory.h"
#include "job/curves.h"
#include "job/report.h"
#include "job/report_parts.h"

#include <math.h>
#include <string.h>

typedef struct comparison {
    glot_report_run *runs;
    char **paths;       /* [n] their directories */
    const char **names; /* [n] what tells the runs apart: the ends of `paths` */
    const char **languages; /* [n_languages] of all runs, as they appear, borrowed from their results */
    size_t n, n_languages;
} comparison;

/* ---- opening ---- */

/* The last n names of a path. */
static const char *last_names(const char *path, size_t n)
{
    const char *p = path + strlen(path);
    for (; p > path; p--)
        if (p[-1] == '/' && --n == 0)
            break;
    return p;
}

static bool are_different(const comparison *c)
{
    for (size_t i = 0; i < c->n; i++)
        for (size_t k = 0; k < i; k++)
            if (strcmp(c->names[i], c->names[k]) == 0)
                return false;
    return true;
}

/* As many names of each path as it takes; of the same directory twice all of them. */
static void name_runs(comparison *c)
{
    bool is_whole = false;
    for (size_t n = 1; !is_whole && (n == 1 || !are_different(c)); n++) {
        is_whole = true;
        for (size_t i = 0; i < c->n; i++) {
            c->names[i] = last_names(c->paths[i], n);
            is_whole = is_whole && c->names[i] == c->paths[i];
        }
    }
}

static bool has_language(const comparison *c, const char *name)
{
    for (size_t k = 0; k < c->n_languages; k++)
        if (strcmp(c->languages[k], name) == 0)
            return true;
    return false;
}

static glot_status collect_languages(comparison *c, glot_error *err)
{
    size_t most = 0;
    for (size_t i = 0; i < c->n; i++)
        most += glot_report_n_languages(c->runs[i].results);
    GLOT_TRY(glot_new(&c->languages, most, sizeof *c->languages, "the report", err));
    for (size_t i = 0; i < c->n; i++)
        for (size_t k = 0; k < glot_report_n_languages(c->runs[i].results); k++) {
            const char *name = glot_report_language(c->runs[i].results, k);
            if (!has_language(c, name))
                c->languages[c->n_languages++] = name;
        }
    return GLOT_OK;
}

static glot_status load(comparison *c, const char *const *dirs, size_t n, glot_error *err)
{
    GLOT_TRY(glot_new(&c->paths, n, sizeof *c->paths, "the report", err));
    GLOT_TRY(glot_new(&c->runs, n, sizeof *c->runs, "the report", err));
    GLOT_TRY(glot_new(&c->names, n, sizeof *c->names, "the report", err));
    for (size_t i = 0; i < n; i++) {
        GLOT_TRY(glot_report_load(&c->runs[i], dirs[i], err));
        c->n++;
        if (!(c->paths[i] = glot_path_tidy(dirs[i])))
            return GLOT_FAIL(err, GLOT_NOMEM, "no memory for a path");
    }
    name_runs(c);
    return collect_languages(c, err);
}

static void release(comparison *c)
{
    for (size_t i = 0; i < c->n; i++) {
        glot_report_release(&c->runs[i]);
        glot_free(c->paths[i]);
    }
    glot_free(c->paths);
    glot_free(c->runs);
    glot_free(c->names);
    glot_free(c->languages);
}

/* ---- tables ---- */

/* A column for each run. */
static void begin_table(glot_str *out, const comparison *c, const char *kind, const char *first)
{
    glot_str_printf(out, "<div class=\"scroll\"><table class=\"%s\"><thead><tr><th scope=\"col\">%s</th>",
                    kind, first);
    for (size_t i = 0; i < c->n; i++) {
        glot_str_puts(out, "<th scope=\"col\">");
        glot_svg_key(out, i);
        glot_html_text(out, c->names[i]);
        glot_str_puts(out, "</th>");
    }
    glot_str_puts(out, "</tr></thead><tbody>\n");
}

static void begin_row(glot_str *out, const char *label)
{
    glot_str_puts(out, "<tr><td>");
    glot_html_text(out, label);
    glot_str_puts(out, "</td>");
}

/* ---- scores ---- */

static glot_svg_range result_of(const json_t *results, const char *language)
{
    return glot_report_score(results, glot_report_last_stage(results), language);
}

/* The least of a language; NaN without any. */
static double best_of(const comparison *c, const char *language)
{
    double best = NAN;
    for (size_t i = 0; i < c->n; i++)
        best = fmin(best, result_of(c->runs[i].results, language).value);
    return best;
}

static void put_score(glot_str *out, const json_t *results, const char *language, double best)
{
    double bits = result_of(results, language).value, before = glot_report_bits(results, "before", language);
    double change = 100.0 * (bits / before - 1.0);
    if (isnan(bits)) {
        glot_str_puts(out, "<td class=\"soft\">–</td>");
        return;
    }
    glot_str_printf(out, bits <= best ? "<td><b>%.4f</b>" : "<td>%.4f", bits);
    if (!isnan(change)) {
        glot_str_printf(out, "<br><small class=\"%s\">", glot_report_tone(change, 0.1));
        glot_report_put_change(out, change);
        glot_str_puts(out, "</small>");
    }
    glot_str_puts(out, "</td>");
}

static glot_status put_score_chart(glot_str *out, const comparison *c, glot_error *err)
{
    static const glot_svg_head head = {"compare-scores", "Bits per byte of the results", NULL};
    glot_svg_range *values = NULL;
    GLOT_TRY(glot_new(&values, c->n_languages, c->n * sizeof *values, "the report", err));
    for (size_t k = 0; k < c->n_languages; k++)
        for (size_t i = 0; i < c->n; i++)
            values[k * c->n + i] = result_of(c->runs[i].results, c->languages[k]);
    glot_svg_begin_charts(out);
    glot_svg_ranges(out, &head, "s", c->languages, c->n_languages, values, c->names, c->n);
    glot_svg_end_charts(out);
    glot_free(values);
    return GLOT_OK;
}

static glot_status put_scores(glot_str *out, const comparison *c, glot_error *err)
{
    glot_report_section(out, "Bits per byte",
                        "Of each run's result, less is better; under it the change from that run's own base "
                        "model. The least of "
                        "a language is bold. Runs compare only where they scored the same text.");
    begin_table(out, c, "", "language");
    for (size_t k = 0; k < c->n_languages; k++) {
        begin_row(out, c->languages[k]);
        for (size_t i = 0; i < c->n; i++)
            put_score(out, c->runs[i].results, c->languages[k], best_of(c, c->languages[k]));
        glot_str_puts(out, "</tr>\n");
    }
    glot_report_end_table(out);
    return put_score_chart(out, c, err);
}

/* ---- multiple choice ---- */

static glot_svg_range task_of(const json_t *results, const char *name)
{
    return glot_report_task(results, glot_report_last_stage(results), name);
}

static void put_task(glot_str *out, const json_t *results, const char *name, double best)
{
    double share = task_of(results, name).value, before = glot_report_task(results, "before", name).value;
    if (isnan(share)) {
        glot_str_puts(out, "<td class=\"soft\">–</td>");
        return;
    }
    glot_str_printf(out, share >= best ? "<td><b>%.1f %%</b>" : "<td>%.1f %%", share);
    if (!isnan(before))
        glot_str_printf(out, "<br><small class=\"%s\">%s%.1f</small>", glot_report_tone(before - share, 0.1),
                        share < before ? "−" : "+", fabs(share - before));
    glot_str_puts(out, "</td>");
}

static void put_task_table(glot_str *out, const comparison *c, const char *const *names, size_t n)
{
    begin_table(out, c, "", "task");
    for (size_t k = 0; k < n; k++) {
        double best = NAN;
        for (size_t i = 0; i < c->n; i++)
            best = fmax(best, task_of(c->runs[i].results, names[k]).value);
        begin_row(out, names[k]);
        for (size_t i = 0; i < c->n; i++)
            put_task(out, c->runs[i].results, names[k], best);
        glot_str_puts(out, "</tr>\n");
    }
    glot_report_end_table(out);
}

static glot_status put_task_chart(glot_str *out, const comparison *c, const char *const *names, size_t n,
                                  glot_error *err)
{
    static const glot_svg_head head = {"compare-tasks", "Right answers of the results, per cent", NULL};
    glot_svg_range *values = NULL;
    GLOT_TRY(glot_new(&values, n, c->n * sizeof *values, "the report", err));
    for (size_t i = 0; i < n * c->n; i++)
        values[i] = task_of(c->runs[i % c->n].results, names[i / c->n]);
    glot_svg_begin_charts(out);
    glot_svg_ranges(out, &head, "s", names, n, values, c->names, c->n);
    glot_svg_end_charts(out);
    glot_free(values);
    return GLOT_OK;
}

/* Tasks of any run; nothing where none has one. */
static glot_status put_tasks(glot_str *out, const comparison *c, glot_error *err)
{
    const char **names = NULL;
    size_t most = 0, n = 0;
    for (size_t i = 0; i < c->n; i++)
        most += glot_report_n_tasks(c->runs[i].results);
    if (most == 0)
        return GLOT_OK;
    GLOT_TRY(glot_new(&names, most, sizeof *names, "the report", err));
    for (size_t i = 0; i < c->n; i++)
        n = glot_report_add_tasks(names, n, c->runs[i].results);
    glot_report_section(out, "Multiple choice",
                        "Share of right answers of each run's result, the largest of a task bold; under it "
                        "the change from that "
                        "run's own base model in points. In the chart one standard error to each side.");
    put_task_table(out, c, names, n);
    glot_status status = put_task_chart(out, c, names, n, err);
    glot_free(names);
    return status;
}

/* ---- curves ---- */

/* A curve, or its running mean where it has one. */
static glot_status read_curve(glot_curve *curve, const json_t *lines, const glot_report_curve *what,
                              glot_error *err)
{
    glot_curve smooth = {0};
    GLOT_TRY(glot_curve_read(curve, lines, what->phase, what->key, err));
    GLOT_TRY(glot_curve_smooth(&smooth, curve, err));
    if (smooth.n) {
        glot_curve raw = *curve;
        *curve = smooth;
        smooth = raw;
    }
    glot_curve_release(&smooth);
    return GLOT_OK;
}

static glot_status put_curves_of(glot_str *out, const comparison *c, const glot_report_curve *what,
                                 glot_error *err)
{
    glot_curve *curves = NULL;
    glot_svg_series *series = NULL;
    glot_status status = glot_new(&curves, c->n, sizeof *curves, "a chart", err);
    if (status == GLOT_OK)
        status = glot_new(&series, c->n, sizeof *series, "a chart", err);
    for (size_t i = 0; i < c->n && status == GLOT_OK; i++) {
        if (strcmp(what->key, "balance") != 0 || glot_report_has_any_choice(c->runs[i].results))
            status = read_curve(&curves[i], c->runs[i].lines, what, err);
        series[i] = (glot_svg_series){
            .name = c->names[i], .x = curves[i].x, .y = curves[i].y, .n = curves[i].n, .style = i};
    }
    if (status == GLOT_OK)
        glot_svg_lines(out, &what->head, series, c->n);
    for (size_t i = 0; curves && i < c->n; i++)
        glot_curve_release(&curves[i]);
    glot_free(curves);
    glot_free(series);
    return status;
}

static glot_status put_curves(glot_str *out, const comparison *c, glot_error *err)
{
    glot_report_section(out, "How they went", "Running means over a tenth of the steps.");
    glot_svg_begin_charts(out);
    for (const glot_report_curve *what = glot_report_curve_list; what->phase; what++)
        GLOT_TRY(put_curves_of(out, c, what, err));
    glot_svg_end_charts(out);
    return GLOT_OK;
}

/* ---- recipes ---- */

static void put_values(glot_str *out, const comparison *c, const json_t *const *recipes, const char *key)
{
    begin_row(out, key);
    for (size_t i = 0; i < c->n; i++) {
        const char *value = json_string_value(json_object_get(recipes[i], key));
        glot_str_puts(out, "<td>");
        glot_html_text(out, value ? value : "–");
        glot_str_puts(out, "</td>");
    }
    glot_str_puts(out, "</tr>\n");
}

static bool is_different(const comparison *c, const json_t *const *recipes, const char *key)
{
    for (size_t i = 1; i < c->n; i++)
        if (!json_equal(json_object_get(recipes[i], key), json_object_get(recipes[0], key)))
            return true;
    return false;
}

/* Rows of the keys that run i is the first to have and whose values differ; *n_same: those that do not. */
static void put_differences(glot_str *out, const comparison *c, const json_t *const *recipes, size_t i,
                            size_t *n_same)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)recipes[i], key, value)
    {
        bool is_first = true;
        for (size_t k = 0; k < i; k++)
            is_first = is_first && !json_object_get(recipes[k], key);
        if (!is_first || strcmp(key, "output") == 0)
            continue;
        if (is_different(c, recipes, key))
            put_values(out, c, recipes, key);
        else
            ++*n_same;
    }
}

static glot_status put_recipes(glot_str *out, const comparison *c, glot_error *err)
{
    json_t **recipes = NULL;
    size_t n_same = 0;
    GLOT_TRY(glot_new(&recipes, c->n, sizeof *recipes, "the report", err));
    glot_status status = GLOT_OK;
    for (size_t i = 0; i < c->n && status == GLOT_OK; i++)
        status = glot_report_flat_recipe(&recipes[i], &c->runs[i], err);
    if (status == GLOT_OK) {
        glot_report_section(out, "Recipes", "Keys whose values differ.");
        begin_table(out, c, "facts", "key");
        for (size_t i = 0; i < c->n; i++)
            put_differences(out, c, (const json_t *const *)recipes, i, &n_same);
        glot_report_end_table(out);
        glot_str_printf(out, "<p class=\"soft\">%zu other keys have the same value in all runs.</p>", n_same);
    }
    for (size_t i = 0; i < c->n; i++)
        json_decref(recipes[i]);
    glot_free(recipes);
    return status;
}

/* ---- facts ---- */

typedef void put_fact(glot_str *out, const json_t *results, const char *key);

static void put_text(glot_str *out, const json_t *results, const char *key)
{
    const char *text = json_string_value(json_object_get(results, key));
    glot_html_text(out, text ? text : "–");
}

static void put_hash(glot_str *out, const json_t *results, const char *key)
{
    glot_str_puts(out, "<code>");
    put_text(out, results, key);
    glot_str_puts(out, "</code>");
}

static void put_frozen(glot_str *out, const json_t *results, const char *key)
{
    put_hash(out, json_object_get(results, "frozen_sha256"), key);
}

static void put_total(glot_str *out, const json_t *results, const char *key)
{
    const json_t *counts = json_object_get(results, key);
    if (counts)
        glot_str_printf(out, "%lld", glot_report_total(counts));
    else
        glot_str_puts(out, "–");
}

static void put_count(glot_str *out, const json_t *results, const char *key)
{
    const json_t *count = json_object_get(results, key);
    if (json_is_integer(count))
        glot_str_printf(out, "%lld", (long long)json_integer_value(count));
    else
        glot_str_puts(out, "–");
}

static void put_gibibytes(glot_str *out, const json_t *results, const char *key)
{
    glot_str_printf(out, "%.2f GiB", json_number_value(json_object_get(results, key)) / 1073741824.0);
}

static void put_seconds(glot_str *out, const json_t *results, const char *key)
{
    const json_t *seconds = json_object_get(json_object_get(results, "seconds"), key);
    seconds ? glot_str_printf(out, "%.1f s", json_number_value(seconds)) : glot_str_puts(out, "–");
}

static void put_facts(glot_str *out, const comparison *c)
{
    static const struct {
        const char *label, *key;
        put_fact *put;
    } facts[] = {{"experts", "experts", put_total},
                 {"experts before", "experts_before", put_total},
                 {"time of training", "train", put_seconds},
                 {"time of review", "review", put_seconds},
                 {"peak memory", "peak_memory_bytes", put_gibibytes},
                 {"processor", "processor", put_text},
                 {"instruction set", "isa", put_text},
                 {"threads", "threads", put_count},
                 {"glot", "glot", put_text},
                 {"commit", "commit", put_text},
                 {"base model's weights, SHA-256", "base_sha256", put_hash},
                 {"frozen tensors", "frozen_tensors", put_count},
                 {"frozen weights before", "before", put_frozen},
                 {"frozen weights after", "after", put_frozen}};
    glot_report_section(out, "To repeat them", NULL);
    begin_table(out, c, "facts", "");
    for (size_t f = 0; f < sizeof facts / sizeof facts[0]; f++) {
        begin_row(out, facts[f].label);
        for (size_t i = 0; i < c->n; i++) {
            glot_str_puts(out, "<td>");
            facts[f].put(out, c->runs[i].results, facts[f].key);
            glot_str_puts(out, "</td>");
        }
        glot_str_puts(out, "</tr>\n");
    }
    glot_report_end_table(out);
}

/* ---- the page ---- */

static glot_status render(glot_str *out, const comparison *c, glot_error *err)
{
    glot_report_head(out, "Runs side by side");
    glot_str_printf(out, "<p class=\"lead\">%zu runs, %zu languages.</p>\n", c->n, c->n_languages);
    GLOT_TRY(put_scores(out, c, err));
    GLOT_TRY(put_tasks(out, c, err));
    GLOT_TRY(put_curves(out, c, err));
    GLOT_TRY(put_recipes(out, c, err));
    put_facts(out, c);
    return glot_report_end(out, err);
}

glot_status glot_report_compare(const char *const *dirs, size_t n, const char *out, glot_error *err)
{
    comparison c = {0};
    glot_str html = {0};
    glot_status status = load(&c, dirs, n, err);
    if (status == GLOT_OK)
        status = render(&html, &c, err);
    if (status == GLOT_OK)
        status = glot_file_write(out, html.data, html.length, err);
    glot_str_release(&html);
    release(&c);
    return status;
}
