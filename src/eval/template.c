/* template.c: placeholders to texts. */
#include "eval/template.h"
#include "base/memory.h"
#include "eval/template_filters.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_LETTERS = 26 };

/* ---- reading a template text ---- */

/* A stretch of plain text, or a placeholder; points into the template. */
typedef struct part {
    const char *text, *filter; /* filter: behind the colon; NULL: none */
    size_t n, n_filter;
    bool is_placeholder;
} part;

/* The next part; false at the end. A single brace that opens or closes nothing is GLOT_BAD_VALUE. */
static glot_status next_part(part *out, bool *is_there, const char **p, glot_error *err)
{
    const char *text = *p;
    *out = (part){.text = text};
    *is_there = *text != '\0';
    if ((text[0] == '{' && text[1] == '{') || (text[0] == '}' && text[1] == '}')) {
        out->n = 1;
        *p = text + 2;
    } else if (text[0] == '{') {
        size_t n = strcspn(text + 1, "{}");
        if (text[1 + n] != '}' || n == 0 || text[1] == ':')
            return GLOT_FAIL(err, GLOT_BAD_VALUE,
                             "'%s' is no placeholder, expected {key} or {key:filter} ({{ for a brace)", text);
        *out = (part){.text = text + 1, .n = n, .is_placeholder = true};
        const char *colon = memchr(text + 1, ':', n);
        if (colon) {
            out->n = (size_t)(colon - text) - 1;
            out->filter = colon + 1;
            out->n_filter = n - out->n - 1;
        }
        *p = text + n + 2;
    } else if (text[0] == '}') {
        return GLOT_FAIL(err, GLOT_BAD_VALUE, "'%s' begins with a brace that closes nothing (}} for a brace)",
                         text);
    } else {
        out->n = strcspn(text, "{}");
        *p = text + out->n;
    }
    return GLOT_OK;
}

static bool is_filter(const part *p, const char *name)
{
    return p->filter && p->n_filter == strlen(name) && memcmp(p->filter, name, p->n_filter) == 0;
}

/* Filters that change a text and know nothing else. */
static const struct {
    const char *name;
    void (*put)(glot_str *out, const char *text);
} text_filters[] = {
    {"lower", glot_filter_lower},
    {"open", glot_filter_open},
    {"unfinished", glot_filter_unfinished},
    {"unmarked", glot_filter_unmarked},
};

enum { N_TEXT_FILTERS = sizeof text_filters / sizeof text_filters[0] };

static size_t find_text_filter(const part *p)
{
    size_t i = 0;
    while (i < N_TEXT_FILTERS && !is_filter(p, text_filters[i].name))
        i++;
    return i;
}

/* The mark of {key:after MARK}; NULL: another filter. */
static const char *after_mark(const part *p, size_t *n)
{
    static const char name[] = "after ";
    size_t k = sizeof name - 1;
    if (p->n_filter <= k || memcmp(p->filter, name, k) != 0)
        return NULL;
    *n = p->n_filter - k;
    return p->filter + k;
}

static bool is_known_filter(const part *p)
{
    size_t n;
    return find_text_filter(p) < N_TEXT_FILTERS || is_filter(p, "lettered") || is_filter(p, "letters") ||
           after_mark(p, &n) || memchr(p->filter, '=', p->n_filter);
}

static glot_status check_text(const char *text, glot_error *err)
{
    part p;
    bool is_there = true;
    for (const char *at = text; is_there;) {
        GLOT_TRY(next_part(&p, &is_there, &at, err));
        if (p.filter && !is_known_filter(&p))
            return GLOT_FAIL(err, GLOT_BAD_VALUE,
                             "filter '%.*s' is not known, expected open, lower, lettered, letters, unmarked, "
                             "unfinished, after TEXT or a=x,b=y",
                             (int)p.n_filter, p.filter);
    }
    return GLOT_OK;
}

glot_status glot_template_check(const glot_template *t, glot_error *err)
{
    GLOT_TRY(check_text(t->query, err));
    for (const char *const *choice = t->choices; *choice; choice++)
        GLOT_TRY(check_text(*choice, err));
    if (!t->gold)
        return GLOT_OK;
    part p;
    bool is_there;
    const char *at = t->gold;
    GLOT_TRY(next_part(&p, &is_there, &at, err));
    if (!p.is_placeholder || p.filter || *at)
        return GLOT_FAIL(err, GLOT_BAD_VALUE, "the right answer is '%s', expected one {key}", t->gold);
    return GLOT_OK;
}

/* ---- what a placeholder stands for ---- */

/* The value under a key of n bytes: of the element, else of the line. NULL: there is none. */
static const json_t *lookup(const glot_template_source *source, const char *key, size_t n)
{
    const json_t *value = source->element ? json_object_getn(source->element, key, n) : NULL;
    return value ? value : json_object_getn(source->line, key, n);
}

static glot_status add_text(glot_texts *out, const char *text, size_t n, glot_error *err)
{
    GLOT_TRY(glot_grow(&out->items, &out->capacity, out->n + 1, sizeof *out->items, "an item", err));
    out->items[out->n] = glot_strndup(text, n);
    return out->items[out->n] ? (out->n++, GLOT_OK) : GLOT_FAIL(err, GLOT_NOMEM, "no memory for an item");
}

void glot_texts_release(glot_texts *texts)
{
    for (size_t i = 0; i < texts->n; i++)
        glot_free(texts->items[i]);
    glot_free(texts->items);
    *texts = (glot_texts){0};
}

static bool has_text(const glot_texts *texts, const char *text)
{
    for (size_t i = 0; i < texts->n; i++)
        if (strcmp(texts->items[i], text) == 0)
            return true;
    return false;
}

/* "a=x,b=y": what stands beside `text`. */
static glot_status put_mapped(glot_str *out, const part *p, const char *text, const char *where,
                              glot_error *err)
{
    size_t n = strlen(text);
    for (const char *at = p->filter, *end = p->filter + p->n_filter; at < end;) {
        const char *comma = memchr(at, ',', (size_t)(end - at)), *stop = comma ? comma : end;
        const char *equals = memchr(at, '=', (size_t)(stop - at));
        if (equals && (size_t)(equals - at) == n && memcmp(at, text, n) == 0) {
            glot_str_append(out, equals + 1, (size_t)(stop - equals) - 1);
            return GLOT_OK;
        }
        at = stop + 1;
    }
    return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s': key '%.*s' is '%s', expected one of %.*s", where, (int)p->n,
                     p->text, text, (int)p->n_filter, p->filter);
}

static glot_status put_filtered(glot_str *out, const part *p, const char *text, const char *where,
                                glot_error *err)
{
    size_t known = p->filter ? find_text_filter(p) : N_TEXT_FILTERS, n = 0;
    const char *mark = p->filter ? after_mark(p, &n) : NULL;
    if (known < N_TEXT_FILTERS)
        text_filters[known].put(out, text);
    else if (mark)
        glot_filter_after(out, text, mark, n);
    else if (p->filter)
        return put_mapped(out, p, text, where, err);
    else
        glot_str_puts(out, text);
    return GLOT_OK;
}

/* A text or a number; NULL for anything else. `number` has room for the digits. */
static const char *scalar_text(const json_t *value, char number[32])
{
    if (json_is_integer(value)) {
        snprintf(number, 32, "%" PRId64, (int64_t)json_integer_value(value));
        return number;
    }
    return json_string_value(value);
}

static glot_status refuse(const part *p, const glot_template_source *source, const char *expected,
                          glot_error *err)
{
    return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s': key '%.*s' is missing or no %s", source->where, (int)p->n,
                     p->text, expected);
}

/* {list.key}: the text under `key` of one object of the list. */
static glot_status add_below(glot_texts *out, const json_t *object, const char *key, size_t n, const part *p,
                             const glot_template_source *source, glot_error *err)
{
    const json_t *value = json_object_getn(object, key, n);
    const char *text = json_string_value(json_is_array(value) ? json_array_get(value, 0) : value);
    if (!text)
        return refuse(p, source, "text", err);
    return has_text(out, text) ? GLOT_OK : add_text(out, text, strlen(text), err);
}

/* The texts of a placeholder that names a list, not yet through its filter. */
static glot_status collect_list(glot_texts *out, const json_t *list, const part *p,
                                const glot_template_source *source, glot_error *err)
{
    const char *dot = memchr(p->text, '.', p->n);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *value = json_array_get(list, i);
        if (dot) {
            GLOT_TRY(add_below(out, value, dot + 1, p->n - (size_t)(dot - p->text) - 1, p, source, err));
            continue;
        }
        if (!json_is_string(value))
            return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s': element %zu of key '%.*s' is no text",
                             source->where, i, (int)p->n, p->text);
        GLOT_TRY(add_text(out, json_string_value(value), json_string_length(value), err));
    }
    if ((is_filter(p, "letters") || is_filter(p, "lettered")) && out->n > MAX_LETTERS)
        return GLOT_FAIL(err, GLOT_BAD_FORMAT,
                         "'%s': key '%.*s' has %zu texts, expected at most %d, a letter for each",
                         source->where, (int)p->n, p->text, out->n, MAX_LETTERS);
    return GLOT_OK;
}

/* The list that a placeholder names; NULL: it names none. */
static const json_t *list_of(const part *p, const glot_template_source *source)
{
    const char *dot = p->is_placeholder ? memchr(p->text, '.', p->n) : NULL;
    const json_t *value =
        p->is_placeholder ? lookup(source, p->text, dot ? (size_t)(dot - p->text) : p->n) : NULL;
    return json_is_array(value) ? value : NULL;
}

/* "A. first\nB. second". */
static glot_status put_lettered(glot_str *out, const part *p, const json_t *list,
                                const glot_template_source *source, glot_error *err)
{
    glot_texts texts = {0};
    glot_status status = collect_list(&texts, list, p, source, err);
    for (size_t i = 0; i < texts.n && status == GLOT_OK; i++)
        glot_str_printf(out, "%s%c. %s", i ? "\n" : "", (int)('A' + i), texts.items[i]);
    glot_texts_release(&texts);
    return status;
}

/* The element that stands in a text for a list. */
typedef struct element {
    const char *list; /* the placeholder's text, in the template */
    const char *text;
    size_t i;
} element;

static glot_status put_element(glot_str *out, const part *p, const element *e,
                               const glot_template_source *source, glot_error *err)
{
    if (!is_filter(p, "letters"))
        return put_filtered(out, p, e->text, source->where, err);
    glot_str_printf(out, "%c", (int)('A' + e->i));
    return GLOT_OK;
}

static glot_status put_placeholder(glot_str *out, const part *p, const element *e,
                                   const glot_template_source *source, glot_error *err)
{
    char number[32];
    if (e && p->text == e->list)
        return put_element(out, p, e, source, err);
    if (is_filter(p, "lettered")) {
        const json_t *list = list_of(p, source);
        return list ? put_lettered(out, p, list, source, err) : refuse(p, source, "list", err);
    }
    const char *text = scalar_text(lookup(source, p->text, p->n), number);
    return text ? put_filtered(out, p, text, source->where, err) : refuse(p, source, "text", err);
}

/* Appends the text that a template text stands for; `e`: for its list, NULL where it has none. */
static glot_status add_rendered(glot_texts *out, const char *text, const element *e,
                                const glot_template_source *source, glot_error *err)
{
    part p;
    bool is_there = true;
    glot_str rendered = {0};
    glot_status status = GLOT_OK;
    for (const char *at = text; is_there && status == GLOT_OK;) {
        status = next_part(&p, &is_there, &at, err);
        if (status == GLOT_OK && p.is_placeholder)
            status = put_placeholder(&rendered, &p, e, source, err);
        else
            glot_str_append(&rendered, p.text, p.n);
    }
    if (status == GLOT_OK)
        status = glot_str_check(&rendered, "an item", err);
    if (status == GLOT_OK)
        status = add_text(out, rendered.data ? rendered.data : "", rendered.length, err);
    glot_str_release(&rendered);
    return status;
}

/* The text with each element of the list that the placeholder names. */
static glot_status add_each(glot_texts *out, const char *text, const part *list_part, const json_t *list,
                            const glot_template_source *source, glot_error *err)
{
    glot_texts elements = {0};
    glot_status status = collect_list(&elements, list, list_part, source, err);
    for (size_t i = 0; i < elements.n && status == GLOT_OK; i++) {
        element e = {list_part->text, elements.items[i], i};
        status = add_rendered(out, text, &e, source, err);
    }
    glot_texts_release(&elements);
    return status;
}

glot_status glot_template_render(glot_texts *out, const char *text, const glot_template_source *source,
                                 glot_error *err)
{
    part p;
    bool is_there = true;
    for (const char *at = text; is_there;) {
        GLOT_TRY(next_part(&p, &is_there, &at, err));
        const json_t *list = is_filter(&p, "lettered") ? NULL : list_of(&p, source);
        if (list)
            return add_each(out, text, &p, list, source, err);
    }
    return add_rendered(out, text, NULL, source, err);
}

/* ---- the right choice ---- */

static glot_status find_text(size_t *out, const char *text, const char *const *among, size_t n,
                             const char *where, glot_error *err)
{
    for (*out = 0; *out < n; ++*out)
        if (strcmp(among[*out], text) == 0)
            return GLOT_OK;
    return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s': the right answer '%s' is none of the %zu there are", where,
                     text, n);
}

static glot_status find_number(size_t *out, int64_t gold, size_t n, const char *where, glot_error *err)
{
    if (gold < 0 || gold >= (int64_t)n)
        return GLOT_FAIL(err, GLOT_BAD_FORMAT,
                         "'%s': the right answer has number %" PRId64 ", expected 0 to %zu", where, gold,
                         n - 1);
    *out = (size_t)gold;
    return GLOT_OK;
}

glot_status glot_template_gold(size_t *out, const glot_template *t, const glot_texts *choices,
                               const glot_template_source *source, glot_error *err)
{
    part p;
    bool is_there;
    size_t n_labels = 0;
    const char *at = t->gold;
    GLOT_TRY(next_part(&p, &is_there, &at, err));
    const json_t *value = lookup(source, p.text, p.n);
    if (json_is_integer(value))
        return find_number(out, json_integer_value(value), choices->n, source->where, err);
    const char *text = json_string_value(json_is_array(value) ? json_array_get(value, 0) : value);
    if (!text)
        return refuse(&p, source, "text or whole number", err);
    while (t->labels[n_labels])
        n_labels++;
    if (!n_labels)
        return find_text(out, text, (const char *const *)choices->items, choices->n, source->where, err);
    GLOT_TRY(find_text(out, text, t->labels, n_labels, source->where, err));
    return find_number(out, (int64_t)*out, choices->n, source->where, err);
}
