/* test_overlap.c: documents shared by train and valid, and repeated within train. */
#include "text/overlap.h"
#include "text_util.h"

static glot_tokenizer *tokenizer, *other_tokenizer;

static int set_up(void **state)
{
    if (make_test_dir(state) != 0)
        return -1;
    tokenizer = byte_tokenizer(false);
    other_tokenizer = byte_tokenizer(true);
    return 0;
}

static int tear_down(void **state)
{
    glot_tokenizer_close(tokenizer);
    glot_tokenizer_close(other_tokenizer);
    return remove_test_dir(state);
}

/* A store whose language 1 has these lines (language 0 has one line that must never count). */
static glot_token_store *store_of(const char *name, const glot_tokenizer *t, const char *lines)
{
    glot_corpus_options options = glot_corpus_options_default();
    glot_token_store *s = NULL;
    write_text("aside.txt", "same\n");
    write_text("lines.txt", lines);
    const char *aside = in_dir("aside.txt"), *path = in_dir("lines.txt");
    glot_store_source sources[] = {{"en", 0, &aside, 1, 0}, {"el", 1, &path, 1, 0}};
    assert_ok(glot_token_store_build(in_dir(name), t, sources, 2, &options, 1, err));
    assert_ok(glot_token_store_open(&s, in_dir(name), err));
    return s;
}

static void assert_counts(const char *train, const char *valid, uint64_t n_shared, uint64_t n_repeated)
{
    glot_text_overlap counts = {0};
    glot_token_store *a = store_of("train", tokenizer, train), *b = store_of("valid", tokenizer, valid);
    assert_ok(glot_text_overlap_count(&counts, a, 1, b, 1, err));
    assert_int_equal(counts.n_train, glot_token_store_language(a, 1)->n_documents);
    assert_int_equal(counts.n_valid, glot_token_store_language(b, 1)->n_documents);
    assert_int_equal(counts.n_shared, n_shared);
    assert_int_equal(counts.n_repeated, n_repeated);
    glot_token_store_close(a);
    glot_token_store_close(b);
}

static void test_counts(void **state)
{
    (void)state;
    assert_counts("one\ntwo\nthree\n", "four\nfive\n", 0, 0);
    assert_counts("one\ntwo\nthree\n", "four\ntwo\n", 1, 0);
    assert_counts("one\ntwo\none\none\n", "one\none\ntwo\nsame\n", 3, 2);
    assert_counts("ab\nba\na\nb\n", "aab\nabb\n", 0, 0); /* the same ids in another order or number */
}

/* As many documents as a set of hashes has trouble with, one in five repeated. */
static void test_many_documents(void **state)
{
    (void)state;
    glot_str train = {0}, valid = {0};
    for (int i = 0; i < 20000; i++)
        glot_str_printf(&train, "document %d\n", i % 16000);
    for (int i = 15000; i < 17000; i++)
        glot_str_printf(&valid, "document %d\n", i);
    assert_counts(train.data, valid.data, 1000, 4000);
    glot_str_release(&train);
    glot_str_release(&valid);
}

static void test_train_alone(void **state)
{
    (void)state;
    glot_text_overlap counts = {0};
    glot_token_store *s = store_of("train", tokenizer, "one\none\n");
    assert_ok(glot_text_overlap_count(&counts, s, 1, NULL, 0, err));
    assert_int_equal(counts.n_repeated, 1);
    assert_int_equal(counts.n_valid, 0);
    assert_int_equal(counts.n_shared, 0);
    glot_token_store_close(s);
}

static void test_refused(void **state)
{
    (void)state;
    glot_text_overlap counts = {0};
    glot_token_store *a = store_of("train", tokenizer, "one\n"),
                     *b = store_of("valid", other_tokenizer, "one\n");
    assert_fails(glot_text_overlap_count(&counts, a, 1, b, 1, err), GLOT_BAD_VALUE,
                 "valid' were made with different tokenizers");
    glot_heap_fail_after(1);
    glot_error first = {0};
    assert_int_equal(glot_text_overlap_count(&counts, a, 1, a, 1, &first), GLOT_NOMEM);
    glot_heap_fail_after(0);
    glot_token_store_close(a);
    glot_token_store_close(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_many_documents),
        cmocka_unit_test(test_train_alone),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
