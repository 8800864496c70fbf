/* test_config.c: config.json of every architecture in both spellings, what is refused and with which
 * sentence, the object of an expanded model, what is written, and the tables of the rotary embedding. */
#include "model_util.h"

#include <math.h>

static const char path[] = "m/config.json";

/* A small config.json of an architecture with `patch` laid over it: keys replaced, or removed where the patch
 * has the string "-". */
static json_t *patched(const char *model_type, const char *architecture, const char *patch)
{
    json_t *root = json_pack("{s:s, s:[s], s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:f}", "model_type", model_type,
                             "architectures", architecture, "hidden_size", 48, "intermediate_size", 40,
                             "num_hidden_layers", 3, "num_attention_heads", 6, "num_key_value_heads", 2,
                             "vocab_size", 97, "max_position_embeddings", 64, "rms_norm_eps", 1e-5);
    json_error_t problem;
    json_t *changes = json_loads(patch, JSON_REJECT_DUPLICATES, &problem), *value;
    const char *key;
    if (!root || !changes)
        fail_msg("the test's own JSON: %s", problem.text);
    json_object_foreach(changes, key, value)
    {
        if (json_is_string(value) && strcmp(json_string_value(value), "-") == 0)
            json_object_del(root, key);
        else
            json_object_set(root, key, value);
    }
    json_decref(changes);
    return root;
}

static const char *architecture_of(const char *model_type)
{
    return strcmp(model_type, "llama") == 0     ? "LlamaForCausalLM"
           : strcmp(model_type, "mistral") == 0 ? "MistralForCausalLM"
           : strcmp(model_type, "qwen2") == 0   ? "Qwen2ForCausalLM"
           : strcmp(model_type, "qwen3") == 0   ? "Qwen3ForCausalLM"
                                                : "GlotForCausalLM";
}

static glot_status read_patched(glot_model_config *c, const char *model_type, const char *patch,
                                glot_error *err)
{
    json_t *root = patched(model_type, architecture_of(model_type), patch);
    glot_status status = glot_config_from_json(c, root, path, err);
    json_decref(root);
    return status;
}

static void accept(glot_model_config *c, const char *model_type, const char *patch)
{
    glot_error err = {0};
    if (read_patched(c, model_type, patch, &err) != GLOT_OK)
        fail_msg("%s with %s: %s", model_type, patch, err.message);
}

static void test_architectures(void **state)
{
    glot_model_config c;
    (void)state;
    accept(&c, "llama", "{}");
    assert_string_equal(c.model_type, "llama");
    assert_string_equal(c.architecture, "LlamaForCausalLM");
    assert_int_equal(c.hidden_size, 48);
    assert_int_equal(c.intermediate_size, 40);
    assert_int_equal(c.n_layers, 3);
    assert_int_equal(c.n_heads, 6);
    assert_int_equal(c.n_kv_heads, 2);
    assert_int_equal(c.head_dim, 8);
    assert_int_equal(c.vocab_size, 97);
    assert_int_equal(c.context_length, 64);
    assert_true(c.rms_norm_eps == 1e-5 && c.rope.theta == 10000.0 && c.rope.type == GLOT_ROPE_DEFAULT);
    assert_false(c.has_qkv_bias || c.has_qk_norm || c.has_tied_embeddings || c.is_expanded);
    assert_int_equal(c.bos_id, -1);
    assert_int_equal(c.eos_id, -1);
    assert_int_equal(c.top_k, 1);
    assert_int_equal(c.n_experts[0], 1);
    glot_config_release(&c);
    accept(&c, "mistral", "{}");
    assert_false(c.has_qkv_bias || c.has_qk_norm);
    glot_config_release(&c);
    accept(&c, "qwen2", "{\"attention_bias\": false}"); /* transformers does not read it there */
    assert_true(c.has_qkv_bias && !c.has_qk_norm);
    glot_config_release(&c);
    accept(&c, "qwen3", "{\"head_dim\": 10}");
    assert_true(!c.has_qkv_bias && c.has_qk_norm);
    assert_int_equal(c.head_dim, 10);
    glot_config_release(&c);
}

/* What transformers 5.23 takes where a key is missing, and where it is null. */
static void test_defaults(void **state)
{
    glot_model_config c;
    (void)state;
    accept(&c, "llama",
           "{\"num_key_value_heads\": \"-\", \"max_position_embeddings\": \"-\", \"rms_norm_eps\": \"-\"}");
    assert_int_equal(c.n_kv_heads, 6);
    assert_int_equal(c.context_length, 2048);
    assert_true(c.rms_norm_eps == 1e-6);
    accept(&c, "mistral",
           "{\"num_key_value_heads\": \"-\", \"num_attention_heads\": 16, \"head_dim\": 4, "
           "\"max_position_embeddings\": \"-\"}");
    assert_int_equal(c.n_kv_heads, 8);
    assert_int_equal(c.context_length, 4096);
    accept(&c, "mistral",
           "{\"num_key_value_heads\": null, \"sliding_window\": null, \"max_position_embeddings\": \"-\"}");
    assert_int_equal(c.n_kv_heads, 6);
    assert_int_equal(c.context_length, 131072);
    accept(&c, "qwen2",
           "{\"num_key_value_heads\": \"-\", \"num_attention_heads\": 64, \"hidden_size\": 128}");
    assert_int_equal(c.n_kv_heads, 32);
    accept(&c, "qwen3", "{}");
    assert_int_equal(c.head_dim, 128);
    accept(&c, "qwen3", "{\"head_dim\": null}");
    assert_int_equal(c.head_dim, 8);
    accept(&c, "llama", "{\"tie_word_embeddings\": true, \"architectures\": \"-\"}");
    assert_true(c.has_tied_embeddings);
}

static void test_windows(void **state)
{
    static const struct {
        const char *model_type, *patch;
        int64_t context;
    } cases[] = {
        {"mistral", "{\"sliding_window\": 20}", 20},
        {"mistral", "{\"sliding_window\": 200}", 64},
        {"mistral", "{\"sliding_window\": 20, \"use_sliding_window\": false}",
         20}, /* a key that Mistral does not have */
        {"qwen2", "{\"sliding_window\": 20}", 64},
        {"qwen2", "{\"sliding_window\": 20, \"use_sliding_window\": false}", 64},
        {"qwen2", "{\"sliding_window\": 20, \"use_sliding_window\": true, \"max_window_layers\": 2}", 20},
        {"qwen2", "{\"sliding_window\": 20, \"use_sliding_window\": true, \"max_window_layers\": 3}", 64},
        {"qwen3", "{\"sliding_window\": 20, \"layer_types\": [\"full_attention\", \"sliding_attention\"]}",
         20},
        {"qwen3", "{\"sliding_window\": null, \"layer_types\": [\"full_attention\", \"full_attention\"]}",
         64},
        {"llama", "{\"sliding_window\": 20}", 64},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        glot_model_config c;
        accept(&c, cases[i].model_type, cases[i].patch);
        if (c.context_length != cases[i].context)
            fail_msg("%s with %s: context %" PRId64 ", expected %" PRId64, cases[i].model_type,
                     cases[i].patch, c.context_length, cases[i].context);
    }
}

static void test_rope(void **state)
{
    glot_model_config c;
    (void)state;
    accept(&c, "llama",
           "{\"rope_theta\": 500000, \"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 8, "
           "\"low_freq_factor\": 1, \"high_freq_factor\": 4.0, \"original_max_position_embeddings\": 8192}}");
    assert_true(c.rope.type == GLOT_ROPE_LLAMA3 && c.rope.theta == 500000.0 && c.rope.factor == 8.0);
    assert_true(c.rope.low_freq_factor == 1.0 && c.rope.high_freq_factor == 4.0 &&
                c.rope.original_max_positions == 8192);
    accept(&c, "llama", "{\"rope_scaling\": {\"type\": \"linear\", \"factor\": 2.5}}");
    assert_true(c.rope.type == GLOT_ROPE_LINEAR && c.rope.factor == 2.5 && c.rope.theta == 10000.0);
    accept(
        &c, "qwen2",
        "{\"rope_parameters\": {\"rope_type\": \"default\", \"rope_theta\": 1e6}, \"rope_scaling\": null}");
    assert_true(c.rope.type == GLOT_ROPE_DEFAULT && c.rope.theta == 1e6);
    accept(&c, "llama",
           "{\"rope_theta\": 7.0, \"rope_parameters\": {\"rope_type\": \"linear\", \"factor\": 3, "
           "\"rope_theta\": 5}}");
    assert_true(c.rope.type == GLOT_ROPE_LINEAR && c.rope.factor == 3.0 && c.rope.theta == 5.0);
    accept(&c, "llama",
           "{\"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 8, \"low_freq_factor\": 1, "
           "\"high_freq_factor\": 4}}");
    assert_int_equal(c.rope.original_max_positions, 64);
    accept(&c, "llama", "{\"partial_rotary_factor\": 1.0, \"rope_scaling\": {}}");
    assert_true(c.rope.type == GLOT_ROPE_DEFAULT);
}

static void test_ids(void **state)
{
    glot_model_config c;
    (void)state;
    accept(&c, "llama", "{\"bos_token_id\": 3, \"eos_token_id\": [9, 7]}");
    assert_int_equal(c.bos_id, 3);
    assert_int_equal(c.eos_id, 9);
    accept(&c, "llama", "{\"bos_token_id\": null, \"eos_token_id\": []}");
    assert_int_equal(c.bos_id, -1);
    assert_int_equal(c.eos_id, -1);
}

typedef struct refusal {
    const char *model_type, *patch;
    glot_status status;
    const char *sentence;
} refusal;

static void refuse_all(const refusal *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        glot_model_config c;
        glot_error err = {0};
        glot_status status = read_patched(&c, cases[i].model_type, cases[i].patch, &err);
        if (status != cases[i].status || strcmp(err.message, cases[i].sentence) != 0)
            fail_msg("%s with %s: got %s, '%s', expected %s, '%s'", cases[i].model_type, cases[i].patch,
                     glot_status_name(status), err.message, glot_status_name(cases[i].status),
                     cases[i].sentence);
    }
}

#define KEY(name, value, expected)                                                                           \
    "'m/config.json': key '" name "' is " value ", which is not supported, expected " expected

static void test_refused(void **state)
{
    static const refusal cases[] = {
        {"llama", "{\"model_type\": \"gemma\"}", GLOT_UNSUPPORTED,
         KEY("model_type", "'gemma'", "one of llama, mistral, qwen2, qwen3")},
        {"llama", "{\"model_type\": \"-\"}", GLOT_BAD_FORMAT, "'m/config.json': key 'model_type' is missing"},
        {"llama", "{\"architectures\": [\"LlamaModel\"]}", GLOT_UNSUPPORTED,
         KEY("architectures", "[\"LlamaModel\"]", "[\"LlamaForCausalLM\"]")},
        {"llama", "{\"architectures\": [\"LlamaForCausalLM\", \"X\"]}", GLOT_UNSUPPORTED,
         KEY("architectures", "[\"LlamaForCausalLM\", \"X\"]", "[\"LlamaForCausalLM\"]")},
        {"qwen2", "{\"architectures\": \"Qwen2ForCausalLM\"}", GLOT_UNSUPPORTED,
         KEY("architectures", "\"Qwen2ForCausalLM\"", "[\"Qwen2ForCausalLM\"]")},
        {"llama", "{\"hidden_act\": \"gelu\"}", GLOT_UNSUPPORTED, KEY("hidden_act", "\"gelu\"", "'silu'")},
        {"llama", "{\"attention_bias\": true}", GLOT_UNSUPPORTED, KEY("attention_bias", "true", "false")},
        {"qwen3", "{\"attention_bias\": true}", GLOT_UNSUPPORTED, KEY("attention_bias", "true", "false")},
        {"mistral", "{\"attention_bias\": true}", GLOT_UNSUPPORTED, KEY("attention_bias", "true", "false")},
        {"llama", "{\"mlp_bias\": true}", GLOT_UNSUPPORTED, KEY("mlp_bias", "true", "false")},
        {"llama", "{\"partial_rotary_factor\": 0.5}", GLOT_UNSUPPORTED,
         KEY("partial_rotary_factor", "0.5", "1")},
        {"llama", "{\"quantization_config\": {\"bits\": 4}}", GLOT_UNSUPPORTED,
         KEY("quantization_config", "{\"bits\": 4}", "no such key")},
        {"mistral", "{\"num_local_experts\": 8}", GLOT_UNSUPPORTED, KEY("num_local_experts", "8", "0")},
        {"qwen3", "{\"num_experts\": 128}", GLOT_UNSUPPORTED, KEY("num_experts", "128", "0")},
        {"llama", "{\"attn_logit_softcapping\": 50.0}", GLOT_UNSUPPORTED,
         KEY("attn_logit_softcapping", "50.0", "no such key")},
        {"llama", "{\"embedding_multiplier\": 12}", GLOT_UNSUPPORTED, KEY("embedding_multiplier", "12", "1")},
        {"llama", "{\"no_rope_layers\": [1, 1, 0]}", GLOT_UNSUPPORTED,
         KEY("no_rope_layers", "[1, 1, 0]", "no such key")},
        {"llama", "{\"is_causal\": false}", GLOT_UNSUPPORTED, KEY("is_causal", "false", "true")},
        {"mistral", "{\"vision_config\": {}}", GLOT_UNSUPPORTED, KEY("vision_config", "{}", "no such key")},
        {"llama", "{\"auto_map\": {\"AutoModelForCausalLM\": \"my.Model\"}}", GLOT_UNSUPPORTED,
         KEY("auto_map.AutoModelForCausalLM", "\"my.Model\"", "no code of its own")},
        {"qwen3", "{\"layer_types\": [\"chunked_attention\"]}", GLOT_UNSUPPORTED,
         KEY("layer_types", "\"chunked_attention\"", "'full_attention' or 'sliding_attention'")},
        {"llama", "{\"rope_scaling\": {\"type\": \"yarn\", \"factor\": 4}}", GLOT_UNSUPPORTED,
         KEY("rope_scaling.type", "\"yarn\"", "one of default, linear, llama3")},
        {"llama", "{\"rope_scaling\": {\"rope_type\": \"dynamic\", \"factor\": 4}}", GLOT_UNSUPPORTED,
         KEY("rope_scaling.rope_type", "\"dynamic\"", "one of default, linear, llama3")},
        {"qwen2", "{\"rope_parameters\": {\"rope_type\": \"longrope\"}}", GLOT_UNSUPPORTED,
         KEY("rope_parameters.rope_type", "\"longrope\"", "one of default, linear, llama3")},
        {"qwen2", "{\"rope_scaling\": {\"type\": \"default\", \"mrope_section\": [1]}}", GLOT_UNSUPPORTED,
         KEY("rope_scaling.mrope_section", "[1]", "no such key")},
        {"llama", "{\"rope_parameters\": {\"full_attention\": {\"rope_type\": \"default\"}}}",
         GLOT_UNSUPPORTED,
         KEY("rope_parameters.full_attention", "{\"rope_type\": \"default\"}", "no such key")},
        {"llama", "{\"rope_parameters\": {\"rope_type\": \"default\", \"partial_rotary_factor\": 0.25}}",
         GLOT_UNSUPPORTED, KEY("rope_parameters.partial_rotary_factor", "0.25", "no such key")},
        {"llama", "{\"rope_scaling\": 4}", GLOT_UNSUPPORTED, KEY("rope_scaling", "4", "an object")},
        {"llama", "{\"rope_scaling\": {\"type\": \"linear\"}}", GLOT_BAD_FORMAT,
         "'m/config.json': key 'factor' is missing"},
        {"llama", "{\"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 8, \"high_freq_factor\": 4}}",
         GLOT_BAD_FORMAT, "'m/config.json': key 'low_freq_factor' is missing"},
    };
    (void)state;
    refuse_all(cases, sizeof cases / sizeof cases[0]);
}

static void test_impossible_numbers(void **state)
{
    static const refusal cases[] = {
        {"llama", "{\"hidden_size\": \"-\"}", GLOT_BAD_FORMAT,
         "'m/config.json': key 'hidden_size' is missing"},
        {"llama", "{\"hidden_size\": \"48\"}", GLOT_BAD_FORMAT,
         "'m/config.json': key 'hidden_size' is a string, expected an integer"},
        {"llama", "{\"hidden_size\": 0, \"head_dim\": 8}", GLOT_BAD_VALUE,
         "'m/config.json': the hidden size is 0, expected 1 to 1048576"},
        {"llama", "{\"hidden_size\": 50}", GLOT_BAD_VALUE,
         "'m/config.json': hidden_size 50 is no multiple of num_attention_heads 6 and there is no head_dim"},
        {"llama", "{\"intermediate_size\": -4}", GLOT_BAD_VALUE,
         "'m/config.json': the intermediate size is -4, expected 1 to 1048576"},
        {"llama", "{\"num_hidden_layers\": 0}", GLOT_BAD_VALUE,
         "'m/config.json': key 'num_hidden_layers' is 0, expected 1 to 512"},
        {"llama", "{\"num_hidden_layers\": 513}", GLOT_BAD_VALUE,
         "'m/config.json': key 'num_hidden_layers' is 513, expected 1 to 512"},
        {"llama", "{\"num_attention_heads\": 0}", GLOT_BAD_VALUE,
         "'m/config.json': key 'num_attention_heads' is 0, expected a positive number"},
        {"llama", "{\"num_key_value_heads\": 4}", GLOT_BAD_VALUE,
         "'m/config.json': 6 attention heads cannot share 4 key/value heads evenly"},
        {"llama", "{\"num_key_value_heads\": 12}", GLOT_BAD_VALUE,
         "'m/config.json': the number of key/value heads is 12, expected 1 to 6"},
        {"llama", "{\"head_dim\": 7}", GLOT_BAD_VALUE,
         "'m/config.json': the head dimension is 7, expected an even number"},
        {"llama", "{\"head_dim\": 1000000}", GLOT_BAD_VALUE,
         "'m/config.json': the head dimension is 1000000, expected 2 to 174762"},
        {"llama", "{\"vocab_size\": 3000000000}", GLOT_BAD_VALUE,
         "'m/config.json': the vocabulary size is 3000000000, expected 1 to 2147483647"},
        {"llama", "{\"max_position_embeddings\": 0}", GLOT_BAD_VALUE,
         "'m/config.json': the context length is 0, expected 1 to 2147483647"},
        {"mistral", "{\"sliding_window\": -1}", GLOT_BAD_VALUE,
         "'m/config.json': key 'sliding_window' is -1, expected a positive number"},
        {"llama", "{\"rms_norm_eps\": -1e-5}", GLOT_BAD_VALUE,
         "'m/config.json': the norm's epsilon is -1e-05, expected a number from 0"},
        {"llama", "{\"rope_theta\": 0}", GLOT_BAD_VALUE,
         "'m/config.json': the rotary embedding's base is 0, expected a positive number"},
        {"llama", "{\"rope_scaling\": {\"type\": \"linear\", \"factor\": 0}}", GLOT_BAD_VALUE,
         "'m/config.json': the rotary embedding's factor is 0, expected a positive number"},
        {"llama",
         "{\"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 8, \"low_freq_factor\": 4, "
         "\"high_freq_factor\": 4}}",
         GLOT_BAD_VALUE,
         "'m/config.json': the rotary embedding's high_freq_factor is 4, expected more than its "
         "low_freq_factor, 4"},
        {"llama", "{\"bos_token_id\": 97}", GLOT_BAD_VALUE,
         "'m/config.json': the BOS token's id is 97 but the vocabulary has 97 entries"},
        {"llama", "{\"eos_token_id\": [\"</s>\"]}", GLOT_BAD_VALUE,
         "'m/config.json': key 'eos_token_id' is \"</s>\", expected a token's id"},
        {"llama", "{\"eos_token_id\": -2}", GLOT_BAD_VALUE,
         "'m/config.json': key 'eos_token_id' is -2, expected a token's id"},
    };
    glot_model_config c;
    glot_error err = {0};
    (void)state;
    refuse_all(cases, sizeof cases / sizeof cases[0]);
    json_t *list = json_array();
    assert_refused(glot_config_from_json(&c, list, path, &err), GLOT_BAD_FORMAT,
                   "'m/config.json': it is not a JSON object");
    json_decref(list);
}

/* ---- expanded models ---- */

#define EXPANSION(more)                                                                                      \
    "{\"glot\": {\"version\": 1, \"base_model_type\": \"llama\", \"base_architecture\": "                    \
    "\"LlamaForCausalLM\", "                                                                                 \
    "\"num_experts_per_layer\": [1, 3, 2], \"num_experts_per_tok\": 2, \"groups\": [[\"en\", \"es\"], "      \
    "[\"el\"]], "                                                                                            \
    "\"expert_group\": [[0], [0, 1, 1], [0, 1]]" more "}}"

static void test_expansion(void **state)
{
    glot_model_config c;
    (void)state;
    accept(
        &c, "glot",
        EXPANSION(
            ", \"gate\": {\"layers\": [1, 2], \"form\": \"sequence_sum\"}, \"exact\": {\"mode\": \"tokens\", "
            "\"threshold\": 18.5}, \"base_sha256\": "
            "\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\""));
    assert_true(c.is_expanded);
    assert_string_equal(c.model_type, "llama");
    assert_int_equal(c.top_k, 2);
    assert_int_equal(c.n_experts[0], 1);
    assert_int_equal(c.n_experts[1], 3);
    assert_int_equal(c.n_experts[2], 2);
    assert_int_equal(c.n_groups, 2);
    assert_string_equal(c.group_languages[0], "en,es");
    assert_string_equal(c.group_languages[1], "el");
    assert_int_equal(c.expert_group[1][2], 1);
    assert_int_equal(c.gate.n_layers, 2);
    assert_int_equal(c.gate.layers[1], 2);
    assert_true(c.gate.is_sequence_sum && c.exact.is_on && c.exact.threshold == 18.5);
    assert_int_equal(strlen(c.base_sha256), 64);
    glot_config_release(&c);
}

#define GLOT(more) "{\"glot\": {\"version\": 1, \"base_model_type\": \"llama\"" more "}}"
#define COUNTS ", \"num_experts_per_layer\": [1, 3, 2], \"num_experts_per_tok\": 2"
#define GROUPS COUNTS ", \"groups\": [[], []]"

static void test_expansion_refused(void **state)
{
    static const refusal cases[] = {
        {"glot", "{}", GLOT_BAD_FORMAT,
         "'m/config.json': model_type is 'glot' but there is no object under 'glot'"},
        {"llama", "{\"glot\": {}}", GLOT_BAD_VALUE,
         "'m/config.json': it has a key 'glot' but model_type is 'llama', expected 'glot'"},
        {"glot", "{\"glot\": {\"version\": 1}}", GLOT_BAD_FORMAT,
         "'m/config.json': key 'base_model_type' is missing"},
        {"glot", "{\"glot\": {\"version\": 1, \"base_model_type\": \"glot\"}}", GLOT_UNSUPPORTED,
         KEY("glot.base_model_type", "'glot'", "one of llama, mistral, qwen2, qwen3")},
        {"glot", "{\"glot\": {\"base_model_type\": \"llama\"}}", GLOT_BAD_FORMAT,
         "'m/config.json': key 'version' is missing"},
        {"glot", "{\"glot\": {\"version\": 2, \"base_model_type\": \"llama\"}}", GLOT_BAD_VERSION,
         "'m/config.json': key 'glot.version' is 2, expected 1"},
        {"glot", GLOT(", \"shared_experts\": 1"), GLOT_UNSUPPORTED,
         "'m/config.json': key 'glot.shared_experts' is not known"},
        {"glot", GLOT(", \"base_architecture\": \"LlamaModel\""), GLOT_UNSUPPORTED,
         "'m/config.json': key 'glot.base_architecture' is 'LlamaModel', expected 'LlamaForCausalLM'"},
        {"glot", GLOT(", \"num_experts_per_layer\": [1, 3]"), GLOT_BAD_VALUE,
         "'m/config.json': key 'glot.num_experts_per_layer' has 2 entries, expected one for each of 3 "
         "layers"},
        {"glot", GLOT(", \"num_experts_per_layer\": [1, 0, 2]"), GLOT_BAD_VALUE,
         "'m/config.json': entry 1 of 'glot.num_experts_per_layer' is no number from 1 to 256"},
        {"glot", GLOT(", \"num_experts_per_layer\": [1, 3, 257]"), GLOT_BAD_VALUE,
         "'m/config.json': entry 2 of 'glot.num_experts_per_layer' is no number from 1 to 256"},
        {"glot", GLOT(", \"num_experts_per_layer\": [1, 3, 2], \"num_experts_per_tok\": 0"), GLOT_BAD_VALUE,
         "'m/config.json': key 'glot.num_experts_per_tok' is 0, expected 1 to 256"},
        {"glot", GLOT(COUNTS ", \"groups\": [[]]"), GLOT_BAD_VALUE,
         "'m/config.json': key 'glot.groups' has 1 entries, expected 2 to 64"},
        {"glot", GLOT(COUNTS ", \"groups\": [[], 3]"), GLOT_BAD_FORMAT,
         "'m/config.json': group 1 of 'glot.groups' is not a list"},
        {"glot", GLOT(COUNTS ", \"groups\": [[\"en\"], [\"a,b\"]]"), GLOT_BAD_VALUE,
         "'m/config.json': group 1 of 'glot.groups' has an entry that is no language's name"},
        {"glot", GLOT(GROUPS ", \"expert_group\": [[0], [0, 1]]"), GLOT_BAD_VALUE,
         "'m/config.json': key 'glot.expert_group' has 2 entries, expected one for each of 3 layers"},
        {"glot", GLOT(GROUPS ", \"expert_group\": [[0], [0, 1], [0, 1]]"), GLOT_BAD_VALUE,
         "'m/config.json': layer 1 of 'glot.expert_group' has 2 entries, expected one for each of its 3 "
         "experts"},
        {"glot", GLOT(GROUPS ", \"expert_group\": [[0], [0, 1, 2], [0, 1]]"), GLOT_BAD_VALUE,
         "'m/config.json': the group of expert 2 in layer 1 of 'glot.expert_group' is no number from 0 to 1"},
        {"glot", GLOT(GROUPS ", \"expert_group\": [[0], [0, 1, 0], [0, 1]]"), GLOT_BAD_VALUE,
         "'m/config.json': expert 2 of layer 1 belongs to group 0; expert 0 belongs to group 0, the others "
         "to groups 1 to 1"},
        {"glot", GLOT(COUNTS ", \"groups\": [[], [], []], \"expert_group\": [[0], [0, 2, 1], [0, 1]]"), GLOT_BAD_VALUE,
         "'m/config.json': expert 2 of layer 1 belongs to group 1, but the one before it to group 2; groups follow one another"},
        {"glot", EXPANSION(", \"gate\": {\"layers\": 3}"), GLOT_BAD_FORMAT,
         "'m/config.json': key 'glot.gate.layers' is not a list of at most 512 layers"},
        {"glot", EXPANSION(", \"gate\": {\"layers\": [0]}"), GLOT_BAD_VALUE,
         "'m/config.json': layer 0 has a language gate but no router"},
        {"glot", EXPANSION(", \"gate\": {\"layers\": [3]}"), GLOT_BAD_VALUE,
         "'m/config.json': layer 3 has a language gate but no router"},
        {"glot", EXPANSION(", \"gate\": {\"layers\": [2, 1]}"), GLOT_BAD_VALUE,
         "'m/config.json': the layers with a language gate are not in ascending order: 1 follows 2"},
        {"glot", EXPANSION(", \"gate\": {\"layers\": [1], \"form\": \"mean\"}"), GLOT_UNSUPPORTED,
         "'m/config.json': key 'glot.gate.form' is 'mean', expected 'causal' or 'sequence_sum'"},
        {"glot", EXPANSION(", \"exact\": {\"mode\": \"always\"}"), GLOT_UNSUPPORTED,
         "'m/config.json': key 'glot.exact.mode' is 'always', expected 'none' or 'tokens'"},
        {"glot", EXPANSION(", \"exact\": {\"mode\": \"tokens\"}"), GLOT_BAD_FORMAT,
         "'m/config.json': key 'threshold' is missing"},
        {"glot", EXPANSION(", \"base_sha256\": \"xyz\""), GLOT_BAD_VALUE,
         "'m/config.json': key 'glot.base_sha256' is not 64 hexadecimal digits"},
        {"glot", EXPANSION(", \"added_sha256\": [\"\", \"\"]"), GLOT_BAD_VALUE,
         "'m/config.json': key 'glot.added_sha256' has 2 entries, expected one for each of 1 added groups"},
        {"glot", EXPANSION(", \"added_sha256\": [\"00\"]"), GLOT_BAD_VALUE,
         "'m/config.json': key 'glot.added_sha256' is not 64 hexadecimal digits"},
        {"glot", EXPANSION(", \"added_sha256\": [7]"), GLOT_BAD_VALUE,
         "'m/config.json': key 'glot.added_sha256' is not 64 hexadecimal digits"},
    };
    (void)state;
    refuse_all(cases, sizeof cases / sizeof cases[0]);
}

/* ---- writing ---- */

static bool same_config(const glot_model_config *a, const glot_model_config *b)
{
    bool is_same = a->n_groups == b->n_groups;
    for (int g = 0; g < a->n_groups && is_same; g++)
        is_same = strcmp(a->group_languages[g], b->group_languages[g]) == 0;
    glot_model_config x = *a, y = *b;
    memset(x.group_languages, 0, sizeof x.group_languages);
    memset(y.group_languages, 0, sizeof y.group_languages);
    return is_same && memcmp(&x, &y, sizeof x) == 0;
}

#define DIGITS16 "0123456789abcdef"
#define DIGITS64 DIGITS16 DIGITS16 DIGITS16 DIGITS16

/* What is written is read back as the same configuration, over the base's config.json and without one. */
static void test_round_trip(void **state)
{
    static const struct {
        const char *model_type, *patch;
    } cases[] = {
        {"llama", "{\"bos_token_id\": 3, \"eos_token_id\": 4}"},
        {"llama",
         "{\"rope_scaling\": {\"type\": \"linear\", \"factor\": 2.5}, \"tie_word_embeddings\": true}"},
        {"llama",
         "{\"rope_theta\": 500000.0, \"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 8, "
         "\"low_freq_factor\": 1, \"high_freq_factor\": 4, \"original_max_position_embeddings\": 32}}"},
        {"mistral", "{\"sliding_window\": 20}"},
        {"qwen2", "{}"},
        {"qwen3", "{\"head_dim\": 10}"},
        {"glot", EXPANSION("")},
        {"glot",
         EXPANSION(", \"gate\": {\"layers\": [1]}, \"exact\": {\"mode\": \"tokens\", \"threshold\": 0.1}")},
        {"glot", EXPANSION(", \"added_sha256\": [\"" DIGITS64 "\"]")}};
    (void)state;
    for (size_t i = 0; i < 2 * sizeof cases / sizeof cases[0]; i++) {
        glot_error err = {0};
        glot_model_config c, again;
        json_t *root = patched(cases[i / 2].model_type, architecture_of(cases[i / 2].model_type),
                               cases[i / 2].patch),
               *written;
        assert_ok(glot_config_from_json(&c, root, path, &err));
        assert_ok(glot_config_to_json(&written, &c, i % 2 ? root : NULL, &err));
        assert_ok(glot_config_from_json(&again, written, path, &err));
        if (!same_config(&c, &again))
            fail_msg("case %zu: what was written is read as another configuration", i);
        glot_config_release(&c);
        glot_config_release(&again);
        json_decref(root);
        json_decref(written);
    }
}

/* The base's keys stay, and its own names move under "glot". */
static void test_written_over_a_base(void **state)
{
    glot_error err = {0};
    glot_model_config c;
    json_t *root =
               patched("qwen2", "Qwen2ForCausalLM", "{\"torch_dtype\": \"bfloat16\", \"use_cache\": true}"),
           *written;
    (void)state;
    assert_ok(glot_config_from_json(&c, root, path, &err));
    c.is_expanded = true;
    c.top_k = 2;
    c.n_experts[1] = 2;
    c.expert_group[1][1] = 1;
    assert_ok(glot_config_add_group(&c, "en", &err));
    assert_ok(glot_config_add_group(&c, "", &err));
    assert_ok(glot_config_to_json(&written, &c, root, &err));
    assert_true(json_is_true(json_object_get(written, "use_cache")));
    assert_string_equal(json_string_value(json_object_get(written, "torch_dtype")), "bfloat16");
    assert_string_equal(json_string_value(json_object_get(written, "model_type")), "glot");
    assert_string_equal(json_string_value(json_array_get(json_object_get(written, "architectures"), 0)),
                        "GlotForCausalLM");
    const json_t *glot = json_object_get(written, "glot");
    assert_string_equal(json_string_value(json_object_get(glot, "base_model_type")), "qwen2");
    assert_string_equal(json_string_value(json_object_get(glot, "base_architecture")), "Qwen2ForCausalLM");
    assert_int_equal(json_array_size(json_array_get(json_object_get(glot, "groups"), 1)), 0);
    assert_null(json_object_get(glot, "gate"));
    assert_null(json_object_get(glot, "base_sha256"));
    json_decref(written);
    c.n_experts[1] = 1; /* no layer has more than one expert: the plain architecture again */
    assert_ok(glot_config_to_json(&written, &c, root, &err));
    assert_true(json_equal(written, root));
    json_decref(written);
    json_decref(root);
    glot_config_release(&c);
}

/* ---- rotary embedding ---- */

/* Reference in double: the published formula without roundings. */
static double reference_frequency(const glot_model_config *c, int64_t i)
{
    double f = pow(c->rope.theta, -2.0 * (double)i / (double)c->head_dim),
           wavelength = 2 * 3.141592653589793 / f;
    double original = (double)c->rope.original_max_positions;
    if (c->rope.type == GLOT_ROPE_LINEAR)
        return f / c->rope.factor;
    if (c->rope.type == GLOT_ROPE_DEFAULT || wavelength < original / c->rope.high_freq_factor)
        return f;
    if (wavelength > original / c->rope.low_freq_factor)
        return f / c->rope.factor;
    double smooth = (original / wavelength - c->rope.low_freq_factor) /
                    (c->rope.high_freq_factor - c->rope.low_freq_factor);
    return (1 - smooth) * f / c->rope.factor + smooth * f;
}

static void test_rope_tables(void **state)
{
    static const glot_rope_config ropes[] = {{.type = GLOT_ROPE_DEFAULT, .theta = 10000.0},
                                             {.type = GLOT_ROPE_LINEAR, .theta = 1000.0, .factor = 4.0},
                                             {.type = GLOT_ROPE_LLAMA3,
                                              .theta = 500000.0,
                                              .factor = 32.0,
                                              .low_freq_factor = 1.0,
                                              .high_freq_factor = 4.0,
                                              .original_max_positions = 8192}};
    (void)state;
    for (size_t r = 0; r < 3; r++) {
        glot_error err = {0};
        glot_model_config c = {.head_dim = 64, .rope = ropes[r]};
        float *cosines, *sines;
        assert_ok(glot_rope_tables(&cosines, &sines, &c, 100, &err));
        for (int64_t p = 0; p < 100; p++)
            for (int64_t i = 0; i < 32; i++) {
                double angle = (double)p * reference_frequency(&c, i);
                bool ok = fabs((double)cosines[p * 32 + i] - cos(angle)) <= 2e-5 &&
                          fabs((double)sines[p * 32 + i] - sin(angle)) <= 2e-5;
                if (!ok)
                    fail_msg("rope %zu, position %" PRId64 ", pair %" PRId64, r, p, i);
            }
        glot_free(cosines);
        glot_free(sines);
    }
}

/* Bits of transformers 5.23 (LlamaRotaryEmbedding, head_dim 8, llama3 with theta 10,000, factor 8, original
 * 1,024) at position 21. */
static void test_rope_bits(void **state)
{
    static const float expected_cos[4] = {-0.547729254f, -0.504846215f, 0.997899771f, 0.999996543f};
    static const float expected_sin[4] = {0.836655617f, 0.863209307f, 0.0647765845f, 0.00262499717f};
    glot_model_config c = {.head_dim = 8,
                           .rope = {.type = GLOT_ROPE_LLAMA3,
                                    .theta = 10000.0,
                                    .factor = 8.0,
                                    .low_freq_factor = 1.0,
                                    .high_freq_factor = 4.0,
                                    .original_max_positions = 1024}};
    glot_error err = {0};
    float *cosines, *sines;
    (void)state;
    assert_ok(glot_rope_tables(&cosines, &sines, &c, 22, &err));
    for (int i = 0; i < 4; i++)
        if (cosines[21 * 4 + i] != expected_cos[i] || sines[21 * 4 + i] != expected_sin[i])
            fail_msg("pair %d: cos %.9g sin %.9g, expected %.9g %.9g", i, (double)cosines[21 * 4 + i],
                     (double)sines[21 * 4 + i], (double)expected_cos[i], (double)expected_sin[i]);
    glot_free(cosines);
    glot_free(sines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_architectures),
                                       cmocka_unit_test(test_defaults),
                                       cmocka_unit_test(test_windows),
                                       cmocka_unit_test(test_rope),
                                       cmocka_unit_test(test_ids),
                                       cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_impossible_numbers),
                                       cmocka_unit_test(test_expansion),
                                       cmocka_unit_test(test_expansion_refused),
                                       cmocka_unit_test(test_round_trip),
                                       cmocka_unit_test(test_written_over_a_base),
                                       cmocka_unit_test(test_rope_tables),
                                       cmocka_unit_test(test_rope_bits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
