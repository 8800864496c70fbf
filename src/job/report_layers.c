/* report_layers.c: the report's pictures of layers: experts, where tokens go, and what the gates decide. */
#include "job/report_parts.h"
#include "job/svg.h"

#include <math.h>
#include <stdio.h>

/* ---- experts ---- */

void glot_report_experts(glot_str *out, const json_t *results)
{
    const json_t *experts = json_object_get(results, "experts");
    size_t n = json_array_size(experts);
    json_int_t total = 0;
    if (n == 0)
        return;
    glot_report_section(out, "Experts in each layer", NULL);
    for (size_t l = 0; l < n; l++)
        total += json_integer_value(json_array_get(experts, l));
    glot_str_printf(out, "<p>%lld experts in %zu layers, %lld of them new.</p>", (long long)total, n, (long long)(total - (json_int_t)n));
    if (!json_object_get(results, "similarity")) /* else they stand under the similarity already */
        glot_svg_bars(out, "experts, layer by layer", "layer", experts);
}

/* ---- routing ---- */

static double share_at(const void *user, size_t expert, size_t layer)
{
    const json_t *row = json_array_get(user, layer);
    return expert < json_array_size(row) ? json_number_value(json_array_get(row, expert)) : (double)NAN;
}

static double original_at(const void *user, size_t language, size_t layer)
{
    const json_t *entry = json_object_get(json_object_get(user, "routing"), glot_report_language(user, language));
    const json_t *p = json_array_get(json_object_get(entry, "p_original"), layer);
    return json_is_number(p) ? json_number_value(p) : (double)NAN;
}

static void put_shares(glot_str *out, const char *language, const json_t *shares)
{
    enum { MAX_ROWS = 64 };
    char labels[MAX_ROWS][24], title[128];
    const char *rows[MAX_ROWS];
    size_t n = 0;
    for (size_t l = 0; l < json_array_size(shares); l++)
        n = json_array_size(json_array_get(shares, l)) > n ? json_array_size(json_array_get(shares, l)) : n;
    n = n < MAX_ROWS ? n : MAX_ROWS;
    for (size_t e = 0; e < n; e++) {
        snprintf(labels[e], sizeof labels[e], e ? "expert %zu" : "original", e);
        rows[e] = labels[e];
    }
    if (n == 0)
        return;
    snprintf(title, sizeof title, "%s: share of chosen slots, expert by layer", language);
    glot_svg_heat(out, title, rows, n, json_array_size(shares), share_at, shares);
}

/* Mean over the layers with a router. */
static double mean_original(const json_t *routing, const char *language)
{
    const json_t *entry = json_object_get(routing, language), *p = json_object_get(entry, "p_original");
    double sum = 0.0;
    size_t n = 0;
    for (size_t l = 0; l < json_array_size(p); l++)
        if (json_array_size(json_array_get(json_object_get(entry, "expert_share"), l)) > 1) {
            sum += json_number_value(json_array_get(p, l));
            n++;
        }
    return n ? sum / (double)n : (double)NAN;
}

/* Mean over those layers of the entropy of the shares, in bits. */
static double mean_entropy(const json_t *routing, const char *language)
{
    const json_t *shares = json_object_get(json_object_get(routing, language), "expert_share");
    double sum = 0.0;
    size_t n = 0;
    for (size_t l = 0; l < json_array_size(shares); l++) {
        const json_t *row = json_array_get(shares, l);
        for (size_t e = 0; e < json_array_size(row); e++) {
            double share = json_number_value(json_array_get(row, e));
            sum -= share > 0.0 ? share * log2(share) : 0.0;
        }
        n += json_array_size(row) > 1;
    }
    return n ? sum / (double)n : (double)NAN;
}

static void put_number(glot_str *out, double value)
{
    isnan(value) ? glot_str_puts(out, "<td class=\"soft\">–</td>") : glot_str_printf(out, "<td>%.3f</td>", value);
}

static void put_means(glot_str *out, const json_t *results)
{
    const json_t *before = json_object_get(results, "routing_before_review"), *after = json_object_get(results, "routing");
    const char *name;
    glot_str_puts(out, "<div class=\"scroll\"><table><thead><tr><th scope=\"col\">language</th><th scope=\"col\">p of the original, before review</th>"
                       "<th scope=\"col\">in the result</th><th scope=\"col\">entropy of shares, bits</th></tr></thead><tbody>");
    for (size_t i = 0; (name = glot_report_language(results, i)); i++) {
        glot_str_printf(out, "<tr><td><span class=\"dot s%zu\"></span>", i % 8);
        glot_html_text(out, name);
        glot_str_puts(out, "</td>");
        put_number(out, mean_original(before, name));
        put_number(out, mean_original(after, name));
        put_number(out, mean_entropy(after, name));
        glot_str_puts(out, "</tr>");
    }
    glot_str_puts(out, "</tbody></table></div>\n");
}

void glot_report_routing(glot_str *out, const json_t *results)
{
    enum { MAX_LANGUAGES = 64 };
    const char *names[MAX_LANGUAGES];
    const json_t *routing = json_object_get(results, "routing");
    size_t n = 0;
    if (!json_object_size(routing))
        return;
    while (n < MAX_LANGUAGES && (names[n] = glot_report_language(results, n)))
        n++;
    glot_report_section(out, "Where tokens go", "p of the original: mean probability that the routers give to the base model's own expert. Darker is more.");
    put_means(out, results);
    glot_svg_heat(out, "p of the original expert, language by layer", names, n, json_array_size(json_object_get(results, "experts")), original_at, results);
    for (size_t i = 0; i < n; i++)
        put_shares(out, names[i], json_object_get(json_object_get(routing, names[i]), "expert_share"));
}

/* ---- gates ---- */

static void put_share(glot_str *out, const json_t *share)
{
    if (json_is_number(share))
        glot_str_printf(out, "<td>%.1f %%</td>", 100.0 * json_number_value(share));
    else
        glot_str_puts(out, "<td></td>");
}

/* How often the language gates are right, a row for each language. */
void glot_report_gates(glot_str *out, const json_t *results)
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
            glot_str_puts(out, "<h2>Language gates</h2><p class=\"soft\">Share of right decisions over the gated layers.</p><div class=\"scroll\"><table><tr>"
                               "<th>language</th><th>after 1 token</th><th>4</th><th>16</th><th>64</th><th>all tokens</th></tr>");
        glot_str_puts(out, "<tr><td>");
        glot_html_text(out, language);
        glot_str_puts(out, "</td>");
        for (size_t i = 0; i < sizeof positions / sizeof positions[0]; i++)
            put_share(out, json_object_get(json_object_get(accuracy, "after"), positions[i]));
        put_share(out, json_object_get(accuracy, "all"));
        glot_str_puts(out, "</tr>");
    }
    glot_str_puts(out, n ? "</table></div>\n" : "");
}

