/* test_cmd_model.c: the commands that run a model, eval, logits and generate, against one another: each says
 * in its own way what the others say. And what damaged models, odd texts and wrong words get: one sentence
 * and an exit code. */
#include "byte_folder.h"

#include <math.h>

static const char *model(void **state)
{
    return in_folder(state, "m");
}

/* "el=PATH"; holds for the next seven calls. */
static const char *as_language(const char *path)
{
    static char words[8][600];
    static int next;
    char *word = words[next++ % 8];
    snprintf(word, 600, "el=%s", path);
    return word;
}

/* ---- logits ---- */

static double real_at(const json_t *rows, size_t row, size_t i)
{
    return json_real_value(json_array_get(json_array_get(rows, row), i));
}

/* A row sums to 1, and --top is the head of it. */
static void test_logits(void **state)
{
    json_t *all = json_of(run_glot(state, "logits", model(state), "--ids", "256 97,98", "--all", "--json"));
    json_t *top =
        json_of(run_glot(state, "logits", model(state), "--ids", "256 97,98", "--top", "3", "--json"));
    const json_t *rows = json_object_get(all, "logp"), *ids = json_object_get(top, "top_ids"),
                 *values = json_object_get(top, "top_logp");
    assert_int_equal(json_object_size(all), 1);
    assert_int_equal(json_object_size(top), 2);
    assert_int_equal(json_array_size(rows), 3);
    for (size_t r = 0; r < 3; r++) {
        double sum = 0.0, greatest = -INFINITY;
        assert_int_equal(json_array_size(json_array_get(rows, r)), BYTE_VOCAB);
        for (size_t i = 0; i < BYTE_VOCAB; i++) {
            sum += exp(real_at(rows, r, i));
            greatest = fmax(greatest, real_at(rows, r, i));
        }
        assert_true(fabs(sum - 1.0) <= 1e-5);
        assert_true(real_at(values, r, 0) == greatest);
        assert_int_equal(json_array_size(json_array_get(ids, r)), 3);
        for (size_t k = 0; k < 3; k++) {
            size_t id = (size_t)json_integer_value(json_array_get(json_array_get(ids, r), k));
            assert_true(real_at(values, r, k) == real_at(rows, r, id));
            assert_true(k == 0 || real_at(values, r, k) <= real_at(values, r, k - 1));
        }
    }
    json_decref(all);
    json_decref(top);
}

static void test_logits_refuses(void **state)
{
    const char *m = model(state);
    char sentence[700], many[65 * 2 + 1] = "";
    expect_failure(run_glot(state, "logits", m, "--ids", "1 258"), 2,
                   "--ids: 258 is not below the model's vocabulary of 258");
    expect_failure(run_glot(state, "logits", m, "--ids", "1 -1"), 2, "--ids: '-1' is no token id");
    expect_failure(run_glot(state, "logits", m, "--ids", "1 9999999999"), 2,
                   "--ids: '9999999999' is no token id");
    expect_failure(run_glot(state, "logits", m, "--ids", "1 2x"), 2, "--ids: '2x' is no token id");
    expect_failure(run_glot(state, "logits", m, "--ids", " "), 2,
                   "--ids is empty, expected at least one token id");
    for (int i = 0; i < 65; i++)
        strcat(many, "1 ");
    snprintf(sentence, sizeof sentence, "a context of 65 tokens is outside 1 to 64, the context of '%s'", m);
    expect_failure(run_glot(state, "logits", m, "--ids", many), 2, sentence);
}

/* ---- eval ---- */

/* -sum of log p of `text` behind BYTE_END, from what `logits` prints. */
static double nll_from_logits(void **state, const char *text)
{
    glot_str ids = {0};
    double sum = 0.0;
    size_t n = strlen(text);
    glot_str_printf(&ids, "%d", BYTE_END);
    for (size_t i = 0; i + 1 < n; i++)
        glot_str_printf(&ids, " %u", (uint8_t)text[i]);
    json_t *all = json_of(run_glot(state, "logits", model(state), "--ids", ids.data, "--all", "--json"));
    for (size_t i = 0; i < n; i++)
        sum -= real_at(json_object_get(all, "logp"), i, (uint8_t)text[i]);
    json_decref(all);
    glot_str_release(&ids);
    return sum;
}

static const json_t *score_of(const json_t *document, const char *language)
{
    return json_object_get(json_object_get(document, "text"), language);
}

static void check_score(const json_t *score, double nll, int64_t tokens, int64_t documents)
{
    double found = json_real_value(json_object_get(score, "nll_nats"));
    bool ok = fabs(found - nll) <= 1e-12 * nll;
    if (!ok)
        fail_msg("%.17g, expected %.17g", found, nll);
    assert_int_equal(int_at(score, "tokens"), tokens);
    assert_int_equal(int_at(score, "bytes"), tokens);
    assert_int_equal(int_at(score, "documents"), documents);
    assert_true(fabs(json_real_value(json_object_get(score, "bits_per_byte")) -
                     nll / log(2.0) / (double)tokens) <= 1e-12);
}

/* The score is the sum of what `logits` says of each byte; the forms of a text file say the same. */
static void test_eval_is_the_sum_of_logits(void **state)
{
    const char *lines = put(state, "a.txt", "one\n\nα β\r\n");
    const char *json =
        put(state, "a.jsonl", "{\"text\": \"one\", \"id\": 1}\n{\"text\": \"\"}\n\n{\"text\": \"α β\"}");
    double nll = nll_from_logits(state, "one") + nll_from_logits(state, "α β");
    json_t *o = json_of(run_glot(state, "eval", model(state), "--text", as_language(lines), "--json"));
    check_score(score_of(o, "el"), nll, 8, 2);
    json_decref(o);
    o = json_of(run_glot(state, "eval", model(state), "--text", as_language(json), "--json"));
    check_score(score_of(o, "el"), nll, 8, 2);
    json_decref(o);
    o = json_of(run_glot_with(state, lines, NULL, ARGS("eval", model(state), "--text", "el=-", "--json")));
    check_score(score_of(o, "el"), nll, 8, 2);
    json_decref(o);
    o = json_of(
        run_glot(state, "eval", model(state), "--text", as_language(lines), "--max-tokens", "1", "--json"));
    check_score(score_of(o, "el"), nll_from_logits(state, "one"), 3, 1);
    json_decref(o);
}

/* A document longer than the context is cut into windows, each behind BOS. */
static void test_eval_of_a_long_document(void **state)
{
    char text[101];
    for (int i = 0; i < 100; i++)
        text[i] = (char)('a' + i % 7 + i % 5);
    text[100] = '\0';
    const char *path = put(state, "long.txt", text);
    char first[64], window[21];
    memcpy(first, text, 63);
    first[63] = '\0';
    double nll = nll_from_logits(state, first) + nll_from_logits(state, text + 63);
    json_t *o = json_of(run_glot(state, "eval", model(state), "--text", as_language(path), "--json"));
    check_score(score_of(o, "el"), nll, 100, 1);
    json_decref(o);
    nll = 0.0;
    for (int i = 0; i < 100; i += 20) {
        memcpy(window, text + i, 20);
        window[20] = '\0';
        nll += nll_from_logits(state, window);
    }
    o = json_of(
        run_glot(state, "eval", model(state), "--text", as_language(path), "--length", "20", "--json"));
    check_score(score_of(o, "el"), nll, 100, 1);
    json_decref(o);
}

static void expect_eval_refuses(void **state, const char *path, const char *end)
{
    char sentence[800];
    snprintf(sentence, sizeof sentence, "'%s'%s", path, end);
    expect_failure(run_glot(state, "eval", model(state), "--text", as_language(path), "--json", "--quiet"), 3,
                   sentence);
}

static void test_eval_of_bad_text(void **state)
{
    static const char none[] = "language 'el' has no text to score";
    expect_eval_refuses(state, put(state, "bad.txt", "ok\nb\xff\n"), " line 2: byte 2 (0xff) is not UTF-8");
    expect_eval_refuses(state, put(state, "key.jsonl", "{\"text\": \"a\"}\n{\"tex\": 1}\n"),
                        " line 2: the key 'text' is missing");
    expect_eval_refuses(state, in_folder(state, "none.txt"), ": no such file");
    expect_eval_refuses(
        state, put_bytes(state, "cut.txt.gz", "\x1f\x8b\x08\0\0\0\0\0\0\3\x4b", 11),
        " after line 0: the gzip data stops inside a member at byte 11: the file is truncated");
    const char *empty[] = {put(state, "empty.txt", ""), put(state, "lines.txt", "\n\r\n\n"),
                           put(state, "texts.jsonl", "{\"text\": \"\"}\n")};
    for (size_t i = 0; i < 3; i++)
        expect_failure(
            run_glot(state, "eval", model(state), "--text", as_language(empty[i]), "--json", "--quiet"), 3,
            none);
    const char *text = put(state, "skip.txt", "ok\nb\xff\nyes\n");
    json_t *o = json_of(
        run_glot(state, "eval", model(state), "--text", as_language(text), "--skip-bad-lines", "--json"));
    check_score(score_of(o, "el"), nll_from_logits(state, "ok") + nll_from_logits(state, "yes"), 5, 2);
    json_decref(o);
}

static void test_eval_usage(void **state)
{
    const char *text = as_language(put(state, "a.txt", "a"));
    expect_failure(
        run_glot(state, "eval", model(state), "--text", text, "--length", "64", "--json", "--quiet"), 2,
        "windows of 64 tokens are outside 1 to 63, the model's context less one");
    expect_failure(run_glot(state, "eval", model(state)), 2,
                   "expected MODEL with --text LANG=FILE, --tasks FILE or --translate, or --hypotheses FILE and --references FILE");
    expect_failure(run_glot(state, "eval", model(state), "--text", "a.txt"), 2,
                   "--text: 'a.txt' names no language, expected LANG=FILE");
}

/* ---- generate ---- */

static json_t *generate(void **state, const char *const *more)
{
    const char *args[16] = {"generate", model(state), "--json", "--max-tokens", "8"};
    for (int n = 5; *more; n++, more++)
        args[n] = *more;
    return json_of(run_glot_with(state, NULL, NULL, args));
}

/* Greedy: every id is the likeliest after those before it, with the log p that `logits` gives. */
static void test_generate_is_greedy(void **state)
{
    json_t *o = generate(state, ARGS("--prompt", "ab"));
    const json_t *ids = json_object_get(o, "ids"), *values = json_object_get(o, "logp");
    glot_str all = {0};
    glot_str_puts(&all, "97 98");
    assert_int_equal(int_at(o, "prompt_tokens"), 2);
    assert_int_equal(json_array_size(ids), 8);
    for (size_t i = 0; i < 8; i++)
        glot_str_printf(&all, " %d", (int)json_integer_value(json_array_get(ids, i)));
    json_t *top = json_of(run_glot(state, "logits", model(state), "--ids", all.data, "--top", "1", "--json"));
    for (size_t i = 0; i < 8; i++) {
        const json_t *likeliest = json_array_get(json_array_get(json_object_get(top, "top_ids"), i + 1), 0);
        assert_true(json_equal(json_array_get(ids, i), likeliest));
        assert_true(json_real_value(json_array_get(values, i)) ==
                    real_at(json_object_get(top, "top_logp"), i + 1, 0));
    }
    glot_str_release(&all);
    json_decref(top);
    json_decref(o);
}

/* What standard output gets is the text of the ids and a newline; in JSON, bytes that are no UTF-8 are
 * replaced. */
static void test_generated_text(void **state)
{
    json_t *o = generate(state, ARGS("--prompt", "ab"));
    glot_run run =
        run_glot(state, "generate", model(state), "--prompt", "ab", "--max-tokens", "8", "--quiet");
    char expected[10] = "";
    for (size_t i = 0; i < 8; i++)
        expected[i] = (char)json_integer_value(json_array_get(json_object_get(o, "ids"), i));
    expected[8] = '\n';
    assert_int_equal(run.exit_code, 0);
    assert_int_equal(run.out_size, 9);
    assert_memory_equal(run.out, expected, 9);
    assert_true(strlen(text_at(o, "text")) >= 8);
    run_release(&run);
    json_decref(o);
}

static void test_seeds(void **state)
{
    json_t *a = generate(state, ARGS("--prompt", "ab", "--temperature", "2", "--seed", "5"));
    json_t *b = generate(state, ARGS("--prompt", "ab", "--temperature", "2", "--seed", "5"));
    json_t *c = generate(state, ARGS("--prompt", "ab", "--temperature", "2", "--seed", "6"));
    json_t *one =
        generate(state, ARGS("--prompt", "ab", "--temperature", "2", "--seed", "6", "--top-k", "1"));
    json_t *greedy = generate(state, ARGS("--prompt", "ab"));
    assert_true(json_equal(json_object_get(a, "ids"), json_object_get(b, "ids")));
    assert_false(json_equal(json_object_get(a, "ids"), json_object_get(c, "ids")));
    assert_true(json_equal(json_object_get(one, "ids"), json_object_get(greedy, "ids")));
    json_decref(a);
    json_decref(b);
    json_decref(c);
    json_decref(one);
    json_decref(greedy);
}

/* Generation stops before the first --stop that comes; an empty prompt begins with BOS. */
static void test_stop_and_empty_prompt(void **state)
{
    glot_str text = {0};
    char stop[2] = "";
    glot_run run = run_glot(state, "generate", model(state), "--prompt", "", "--max-tokens", "40", "--quiet");
    assert_int_equal(run.exit_code, 0);
    size_t at = 3; /* the first ASCII character from there on that is not among those before */
    while (at + 1 < run.out_size && (run.out[at] <= ' ' || memchr(run.out, run.out[at], at)))
        at++;
    assert_true(at + 1 < run.out_size);
    stop[0] = run.out[at];
    glot_str_append(&text, run.out, at);
    glot_str_puts(&text, "\n");
    run_release(&run);
    run = run_glot(state, "generate", model(state), "--prompt", "", "--max-tokens", "40", "--stop", stop,
                   "--quiet");
    assert_int_equal(run.out_size, text.length);
    assert_memory_equal(run.out, text.data, text.length);
    run_release(&run);
    glot_str_release(&text);
}

static void test_generate_refuses(void **state)
{
    char many[80], sentence[700];
    memset(many, 'a', sizeof many - 1);
    many[sizeof many - 1] = '\0';
    expect_failure(run_glot(state, "generate", model(state), "--prompt", many), 2,
                   "the prompt has 79 tokens, and the model's context is 64");
    expect_failure(run_glot(state, "generate", model(state), "--prompt", "a\xff"), 2,
                   "--prompt: byte 2 (0xff) is not UTF-8");
    expect_failure(run_glot(state, "generate", model(state)), 2, "option '--prompt' is missing");
    put(state, "m/tokenizer_config.json", "{\"chat_template\": \"{{ messages }}\"}");
    snprintf(sentence, sizeof sentence,
             "'%s/tokenizer_config.json': the chat template is none of chatml, llama-3, llama-2, mistral",
             model(state));
    expect_failure(run_glot(state, "generate", model(state), "--prompt", "a", "--chat"), 3, sentence);
    put(state, "m/tokenizer_config.json", "{\"chat_template\": \"[INST] [/INST]\"}");
    json_t *o = generate(state, ARGS("--prompt", "a", "--chat"));
    assert_int_equal(int_at(o, "prompt_tokens"), strlen("[INST] a [/INST]"));
    json_decref(o);
}

/* ---- damaged models ---- */

/* Replaces the first `from` in a file by `to`, as long; at `offset` from there. */
static void edit(const char *path, const char *from, long offset, const void *to, size_t n)
{
    char *bytes = NULL;
    size_t size = 0;
    assert_int_equal(glot_file_read(&bytes, &size, path, 1 << 24, NULL), GLOT_OK);
    char *at = memmem(bytes, size, from, strlen(from));
    assert_non_null(at);
    memcpy(at + offset, to, n);
    assert_int_equal(glot_file_write(path, bytes, size, NULL), GLOT_OK);
    glot_free(bytes);
}

#define WEIGHTS "m/model.safetensors"

/* Every command that runs a model refuses it with the same sentence, and upcycling leaves nothing. */
static void expect_model_refused(void **state, const char *sentence)
{
    const char *m = model(state), *out = in_folder(state, "up"),
               *text = as_language(put(state, "a.txt", "a\n"));
    expect_failure(run_glot(state, "inspect", m), 3, sentence);
    expect_failure(run_glot(state, "logits", m, "--ids", "1"), 3, sentence);
    expect_failure(run_glot(state, "eval", m, "--text", text, "--json", "--quiet"), 3, sentence);
    expect_failure(run_glot(state, "generate", m, "--prompt", "a"), 3, sentence);
    expect_failure(run_glot(state, "upcycle", m, "--experts", "2", "--out", out), 3, sentence);
    assert_false(glot_path_exists(out));
}

static void test_missing_tensor(void **state)
{
    char sentence[700];
    edit(in_folder(state, WEIGHTS), "model.layers.1.mlp.up_proj", 19, "xx", 2);
    snprintf(sentence, sizeof sentence, "'%s': tensor 'model.layers.1.mlp.up_proj.weight' is missing",
             model(state));
    expect_model_refused(state, sentence);
}

static void test_wrong_shape(void **state)
{
    char sentence[700];
    edit(in_folder(state, WEIGHTS), "[37,24]", 0, "[24,37]", 7);
    const char *file = in_folder(state, WEIGHTS);
    snprintf(sentence, sizeof sentence,
             "'%s': tensor 'model.layers.0.mlp.gate_proj.weight' has shape [24, 37], expected [37, 24]",
             file);
    expect_model_refused(state, sentence);
}

static void test_wrong_type(void **state)
{
    char sentence[700];
    edit(in_folder(state, WEIGHTS), "\"F32\"", 0, "\"I32\"", 5);
    const char *file = in_folder(state, WEIGHTS);
    snprintf(sentence, sizeof sentence,
             "'%s': tensor 'model.embed_tokens.weight' has type I32, expected F32, F16 or BF16", file);
    expect_model_refused(state, sentence);
}

static void test_truncated_weights(void **state)
{
    char *bytes = NULL, sentence[700];
    size_t size = 0;
    const char *file = in_folder(state, WEIGHTS);
    assert_int_equal(glot_file_read(&bytes, &size, file, 1 << 24, NULL), GLOT_OK);
    assert_int_equal(glot_file_write(file, bytes, size - 1, NULL), GLOT_OK);
    glot_free(bytes);
    glot_run run = run_glot(state, "inspect", model(state));
    snprintf(sentence, sizeof sentence, "error: '%s': tensor 'model.norm.weight' ends at byte ", file);
    assert_int_equal(run.exit_code, 3);
    assert_int_equal(strncmp(run.err, sentence, strlen(sentence)), 0);
    run.err[strlen(run.err) - 1] = '\0';
    expect_model_refused(state, run.err + strlen("error: "));
    run_release(&run);
}

/* Opening looks at structure; inspect and training look at values, and the result of a run is never a NaN. */
static void test_weight_that_is_no_number(void **state)
{
    static const float nan_bits = NAN;
    char sentence[900], *bytes = NULL;
    size_t size = 0;
    const char *m = model(state), *file = in_folder(state, WEIGHTS), *up = in_folder(state, "up"),
               *run = in_folder(state, "run"),
               *text = as_language(put(state, "a.txt", "some text that is long enough\n"));
    assert_int_equal(glot_file_read(&bytes, &size, file, 1 << 24, NULL), GLOT_OK);
    memcpy(bytes + size - sizeof nan_bits, &nan_bits, sizeof nan_bits);
    assert_int_equal(glot_file_write(file, bytes, size, NULL), GLOT_OK);
    glot_free(bytes);
    snprintf(sentence, sizeof sentence,
             "'%s': tensor 'model.norm.weight' has a NaN at [23], expected finite numbers", file);
    expect_failure(run_glot(state, "inspect", m), 3, sentence);
    snprintf(sentence, sizeof sentence,
             "'%s': a log p is not finite; is a weight not a number? (`glot inspect` looks)", m);
    expect_failure(run_glot(state, "logits", m, "--ids", "1"), 1, sentence);
    expect_failure(run_glot(state, "eval", m, "--text", text, "--json", "--quiet"), 1, sentence);
    expect_failure(run_glot(state, "generate", m, "--prompt", "a"), 1, sentence);
    glot_run made = run_glot(state, "upcycle", m, "--experts", "2", "--out", up, "--quiet");
    assert_int_equal(made.exit_code, 0);
    run_release(&made);
    snprintf(sentence, sizeof sentence,
             "'%s': tensor 'model.norm.weight' has a NaN at [23], expected finite numbers", up);
    expect_failure(run_glot(state, "train", up, "--text", text, "--steps", "1", "--length", "8", "--batch",
                            "1", "--out", run),
                   3, sentence);
    assert_false(glot_path_exists(run));
}

static void test_tokenizer_that_does_not_fit(void **state)
{
    char sentence[700];
    glot_str json = {0};
    static const char more[] = "{\"id\":257,\"content\":\"<a>\",\"single_word\":false,\"lstrip\":false,"
                               "\"rstrip\":false,\"normalized\":false,\"special\":true},"
                               "{\"id\":258,\"content\":\"<b>\",\"single_word\":false,\"lstrip\":false,"
                               "\"rstrip\":false,\"normalized\":false,\"special\":true}";
    byte_tokenizer_json(&json);
    char *end = strstr(json.data, "],\"normalizer\":null");
    glot_str larger = {0};
    glot_str_append(&larger, json.data, (size_t)(end - json.data));
    glot_str_printf(&larger, ",%s%s", more, end);
    const char *m = model(state), *text = as_language(put(state, "a.txt", "a\n"));
    put_bytes(state, "m/tokenizer.json", larger.data, larger.length);
    snprintf(sentence, sizeof sentence,
             "'%s': the tokenizer has ids up to 258, but the model's vocabulary has 258 entries", m);
    expect_failure(run_glot(state, "inspect", m), 3, sentence);
    expect_failure(run_glot(state, "eval", m, "--text", text, "--json", "--quiet"), 3, sentence);
    expect_failure(run_glot(state, "generate", m, "--prompt", "a"), 3, sentence);
    glot_str_release(&json);
    glot_str_release(&larger);
}

static void test_parts_that_are_not_there(void **state)
{
    char sentence[700];
    const char *m = model(state);
    assert_int_equal(remove(in_folder(state, "m/tokenizer.json")), 0);
    snprintf(sentence, sizeof sentence, "'%s' holds no tokenizer.json", m);
    expect_failure(run_glot(state, "generate", m, "--prompt", "a"), 3, sentence);
    assert_int_equal(remove(in_folder(state, WEIGHTS)), 0);
    snprintf(sentence, sizeof sentence,
             "'%s' has neither 'model.safetensors' nor 'model.safetensors.index.json'", m);
    expect_model_refused(state, sentence);
    put(state, "m/config.json", "{\"model_type\": \"gpt_neox\"}");
    glot_run run = run_glot(state, "logits", m, "--ids", "1");
    assert_int_equal(run.exit_code, 3);
    assert_non_null(strstr(run.err, "gpt_neox"));
    run_release(&run);
}

int main(void)
{
#define WITH_MODEL(test) cmocka_unit_test_setup_teardown(test, make_model, remove_folder)
    const struct CMUnitTest tests[] = {
        WITH_MODEL(test_logits),
        WITH_MODEL(test_logits_refuses),
        WITH_MODEL(test_eval_is_the_sum_of_logits),
        WITH_MODEL(test_eval_of_a_long_document),
        WITH_MODEL(test_eval_of_bad_text),
        WITH_MODEL(test_eval_usage),
        WITH_MODEL(test_generate_is_greedy),
        WITH_MODEL(test_generated_text),
        WITH_MODEL(test_seeds),
        WITH_MODEL(test_stop_and_empty_prompt),
        WITH_MODEL(test_generate_refuses),
        WITH_MODEL(test_missing_tensor),
        WITH_MODEL(test_wrong_shape),
        WITH_MODEL(test_wrong_type),
        WITH_MODEL(test_truncated_weights),
        WITH_MODEL(test_weight_that_is_no_number),
        WITH_MODEL(test_tokenizer_that_does_not_fit),
        WITH_MODEL(test_parts_that_are_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
