/* report_tasks.c: the report's multiple choice: the share of right answers before and after. */
#include "job/report_parts.h"
#include "job/svg.h"

static const char *const whens[] = {"before", "after_train", "after_review"};

static void put_share(glot_str *out, const json_t *score)
{
    if (!score) {
        glot_str_puts(out, "<td class=\"soft\">–</td>");
        return;
    }
    glot_str_printf(out, "<td>%.1f %% ± %.1f<br><small>%.1f %%</small></td>",
                    100.0 * json_number_value(json_object_get(score, "acc")),
                    100.0 * json_number_value(json_object_get(score, "acc_stderr")),
                    100.0 * json_number_value(json_object_get(score, "acc_norm")));
}

void glot_report_tasks(glot_str *out, const json_t *results)
{
    const char *name;
    json_t *score;
    json_t *before = json_object_get(json_object_get(results, "before"), "tasks");
    if (!json_object_size(before))
        return;
    glot_report_section(
        out, "Multiple choice",
        "Share of right answers and its standard error; below it, the share by the mean for each character.");
    glot_str_puts(
        out, "<div class=\"scroll\"><table><thead><tr><th scope=\"col\">task</th><th "
             "scope=\"col\">items</th><th scope=\"col\">before</th>"
             "<th scope=\"col\">after training</th><th scope=\"col\">after review</th></tr></thead><tbody>");
    json_object_foreach(before, name, score)
    {
        glot_str_puts(out, "<tr><td>");
        glot_html_text(out, name);
        glot_str_printf(out, "</td><td>%" PRId64 "</td>",
                        (int64_t)json_integer_value(json_object_get(score, "items")));
        for (size_t i = 0; i < sizeof whens / sizeof whens[0]; i++)
            put_share(out,
                      json_object_get(json_object_get(json_object_get(results, whens[i]), "tasks"), name));
        glot_str_puts(out, "</tr>");
    }
    glot_str_puts(out, "</tbody></table></div>\n");
}
