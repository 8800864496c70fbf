/* report.c: report.html: what a run gained and lost, how it went, and what is needed to repeat it. Inline style and SVG only. */
#include "job/report.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "job/report_exact.h"
#include "job/report_similarity.h"
#include "job/run_dir.h"
#include "job/svg.h"

#include <math.h>
#include <string.h>

static const char style[] =
    "<style>:root{color-scheme:light dark;--fg:#1c2430;--bg:#fff;--soft:#667;--line:#dde;--good:#18794e;--bad:#b42318}"
    "@media(prefers-color-scheme:dark){:root{--fg:#e6e9ef;--bg:#14181f;--soft:#99a;--line:#333b48;--good:#4cc38a;--bad:#ff8b7e}}"
    "body{font:16px/1.5 system-ui,sans-serif;color:var(--fg);background:var(--bg);max-width:52rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%;margin:1rem 0}th,td{padding:.35rem .6rem;border-bottom:1px solid var(--line);text-align:right}"
    "th:first-child,td:first-child{text-align:left}.good{color:var(--good)}.bad{color:var(--bad)}.soft{color:var(--soft)}"
    "svg{width:100%;height:auto;margin:.5rem 0}svg text{fill:var(--soft);font-size:11px}svg .title{fill:var(--fg);font-size:13px;font-weight:600}"
    "svg .grid{stroke:var(--line)}polyline{fill:none;stroke-width:1.8}pre{overflow:auto;background:color-mix(in srgb,var(--fg) 6%,var(--bg));padding:1rem}"
    "blockquote{margin:.3rem 0 1rem;padding-left:1rem;border-left:3px solid var(--line);white-space:pre-wrap}"
    ".s0{stroke:#3b82f6}.s1{stroke:#ef7d22}.s2{stroke:#22a06b}.s3{stroke:#a855f7}.s4{stroke:#e11d48}.s5{stroke:#0891b2}.s6{stroke:#a3a310}.s7{stroke:#888}"
    "svg text.legend{stroke:none}text.s0{fill:#3b82f6}text.s1{fill:#ef7d22}text.s2{fill:#22a06b}text.s3{fill:#a855f7}text.s4{fill:#e11d48}"
    "text.s5{fill:#0891b2}text.s6{fill:#a3a310}text.s7{fill:#888}.heat{fill:#3b82f6}.scroll{overflow-x:auto}@media print{body{max-width:none}}</style>";

/* results.json's bits per byte; NaN where there is none. */
static double bits_of(const json_t *results, const char *when, const char *language)
{
    const json_t *text = json_object_get(json_object_get(results, when), "text");
    const json_t *bits = json_object_get(json_object_get(text, language), "bits_per_byte");
    return json_is_number(bits) ? json_number_value(bits) : (double)NAN;
}

static void put_cell(glot_str *out, double bits, double before)
{
    double ratio = bits / before;
    if (isnan(bits))
        glot_str_puts(out, "<td class=\"soft\">–</td><td></td>");
    else if (isnan(before))
        glot_str_printf(out, "<td>%.4f</td><td></td>", bits);
    else
        glot_str_printf(out, "<td>%.4f</td><td class=\"%s\">%.3f</td>", bits, ratio <= 1.0 ? "good" : "bad", ratio);
}

static void put_scores(glot_str *out, const json_t *results)
{
    size_t i;
    const json_t *language;
    glot_str_puts(out, "<h2>Bits per byte</h2><p class=\"soft\">Less is better; the ratio is to the base model.</p><div class=\"scroll\"><table><tr><th>language</th>"
                       "<th>group</th><th>before</th><th>after training</th><th>ratio</th><th>after review</th><th>ratio</th></tr>");
    json_array_foreach(json_object_get(results, "languages"), i, language)
    {
        const char *name = json_string_value(json_object_get(language, "name"));
        const char *group = json_string_value(json_object_get(language, "group"));
        if (!name || !group)
            continue;
        double before = bits_of(results, "before", name);
        glot_str_puts(out, "<tr><td>");
        glot_html_text(out, name);
        glot_str_printf(out, "</td><td class=\"soft\">%s</td>", group);
        isnan(before) ? glot_str_puts(out, "<td class=\"soft\">–</td>") : glot_str_printf(out, "<td>%.4f</td>", before);
        put_cell(out, bits_of(results, "after_train", name), before);
        put_cell(out, bits_of(results, "after_review", name), before);
        glot_str_puts(out, "</tr>");
    }
    glot_str_puts(out, "</table></div>\n");
}

/* ---- curves ---- */

/* The values of one key over the lines of one phase. */
typedef struct curve {
    double *x, *y;
    size_t n;
} curve;

static glot_status read_curve(curve *c, const json_t *lines, const char *phase, const char *key, glot_error *err)
{
    size_t i, n = json_array_size(lines);
    const json_t *line;
    GLOT_TRY(glot_new(&c->x, n, sizeof *c->x, "a chart", err));
    GLOT_TRY(glot_new(&c->y, n, sizeof *c->y, "a chart", err));
    json_array_foreach(lines, i, line)
    {
        const char *found = json_string_value(json_object_get(line, "phase"));
        const json_t *value = json_object_get(line, key);
        if (!found || strcmp(found, phase) != 0 || !json_is_number(value))
            continue;
        c->x[c->n] = (double)json_integer_value(json_object_get(line, "step"));
        c->y[c->n++] = json_number_value(value);
    }
    return GLOT_OK;
}

static glot_status put_curve(glot_str *out, const json_t *lines, const char *phase, const char *const *keys, size_t n_keys,
                             const char *title, glot_error *err)
{
    curve curves[4] = {{0}};
    glot_svg_series series[4];
    glot_status status = GLOT_OK;
    size_t n_points = 0;
    for (size_t k = 0; k < n_keys && status == GLOT_OK; k++) {
        status = read_curve(&curves[k], lines, phase, keys[k], err);
        series[k] = (glot_svg_series){keys[k], curves[k].x, curves[k].y, curves[k].n};
        n_points += curves[k].n;
    }
    if (status == GLOT_OK && n_points)
        glot_svg_lines(out, title, "step", series, n_keys);
    for (size_t k = 0; k < n_keys; k++) {
        glot_free(curves[k].x);
        glot_free(curves[k].y);
    }
    return status;
}

static glot_status put_curves(glot_str *out, const json_t *lines, glot_error *err)
{
    static const char *const ce[] = {"ce"}, *const balance[] = {"balance"}, *const lpr[] = {"lpr"};
    glot_str_puts(out, "<h2>Training</h2>");
    GLOT_TRY(put_curve(out, lines, "train", ce, 1, "stage 1: cross-entropy (nats a token)", err));
    GLOT_TRY(put_curve(out, lines, "train", balance, 1, "stage 1: load balancing (1 is perfect)", err));
    GLOT_TRY(put_curve(out, lines, "review", ce, 1, "review: cross-entropy (nats a token)", err));
    return put_curve(out, lines, "review", lpr, 1, "review: LPR loss", err);
}

/* Mean router probability of the original expert, layer by layer, a line for each language. */
static glot_status put_routing(glot_str *out, const json_t *results, glot_error *err)
{
    const json_t *routing = json_object_get(results, "routing");
    glot_svg_series series[8];
    curve curves[8] = {{0}};
    size_t n = 0;
    const char *language;
    json_t *entry;
    glot_status status = GLOT_OK;
    json_object_foreach((json_t *)(uintptr_t)routing, language, entry)
    {
        const json_t *p = json_object_get(entry, "p_original");
        if (n == 8 || status != GLOT_OK)
            break;
        curve *c = &curves[n];
        status = glot_new(&c->x, json_array_size(p), sizeof *c->x, "a chart", err);
        if (status == GLOT_OK)
            status = glot_new(&c->y, json_array_size(p), sizeof *c->y, "a chart", err);
        for (; status == GLOT_OK && c->n < json_array_size(p); c->n++) {
            c->x[c->n] = (double)c->n;
            c->y[c->n] = json_number_value(json_array_get(p, c->n));
        }
        series[n++] = (glot_svg_series){language, c->x, c->y, c->n};
    }
    if (status == GLOT_OK && n) {
        glot_str_puts(out, "<h2>Routing</h2>");
        glot_svg_lines(out, "mean router probability of the original expert", "layer", series, n);
    }
    for (size_t i = 0; i < 8; i++) {
        glot_free(curves[i].x);
        glot_free(curves[i].y);
    }
    return status;
}

static void put_share(glot_str *out, const json_t *share)
{
    if (json_is_number(share))
        glot_str_printf(out, "<td>%.1f %%</td>", 100.0 * json_number_value(share));
    else
        glot_str_puts(out, "<td></td>");
}

/* How often the language gates are right, a row for each language; nothing for a model without gates. */
static void put_gates(glot_str *out, const json_t *results)
{
    static const char *const positions[] = {"1", "4", "16", "64"};
    const char *language;
    json_t *entry;
    size_t n = 0;
    json_object_foreach(json_object_get(results, "routing"), language, entry)
    {
        const json_t *accuracy = json_object_get(entry, "gate_accuracy");
        if (!accuracy)
            continue;
        if (n++ == 0)
            glot_str_puts(out, "<h2>Language gates</h2><p class=\"soft\">Share of right decisions over the gated layers.</p><table><tr>"
                               "<th>language</th><th>after 1 token</th><th>4</th><th>16</th><th>64</th><th>all tokens</th></tr>");
        glot_str_puts(out, "<tr><td>");
        glot_html_text(out, language);
        glot_str_puts(out, "</td>");
        for (size_t i = 0; i < sizeof positions / sizeof positions[0]; i++)
            put_share(out, json_object_get(json_object_get(accuracy, "after"), positions[i]));
        put_share(out, json_object_get(accuracy, "all"));
        glot_str_puts(out, "</tr>");
    }
    glot_str_puts(out, n ? "</table>\n" : "");
}

/* ---- samples and facts ---- */

static void put_text(glot_str *out, const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    glot_html_text(out, text ? text : "");
}

static void put_sample_pair(glot_str *out, const json_t *before, const json_t *after)
{
    glot_str_puts(out, "<h3>");
    put_text(out, after, "language");
    glot_str_puts(out, "</h3><p><span class=\"soft\">prompt:</span> ");
    put_text(out, after, "prompt");
    glot_str_puts(out, "</p><p class=\"soft\">before</p><blockquote>");
    put_text(out, before, "text");
    glot_str_puts(out, "</blockquote><p class=\"soft\">after</p><blockquote>");
    put_text(out, after, "text");
    glot_str_puts(out, "</blockquote>\n");
}

static void put_samples(glot_str *out, const json_t *results)
{
    const json_t *samples = json_object_get(results, "samples"), *before = json_object_get(samples, "before");
    const json_t *after = json_object_get(samples, "after_review");
    if (!after)
        after = json_object_get(samples, "after_train");
    if (!json_array_size(after))
        return;
    glot_str_puts(out, "<h2>Samples</h2><p class=\"soft\">Greedy continuations of the beginning of a validation document.</p>");
    for (size_t i = 0; i < json_array_size(after); i++)
        put_sample_pair(out, json_array_get(before, i), json_array_get(after, i));
}

static void put_facts(glot_str *out, const json_t *results, const char *recipe)
{
    const json_t *frozen = json_object_get(results, "frozen_sha256");
    const char *step;
    json_t *seconds;
    glot_str_puts(out, "<h2>To repeat it</h2><table>");
    json_object_foreach(json_object_get(results, "seconds"), step, seconds)
        glot_str_printf(out, "<tr><td>%s</td><td>%.1f s</td></tr>", step, json_number_value(seconds));
    glot_str_printf(out, "<tr><td>peak memory</td><td>%.2f GiB</td></tr>",
                    (double)json_integer_value(json_object_get(results, "peak_memory_bytes")) / 1073741824.0);
    glot_str_printf(out, "<tr><td>threads, instruction set</td><td>%lld, %s</td></tr>", (long long)json_integer_value(json_object_get(results, "threads")),
                    json_string_value(json_object_get(results, "isa")) ? json_string_value(json_object_get(results, "isa")) : "");
    glot_str_puts(out, "<tr><td>frozen weights, SHA-256 before and after</td><td><code>");
    put_text(out, frozen, "before");
    glot_str_puts(out, "<br>");
    put_text(out, frozen, "after");
    glot_str_printf(out, "</code></td></tr><tr><td>glot</td><td>%s</td></tr></table><h3>Recipe</h3><pre>", glot_version());
    glot_html_text(out, recipe);
    glot_str_puts(out, "</pre>\n");
}

static glot_status render(glot_str *out, const json_t *results, const json_t *lines, const char *recipe, glot_error *err)
{
    glot_str_puts(out, "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
                       "<title>glot: report of a run</title>");
    glot_str_puts(out, style);
    glot_str_puts(out, "<h1>Report of a run</h1>\n");
    put_scores(out, results);
    GLOT_TRY(put_curves(out, lines, err));
    glot_report_similarity(out, results);
    GLOT_TRY(put_routing(out, results, err));
    put_gates(out, results);
    glot_report_exact(out, results);
    put_samples(out, results);
    put_facts(out, results, recipe);
    glot_str_puts(out, "</html>\n");
    return glot_str_check(out, "the report", err);
}

glot_status glot_report_write(const char *dir, glot_error *err)
{
    json_t *results = NULL, *lines = NULL;
    char *recipe = NULL;
    size_t size;
    glot_str html = {0};
    glot_status status = GLOT_OK;
    char *results_path = glot_path_join(dir, "results.json"), *recipe_path = glot_path_join(dir, "recipe.yaml");
    char *report_path = glot_path_join(dir, "report.html");
    if (!results_path || !recipe_path || !report_path) {
        status = GLOT_FAIL(err, GLOT_NOMEM, "no memory for a path");
        goto out;
    }
    GLOT_TRY_OUT(glot_json_load_file(&results, results_path, err));
    GLOT_TRY_OUT(glot_run_dir_read_metrics(&lines, dir, err));
    GLOT_TRY_OUT(glot_file_read(&recipe, &size, recipe_path, 1 << 24, err));
    GLOT_TRY_OUT(render(&html, results, lines, recipe, err));
    status = glot_file_write(report_path, html.data, html.length, err);
out:
    glot_str_release(&html);
    json_decref(results);
    json_decref(lines);
    glot_free(recipe);
    glot_free(results_path);
    glot_free(recipe_path);
    glot_free(report_path);
    return status;
}
