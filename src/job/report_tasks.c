/* report_tasks.c: the report's multiple choice: the share of right answers before and after. */
#include "base/memory.h"
#include "job/report_parts.h"

#include <math.h>
#include <string.h>

static json_t *tasks_of(const json_t *results, const char *when)
{
    return json_object_get(json_object_get(results, when), "tasks");
}

glot_svg_range glot_report_task(const json_t *results, const char *when, const char *name)
{
    const json_t *score = json_object_get(tasks_of(results, when), name);
    double share = 100.0 * glot_json_number(score, "acc"),
           error = 100.0 * glot_json_number(score, "acc_stderr");
    return (glot_svg_range){share, share - error, share + error};
}

size_t glot_report_n_tasks(const json_t *results)
{
    return json_object_size(tasks_of(results, "before"));
}

size_t glot_report_add_tasks(const char **names, size_t n, const json_t *results)
{
    const char *name;
    json_t *score;
    json_object_foreach(tasks_of(results, "before"), name, score)
    {
        size_t k = 0;
        while (k < n && strcmp(names[k], name) != 0)
            k++;
        names[k] = name;
        n += k == n;
    }
    return n;
}

static void put_share(glot_str *out, const json_t *score, bool is_wide)
{
    glot_str_puts(out, is_wide ? "<td class=\"wide\">" : "<td>");
    if (!score) {
        glot_str_puts(out, "<span class=\"soft\">–</span></td>");
        return;
    }
    glot_str_printf(out, "%.1f %% ± %.1f<br><small>%.1f %%</small></td>",
                    100.0 * glot_json_number(score, "acc"), 100.0 * glot_json_number(score, "acc_stderr"),
                    100.0 * glot_json_number(score, "acc_norm"));
}

static void put_headings(glot_str *out, const json_t *results)
{
    const char *headings[2 + GLOT_N_WHENS] = {"task", "~items"};
    size_t n = 2;
    for (size_t w = 0; w < GLOT_N_WHENS; w++)
        if (tasks_of(results, glot_job_whens[w]))
            headings[n++] = glot_report_when_heading(results, w);
    glot_report_begin_table(out, "", headings, n);
}

static void put_table(glot_str *out, const json_t *results)
{
    const char *name;
    json_t *score;
    put_headings(out, results);
    json_object_foreach(tasks_of(results, "before"), name, score)
    {
        glot_str_puts(out, "<tr><td>");
        glot_html_text(out, name);
        glot_str_printf(out, "</td><td class=\"wide\">%" PRId64 "</td>",
                        (int64_t)json_integer_value(json_object_get(score, "items")));
        for (size_t w = 0; w < GLOT_N_WHENS; w++)
            if (tasks_of(results, glot_job_whens[w]))
                put_share(out, json_object_get(tasks_of(results, glot_job_whens[w]), name),
                          glot_report_is_between(results, glot_job_whens[w]));
        glot_str_puts(out, "</tr>\n");
    }
    glot_report_end_table(out);
}

static glot_status put_chart(glot_str *out, const json_t *results, glot_error *err)
{
    static const glot_svg_head head = {"tasks", "Right answers before and after, per cent", NULL};
    size_t n = glot_report_n_tasks(results), n_values = 0, k = 0;
    const char **names = NULL, *legend[GLOT_N_WHENS];
    glot_svg_range *values = NULL;
    for (size_t w = 0; w < GLOT_N_WHENS; w++)
        if (tasks_of(results, glot_job_whens[w]))
            legend[n_values++] = glot_report_when_names[w];
    glot_status status = glot_new(&names, n, sizeof *names, "the report", err);
    if (status == GLOT_OK)
        status = glot_new(&values, n, GLOT_N_WHENS * sizeof *values, "the report", err);
    if (status == GLOT_OK) {
        glot_report_add_tasks(names, 0, results);
        for (size_t i = 0; i < n; i++)
            for (size_t w = 0; w < GLOT_N_WHENS; w++)
                if (tasks_of(results, glot_job_whens[w]))
                    values[k++] = glot_report_task(results, glot_job_whens[w], names[i]);
        glot_svg_begin_charts(out);
        glot_svg_ranges(out, &head, "v", names, n, values, legend, n_values);
        glot_svg_end_charts(out);
    }
    glot_free(names);
    glot_free(values);
    return status;
}

glot_status glot_report_tasks(glot_str *out, const json_t *results, glot_error *err)
{
    if (glot_report_n_tasks(results) == 0)
        return GLOT_OK;
    glot_report_section(
        out, "Multiple choice",
        "Share of right answers and its standard error, which is a bar to each side in the chart; below the "
        "share that by the mean for each character.");
    put_table(out, results);
    return put_chart(out, results, err);
}
