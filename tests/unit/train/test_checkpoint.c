/* test_checkpoint.c: saved and continued is the same as never stopped, bit for bit; every piece of state matters; damage, full disks and
 * checkpoints of something else are told by name and cost nothing.
 */
#include "train/train.h"
#include "unit/text/text_util.h"
#include "unit/tiny_model.h"

#include <errno.h>
#include <math.h>
#include <unistd.h>

enum { STEPS = 6, SAVED_AT = 3, EOS = 1 };
static const int32_t groups[2] = {0, 1};
static const int32_t layerwise[TINY_LAYERS] = {3, 1, 4};
static glot_token_store *store; /* two languages whose ids (bytes of digits and blanks) are below TINY_VOCAB */

static void write_language(const char *name, int n_documents, uint64_t seed)
{
    glot_rng rng = glot_rng_seed(seed, 1);
    glot_str text = {0};
    for (int i = 0; i < n_documents; i++) {
        int n = 5 + (int)glot_rng_below(&rng, 40);
        for (int k = 0; k < n; k++)
            glot_str_printf(&text, "%c", (int)('0' + glot_rng_below(&rng, 10)));
        glot_str_puts(&text, "\n");
    }
    write_bytes(name, text.data, text.length);
    glot_str_release(&text);
}

static int set_up(void **state)
{
    if (make_test_dir(state) != 0)
        return -1;
    write_language("old", 4, 1);
    write_language("new", 3, 2);
    const char *old_path = in_dir("old"), *new_path = in_dir("new");
    glot_store_source sources[2] = {{"aa", 0, &old_path, 1, 0}, {"bb", 1, &new_path, 1, 0}};
    glot_corpus_options options = glot_corpus_options_default();
    glot_tokenizer *tokenizer = byte_tokenizer(false);
    assert_ok(glot_token_store_build(in_dir("store"), tokenizer, sources, 2, &options, 1, err));
    glot_tokenizer_close(tokenizer);
    assert_ok(glot_token_store_open(&store, in_dir("store"), err));
    return 0;
}

static int tear_down(void **state)
{
    glot_token_store_close(store);
    return remove_test_dir(state);
}

/* ---- a trainer on the store ---- */

typedef struct world {
    glot_backend *be;
    glot_model *m;
    glot_mix *mix;
    glot_trainer *t;
    char frozen[65];
} world;

static glot_mix *open_mix(size_t n_languages)
{
    glot_mix *mix = NULL;
    const glot_mix_language languages[2] = {{store, 0, 0, 1.0}, {store, 1, 1, 1.0}};
    glot_mix_options o = {.languages = languages, .n_languages = n_languages, .length = TINY_LENGTH, .eos_id = EOS,
                          .seed = 3, .shuffled = true, .old_share = -1};
    assert_ok(glot_mix_create(&mix, &o, err));
    return mix;
}

static world world_open_with(glot_phase phase, int threads, const int32_t *n_experts, size_t n_languages)
{
    world w = {0};
    glot_train_settings s = glot_train_settings_default(phase);
    s.steps = STEPS;
    s.batch = 4;
    s.micro_batch = 3;
    s.length = TINY_LENGTH;
    s.lr = s.router_lr = 1e-2;
    assert_ok(glot_cpu_backend_create(&w.be, threads, NULL, err));
    w.m = tiny_expanded(w.be, n_experts, phase == GLOT_PHASE_TRAIN ? GLOT_TRAIN_NEW_EXPERTS : GLOT_TRAIN_ROUTERS);
    w.mix = open_mix(n_languages);
    assert_ok(glot_model_sha256(w.frozen, w.m, true, err));
    assert_ok(glot_trainer_create(&w.t, w.m, w.mix, groups, n_languages, &s, err));
    return w;
}

static world world_open(glot_phase phase, int threads)
{
    return world_open_with(phase, threads, layerwise, 2);
}

static void world_close(world *w)
{
    glot_trainer_free(w->t);
    glot_mix_free(w->mix);
    glot_model_close(w->m);
    glot_backend_close(w->be);
}

/* Everything that could differ: reports of the steps (but seconds), weights, moments, the place in the text. */
typedef struct digest {
    glot_sha256 *hash;
    char hex[65];
} digest;

static void digest_report(digest *d, const glot_step_report *r)
{
    int64_t whole[] = {(int64_t)r->phase, r->step, r->steps, (int64_t)r->tokens};
    double real[] = {r->loss, r->ce, r->balance, r->lpr, r->gate, r->grad_norm, r->lr};
    glot_sha256_update(d->hash, whole, sizeof whole);
    glot_sha256_update(d->hash, real, sizeof real);
}

static void digest_tensor(digest *d, const world *w, const glot_tensor *t)
{
    size_t bytes = glot_tensor_bytes(t);
    void *host = malloc(bytes);
    w->be->download(w->be, host, t);
    glot_sha256_update(d->hash, host, bytes);
    free(host);
}

/* Steps until STEPS; the digest of these steps and of the end. */
static digest finish(world *w)
{
    digest d = {0};
    assert_ok(glot_sha256_create(&d.hash, err));
    while (w->t->step < STEPS) {
        glot_step_report report;
        assert_ok(glot_trainer_step(w->t, &report, err));
        digest_report(&d, &report);
    }
    for (size_t i = 0; i < w->m->n_params; i++)
        digest_tensor(&d, w, &w->m->params[i]->weight);
    for (size_t i = 0; i < w->t->n_trained; i++) {
        digest_tensor(&d, w, &w->t->moment1[i]);
        digest_tensor(&d, w, &w->t->moment2[i]);
    }
    glot_sha256_update(d.hash, glot_mix_get_state(w->mix), sizeof(glot_mix_state));
    glot_sha256_finish(d.hash, d.hex);
    glot_sha256_free(d.hash);
    return d;
}

static void step_to(world *w, int64_t step)
{
    while (w->t->step < step) {
        glot_step_report report;
        assert_ok(glot_trainer_step(w->t, &report, err));
    }
}

static void save_at(const char *dir, glot_phase phase, int threads, int64_t step)
{
    world w = world_open(phase, threads);
    step_to(&w, step);
    assert_ok(glot_checkpoint_save(dir, w.t, w.frozen, NULL, err));
    world_close(&w);
}

static digest unbroken(glot_phase phase)
{
    world w = world_open(phase, 2);
    step_to(&w, SAVED_AT);
    digest d = finish(&w);
    world_close(&w);
    return d;
}

/* ---- continuing ---- */

static void check_continued(glot_phase phase, int threads_before, int threads_after)
{
    digest whole = unbroken(phase);
    save_at(in_dir("continued"), phase, threads_before, SAVED_AT);
    world w = world_open(phase, threads_after);
    assert_ok(glot_checkpoint_verify(in_dir("continued"), NULL, err));
    assert_ok(glot_checkpoint_load(in_dir("continued"), w.t, w.frozen, err));
    assert_int_equal(w.t->step, SAVED_AT);
    digest d = finish(&w);
    assert_string_equal(whole.hex, d.hex);
    world_close(&w);
}

static void test_continued(void **state)
{
    (void)state;
    check_continued(GLOT_PHASE_TRAIN, 2, 2);
    check_continued(GLOT_PHASE_REVIEW, 2, 2);
    check_continued(GLOT_PHASE_TRAIN, 1, 3);
}

static void test_threads_are_not_in_it(void **state)
{
    (void)state;
    static const char *const names[] = {"trained.safetensors", "moments.safetensors", "state.json", "manifest.json"};
    save_at(in_dir("one"), GLOT_PHASE_TRAIN, 1, 2);
    save_at(in_dir("three"), GLOT_PHASE_TRAIN, 3, 2);
    for (size_t i = 0; i < 4; i++) {
        char one[80], three[80], a[65], b[65];
        snprintf(one, sizeof one, "one/%s", names[i]);
        snprintf(three, sizeof three, "three/%s", names[i]);
        assert_ok(glot_sha256_file(a, in_dir(one), err));
        assert_ok(glot_sha256_file(b, in_dir(three), err));
        assert_string_equal(a, b);
    }
}

/* What the caller put in comes back. */
static void test_extra(void **state)
{
    (void)state;
    json_t *extra = json_pack("{s:i}", "answer", 42), *found = NULL;
    world w = world_open(GLOT_PHASE_TRAIN, 1);
    assert_ok(glot_checkpoint_save(in_dir("extra"), w.t, w.frozen, extra, err));
    assert_ok(glot_checkpoint_verify(in_dir("extra"), &found, err));
    assert_true(json_equal(json_object_get(found, "extra"), extra));
    json_decref(found);
    json_decref(extra);
    world_close(&w);
}

/* ---- every piece of state matters ---- */

static json_t *state_of(const char *dir)
{
    json_t *state = NULL;
    assert_ok(glot_checkpoint_verify(dir, &state, err));
    return state;
}

/* Is a checkpoint with this state.json refused, or does it end with other bits? */
static void assert_noticed(const json_t *state, const digest *whole, const char *what)
{
    glot_error error = {0};
    char *text = json_dumps(state, 0);
    write_text("mutated/state.json", text);
    free(text);
    world w = world_open(GLOT_PHASE_TRAIN, 1);
    if (glot_checkpoint_load(in_dir("mutated"), w.t, w.frozen, &error) == GLOT_OK) {
        digest d = finish(&w);
        if (strcmp(d.hex, whole->hex) == 0)
            fail_msg("without %s the bits are the same", what);
    } else if (!strstr(error.message, "state.json")) {
        fail_msg("without %s: '%s' names no file", what, error.message);
    }
    world_close(&w);
}

/* A key away; a number (or each number of a list) back to what it is at the start. */
static void check_key(json_t *state, json_t *parent, const char *key, int64_t at_start, const digest *whole)
{
    json_t *value = json_incref(json_object_get(parent, key));
    assert_non_null(value);
    json_object_del(parent, key);
    assert_noticed(state, whole, key);
    size_t n = json_is_array(value) ? json_array_size(value) : 1;
    for (size_t i = 0; i < n; i++) {
        json_t *copy = json_deep_copy(value), *number = json_is_array(copy) ? json_array_get(copy, i) : copy;
        if (json_is_integer(number) && json_integer_value(number) == at_start)
            fail_msg("%s is as at the start: nothing to test", key);
        if (json_is_integer(number))
            json_integer_set(number, at_start);
        else
            json_string_set(number, "another");
        json_object_set_new(parent, key, copy);
        assert_noticed(state, whole, key);
    }
    json_object_set_new(parent, key, value);
}

static void test_every_key_of_the_state(void **state)
{
    (void)state;
    static const char *const keys[] = {"format", "version", "phase", "frozen_sha256", "step", "tokens"};
    static const char *const mix_keys[] = {"tokens", "epoch", "next", "document", "offset"};
    digest whole = unbroken(GLOT_PHASE_TRAIN);
    save_at(in_dir("mutated"), GLOT_PHASE_TRAIN, 1, SAVED_AT);
    json_t *found = state_of(in_dir("mutated")), *mix = json_object_get(found, "mix");
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        check_key(found, found, keys[i], 0, &whole);
    for (size_t i = 0; i < sizeof mix_keys / sizeof *mix_keys; i++)
        check_key(found, mix, mix_keys[i], 0, &whole);
    check_key(found, mix, "language", -1, &whole);
    check_key(found, mix, "language", 1 - json_integer_value(json_object_get(mix, "language")), &whole);
    json_decref(found);
}

/* A loaded trainer from which one piece is taken ends with other bits. */
static void take_piece(world *w, int piece)
{
    static const glot_mix_state at_start = {.language = -1};
    for (size_t i = 0; i < w->t->n_trained && piece < 2; i++)
        w->be->zero(w->be, piece == 0 ? &w->t->moment1[i] : &w->t->moment2[i]);
    if (piece == 2)
        w->t->step--;
    if (piece == 3)
        w->t->tokens = 0;
    if (piece == 4)
        assert_ok(glot_mix_set_state(w->mix, &at_start, err));
}

static void test_every_piece_of_a_trainer(void **state)
{
    (void)state;
    digest whole = unbroken(GLOT_PHASE_TRAIN);
    save_at(in_dir("pieces"), GLOT_PHASE_TRAIN, 1, SAVED_AT);
    for (int piece = 0; piece < 5; piece++) {
        world w = world_open(GLOT_PHASE_TRAIN, 1);
        assert_ok(glot_checkpoint_load(in_dir("pieces"), w.t, w.frozen, err));
        take_piece(&w, piece);
        digest d = finish(&w);
        if (strcmp(d.hex, whole.hex) == 0)
            fail_msg("without piece %d the bits are the same", piece);
        world_close(&w);
    }
}

/* ---- damage ---- */

static void assert_damage_named(const char *file)
{
    glot_error error = {0};
    assert_true(glot_checkpoint_verify(in_dir("damaged"), NULL, &error) != GLOT_OK);
    if (!strstr(error.message, in_dir(file)))
        fail_msg("'%s' does not name '%s'", error.message, in_dir(file));
}

/* Of a file that is too short both sizes are told; the manifest's own is in no manifest. */
static void assert_size_named(const char *file, size_t found, size_t expected)
{
    glot_error error = {0};
    char sentence[128];
    if (strstr(file, "manifest"))
        return;
    snprintf(sentence, sizeof sentence, "it has %zu bytes, its manifest says %zu", found, expected);
    assert_true(glot_checkpoint_verify(in_dir("damaged"), NULL, &error) != GLOT_OK);
    if (!strstr(error.message, sentence))
        fail_msg("'%s' does not say '%s'", error.message, sentence);
}

static void damage_bytes(const char *file)
{
    char *bytes;
    size_t n;
    read_bytes(file, &bytes, &n);
    const size_t places[] = {0, 7, n / 3, n / 2, n - 2, n - 1};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        bytes[places[i]] ^= (char)0x80;
        write_bytes(file, bytes, n);
        assert_damage_named(file);
        bytes[places[i]] ^= (char)0x80;
    }
    const size_t sizes[] = {0, 1, n / 2, n - 2};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        write_bytes(file, bytes, sizes[i]);
        assert_damage_named(file);
        assert_size_named(file, sizes[i], n);
    }
    assert_int_equal(remove(in_dir(file)), 0);
    assert_damage_named(file);
    write_bytes(file, bytes, n);
    assert_ok(glot_checkpoint_verify(in_dir("damaged"), NULL, err));
    glot_free(bytes);
}

static void test_damage(void **state)
{
    (void)state;
    save_at(in_dir("damaged"), GLOT_PHASE_TRAIN, 1, 1);
    damage_bytes("damaged/trained.safetensors");
    damage_bytes("damaged/moments.safetensors");
    damage_bytes("damaged/state.json");
    damage_bytes("damaged/manifest.json");
}

static void test_lying_manifests(void **state)
{
    (void)state;
    static const char *const lies[] = {
        "[]", "{}", "{\"trained.safetensors\": 3}", "{\"trained.safetensors\": {\"bytes\": 1}}",
        "{\"trained.safetensors\": {\"bytes\": -1, \"sha256\": \"00\"}}",
        "{\"trained.safetensors\": {\"bytes\": \"1\", \"sha256\": \"00\"}}",
        "{\"trained.safetensors\": {\"bytes\": 9223372036854775807, \"sha256\": \"00\"}}",
        "{\"trained.safetensors\": {\"bytes\": 1, \"sha256\": 5}}"};
    save_at(in_dir("lying"), GLOT_PHASE_TRAIN, 1, 1);
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        glot_error error = {0};
        write_text("lying/manifest.json", lies[i]);
        assert_int_equal(glot_checkpoint_verify(in_dir("lying"), NULL, &error), GLOT_BAD_FORMAT);
        assert_non_null(strstr(error.message, in_dir("lying")));
    }
}

/* One key of a checkpoint's state.json, or of its manifest.json, set to another value or taken away; the
 * sentence that it must get, behind the path of the file (or of the file that the manifest speaks of). */
static const struct malformed {
    const char *key, *value; /* "mix.step"; JSON, NULL: taken away */
    glot_status status;
    const char *sentence;
} malformed_states[] = {
    {"format", NULL, GLOT_BAD_FORMAT, "': key 'format' is missing"},
    {"format", "5", GLOT_BAD_FORMAT, "': key 'format' is an integer, expected a string"},
    {"format", "\"model\"", GLOT_BAD_FORMAT, "': format is 'model', expected 'glot checkpoint'"},
    {"version", NULL, GLOT_BAD_FORMAT, "': key 'version' is missing"},
    {"version", "\"1\"", GLOT_BAD_FORMAT, "': key 'version' is a string, expected an integer"},
    {"version", "99", GLOT_BAD_VERSION, "': version is 99, this program reads 1"},
    {"phase", NULL, GLOT_BAD_FORMAT, "': key 'phase' is missing"},
    {"phase", "\"sleep\"", GLOT_BAD_VALUE, "': phase is 'sleep', expected 'train'"},
    {"frozen_sha256", "null", GLOT_BAD_FORMAT, "': key 'frozen_sha256' is null"},
    {"frozen_sha256", "[]", GLOT_BAD_FORMAT, "': key 'frozen_sha256' is a list, expected a string"},
    {"step", NULL, GLOT_BAD_FORMAT, "': key 'step' is missing"},
    {"step", "-1", GLOT_BAD_VALUE, "': step -1 is outside 0 to 6"},
    {"step", "1000", GLOT_BAD_VALUE, "': step 1000 is outside 0 to 6"},
    {"step", "1.5", GLOT_BAD_FORMAT, "': key 'step' is a number with a fraction, expected an integer"},
    {"tokens", "-7", GLOT_BAD_VALUE, "': tokens is -7, expected a count"},
    {"tokens", "true", GLOT_BAD_FORMAT, "': key 'tokens' is true or false, expected an integer"},
    {"mix", NULL, GLOT_BAD_FORMAT, "': mix.tokens must be a list of 2 numbers, one for each language"},
    {"mix", "[]", GLOT_BAD_FORMAT, "': mix.tokens must be a list of 2 numbers, one for each language"},
    {"mix.tokens", "[1]", GLOT_BAD_FORMAT,
     "': mix.tokens must be a list of 2 numbers, one for each language"},
    {"mix.tokens", "{}", GLOT_BAD_FORMAT, "': mix.tokens must be a list of 2 numbers, one for each language"},
    {"mix.epoch", "[0, -1]", GLOT_BAD_FORMAT, "': mix.epoch[1] is no count"},
    {"mix.next", "[\"0\", 0]", GLOT_BAD_FORMAT, "': mix.next[0] is no count"},
    {"mix.next", "[1000000, 0]", GLOT_BAD_VALUE,
     "': the text position of language 'aa' is document 1000000 of 4"},
    {"mix.language", "2", GLOT_BAD_VALUE, "': the text position is in language 2 of 2"},
    {"mix.language", "-2", GLOT_BAD_VALUE, "': the text position is in language -2 of 2"},
    {"mix.document", "-1", GLOT_BAD_VALUE, "': mix.document is -1, expected a count"},
    {"mix.document", "1000000", GLOT_BAD_VALUE,
     "': the text position is in document 1000000, none of language 'aa'"},
    {"mix.offset", "9000000000000000000", GLOT_BAD_VALUE,
     "': the text position is 9000000000000000000 ids into document 2 of 'aa', which has 39"},
    {"mix.offset", NULL, GLOT_BAD_FORMAT, "': key 'offset' is missing"},
};

static const struct malformed malformed_manifests[] = {
    {"trained.safetensors", NULL, GLOT_BAD_FORMAT, "manifest.json': no entry for 'trained.safetensors'"},
    {"moments.safetensors", "[]", GLOT_BAD_FORMAT, "manifest.json': no entry for 'moments.safetensors'"},
    {"state.json", "{}", GLOT_BAD_FORMAT, "manifest.json': key 'sha256' is missing"},
    {"state.json", "{\"sha256\": 1, \"bytes\": 1}", GLOT_BAD_FORMAT,
     "manifest.json': key 'sha256' is an integer, expected a string"},
    {"state.json", "{\"sha256\": \"\"}", GLOT_BAD_FORMAT, "manifest.json': key 'bytes' is missing"},
    {"state.json", "{\"sha256\": \"\", \"bytes\": 2.5}", GLOT_BAD_FORMAT,
     "manifest.json': key 'bytes' is a number with a fraction, expected an integer"},
    {"state.json", "{\"sha256\": \"\", \"bytes\": -1}", GLOT_BAD_FORMAT,
     "state.json' is damaged: it has 375 bytes, its manifest says -1"},
};

/* o.KEY or o.mix.KEY. */
static void set_key(json_t *o, const char *key, const char *value)
{
    if (strncmp(key, "mix.", 4) == 0) {
        o = json_object_get(o, "mix");
        key += 4;
    }
    if (value)
        json_object_set_new(o, key, json_loads(value, JSON_DECODE_ANY, NULL));
    else
        json_object_del(o, key);
}

static void put_mutated(const char *name, const json_t *whole, const struct malformed *row)
{
    json_t *copy = json_deep_copy(whole);
    set_key(copy, row->key, row->value);
    char *text = json_dumps(copy, JSON_REAL_PRECISION(17));
    write_text(name, text);
    free(text);
    json_decref(copy);
}

static void expect_sentence(glot_status status, const glot_error *found, const struct malformed *row,
                            const char *begin)
{
    char sentence[400];
    snprintf(sentence, sizeof sentence, "'%s%s", begin, row->sentence);
    if (status != row->status || strcmp(found->message, sentence) != 0)
        fail_msg("%s = %s: %s \"%s\", expected %s \"%s\"", row->key, row->value ? row->value : "nothing",
                 glot_status_name(status), found->message, glot_status_name(row->status), sentence);
}

static void test_malformed_states_get_their_sentences(void **state)
{
    (void)state;
    save_at(in_dir("states"), GLOT_PHASE_TRAIN, 1, 1);
    json_t *whole = state_of(in_dir("states"));
    world w = world_open(GLOT_PHASE_TRAIN, 1);
    for (size_t i = 0; i < sizeof malformed_states / sizeof *malformed_states; i++) {
        glot_error found = {0};
        put_mutated("states/state.json", whole, &malformed_states[i]);
        glot_status status = glot_checkpoint_load(in_dir("states"), w.t, w.frozen, &found);
        expect_sentence(status, &found, &malformed_states[i], in_dir("states/state.json"));
    }
    world_close(&w);
    json_decref(whole);
}

static void test_malformed_manifests_get_their_sentences(void **state)
{
    (void)state;
    json_t *whole = NULL;
    save_at(in_dir("manifests"), GLOT_PHASE_TRAIN, 1, 1);
    assert_ok(glot_json_load_file(&whole, in_dir("manifests/manifest.json"), err));
    for (size_t i = 0; i < sizeof malformed_manifests / sizeof *malformed_manifests; i++) {
        glot_error found = {0};
        put_mutated("manifests/manifest.json", whole, &malformed_manifests[i]);
        glot_status status = glot_checkpoint_verify(in_dir("manifests"), NULL, &found);
        expect_sentence(status, &found, &malformed_manifests[i], in_dir("manifests/"));
    }
    json_decref(whole);
}

/* ---- full disks ---- */

/* Nothing but `older` in the folder, and it is the checkpoint of step 1. */
static void assert_only_older(void)
{
    char **names;
    size_t n;
    assert_ok(glot_dir_list(&names, &n, in_dir("runs"), err));
    assert_int_equal(n, 1);
    assert_string_equal(names[0], "older");
    glot_dir_list_free(names, n);
    json_t *found = state_of(in_dir("runs/older"));
    assert_int_equal(json_integer_value(json_object_get(found, "step")), 1);
    json_decref(found);
}

/* Fails the first, second, ... call until there are no more of them. */
static void check_full_disk(const world *w, const char *dir)
{
    for (uint64_t n = 1;; n++) {
        glot_error error = {0};
        glot_file_fail_after(n, ENOSPC);
        glot_status status = glot_checkpoint_save(dir, w->t, w->frozen, NULL, &error);
        glot_file_fail_after(0, 0);
        if (status == GLOT_OK) {
            assert_true(n > 15); /* four files and three folders */
            break;
        }
        assert_int_equal(status, GLOT_NO_SPACE);
        assert_non_null(strstr(error.message, in_dir("runs")));
        assert_only_older();
    }
    json_t *found = state_of(dir);
    assert_int_equal(json_integer_value(json_object_get(found, "step")), 2);
    json_decref(found);
}

static void test_full_disk(void **state)
{
    (void)state;
    save_at(in_dir("runs/older"), GLOT_PHASE_TRAIN, 1, 1);
    world w = world_open(GLOT_PHASE_TRAIN, 1);
    step_to(&w, 2);
    check_full_disk(&w, in_dir("runs/newer"));
    assert_ok(glot_dir_remove(in_dir("runs/newer"), err));
    check_full_disk(&w, in_dir("runs/older"));
    world_close(&w);
}

/* ---- power cuts ---- */

/* Which of the things that must be on the disk a failing call was for. */
static void mark_flushed(bool *is_flushed, const char *const *sentences, size_t n, const char *message)
{
    for (size_t i = 0; i < n; i++)
        is_flushed[i] = is_flushed[i] || strstr(message, sentences[i]);
}

/* Every file, the new folder before it gets its name, and the folder that holds the name afterwards are flushed. */
static void test_everything_is_flushed(void **state)
{
    (void)state;
    glot_str own = {0}, parent = {0};
    glot_str_printf(&own, "cannot flush the folder '%s.tmp-%ld'", in_dir("flushed/one"), (long)getpid());
    glot_str_printf(&parent, "cannot flush the folder '%s'", in_dir("flushed"));
    const char *const sentences[] = {"cannot flush '", own.data, parent.data};
    bool is_flushed[3] = {false};
    int n_files = 0;
    world w = world_open(GLOT_PHASE_TRAIN, 1);
    for (uint64_t n = 1;; n++) {
        glot_error error = {0};
        glot_file_fail_after(n, EIO);
        glot_status status = glot_checkpoint_save(in_dir("flushed/one"), w.t, w.frozen, NULL, &error);
        glot_file_fail_after(0, 0);
        if (status == GLOT_OK)
            break;
        mark_flushed(is_flushed, sentences, 3, error.message);
        n_files += strstr(error.message, sentences[0]) != NULL;
    }
    assert_int_equal(n_files, 4);
    assert_true(is_flushed[1]);
    assert_true(is_flushed[2]);
    glot_str_release(&own);
    glot_str_release(&parent);
    world_close(&w);
}

/* ---- a checkpoint of something else ---- */

static void assert_refused(world *w, const char *frozen, const char *word)
{
    glot_error error = {0};
    assert_true(glot_checkpoint_load(in_dir("other"), w->t, frozen, &error) != GLOT_OK);
    if (!strstr(error.message, word) || !strstr(error.message, in_dir("other")))
        fail_msg("'%s' does not say '%s' and the path", error.message, word);
    world_close(w);
}

static void test_of_something_else(void **state)
{
    (void)state;
    static const int32_t more[TINY_LAYERS] = {3, 2, 4}, shifted[TINY_LAYERS] = {4, 1, 3};
    save_at(in_dir("other"), GLOT_PHASE_TRAIN, 1, 2);
    world w = world_open(GLOT_PHASE_TRAIN, 1);
    char frozen[65];
    memcpy(frozen, w.frozen, sizeof frozen);
    assert_refused(&w, "0000", "frozen");
    w = world_open(GLOT_PHASE_REVIEW, 1);
    assert_refused(&w, frozen, "phase is 'train', expected 'review'");
    w = world_open(GLOT_PHASE_TRAIN, 1);
    w.t->settings.steps = 1;
    assert_refused(&w, frozen, "step 2");
    w = world_open_with(GLOT_PHASE_TRAIN, 1, layerwise, 1);
    assert_refused(&w, frozen, "mix.tokens");
    w = world_open_with(GLOT_PHASE_TRAIN, 1, more, 2);
    assert_refused(&w, frozen, "tensors, this run trains");
    w = world_open_with(GLOT_PHASE_TRAIN, 1, shifted, 2);
    assert_refused(&w, frozen, "is F32 [3, 24], expected F32 [4, 24]");
}

/* A loss that is not finite is told with the names of the languages it comes from. */
static void test_languages_are_named(void **state)
{
    (void)state;
    const float value = NAN;
    glot_step_report report;
    glot_error refusal = {0};
    world w = world_open(GLOT_PHASE_TRAIN, 1);
    glot_tensor first = glot_tensor_prefix_1d(&w.m->layers[1].down_proj[0]->weight, 1);
    w.be->upload(w.be, &first, &value);
    assert_int_equal(glot_trainer_step(w.t, &report, &refusal), GLOT_NUMERIC);
    assert_non_null(strstr(refusal.message, "step 1: the loss in text of aa, bb is not finite"));
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_continued),
                                       cmocka_unit_test(test_threads_are_not_in_it),
                                       cmocka_unit_test(test_extra),
                                       cmocka_unit_test(test_every_key_of_the_state),
                                       cmocka_unit_test(test_every_piece_of_a_trainer),
                                       cmocka_unit_test(test_damage),
                                       cmocka_unit_test(test_lying_manifests),
                                       cmocka_unit_test(test_full_disk),
                                       cmocka_unit_test(test_everything_is_flushed),
                                       cmocka_unit_test(test_of_something_else),
                                       cmocka_unit_test(test_languages_are_named),
                                       cmocka_unit_test(test_malformed_states_get_their_sentences),
                                       cmocka_unit_test(test_malformed_manifests_get_their_sentences)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
