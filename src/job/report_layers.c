/* report_layers.c: the report's pictures of layers: experts, where tokens go, and what the gates decide. */
#include "base/memory.h"
#include "job/report_parts.h"

#include <math.h>
#include <stdio.h>

/* ---- experts ---- */

void glot_report_experts(glot_str *out, const json_t *results)
{
    static const glot_svg_head head = {"experts", "Experts, layer by layer", "layer"};
    const json_t *experts = json_object_get(results, "experts"),
                 *before = json_object_get(results, "experts_before");
    size_t n = json_array_size(experts);
    if (n == 0)
        return;
    glot_report_section(out, "Experts in each layer", NULL);
    glot_str_printf(out, "<p>%lld experts in %zu layers", glot_report_total(experts), n);
    if (json_array_size(before) != n || glot_report_total(before) >= glot_report_total(experts))
        before = NULL; /* a stage alone adds none */
    if (before)
        glot_str_printf(out, ", %lld of them new (those that were there are faint)",
                        glot_report_total(experts) - glot_report_total(before));
    glot_str_puts(out, ".</p>");
    glot_svg_begin_charts(out);
    glot_svg_bars(out, &head, before, experts);
    glot_svg_end_charts(out);
}

/* ---- routing ---- */

/* The shares of one language. */
typedef struct share_map {
    const json_t *results, *shares;
} share_map;

static double share_at(const void *user, size_t expert, size_t layer)
{
    const share_map *m = user;
    const json_t *row = json_array_get(m->shares, layer);
    if (!glot_report_has_choice(m->results, layer) || expert >= json_array_size(row))
        return (double)NAN;
    return json_number_value(json_array_get(row, expert));
}

static double original_at(const void *user, size_t language, size_t layer)
{
    const json_t *entry =
        json_object_get(json_object_get(user, "routing"), glot_report_language(user, language));
    const json_t *p = json_array_get(json_object_get(entry, "p_original"), layer);
    return json_is_number(p) ? json_number_value(p) : (double)NAN;
}

static void put_shares(glot_str *out, const json_t *results, size_t language)
{
    enum { MAX_ROWS = 64 };
    char labels[MAX_ROWS][24], title[160], id[32];
    const char *rows[MAX_ROWS], *name = glot_report_language(results, language);
    share_map map = {
        results, json_object_get(json_object_get(json_object_get(results, "routing"), name), "expert_share")};
    size_t n = 0;
    for (size_t l = 0; l < json_array_size(map.shares); l++)
        n = json_array_size(json_array_get(map.shares, l)) > n
                ? json_array_size(json_array_get(map.shares, l))
                : n;
    n = n < MAX_ROWS ? n : MAX_ROWS;
    for (size_t e = 0; e < n; e++) {
        snprintf(labels[e], sizeof labels[e], e ? "expert %zu" : "original", e);
        rows[e] = labels[e];
    }
    snprintf(title, sizeof title, "%s: share of the chosen, expert by layer", name);
    snprintf(id, sizeof id, "share-%zu", language);
    glot_svg_heat(out, &(glot_svg_head){id, title, "layer"}, rows, n, json_array_size(map.shares), share_at,
                  &map);
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

/* Mean over the layers whose router leaves experts out of the entropy of the shares, in bits. */
static double mean_entropy(const json_t *results, const char *language)
{
    const json_t *entry = json_object_get(json_object_get(results, "routing"), language);
    const json_t *entropy = json_object_get(entry, "entropy");
    double sum = 0.0;
    size_t n = 0;
    for (size_t l = 0; l < json_array_size(entropy); l++)
        if (glot_report_has_choice(results, l)) {
            sum += json_number_value(json_array_get(entropy, l));
            n++;
        }
    return n ? sum / (double)n : (double)NAN;
}

static void put_number(glot_str *out, double value)
{
    isnan(value) ? glot_str_puts(out, "<td class=\"soft\">–</td>")
                 : glot_str_printf(out, "<td>%.3f</td>", value);
}

static void put_means(glot_str *out, const json_t *results)
{
    static const char *const headings[] = {"language", "~group", "p of the original, before review",
                                           "in the result", "entropy of shares, bits"};
    const json_t *before = json_object_get(results, "routing_before_review"),
                 *after = json_object_get(results, "routing");
    const char *name;
    glot_report_begin_table(out, "", headings, sizeof headings / sizeof headings[0]);
    for (size_t i = 0; (name = glot_report_language(results, i)); i++) {
        glot_report_begin_row(out, results, i);
        put_number(out, mean_original(before, name));
        put_number(out, mean_original(after, name));
        put_number(out, mean_entropy(results, name));
        glot_str_puts(out, "</tr>\n");
    }
    glot_report_end_table(out);
}

/* How many layers' routers choose all of their experts though there are several. */
static size_t layers_without_choice(const json_t *results)
{
    const json_t *experts = json_object_get(results, "experts");
    size_t n = 0;
    for (size_t l = 0; l < json_array_size(experts); l++)
        n += json_integer_value(json_array_get(experts, l)) > 1 && !glot_report_has_choice(results, l);
    return n;
}

glot_status glot_report_routing(glot_str *out, const json_t *results, glot_error *err)
{
    static const glot_svg_head head = {"p-original", "p of the original expert, language by layer", "layer"};
    size_t n = glot_report_n_languages(results), n_without = layers_without_choice(results);
    const char **names = NULL;
    if (!json_object_size(json_object_get(results, "routing")))
        return GLOT_OK;
    GLOT_TRY(glot_new(&names, n, sizeof *names, "the report", err));
    for (size_t i = 0; i < n; i++)
        names[i] = glot_report_language(results, i);
    glot_report_section(
        out, "Where tokens go",
        "p of the original: mean probability that the routers give to the base model's own expert.");
    if (n_without)
        glot_str_printf(
            out,
            "<p class=\"soft\">In %zu layer%s the router chooses all of the experts: shares say nothing "
            "there and are left out; p tells how much each expert counts.</p>",
            n_without, n_without == 1 ? "" : "s");
    put_means(out, results);
    glot_svg_begin_charts(out);
    glot_svg_heat(out, &head, names, n, json_array_size(json_object_get(results, "experts")), original_at,
                  results);
    for (size_t i = 0; i < n; i++)
        put_shares(out, results, i);
    glot_svg_end_charts(out);
    glot_free(names);
    return GLOT_OK;
}

/* ---- gates ---- */

static void put_share(glot_str *out, const json_t *share, bool is_wide)
{
    glot_str_puts(out, is_wide ? "<td class=\"wide\">" : "<td>");
    if (json_is_number(share))
        glot_str_printf(out, "%.1f %%", 100.0 * json_number_value(share));
    glot_str_puts(out, "</td>");
}

static bool has_gates(const json_t *results)
{
    const char *name;
    json_t *entry;
    json_object_foreach(json_object_get(results, "routing"), name, entry)
    {
        if (json_object_get(entry, "gate_accuracy"))
            return true;
    }
    return false;
}

/* How often the language gates are right, a row for each language. */
void glot_report_gates(glot_str *out, const json_t *results)
{
    static const char *const positions[] = {"1", "4", "16", "64"};
    static const char *const headings[] = {"language", "~group",   "after 1 token", "~4",
                                           "~16",      "after 64", "all tokens"};
    const char *name;
    if (!has_gates(results))
        return;
    glot_report_section(out, "Language gates", "Share of right decisions over the gated layers.");
    glot_report_begin_table(out, "dense", headings, sizeof headings / sizeof headings[0]);
    for (size_t i = 0; (name = glot_report_language(results, i)); i++) {
        const json_t *accuracy =
            json_object_get(json_object_get(json_object_get(results, "routing"), name), "gate_accuracy");
        if (!accuracy)
            continue;
        glot_report_begin_row(out, results, i);
        for (size_t k = 0; k < sizeof positions / sizeof positions[0]; k++)
            put_share(out, json_object_get(json_object_get(accuracy, "after"), positions[k]),
                      headings[2 + k][0] == '~');
        put_share(out, json_object_get(accuracy, "all"), false);
        glot_str_puts(out, "</tr>\n");
    }
    glot_report_end_table(out);
}
