/* report_scores.c: the report's main result: a sentence, and bits per byte of each language before and
 * after. */
#include "base/memory.h"
#include "job/report_parts.h"

#include <math.h>
#include <string.h>

/* Whether the run has that stage: training and review can each be left out. */
static bool has_when(const json_t *results, size_t when)
{
    return json_object_get(results, glot_job_whens[when]) != NULL;
}

/* Mean over a group's languages of the last score's ratio to the first, as a change in per cent; NaN without
 * any. */
static double mean_change(const json_t *results, const char *group, size_t *n)
{
    double sum = 0.0;
    const char *name;
    *n = 0;
    for (size_t i = 0; (name = glot_report_language(results, i)); i++) {
        double ratio = glot_report_bits(results, glot_report_last_stage(results), name) /
                       glot_report_bits(results, "before", name);
        if (isnan(ratio) || strcmp(glot_report_group(results, i), group) != 0)
            continue;
        sum += 100.0 * (ratio - 1.0);
        ++*n;
    }
    return *n ? sum / (double)*n : (double)NAN;
}

static void put_change(glot_str *out, double change, size_t n, const char *group)
{
    if (n == 0)
        return;
    glot_str_printf(out, "%zu %s language%s: ", n, group, n == 1 ? "" : "s");
    if (fabs(change) < 0.05)
        glot_str_puts(out, "bits per byte as before. ");
    else
        glot_str_printf(out, "%.1f %% %s bits per byte. ", fabs(change), change < 0.0 ? "fewer" : "more");
}

static void put_lead(glot_str *out, const json_t *results)
{
    size_t n_new, n_old;
    double gain = mean_change(results, "new", &n_new), loss = mean_change(results, "old", &n_old);
    if (n_new + n_old == 0)
        return;
    glot_str_puts(out, "<p class=\"lead\">");
    put_change(out, gain, n_new, "new");
    put_change(out, loss, n_old, "old");
    glot_str_puts(out, "</p>\n");
}

static void put_score(glot_str *out, glot_svg_range score, bool is_wide)
{
    glot_str_puts(out, is_wide ? "<td class=\"wide\">" : "<td>");
    if (isnan(score.value))
        glot_str_puts(out, "<span class=\"soft\">–</span>");
    else
        glot_str_printf(out, "%.4f", score.value);
    if (!isnan(score.low) && !isnan(score.high))
        glot_str_printf(out, "<br><small>%.3f–%.3f</small>", score.low, score.high);
    glot_str_puts(out, "</td>");
}

static void put_ratio(glot_str *out, double change)
{
    glot_str_printf(out, "<td class=\"%s\">", glot_report_tone(change, 0.1));
    if (!isnan(change))
        glot_report_put_change(out, change);
    glot_str_puts(out, "</td>");
}

static bool has_intervals(const json_t *results)
{
    const char *name;
    for (size_t i = 0; (name = glot_report_language(results, i)); i++)
        if (!isnan(glot_report_score(results, glot_report_last_stage(results), name).low))
            return true;
    return false;
}

static void put_headings(glot_str *out, const json_t *results)
{
    const char *headings[3 + GLOT_N_WHENS] = {"language", "~group"};
    size_t n = 2;
    for (size_t w = 0; w < GLOT_N_WHENS; w++)
        if (has_when(results, w))
            headings[n++] = glot_report_when_heading(results, w);
    headings[n++] = "change";
    glot_report_begin_table(out, "", headings, n);
}

static void put_table(glot_str *out, const json_t *results)
{
    const char *name;
    put_headings(out, results);
    for (size_t i = 0; (name = glot_report_language(results, i)); i++) {
        glot_report_begin_row(out, results, i);
        for (size_t w = 0; w < GLOT_N_WHENS; w++)
            if (has_when(results, w))
                put_score(out, glot_report_score(results, glot_job_whens[w], name),
                          glot_report_is_between(results, glot_job_whens[w]));
        put_ratio(out, 100.0 * (glot_report_bits(results, glot_report_last_stage(results), name) /
                                    glot_report_bits(results, "before", name) -
                                1.0));
        glot_str_puts(out, "</tr>\n");
    }
    glot_report_end_table(out);
}

/* The same as a picture. */
static glot_status put_chart(glot_str *out, const json_t *results, glot_error *err)
{
    static const glot_svg_head head = {"scores", "Bits per byte before and after", NULL};
    const char *names[GLOT_N_WHENS];
    size_t n = glot_report_n_languages(results), n_values = 0;
    const char **rows = NULL;
    glot_svg_range *values = NULL;
    glot_status status = glot_new(&rows, n, sizeof *rows, "the report", err);
    if (status == GLOT_OK)
        status = glot_new(&values, n, GLOT_N_WHENS * sizeof *values, "the report", err);
    for (size_t w = 0; w < GLOT_N_WHENS; w++)
        if (has_when(results, w))
            names[n_values++] = glot_report_when_names[w];
    for (size_t i = 0, at = 0; i < n && status == GLOT_OK; i++) {
        rows[i] = glot_report_language(results, i);
        for (size_t w = 0; w < GLOT_N_WHENS; w++)
            if (has_when(results, w))
                values[at++] = glot_report_score(results, glot_job_whens[w], rows[i]);
    }
    glot_svg_begin_charts(out);
    if (status == GLOT_OK)
        glot_svg_ranges(out, &head, "v", rows, n, values, names, n_values);
    glot_svg_end_charts(out);
    glot_free(rows);
    glot_free(values);
    return status;
}

/* A stage alone scores nothing. */
static bool has_scores(const json_t *results)
{
    const char *name;
    for (size_t i = 0; (name = glot_report_language(results, i)); i++)
        for (size_t w = 0; w < GLOT_N_WHENS; w++)
            if (!isnan(glot_report_bits(results, glot_job_whens[w], name)))
                return true;
    return false;
}

glot_status glot_report_scores(glot_str *out, const json_t *results, glot_error *err)
{
    if (!has_scores(results))
        return GLOT_OK;
    put_lead(out, results);
    glot_report_section(
        out, "Bits per byte",
        has_intervals(results)
            ? "Less is better. With each score its 95 % interval over resampled documents. The change is "
              "from the base model to the result."
            : "Less is better. The change is from the base model to the result.");
    put_table(out, results);
    return put_chart(out, results, err);
}
