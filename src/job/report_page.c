/* report_page.c: the report's page: its style, its headings, and what every section asks of results.json.
 * Inline style only: no network, no script. */
#include "job/report_parts.h"

#include <math.h>
#include <string.h>

static const char style[] =
    "<style>:root{color-scheme:light "
    "dark;--fg:#1b2330;--bg:#fdfdfc;--soft:#586274;--line:#e3e5ea;--card:#f5f6f8;--good:#14683f;--bad:#"
    "b42318;"
    "--heat:37,99,235;--c0:#2563eb;--c1:#c2570c;--c2:#15803d;--c3:#9333ea;--c4:#be123c;--c5:#0e7490;--c6:#"
    "7c6a06;--c7:#666}"
    "@media screen and "
    "(prefers-color-scheme:dark){:root{--fg:#e7eaf0;--bg:#13171d;--soft:#a3adbd;--line:#2d3542;--card:#"
    "1b212a;--good:#57cf98;--bad:#ff9a8f;"
    "--heat:96,165,250;--c0:#7cb0ff;--c1:#f59e58;--c2:#5fd08d;--c3:#c99bff;--c4:#ff8fa5;--c5:#54c9dd;--c6:#"
    "d8c24a;--c7:#aaa}}"
    "*{box-sizing:border-box}body{font:16px/1.6 system-ui,-apple-system,'Segoe "
    "UI',sans-serif;color:var(--fg);background:var(--bg);margin:0}"
    "main{max-width:56rem;margin:0 auto;padding:2rem 1rem "
    "4rem}h1{font-size:1rem;font-weight:600;color:var(--soft);margin:0}"
    ".lead{font-size:1.5rem;line-height:1.35;font-weight:600;letter-spacing:-.01em;margin:.4rem 0 "
    "1.5rem;text-wrap:balance}"
    "h2{font-size:1.25rem;margin:2.8rem 0 .3rem}h3{font-size:1rem;margin:1.6rem 0 .3rem}p{margin:.4rem 0 "
    ".8rem}"
    "table{border-collapse:collapse;width:100%;margin:.6rem 0;font-variant-numeric:tabular-nums}"
    "th,td{padding:.4rem .6rem;border-bottom:1px solid "
    "var(--line);text-align:right;vertical-align:top}td{white-space:nowrap}"
    "th{overflow-wrap:anywhere;font-size:.82rem;font-weight:600;line-height:1.3;color:var(--soft);vertical-"
    "align:bottom}"
    "th:first-child,td:first-child{text-align:left;white-space:normal;overflow-wrap:anywhere}small{font-size:"
    ".78rem;color:var(--soft)}"
    ".facts td,.facts th{text-align:left;white-space:normal;overflow-wrap:anywhere}.facts "
    "td:first-child{color:var(--soft);min-width:8rem}code{font-size:.8rem;overflow-wrap:anywhere}"
    ".good{color:var(--good)}.bad{color:var(--bad)}.soft{color:var(--soft)}.narrow{display:none}"
    ".dot{display:inline-block;width:.7em;height:.7em;border-radius:50%;margin-right:.5em;background:"
    "currentColor}"
    ".scroll{overflow-x:auto}.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,"
    "22rem),1fr));gap:.8rem;margin:.8rem 0;align-items:start}"
    "figure{margin:0;padding:.8rem;background:var(--card);border-radius:.6rem}figcaption{font-size:.9rem;"
    "font-weight:600;line-height:1.35;margin-bottom:.4rem}"
    ".legend{font-size:.82rem;line-height:1.5;color:var(--soft);margin:.3rem 0 0}.legend "
    "span{display:inline-block;max-width:100%;overflow-wrap:anywhere;margin-right:.8em}.legend span "
    "span{margin-right:.4em}"
    "svg{display:block;width:100%;height:auto;overflow:visible}svg.key{display:inline-block;width:1.6em;"
    "height:.55em;margin-right:.45em;vertical-align:.1em}"
    "svg text{fill:var(--soft);font-size:12px}svg .grid{stroke:var(--line)}"
    "polyline{fill:none;stroke-width:2;stroke-linejoin:round}.interval{stroke-width:5;stroke-opacity:.35}"
    "polyline.faint{stroke-opacity:.35;stroke-width:1.2}"
    ".heat{fill:rgb(var(--heat))}.cell{stroke:var(--card)}rect.faint{fill-opacity:.3}"
    "pre{overflow:auto;background:var(--card);padding:1rem;border-radius:.6rem;font-size:.82rem;line-height:"
    "1.5}"
    ".pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,18rem),1fr));gap:0 "
    "1.2rem}.pair p{margin:.2rem 0}"
    "blockquote{margin:.2rem 0 .8rem;padding:.1rem 0 .1rem 1rem;border-left:3px solid "
    "var(--line);white-space:pre-wrap;overflow-wrap:anywhere}"
    ".s0{color:var(--c0)}.s1{color:var(--c1)}.s2{color:var(--c2)}.s3{color:var(--c3)}.s4{color:var(--c4)}.s5{"
    "color:var(--c5)}.s6{color:var(--c6)}.s7{color:var(--c7)}"
    ".v0{color:var(--soft)}.v1{color:rgba(var(--heat),.5)}.v2{color:rgb(var(--heat))}"
    ".d1{stroke-dasharray:7 3}.d2{stroke-dasharray:2 3}.d3{stroke-dasharray:8 3 2 3}.d4{stroke-dasharray:4 "
    "2}.d5{stroke-dasharray:1 2}"
    ".d6{stroke-dasharray:8 2 2 2 2 2}.d7{stroke-dasharray:12 5}"
    "polyline,circle{stroke:currentColor}circle{fill:currentColor}"
    "@media(max-width:36rem){main{padding:1.2rem .9rem 3rem}table{font-size:.92rem}th,td{padding:.35rem "
    ".25rem}.wide{display:none}.narrow{display:block}"
    "td:first-child{min-width:6rem}.dense{font-size:.8rem}.dense th{font-size:.72rem}.dense "
    "td:first-child{min-width:5.5rem}.lead{font-size:1.25rem}table "
    "small{font-size:.72rem}figure{padding:.6rem}}"
    "@media "
    "print{:root{--bg:#fff;--card:#fff}body{font-size:11pt}main{max-width:none;padding:0}figure,tr,"
    "blockquote,.pair{break-inside:avoid}h2,h3{break-after:avoid}"
    ".charts{grid-template-columns:1fr 1fr}figure{border:1px solid "
    "var(--line)}pre{white-space:pre-wrap;overflow-wrap:anywhere}.scroll{overflow:visible}"
    "*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}</style>";

const char *const glot_report_when_names[GLOT_N_WHENS] = {"before", "after training", "after review"};

glot_svg_range glot_report_score(const json_t *results, const char *when, const char *language)
{
    const json_t *text = json_object_get(json_object_get(results, when), "text"),
                 *score = json_object_get(text, language);
    return (glot_svg_range){glot_json_number(score, "bits_per_byte"),
                            glot_json_number(score, "bits_per_byte_low"),
                            glot_json_number(score, "bits_per_byte_high")};
}

double glot_report_bits(const json_t *results, const char *when, const char *language)
{
    return glot_report_score(results, when, language).value;
}

const char *glot_report_last_stage(const json_t *results)
{
    return json_object_get(results, "after_review") ? "after_review" : "after_train";
}

bool glot_report_is_between(const json_t *results, const char *when)
{
    return strcmp(when, "after_train") == 0 && strcmp(when, glot_report_last_stage(results)) != 0;
}

const char *glot_report_when_heading(const json_t *results, size_t when)
{
    return glot_report_is_between(results, glot_job_whens[when]) ? "~after training"
                                                                 : glot_report_when_names[when];
}

static const json_t *language_at(const json_t *results, size_t i)
{
    return json_array_get(json_object_get(results, "languages"), i);
}

const char *glot_report_language(const json_t *results, size_t i)
{
    return json_string_value(json_object_get(language_at(results, i), "name"));
}

const char *glot_report_group(const json_t *results, size_t i)
{
    const char *group = json_string_value(json_object_get(language_at(results, i), "group"));
    return group ? group : "";
}

size_t glot_report_n_languages(const json_t *results)
{
    size_t n = 0;
    while (glot_report_language(results, n))
        n++;
    return n;
}

long long glot_report_total(const json_t *counts)
{
    json_int_t total = 0;
    for (size_t l = 0; l < json_array_size(counts); l++)
        total += json_integer_value(json_array_get(counts, l));
    return (long long)total;
}

bool glot_report_has_choice(const json_t *results, size_t layer)
{
    json_int_t n_experts = json_integer_value(json_array_get(json_object_get(results, "experts"), layer));
    json_int_t top_k = json_integer_value(json_object_get(results, "top_k"));
    return n_experts > (top_k > 1 ? top_k : 1);
}

bool glot_report_has_any_choice(const json_t *results)
{
    for (size_t l = 0; l < json_array_size(json_object_get(results, "experts")); l++)
        if (glot_report_has_choice(results, l))
            return true;
    return false;
}

const char *glot_report_tone(double change, double step)
{
    return fabs(change) < step / 2 ? "soft" : change < 0.0 ? "good" : "bad";
}

void glot_report_put_change(glot_str *out, double percent)
{
    bool is_level = fabs(percent) < 0.05;
    glot_str_printf(out, "%s%.1f %%",
                    is_level        ? ""
                    : percent < 0.0 ? "−"
                                    : "+",
                    is_level ? 0.0 : fabs(percent));
}

void glot_report_put_count(glot_str *out, long long n)
{
    if (n >= 1000) {
        glot_report_put_count(out, n / 1000);
        glot_str_printf(out, ",%03lld", n % 1000);
    } else
        glot_str_printf(out, "%lld", n);
}

void glot_report_head(glot_str *out, const char *title)
{
    glot_str_puts(
        out,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
        "content=\"width=device-width,initial-scale=1\"><link rel=\"icon\" href=\"data:,\"><title>glot: ");
    glot_html_text(out, title);
    glot_str_puts(out, "</title>");
    glot_str_puts(out, style);
    glot_str_puts(out, "</head><body><main><h1>glot: ");
    glot_html_text(out, title);
    glot_str_puts(out, "</h1>\n");
}

glot_status glot_report_end(glot_str *out, glot_error *err)
{
    glot_str_puts(out, "</main></body></html>\n");
    return glot_str_check(out, "the report", err);
}

void glot_report_section(glot_str *out, const char *title, const char *note)
{
    glot_str_puts(out, "<h2>");
    glot_html_text(out, title);
    glot_str_puts(out, "</h2>");
    if (!note)
        return;
    glot_str_puts(out, "<p class=\"soft\">");
    glot_html_text(out, note);
    glot_str_puts(out, "</p>");
}

void glot_report_begin_table(glot_str *out, const char *kind, const char *const *headings, size_t n)
{
    glot_str_printf(out, "<div class=\"scroll\"><table class=\"%s\"><thead><tr>", kind);
    for (size_t i = 0; i < n; i++) {
        bool is_wide = headings[i][0] == '~';
        glot_str_printf(out, "<th scope=\"col\"%s>", is_wide ? " class=\"wide\"" : "");
        glot_html_text(out, headings[i] + is_wide);
        glot_str_puts(out, "</th>");
    }
    glot_str_puts(out, "</tr></thead><tbody>\n");
}

void glot_report_end_table(glot_str *out)
{
    glot_str_puts(out, "</tbody></table></div>\n");
}

void glot_report_begin_row(glot_str *out, const json_t *results, size_t language)
{
    glot_str_puts(out, "<tr><td>");
    glot_svg_key(out, language);
    glot_html_text(out, glot_report_language(results, language));
    glot_str_puts(out, "<small class=\"narrow\">");
    glot_html_text(out, glot_report_group(results, language));
    glot_str_puts(out, "</small></td><td class=\"soft wide\">");
    glot_html_text(out, glot_report_group(results, language));
    glot_str_puts(out, "</td>");
}
