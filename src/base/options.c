/* options.c: rows to values. The help that is made of the same rows is in options_help.c. */
#include "base/options.h"
#include "base/memory.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SUGGESTION_DISTANCE = 2 };

/* Numbers. */

/* strtoll and strtod skip white space in front and accept a sign twice nowhere: only the first character
 * needs a look. */
static bool begins_number(const char *text)
{
    return *text && !isspace((unsigned char)*text);
}

bool glot_parse_int(int64_t *out, const char *text)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (!begins_number(text) || end == text || *end || errno)
        return false;
    *out = value;
    return true;
}

bool glot_parse_real(double *out, const char *text)
{
    char *end;
    double value = strtod(text, &end);
    bool is_plain = strpbrk(text, "xXnN") == NULL; /* no hexadecimal, no inf, no nan */
    if (!begins_number(text) || end == text || *end || !is_plain || !isfinite(value))
        return false;
    *out = value;
    return true;
}

/* What a suffix multiplies by; 0: no such suffix. */
static uint64_t suffix_factor(const char *suffix)
{
    static const struct {
        const char *text;
        uint64_t factor;
    } rows[] = {
        {"", 1},           {"B", 1},           {"k", 1000},          {"K", 1000},
        {"kB", 1000},      {"M", 1000000},     {"MB", 1000000},      {"G", 1000000000},
        {"GB", 1000000000}, {"T", 1000000000000}, {"TB", 1000000000000},
        {"KiB", 1ull << 10}, {"MiB", 1ull << 20}, {"GiB", 1ull << 30}, {"TiB", 1ull << 40},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(rows[i].text, suffix) == 0)
            return rows[i].factor;
    return 0;
}

bool glot_parse_size(uint64_t *out, const char *text)
{
    char *end;
    uint64_t factor, product;
    if (!isdigit((unsigned char)*text))
        return false;
    errno = 0;
    unsigned long long whole = strtoull(text, &end, 10);
    if (*end != '.') {
        factor = suffix_factor(end);
        if (errno || !factor || __builtin_mul_overflow((uint64_t)whole, factor, &product))
            return false;
        *out = product;
        return true;
    }
    /* "1.5GiB": accepted where it comes out whole. Below 2^53 the product of a double is what was written. */
    double value = strtod(text, &end);
    factor = suffix_factor(end);
    value *= (double)factor;
    if (!factor || !(value < 0x1p53) || value != floor(value))
        return false;
    *out = (uint64_t)value;
    return true;
}

/* The parsed line. */

typedef struct value {
    const glot_option *row;
    bool is_given;
    int64_t integer;
    uint64_t size;
    double real;
    const char *text;
    const char **words; /* [n_words] */
    size_t n_words, capacity;
} value;

struct glot_args {
    value *values; /* [n_values], one per row */
    size_t n_values;
};

static bool takes_many(const glot_option *row)
{
    return row->kind == GLOT_OPTION_STRINGS || row->kind == GLOT_OPTION_WORDS ||
           row->kind == GLOT_OPTION_TEXTS;
}

/* "--length" or "the argument MODEL", for messages. */
static const char *spelled(const glot_option *row, char buffer[96])
{
    snprintf(buffer, 96, row->is_argument ? "the argument %s" : "option '--%s'", row->name);
    return buffer;
}

static bool in_range(const glot_option *row, double number)
{
    return (row->min == 0 && row->max == 0) || (number >= row->min && number <= row->max);
}

static glot_status bad_number(const glot_option *row, const char *text, glot_error *err)
{
    char name[96];
    const char *expected = row->kind == GLOT_OPTION_REAL ? "a number" : "a whole number";
    const char *suffixes = row->kind == GLOT_OPTION_SIZE ? " with or without a suffix like k, M, GiB" : "";
    spelled(row, name);
    if (row->min == 0 && row->max == 0)
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "%s is '%s', expected %s%s", name, text, expected, suffixes);
    if (isinf(row->max))
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "%s is '%s', expected %s of at least %.15g%s", name, text,
                         expected, row->min, suffixes);
    return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "%s is '%s', expected %s from %.15g to %.15g%s", name, text,
                     expected, row->min, row->max, suffixes);
}

static glot_status set_choice(value *v, const char *text, glot_error *err)
{
    size_t length = strlen(text);
    for (const char *p = v->row->value; p; p = strchr(p, '|') ? strchr(p, '|') + 1 : NULL) {
        if (length && strcspn(p, "|") == length && strncmp(p, text, length) == 0) {
            v->text = text;
            return GLOT_OK;
        }
    }
    char name[96];
    return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "%s is '%s', expected one of %s", spelled(v->row, name), text,
                     v->row->value);
}

static glot_status add_word(value *v, const char *word, glot_error *err)
{
    GLOT_TRY(
        glot_grow(&v->words, &v->capacity, v->n_words + 1, sizeof *v->words, "the words of an option", err));
    v->words[v->n_words++] = word;
    return GLOT_OK;
}

/* Puts one word into a value, from the line or from the row's default. */
static glot_status set_value(value *v, const char *text, glot_error *err)
{
    bool is_good = true;
    switch (v->row->kind) {
    case GLOT_OPTION_FLAG:
        break;
    case GLOT_OPTION_INT:
        is_good = glot_parse_int(&v->integer, text) && in_range(v->row, (double)v->integer);
        break;
    case GLOT_OPTION_REAL:
        is_good = glot_parse_real(&v->real, text) && in_range(v->row, v->real);
        break;
    case GLOT_OPTION_SIZE:
        is_good = glot_parse_size(&v->size, text) && in_range(v->row, (double)v->size);
        break;
    case GLOT_OPTION_STRING:
        v->text = text;
        break;
    case GLOT_OPTION_CHOICE:
        return set_choice(v, text, err);
    case GLOT_OPTION_STRINGS:
    case GLOT_OPTION_WORDS:
    case GLOT_OPTION_TEXTS:
        return add_word(v, text, err);
    }
    return is_good ? GLOT_OK : bad_number(v->row, text, err);
}

static value *find(const glot_args *a, const char *name, size_t length)
{
    for (size_t i = 0; i < a->n_values; i++) {
        const glot_option *row = a->values[i].row;
        if (!row->is_argument && strlen(row->name) == length && strncmp(row->name, name, length) == 0)
            return &a->values[i];
    }
    return NULL;
}

static value *find_letter(const glot_args *a, char letter)
{
    for (size_t i = 0; i < a->n_values; i++)
        if (letter && a->values[i].row->letter == letter)
            return &a->values[i];
    return NULL;
}

static glot_status unknown_option(const glot_args *a, const char *word, size_t length, glot_error *err)
{
    const char *best = NULL;
    size_t best_distance = MAX_SUGGESTION_DISTANCE + 1;
    for (size_t i = 0; i < a->n_values; i++) {
        const glot_option *row = a->values[i].row;
        if (row->is_argument)
            continue;
        size_t distance = glot_edit_distance(word, length, row->name);
        if (distance < best_distance) {
            best_distance = distance;
            best = row->name;
        }
    }
    if (best)
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "unknown option '--%.*s', did you mean '--%s'?", (int)length,
                         word, best);
    return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "unknown option '--%.*s'", (int)length, word);
}

/* The words still to be read. */
typedef struct cursor {
    const char *const *words;
    int n, at;
    bool is_past_options; /* "--" was seen */
} cursor;

/* A lone "-" is standard input, and "-5" is a number (no option has a digit as its letter). */
static bool is_option_word(const cursor *c, const char *word)
{
    return !c->is_past_options && word[0] == '-' && word[1] && !isdigit((unsigned char)word[1]) &&
           word[1] != '.';
}

/* Whether the word is an option that exists: only then is it no value ("--prompt '- item'" is one). */
static bool is_known_option(const glot_args *a, const char *word)
{
    if (word[0] != '-' || !word[1])
        return false;
    if (word[1] != '-')
        return !word[2] && find_letter(a, word[1]) != NULL;
    return !word[2] || find(a, word + 2, strcspn(word + 2, "=")) != NULL;
}

static glot_status take_value(glot_args *a, value *v, cursor *c, glot_error *err)
{
    const char *next = c->at < c->n ? c->words[c->at] : NULL;
    const char *shown = v->row->value ? v->row->value : "VALUE";
    if (!next)
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "option '--%s' needs a value: --%s %s", v->row->name,
                         v->row->name, shown);
    if (is_known_option(a, next))
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "option '--%s' needs a value, found the option '%s'",
                         v->row->name, next);
    c->at++;
    return set_value(v, next, err);
}

static glot_status take_words(glot_args *a, value *v, cursor *c, glot_error *err)
{
    GLOT_TRY(take_value(a, v, c, err));
    while (c->at < c->n && !is_option_word(c, c->words[c->at]))
        GLOT_TRY(set_value(v, c->words[c->at++], err));
    return GLOT_OK;
}

/* One option, its name already looked up; `attached` is what stands behind "=", or NULL. */
static glot_status take_option(glot_args *a, value *v, const char *attached, cursor *c, glot_error *err)
{
    v->is_given = true;
    if (v->row->kind == GLOT_OPTION_FLAG) {
        if (attached)
            return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "option '--%s' takes no value, found '%s'", v->row->name,
                             attached);
        return GLOT_OK;
    }
    if (attached)
        GLOT_TRY(set_value(v, attached, err));
    if (v->row->kind != GLOT_OPTION_WORDS && v->row->kind != GLOT_OPTION_TEXTS)
        return attached ? GLOT_OK : take_value(a, v, c, err);
    if (!attached)
        return take_words(a, v, c, err);
    while (c->at < c->n && !is_option_word(c, c->words[c->at]))
        GLOT_TRY(set_value(v, c->words[c->at++], err));
    return GLOT_OK;
}

static glot_status take_long_option(glot_args *a, const char *word, cursor *c, glot_error *err)
{
    size_t length = strcspn(word, "=");
    value *v = find(a, word, length);
    if (!v)
        return unknown_option(a, word, length, err);
    return take_option(a, v, word[length] ? word + length + 1 : NULL, c, err);
}

/* "-v", or several flags in one: "-qv". */
static glot_status take_letters(glot_args *a, const char *letters, cursor *c, glot_error *err)
{
    for (; *letters; letters++) {
        value *v = find_letter(a, *letters);
        if (!v)
            return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "unknown option '-%c'", *letters);
        if (letters[1] && v->row->kind != GLOT_OPTION_FLAG)
            return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "option '-%c' needs a value of its own: -%c %s",
                             *letters, *letters, v->row->value);
        GLOT_TRY(take_option(a, v, NULL, c, err));
    }
    return GLOT_OK;
}

static glot_status take_argument(glot_args *a, const char *word, glot_error *err)
{
    for (size_t i = 0; i < a->n_values; i++) {
        value *v = &a->values[i];
        if (v->row->is_argument && (!v->is_given || takes_many(v->row))) {
            v->is_given = true;
            return set_value(v, word, err);
        }
    }
    return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "'%s' is one argument too many", word);
}

static glot_status take_all(glot_args *a, cursor *c, glot_error *err)
{
    while (c->at < c->n) {
        const char *word = c->words[c->at++];
        if (!is_option_word(c, word))
            GLOT_TRY(take_argument(a, word, err));
        else if (strcmp(word, "--") == 0)
            c->is_past_options = true;
        else if (word[1] == '-')
            GLOT_TRY(take_long_option(a, word + 2, c, err));
        else
            GLOT_TRY(take_letters(a, word + 1, c, err));
    }
    return GLOT_OK;
}

static glot_status check_required(const glot_args *a, glot_error *err)
{
    const value *help = find(a, "help", strlen("help"));
    char name[96];
    for (size_t i = 0; i < a->n_values && !(help && help->is_given); i++) {
        const glot_option *row = a->values[i].row;
        if (row->is_required && !a->values[i].is_given)
            return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "%s is missing", spelled(row, name));
    }
    return GLOT_OK;
}

static glot_status set_up(glot_args *a, const glot_option *const *tables, glot_error *err)
{
    size_t n = 0;
    for (size_t t = 0; tables[t]; t++)
        for (const glot_option *row = tables[t]; row->name; row++)
            n++;
    GLOT_TRY(glot_new(&a->values, n, sizeof *a->values, "the options", err));
    for (size_t t = 0; tables[t]; t++)
        for (const glot_option *row = tables[t]; row->name; row++) {
            value *v = &a->values[a->n_values++];
            v->row = row;
            if (row->initial && !takes_many(row))
                GLOT_TRY(set_value(v, row->initial, err));
        }
    return GLOT_OK;
}

glot_status glot_args_parse(glot_args **out, const glot_option *const *tables, int n_words,
                            const char *const *words, glot_error *err)
{
    glot_args *a = NULL;
    cursor c = {words, n_words, 0, false};
    GLOT_TRY(glot_new(&a, 1, sizeof *a, "the options", err));
    glot_status status = set_up(a, tables, err);
    if (status == GLOT_OK)
        status = take_all(a, &c, err);
    if (status == GLOT_OK)
        status = check_required(a, err);
    if (status != GLOT_OK) {
        glot_args_free(a);
        return status;
    }
    *out = a;
    return GLOT_OK;
}

void glot_args_free(glot_args *a)
{
    if (!a)
        return;
    for (size_t i = 0; i < a->n_values; i++)
        glot_free(a->values[i].words);
    glot_free(a->values);
    glot_free(a);
}

/* The value of a row that must exist, whether option or argument. */
static const value *get(const glot_args *a, const char *name)
{
    const value *found = NULL;
    for (size_t i = 0; i < a->n_values && !found; i++)
        if (strcmp(a->values[i].row->name, name) == 0)
            found = &a->values[i];
    GLOT_ASSERT(found != NULL);
    return found;
}

bool glot_args_given(const glot_args *a, const char *name)
{
    return get(a, name)->is_given;
}

bool glot_args_flag(const glot_args *a, const char *name)
{
    const value *v = get(a, name);
    GLOT_ASSERT(v->row->kind == GLOT_OPTION_FLAG);
    return v->is_given;
}

int64_t glot_args_int(const glot_args *a, const char *name)
{
    const value *v = get(a, name);
    GLOT_ASSERT(v->row->kind == GLOT_OPTION_INT);
    return v->integer;
}

double glot_args_real(const glot_args *a, const char *name)
{
    const value *v = get(a, name);
    GLOT_ASSERT(v->row->kind == GLOT_OPTION_REAL);
    return v->real;
}

uint64_t glot_args_size(const glot_args *a, const char *name)
{
    const value *v = get(a, name);
    GLOT_ASSERT(v->row->kind == GLOT_OPTION_SIZE);
    return v->size;
}

const char *glot_args_string(const glot_args *a, const char *name)
{
    const value *v = get(a, name);
    GLOT_ASSERT(v->row->kind == GLOT_OPTION_STRING || v->row->kind == GLOT_OPTION_CHOICE);
    return v->text;
}

const char *const *glot_args_words(const glot_args *a, const char *name, size_t *n)
{
    const value *v = get(a, name);
    GLOT_ASSERT(takes_many(v->row));
    *n = v->n_words;
    return v->words;
}

/* LANG=FILE... */

/* Length of the language in front of "=", 0 where the word has none (a path may hold "=" too: then a slash or
 * dot comes first). */
static size_t language_length(const char *word)
{
    size_t n = 0;
    while (isalnum((unsigned char)word[n]) || word[n] == '_' || word[n] == '-')
        n++;
    return word[n] == '=' ? n : 0;
}

static glot_status language_entry(glot_text_files **list, size_t *n, size_t *capacity, const char *name,
                                  size_t length, size_t *at, glot_error *err)
{
    for (*at = 0; *at < *n; (*at)++)
        if (strlen((*list)[*at].language) == length && strncmp((*list)[*at].language, name, length) == 0)
            return GLOT_OK;
    GLOT_TRY(glot_grow(list, capacity, *n + 1, sizeof **list, "a list of languages", err));
    (*list)[*n] = (glot_text_files){.language = glot_strndup(name, length)};
    if (!(*list)[*n].language)
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for a list of languages");
    (*n)++;
    return GLOT_OK;
}

static glot_status add_file(glot_text_files *entry, const char *file, const char *where, glot_error *err)
{
    if (!*file)
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "%s: language '%s' is given without a file", where,
                         entry->language);
    GLOT_TRY(glot_grow(&entry->files, &entry->capacity, entry->n_files + 1, sizeof *entry->files,
                       "a list of files", err));
    entry->files[entry->n_files++] = file;
    return GLOT_OK;
}

glot_status glot_texts_parse(glot_text_files **out, size_t *n, const char *const *words, size_t n_words,
                             const char *where, glot_error *err)
{
    glot_text_files *list = NULL;
    size_t count = 0, capacity = 0, at = 0;
    glot_status status = GLOT_OK;
    for (size_t i = 0; i < n_words && status == GLOT_OK; i++) {
        const char *file = words[i];
        size_t length = language_length(file);
        if (length) {
            status = language_entry(&list, &count, &capacity, file, length, &at, err);
            file += length + 1;
        } else if (count == 0) {
            status = GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "%s: '%s' names no language, expected LANG=FILE",
                               where, file);
        }
        if (status == GLOT_OK)
            status = add_file(&list[at], file, where, err);
    }
    if (status != GLOT_OK) {
        glot_texts_free(list, count);
        return status;
    }
    *out = list;
    *n = count;
    return GLOT_OK;
}

void glot_texts_free(glot_text_files *texts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        glot_free(texts[i].language);
        glot_free(texts[i].files);
    }
    glot_free(texts);
}
