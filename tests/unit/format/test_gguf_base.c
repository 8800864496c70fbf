/* The demo's base model, where it was fetched: every tensor against the gguf package's values (smollm2.txt,
 * made by tools/formats/make_golden.py --gguf). Skipped, saying so, where the file is not in the cache. */
#include "format_util.h"

#include "format/gguf.h"

static const char file_name[] = "SmolLM2-135M-Instruct.Q4_1.gguf";

/* Path in GLOT_CACHE or ~/.cache/glot; the caller frees. */
static char *cached_file(void)
{
    const char *cache = getenv("GLOT_CACHE"), *home = getenv("HOME");
    if (cache)
        return glot_path_join(cache, file_name);
    char *under_home = glot_path_join(home ? home : "", ".cache/glot");
    char *path = glot_path_join(under_home, file_name);
    glot_free(under_home);
    return path;
}

/* "NAME TYPE SHAPE DIGEST", as a line of the list. */
static void describe(glot_str *out, const glot_stored_tensor *t)
{
    glot_error err = {0};
    size_t n = (size_t)glot_tensor_elements(&t->tensor);
    float *values = malloc(n * sizeof *values);
    assert_non_null(values);
    glot_dequantize(values, t->tensor.addr, t->tensor.dtype, n);
    glot_sha256 *hash;
    char digest[65];
    assert_ok(glot_sha256_create(&hash, &err));
    glot_sha256_update(hash, values, n * sizeof *values);
    glot_sha256_finish(hash, digest);
    glot_sha256_free(hash);
    free(values);
    glot_str_printf(out, "%s %s ", t->name, glot_dtype_name(t->tensor.dtype));
    for (int i = 0; i < t->tensor.n_dims; i++)
        glot_str_printf(out, "%s%" PRId64, i ? "x" : "", t->tensor.shape[i]);
    glot_str_printf(out, " %.16s", digest);
}

static void every_tensor_has_the_reference_values(void **state)
{
    (void)state;
    glot_error err = {0};
    glot_gguf *g;
    char *list, *path = cached_file(), *rest;
    size_t size, n = 0;
    if (!glot_path_exists(path)) {
        print_message("skipped: '%s' is not there (the demo fetches it)\n", path);
        glot_free(path);
        skip();
    }
    read_whole(&list, &size, GOLDEN_DIR "smollm2.txt");
    assert_ok(glot_gguf_open(&g, path, &err));
    for (char *line = strtok_r(list, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest), n++) {
        glot_str found = {0};
        describe(&found, glot_gguf_at(g, n));
        assert_string_equal(found.data, line);
        glot_str_release(&found);
    }
    assert_int_equal(glot_gguf_count(g), n);
    const char *const *merges;
    assert_ok(glot_gguf_strings(g, "tokenizer.ggml.merges", &merges, &n, &err));
    assert_int_equal(n, 48900);
    assert_string_equal(merges[0], "Ġ t");
    glot_gguf_close(g);
    glot_free(list);
    glot_free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_tensor_has_the_reference_values)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
