/* recipe_values.c: the types of recipe keys, each read and written here and nowhere else. */
#include "job/recipe_values.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/options.h"
#include "job/recipe_tasks.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN_BYTES = 60 };

/* ---- what was found, what is expected ---- */

static void describe_found(glot_str *out, const glot_yaml_node *node)
{
    if (node->kind == GLOT_YAML_LIST)
        glot_str_puts(out, "is a list");
    else if (node->kind == GLOT_YAML_MAP)
        glot_str_puts(out, "has keys below it");
    else if (!*node->text)
        glot_str_puts(out, "has no value");
    else
        glot_str_printf(out, "is %s'%.*s'", node->is_quoted ? "the text " : "", SHOWN_BYTES, node->text);
}

static void describe_range(glot_str *out, const glot_recipe_key *key)
{
    if (key->is_open)
        glot_str_printf(out, " above %.15g and at most %.15g", key->min, key->max);
    else
        glot_str_printf(out, " from %.15g to %.15g", key->min, key->max);
}

static void describe_choices(glot_str *out, const char *choices)
{
    for (const char *p = choices; *p;) {
        size_t n = strcspn(p, "|");
        bool is_last = p[n] == '\0';
        glot_str_printf(out, "%s%.*s", p == choices ? "" : is_last ? " or " : ", ", (int)n, p);
        p += is_last ? n : n + 1;
    }
}

static void describe_expected(glot_str *out, const glot_recipe_key *key)
{
    static const char *const kinds[] = {[GLOT_KEY_INT] = "a whole number",
                                        [GLOT_KEY_COUNT] = "a whole number",
                                        [GLOT_KEY_SIZE] = "a size as 500MB or 2GiB",
                                        [GLOT_KEY_REAL] = "a number",
                                        [GLOT_KEY_BOOL] = "true or false",
                                        [GLOT_KEY_CHOICE] = "",
                                        [GLOT_KEY_TEXT] = "a text",
                                        [GLOT_KEY_PATH] = "a path",
                                        [GLOT_KEY_PATHS] = "a path or a list of paths",
                                        [GLOT_KEY_TEXTS] = "a list of texts",
                                        [GLOT_KEY_INTS] = "a list of whole numbers, each",
                                        [GLOT_KEY_BETAS] = "two numbers from 0 to below 1",
                                        [GLOT_KEY_EVERY] = "a number of steps or a time as 90s, 10min or 2h",
                                        [GLOT_KEY_LAYERS] = "a number of layers, or a list of layer numbers,",
                                        [GLOT_KEY_TASKS] = "a file, or a list of files and maps",
                                        [GLOT_KEY_TRAINABLE] =
                                            "new_experts, all_experts, all or {lora: {rank: R, alpha: A}}"};
    glot_str_puts(out, kinds[key->type]);
    if (key->type == GLOT_KEY_CHOICE)
        describe_choices(out, key->choices);
    if (key->type == GLOT_KEY_INT || key->type == GLOT_KEY_COUNT || key->type == GLOT_KEY_REAL ||
        key->type == GLOT_KEY_INTS || key->type == GLOT_KEY_LAYERS)
        describe_range(out, key);
}

static glot_status refuse(glot_str *problem, const glot_recipe_key *key, const glot_yaml_node *node)
{
    describe_found(problem, node);
    glot_str_puts(problem, ", expected ");
    describe_expected(problem, key);
    return GLOT_BAD_VALUE;
}

/* ---- scalars ---- */

static bool in_range(const glot_recipe_key *key, double value)
{
    return value <= key->max && (key->is_open ? value > key->min : value >= key->min);
}

/* A number stands there plainly: "5" in quotes is a text. */
static bool is_plain(const glot_yaml_node *node)
{
    return node->kind == GLOT_YAML_SCALAR && !node->is_quoted;
}

/* A whole number, also as 6e4. */
static bool read_whole(int64_t *out, const glot_yaml_node *node)
{
    double real;
    if (!is_plain(node))
        return false;
    if (glot_parse_int(out, node->text))
        return true;
    if (!glot_parse_real(&real, node->text) || real != floor(real) || !(fabs(real) <= 0x1p53))
        return false;
    *out = (int64_t)real;
    return true;
}

/* A count or size: the suffixes of options.h. Counts take the thousands only: 60k is sixty thousand tokens,
 * never 61,440. */
static bool read_suffixed(int64_t *out, const glot_yaml_node *node, bool is_size)
{
    uint64_t size;
    if (read_whole(out, node))
        return true;
    if (!is_plain(node) || (!is_size && strpbrk(node->text, "iB")) || !glot_parse_size(&size, node->text) ||
        size > INT64_MAX)
        return false;
    *out = (int64_t)size;
    return true;
}

static bool read_real(double *out, const glot_yaml_node *node)
{
    return is_plain(node) && glot_parse_real(out, node->text);
}

static bool read_bool(bool *out, const glot_yaml_node *node)
{
    if (!is_plain(node) || (strcmp(node->text, "true") != 0 && strcmp(node->text, "false") != 0))
        return false;
    *out = node->text[0] == 't';
    return true;
}

static bool read_choice(int *out, const char *choices, const glot_yaml_node *node)
{
    if (node->kind != GLOT_YAML_SCALAR || !*node->text)
        return false;
    size_t length = strlen(node->text);
    int i = 0;
    for (const char *p = choices;; p += strcspn(p, "|") + 1, i++) {
        size_t n = strcspn(p, "|");
        if (n == length && memcmp(p, node->text, n) == 0) {
            *out = i;
            return true;
        }
        if (!p[n])
            return false;
    }
}

/* "10min", "90s", "2h", or steps. */
static bool read_every(glot_recipe_every *out, const glot_recipe_key *key, const glot_yaml_node *node)
{
    static const struct {
        const char *unit;
        double seconds;
    } units[] = {{"s", 1}, {"min", 60}, {"h", 3600}};
    char *end;
    if (node->kind != GLOT_YAML_SCALAR || !*node->text)
        return false;
    if (read_whole(&out->steps, node))
        return in_range(key, (double)out->steps);
    double value = strtod(node->text, &end); /* a unit is no part of hexadecimal numbers, infinity or NaN */
    if (end == node->text || !isfinite(value) || strpbrk(node->text, "xX"))
        return false;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strcmp(end, units[i].unit) == 0) {
            out->seconds = value * units[i].seconds;
            return in_range(key, out->seconds);
        }
    return false;
}

static bool read_betas(double *out, const glot_yaml_node *node)
{
    if (node->kind != GLOT_YAML_LIST || node->n != 2)
        return false;
    for (size_t i = 0; i < 2; i++)
        if (!read_real(&out[i], node->items[i]) || !(out[i] >= 0.0 && out[i] < 1.0))
            return false;
    return true;
}

/* ---- lists ---- */

static bool is_filled_scalar(const glot_yaml_node *node)
{
    return node->kind == GLOT_YAML_SCALAR && *node->text;
}

/* NULL: no memory. */
static char *path_of(const glot_recipe_key *key, const char *folder, const char *text)
{
    bool is_path = key->type == GLOT_KEY_PATH || key->type == GLOT_KEY_PATHS;
    if (!is_path)
        return glot_strdup(text);
    char *joined = glot_path_join(folder, text), *tidy = joined ? glot_path_tidy(joined) : NULL;
    glot_free(joined);
    return tidy;
}

static glot_status add_text(glot_recipe_list *list, const glot_recipe_key *key, const glot_yaml_node *node,
                            const char *folder)
{
    GLOT_TRY(glot_grow(&list->items, &list->capacity, list->n + 1, sizeof *list->items, "the recipe", NULL));
    list->items[list->n] = path_of(key, folder, node->text);
    return list->items[list->n] ? (list->n++, GLOT_OK) : GLOT_NOMEM;
}

static glot_status read_list(glot_recipe_list *list, const glot_recipe_key *key, const glot_yaml_node *node,
                             const char *folder, glot_str *problem)
{
    if (node->kind == GLOT_YAML_SCALAR && *node->text)
        return add_text(list, key, node, folder);
    if (node->kind != GLOT_YAML_LIST || (node->n == 0 && key->type == GLOT_KEY_PATHS))
        return refuse(problem, key, node);
    for (size_t i = 0; i < node->n; i++) {
        if (!is_filled_scalar(node->items[i]))
            return refuse(problem, key, node->items[i]);
        GLOT_TRY(add_text(list, key, node->items[i], folder));
    }
    return GLOT_OK;
}

static glot_status read_ints(glot_recipe_ints *list, const glot_recipe_key *key, const glot_yaml_node *node,
                             glot_str *problem)
{
    if (node->kind != GLOT_YAML_LIST || node->n == 0)
        return refuse(problem, key, node);
    for (size_t i = 0; i < node->n; i++) {
        int64_t value;
        if (!read_whole(&value, node->items[i]) || !in_range(key, (double)value))
            return refuse(problem, key, node->items[i]);
        GLOT_TRY(
            glot_grow(&list->items, &list->capacity, list->n + 1, sizeof *list->items, "the recipe", NULL));
        list->items[list->n++] = value;
    }
    return GLOT_OK;
}

static glot_status read_layers(glot_recipe_layers *layers, const glot_recipe_key *key,
                               const glot_yaml_node *node, glot_str *problem)
{
    layers->count = -1;
    if (node->kind == GLOT_YAML_LIST)
        return read_ints(&layers->list, key, node, problem);
    if (read_whole(&layers->count, node) && in_range(key, (double)layers->count))
        return GLOT_OK;
    return refuse(problem, key, node);
}

/* {lora: {rank: 16, alpha: 32}}; both have these defaults. */
static bool read_lora(glot_recipe_trainable *out, const glot_yaml_node *node)
{
    const glot_yaml_node *lora = glot_yaml_get(node, "lora");
    *out = (glot_recipe_trainable){.what = GLOT_TRAIN_LORA, .rank = 16, .alpha = 32.0};
    if (!lora || node->n != 1 || lora->kind != GLOT_YAML_MAP)
        return false;
    for (size_t i = 0; i < lora->n; i++) {
        bool is_rank = strcmp(lora->keys[i], "rank") == 0;
        if (is_rank ? !read_whole(&out->rank, lora->items[i])
                    : strcmp(lora->keys[i], "alpha") != 0 || !read_real(&out->alpha, lora->items[i]))
            return false;
    }
    return out->rank >= 1 && out->rank <= 65536 && out->alpha > 0.0;
}

static bool read_trainable(glot_recipe_trainable *out, const glot_recipe_key *key, const glot_yaml_node *node)
{
    if (node->kind == GLOT_YAML_MAP)
        return read_lora(out, node);
    return read_choice(&out->what, key->choices, node);
}

static glot_status read_text(char **out, const glot_recipe_key *key, const glot_yaml_node *node,
                             const char *folder, glot_str *problem)
{
    if (!is_filled_scalar(node))
        return refuse(problem, key, node);
    *out = path_of(key, folder, node->text);
    return *out ? GLOT_OK : GLOT_NOMEM;
}

glot_status glot_recipe_value_read(void *value, const glot_recipe_key *key, const glot_yaml_node *node,
                                   const char *folder, glot_str *problem)
{
    bool is_good = false;
    switch (key->type) {
    case GLOT_KEY_INT:
        is_good = read_whole(value, node) && in_range(key, (double)*(int64_t *)value);
        break;
    case GLOT_KEY_COUNT:
    case GLOT_KEY_SIZE:
        is_good = read_suffixed(value, node, key->type == GLOT_KEY_SIZE) &&
                  in_range(key, (double)*(int64_t *)value);
        break;
    case GLOT_KEY_REAL:
        is_good = read_real(value, node) && in_range(key, *(double *)value);
        break;
    case GLOT_KEY_BOOL:
        is_good = read_bool(value, node);
        break;
    case GLOT_KEY_CHOICE:
        is_good = read_choice(value, key->choices, node);
        break;
    case GLOT_KEY_BETAS:
        is_good = read_betas(value, node);
        break;
    case GLOT_KEY_EVERY:
        is_good = read_every(value, key, node);
        break;
    case GLOT_KEY_TRAINABLE:
        is_good = read_trainable(value, key, node);
        break;
    case GLOT_KEY_TEXT:
    case GLOT_KEY_PATH:
        return read_text(value, key, node, folder, problem);
    case GLOT_KEY_PATHS:
    case GLOT_KEY_TEXTS:
        return read_list(value, key, node, folder, problem);
    case GLOT_KEY_INTS:
        return read_ints(value, key, node, problem);
    case GLOT_KEY_LAYERS:
        return read_layers(value, key, node, problem);
    case GLOT_KEY_TASKS:
        return glot_recipe_tasks_read(value, key, node, folder, problem);
    }
    return is_good ? GLOT_OK : refuse(problem, key, node);
}

/* ---- absent values ---- */

static void clear_ints(glot_recipe_ints *list)
{
    glot_free(list->items);
    *list = (glot_recipe_ints){0};
}

static void clear_list(glot_recipe_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        glot_free(list->items[i]);
    glot_free(list->items);
    *list = (glot_recipe_list){0};
}

void glot_recipe_value_clear(void *value, const glot_recipe_key *key)
{
    switch (key->type) {
    case GLOT_KEY_INT:
    case GLOT_KEY_COUNT:
    case GLOT_KEY_SIZE:
        *(int64_t *)value = -1;
        break;
    case GLOT_KEY_REAL:
        *(double *)value = NAN;
        break;
    case GLOT_KEY_BOOL:
        *(bool *)value = false;
        break;
    case GLOT_KEY_CHOICE:
        *(int *)value = -1;
        break;
    case GLOT_KEY_BETAS:
        ((double *)value)[0] = ((double *)value)[1] = NAN;
        break;
    case GLOT_KEY_EVERY:
        *(glot_recipe_every *)value = (glot_recipe_every){0};
        break;
    case GLOT_KEY_TRAINABLE:
        *(glot_recipe_trainable *)value = (glot_recipe_trainable){.what = -1};
        break;
    case GLOT_KEY_TEXT:
    case GLOT_KEY_PATH:
        glot_free(*(char **)value);
        *(char **)value = NULL;
        break;
    case GLOT_KEY_PATHS:
    case GLOT_KEY_TEXTS:
        clear_list(value);
        break;
    case GLOT_KEY_INTS:
        clear_ints(value);
        break;
    case GLOT_KEY_LAYERS:
        clear_ints(&((glot_recipe_layers *)value)->list);
        ((glot_recipe_layers *)value)->count = 0;
        break;
    case GLOT_KEY_TASKS:
        glot_recipe_tasks_clear(value);
        break;
    }
}

bool glot_recipe_value_is_given(const void *value, const glot_recipe_key *key)
{
    switch (key->type) {
    case GLOT_KEY_INT:
    case GLOT_KEY_COUNT:
    case GLOT_KEY_SIZE:
        return *(const int64_t *)value >= 0;
    case GLOT_KEY_REAL:
        return !isnan(*(const double *)value);
    case GLOT_KEY_CHOICE:
        return *(const int *)value >= 0;
    case GLOT_KEY_TRAINABLE:
        return ((const glot_recipe_trainable *)value)->what >= 0;
    case GLOT_KEY_BETAS:
        return !isnan(*(const double *)value);
    case GLOT_KEY_TEXT:
    case GLOT_KEY_PATH:
        return *(char *const *)value != NULL;
    case GLOT_KEY_PATHS:
        return ((const glot_recipe_list *)value)->n > 0;
    case GLOT_KEY_INTS:
        return ((const glot_recipe_ints *)value)->n > 0;
    case GLOT_KEY_BOOL:
    case GLOT_KEY_EVERY:
    case GLOT_KEY_TEXTS:
    case GLOT_KEY_LAYERS:
    case GLOT_KEY_TASKS:
        break;
    }
    return true;
}

/* ---- writing ---- */

/* Fewest digits that give the number back. */
static void write_real(glot_str *out, double value)
{
    char text[40];
    bool is_whole = fabs(value) < 1e6 && value == floor(value); /* 600 and not 6e+02 */
    for (int digits = is_whole ? 6 : 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    glot_str_puts(out, text);
}

/* Plain is safe for a text that begins with a letter, a slash or an underscore and holds nothing that YAML
 * reads as more than text. */
static bool is_safe_plain(const char *text)
{
    static const char *const words[] = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcasecmp(text, words[i]) == 0)
            return false;
    if (!strchr("/_", text[0]) && !((text[0] | 32) >= 'a' && (text[0] | 32) <= 'z'))
        return false;
    return text[0] &&
           text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/_.-+@")] == '\0';
}

void glot_recipe_write_text(glot_str *out, const char *text)
{
    if (is_safe_plain(text)) {
        glot_str_puts(out, text);
        return;
    }
    glot_str_puts(out, "\"");
    for (const char *p = text; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if (c == '"' || c == '\\')
            glot_str_printf(out, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            glot_str_printf(out, "\\x%02x", c);
        else
            glot_str_append(out, p, 1);
    }
    glot_str_puts(out, "\"");
}

static void write_list(glot_str *out, const glot_recipe_list *list)
{
    glot_str_puts(out, "[");
    for (size_t i = 0; i < list->n; i++) {
        glot_str_puts(out, i ? ", " : "");
        glot_recipe_write_text(out, list->items[i]);
    }
    glot_str_puts(out, "]");
}

static void write_ints(glot_str *out, const glot_recipe_ints *list)
{
    glot_str_puts(out, "[");
    for (size_t i = 0; i < list->n; i++)
        glot_str_printf(out, "%s%" PRId64, i ? ", " : "", list->items[i]);
    glot_str_puts(out, "]");
}

static void write_choice(glot_str *out, const char *choices, int i)
{
    while (i-- > 0)
        choices += strcspn(choices, "|") + 1;
    glot_str_append(out, choices, strcspn(choices, "|"));
}

static void write_every(glot_str *out, const glot_recipe_every *every)
{
    if (every->seconds > 0.0) {
        write_real(out, every->seconds);
        glot_str_puts(out, "s");
    } else {
        glot_str_printf(out, "%" PRId64, every->steps);
    }
}

static void write_trainable(glot_str *out, const glot_recipe_trainable *t, const char *choices)
{
    if (t->what == GLOT_TRAIN_LORA) {
        glot_str_printf(out, "{lora: {rank: %" PRId64 ", alpha: ", t->rank);
        write_real(out, t->alpha);
        glot_str_puts(out, "}}");
    } else {
        write_choice(out, choices, t->what);
    }
}

static void write_layers(glot_str *out, const glot_recipe_layers *layers)
{
    if (layers->count < 0)
        write_ints(out, &layers->list);
    else
        glot_str_printf(out, "%" PRId64, layers->count);
}

void glot_recipe_value_write(glot_str *out, const void *value, const glot_recipe_key *key)
{
    const double *reals = value;
    switch (key->type) {
    case GLOT_KEY_INT:
    case GLOT_KEY_COUNT:
    case GLOT_KEY_SIZE:
        glot_str_printf(out, "%" PRId64, *(const int64_t *)value);
        break;
    case GLOT_KEY_REAL:
        write_real(out, *reals);
        break;
    case GLOT_KEY_BOOL:
        glot_str_puts(out, *(const bool *)value ? "true" : "false");
        break;
    case GLOT_KEY_CHOICE:
        write_choice(out, key->choices, *(const int *)value);
        break;
    case GLOT_KEY_TEXT:
    case GLOT_KEY_PATH:
        glot_recipe_write_text(out, *(char *const *)value);
        break;
    case GLOT_KEY_PATHS:
    case GLOT_KEY_TEXTS:
        write_list(out, value);
        break;
    case GLOT_KEY_INTS:
        write_ints(out, value);
        break;
    case GLOT_KEY_BETAS:
        glot_str_puts(out, "[");
        write_real(out, reals[0]);
        glot_str_puts(out, ", ");
        write_real(out, reals[1]);
        glot_str_puts(out, "]");
        break;
    case GLOT_KEY_EVERY:
        write_every(out, value);
        break;
    case GLOT_KEY_LAYERS:
        write_layers(out, value);
        break;
    case GLOT_KEY_TASKS:
        glot_recipe_tasks_write(out, value);
        break;
    case GLOT_KEY_TRAINABLE:
        write_trainable(out, value, key->choices);
        break;
    }
}
