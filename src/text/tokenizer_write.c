/* tokenizer_write.c: a tokenizer.json for a tokenizer that came from a GGUF, in the form Hugging Face
 * tokenizers writes. */
#include "base/memory.h"
#include "text/tokenizer_impl.h"

#include <string.h>

static void put_string(glot_str *out, const char *text, size_t size)
{
    glot_str_append(out, "\"", 1);
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\')
            glot_str_printf(out, "\\%c", c);
        else if (c < 0x20)
            glot_str_printf(out, "\\u%04x", c);
        else
            glot_str_append(out, &text[i], 1);
    }
    glot_str_append(out, "\"", 1);
}

static void put_token(glot_str *out, const glot_tokenizer *t, int64_t id)
{
    size_t size = 0;
    const char *text = glot_vocabulary_text(&t->vocabulary, id, &size);
    put_string(out, text ? text : "", size);
}

/* A key whose value is a string, after a comma. */
static void put_member(glot_str *out, const char *key, const char *value)
{
    glot_str_printf(out, ",\"%s\":", key);
    put_string(out, value, strlen(value));
}

static const char *truth(bool value)
{
    return value ? "true" : "false";
}

static void put_added(glot_str *out, const glot_tokenizer *t)
{
    bool is_first = true;
    glot_str_puts(out, ",\n\"added_tokens\":[");
    for (size_t id = 0; id < t->vocabulary.size; id++) {
        if (!t->vocabulary.entries[id].added)
            continue;
        const glot_added_token *token = &t->added[t->vocabulary.entries[id].added - 1];
        glot_str_printf(out, "%s\n{\"id\":%zu,\"content\":", is_first ? "" : ",", id);
        put_string(out, token->content, strlen(token->content));
        glot_str_printf(out,
                        ",\"single_word\":%s,\"lstrip\":%s,\"rstrip\":%s,\"normalized\":%s,\"special\":%s}",
                        truth(token->single_word), truth(token->lstrip), truth(token->rstrip),
                        truth(token->normalized), truth(token->special));
        is_first = false;
    }
    glot_str_puts(out, "]");
}

static void put_normalizer(glot_str *out, const glot_tokenizer *t)
{
    if (t->normalizer.n == 0) {
        glot_str_puts(out, ",\n\"normalizer\":null");
        return;
    }
    glot_str_puts(out, ",\n\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[");
    for (size_t i = 0; i < t->normalizer.n; i++) {
        const glot_normalizer_step *step = &t->normalizer.steps[i];
        glot_str_puts(out, i ? "," : "");
        if (step->kind == GLOT_NORMALIZE_NFC) {
            glot_str_puts(out, "{\"type\":\"NFC\"}");
        } else if (step->kind == GLOT_NORMALIZE_PREPEND) {
            glot_str_puts(out, "{\"type\":\"Prepend\"");
            put_member(out, "prepend", step->content);
            glot_str_puts(out, "}");
        } else {
            glot_str_puts(out, "{\"type\":\"Replace\",\"pattern\":{\"String\":");
            put_string(out, step->pattern, strlen(step->pattern));
            glot_str_puts(out, "}");
            put_member(out, "content", step->content);
            glot_str_puts(out, "}");
        }
    }
    glot_str_puts(out, "]}");
}

/* The stages that a GGUF can name: digits, then one of the known patterns. */
static void put_stage(glot_str *out, const glot_stage *stage)
{
    if (stage->kind == GLOT_STAGE_DIGITS) {
        glot_str_puts(out, "{\"type\":\"Digits\",\"individual_digits\":true},");
        return;
    }
    const char *pattern = glot_stage_pattern(stage->kind);
    glot_str_puts(out, "{\"type\":\"Split\",\"pattern\":{\"Regex\":");
    put_string(out, pattern, strlen(pattern));
    glot_str_puts(out, "},\"behavior\":\"Isolated\",\"invert\":false},");
}

static const char byte_level[] =
    "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":false}";

static void put_pretokenizer(glot_str *out, const glot_tokenizer *t)
{
    if (!t->pretokenizer.byte_level) {
        glot_str_puts(out, ",\n\"pre_tokenizer\":null");
        return;
    }
    glot_str_puts(out, ",\n\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[");
    for (size_t i = 0; i < t->pretokenizer.n; i++)
        put_stage(out, &t->pretokenizer.stages[i]);
    glot_str_printf(out, "%s]}", byte_level);
}

static void put_post_processor(glot_str *out, const glot_tokenizer *t)
{
    if (!t->adds_bos) {
        glot_str_puts(out, ",\n\"post_processor\":null");
        return;
    }
    glot_str bos = {0};
    put_token(&bos, t, t->bos);
    const char *b = bos.data ? bos.data : "\"\"";
    glot_str_printf(
        out,
        ",\n\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":%s,"
        "\"type_id\":0}},{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}],\"pair\":[{\"SpecialToken\":{\"id\":%s,"
        "\"type_id\":0}},{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},{\"SpecialToken\":{\"id\":%s,\"type_"
        "id\":1}},"
        "{\"Sequence\":{\"id\":\"B\",\"type_id\":1}}],\"special_tokens\":{%s:{\"id\":%s,\"ids\":[%" PRId32
        "],\"tokens\":[%s]}}}",
        b, b, b, b, b, t->bos, b);
    out->failed |= bos.failed;
    glot_str_release(&bos);
}

static void put_decoder(glot_str *out, const glot_tokenizer *t)
{
    const glot_decoding *d = &t->decoding;
    if (d->kind == GLOT_DECODE_BYTES) {
        glot_str_printf(out, ",\n\"decoder\":%s", byte_level);
        return;
    }
    glot_str_puts(
        out,
        ",\n\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\",\"pattern\":{\"String\":");
    put_string(out, d->replace, strlen(d->replace));
    glot_str_puts(out, "}");
    put_member(out, "content", d->content);
    glot_str_puts(out, "},{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"}");
    if (d->strip) {
        glot_str_puts(out, ",{\"type\":\"Strip\"");
        put_member(out, "content", d->strip);
        glot_str_printf(out, ",\"start\":%" PRId64 ",\"stop\":0}", d->n_strip);
    }
    glot_str_puts(out, "]}");
}

static void put_model(glot_str *out, const glot_tokenizer *t)
{
    glot_str_puts(out, ",\n\"model\":{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":");
    if (t->bpe.unk_id >= 0)
        put_token(out, t, t->bpe.unk_id);
    else
        glot_str_puts(out, "null");
    glot_str_printf(out,
                    ",\"continuing_subword_prefix\":null,\"end_of_word_suffix\":null,\"fuse_unk\":%s,"
                    "\"byte_fallback\":%s,\"ignore_merges\":%s,\n\"vocab\":{",
                    truth(t->bpe.fuse_unk), truth(t->bpe.byte_fallback), truth(t->bpe.ignore_merges));
    for (size_t id = 0; id < t->vocabulary.size; id++) {
        glot_str_puts(out, id ? ",\n" : "\n");
        put_token(out, t, (int64_t)id);
        glot_str_printf(out, ":%zu", id);
    }
    glot_str_puts(out, "},\n\"merges\":[");
    for (size_t i = 0; i < t->bpe.merges.n; i++) {
        glot_str_puts(out, i ? ",\n[" : "\n[");
        put_token(out, t, t->bpe.merges.merges[i].left);
        glot_str_puts(out, ",");
        put_token(out, t, t->bpe.merges.merges[i].right);
        glot_str_puts(out, "]");
    }
    glot_str_puts(out, "]}}\n");
}

static glot_status write_all(const glot_tokenizer *t, glot_str *out, glot_error *err)
{
    glot_str_puts(out, "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null");
    put_added(out, t);
    put_normalizer(out, t);
    put_pretokenizer(out, t);
    put_post_processor(out, t);
    put_decoder(out, t);
    put_model(out, t);
    return glot_str_check(out, "a tokenizer.json", err);
}

glot_status glot_tokenizer_json(const glot_tokenizer *t, char **json, size_t *size, glot_error *err)
{
    glot_str out = {0};
    if (t->source)
        glot_str_append(&out, t->source, t->source_size);
    glot_status status = t->source ? glot_str_check(&out, "a tokenizer.json", err) : write_all(t, &out, err);
    if (status != GLOT_OK) {
        glot_str_release(&out);
        return status;
    }
    *json = out.data;
    *size = out.length;
    return GLOT_OK;
}
