/* report_facts.c: the report's last parts: what the model writes, and what is needed to repeat the run. */
#include "job/report_parts.h"

#include <string.h>

static void put_text(glot_str *out, const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    glot_html_text(out, text ? text : "");
}

static void put_sample(glot_str *out, const char *when, const json_t *sample)
{
    glot_str_printf(out, "<div><p class=\"soft\">%s</p><blockquote dir=\"auto\">", when);
    put_text(out, sample, "text");
    glot_str_puts(out, "</blockquote></div>");
}

static void put_sample_pair(glot_str *out, const json_t *before, const json_t *after)
{
    glot_str_puts(out, "<h3>");
    put_text(out, after, "language");
    glot_str_puts(out, "</h3><p dir=\"auto\"><span class=\"soft\">prompt:</span> ");
    put_text(out, after, "prompt");
    glot_str_puts(out, "</p><div class=\"pair\">");
    put_sample(out, "before", before);
    put_sample(out, "after", after);
    glot_str_puts(out, "</div>\n");
}

void glot_report_samples(glot_str *out, const json_t *results)
{
    const json_t *samples = json_object_get(results, "samples"), *before = json_object_get(samples, "before");
    const json_t *after = json_object_get(samples, "after_review");
    if (!after)
        after = json_object_get(samples, "after_train");
    if (!json_array_size(after))
        return;
    glot_report_section(out, "Samples", "Greedy continuations of the beginning of a validation document.");
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

static void put_hash(glot_str *out, const char *label, const char *hash)
{
    if (!hash)
        return;
    glot_str_printf(out, "<tr><td>%s, SHA-256</td><td><code>", label);
    glot_html_text(out, hash);
    glot_str_puts(out, "</code></td></tr>");
}

/* A step of the job as a person calls it. */
static const char *step_name(const char *step)
{
    static const char *const names[][2] = {{"text", "tokenizing"},
                                           {"before", "scoring the base"},
                                           {"similarity", "similarity"},
                                           {"train", "training"},
                                           {"after_train", "scoring after training"},
                                           {"review", "review"},
                                           {"after_review", "scoring after review"},
                                           {"exact", "scoring off the exact path"},
                                           {"model", "writing the model"}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i][0], step) == 0)
            return names[i][1];
    return step;
}

static void put_seconds(glot_str *out, const json_t *results)
{
    const char *step;
    json_t *seconds;
    double sum = 0.0;
    json_object_foreach(json_object_get(results, "seconds"), step, seconds)
    {
        sum += json_number_value(seconds);
        glot_str_puts(out, "<tr><td>time: ");
        glot_html_text(out, step_name(step));
        glot_str_printf(out, "</td><td>%.1f s</td></tr>", json_number_value(seconds));
    }
    glot_str_printf(out, "<tr><td>time: all of it</td><td>%.1f s</td></tr>", sum);
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
        glot_str_puts(out, "</td><td>");
        glot_report_put_count(out, (long long)json_integer_value(json_object_get(entry, "tokens")));
        glot_str_printf(out, " tokens, %.2f times its text</td></tr>",
                        json_number_value(json_object_get(entry, "times")));
    }
}

/* How well the tokenizer knows each language: fewer tokens for the same bytes cost less. */
static void put_density(glot_str *out, const json_t *results)
{
    const char *name;
    for (size_t i = 0; (name = glot_report_language(results, i)); i++) {
        const json_t *density =
            json_object_get(json_array_get(json_object_get(results, "languages"), i), "tokens_per_byte");
        if (!json_is_number(density))
            continue;
        glot_str_puts(out, "<tr><td>text of ");
        glot_html_text(out, name);
        glot_str_printf(out, "</td><td>%.3f tokens a byte</td></tr>", json_number_value(density));
    }
}

/* What the run began with, and what it left as it was. */
static void put_hashes(glot_str *out, const json_t *results)
{
    const json_t *frozen = json_object_get(results, "frozen_sha256"),
                 *n = json_object_get(results, "frozen_tensors");
    put_hash(out, "base model's weights", json_string_value(json_object_get(results, "base_sha256")));
    if (json_is_integer(n) && json_integer_value(n) == 0) {
        put_row(out, "frozen weights", "none: every weight was trained");
        return;
    }
    put_hash(out, "frozen weights before", json_string_value(json_object_get(frozen, "before")));
    put_hash(out, "frozen weights after", json_string_value(json_object_get(frozen, "after")));
}

void glot_report_facts(glot_str *out, const json_t *results, const char *recipe)
{
    const json_t *memory = json_object_get(results, "peak_memory_bytes"),
                 *threads = json_object_get(results, "threads");
    glot_report_section(out, "To repeat it", NULL);
    glot_str_puts(out, "<div class=\"scroll\"><table class=\"facts\">");
    put_string(out, results, "glot", "glot");
    put_string(out, results, "commit", "commit");
    put_string(out, results, "processor", "processor");
    put_string(out, results, "instruction set", "isa");
    if (threads)
        glot_str_printf(out, "<tr><td>threads</td><td>%lld</td></tr>",
                        (long long)json_integer_value(threads));
    if (memory)
        glot_str_printf(out, "<tr><td>peak memory</td><td>%.2f GiB</td></tr>",
                        (double)json_integer_value(memory) / 1073741824.0);
    put_hashes(out, results);
    put_seconds(out, results);
    put_density(out, results);
    put_text_read(out, json_object_get(results, "train_text"), "stage 1");
    put_text_read(out, json_object_get(results, "review_text"), "review");
    glot_str_puts(out, "</table></div><h3>Recipe</h3><pre>");
    glot_html_text(out, recipe);
    glot_str_puts(out, "</pre>\n");
}
