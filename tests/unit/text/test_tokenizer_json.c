/* Reading tokenizer.json: what is refused and with which sentence, gzip, ids of added tokens, the heap. */
#include "tokenizer_util.h"

#include "base/log.h"

/* A whole small tokenizer, and the parts that the cases replace. */
#define MODEL_HEAD "\"model\":{\"type\":\"BPE\",\"vocab\":"
#define VOCAB "{\"a\":0,\"b\":1,\"ab\":2,\"<u>\":3}"
#define MODEL MODEL_HEAD VOCAB ",\"merges\":[\"a b\"]}"
#define WITH(key, value) "{\"" key "\":" value "," MODEL "}"
#define VOCABULARY(value) "{" MODEL_HEAD value ",\"merges\":[]}}"
#define MERGES(value) "{" MODEL_HEAD VOCAB ",\"merges\":" value "}}"
#define SETTING(setting) "{" MODEL_HEAD VOCAB ",\"merges\":[]," setting "}}"
#define SPLIT(pattern, behavior)                                                                             \
    WITH("pre_tokenizer",                                                                                    \
         "{\"type\":\"Split\",\"pattern\":" pattern ",\"behavior\":\"" behavior "\",\"invert\":false}")

static const struct {
    const char *json;
    glot_status status;
    const char *sentence; /* a part of it */
} bad_files[] = {
    {"", GLOT_BAD_FORMAT, "'t.json' is not valid JSON: line 1"},
    {"{\"model\":", GLOT_BAD_FORMAT, "is not valid JSON"},
    {"{} x", GLOT_BAD_FORMAT, "is not valid JSON"},
    {"[]", GLOT_BAD_FORMAT, "'t.json' is not a tokenizer.json: it holds no object"},
    {"{}", GLOT_BAD_FORMAT, "key 'model' is missing, expected an object"},
    {"{\"model\":3}", GLOT_BAD_FORMAT, "key 'model' is no object, expected an object"},
    {"{\"model\":{},\"model\":{}}", GLOT_BAD_FORMAT, "duplicate"},
    {WITH("version", "\"2.0\""), GLOT_BAD_VERSION, "the tokenizer's version is '2.0', expected '1.0'"},
    {WITH("version", "1.0"), GLOT_BAD_FORMAT, "key 'version' is a number with a fraction, expected a string"},
    {"{\"model\":{\"type\":\"Unigram\"}}", GLOT_UNSUPPORTED,
     "the model 'Unigram' is not supported, expected BPE"},
    {"{\"model\":{\"type\":\"WordPiece\"}}", GLOT_UNSUPPORTED, "the model 'WordPiece' is not supported"},
    {"{\"model\":{\"type\":\"BPE\"}}", GLOT_BAD_FORMAT, "key 'vocab' of the model is missing"},
    {VOCABULARY("[]"), GLOT_BAD_FORMAT, "key 'vocab' of the model is no object"},
    {VOCABULARY("{}"), GLOT_BAD_VALUE, "'t.json': the vocabulary is empty"},
    {VOCABULARY("{\"a\":\"0\"}"), GLOT_BAD_FORMAT, "the id of the token 'a' is not an integer"},
    {VOCABULARY("{\"a\":1.5}"), GLOT_BAD_FORMAT, "the id of the token 'a' is not an integer"},
    {VOCABULARY("{\"a\":-1}"), GLOT_BAD_VALUE, "the token 'a' has the id -1, expected 0 to 4194303"},
    {VOCABULARY("{\"a\":4194304}"), GLOT_BAD_VALUE,
     "the token 'a' has the id 4194304, expected 0 to 4194303"},
    {VOCABULARY("{\"a\":9223372036854775807}"), GLOT_BAD_VALUE,
     "the token 'a' has the id 9223372036854775807"},
    {VOCABULARY("{\"a\":99999999999999999999}"), GLOT_BAD_FORMAT, "is not valid JSON"},
    {VOCABULARY("{\"a\":0,\"b\":0}"), GLOT_BAD_VALUE, "the id 0 is given to two tokens, 'a' and 'b'"},
    {VOCABULARY("{\"a\":0,\"a\":1}"), GLOT_BAD_FORMAT, "duplicate"},
    {VOCABULARY("{\"a\\u0000b\":0}"), GLOT_BAD_FORMAT, "is not valid JSON"},
    {VOCABULARY("{\"\\ud800\":0}"), GLOT_BAD_FORMAT, "is not valid JSON"},
    {"{" MODEL_HEAD VOCAB "}}", GLOT_BAD_FORMAT, "key 'merges' is missing, expected a list"},
    {MERGES("{}"), GLOT_BAD_FORMAT, "key 'merges' is no list, expected a list"},
    {MERGES("[3]"), GLOT_BAD_FORMAT, "merge 0 is not two pieces"},
    {MERGES("[\"a b\",\"ab\"]"), GLOT_BAD_FORMAT,
     "merge 1 is not two pieces, neither 'left right' nor a list of two"},
    {MERGES("[\"a b c\"]"), GLOT_BAD_FORMAT, "merge 0 is not two pieces"},
    {MERGES("[[\"a\"]]"), GLOT_BAD_FORMAT, "merge 0 is not two pieces"},
    {MERGES("[[\"a\",1]]"), GLOT_BAD_FORMAT, "merge 0 is not two pieces"},
    {MERGES("[[\"a\",\"b\",\"c\"]]"), GLOT_BAD_FORMAT, "merge 0 is not two pieces"},
    {MERGES("[\"a x\"]"), GLOT_BAD_VALUE, "merge 0 names the piece 'x', which is not in the vocabulary"},
    {MERGES("[\"x b\"]"), GLOT_BAD_VALUE, "merge 0 names the piece 'x', which is not in the vocabulary"},
    {MERGES("[\"b a\"]"), GLOT_BAD_VALUE, "merge 0 names the piece 'ba', which is not in the vocabulary"},
    {SETTING("\"continuing_subword_prefix\":\"##\""), GLOT_UNSUPPORTED, "continuing_subword_prefix is '##'"},
    {SETTING("\"end_of_word_suffix\":\"</w>\""), GLOT_UNSUPPORTED,
     "the model's end_of_word_suffix is '</w>'"},
    {SETTING("\"dropout\":0.1"), GLOT_UNSUPPORTED, "the model's dropout is 0.1, only null or 0 is supported"},
    {SETTING("\"unk_token\":\"<x>\""), GLOT_BAD_VALUE, "the unk_token '<x>' is not in the vocabulary"},
    {SETTING("\"fuse_unk\":1"), GLOT_BAD_FORMAT, "key 'fuse_unk' is an integer, expected true or false"},
    {WITH("normalizer", "{\"type\":\"NFKC\"}"), GLOT_UNSUPPORTED,
     "the normalizer 'NFKC' is not supported, expected NFC"},
    {WITH("normalizer", "{\"type\":\"Lowercase\"}"), GLOT_UNSUPPORTED,
     "the normalizer 'Lowercase' is not supported"},
    {WITH("normalizer", "{\"type\":\"Precompiled\"}"), GLOT_UNSUPPORTED, "the normalizer 'Precompiled'"},
    {WITH("normalizer", "{}"), GLOT_UNSUPPORTED, "the normalizer '(without a type)' is not supported"},
    {WITH("normalizer", "{\"type\":\"Sequence\"}"), GLOT_BAD_FORMAT,
     "key 'normalizers' is missing, expected a list"},
    {WITH("normalizer", "{\"type\":\"Prepend\"}"), GLOT_BAD_FORMAT, "key 'prepend' is missing"},
    {WITH("normalizer", "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"a\"},\"content\":\"\"}"),
     GLOT_UNSUPPORTED, "the normalizer 'Replace of a Regex' is not supported"},
    {WITH("normalizer", "{\"type\":\"Replace\",\"pattern\":{\"String\":\"\"},\"content\":\"\"}"),
     GLOT_UNSUPPORTED, "the normalizer Replace has an empty pattern"},
    {WITH("normalizer", "{\"type\":\"Replace\",\"pattern\":\"a\",\"content\":\"\"}"), GLOT_BAD_FORMAT,
     "the pattern of a Replace is neither a String nor a Regex"},
    {WITH("pre_tokenizer", "{\"type\":\"Whitespace\"}"), GLOT_UNSUPPORTED,
     "the pre-tokenizer 'Whitespace' is not supported"},
    {WITH("pre_tokenizer", "{\"type\":\"BertPreTokenizer\"}"), GLOT_UNSUPPORTED,
     "the pre-tokenizer 'BertPreTokenizer'"},
    {WITH("pre_tokenizer",
          "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"ByteLevel\"},{\"type\":\"Digits\"}]}"),
     GLOT_UNSUPPORTED,
     "the pre-tokenizer behind ByteLevel 'Digits' is not supported, expected ByteLevel last"},
    {WITH("pre_tokenizer", "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Digits\"},"
                           "{\"type\":\"Metaspace\",\"replacement\":\"_\"}]}"),
     GLOT_UNSUPPORTED, "Metaspace behind another one"},
    {WITH("pre_tokenizer", "{\"type\":\"Metaspace\",\"replacement\":\"__\"}"), GLOT_BAD_FORMAT,
     "key 'replacement' of Metaspace is '__', expected one character"},
    {WITH("pre_tokenizer", "{\"type\":\"Metaspace\",\"replacement\":\"\"}"), GLOT_BAD_FORMAT,
     "expected one character"},
    {WITH("pre_tokenizer", "{\"type\":\"Metaspace\",\"replacement\":\"_\",\"prepend_scheme\":\"last\"}"),
     GLOT_UNSUPPORTED, "the prepend_scheme of Metaspace 'last' is not supported"},
    {WITH("pre_tokenizer", "{\"type\":\"Metaspace\",\"replacement\":\"_\",\"add_prefix_space\":false}"),
     GLOT_BAD_VALUE, "Metaspace has add_prefix_space false and prepend_scheme always"},
    {SPLIT("{\"String\":\"-\"}", "Dropped"), GLOT_UNSUPPORTED,
     "the behavior of a Split 'Dropped' is not supported"},
    {SPLIT("{\"String\":\"\"}", "Removed"), GLOT_UNSUPPORTED, "Split at nothing"},
    {SPLIT("{}", "Removed"), GLOT_BAD_FORMAT, "the pattern of a Split is neither a String nor a Regex"},
    {SPLIT("{\"Regex\":\"(\"}", "Removed"), GLOT_UNSUPPORTED,
     "the split pattern '(' is not supported: missing closing"},
    {SPLIT("{\"Regex\":\"\\\\w+\"}", "Removed"), GLOT_UNSUPPORTED,
     "the split pattern '\\w+' uses '\\w', which is not"},
    {WITH("decoder", "{\"type\":\"WordPiece\"}"), GLOT_UNSUPPORTED,
     "the decoder 'WordPiece' is not supported"},
    {WITH("decoder", "{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}"), GLOT_UNSUPPORTED,
     "order of decoders"},
    {WITH("decoder",
          "{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Fuse\"},{\"type\":\"Strip\",\"content\":\" \","
          "\"start\":1,\"stop\":1}]}"),
     GLOT_UNSUPPORTED, "Strip of the end"},
    {WITH("decoder",
          "{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Fuse\"},{\"type\":\"ByteFallback\"}]}"),
     GLOT_UNSUPPORTED, "order of decoders, with this one at its place, 'ByteFallback'"},
    {WITH("post_processor", "{\"type\":\"BertProcessing\"}"), GLOT_UNSUPPORTED,
     "the post-processor 'BertProcessing'"},
    {WITH("post_processor", "{\"type\":\"TemplateProcessing\"}"), GLOT_BAD_FORMAT, "key 'single' is missing"},
    {WITH("added_tokens", "{}"), GLOT_BAD_FORMAT, "key 'added_tokens' is no list"},
    {WITH("added_tokens", "[3]"), GLOT_BAD_FORMAT, "key 'content' is looked for in an integer"},
    {WITH("added_tokens", "[{\"id\":4}]"), GLOT_BAD_FORMAT, "key 'content' is missing"},
    {WITH("added_tokens", "[{\"content\":\"x\"}]"), GLOT_BAD_FORMAT, "key 'id' is missing"},
    {WITH("added_tokens", "[{\"content\":\"x\",\"id\":4,\"special\":\"yes\"}]"), GLOT_BAD_FORMAT,
     "key 'special' is a string"},
    {"{\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"String\":\"x\"},\"content\":\"y\"},\"added_"
     "tokens\":["
     "{\"content\":\"x\",\"id\":4,\"normalized\":true},{\"content\":\"y\",\"id\":5,\"normalized\":true}]"
     "," MODEL "}",
     GLOT_BAD_VALUE, "the added tokens 'x' and 'y' are the same after normalization"},
    {"{\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"String\":\"x\"},\"content\":\"\"},\"added_"
     "tokens\":["
     "{\"content\":\"x\",\"id\":4,\"normalized\":true}]," MODEL "}",
     GLOT_BAD_VALUE, "nothing is left of the added token 'x' after normalization"},
    {"{\"added_tokens\":[{\"content\":\"x\",\"id\":2}]," MODEL_HEAD "{\"a\":0,\"b\":2},\"merges\":[]}}",
     GLOT_BAD_VALUE, "the id 2 is given to two tokens, 'b' and 'x'"},
};

static void test_bad_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_files / sizeof bad_files[0]; i++) {
        glot_error err = {0};
        glot_tokenizer *t = NULL;
        const char *json = bad_files[i].json;
        glot_status status = glot_tokenizer_parse(&t, json, strlen(json), "t.json", &err);
        if (status != bad_files[i].status || !strstr(err.message, bad_files[i].sentence) ||
            !strstr(err.message, "'t.json'"))
            fail_msg("case %zu (%s): %s: %s", i, json, glot_status_name(status), err.message);
        assert_null(t);
    }
}

/* Deep nesting of lists and of Sequences ends in a sentence or in a tokenizer, never in the stack. */
static void test_deep_nesting(void **state)
{
    (void)state;
    glot_error err = {0};
    glot_tokenizer *t = NULL;
    glot_str json = {0};
    for (int i = 0; i < 100000; i++)
        glot_str_puts(&json, "[");
    assert_int_equal(glot_tokenizer_parse(&t, json.data, json.length, "t.json", &err), GLOT_BAD_FORMAT);
    glot_str_reset(&json);
    glot_str_puts(&json, "{\"normalizer\":");
    for (int i = 0; i < 1000; i++)
        glot_str_puts(&json, "{\"type\":\"Sequence\",\"normalizers\":[");
    for (int i = 0; i < 1000; i++)
        glot_str_puts(&json, "]}");
    glot_str_puts(&json, "," MODEL "}");
    assert_int_equal(glot_tokenizer_parse(&t, json.data, json.length, "t.json", &err), GLOT_OK);
    glot_tokenizer_close(t);
    glot_str_release(&json);
}

static void test_too_many_stages(void **state)
{
    (void)state;
    glot_error err = {0};
    glot_tokenizer *t = NULL;
    glot_str json = {0};
    glot_str_puts(&json,
                  "{\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Digits\"}");
    for (int i = 0; i < GLOT_MAX_STAGES; i++)
        glot_str_puts(&json, ",{\"type\":\"Digits\"}");
    glot_str_puts(&json, "]}," MODEL "}");
    assert_int_equal(glot_tokenizer_parse(&t, json.data, json.length, "t.json", &err), GLOT_UNSUPPORTED);
    assert_string_equal(err.message, "'t.json': more than 16 pre-tokenizers");
    glot_str_release(&json);
}

static void assert_text_ids(const char *json, const char *text, const int32_t *ids, size_t n)
{
    glot_error err = {0};
    glot_tokenizer *t = NULL;
    if (glot_tokenizer_parse(&t, json, strlen(json), "t.json", &err) != GLOT_OK)
        fail_msg("%s", err.message);
    glot_encoder *e = new_encoder(t);
    assert_ids(e, text, strlen(text), ids, n, json);
    glot_encoder_free(e);
    glot_tokenizer_close(t);
}

static void test_what_is_accepted(void **state)
{
    (void)state;
    /* merges as lists, a version line, holes between the ids, a model without a type */
    assert_text_ids(MERGES("[[\"a\",\"b\"]]"), "ab", (int32_t[]){2}, 1);
    assert_text_ids(MERGES("[\"#version: 0.2\",\"a b\"]"), "ab", (int32_t[]){2}, 1);
    assert_text_ids(VOCABULARY("{\"a\":7,\"b\":100000}"), "ab", (int32_t[]){7, 100000}, 2);
    assert_text_ids("{\"model\":{\"vocab\":" VOCAB ",\"merges\":[\"a b\"]}}", "aba", (int32_t[]){2, 0}, 2);
    /* unknown characters: dropped, one by one, fused */
    assert_text_ids(MERGES("[]"), "axyb", (int32_t[]){0, 1}, 2);
    assert_text_ids(SETTING("\"unk_token\":\"<u>\""), "axyb", (int32_t[]){0, 3, 3, 1}, 4);
    assert_text_ids(SETTING("\"unk_token\":\"<u>\",\"fuse_unk\":true"), "axyb", (int32_t[]){0, 3, 1}, 3);
}

/* Without a split a text is cut where no merge reaches across; not where a byte's token merges, nor through a
 * token that ignore_merges finds whole. */
static void test_cuts_change_nothing(void **state)
{
    (void)state;
    glot_str vocabulary = {0}, json = {0};
    glot_str_puts(&vocabulary, "{\"a\":256,\"b\":257,\"ab\":258,\"<0x43>b\":259,\"ba\":260");
    for (int i = 0; i < 256; i++)
        glot_str_printf(&vocabulary, ",\"<0x%02X>\":%d", i, i);
    static const char *const heads[] = {"\"merges\":[\"a b\"]", "\"merges\":[\"a b\",\"<0x43> b\"]",
                                        "\"merges\":[\"a b\"],\"ignore_merges\":true"};
    static const int32_t ids[][4] = {{0x43, 257, 256}, {259, 256}, {0x43, 257, 256}};
    static const size_t n_ids[] = {3, 2, 3};
    for (size_t i = 0; i < 3; i++) {
        glot_str_reset(&json);
        glot_str_printf(&json, "{\"model\":{\"byte_fallback\":true,%s,\"vocab\":%s}}}", heads[i],
                        vocabulary.data);
        assert_text_ids(json.data, "Cba", ids[i], n_ids[i]);
        assert_text_ids(json.data, "ba", i == 2 ? (int32_t[]){260} : (int32_t[]){257, 256}, i == 2 ? 1 : 2);
    }
    glot_str_release(&json);
    glot_str_release(&vocabulary);
}

static void test_defaults(void **state)
{
    (void)state;
    assert_text_ids("{\"pre_tokenizer\":{\"type\":\"ByteLevel\"},\"model\":{\"vocab\":{\"\u0120\":0,\"a\":1},"
                    "\"merges\":[]}}",
                    "a a", (int32_t[]){0, 1, 0, 1}, 4);
    /* `normalized` where a token is not special: what the normalizer made is found */
    assert_text_ids(
        "{\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"String\":\"x\"},\"content\":\"q\"},"
        "\"added_tokens\":[{\"content\":\"q\",\"id\":4},{\"content\":\"r\",\"id\":5,\"special\":true}]," MODEL
        "}",
        "xar", (int32_t[]){4, 0, 5}, 3);
}

/* A token that takes the space behind it, in nothing but spaces, as each of them is found inside what the one
 * before took. */
static void test_nothing_but_tokens_that_strip(void **state)
{
    (void)state;
    enum { N = 1 << 20 };
    char *text = malloc(N);
    assert_non_null(text);
    memset(text, ' ', N);
    static const char json[] =
        WITH("added_tokens", "[{\"content\":\" \",\"id\":4,\"normalized\":false,\"rstrip\":true}]");
    glot_tokenizer *t = NULL;
    const int32_t *ids;
    size_t n;
    assert_int_equal(glot_tokenizer_parse(&t, json, strlen(json), "t.json", NULL), GLOT_OK);
    glot_encoder *e = new_encoder(t);
    assert_int_equal(glot_encode(e, text, N, &ids, &n, NULL), GLOT_OK);
    assert_int_equal(n, N);
    glot_encoder_free(e);
    glot_tokenizer_close(t);
    free(text);
}

static void test_a_token_named_twice(void **state)
{
    (void)state;
    static const char json[] =
        WITH("added_tokens", "[{\"content\":\"ab\",\"id\":2,\"special\":true,\"lstrip\":true},"
                             "{\"content\":\"ab\",\"id\":2,\"special\":false}]");
    glot_tokenizer *t = NULL;
    assert_int_equal(glot_tokenizer_parse(&t, json, strlen(json), "t.json", NULL), GLOT_OK);
    assert_int_equal(t->n_added, 1);
    assert_true(glot_tokenizer_is_special(t, 2));
    assert_false(t->added[0].lstrip);
    glot_tokenizer_close(t);
}

static void count_warning(void *user, glot_log_level level, const char *message)
{
    (void)message;
    *(size_t *)user += level == GLOT_LOG_WARNING;
}

/* As in tokenizers: an added token that the model does not have gets the next id, whatever the file says;
 * with a warning. */
static void test_ids_of_added_tokens(void **state)
{
    (void)state;
    size_t n_warnings = 0;
    glot_log_set_sink(count_warning, &n_warnings);
    assert_text_ids(
        WITH("added_tokens",
             "[{\"content\":\"x\",\"id\":9},{\"content\":\"ab\",\"id\":2},{\"content\":\"y\",\"id\":5},"
             "{\"content\":\"\",\"id\":6}]"),
        "yxab", (int32_t[]){5, 4, 2}, 3);
    assert_int_equal(n_warnings, 1);
    n_warnings = 0;
    assert_text_ids(WITH("truncation", "{\"max_length\":1}"), "aba", (int32_t[]){2, 0}, 2);
    assert_int_equal(n_warnings, 1);
    glot_log_set_sink(NULL, NULL);
}

static void test_what_a_tokenizer_says(void **state)
{
    (void)state;
    glot_tokenizer *t = open_golden("llama3");
    int32_t bos = glot_tokenizer_id(t, "<|begin_of_text|>"), last = glot_tokenizer_size(t) - 1;
    assert_int_equal(bos, 0);
    assert_true(glot_tokenizer_is_special(t, bos) && glot_tokenizer_is_special(t, last));
    assert_false(glot_tokenizer_is_special(t, 300) || glot_tokenizer_is_special(t, -1) ||
                 glot_tokenizer_is_special(t, last + 1));
    assert_string_equal(glot_tokenizer_token(t, last), "<|reserved_2|>");
    assert_null(glot_tokenizer_token(t, last + 1));
    assert_int_equal(glot_tokenizer_id(t, "no such token"), -1);
    assert_int_equal(glot_tokenizer_bos(t), -1);
    assert_int_equal(glot_tokenizer_eos(t), -1);
    assert_true(glot_tokenizer_adds_bos(t));
    assert_int_equal(strlen(glot_tokenizer_hash(t)), 64);
    glot_tokenizer *other = open_golden("gpt2");
    assert_false(glot_tokenizer_adds_bos(other));
    assert_string_not_equal(glot_tokenizer_hash(t), glot_tokenizer_hash(other));
    glot_tokenizer_close(other);
    glot_tokenizer_close(t);
    glot_tokenizer_close(NULL);
    glot_encoder_free(NULL);
}

static void hash_of(const char *json, char hash[65])
{
    glot_tokenizer *t = NULL;
    assert_int_equal(glot_tokenizer_parse(&t, json, strlen(json), "t.json", NULL), GLOT_OK);
    memcpy(hash, glot_tokenizer_hash(t), 65);
    glot_tokenizer_close(t);
}

/* What decides ids changes the hash; what does not, does not. */
static void test_hash(void **state)
{
    (void)state;
    static const char *const same[] = {
        MERGES("[\"a b\"]"), MERGES("[[\"a\",\"b\"]]"), WITH("decoder", "{\"type\":\"ByteLevel\"}"),
        "{" MODEL_HEAD "{\"ab\":2,\"b\":1,\"<u>\":3,\"a\":0},\"merges\":[\"a b\"]}}"};
    static const char *const others[] = {
        VOCABULARY("{\"a\":0,\"b\":1,\"ac\":2,\"<u>\":3}"),

        MERGES("[]"),
        VOCABULARY("{\"a\":0,\"b\":1,\"ab\":2,\"<u>\":4}"),
        SETTING("\"unk_token\":\"<u>\""),
        SETTING("\"ignore_merges\":true"),
        SETTING("\"byte_fallback\":true"),
        SETTING("\"fuse_unk\":true"),
        WITH("normalizer", "{\"type\":\"NFC\"}"),
        WITH("pre_tokenizer", "{\"type\":\"Digits\"}"),
        WITH("pre_tokenizer", "{\"type\":\"Digits\",\"individual_digits\":true}"),
        WITH("pre_tokenizer", "{\"type\":\"ByteLevel\"}"),
        WITH("added_tokens", "[{\"content\":\"ab\",\"id\":2}]"),
        WITH("added_tokens", "[{\"content\":\"ab\",\"id\":2,\"lstrip\":true}]"),
        WITH("added_tokens", "[{\"content\":\"ab\",\"id\":2,\"special\":true}]"),
        WITH("added_tokens", "[{\"content\":\"x\",\"id\":4}]")};
    enum { N_OTHERS = sizeof others / sizeof others[0] };
    char first[65], hash[65], seen[N_OTHERS + 1][65];
    hash_of(same[0], first);
    for (size_t i = 1; i < sizeof same / sizeof same[0]; i++) {
        hash_of(same[i], hash);
        assert_string_equal(hash, first);
    }
    memcpy(seen[0], first, 65);
    for (size_t i = 0; i < N_OTHERS; i++) {
        hash_of(others[i], seen[i + 1]);
        for (size_t k = 0; k <= i; k++)
            assert_string_not_equal(seen[i + 1], seen[k]);
    }
}

static void test_text_that_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *sentence;
    } cases[] = {{"ab\xff", "the text is not valid UTF-8 at byte 2"},
                 {"\xc3", "the text is not valid UTF-8 at byte 0"},
                 {"a\xed\xa0\x80", "the text is not valid UTF-8 at byte 1"},
                 {"abc\xf4\x90\x80\x80", "the text is not valid UTF-8 at byte 3"},
                 {"\xc0\x80", "the text is not valid UTF-8 at byte 0"}};
    glot_tokenizer *t = open_golden("gpt2");
    glot_encoder *e = new_encoder(t);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        glot_error err = {0};
        const int32_t *ids;
        size_t n;
        assert_int_equal(glot_encode(e, cases[i].text, strlen(cases[i].text), &ids, &n, &err),
                         GLOT_BAD_FORMAT);
        assert_string_equal(err.message, cases[i].sentence);
    }
    glot_encoder_free(e);
    glot_tokenizer_close(t);
}

static void test_opening_what_a_path_names(void **state)
{
    (void)state;
    glot_error err = {0};
    glot_tokenizer *t = NULL, *packed = open_golden("qwen2");
    char *json;
    size_t size;
    assert_int_equal(glot_tokenizer_json(packed, &json, &size, NULL), GLOT_OK);
    write_bytes("tokenizer.json", json, size);
    glot_free(json);
    assert_int_equal(glot_tokenizer_open_model(&t, test_dir, &err), GLOT_OK);
    assert_string_equal(glot_tokenizer_hash(t), glot_tokenizer_hash(packed));
    glot_tokenizer_close(t);
    glot_tokenizer_close(packed);
    assert_int_equal(glot_tokenizer_open_model(&t, in_dir("tokenizer.json"), &err), GLOT_OK);
    glot_tokenizer_close(t);
    assert_int_equal(glot_tokenizer_open_model(&t, GOLDEN "qwen2.json.gz", &err), GLOT_OK);
    glot_tokenizer_close(t);
    assert_int_equal(glot_tokenizer_open_model(&t, GLOT_SOURCE_DIR "/src", &err), GLOT_NOT_FOUND);
    assert_non_null(strstr(err.message, "/src' holds no tokenizer.json"));
    assert_int_equal(glot_tokenizer_open(&t, in_dir("missing.json"), &err), GLOT_NOT_FOUND);
}

static void test_damaged_gzip(void **state)
{
    (void)state;
    glot_error err = {0};
    glot_tokenizer *t = NULL;
    char *data;
    size_t size;
    assert_int_equal(glot_file_read(&data, &size, GOLDEN "gpt2.json.gz", 1 << 20, NULL), GLOT_OK);
    write_bytes("cut.json.gz", data, size / 2);
    data[size / 2] ^= 0x55;
    write_bytes("flipped.json.gz", data, size);
    glot_free(data);
    assert_int_equal(glot_tokenizer_open(&t, in_dir("cut.json.gz"), &err), GLOT_BAD_FORMAT);
    assert_non_null(strstr(err.message, "cut.json.gz' is not whole gzip"));
    assert_int_equal(glot_tokenizer_open(&t, in_dir("flipped.json.gz"), &err), GLOT_BAD_FORMAT);
    write_bytes("empty.json", "", 0);
    assert_int_equal(glot_tokenizer_open(&t, in_dir("empty.json"), &err), GLOT_BAD_FORMAT);
}

/* Once it has grown, an encoder makes no heap call, whatever the words. */
static void test_encoding_makes_no_heap_call(void **state)
{
    (void)state;
    static const char *const kinds[] = {"gpt2", "llama3", "qwen2", "sentencepiece"};
    static char text[4 * 20000];
    for (size_t k = 0; k < 4; k++) {
        glot_tokenizer *t = open_golden(kinds[k]);
        glot_encoder *e = new_encoder(t);
        glot_rng rng = glot_rng_seed(9, k);
        const int32_t *ids;
        size_t n, size = random_text(&rng, text, 20000);
        uint64_t before = glot_heap_calls();
        assert_int_equal(glot_encode(e, text, size, &ids, &n, NULL), GLOT_OK);
        assert_in_range(glot_heap_calls() - before, 0, 120); /* buffers doubling, not words */
        before = glot_heap_calls();
        assert_int_equal(glot_encode(e, text, size, &ids, &n, NULL), GLOT_OK);
        assert_int_equal(glot_heap_calls(), before);
        glot_encoder_free(e);
        glot_tokenizer_close(t);
    }
}

static glot_status open_and_use(const char *json, size_t size)
{
    const char text[] = "Caf\u00e9 12 e\u0301 \u4e2d\u6587 <|im_end|> don't";
    glot_tokenizer *t = NULL;
    glot_encoder *e = NULL;
    glot_str out = {0};
    const int32_t *ids;
    size_t n;
    glot_status status = glot_tokenizer_parse(&t, json, size, "t.json", NULL);
    if (status == GLOT_OK)
        status = glot_encoder_create(&e, t, NULL);
    if (status == GLOT_OK)
        status = glot_encode(e, text, strlen(text), &ids, &n, NULL);
    if (status == GLOT_OK)
        status = glot_decode(t, ids, n, true, true, &out, NULL);
    glot_str_release(&out);
    glot_encoder_free(e);
    glot_tokenizer_close(t);
    return status;
}

/* Every heap call fails once: always NOMEM, nothing lost. */
static void test_no_memory(void **state)
{
    (void)state;
    static const char *const files[] = {
        "{\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Prepend\",\"prepend\":\"_\"},{"
        "\"type\":\"NFC\"},"
        "{\"type\":\"Replace\",\"pattern\":{\"String\":\" "
        "\"},\"content\":\"_\"}]},\"pre_tokenizer\":{\"type\":\"Sequence\","
        "\"pretokenizers\":[{\"type\":\"Metaspace\",\"replacement\":\"_\"},{\"type\":\"Split\",\"pattern\":{"
        "\"Regex\":\"[aeiou]\"},"
        "\"behavior\":\"Isolated\",\"invert\":false}]},\"added_tokens\":[{\"content\":\"<|im_end|>\",\"id\":"
        "4,\"special\":true}],"
        "\"decoder\":{\"type\":\"Metaspace\",\"replacement\":\"_\"}," MODEL "}",
        "{\"pre_tokenizer\":{\"type\":\"ByteLevel\"},\"model\":{\"byte_fallback\":true,\"ignore_merges\":"
        "true,\"vocab\":" VOCAB ",\"merges\":[\"a b\"]}}"};
    for (size_t i = 0; i < 2; i++) {
        glot_status status = GLOT_NOMEM;
        uint64_t n = 0;
        while (status == GLOT_NOMEM && n < 2000) {
            glot_heap_fail_after(++n);
            status = open_and_use(files[i], strlen(files[i]));
        }
        glot_heap_fail_after(0);
        assert_int_equal(status, GLOT_OK);
        assert_true(n > 20);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_deep_nesting),
        cmocka_unit_test(test_too_many_stages),
        cmocka_unit_test(test_what_is_accepted),
        cmocka_unit_test(test_cuts_change_nothing),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_nothing_but_tokens_that_strip),
        cmocka_unit_test(test_a_token_named_twice),
        cmocka_unit_test(test_ids_of_added_tokens),
        cmocka_unit_test(test_what_a_tokenizer_says),
        cmocka_unit_test(test_hash),
        cmocka_unit_test(test_text_that_is_refused),
        cmocka_unit_test(test_opening_what_a_path_names),
        cmocka_unit_test(test_damaged_gzip),
        cmocka_unit_test(test_encoding_makes_no_heap_call),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, make_test_dir, remove_test_dir);
}
