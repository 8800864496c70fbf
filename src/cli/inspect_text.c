/* inspect_text.c: any JSON document as text for people. Names lose their underscores, equal neighbours in a
 * list are counted. */
#include "cli/inspect.h"
#include "base/progress.h"

#include <ctype.h>
#include <string.h>

enum { NAME_WIDTH = 20 };

static void put_value(glot_str *out, const json_t *value);

/* An element type (Q4_1) is written as it is. */
static void put_name(glot_str *out, const char *name)
{
    bool is_type = isupper((unsigned char)name[0]);
    for (; *name; name++)
        glot_str_append(out, *name == '_' && !is_type ? " " : name, 1);
}

/* Items that have commas of their own are kept apart by more than one. */
static const char *separator_of(const json_t *item)
{
    bool has_commas = json_is_array(item) || (json_is_string(item) && strchr(json_string_value(item), ','));
    return has_commas ? "; " : ", ";
}

/* "4 (30 times)" for thirty layers of four experts. */
static void put_list(glot_str *out, const json_t *list)
{
    size_t n = json_array_size(list);
    for (size_t i = 0, next; i < n; i = next) {
        const json_t *item = json_array_get(list, i);
        for (next = i + 1; next < n && !json_is_array(item) && json_equal(item, json_array_get(list, next));
             next++)
            continue;
        glot_str_puts(out, i ? separator_of(item) : "");
        put_value(out, item);
        if (next - i > 1)
            glot_str_printf(out, " (%zu times)", next - i);
    }
}

static void put_object(glot_str *out, const json_t *object)
{
    const char *key, *separator = "";
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, key, value) {
        glot_str_puts(out, separator);
        put_name(out, key);
        glot_str_puts(out, " ");
        put_value(out, value);
        separator = ", ";
    }
}

static void put_value(glot_str *out, const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        put_object(out, value);
        break;
    case JSON_ARRAY:
        put_list(out, value);
        break;
    case JSON_STRING:
        glot_str_puts(out, json_string_value(value));
        break;
    case JSON_INTEGER:
        glot_str_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        break;
    case JSON_REAL:
        glot_str_printf(out, "%g", json_real_value(value));
        break;
    case JSON_TRUE:
        glot_str_puts(out, "yes");
        break;
    case JSON_FALSE:
        glot_str_puts(out, "no");
        break;
    default:
        glot_str_puts(out, "none");
    }
}

/* One indented line per element: a language of a token store, a tensor, a key of a GGUF. */
static void put_block(glot_str *out, const json_t *value)
{
    const char *key;
    json_t *item;
    size_t i;
    glot_str_puts(out, "\n");
    json_array_foreach(value, i, item) {
        glot_str_puts(out, "  ");
        put_value(out, item);
        glot_str_puts(out, "\n");
    }
    json_object_foreach((json_t *)(uintptr_t)value, key, item) {
        glot_str_printf(out, "  %s = ", key);
        put_value(out, item);
        glot_str_puts(out, "\n");
    }
}

static bool needs_block(const char *key, const json_t *value)
{
    return json_is_object(json_array_get(value, 0)) || strcmp(key, "metadata") == 0 ||
           strcmp(key, "bits_per_byte") == 0;
}

/* Large numbers once more, as people say them. */
static void put_magnitude(glot_str *out, const char *key, const json_t *value)
{
    char text[32];
    if (strcmp(key, "bytes") == 0) {
        glot_bytes_text((uint64_t)json_integer_value(value), text);
        glot_str_printf(out, " (%s)", text);
    } else if (strcmp(key, "parameters") == 0)
        glot_str_printf(out, " (%.1f M)", (double)json_integer_value(value) / 1e6);
}

glot_status inspect_print(const json_t *document, glot_error *err)
{
    glot_str out = {0};
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)document, key, value) {
        size_t begin = out.length;
        put_name(&out, key);
        if (needs_block(key, value)) {
            put_block(&out, value);
            continue;
        }
        size_t used = out.length - begin;
        glot_str_printf(&out, "%*s", used < NAME_WIDTH ? (int)(NAME_WIDTH - used) : 1, "");
        put_value(&out, value);
        put_magnitude(&out, key, value);
        glot_str_puts(&out, "\n");
    }
    glot_status status = glot_str_check(&out, "the text", err);
    if (status == GLOT_OK)
        status = cli_write(out.data ? out.data : "", out.length, err);
    glot_str_release(&out);
    return status;
}
