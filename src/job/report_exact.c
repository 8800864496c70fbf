/* report_exact.c: what the exact path (METHOD 8) keeps of the old languages, and what it costs the new ones. */
#include "job/report_exact.h"
#include "job/svg.h"

static double number_of(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

static void put_percent(glot_str *out, const json_t *share)
{
    glot_str_printf(out, "<td>%.1f %%</td>", 100.0 * json_number_value(share));
}

/* Median and 90th percentile of the tokens before leaving. */
static void put_delay(glot_str *out, const json_t *delay)
{
    if (json_is_object(delay))
        glot_str_printf(out, "<td>%.0f, %.0f</td>", number_of(delay, "median"), number_of(delay, "p90"));
    else
        glot_str_puts(out, "<td class=\"soft\">–</td>");
}

/* Bits per byte of the base, and the ratios to it without and with the exact path. */
static void put_bits(glot_str *out, const json_t *bits)
{
    double base = number_of(bits, "base");
    static const char *const keys[] = {"off", "on"};
    if (!(base > 0.0)) {
        glot_str_puts(out, "<td class=\"soft\">–</td><td></td><td></td><td></td><td></td>");
        return;
    }
    glot_str_printf(out, "<td>%.4f</td>", base);
    for (size_t i = 0; i < 2; i++) {
        double value = number_of(bits, keys[i]), ratio = value / base;
        glot_str_printf(out, "<td>%.4f</td><td class=\"%s\">%.4f</td>", value, ratio <= 1.0 ? "good" : "bad", ratio);
    }
}

static void put_language(glot_str *out, const char *name, const json_t *language)
{
    const char *group = json_string_value(json_object_get(language, "group"));
    glot_str_puts(out, "<tr><td>");
    glot_html_text(out, name);
    glot_str_printf(out, "</td><td class=\"soft\">%s</td>", group ? group : "");
    put_percent(out, json_object_get(language, "document_share"));
    put_percent(out, json_object_get(language, "token_share"));
    put_delay(out, json_object_get(language, "leaves_after"));
    put_bits(out, json_object_get(language, "bits_per_byte"));
    glot_str_puts(out, "</tr>");
}

void glot_report_exact(glot_str *out, const json_t *results)
{
    const json_t *exact = json_object_get(results, "exact"), *held_out = json_object_get(exact, "held_out");
    const char *name;
    json_t *language;
    if (!exact)
        return;
    glot_str_printf(out, "<h2>Exact path</h2><p>A document takes the base model's own path until its tokens speak surely for a new language; while it is on it, its "
                         "logits are the base model's, bit for bit, so that a document that stays is retained to 100 %%. The threshold is %.2f: %.0f of %.0f "
                         "held-out old documents never leave (asked: %.4g %%).</p>",
                    number_of(exact, "threshold"), number_of(held_out, "stay"), number_of(held_out, "documents"), 100.0 * number_of(exact, "keep"));
    if (!json_object_size(json_object_get(exact, "languages")))
        return;
    glot_str_puts(out, "<p class=\"soft\">On validation text. Left after: tokens before a document that leaves does so, median and 90th percentile. Bits per byte with "
                       "the exact path off and on; the ratio is to the model before.</p><div class=\"scroll\"><table><tr><th>language</th><th>group</th>"
                       "<th>documents that stay</th><th>tokens on it</th><th>left after</th><th>before</th><th>off</th><th>ratio</th><th>on</th><th>ratio</th></tr>");
    json_object_foreach(json_object_get(exact, "languages"), name, language)
        put_language(out, name, language);
    glot_str_puts(out, "</table></div>\n");
}
