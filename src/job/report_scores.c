/* report_scores.c: the report's main result: a sentence, and bits per byte of each language before and after. */
#include "job/report_parts.h"
#include "job/svg.h"

#include <math.h>
#include <string.h>

static const char *group_of(const json_t *results, size_t i)
{
    const char *group = json_string_value(json_object_get(json_array_get(json_object_get(results, "languages"), i), "group"));
    return group ? group : "";
}

static const char *last_stage(const json_t *results)
{
    return json_object_get(results, "after_review") ? "after_review" : "after_train";
}

/* Mean over a group's languages of the last score's ratio to the first, as a change in per cent; NaN without any. */
static double mean_change(const json_t *results, const char *group, size_t *n)
{
    double sum = 0.0;
    const char *name;
    *n = 0;
    for (size_t i = 0; (name = glot_report_language(results, i)); i++) {
        double ratio = glot_report_bits(results, last_stage(results), name) / glot_report_bits(results, "before", name);
        if (isnan(ratio) || strcmp(group_of(results, i), group) != 0)
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
    glot_str_printf(out, "%zu %s language%s: %.1f %% %s bits per byte. ", n, group, n == 1 ? "" : "s", fabs(change), change <= 0.0 ? "fewer" : "more");
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

static void put_score(glot_str *out, const json_t *results, const char *when, const char *language)
{
    double bits = glot_report_bits(results, when, language);
    if (isnan(bits)) {
        glot_str_puts(out, "<td class=\"soft\">–</td>");
        return;
    }
    glot_str_printf(out, "<td>%.4f", bits);
    glot_str_puts(out, "</td>");
}

static void put_ratio(glot_str *out, double change)
{
    if (isnan(change))
        glot_str_puts(out, "<td></td>");
    else
        glot_str_printf(out, "<td class=\"%s\">%+.1f %%</td>", change <= 0.0 ? "good" : "bad", change);
}

void glot_report_scores(glot_str *out, const json_t *results)
{
    const char *name;
    put_lead(out, results);
    glot_report_section(out, "Bits per byte", "Less is better. The change is from the base model to the result.");
    glot_str_puts(out, "<div class=\"scroll\"><table><thead><tr><th scope=\"col\">language</th><th scope=\"col\">group</th><th scope=\"col\">before</th>"
                       "<th scope=\"col\">after training</th><th scope=\"col\">after review</th><th scope=\"col\">change</th></tr></thead><tbody>");
    for (size_t i = 0; (name = glot_report_language(results, i)); i++) {
        glot_str_printf(out, "<tr><td><span class=\"dot s%zu\"></span>", i % 8);
        glot_html_text(out, name);
        glot_str_puts(out, "</td><td class=\"soft\">");
        glot_html_text(out, group_of(results, i));
        glot_str_puts(out, "</td>");
        put_score(out, results, "before", name);
        put_score(out, results, "after_train", name);
        put_score(out, results, "after_review", name);
        put_ratio(out, 100.0 * (glot_report_bits(results, last_stage(results), name) / glot_report_bits(results, "before", name) - 1.0));
        glot_str_puts(out, "</tr>");
    }
    glot_str_puts(out, "</tbody></table></div>\n");
}
