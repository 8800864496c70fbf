/* report_facts.c: the report's last parts: what the model writes, and what is needed to repeat the run. */
#include "base/error.h"
#include "job/report_parts.h"
#include "job/svg.h"

static void put_text(glot_str *out, const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    glot_html_text(out, text ? text : "");
}

static void put_sample_pair(glot_str *out, const json_t *before, const json_t *after)
{
    glot_str_puts(out, "<h3>");
    put_text(out, after, "language");
    glot_str_puts(out, "</h3><p><span class=\"soft\">prompt:</span> ");
    put_text(out, after, "prompt");
    glot_str_puts(out, "</p><p class=\"soft\">before</p><blockquote>");
    put_text(out, before, "text");
    glot_str_puts(out, "</blockquote><p class=\"soft\">after</p><blockquote>");
    put_text(out, after, "text");
    glot_str_puts(out, "</blockquote>\n");
}

void glot_report_samples(glot_str *out, const json_t *results)
{
    const json_t *samples = json_object_get(results, "samples"), *before = json_object_get(samples, "before");
    const json_t *after = json_object_get(samples, "after_review");
    if (!after)
        after = json_object_get(samples, "after_train");
    if (!json_array_size(after))
        return;
    glot_str_puts(out, "<h2>Samples</h2><p class=\"soft\">Greedy continuations of the beginning of a validation document.</p>");
    for (size_t i = 0; i < json_array_size(after); i++)
        put_sample_pair(out, json_array_get(before, i), json_array_get(after, i));
}


static void put_row(glot_str *out, const char *label, const char *value)
{
    glot_str_puts(out, "<tr><td>");
    glot_html_text(out, label);
    glot_str_puts(out, "</td><td>");
    glot_html_text(out, value);
    glot_str_puts(out, "</td></tr>");
}

static void put_string(glot_str *out, const json_t *results, const char *label, const char *key)
{
    const char *value = json_string_value(json_object_get(results, key));
    if (value)
        put_row(out, label, value);
}

static void put_seconds(glot_str *out, const json_t *results)
{
    const char *step;
    json_t *seconds;
    json_object_foreach(json_object_get(results, "seconds"), step, seconds)
    {
        glot_str_puts(out, "<tr><td>time of ");
        glot_html_text(out, step);
        glot_str_printf(out, "</td><td>%.1f s</td></tr>", json_number_value(seconds));
    }
}

/* How much of each language's text a stage read. */
static void put_text_read(glot_str *out, const json_t *read, const char *stage)
{
    const char *language;
    json_t *entry;
    json_object_foreach((json_t *)(uintptr_t)read, language, entry)
    {
        glot_str_printf(out, "<tr><td>%s read of ", stage);
        glot_html_text(out, language);
        glot_str_printf(out, "</td><td>%lld tokens, %.2f times its text</td></tr>",
                        (long long)json_integer_value(json_object_get(entry, "tokens")),
                        json_number_value(json_object_get(entry, "times")));
    }
}

static void put_frozen(glot_str *out, const json_t *results)
{
    const json_t *frozen = json_object_get(results, "frozen_sha256");
    if (!frozen)
        return;
    glot_str_puts(out, "<tr><td>frozen weights, SHA-256</td><td><code>before ");
    put_text(out, frozen, "before");
    glot_str_puts(out, "<br>after ");
    put_text(out, frozen, "after");
    glot_str_puts(out, "</code></td></tr>");
}

void glot_report_facts(glot_str *out, const json_t *results, const char *recipe)
{
    const json_t *memory = json_object_get(results, "peak_memory_bytes"), *threads = json_object_get(results, "threads");
    glot_report_section(out, "To repeat it", NULL);
    glot_str_puts(out, "<div class=\"scroll\"><table class=\"facts\">");
    put_row(out, "glot", glot_version());
    put_string(out, results, "processor", "processor");
    put_string(out, results, "instruction set", "isa");
    if (threads)
        glot_str_printf(out, "<tr><td>threads</td><td>%lld</td></tr>", (long long)json_integer_value(threads));
    if (memory)
        glot_str_printf(out, "<tr><td>peak memory</td><td>%.2f GiB</td></tr>", (double)json_integer_value(memory) / 1073741824.0);
    put_frozen(out, results);
    put_seconds(out, results);
    put_text_read(out, json_object_get(results, "train_text"), "stage 1");
    put_text_read(out, json_object_get(results, "review_text"), "review");
    glot_str_puts(out, "</table></div><h3>Recipe</h3><pre>");
    glot_html_text(out, recipe);
    glot_str_puts(out, "</pre>\n");
}
