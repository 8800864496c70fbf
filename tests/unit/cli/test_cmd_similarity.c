/* test_cmd_similarity.c: `glot similarity` as it is run: its document, its table, an expanded model, and what it refuses. */
#include "byte_folder.h"

#include <math.h>

/* "LANGUAGE=PATH" of a file with this text; holds for the next seven calls. */
static const char *text_of(void **state, const char *language, const char *text)
{
    static char words[8][600];
    static int next;
    char name[16], *word = words[next++ % 8];
    snprintf(name, sizeof name, "%s.txt", language);
    snprintf(word, 600, "%s=%s", language, put(state, name, text));
    return word;
}

#define EN text_of(state, "en", "plain old text\nand more\n")
#define EL text_of(state, "el", "0123 4567\n89\n")
#define TR text_of(state, "tr", "+-*= &%!\n")

static json_t *measure(void **state, const char *model, const char *old, const char *threads)
{
    return json_of(run_glot(state, "similarity", in_folder(state, model), EN, EL, TR, "--old", old, "--threads", threads, "--json", "--quiet"));
}

static double sim(const json_t *layer, const char *a, const char *b)
{
    size_t i;
    const json_t *pair;
    json_array_foreach(json_object_get(layer, "pairs"), i, pair)
        if (strcmp(text_at(pair, "a"), a) == 0 && strcmp(text_at(pair, "b"), b) == 0)
            return json_real_value(json_object_get(pair, "sim"));
    fail_msg("no pair %s %s", a, b);
    return 0.0;
}

/* The keys that INTERFACES names, and S out of its own pairs; any number of threads gives the same digits. */
static void test_document(void **state)
{
    json_t *document = measure(state, "m", "en", "1"), *again = measure(state, "m", "en", "3");
    const json_t *layers = json_object_get(document, "layers");
    json_t *lists = json_pack("[[s, s, s], [s], [i, i, i]]", "en", "el", "tr", "en", 1, 1, 1);
    assert_true(json_equal(document, again));
    assert_int_equal(json_object_size(document), 5);
    assert_int_equal(strlen(text_at(document, "model")), 64);
    assert_true(json_equal(json_object_get(document, "languages"), json_array_get(lists, 0)));
    assert_true(json_equal(json_object_get(document, "old"), json_array_get(lists, 1)));
    assert_true(json_equal(json_object_get(document, "experts"), json_array_get(lists, 2)));
    assert_int_equal(json_array_size(layers), TINY_LAYERS);
    for (size_t l = 0; l < TINY_LAYERS; l++) {
        const json_t *layer = json_array_get(layers, l);
        double expected = (sim(layer, "el", "tr") + (sim(layer, "el", "en") + sim(layer, "tr", "en")) / 2.0) / 2.0;
        bool ok = fabs(json_real_value(json_object_get(layer, "S")) - expected) <= 1e-15;
        assert_true(ok);
        assert_int_equal(json_array_size(json_object_get(layer, "pairs")), 3);
    }
    json_decref(lists);
    json_decref(again);
    json_decref(document);
}

/* A person gets a line a layer. */
static void test_table(void **state)
{
    glot_run run = run_glot(state, "similarity", in_folder(state, "m"), EN, EL, "--old", "en", "--quiet");
    size_t lines = 0;
    assert_int_equal(run.exit_code, 0);
    for (const char *p = run.out; *p; p++)
        lines += *p == '\n';
    assert_int_equal(lines, 1 + TINY_LAYERS);
    assert_non_null(strstr(run.out, "least alike"));
    run_release(&run);
}

/* The languages of an expanded model's groups are old without being named. */
static void test_expanded_model(void **state)
{
    glot_error err = {0};
    json_t *config = NULL;
    glot_run made = run_glot(state, "upcycle", in_folder(state, "m"), "--experts", "2,1,3", "--out", in_folder(state, "up"), "--quiet");
    assert_int_equal(made.exit_code, 0);
    run_release(&made);
    const char *path = in_folder(state, "up/config.json");
    OK(glot_json_load_file(&config, path, &err));
    json_object_set_new(json_object_get(config, "glot"), "groups", json_pack("[[s], [s]]", "en", "el"));
    assert_int_equal(json_dump_file(config, path, 0), 0);
    json_decref(config);
    json_t *document = json_of(run_glot(state, "similarity", in_folder(state, "up"), EN, EL, TR, "--json", "--quiet"));
    json_t *lists = json_pack("[[s, s], [i, i, i]]", "en", "el", 2, 1, 3);
    assert_true(json_equal(json_object_get(document, "old"), json_array_get(lists, 0)));
    assert_true(json_equal(json_object_get(document, "experts"), json_array_get(lists, 1)));
    json_decref(lists);
    json_decref(document);
}

static void test_refuses(void **state)
{
    const char *m = in_folder(state, "m");
    char sentence[700];
    expect_failure(run_glot(state, "similarity", m, EN, EL), 2,
                   "none of the 2 languages is old, and similarity compares new languages with old ones");
    expect_failure(run_glot(state, "similarity", m, EN, EL, "--old", "en,el"), 2,
                   "every one of the 2 languages is old, and similarity compares new languages with old ones");
    expect_failure(run_glot(state, "similarity", m, EN, EL, "--old", "en,fr"), 2, "--old names 'fr', which has no text here");
    expect_failure(run_glot(state, "similarity", m, EN, text_of(state, "el", "\n\n"), "--old", "en", "--quiet"), 3,
                   "there is no text to measure similarity on");
    snprintf(sentence, sizeof sentence, "'%s' line 2: byte 1 (0xff) is not UTF-8", in_folder(state, "el.txt"));
    expect_failure(run_glot(state, "similarity", m, EN, text_of(state, "el", "a\n\xff\n"), "--old", "en", "--quiet"), 3, sentence);
}

int main(void)
{
#define WITH_MODEL(test) cmocka_unit_test_setup_teardown(test, make_model, remove_folder)
    const struct CMUnitTest tests[] = {WITH_MODEL(test_document), WITH_MODEL(test_table), WITH_MODEL(test_expanded_model),
                                       WITH_MODEL(test_refuses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
