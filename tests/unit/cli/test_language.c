/* test_language.c: --language and the exact path as a user meets them: on a tiny model with old languages en, es and new ones el, hu. */
#include "run_glot.h"
#include "../tiny_model.h"

#include "model/exact.h"

#define IDS "0 5 6 7 8 9"

static const char *model_path(void **state)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/model", (const char *)*state);
    return path;
}

static void name_group(glot_model *m, int group, const char *languages)
{
    glot_free(m->config.group_languages[group]);
    m->config.group_languages[group] = glot_strdup(languages);
}

/* New experts of random weights, and a test that no document passes. */
static void make_model(void **state)
{
    glot_error err = {0};
    glot_backend *be = NULL;
    float evidence[TINY_VOCAB];
    glot_upcycle_settings settings = {.top_k = 2, .seed = 4, .init = GLOT_EXPERT_RANDOM};
    OK(glot_cpu_backend_create(&be, 1, NULL, &err));
    glot_model *m = tiny_dense(be, 1);
    OK(glot_upcycle(m, (int32_t[]){2, 2, 2}, &settings, &err));
    tiny_spread(m, 3.0f);
    for (int v = 0; v < TINY_VOCAB; v++)
        evidence[v] = 1.0f;
    OK(glot_exact_set(m, evidence, 2.5, &err));
    name_group(m, 0, "en,es");
    name_group(m, 1, "el,hu");
    OK(glot_model_save(m, model_path(state), NULL, NULL, 0, &err));
    glot_model_close(m);
    glot_backend_close(be);
}

/* log p of every position as printed. */
static json_t *logits(void **state, const char *language)
{
    const char *model = model_path(state);
    json_t *all = language ? json_of(run_glot(state, "logits", model, "--ids", IDS, "--all", "--json", "--language", language))
                           : json_of(run_glot(state, "logits", model, "--ids", IDS, "--all", "--json"));
    json_t *rows = json_incref(json_object_get(all, "logp"));
    json_decref(all);
    return rows;
}

/* Old: the exact path to the end; new: never; not named: the model's test, which leaves before the fourth id (S: 0 1 2 3 > 2.5). */
static void test_old_and_new(void **state)
{
    make_model(state);
    json_t *old = logits(state, "es"), *other_old = logits(state, "en"), *new = logits(state, "hu"), *plain = logits(state, NULL);
    assert_true(json_equal(old, other_old));
    for (size_t i = 0; i < json_array_size(plain); i++) {
        const json_t *row = json_array_get(plain, i);
        assert_int_equal(json_equal(row, json_array_get(old, i)), i < 3);
        assert_false(json_equal(json_array_get(new, i), json_array_get(old, i)));
    }
    json_decref(old);
    json_decref(other_old);
    json_decref(new);
    json_decref(plain);
}

static void test_unknown(void **state)
{
    char sentence[1024];
    make_model(state);
    const char *model = model_path(state);
    snprintf(sentence, sizeof sentence, "--language 'fr' is none of the languages of '%s': en,es,el,hu", model);
    expect_failure(run_glot(state, "logits", model, "--ids", IDS, "--language", "fr"), 2, sentence);
}

int main(void)
{
    const struct CMUnitTest tests[] = {IN_FOLDER(test_old_and_new), IN_FOLDER(test_unknown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
