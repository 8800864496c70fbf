/* test_exact_long.c: DESIGN, invariant 3, on a real model and real text: SmolLM2 with new experts of random weights, so that whatever leaves the exact path
 * shows, and evidence counted from train text. Documents in the old languages that never leave have the logits of the base model opened by itself, bit for
 * bit: in one batch with text in new languages, alone, token by token, with 1, 2 and 8 threads. Needs models/ and ../shared/data/text
 * (GLOT_TEST_DATA names another folder). */
#include "base/file.h"
#include "expand/evidence.h"
#include "infer/session.h"
#include "text/document_reader.h"
#include "unit/tiny_model.h"

#include <stdio.h>

#define BASE GLOT_SOURCE_DIR "/models/SmolLM2-135M-Instruct.Q4_1.gguf"

enum { N_OLD = 3, N_LANGUAGES = 6, N_EACH = 3, N_TEXTS = N_LANGUAGES * N_EACH, MOST = 48, COUNTED_TOKENS = 100000 };
static const char *const names[N_LANGUAGES] = {"en", "es", "zh", "el", "hu", "tr"};

/* Text i is of language i / N_EACH; its first id is BOS. */
static int32_t ids[N_TEXTS][MOST];
static int64_t lengths[N_TEXTS];

static const char *data_path(char path[512], const char *language, const char *part)
{
    const char *folder = getenv("GLOT_TEST_DATA");
    snprintf(path, 512, "%s/%s.%s.jsonl", folder ? folder : GLOT_SOURCE_DIR "/../shared/data/text", language, part);
    return path;
}

static void read_texts(const glot_tokenizer *t)
{
    glot_error err = {0};
    for (int i = 0; i < N_TEXTS; i++) {
        static glot_document_reader *r;
        glot_document d;
        char path[512];
        const char *paths[] = {data_path(path, names[i / N_EACH], "valid")};
        glot_corpus_options options = glot_corpus_options_default();
        if (i % N_EACH == 0)
            OK(glot_document_reader_open(&r, names[i / N_EACH], paths, 1, t, &options, 0, &err));
        OK(glot_document_reader_next(r, &d, &err));
        lengths[i] = 1 + (d.n_ids < MOST - 1 ? d.n_ids : MOST - 1);
        ids[i][0] = 1;
        memcpy(ids[i] + 1, d.ids, (size_t)(lengths[i] - 1) * sizeof d.ids[0]);
        if (i % N_EACH == N_EACH - 1)
            glot_document_reader_close(r);
    }
}

static glot_token_store *make_store(const glot_tokenizer *t)
{
    glot_error err = {0};
    glot_store_source sources[N_LANGUAGES];
    glot_token_store *store = NULL;
    static char paths[N_LANGUAGES][512];
    static const char *path_list[N_LANGUAGES];
    glot_corpus_options options = glot_corpus_options_default();
    for (int l = 0; l < N_LANGUAGES; l++) {
        path_list[l] = data_path(paths[l], names[l], "train");
        sources[l] = (glot_store_source){.language = names[l], .group = l >= N_OLD, .paths = &path_list[l], .n_paths = 1,
                                         .max_tokens = COUNTED_TOKENS};
    }
    OK(glot_token_store_build(GLOT_BINARY_DIR "/test_exact_long.store", t, sources, N_LANGUAGES, &options, 2, &err));
    OK(glot_token_store_open(&store, GLOT_BINARY_DIR "/test_exact_long.store", &err));
    return store;
}

static glot_model *open_expanded(glot_backend *be, const glot_token_store *store)
{
    glot_error err = {0};
    glot_model *m = NULL;
    int32_t n_experts[GLOT_MAX_LAYERS];
    glot_evidence_language languages[N_LANGUAGES];
    glot_upcycle_settings settings = {.top_k = 2, .seed = 5, .init = GLOT_EXPERT_RANDOM};
    OK(glot_model_open(&m, be, BASE, &err));
    for (int64_t l = 0; l < m->config.n_layers; l++)
        n_experts[l] = 2;
    OK(glot_upcycle(m, n_experts, &settings, &err));
    for (size_t l = 0; l < N_LANGUAGES; l++)
        languages[l] = (glot_evidence_language){.store = store, .language = l, .is_old = l < N_OLD};
    OK(glot_evidence_count(m, languages, N_LANGUAGES, 0.99, &err));
    return m;
}

/* Whether text i is on the exact path to its end; and the place of its first token that is not. */
static int64_t leaves_at(const glot_model *m, int i)
{
    glot_error err = {0};
    glot_exact_test test;
    glot_exact_state state = {0};
    int64_t n = 0;
    OK(glot_exact_test_init(&test, m, &err));
    for (; n < lengths[i] && !state.has_left; n++)
        glot_exact_mark(&test, &state, ids[i] + n, 1, NULL);
    glot_exact_test_release(&test);
    return state.has_left ? n - 1 : lengths[i];
}

typedef float scores[N_TEXTS][MOST];

static void score(const glot_model *m, scores *out, int together)
{
    glot_error err = {0};
    glot_session *s = NULL;
    glot_sequence texts[N_TEXTS];
    for (int i = 0; i < N_TEXTS; i++)
        texts[i] = (glot_sequence){.ids = ids[i], .n = lengths[i], .nll = (*out)[i]};
    OK(glot_session_create(&s, m, MOST, (int64_t)together * MOST, &err));
    for (size_t i = 0; i < N_TEXTS; i += (size_t)together)
        OK(glot_session_score(s, texts + i, (size_t)together, &err));
    glot_session_free(s);
}

/* Texts are the base's to where they leave; those of new languages are not afterwards. */
static void expect_same(const glot_model *m, const scores *base, const scores *got)
{
    int n_stay = 0, n_differ = 0;
    for (int i = 0; i < N_TEXTS; i++) {
        int64_t n = leaves_at(m, i);
        if (n == lengths[i])
            n_stay += i < N_OLD * N_EACH;
        else
            n_differ += memcmp((*got)[i] + n + 1, (*base)[i] + n + 1, (size_t)(lengths[i] - n - 1) * sizeof(float)) != 0;
        assert_memory_equal((*got)[i], (*base)[i], (size_t)(n < lengths[i] ? n + 1 : n) * sizeof(float));
    }
    assert_true(n_stay >= N_OLD * N_EACH - 1);
    assert_true(n_differ >= (N_LANGUAGES - N_OLD) * N_EACH - 1);
}

/* The first text of each old language, token by token: every log p. */
static void expect_same_logits(const glot_model *base, const glot_model *m)
{
    glot_error err = {0};
    glot_session *a = NULL, *b = NULL;
    const float *x, *y;
    OK(glot_session_create(&a, base, MOST, MOST, &err));
    OK(glot_session_create(&b, m, MOST, MOST, &err));
    for (int i = 0; i < N_OLD * N_EACH; i += N_EACH) {
        int64_t n = leaves_at(m, i);
        glot_session_reset(a);
        glot_session_reset(b);
        for (int64_t t = 0; t < n && t < 24; t++) {
            OK(glot_session_feed(a, ids[i] + t, 1, &x, &err));
            OK(glot_session_feed(b, ids[i] + t, 1, &y, &err));
            assert_memory_equal(x, y, (size_t)m->config.vocab_size * sizeof *x);
        }
    }
    glot_session_free(a);
    glot_session_free(b);
}

static void check_threads(int threads, const scores *expected, const glot_token_store *store)
{
    static scores base_scores, got;
    glot_error err = {0};
    glot_backend *be = NULL;
    glot_model *base = NULL;
    OK(glot_cpu_backend_create(&be, threads, NULL, &err));
    OK(glot_model_open(&base, be, BASE, &err));
    glot_model *m = open_expanded(be, store);
    score(base, &base_scores, 1);
    score(m, &got, N_TEXTS);
    expect_same(m, &base_scores, &got);
    if (expected)
        expect_same(m, expected, &got); /* whatever the threads */
    score(m, &got, 1);
    expect_same(m, &base_scores, &got);
    if (!expected)
        expect_same_logits(base, m);
    glot_model_close(m);
    glot_model_close(base);
    glot_backend_close(be);
}

static void test_real_text(void **state)
{
    (void)state;
    static scores expected;
    glot_error err = {0};
    glot_backend *be = NULL;
    glot_model *base = NULL;
    glot_tokenizer *t = NULL;
    char path[512];
    if (!glot_path_exists(BASE) || !glot_path_exists(data_path(path, "en", "train"))) {
        print_message("skipped: there is no models/ with SmolLM2 or no ../shared/data/text\n");
        skip();
    }
    OK(glot_tokenizer_open_model(&t, BASE, &err));
    read_texts(t);
    glot_token_store *store = make_store(t);
    OK(glot_cpu_backend_create(&be, 1, NULL, &err));
    OK(glot_model_open(&base, be, BASE, &err));
    score(base, &expected, 1);
    glot_model_close(base);
    glot_backend_close(be);
    check_threads(2, NULL, store);
    check_threads(1, &expected, store);
    check_threads(8, &expected, store);
    glot_token_store_close(store);
    glot_tokenizer_close(t);
    remove(GLOT_BINARY_DIR "/test_exact_long.store");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_real_text)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
