/* The five tokenizers of ../shared on every 20th line of its data, by the hashes in
 * tests/golden/tokenizer/shared.txt. All lines and all code points: tools/check-tokenizers. */
#include "tokenizer_util.h"

#define SHARED GLOT_SOURCE_DIR "/../shared/"

enum { EVERY = 20, MAX_NAMES = 8 };

static void hash_ids(glot_sha256 *h, const int32_t *ids, size_t n)
{
    const int32_t end = -1;
    glot_sha256_update(h, ids, n * sizeof ids[0]);
    glot_sha256_update(h, &end, sizeof end);
}

static void hash_lines(char hex[65], glot_encoder *e, const glot_map *file, const char *path)
{
    glot_sha256 *h;
    assert_int_equal(glot_sha256_create(&h, NULL), GLOT_OK);
    const char *line = file->data ? (const char *)file->data : "", *end = line + file->size;
    for (size_t number = 0; line <= end; number++) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        stop = stop ? stop : end;
        glot_error err = {0};
        const int32_t *ids;
        size_t n;
        if (number % EVERY == 0) {
            if (glot_encode(e, line, (size_t)(stop - line), &ids, &n, &err) != GLOT_OK)
                fail_msg("%s, line %zu: %s", path, number + 1, err.message);
            hash_ids(h, ids, n);
        }
        line = stop + 1;
    }
    glot_sha256_finish(h, hex);
    glot_sha256_free(h);
}

/* One row: path and a hash per tokenizer. */
static void check_row(char *row, glot_encoder *const *encoders, const char *const *names, size_t n)
{
    char path[512], hex[65], *rest = NULL;
    const char *file = strtok_r(row, " \n", &rest);
    glot_map map = {0};
    snprintf(path, sizeof path, SHARED "data/%s", file);
    assert_int_equal(glot_map_open(&map, path, NULL), GLOT_OK);
    for (size_t i = 0; i < n; i++) {
        const char *expected = strtok_r(NULL, " \n", &rest);
        assert_non_null(expected);
        hash_lines(hex, encoders[i], &map, path);
        if (strncmp(hex, expected, 16) != 0)
            fail_msg("%s: the ids of %s differ", path, names[i]);
    }
    glot_map_close(&map);
}

static void test_shared_data(void **state)
{
    (void)state;
    if (!glot_path_is_dir(SHARED "tokenizers") || !glot_path_is_dir(SHARED "data")) {
        print_message("skipped: there is no ../shared with tokenizers and data\n");
        skip();
    }
    FILE *golden = fopen(GOLDEN "shared.txt", "r");
    assert_non_null(golden);
    char row[1024], *rest = NULL, head[1024];
    glot_tokenizer *tokenizers[MAX_NAMES];
    glot_encoder *encoders[MAX_NAMES];
    const char *names[MAX_NAMES];
    size_t n = 0, n_rows = 0;
    assert_non_null(fgets(head, sizeof head, golden));
    strtok_r(head, " \n", &rest);
    for (char *name; (name = strtok_r(NULL, " \n", &rest)); n++) {
        char path[512];
        glot_error err = {0};
        assert_true(n < MAX_NAMES);
        snprintf(path, sizeof path, SHARED "tokenizers/%s", name);
        if (glot_tokenizer_open_model(&tokenizers[n], path, &err) != GLOT_OK)
            fail_msg("%s", err.message);
        encoders[n] = new_encoder(tokenizers[n]);
        names[n] = name;
    }
    for (; fgets(row, sizeof row, golden); n_rows++)
        check_row(row, encoders, names, n);
    assert_int_equal(n, 5);
    assert_true(n_rows > 100);
    for (size_t i = 0; i < n; i++) {
        glot_encoder_free(encoders[i]);
        glot_tokenizer_close(tokenizers[i]);
    }
    fclose(golden);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_shared_data)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
