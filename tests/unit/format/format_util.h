/* format_util.h: what the tests of src/format share: temporary folders, byte strings written as short
 * programs, and the walk through a file cut off after every byte. */
#ifndef FORMAT_UTIL_H
#define FORMAT_UTIL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/str.h"

#define GOLDEN_DIR GLOT_SOURCE_DIR "/tests/golden/formats/"

/* Fails the test with the error's sentence. */
#define assert_ok(call)                                                                                      \
    do {                                                                                                     \
        if ((call) != GLOT_OK)                                                                               \
            fail_msg("%s", err.message);                                                                     \
    } while (0)

/* A new folder; remove_temp_dir frees the name. */
static inline char *make_temp_dir(void)
{
    char *path = glot_strdup(GLOT_BINARY_DIR "/test-XXXXXX");
    assert_non_null(path);
    assert_non_null(mkdtemp(path));
    return path;
}

static inline void remove_temp_dir(char *path)
{
    glot_error err = {0};
    assert_ok(glot_dir_remove(path, &err));
    glot_free(path);
}

static inline void read_whole(char **data, size_t *size, const char *path)
{
    glot_error err = {0};
    assert_ok(glot_file_read(data, size, path, 1 << 20, &err));
}

static inline void append_number(glot_str *out, size_t bytes, uint64_t value)
{
    glot_str_append(out, &value, bytes); /* little-endian machines only */
}

/* One word of a program: KIND=VALUE. */
static inline void run_word(glot_str *out, const char *word)
{
    const char *value = strchr(word, '=') + 1;
    uint64_t number = strtoull(value, NULL, 0);
    if (strncmp(word, "raw=", 4) == 0) {
        glot_str_puts(out, value);
    } else if (strncmp(word, "str=", 4) == 0) {
        append_number(out, 8, strlen(value));
        glot_str_puts(out, value);
    } else if (strncmp(word, "f32=", 4) == 0) {
        float real = strtof(value, NULL);
        glot_str_append(out, &real, sizeof real);
    } else if (strncmp(word, "f64=", 4) == 0) {
        double real = strtod(value, NULL);
        glot_str_append(out, &real, sizeof real);
    } else if (strncmp(word, "align=", 6) == 0) {
        while (out->length % number)
            append_number(out, 1, 0);
    } else if (strncmp(word, "zeros=", 6) == 0) {
        for (uint64_t i = 0; i < number; i++)
            append_number(out, 1, 0);
    } else if (strncmp(word, "chars=", 6) == 0) {
        for (uint64_t i = 0; i < number; i++)
            glot_str_puts(out, "a");
    } else {
        assert_true(word[0] == 'u');
        append_number(out, strtoull(word + 1, NULL, 10) / 8, number);
    }
}

/* Bytes from words: u8= u16= u32= u64= numbers, f32= f64= reals, raw= text, str= its length (u64) and text,
 * zeros= and chars= so many bytes, align= zeros up to a multiple. */
static inline void run_program(glot_str *out, const char *program)
{
    char *copy = glot_strdup(program), *rest = copy;
    assert_non_null(copy);
    for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        run_word(out, word);
    glot_free(copy);
    assert_false(out->failed);
}

/* A copy in memory of exactly that size, so that a sanitizer sees a read behind its end. */
static inline uint8_t *exact_copy(const void *bytes, size_t n)
{
    uint8_t *copy = malloc(n ? n : 1);
    assert_non_null(copy);
    if (n)
        memcpy(copy, bytes, n);
    return copy;
}

/* Parses the bytes and closes what came out. */
typedef glot_status parse_function(const uint8_t *bytes, size_t n, glot_error *err);

/* Every proper start of the file is refused with a sentence that names the file. */
static inline void check_every_cut(parse_function *parse, const void *bytes, size_t size)
{
    for (size_t n = 0; n < size; n++) {
        glot_error err = {0};
        uint8_t *copy = exact_copy(bytes, n);
        glot_status status = parse(copy, n, &err);
        free(copy);
        if (status == GLOT_OK || !strstr(err.message, "'x'"))
            fail_msg("cut after %zu of %zu bytes: status %s, '%s'", n, size, glot_status_name(status),
                     err.message);
    }
}

/* Memory that ends at any call is GLOT_NOMEM and leaks nothing. */
static inline void check_every_heap_failure(parse_function *parse, const void *bytes, size_t size)
{
    uint64_t n_failed = 0;
    for (uint64_t n = 1;; n++) {
        glot_error err = {0};
        glot_heap_fail_after(n);
        glot_status status = parse(bytes, size, &err);
        glot_heap_fail_after(0);
        if (status == GLOT_OK)
            break;
        assert_int_equal(status, GLOT_NOMEM);
        n_failed++;
    }
    assert_true(n_failed > 3);
}

#endif
