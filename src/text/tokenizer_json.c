/* tokenizer_json.c: reads the tokenizer.json of Hugging Face tokenizers. What it asks for and is not
 * supported is refused by name: ids that are almost right are worse than none. */
#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"
#include "text/tokenizer_impl.h"
#include "text/unicode.h"

#include <string.h>

static const char *type_of(const json_t *object)
{
    const char *type = json_string_value(json_object_get(object, "type"));
    return type ? type : "(without a type)";
}

static glot_status unsupported(const glot_tokenizer *t, const char *role, const char *what,
                               const char *expected, glot_error *err)
{
    return GLOT_FAIL(err, GLOT_UNSUPPORTED, "'%s': the %s '%.64s' is not supported, expected %s", t->path,
                     role, what, expected);
}

static glot_status get_list(const json_t *object, const char *key, const json_t **list, const char *path,
                            glot_error *err)
{
    *list = json_object_get(object, key);
    if (!json_is_array(*list))
        return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s': key '%s' is %s, expected a list", path, key,
                         *list ? "no list" : "missing");
    return GLOT_OK;
}

/* The pattern of Split and Replace: {"String": ...} or {"Regex": ...}. */
static glot_status get_pattern(const json_t *object, const char **text, bool *is_regex, const char *path,
                               glot_error *err)
{
    const json_t *pattern = json_object_get(object, "pattern");
    const char *string = json_string_value(json_object_get(pattern, "String"));
    const char *regex = json_string_value(json_object_get(pattern, "Regex"));
    if (!string == !regex)
        return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s': the pattern of a %s is neither a String nor a Regex",
                         path, type_of(object));
    *text = string ? string : regex;
    *is_regex = regex != NULL;
    return GLOT_OK;
}

/* --- normalizer --- */

static glot_status read_replace(glot_tokenizer *t, const json_t *object, glot_error *err)
{
    const char *pattern, *content;
    bool is_regex;
    GLOT_TRY(get_pattern(object, &pattern, &is_regex, t->path, err));
    GLOT_TRY(glot_json_get_string(object, "content", &content, t->path, err));
    if (is_regex)
        return unsupported(t, "normalizer", "Replace of a Regex", "Replace of a String", err);
    return glot_normalizer_add(&t->normalizer, GLOT_NORMALIZE_REPLACE, pattern, content, t->path, err);
}

static glot_status read_normalizer(glot_tokenizer *t, const json_t *object, glot_error *err)
{
    const char *type = type_of(object);
    if (!object || json_is_null(object))
        return GLOT_OK;
    if (strcmp(type, "NFC") == 0)
        return glot_normalizer_add(&t->normalizer, GLOT_NORMALIZE_NFC, NULL, NULL, t->path, err);
    if (strcmp(type, "Replace") == 0)
        return read_replace(t, object, err);
    if (strcmp(type, "Prepend") == 0) {
        const char *content;
        GLOT_TRY(glot_json_get_string(object, "prepend", &content, t->path, err));
        return glot_normalizer_add(&t->normalizer, GLOT_NORMALIZE_PREPEND, NULL, content, t->path, err);
    }
    if (strcmp(type, "Sequence") != 0)
        return unsupported(t, "normalizer", type, "NFC, Prepend, Replace or a Sequence of them", err);
    const json_t *list, *element;
    size_t i;
    GLOT_TRY(get_list(object, "normalizers", &list, t->path, err));
    json_array_foreach(list, i, element) GLOT_TRY(read_normalizer(t, element, err));
    return GLOT_OK;
}

/* --- pre-tokenizer --- */

static glot_status add_stage(glot_tokenizer *t, const glot_stage *stage, glot_error *err)
{
    return glot_pretokenizer_add(&t->pretokenizer, stage, t->path, err);
}

static glot_status read_split(glot_tokenizer *t, const json_t *object, glot_error *err)
{
    static const char *const names[] = {"Isolated", "Removed", "Contiguous", "MergedWithPrevious",
                                        "MergedWithNext"};
    const char *pattern, *behavior;
    bool is_regex, invert = false;
    GLOT_TRY(get_pattern(object, &pattern, &is_regex, t->path, err));
    GLOT_TRY(glot_json_get_string(object, "behavior", &behavior, t->path, err));
    GLOT_TRY(glot_json_get_bool_opt(object, "invert", &invert, t->path, err));
    size_t n = 0;
    while (n < sizeof names / sizeof names[0] && strcmp(names[n], behavior) != 0)
        n++;
    if (n == sizeof names / sizeof names[0])
        return unsupported(t, "behavior of a Split", behavior,
                           "Isolated, Removed, Contiguous, MergedWithPrevious or MergedWithNext", err);
    if (!*pattern)
        return unsupported(t, "pre-tokenizer", "Split at nothing", "a pattern", err);
    glot_stage stage = {.kind = is_regex ? GLOT_STAGE_PATTERN : GLOT_STAGE_STRING,
                        .text = (char *)pattern,
                        .behavior = (glot_split_behavior)n,
                        .invert = invert};
    return add_stage(t, &stage, err);
}

static glot_status read_byte_level(glot_tokenizer *t, const json_t *object, glot_error *err)
{
    bool add_prefix_space = true, use_regex = true;
    GLOT_TRY(glot_json_get_bool_opt(object, "add_prefix_space", &add_prefix_space, t->path, err));
    GLOT_TRY(glot_json_get_bool_opt(object, "use_regex", &use_regex, t->path, err));
    if (add_prefix_space)
        GLOT_TRY(add_stage(t, &(glot_stage){.kind = GLOT_STAGE_SPACE}, err));
    if (use_regex)
        GLOT_TRY(add_stage(t, &(glot_stage){.kind = GLOT_STAGE_GPT2}, err));
    t->pretokenizer.byte_level = true;
    return GLOT_OK;
}

/* The one character under `key`. */
static glot_status get_character(const json_t *object, const char *key, const char **text, const char *path,
                                 glot_error *err)
{
    size_t length = 0;
    GLOT_TRY(glot_json_get_string(object, key, text, path, err));
    if (**text)
        glot_utf8_decode(*text, &length);
    if (length == 0 || (*text)[length])
        return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s': key '%s' of %s is '%.64s', expected one character",
                         path, key, type_of(object), *text);
    return GLOT_OK;
}

static glot_status get_prepend_scheme(const glot_tokenizer *t, const json_t *object,
                                      glot_prepend_scheme *scheme, glot_error *err)
{
    static const char *const names[] = {"always", "first", "never"};
    const char *name = "always";
    bool add_prefix_space = true;
    GLOT_TRY(glot_json_get_string_opt(object, "prepend_scheme", &name, t->path, err));
    GLOT_TRY(glot_json_get_bool_opt(object, "add_prefix_space", &add_prefix_space, t->path, err));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0) {
            *scheme = (glot_prepend_scheme)i;
            if (!add_prefix_space && *scheme != GLOT_PREPEND_NEVER)
                return GLOT_FAIL(err, GLOT_BAD_VALUE,
                                 "'%s': Metaspace has add_prefix_space false and prepend_scheme %s", t->path,
                                 name);
            return GLOT_OK;
        }
    return unsupported(t, "prepend_scheme of Metaspace", name, "always, first or never", err);
}

static glot_status read_metaspace(glot_tokenizer *t, const json_t *object, glot_error *err)
{
    const char *replacement;
    glot_stage stage = {.kind = GLOT_STAGE_METASPACE, .split = true};
    GLOT_TRY(get_character(object, "replacement", &replacement, t->path, err));
    GLOT_TRY(get_prepend_scheme(t, object, &stage.scheme, err));
    GLOT_TRY(glot_json_get_bool_opt(object, "split", &stage.split, t->path, err));
    if (t->pretokenizer.n > 0)
        return unsupported(t, "pre-tokenizer", "Metaspace behind another one", "Metaspace first", err);
    stage.text = (char *)replacement;
    return add_stage(t, &stage, err);
}

static glot_status read_pretokenizer(glot_tokenizer *t, const json_t *object, glot_error *err)
{
    const char *type = type_of(object);
    if (!object || json_is_null(object))
        return GLOT_OK;
    if (strcmp(type, "Sequence") == 0) {
        const json_t *list, *element;
        size_t i;
        GLOT_TRY(get_list(object, "pretokenizers", &list, t->path, err));
        json_array_foreach(list, i, element) GLOT_TRY(read_pretokenizer(t, element, err));
        return GLOT_OK;
    }
    if (t->pretokenizer.byte_level)
        return unsupported(t, "pre-tokenizer behind ByteLevel", type, "ByteLevel last", err);
    if (strcmp(type, "Split") == 0)
        return read_split(t, object, err);
    if (strcmp(type, "ByteLevel") == 0)
        return read_byte_level(t, object, err);
    if (strcmp(type, "Metaspace") == 0)
        return read_metaspace(t, object, err);
    if (strcmp(type, "Digits") != 0)
        return unsupported(t, "pre-tokenizer", type,
                           "Split, Digits, ByteLevel, Metaspace or a Sequence of them", err);
    bool individual = false;
    GLOT_TRY(glot_json_get_bool_opt(object, "individual_digits", &individual, t->path, err));
    glot_stage stage = {.kind = GLOT_STAGE_DIGITS,
                        .behavior = individual ? GLOT_SPLIT_ISOLATED : GLOT_SPLIT_CONTIGUOUS};
    return add_stage(t, &stage, err);
}

/* --- model --- */

static glot_status read_vocabulary(glot_tokenizer *t, const json_t *model, glot_error *err)
{
    json_t *vocabulary = json_object_get(model, "vocab"), *id;
    const char *token;
    if (!json_is_object(vocabulary))
        return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s': key 'vocab' of the model is %s, expected an object",
                         t->path, vocabulary ? "no object" : "missing");
    json_object_foreach(vocabulary, token, id)
    {
        if (!json_is_integer(id))
            return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s': the id of the token '%.64s' is not an integer",
                             t->path, token);
        GLOT_TRY(glot_vocabulary_add(&t->vocabulary, json_integer_value(id), token, strlen(token), true,
                                     t->path, err));
    }
    return GLOT_OK;
}

/* One merge: "left right" or ["left", "right"]. */
static glot_status read_merge(glot_tokenizer *t, const json_t *merge, size_t index, glot_error *err)
{
    const char *left = json_string_value(merge), *right = NULL;
    size_t left_size = 0;
    if (left) {
        const char *space = strchr(left, ' ');
        if (space && !strchr(space + 1, ' ')) {
            left_size = (size_t)(space - left);
            right = space + 1;
        }
    } else if (json_array_size(merge) == 2) {
        left = json_string_value(json_array_get(merge, 0));
        right = left ? json_string_value(json_array_get(merge, 1)) : NULL;
        left_size = left ? strlen(left) : 0;
    }
    if (!right)
        return GLOT_FAIL(err, GLOT_BAD_FORMAT,
                         "'%s': merge %zu is not two pieces, neither 'left right' nor a list of two", t->path,
                         index);
    return glot_tokenizer_add_merge(t, index, left, left_size, right, strlen(right), err);
}

static glot_status read_merges(glot_tokenizer *t, const json_t *model, glot_error *err)
{
    const json_t *merges, *merge;
    size_t i;
    GLOT_TRY(get_list(model, "merges", &merges, t->path, err));
    json_array_foreach(merges, i, merge)
    {
        const char *text = json_string_value(merge);
        if (!text || strncmp(text, "#version", 8) != 0)
            GLOT_TRY(read_merge(t, merge, i, err));
    }
    return GLOT_OK;
}

/* Parts of the model that must be absent, null, empty or zero. */
static glot_status refuse_affixes(const glot_tokenizer *t, const json_t *model, glot_error *err)
{
    static const char *const keys[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const char *text = "";
        GLOT_TRY(glot_json_get_string_opt(model, keys[i], &text, t->path, err));
        if (*text)
            return GLOT_FAIL(err, GLOT_UNSUPPORTED, "'%s': the model's %s is '%.64s', which is not supported",
                             t->path, keys[i], text);
    }
    double dropout = 0;
    GLOT_TRY(glot_json_get_real_opt(model, "dropout", &dropout, t->path, err));
    if (!(dropout == 0))
        return GLOT_FAIL(err, GLOT_UNSUPPORTED,
                         "'%s': the model's dropout is %g, only null or 0 is supported", t->path, dropout);
    return GLOT_OK;
}

/* Whether every byte has its character in the vocabulary, so that nothing is ever unknown. */
static bool knows_all_bytes(const glot_tokenizer *t)
{
    for (int byte = 0; byte < 256; byte++) {
        char text[4];
        size_t length = glot_utf8_encode(text, glot_byte_to_character((unsigned char)byte));
        if (glot_vocabulary_find_in_model(&t->vocabulary, text, length) < 0)
            return false;
    }
    return t->pretokenizer.byte_level;
}

static glot_status read_unknown(glot_tokenizer *t, const json_t *model, glot_error *err)
{
    const char *unknown = NULL;
    GLOT_TRY(glot_json_get_string_opt(model, "unk_token", &unknown, t->path, err));
    if (!unknown)
        return GLOT_OK;
    t->bpe.unk_id = glot_vocabulary_find_in_model(&t->vocabulary, unknown, strlen(unknown));
    if (t->bpe.unk_id < 0 && !knows_all_bytes(t))
        return GLOT_FAIL(err, GLOT_BAD_VALUE, "'%s': the unk_token '%.64s' is not in the vocabulary", t->path,
                         unknown);
    return GLOT_OK;
}

static glot_status read_model(glot_tokenizer *t, const json_t *model, glot_error *err)
{
    if (!json_is_object(model))
        return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s': key 'model' is %s, expected an object", t->path,
                         model ? "no object" : "missing");
    /* Files from before 2021 name no type. */
    if (json_object_get(model, "type") && strcmp(type_of(model), "BPE") != 0)
        return unsupported(t, "model", type_of(model), "BPE", err);
    GLOT_TRY(refuse_affixes(t, model, err));
    GLOT_TRY(glot_json_get_bool_opt(model, "fuse_unk", &t->bpe.fuse_unk, t->path, err));
    GLOT_TRY(glot_json_get_bool_opt(model, "byte_fallback", &t->bpe.byte_fallback, t->path, err));
    GLOT_TRY(glot_json_get_bool_opt(model, "ignore_merges", &t->bpe.ignore_merges, t->path, err));
    GLOT_TRY(read_vocabulary(t, model, err));
    GLOT_TRY(read_merges(t, model, err));
    return read_unknown(t, model, err);
}

/* --- added tokens --- */

static glot_status read_added_token(glot_tokenizer *t, const json_t *object, glot_error *err)
{
    glot_added_token token = {0};
    const char *content;
    int64_t id;
    GLOT_TRY(glot_json_get_string(object, "content", &content, t->path, err));
    GLOT_TRY(glot_json_get_int(object, "id", &id, t->path, err));
    GLOT_TRY(glot_json_get_bool_opt(object, "single_word", &token.single_word, t->path, err));
    GLOT_TRY(glot_json_get_bool_opt(object, "lstrip", &token.lstrip, t->path, err));
    GLOT_TRY(glot_json_get_bool_opt(object, "rstrip", &token.rstrip, t->path, err));
    GLOT_TRY(glot_json_get_bool_opt(object, "special", &token.special, t->path, err));
    token.normalized = !token.special;
    GLOT_TRY(glot_json_get_bool_opt(object, "normalized", &token.normalized, t->path, err));
    token.content = (char *)content;
    return glot_tokenizer_add_token(t, &token, id, err);
}

static glot_status read_added(glot_tokenizer *t, const json_t *root, glot_error *err)
{
    const json_t *list = json_object_get(root, "added_tokens"), *token;
    size_t i;
    if (!list || json_is_null(list))
        return GLOT_OK;
    GLOT_TRY(get_list(root, "added_tokens", &list, t->path, err));
    json_array_foreach(list, i, token) GLOT_TRY(read_added_token(t, token, err));
    return GLOT_OK;
}

/* --- decoder --- */

static glot_status keep(char **place, const char *text, glot_error *err)
{
    glot_free(*place);
    *place = glot_strdup(text);
    return *place ? GLOT_OK : GLOT_FAIL(err, GLOT_NOMEM, "no memory for a tokenizer");
}

/* The order in which the parts of a SentencePiece decoder may stand. */
enum { PART_REPLACE = 1, PART_FALLBACK, PART_FUSE, PART_STRIP, PART_OTHER };

static glot_status read_decoder_replace(glot_tokenizer *t, const json_t *object, glot_error *err)
{
    const char *pattern, *content;
    bool is_regex;
    GLOT_TRY(get_pattern(object, &pattern, &is_regex, t->path, err));
    GLOT_TRY(glot_json_get_string(object, "content", &content, t->path, err));
    if (is_regex || !*pattern)
        return unsupported(t, "decoder", "Replace of a Regex or of nothing", "Replace of a String", err);
    GLOT_TRY(keep(&t->decoding.replace, pattern, err));
    return keep(&t->decoding.content, content, err);
}

static glot_status read_decoder_strip(glot_tokenizer *t, const json_t *object, glot_error *err)
{
    const char *content;
    int64_t stop = 0;
    GLOT_TRY(get_character(object, "content", &content, t->path, err));
    GLOT_TRY(glot_json_get_int(object, "start", &t->decoding.n_strip, t->path, err));
    GLOT_TRY(glot_json_get_int_opt(object, "stop", &stop, t->path, err));
    if (stop != 0)
        return unsupported(t, "decoder", "Strip of the end", "Strip with stop 0", err);
    return keep(&t->decoding.strip, content, err);
}

static glot_status read_decoder_metaspace(glot_tokenizer *t, const json_t *object, glot_error *err)
{
    const char *replacement;
    glot_prepend_scheme scheme = GLOT_PREPEND_ALWAYS;
    GLOT_TRY(get_character(object, "replacement", &replacement, t->path, err));
    GLOT_TRY(get_prepend_scheme(t, object, &scheme, err));
    t->decoding.metaspace_first = scheme != GLOT_PREPEND_NEVER;
    GLOT_TRY(keep(&t->decoding.replace, replacement, err));
    return keep(&t->decoding.content, " ", err);
}

/* Reads one decoder; *last is the part read before it. */
static glot_status read_decoder_part(glot_tokenizer *t, const json_t *object, int *last, glot_error *err)
{
    static const struct {
        const char *type;
        int part;
    } parts[] = {{"Replace", PART_REPLACE}, {"ByteFallback", PART_FALLBACK}, {"Fuse", PART_FUSE},
                 {"Strip", PART_STRIP},     {"ByteLevel", PART_OTHER},       {"Metaspace", PART_OTHER}};
    const char *type = type_of(object);
    int part = 0;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (strcmp(parts[i].type, type) == 0)
            part = parts[i].part;
    bool in_place =
        part > *last && !(part == PART_OTHER && *last) && !(part == PART_STRIP && *last != PART_FUSE);
    if (!in_place)
        return unsupported(t, part ? "order of decoders, with this one at its place," : "decoder", type,
                           "ByteLevel, Metaspace, or Replace, ByteFallback, Fuse, Strip in this order", err);
    *last = part;
    t->decoding.kind = strcmp(type, "ByteLevel") == 0 ? GLOT_DECODE_BYTES : GLOT_DECODE_PIECES;
    t->decoding.byte_fallback |= part == PART_FALLBACK;
    if (part == PART_REPLACE)
        return read_decoder_replace(t, object, err);
    if (part == PART_STRIP)
        return read_decoder_strip(t, object, err);
    return strcmp(type, "Metaspace") == 0 ? read_decoder_metaspace(t, object, err) : GLOT_OK;
}

static glot_status read_decoder(glot_tokenizer *t, const json_t *object, int *last, glot_error *err)
{
    if (!object || json_is_null(object))
        return GLOT_OK;
    if (strcmp(type_of(object), "Sequence") != 0)
        return read_decoder_part(t, object, last, err);
    const json_t *list, *element;
    size_t i;
    GLOT_TRY(get_list(object, "decoders", &list, t->path, err));
    t->decoding.kind = GLOT_DECODE_PIECES;
    json_array_foreach(list, i, element) GLOT_TRY(read_decoder(t, element, last, err));
    return GLOT_OK;
}

/* --- post-processor: only whether a token goes in front --- */

static glot_status read_template(glot_tokenizer *t, const json_t *object, glot_error *err)
{
    const json_t *list;
    GLOT_TRY(get_list(object, "single", &list, t->path, err));
    const json_t *first = json_object_get(json_array_get(list, 0), "SpecialToken");
    if (!first)
        return GLOT_OK;
    const char *token;
    GLOT_TRY(glot_json_get_string(first, "id", &token, t->path, err));
    t->adds_bos = true;
    return GLOT_OK;
}

static glot_status read_post_processor(glot_tokenizer *t, const json_t *object, glot_error *err)
{
    const char *type = type_of(object);
    if (!object || json_is_null(object) || strcmp(type, "ByteLevel") == 0)
        return GLOT_OK;
    if (strcmp(type, "TemplateProcessing") == 0)
        return read_template(t, object, err);
    if (strcmp(type, "Sequence") != 0)
        return unsupported(t, "post-processor", type, "TemplateProcessing, ByteLevel or a Sequence of them",
                           err);
    const json_t *list, *element;
    size_t i;
    GLOT_TRY(get_list(object, "processors", &list, t->path, err));
    json_array_foreach(list, i, element) GLOT_TRY(read_post_processor(t, element, err));
    return GLOT_OK;
}

/* --- the file --- */

/* Cutting and padding belong to a call, not to the ids of a text: transformers sets both anew each time. */
static void warn_of_call_settings(const glot_tokenizer *t, const json_t *root)
{
    static const char *const keys[] = {"truncation", "padding"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const json_t *value = json_object_get(root, keys[i]);
        if (value && !json_is_null(value))
            glot_warn("'%s' asks for %s, which is left out: texts are encoded whole", t->path, keys[i]);
    }
}

static glot_status read_root(glot_tokenizer *t, const json_t *root, glot_error *err)
{
    const char *version = "1.0";
    int last = 0;
    if (!json_is_object(root))
        return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s' is not a tokenizer.json: it holds no object", t->path);
    GLOT_TRY(glot_json_get_string_opt(root, "version", &version, t->path, err));
    if (strcmp(version, "1.0") != 0)
        return GLOT_FAIL(err, GLOT_BAD_VERSION, "'%s': the tokenizer's version is '%.64s', expected '1.0'",
                         t->path, version);
    warn_of_call_settings(t, root);
    GLOT_TRY(read_normalizer(t, json_object_get(root, "normalizer"), err));
    GLOT_TRY(read_pretokenizer(t, json_object_get(root, "pre_tokenizer"), err));
    GLOT_TRY(read_model(t, json_object_get(root, "model"), err));
    GLOT_TRY(read_added(t, root, err));
    GLOT_TRY(read_decoder(t, json_object_get(root, "decoder"), &last, err));
    GLOT_TRY(read_post_processor(t, json_object_get(root, "post_processor"), err));
    return glot_tokenizer_finish(t, err);
}

glot_status glot_tokenizer_parse(glot_tokenizer **out, const char *json, size_t size, const char *path,
                                 glot_error *err)
{
    json_t *root = NULL;
    glot_tokenizer *t = NULL;
    GLOT_TRY(glot_tokenizer_new(&t, path, err));
    glot_status status = glot_json_load(&root, json, size, path, err);
    if (status == GLOT_OK)
        status = read_root(t, root, err);
    json_decref(root);
    if (status == GLOT_OK && !(t->source = glot_strndup(json, size)))
        status = GLOT_FAIL(err, GLOT_NOMEM, "no memory for '%s'", path);
    if (status != GLOT_OK) {
        glot_tokenizer_close(t);
        return status;
    }
    t->source_size = size;
    *out = t;
    return GLOT_OK;
}
