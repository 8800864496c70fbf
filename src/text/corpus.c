/* corpus.c: documents out of lines. What a line means is decided once per file: by its name, else by its
 * first byte. */
#include "text/corpus.h"
#include "base/memory.h"

#include <jansson.h>
#include <string.h>

typedef enum line_kind { LINE_UNDECIDED, LINE_TEXT, LINE_JSON } line_kind;

struct glot_corpus {
    const char *const *paths; /* [n_paths], the caller's */
    size_t n_paths, next_path;
    char *text_key;
    bool skip_bad_lines;
    const glot_cancel *cancel;
    glot_lines *lines; /* of paths[next_path - 1]; NULL between files */
    line_kind kind;
    json_t *object; /* of the line last read: owns the text handed out */
    uint64_t n_bad_lines, n_empty;
};

glot_corpus_options glot_corpus_options_default(void)
{
    return (glot_corpus_options){.text_key = "text"};
}

glot_status glot_corpus_open(glot_corpus **out, const char *const *paths, size_t n_paths,
                             const glot_corpus_options *options, glot_error *err)
{
    glot_corpus *c = NULL;
    GLOT_TRY(glot_new(&c, 1, sizeof *c, "a corpus reader", err));
    c->paths = paths;
    c->n_paths = n_paths;
    c->skip_bad_lines = options->skip_bad_lines;
    c->cancel = options->cancel;
    c->text_key = glot_strdup(options->text_key);
    if (!c->text_key) {
        glot_corpus_close(c);
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for a corpus reader");
    }
    *out = c;
    return GLOT_OK;
}

void glot_corpus_close(glot_corpus *c)
{
    if (!c)
        return;
    json_decref(c->object);
    glot_lines_close(c->lines);
    glot_free(c->text_key);
    glot_free(c);
}

uint64_t glot_corpus_bad_lines(const glot_corpus *c)
{
    return c->n_bad_lines;
}

uint64_t glot_corpus_empty(const glot_corpus *c)
{
    return c->n_empty;
}

/* For messages: the file being read. */
static const char *current_name(const glot_corpus *c)
{
    const char *path = c->paths[c->next_path - 1];
    return strcmp(path, "-") == 0 ? "standard input" : path;
}

/* True if name[0 .. *length) ends with `ending`, which is then taken off *length. */
static bool drop_ending(const char *name, size_t *length, const char *ending)
{
    size_t n = strlen(ending);
    if (*length < n || memcmp(name + *length - n, ending, n) != 0)
        return false;
    *length -= n;
    return true;
}

static line_kind kind_of_name(const char *path)
{
    size_t length = strlen(path);
    if (!drop_ending(path, &length, ".gz"))
        drop_ending(path, &length, ".zst");
    if (drop_ending(path, &length, ".jsonl"))
        return LINE_JSON;
    return drop_ending(path, &length, ".txt") ? LINE_TEXT : LINE_UNDECIDED;
}

static glot_status open_next_file(glot_corpus *c, glot_error *err)
{
    const char *path = c->paths[c->next_path];
    GLOT_TRY(glot_lines_open(&c->lines, path, err));
    c->next_path++;
    c->kind = kind_of_name(path);
    return GLOT_OK;
}

/* The next line without byte order mark and CR; NULL at the end of the file. */
static glot_status next_line(glot_corpus *c, const char **line, size_t *size, glot_error *err)
{
    GLOT_TRY(glot_lines_next_text(c->lines, line, size, err));
    if (*line && c->kind == LINE_UNDECIDED)
        c->kind = *size > 0 && (*line)[0] == '{' ? LINE_JSON : LINE_TEXT;
    return GLOT_OK;
}

#define FAIL_LINE(c, err, format, ...)                                                                       \
    GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s' line %" PRIu64 ": " format, current_name(c),                       \
              glot_lines_number((c)->lines), __VA_ARGS__)

static glot_status check_utf8(const glot_corpus *c, const char *line, size_t size, glot_error *err)
{
    size_t valid = glot_utf8_valid_prefix(line, size);
    if (valid == size)
        return GLOT_OK;
    return FAIL_LINE(c, err, "byte %zu (0x%02x) is not UTF-8", valid + 1, (unsigned)(uint8_t)line[valid]);
}

static const char *json_type_name(const json_t *value)
{
    static const char *const names[] = {"an object", "a list",        "a string",      "a number",
                                        "a number",  "a truth value", "a truth value", "null"};
    return names[json_typeof(value)];
}

/* Integers become reals: other keys may hold numbers of any size. */
static glot_status parse_json_line(glot_corpus *c, const char *line, size_t size, const char **text,
                                   size_t *text_size, glot_error *err)
{
    json_error_t e;
    json_decref(c->object);
    c->object = json_loadb(line, size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &e);
    if (!c->object && json_error_code(&e) == json_error_out_of_memory)
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for a line");
    if (!c->object)
        return FAIL_LINE(c, err, "not JSON at column %d: %s", e.column, e.text);
    if (!json_is_object(c->object))
        return FAIL_LINE(c, err, "%s, expected an object with the key '%s'", json_type_name(c->object),
                         c->text_key);
    const json_t *value = json_object_get(c->object, c->text_key);
    if (!value)
        return FAIL_LINE(c, err, "the key '%s' is missing", c->text_key);
    if (!json_is_string(value))
        return FAIL_LINE(c, err, "the key '%s' holds %s, expected a string", c->text_key,
                         json_type_name(value));
    *text = json_string_value(value);
    *text_size = json_string_length(value);
    c->n_empty += *text_size == 0;
    return GLOT_OK;
}

/* The text of one line; *text is NULL or *text_size 0 where the line holds no document. */
static glot_status parse_line(glot_corpus *c, const char *line, size_t size, const char **text,
                              size_t *text_size, glot_error *err)
{
    *text = NULL;
    *text_size = 0;
    GLOT_TRY(check_utf8(c, line, size, err));
    if (c->kind == LINE_JSON)
        return glot_line_is_blank(line, size) ? GLOT_OK
                                              : parse_json_line(c, line, size, text, text_size, err);
    *text = line;
    *text_size = size;
    return GLOT_OK;
}

glot_status glot_corpus_next(glot_corpus *c, const char **text, size_t *size, glot_error *err)
{
    const char *line;
    size_t line_size;
    for (;;) {
        *text = NULL;
        *size = 0;
        if (glot_cancelled(c->cancel))
            return GLOT_FAIL(err, GLOT_CANCELLED, "stopped while reading text");
        if (!c->lines) {
            if (c->next_path == c->n_paths)
                return GLOT_OK;
            GLOT_TRY(open_next_file(c, err));
        }
        GLOT_TRY(next_line(c, &line, &line_size, err));
        if (!line) {
            glot_lines_close(c->lines);
            c->lines = NULL;
            continue;
        }
        glot_error line_error;
        glot_status status = parse_line(c, line, line_size, text, size, &line_error);
        if (status == GLOT_BAD_FORMAT && c->skip_bad_lines) {
            c->n_bad_lines++;
            continue;
        }
        if (status != GLOT_OK && err)
            *err = line_error;
        if (status != GLOT_OK || *size > 0)
            return status;
    }
}
