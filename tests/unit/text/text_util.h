/* text_util.h: what the tests of src/text share: a temporary folder, files in it, and two small tokenizers.
 */
#ifndef GLOT_TESTS_TEXT_UTIL_H
#define GLOT_TESTS_TEXT_UTIL_H

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
#include "text/tokenizer.h"

#define UNUSED __attribute__((unused))

static char test_dir[256];

UNUSED static int make_test_dir(void **state)
{
    (void)state;
    const char *root = getenv("TMPDIR");
    snprintf(test_dir, sizeof test_dir, "%s/glot-text-XXXXXX", root ? root : "/tmp");
    return mkdtemp(test_dir) ? 0 : -1;
}

UNUSED static int remove_test_dir(void **state)
{
    (void)state;
    return glot_dir_remove(test_dir, NULL) == GLOT_OK ? 0 : -1;
}

/* Path of a file in the temporary folder; stays valid for the whole program. */
UNUSED static const char *in_dir(const char *name)
{
    static char paths[64][512];
    char path[512];
    snprintf(path, sizeof path, "%s/%s", test_dir, name);
    for (size_t i = 0; i < 64; i++) {
        if (!paths[i][0])
            memcpy(paths[i], path, sizeof path);
        if (strcmp(paths[i], path) == 0)
            return paths[i];
    }
    fail_msg("more than 64 files");
    return NULL;
}

UNUSED static void write_bytes(const char *name, const void *bytes, size_t n)
{
    FILE *file = fopen(in_dir(name), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    assert_int_equal(fclose(file), 0);
}

UNUSED static void write_text(const char *name, const char *text)
{
    write_bytes(name, text, strlen(text));
}

UNUSED static void read_bytes(const char *name, char **bytes, size_t *n)
{
    glot_error err = {0};
    if (glot_file_read(bytes, n, in_dir(name), (size_t)1 << 30, &err) != GLOT_OK)
        fail_msg("%s", err.message);
}

#define assert_ok(call)                                                                                      \
    do {                                                                                                     \
        glot_error err_ = {0}, *err = &err_;                                                                 \
        if ((call) != GLOT_OK)                                                                               \
            fail_msg("%s", err_.message);                                                                    \
    } while (0)

/* The call must fail with this status and with a sentence that ends like this. */
#define assert_fails(call, expected_status, ending)                                                          \
    do {                                                                                                     \
        glot_error err_ = {0}, *err = &err_;                                                                 \
        assert_int_equal((call), expected_status);                                                           \
        assert_int_equal(err_.status, expected_status);                                                      \
        assert_sentence(err_.message, ending);                                                               \
    } while (0)

UNUSED static void assert_sentence(const char *message, const char *ending)
{
    size_t n = strlen(message), k = strlen(ending);
    if (n < k || strcmp(message + n - k, ending) != 0)
        fail_msg("the sentence is\n    %s\nand should end with\n    %s", message, ending);
}

/* A byte-level tokenizer without merges: the ids of a text are its bytes. With `extra` it has one more token,
 * 256, so its hash is another one. */
UNUSED static glot_tokenizer *byte_tokenizer(bool extra)
{
    glot_str json = {0};
    glot_tokenizer *t = NULL;
    unsigned next = 256;
    glot_str_puts(&json, "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":[");
    if (extra)
        glot_str_puts(&json, "{\"id\":256,\"content\":\"<end>\",\"single_word\":false,\"lstrip\":false,"
                             "\"rstrip\":false,\"normalized\":false,\"special\":true}");
    glot_str_puts(
        &json, "],\"normalizer\":null,\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,"
               "\"trim_offsets\":true,\"use_regex\":true},\"post_processor\":null,\"decoder\":{\"type\":"
               "\"ByteLevel\",\"add_prefix_space\":true,\"trim_offsets\":true,\"use_regex\":true},"
               "\"model\":{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":null,"
               "\"continuing_subword_prefix\":\"\",\"end_of_word_suffix\":\"\",\"fuse_unk\":false,"
               "\"vocab\":{");
    for (unsigned byte = 0; byte < 256; byte++) {
        bool prints = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
        glot_str_printf(&json, "%s\"\\u%04x\":%u", byte ? "," : "", prints ? byte : next, byte);
        next += !prints;
    }
    glot_str_puts(&json, "},\"merges\":[]}}");
    assert_ok(glot_tokenizer_parse(&t, json.data, json.length, "byte.json", err));
    glot_str_release(&json);
    return t;
}

#endif
