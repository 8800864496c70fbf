/* report_page.c: the report's page: its style, its headings, and what every section asks of results.json. Inline style only: no network, no script. */
#include "job/report_parts.h"
#include "job/svg.h"

#include <math.h>

static const char style[] =
    "<style>:root{color-scheme:light dark;--fg:#1b2330;--bg:#fdfdfc;--soft:#586274;--line:#e3e5ea;--card:#f5f6f8;--good:#14683f;--bad:#b42318;"
    "--heat:37,99,235;--c0:#2563eb;--c1:#c2570c;--c2:#15803d;--c3:#9333ea;--c4:#be123c;--c5:#0e7490;--c6:#7c6a06;--c7:#666}"
    "@media(prefers-color-scheme:dark){:root{--fg:#e7eaf0;--bg:#13171d;--soft:#a3adbd;--line:#2d3542;--card:#1b212a;--good:#57cf98;--bad:#ff9a8f;"
    "--heat:96,165,250;--c0:#7cb0ff;--c1:#f59e58;--c2:#5fd08d;--c3:#c99bff;--c4:#ff8fa5;--c5:#54c9dd;--c6:#d8c24a;--c7:#aaa}}"
    "*{box-sizing:border-box}body{font:16px/1.6 system-ui,-apple-system,'Segoe UI',sans-serif;color:var(--fg);background:var(--bg);margin:0}"
    "main{max-width:54rem;margin:0 auto;padding:2rem 1rem 4rem}h1{font-size:1rem;font-weight:600;color:var(--soft);margin:0}"
    ".lead{font-size:1.5rem;line-height:1.35;font-weight:600;letter-spacing:-.01em;margin:.4rem 0 1.5rem;text-wrap:balance}"
    "h2{font-size:1.25rem;margin:2.8rem 0 .3rem}h3{font-size:1rem;margin:1.6rem 0 .3rem}p{margin:.4rem 0 .8rem}"
    "table{border-collapse:collapse;width:100%;margin:.6rem 0;font-variant-numeric:tabular-nums}"
    "th,td{padding:.4rem .6rem;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap;vertical-align:top}"
    "th{font-size:.82rem;font-weight:600;color:var(--soft)}th:first-child,td:first-child{text-align:left}"
    ".facts td{text-align:left;white-space:normal}.facts td:first-child{color:var(--soft);white-space:nowrap}code{font-size:.8rem;overflow-wrap:anywhere}"
    ".good{color:var(--good)}.bad{color:var(--bad)}.soft{color:var(--soft)}"
    ".dot{display:inline-block;width:.7em;height:.7em;border-radius:50%;margin-right:.5em;background:currentColor}"
    ".scroll{overflow-x:auto}figure{margin:.8rem 0;padding:.8rem;background:var(--card);border-radius:.6rem}svg{display:block;width:100%;height:auto}"
    "svg text{fill:var(--soft);font-size:12px}svg .title{fill:var(--fg);font-size:14px;font-weight:600}svg .grid{stroke:var(--line)}"
    "polyline{fill:none;stroke-width:2;stroke-linejoin:round}.heat{fill:rgb(var(--heat))}.cell{stroke:var(--card)}"
    "pre{overflow:auto;background:var(--card);padding:1rem;border-radius:.6rem;font-size:.82rem;line-height:1.5}"
    "blockquote{margin:.2rem 0 .8rem;padding:.1rem 0 .1rem 1rem;border-left:3px solid var(--line);white-space:pre-wrap;overflow-wrap:anywhere}"
    ".s0{color:var(--c0)}.s1{color:var(--c1)}.s2{color:var(--c2)}.s3{color:var(--c3)}.s4{color:var(--c4)}.s5{color:var(--c5)}.s6{color:var(--c6)}"
    ".s7{color:var(--c7)}polyline,circle{stroke:currentColor}circle,svg text.legend{fill:currentColor}"
    "@media print{:root{--bg:#fff;--card:#fff}main{max-width:none;padding:0}figure,table,blockquote{break-inside:avoid}h2,h3{break-after:avoid}"
    "pre{white-space:pre-wrap}.scroll{overflow:visible}}</style>";

double glot_report_bits(const json_t *results, const char *when, const char *language)
{
    const json_t *text = json_object_get(json_object_get(results, when), "text");
    const json_t *bits = json_object_get(json_object_get(text, language), "bits_per_byte");
    return json_is_number(bits) ? json_number_value(bits) : (double)NAN;
}

const char *glot_report_language(const json_t *results, size_t i)
{
    return json_string_value(json_object_get(json_array_get(json_object_get(results, "languages"), i), "name"));
}

void glot_report_head(glot_str *out, const char *title)
{
    glot_str_puts(out, "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
                       "content=\"width=device-width,initial-scale=1\"><link rel=\"icon\" href=\"data:,\"><title>glot: ");
    glot_html_text(out, title);
    glot_str_puts(out, "</title>");
    glot_str_puts(out, style);
    glot_str_puts(out, "</head><body><main><h1>glot: ");
    glot_html_text(out, title);
    glot_str_puts(out, "</h1>\n");
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
