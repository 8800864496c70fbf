/* test_cmd_tokenize.c: `glot tokenize` with a tokenizer small enough to know every id: lines, stores, bad text. */
#include "run_glot.h"

#include <signal.h>
#include <sys/resource.h>

/* Byte-level BPE: a space is U+0120, a newline never gets here. */
static const char TOKENIZER[] =
    "{\"version\": \"1.0\", \"truncation\": null, \"padding\": null, \"added_tokens\": ["
    "{\"id\": 6, \"content\": \"<end>\", \"single_word\": false, \"lstrip\": false, \"rstrip\": false, "
    "\"normalized\": false, \"special\": true}],"
    "\"normalizer\": null, \"pre_tokenizer\": {\"type\": \"ByteLevel\", \"add_prefix_space\": false, "
    "\"trim_offsets\": true, \"use_regex\": true}, \"post_processor\": null, \"decoder\": {\"type\": \"ByteLevel\", "
    "\"add_prefix_space\": true, \"trim_offsets\": true, \"use_regex\": true},"
    "\"model\": {\"type\": \"BPE\", \"dropout\": null, \"unk_token\": null, \"continuing_subword_prefix\": null, "
    "\"end_of_word_suffix\": null, \"fuse_unk\": false, \"byte_fallback\": false, "
    "\"vocab\": {\"a\": 0, \"b\": 1, \"\\u0120\": 2, \"ab\": 3, \"\\u0120a\": 4, \"\\u010d\": 5}, "
    "\"merges\": [\"a b\", \"\\u0120 a\"]}}";

static int make_tokenizer(void **state)
{
    return make_folder(state) == 0 &&
                   glot_file_write(in_folder(state, "tokenizer.json"), TOKENIZER, strlen(TOKENIZER), NULL) == GLOT_OK
               ? 0
               : -1;
}

static void expect_ids(glot_run run, const char *lines)
{
    if (run.exit_code != 0)
        fail_msg("exit code %d: %s", run.exit_code, run.err);
    assert_string_equal(run.out, lines);
    assert_string_equal(run.err, "");
    run_release(&run);
}

/* One line for each raw line, the last one without a newline too; an empty line gives an empty line; the carriage return is text. */
static void test_lines(void **state)
{
    const char *text = put(state, "any name", "ab a\n\nb\r\n<end>ab\nba");
    const char *tokenizer = in_folder(state, "tokenizer.json");
    const char *expected = "3 4\n\n1 5\n6 3\n1 0\n";
    expect_ids(run_glot(state, "tokenize", tokenizer, text, "--ids"), expected);
    expect_ids(run_glot(state, "tokenize", tokenizer, "--ids", text), expected);
    expect_ids(run_glot_with(state, text, NULL, ARGS("tokenize", tokenizer, "--ids")), expected);
    expect_ids(run_glot_with(state, text, NULL, ARGS("tokenize", tokenizer, "-", "--ids")), expected);
    expect_ids(run_glot(state, "tokenize", tokenizer, put(state, "empty", ""), "--ids"), "");
    expect_ids(run_glot(state, "tokenize", tokenizer, put(state, "newline", "\n"), "--ids"), "\n");
}

/* A directory with a tokenizer.json names it as well. */
static void test_model_directory(void **state)
{
    expect_ids(run_glot(state, "tokenize", *state, put(state, "t", "ab"), "--ids"), "3\n");
}

static void test_lines_as_json(void **state)
{
    const char *text = put(state, "t", "ab a\n\nb");
    json_t *o = json_of(run_glot(state, "tokenize", *state, text, "--ids", "--json"));
    json_t *expected = json_pack("{s:[[i,i],[],[i]]}", "ids", 3, 4, 1);
    assert_true(json_equal(o, expected));
    json_decref(o);
    json_decref(expected);
}

static void test_text_that_is_not_utf8(void **state)
{
    const char *text = put(state, "t", "ab\na\xff\n");
    glot_run run = run_glot(state, "tokenize", *state, text, "--ids");
    char begin[600];
    snprintf(begin, sizeof begin, "error: '%s' line 2: ", text);
    assert_int_equal(run.exit_code, 3);
    assert_int_equal(strncmp(run.err, begin, strlen(begin)), 0);
    assert_string_equal(run.out, "3\n");
    run_release(&run);
}

static void test_store(void **state)
{
    const char *a = put(state, "a.txt", "ab a\n\nb\n"), *b = put(state, "b.jsonl", "{\"text\": \"b\"}\n{\"text\": \"ab\"}\n");
    char el[600], hu[600], store[600];
    snprintf(el, sizeof el, "el=%s", a);
    snprintf(hu, sizeof hu, "hu=%s", b);
    snprintf(store, sizeof store, "%s/s.tokens", (char *)*state);
    json_t *o = json_of(run_glot(state, "tokenize", *state, el, hu, "--out", store, "--old", "hu,en", "--json"));
    const json_t *languages = json_object_get(o, "languages"), *first = json_object_get(languages, "el");
    assert_string_equal(text_at(o, "store"), store);
    assert_int_equal(int_at(first, "documents"), 2);
    assert_int_equal(int_at(first, "tokens"), 3);
    assert_int_equal(int_at(first, "bytes"), 5);
    assert_int_equal(int_at(first, "words"), 3);
    assert_true(json_real_value(json_object_get(first, "tokens_per_byte")) == 3.0 / 5.0);
    assert_true(json_real_value(json_object_get(first, "tokens_per_word")) == 1.0);
    json_decref(o);
    o = json_of(run_glot(state, "inspect", store, "--json"));
    languages = json_object_get(o, "languages");
    assert_int_equal(int_at(json_array_get(languages, 0), "group"), 1);
    assert_int_equal(int_at(json_array_get(languages, 1), "group"), 0);
    assert_int_equal(int_at(json_array_get(languages, 1), "tokens"), 2);
    json_decref(o);
}

/* A limit on the size of files (ulimit -f) is a write that fails, and not a signal that ends the program. */
static void test_limit_on_files(void **state)
{
    enum { SIZE = 1 << 16 };
    static char text[SIZE + 1];
    struct rlimit old, small;
    for (int i = 0; i < SIZE; i++)
        text[i] = i % 2 ? '\n' : 'a';
    char el[600];
    snprintf(el, sizeof el, "el=%s", put(state, "large", text));
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = SIZE / 8;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    glot_run run = run_glot(state, "tokenize", *state, el, "--out", in_folder(state, "limited"));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(run.exit_code, 1);
    assert_non_null(strstr(run.err, "limited"));
    run_release(&run);
}

static void test_damaged_store(void **state)
{
    char el[600], store[600], *data = NULL;
    size_t size = 0;
    snprintf(el, sizeof el, "el=%s", put(state, "a.txt", "ab a\n"));
    snprintf(store, sizeof store, "%s/s.tokens", (char *)*state);
    glot_run run = run_glot(state, "tokenize", *state, el, "--out", store);
    assert_int_equal(run.exit_code, 0);
    assert_non_null(strstr(run.out, "tokens/byte"));
    run_release(&run);
    assert_int_equal(glot_file_read(&data, &size, store, 1 << 20, NULL), GLOT_OK);
    data[64] ^= 1; /* the first id */
    assert_int_equal(glot_file_write(store, data, size, NULL), GLOT_OK);
    glot_free(data);
    run = run_glot(state, "inspect", store);
    assert_int_equal(run.exit_code, 3);
    assert_non_null(strstr(run.err, store));
    run_release(&run);
}

static void test_usage(void **state)
{
    const char *text = put(state, "t", "ab");
    expect_failure(run_glot(state, "tokenize", *state, text), 2, "expected either --ids or --out STORE, found neither");
    expect_failure(run_glot(state, "tokenize", *state, "--ids", "--out", "x"), 2,
                   "expected either --ids or --out STORE, found both");
    expect_failure(run_glot(state, "tokenize", *state, "a", "b", "--ids"), 2, "--ids takes one file, found 'b' too");
    expect_failure(run_glot(state, "tokenize", *state, "--out", "x"), 2, "--out needs text: LANG=FILE...");
    expect_failure(run_glot(state, "tokenize", *state, "--out", "x", "file.txt"), 2,
                   "text: 'file.txt' names no language, expected LANG=FILE");
    assert_false(glot_path_exists("x"));
}

static void test_missing_files(void **state)
{
    glot_run run = run_glot(state, "tokenize", in_folder(state, "none"), "--ids");
    assert_int_equal(run.exit_code, 3);
    assert_string_equal(run.out, "");
    run_release(&run);
    run = run_glot(state, "tokenize", *state, in_folder(state, "none"), "--ids");
    assert_int_equal(run.exit_code, 3);
    run_release(&run);
}

/* `glot bench tokenize` counts what it reads: whole documents until --max-bytes are reached. */
static void test_bench(void **state)
{
    const char *tokenizer = in_folder(state, "tokenizer.json");
    const char *text = put(state, "bench.txt", "ab a\nba\nab\n");
    char word[600];
    snprintf(word, sizeof word, "en=%s", text);
    json_t *all = json_of(run_glot(state, "bench", "tokenize", "--model", tokenizer, "--text", word, "--json"));
    const json_t *en = json_object_get(json_object_get(all, "languages"), "en");
    assert_int_equal(int_at(en, "documents"), 3);
    assert_int_equal(int_at(en, "bytes"), 8);
    assert_int_equal(int_at(en, "tokens"), 5);
    json_decref(all);
    all = json_of(run_glot(state, "bench", "tokenize", "--model", tokenizer, "--text", word, "--max-bytes", "5", "--json"));
    en = json_object_get(json_object_get(all, "languages"), "en");
    assert_int_equal(int_at(en, "documents"), 2);
    json_decref(all);
    expect_failure(run_glot(state, "bench", "tokenize", "--model", tokenizer), 2,
                   "tokenize needs --model MODEL and --text LANG=FILE");
}

int main(void)
{
#define WITH_TOKENIZER(test) cmocka_unit_test_setup_teardown(test, make_tokenizer, remove_folder)
    const struct CMUnitTest tests[] = {
        WITH_TOKENIZER(test_lines),
        WITH_TOKENIZER(test_model_directory),
        WITH_TOKENIZER(test_lines_as_json),
        WITH_TOKENIZER(test_text_that_is_not_utf8),
        WITH_TOKENIZER(test_store),
        WITH_TOKENIZER(test_limit_on_files),
        WITH_TOKENIZER(test_damaged_store),
        WITH_TOKENIZER(test_usage),
        WITH_TOKENIZER(test_missing_files),
        WITH_TOKENIZER(test_bench),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
