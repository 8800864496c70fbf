/* tokenizer_util.h: what the tests of tokenizers share: golden files, encoding with a failure that says which
 * text, random text, and GGUF metadata built in memory. */
#ifndef GLOT_TESTS_TOKENIZER_UTIL_H
#define GLOT_TESTS_TOKENIZER_UTIL_H

#include "text_util.h"

#include <zlib.h>

#include "base/json.h"
#include "base/rng.h"
#include "text/tokenizer_impl.h"
#include "text/unicode.h"

#define GOLDEN GLOT_SOURCE_DIR "/tests/golden/tokenizer/"

/* A golden file's JSON, plain or gzip. */
UNUSED static json_t *load_golden(const char *name)
{
    char path[512];
    snprintf(path, sizeof path, GOLDEN "%s", name);
    gzFile file = gzopen(path, "rb");
    assert_non_null(file);
    glot_str text = {0};
    char block[65536];
    for (int n; (n = gzread(file, block, sizeof block)) > 0;)
        glot_str_append(&text, block, (size_t)n);
    gzclose(file);
    json_error_t problem;
    json_t *value = json_loadb(text.data, text.length, JSON_ALLOW_NUL, &problem);
    if (!value)
        fail_msg("%s: line %d: %s", path, problem.line, problem.text);
    glot_str_release(&text);
    return value;
}

UNUSED static glot_tokenizer *open_golden(const char *name)
{
    char path[512];
    glot_error err = {0};
    glot_tokenizer *t = NULL;
    snprintf(path, sizeof path, GOLDEN "%s.json.gz", name);
    if (glot_tokenizer_open(&t, path, &err) != GLOT_OK)
        fail_msg("%s", err.message);
    return t;
}

UNUSED static glot_tokenizer *parse_json(const json_t *value)
{
    glot_error err = {0};
    glot_tokenizer *t = NULL;
    char *text = json_dumps(value, 0);
    if (glot_tokenizer_parse(&t, text, strlen(text), "patched.json", &err) != GLOT_OK)
        fail_msg("%s", err.message);
    free(text);
    return t;
}

UNUSED static glot_encoder *new_encoder(const glot_tokenizer *t)
{
    glot_encoder *e = NULL;
    assert_int_equal(glot_encoder_create(&e, t, NULL), GLOT_OK);
    return e;
}

/* Fails with the text, escaped, where the ids are others. */
UNUSED static void assert_ids(glot_encoder *e, const char *text, size_t size, const int32_t *expected,
                              size_t n_expected, const char *what)
{
    glot_error err = {0};
    const int32_t *ids;
    size_t n;
    if (glot_encode(e, text, size, &ids, &n, &err) != GLOT_OK)
        fail_msg("%s: %s", what, err.message);
    bool same = n == n_expected && (n == 0 || memcmp(ids, expected, n * sizeof ids[0]) == 0);
    if (same)
        return;
    glot_str line = {0};
    for (size_t i = 0; i < size; i++)
        glot_str_printf(&line, text[i] >= 0x20 && text[i] < 0x7F ? "%c" : "\\x%02x", (unsigned char)text[i]);
    glot_str_puts(&line, "\nexpected");
    for (size_t i = 0; i < n_expected; i++)
        glot_str_printf(&line, " %d", (int)expected[i]);
    glot_str_puts(&line, "\nfound   ");
    for (size_t i = 0; i < n; i++)
        glot_str_printf(&line, " %d", (int)ids[i]);
    fail_msg("%s: %s", what, line.data);
}

/* Random valid UTF-8: runs of one of several kinds of characters. Returns its size, at most 4 * n. */
UNUSED static size_t random_text(glot_rng *rng, char *out, size_t n)
{
    static const uint32_t kinds[][2] = {{0x20, 0x5F},    {0x0, 0x7F},       {0x20, 0x4},     {0x370, 0x90},
                                        {0x900, 0x100},  {0x300, 0x50},     {0x4E00, 0x200}, {0xAC00, 0x400},
                                        {0x1100, 0x100}, {0x1F300, 0x300},  {0x2000, 0x70},  {0x30, 0xA},
                                        {0x0, 0xD800},   {0xE000, 0x102000}};
    size_t size = 0;
    for (size_t i = 0; i < n;) {
        const uint32_t *kind = kinds[glot_rng_below(rng, sizeof kinds / sizeof kinds[0])];
        for (uint32_t left = 1 + glot_rng_below(rng, 12); left > 0 && i < n; left--, i++)
            size += glot_utf8_encode(out + size, kind[0] + glot_rng_below(rng, kind[1]));
    }
    return size;
}

/* --- GGUF metadata --- */

typedef struct gguf_file {
    glot_str pairs;
    uint64_t n_pairs;
} gguf_file;

enum { GGUF_INT32 = 5, GGUF_FLOAT32 = 6, GGUF_BOOL = 7, GGUF_STRING = 8, GGUF_ARRAY = 9 };

UNUSED static void put_gguf_string(glot_str *out, const char *text)
{
    uint64_t n = strlen(text);
    glot_str_append(out, &n, sizeof n);
    glot_str_append(out, text, n);
}

UNUSED static void put_gguf_key(gguf_file *f, const char *key, uint32_t type)
{
    put_gguf_string(&f->pairs, key);
    glot_str_append(&f->pairs, &type, sizeof type);
    f->n_pairs++;
}

UNUSED static void put_gguf_array(gguf_file *f, const char *key, uint32_t type, uint64_t n)
{
    put_gguf_key(f, key, GGUF_ARRAY);
    glot_str_append(&f->pairs, &type, sizeof type);
    glot_str_append(&f->pairs, &n, sizeof n);
}

UNUSED static void put_gguf_text(gguf_file *f, const char *key, const char *text)
{
    put_gguf_key(f, key, GGUF_STRING);
    put_gguf_string(&f->pairs, text);
}

UNUSED static void put_gguf_int(gguf_file *f, const char *key, int32_t value)
{
    put_gguf_key(f, key, GGUF_INT32);
    glot_str_append(&f->pairs, &value, sizeof value);
}

UNUSED static void put_gguf_bool(gguf_file *f, const char *key, bool value)
{
    put_gguf_key(f, key, GGUF_BOOL);
    glot_str_append(&f->pairs, &value, 1);
}

/* Opens the file's tokenizer; releases the file. */
UNUSED static glot_status open_gguf_file(gguf_file *f, glot_tokenizer **t, glot_error *err)
{
    glot_str file = {0};
    const uint32_t version = 3;
    const uint64_t n_tensors = 0;
    glot_str_append(&file, "GGUF", 4);
    glot_str_append(&file, &version, sizeof version);
    glot_str_append(&file, &n_tensors, sizeof n_tensors);
    glot_str_append(&file, &f->n_pairs, sizeof f->n_pairs);
    glot_str_append(&file, f->pairs.data, f->pairs.length);
    glot_str_release(&f->pairs);
    *f = (gguf_file){0};
    glot_gguf *g = NULL;
    glot_status status = glot_gguf_parse(&g, (const uint8_t *)file.data, file.length, "test.gguf", err);
    if (status == GLOT_OK)
        status = glot_tokenizer_from_gguf(t, g, err);
    glot_gguf_close(g);
    glot_str_release(&file);
    return status;
}

#endif
