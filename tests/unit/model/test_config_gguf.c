/* test_config_gguf.c: configurations from GGUF metadata: what each key means, defaults, and what is refused
 * with which sentence. The files are built here: metadata and tensors of which only the shapes matter. */
#include "model_util.h"
#include "base/str.h"

/* One metadata key: INT, REAL, TEXT or FLAG by which member is given. */
typedef struct key_value {
    const char *key;
    enum { INT, REAL, TEXT, FLAG } kind;
    int64_t integer;
    double real;
    const char *text;
} key_value;

typedef struct gguf_draft {
    key_value keys[40];
    size_t n_keys;
    int64_t vocab; /* rows of token_embd.weight; 0: no such tensor */
    bool has_output;
    const float *divisors; /* of rope_freqs.weight, or NULL */
    int64_t n_divisors;
} gguf_draft;

static void set(gguf_draft *d, key_value kv)
{
    for (size_t i = 0; i < d->n_keys; i++)
        if (strcmp(d->keys[i].key, kv.key) == 0) {
            d->keys[i] = kv;
            return;
        }
    d->keys[d->n_keys++] = kv;
}

static void unset(gguf_draft *d, const char *key)
{
    size_t kept = 0;
    for (size_t i = 0; i < d->n_keys; i++)
        if (strcmp(d->keys[i].key, key) != 0)
            d->keys[kept++] = d->keys[i];
    d->n_keys = kept;
}

static gguf_draft draft(void)
{
    gguf_draft d = {.vocab = 97};
    set(&d, (key_value){"general.architecture", TEXT, .text = "llama"});
    set(&d, (key_value){"llama.block_count", INT, .integer = 2});
    set(&d, (key_value){"llama.context_length", INT, .integer = 64});
    set(&d, (key_value){"llama.embedding_length", INT, .integer = 48});
    set(&d, (key_value){"llama.feed_forward_length", INT, .integer = 40});
    set(&d, (key_value){"llama.attention.head_count", INT, .integer = 6});
    set(&d, (key_value){"llama.attention.head_count_kv", INT, .integer = 2});
    set(&d, (key_value){"llama.attention.layer_norm_rms_epsilon", REAL, .real = 1e-5});
    return d;
}

static void put(glot_str *out, uint64_t value, size_t bytes)
{
    glot_str_append(out, &value, bytes); /* little-endian machines only */
}

static void put_text(glot_str *out, const char *text)
{
    put(out, strlen(text), 8);
    glot_str_puts(out, text);
}

static void put_key(glot_str *out, const key_value *kv)
{
    enum { UINT32 = 4, INT32 = 5, FLOAT32 = 6, BOOL = 7, STRING = 8 };
    float real = (float)kv->real;
    put_text(out, kv->key);
    switch (kv->kind) {
    case INT:
        put(out, kv->integer < 0 ? INT32 : UINT32, 4);
        put(out, (uint64_t)kv->integer, 4);
        break;
    case REAL:
        put(out, FLOAT32, 4);
        glot_str_append(out, &real, sizeof real);
        break;
    case TEXT:
        put(out, STRING, 4);
        put_text(out, kv->text);
        break;
    case FLAG:
        put(out, BOOL, 4);
        put(out, (uint64_t)kv->integer, 1);
        break;
    }
}

/* An F32 tensor's entry; rows 0: one dimension. */
static void put_tensor(glot_str *out, const char *name, int64_t cols, int64_t rows, uint64_t offset)
{
    put_text(out, name);
    put(out, rows ? 2 : 1, 4);
    put(out, (uint64_t)cols, 8);
    if (rows)
        put(out, (uint64_t)rows, 8);
    put(out, 0, 4); /* F32 */
    put(out, offset, 8);
}

static uint64_t padded(uint64_t bytes)
{
    return (bytes + 31) / 32 * 32;
}

static void build(glot_str *out, const gguf_draft *d)
{
    uint64_t embedding = padded((uint64_t)d->vocab * 48 * 4), divisors = padded((uint64_t)d->n_divisors * 4);
    glot_str_puts(out, "GGUF");
    put(out, 3, 4);
    put(out, (uint64_t)(d->vocab > 0) + d->has_output + (d->divisors != NULL), 8);
    put(out, d->n_keys, 8);
    for (size_t i = 0; i < d->n_keys; i++)
        put_key(out, &d->keys[i]);
    if (d->vocab)
        put_tensor(out, "token_embd.weight", 48, d->vocab, 0);
    if (d->divisors)
        put_tensor(out, "rope_freqs.weight", d->n_divisors, 0, embedding);
    if (d->has_output)
        put_tensor(out, "output.weight", 48, d->vocab, embedding + divisors);
    while (out->length % 32)
        put(out, 0, 1);
    for (uint64_t i = 0; i < embedding; i++)
        put(out, 0, 1);
    glot_str_append(out, d->divisors, (size_t)d->n_divisors * 4);
    for (uint64_t i = (uint64_t)d->n_divisors * 4; i < divisors + (d->has_output ? embedding : 0); i++)
        put(out, 0, 1);
    assert_false(out->failed);
}

static glot_status read_draft(glot_model_config *c, const gguf_draft *d, glot_error *err)
{
    glot_str bytes = {0};
    glot_gguf *g = NULL;
    build(&bytes, d);
    if (glot_gguf_parse(&g, (const uint8_t *)bytes.data, bytes.length, "m.gguf", err) != GLOT_OK)
        fail_msg("the test's own GGUF: %s", err->message);
    glot_status status = glot_config_from_gguf(c, g, err);
    glot_gguf_close(g);
    glot_str_release(&bytes);
    return status;
}

static glot_model_config accepted(const gguf_draft *d)
{
    glot_error err = {0};
    glot_model_config c;
    assert_ok(read_draft(&c, d, &err));
    return c;
}

static void test_keys(void **state)
{
    gguf_draft d = draft();
    glot_model_config c = accepted(&d);
    (void)state;
    assert_string_equal(c.model_type, "llama");
    assert_string_equal(c.architecture, "LlamaForCausalLM");
    assert_int_equal(c.hidden_size, 48);
    assert_int_equal(c.intermediate_size, 40);
    assert_int_equal(c.n_layers, 2);
    assert_int_equal(c.n_heads, 6);
    assert_int_equal(c.n_kv_heads, 2);
    assert_int_equal(c.head_dim, 8);
    assert_int_equal(c.vocab_size, 97);
    assert_int_equal(c.context_length, 64);
    assert_true(c.rms_norm_eps == 1e-5); /* the decimal, not the float32 that the file holds */
    assert_true(c.rope.theta == 10000.0 && c.rope.type == GLOT_ROPE_DEFAULT);
    assert_true(c.has_tied_embeddings);
    assert_int_equal(c.bos_id, -1);
    assert_int_equal(c.n_experts[1], 1);
}

static void test_optional_keys(void **state)
{
    gguf_draft d = draft();
    (void)state;
    d.has_output = true;
    unset(&d, "llama.attention.head_count_kv");
    set(&d, (key_value){"llama.rope.freq_base", REAL, .real = 5e5});
    set(&d, (key_value){"llama.attention.key_length", INT, .integer = 10});
    set(&d, (key_value){"llama.attention.value_length", INT, .integer = 10});
    set(&d, (key_value){"llama.rope.dimension_count", INT, .integer = 10});
    set(&d, (key_value){"llama.attention.sliding_window", INT, .integer = 32});
    set(&d, (key_value){"llama.attention.causal", FLAG, .integer = 1});
    set(&d, (key_value){"llama.vocab_size", INT, .integer = 97});
    set(&d, (key_value){"llama.expert_count", INT, .integer = 0});
    set(&d, (key_value){"tokenizer.ggml.bos_token_id", INT, .integer = 5});
    set(&d, (key_value){"tokenizer.ggml.eos_token_id", INT, .integer = 96});
    glot_model_config c = accepted(&d);
    assert_false(c.has_tied_embeddings);
    assert_int_equal(c.n_kv_heads, 6);
    assert_int_equal(c.head_dim, 10);
    assert_int_equal(c.context_length, 32);
    assert_int_equal(c.bos_id, 5);
    assert_int_equal(c.eos_id, 96);
    assert_true(c.rope.theta == 5e5);
}

static void test_linear_scaling(void **state)
{
    gguf_draft d = draft();
    glot_model_config c;
    (void)state;
    set(&d, (key_value){"llama.rope.scaling.factor", REAL, .real = 2.5});
    c = accepted(&d); /* llama.cpp's default type is linear */
    assert_true(c.rope.type == GLOT_ROPE_LINEAR && c.rope.factor == 2.5);
    set(&d, (key_value){"llama.rope.scaling.type", TEXT, .text = "linear"});
    c = accepted(&d);
    assert_true(c.rope.type == GLOT_ROPE_LINEAR && c.rope.factor == 2.5);
    set(&d, (key_value){"llama.rope.scaling.type", TEXT, .text = "none"});
    c = accepted(&d);
    assert_true(c.rope.type == GLOT_ROPE_DEFAULT);
    d = draft();
    set(&d, (key_value){"llama.rope.scale_linear", REAL, .real = 4.0});
    c = accepted(&d);
    assert_true(c.rope.type == GLOT_ROPE_LINEAR && c.rope.factor == 4.0);
}

/* Llama 3.1's divisors for head_dim 8, theta 10,000, factor 8, original context 1,024, as llama.cpp's
 * converter writes them. */
static const float llama3_divisors[4] = {1.0f, 1.0f, 3.2396418f, 8.0f};

static void test_llama3_scaling(void **state)
{
    gguf_draft d = draft();
    glot_error err = {0};
    glot_model_config c;
    (void)state;
    d.divisors = llama3_divisors;
    d.n_divisors = 4;
    set(&d, (key_value){"llama.rope.scaling.original_context_length", INT, .integer = 1024});
    c = accepted(&d);
    assert_int_equal(c.rope.type, GLOT_ROPE_LLAMA3);
    assert_true(c.rope.factor == 8.0 && c.rope.low_freq_factor == 1.0 && c.rope.high_freq_factor == 4.0);
    assert_int_equal(c.rope.original_max_positions, 1024);
    unset(&d, "llama.rope.scaling.original_context_length");
    assert_refused(read_draft(&c, &d, &err), GLOT_UNSUPPORTED,
                   "'m.gguf': tensor 'rope_freqs.weight' holds another scaling of the rotary embedding than "
                   "Llama 3.1's (low 1, "
                   "high 4, original context 8192), which is not supported");
    set(&d, (key_value){"llama.rope.scaling.factor", REAL, .real = 2.0});
    assert_refused(
        read_draft(&c, &d, &err), GLOT_UNSUPPORTED,
        "'m.gguf': it has both a linear scaling of the rotary embedding and the tensor 'rope_freqs.weight'");
    unset(&d, "llama.rope.scaling.factor");
    d.n_divisors = 3;
    assert_refused(read_draft(&c, &d, &err), GLOT_SHAPE_MISMATCH,
                   "'m.gguf': tensor 'rope_freqs.weight' is not F32 [4]");
}

static void test_refused(void **state)
{
    static const struct {
        key_value kv;
        glot_status status;
        const char *sentence;
    } cases[] = {
        {{"general.architecture", TEXT, .text = "gemma"},
         GLOT_UNSUPPORTED,
         "'m.gguf': metadata key 'general.architecture' is 'gemma', which is not supported, expected llama, "
         "qwen2 or qwen3"},
        {{"general.architecture", TEXT, .text = "mistral"},
         GLOT_UNSUPPORTED,
         "'m.gguf': metadata key 'general.architecture' is 'mistral', which is not supported, expected "
         "llama, qwen2 or qwen3"},
        {{"llama.attention.clamp_kqv", REAL, .real = 8},
         GLOT_UNSUPPORTED,
         "'m.gguf': metadata key 'llama.attention.clamp_kqv' is not supported"},
        {{"llama.expert_count", INT, .integer = 8},
         GLOT_UNSUPPORTED,
         "'m.gguf': metadata key 'llama.expert_count' is 8, which is not supported, expected 0"},
        {{"llama.attention.value_length", INT, .integer = 16},
         GLOT_UNSUPPORTED,
         "'m.gguf': metadata key 'llama.attention.value_length' is 16, which is not supported, expected 8"},
        {{"llama.rope.dimension_count", INT, .integer = 4},
         GLOT_UNSUPPORTED,
         "'m.gguf': metadata key 'llama.rope.dimension_count' is 4, which is not supported, expected 8"},
        {{"llama.attention.causal", FLAG, .integer = 0},
         GLOT_UNSUPPORTED,
         "'m.gguf': metadata key 'llama.attention.causal' is false, which is not supported"},
        {{"llama.rope.scaling.attn_factor", REAL, .real = 1.2},
         GLOT_UNSUPPORTED,
         "'m.gguf': metadata key 'llama.rope.scaling.attn_factor' is not 1, which is not supported"},
        {{"llama.rope.scaling.type", TEXT, .text = "yarn"},
         GLOT_UNSUPPORTED,
         "'m.gguf': metadata key 'llama.rope.scaling.type' is 'yarn', which is not supported, expected "
         "'none' or 'linear'"},
        {{"llama.vocab_size", INT, .integer = 96},
         GLOT_UNSUPPORTED,
         "'m.gguf': metadata key 'llama.vocab_size' is 96, which is not supported, expected 97"},
        {{"llama.block_count", INT, .integer = 0},
         GLOT_BAD_VALUE,
         "'m.gguf': the number of layers is 0, expected 1 to 512"},
        {{"llama.attention.head_count", INT, .integer = 0},
         GLOT_BAD_VALUE,
         "'m.gguf': the number of attention heads is 0, expected 1 to 1048576"},
        {{"llama.attention.head_count_kv", INT, .integer = 4},
         GLOT_BAD_VALUE,
         "'m.gguf': 6 attention heads cannot share 4 key/value heads evenly"},
        {{"llama.attention.key_length", INT, .integer = 7},
         GLOT_BAD_VALUE,
         "'m.gguf': the head dimension is 7, expected an even number"},
        {{"llama.embedding_length", INT, .integer = 0},
         GLOT_BAD_VALUE,
         "'m.gguf': the hidden size is 0, expected 1 to 1048576"},
        {{"llama.rope.freq_base", REAL, .real = -1},
         GLOT_BAD_VALUE,
         "'m.gguf': the rotary embedding's base is -1, expected a positive number"},
        {{"tokenizer.ggml.bos_token_id", INT, .integer = 97},
         GLOT_BAD_VALUE,
         "'m.gguf': the BOS token's id is 97 but the vocabulary has 97 entries"},
        {{"tokenizer.ggml.eos_token_id", INT, .integer = -7},
         GLOT_BAD_VALUE,
         "'m.gguf': metadata key 'tokenizer.ggml.eos_token_id' is -7, expected a token's id"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        glot_error err = {0};
        glot_model_config c;
        gguf_draft d = draft();
        set(&d, cases[i].kv);
        glot_status status = read_draft(&c, &d, &err);
        if (status != cases[i].status || strcmp(err.message, cases[i].sentence) != 0)
            fail_msg("%s: got %s, '%s', expected '%s'", cases[i].kv.key, glot_status_name(status),
                     err.message, cases[i].sentence);
    }
}

static void test_missing(void **state)
{
    static const char *const keys[] = {"general.architecture",
                                       "llama.block_count",
                                       "llama.context_length",
                                       "llama.embedding_length",
                                       "llama.feed_forward_length",
                                       "llama.attention.head_count",
                                       "llama.attention.layer_norm_rms_epsilon"};
    glot_error err = {0};
    glot_model_config c;
    (void)state;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        gguf_draft d = draft();
        unset(&d, keys[i]);
        assert_refused(read_draft(&c, &d, &err), GLOT_BAD_FORMAT, keys[i]);
    }
    gguf_draft d = draft();
    d.vocab = 0;
    assert_refused(read_draft(&c, &d, &err), GLOT_BAD_FORMAT,
                   "'m.gguf': tensor 'token_embd.weight' is missing");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),           cmocka_unit_test(test_optional_keys),
        cmocka_unit_test(test_linear_scaling), cmocka_unit_test(test_llama3_scaling),
        cmocka_unit_test(test_refused),        cmocka_unit_test(test_missing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
