/* options_help.c: what people and tools read about the rows: usage, help text, JSON. */
#include "base/options.h"

#include <math.h>
#include <string.h>

enum { HELP_COLUMN = 30, LINE_WIDTH = 100 };

static const char *const kind_names[] = {"flag",   "int",     "real",  "size", "string",
                                         "choice", "strings", "words", "texts"};

static const char *group_of(const glot_option *row)
{
    if (row->is_argument)
        return "Arguments";
    return row->group ? row->group : "Options";
}

static bool repeats(const glot_option *row)
{
    return row->kind == GLOT_OPTION_WORDS || row->kind == GLOT_OPTION_TEXTS;
}

void glot_option_form(glot_str *out, const glot_option *row)
{
    if (row->is_argument) {
        glot_str_puts(out, row->name);
        return;
    }
    glot_str_printf(out, "--%s", row->name);
    if (row->kind != GLOT_OPTION_FLAG)
        glot_str_printf(out, " %s", row->value);
    if (repeats(row))
        glot_str_puts(out, "...");
}

/* An option that must be given stands in the usage line; the others are "[options]". */
void glot_options_usage(glot_str *out, const glot_option *const *tables)
{
    for (size_t t = 0; tables[t]; t++)
        for (const glot_option *row = tables[t]; row->name; row++) {
            if (!row->is_argument && !row->is_required)
                continue;
            glot_str_puts(out, row->is_required ? " " : " [");
            glot_option_form(out, row);
            glot_str_puts(out, row->is_argument && repeats(row) ? "..." : "");
            glot_str_puts(out, row->is_required ? "" : "]");
        }
}

static bool is_number(const glot_option *row)
{
    return row->kind == GLOT_OPTION_INT || row->kind == GLOT_OPTION_REAL || row->kind == GLOT_OPTION_SIZE;
}

void glot_option_limits(glot_str *out, const glot_option *row)
{
    const char *separator = "";
    if (is_number(row) && (row->min != 0 || row->max != 0)) {
        if (isinf(row->max))
            glot_str_printf(out, "at least %.15g", row->min);
        else
            glot_str_printf(out, "%.15g to %.15g", row->min, row->max);
        separator = row->unit ? " " : "; ";
    }
    if (row->unit) {
        glot_str_printf(out, "%s%s", separator, row->unit);
        separator = "; ";
    }
    if (row->initial)
        glot_str_printf(out, "%sdefault %s", separator, row->initial);
}

/* Writes words into lines that begin at HELP_COLUMN; `column` is where the first one starts. */
static void put_wrapped(glot_str *out, const char *text, size_t column)
{
    const char *space = "";
    while (*text) {
        size_t n = strcspn(text, " ");
        if (column + strlen(space) + n > LINE_WIDTH) {
            glot_str_printf(out, "\n%*s", HELP_COLUMN, "");
            column = HELP_COLUMN;
            space = "";
        }
        glot_str_printf(out, "%s%.*s", space, (int)n, text);
        column += strlen(space) + n;
        space = " ";
        text += n + (text[n] == ' ');
    }
    glot_str_puts(out, "\n");
}

/* The help of a row with its limits behind it. */
static void put_description(glot_str *out, const glot_option *row)
{
    glot_str limits = {0};
    glot_option_limits(&limits, row);
    glot_str_puts(out, row->help);
    if (limits.length)
        glot_str_printf(out, " (%s)", limits.data);
    out->failed = out->failed || limits.failed;
    glot_str_release(&limits);
}

static void put_row(glot_str *out, const glot_option *row)
{
    glot_str form = {0}, text = {0};
    if (row->is_argument)
        glot_str_puts(&form, "  ");
    else if (row->letter)
        glot_str_printf(&form, "  -%c, ", row->letter);
    else
        glot_str_puts(&form, "      ");
    glot_option_form(&form, row);
    put_description(&text, row);
    if (form.failed || text.failed) {
        out->failed = true;
    } else {
        bool fits = form.length + 2 <= HELP_COLUMN;
        size_t gap = fits ? HELP_COLUMN - form.length : HELP_COLUMN;
        glot_str_printf(out, "%s%s%*s", form.data, fits ? "" : "\n", (int)gap, "");
        put_wrapped(out, text.data, HELP_COLUMN);
    }
    glot_str_release(&form);
    glot_str_release(&text);
}

/* Whether this row is the first one of its group in all tables. */
static bool begins_group(const glot_option *const *tables, const glot_option *wanted)
{
    for (size_t t = 0; tables[t]; t++)
        for (const glot_option *row = tables[t]; row->name; row++)
            if (strcmp(group_of(row), group_of(wanted)) == 0)
                return row == wanted;
    return false;
}

static void put_group(glot_str *out, const glot_option *const *tables, const char *group)
{
    glot_str_printf(out, "\n%s:\n", group);
    for (size_t t = 0; tables[t]; t++)
        for (const glot_option *row = tables[t]; row->name; row++)
            if (strcmp(group_of(row), group) == 0)
                put_row(out, row);
}

void glot_options_help(glot_str *out, const char *command, const char *summary,
                       const glot_option *const *tables)
{
    glot_str_printf(out, "usage: glot %s", command);
    glot_options_usage(out, tables);
    glot_str_puts(out, " [options]\n\n");
    put_wrapped(out, summary, 0);
    for (size_t t = 0; tables[t]; t++)
        for (const glot_option *row = tables[t]; row->name; row++)
            if (begins_group(tables, row))
                put_group(out, tables, group_of(row));
}

static json_t *row_json(const glot_option *row)
{
    char letter[2] = {row->letter, '\0'};
    json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:b, s:b}", "name", row->name, "kind", kind_names[row->kind],
                          "group", group_of(row), "help", row->help, "argument", (int)row->is_argument,
                          "required", (int)row->is_required);
    if (o && row->letter)
        json_object_set_new(o, "letter", json_string(letter));
    if (o && row->value)
        json_object_set_new(o, "value", json_string(row->value));
    if (o && is_number(row) && (row->min != 0 || row->max != 0)) {
        json_object_set_new(o, "min", json_real(row->min));
        if (isfinite(row->max))
            json_object_set_new(o, "max", json_real(row->max));
    }
    if (o && row->initial)
        json_object_set_new(o, "default", json_string(row->initial));
    if (o && row->unit)
        json_object_set_new(o, "unit", json_string(row->unit));
    return o;
}

json_t *glot_options_json(const glot_option *const *tables)
{
    json_t *list = json_array();
    for (size_t t = 0; list && tables[t]; t++)
        for (const glot_option *row = tables[t]; row->name; row++)
            if (json_array_append_new(list, row_json(row)) != 0) {
                json_decref(list);
                return NULL;
            }
    return list;
}
