/* report_exact.c: what the exact path (METHOD 8) keeps of the old languages, and what it costs the new
 * ones. */
#include "job/report_parts.h"

static void put_percent(glot_str *out, const char *kind, const json_t *share)
{
    glot_str_printf(out, "<td class=\"%s\">%.1f %%</td>", kind, 100.0 * json_number_value(share));
}

/* Median and 90th percentile of the tokens before leaving. */
static void put_delay(glot_str *out, const json_t *delay)
{
    if (json_is_object(delay))
        glot_str_printf(out, "<td class=\"wide\">%.0f, %.0f</td>", glot_json_number_or_zero(delay, "median"),
                        glot_json_number_or_zero(delay, "p90"));
    else
        glot_str_puts(out, "<td class=\"wide soft\">–</td>");
}

/* Bits per byte of the base, then without and with the exact path, with the ratios to the base. */
static void put_bits(glot_str *out, const json_t *bits)
{
    double base = glot_json_number_or_zero(bits, "base");
    static const char *const keys[] = {"off", "on"};
    if (!(base > 0.0)) {
        glot_str_puts(out, "<td class=\"soft\">–</td><td></td><td></td>");
        return;
    }
    glot_str_printf(out, "<td>%.4f</td>", base);
    for (size_t i = 0; i < 2; i++) {
        double value = glot_json_number_or_zero(bits, keys[i]), ratio = value / base;
        glot_str_printf(out, "<td>%.4f<br><small class=\"%s\">%.4f</small></td>", value,
                        glot_report_tone(ratio - 1.0, 0.0001), ratio);
    }
}

static void put_languages(glot_str *out, const json_t *results, const json_t *languages)
{
    static const char *const headings[] = {
        "language", "~group", "documents that stay", "~tokens on it", "~left after", "before", "off", "on"};
    const char *name;
    glot_report_begin_table(out, "dense", headings, sizeof headings / sizeof headings[0]);
    for (size_t i = 0; (name = glot_report_language(results, i)); i++) {
        const json_t *language = json_object_get(languages, name);
        if (!language)
            continue;
        glot_report_begin_row(out, results, i);
        put_percent(out, "", json_object_get(language, "document_share"));
        put_percent(out, "wide", json_object_get(language, "token_share"));
        put_delay(out, json_object_get(language, "leaves_after"));
        put_bits(out, json_object_get(language, "bits_per_byte"));
        glot_str_puts(out, "</tr>\n");
    }
    glot_report_end_table(out);
}

void glot_report_exact(glot_str *out, const json_t *results)
{
    const json_t *exact = json_object_get(results, "exact"), *held_out = json_object_get(exact, "held_out");
    const json_t *languages = json_object_get(exact, "languages");
    if (!exact)
        return;
    glot_report_section(out, "Exact path", NULL);
    glot_str_printf(
        out,
        "<p>A document takes the base model's own path until its tokens speak surely for a new language; "
        "while it is on it, its logits are the base model's, bit for bit, so that a document that stays is "
        "retained to 100 %% (the published method kept 96.6 %% of the old languages' scores). The threshold "
        "is "
        "%.2f: %.0f of %.0f held-out old documents never leave (asked: %.4g %%).</p>",
        glot_json_number_or_zero(exact, "threshold"), glot_json_number_or_zero(held_out, "stay"),
        glot_json_number_or_zero(held_out, "documents"), 100.0 * glot_json_number_or_zero(exact, "keep"));
    if (!json_object_size(languages))
        return;
    glot_str_puts(
        out,
        "<p class=\"soft\">On validation text. Left after: tokens before a document that leaves does so, "
        "median and 90th percentile. Bits per byte before and with the exact path off and on; under them the "
        "ratio to the model before.</p>");
    put_languages(out, results, languages);
}
