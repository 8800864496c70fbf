/* fuzz_tokenizer.c: any bytes as tokenizer.json, or as GGUF metadata where they start so. A tokenizer that is
 * accepted encodes a few texts and decodes them; a byte-level one without a normalizer that knows every byte
 * gives the text back; one from a GGUF is written and must read back with the same hash.
 *
 * links: text
 */
#include "base/memory.h"
#include "text/tokenizer_impl.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const texts[] = {
    "",
    " ",
    "abab ab  a",
    "It's 1234 o'clock,\r\n\n don't WE'LL",
    "caf\u00e9 cafe\u0301 \u03b1\u03b2\u03b3 \u4e2d\u6587 \u0915\u093c\u094d",
    "\uac01\u1100\u1161\u11a8 \U0001f600",
    "<s>a</s> <|im_start|>x<|im_end|>",
    "\u3000\xc2\x85\u2003\u0301\u0316\u0301\u0316",
};

/* Whether decoding must give the text back. */
static bool is_lossless(const glot_tokenizer *t)
{
    if (!t->bpe.byte_level || t->normalizer.n > 0 || t->n_added > 0 || t->decoding.kind != GLOT_DECODE_BYTES)
        return false;
    for (size_t i = 0; i < t->pretokenizer.n; i++) {
        const glot_stage *stage = &t->pretokenizer.stages[i];
        if (stage->kind > GLOT_STAGE_DIGITS)
            return false;
    }
    for (int i = 0; i < 256; i++)
        if (t->bpe.byte_ids[i] < 0)
            return false;
    return true;
}

static void use_text(const glot_tokenizer *t, glot_encoder *e, const char *text)
{
    glot_error err = {0};
    glot_str out = {0};
    const int32_t *ids;
    size_t n, size = strlen(text);
    glot_status status = glot_encode(e, text, size, &ids, &n, &err);
    GLOT_ASSERT(status == GLOT_OK || err.message[0]);
    if (status != GLOT_OK)
        return;
    for (size_t i = 0; i < n; i++)
        GLOT_ASSERT(glot_tokenizer_token(t, ids[i]) != NULL);
    GLOT_ASSERT(glot_decode(t, ids, n, false, true, &out, &err) == GLOT_OK);
    if (is_lossless(t))
        GLOT_ASSERT(out.length == size && (size == 0 || memcmp(out.data, text, size) == 0));
    glot_str_reset(&out);
    GLOT_ASSERT(glot_decode(t, ids, n, true, false, &out, &err) == GLOT_OK);
    glot_str_release(&out);
}

static void use(const glot_tokenizer *t)
{
    glot_encoder *e = NULL;
    GLOT_ASSERT(glot_encoder_create(&e, t, NULL) == GLOT_OK);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        use_text(t, e, texts[i]);
    glot_encoder_free(e);
}

static void write_and_read(const glot_tokenizer *t)
{
    glot_error err = {0};
    glot_tokenizer *again = NULL;
    char *json;
    size_t size;
    GLOT_ASSERT(glot_tokenizer_json(t, &json, &size, &err) == GLOT_OK);
    GLOT_ASSERT(glot_tokenizer_parse(&again, json, size, "fuzz", &err) == GLOT_OK);
    GLOT_ASSERT(strcmp(glot_tokenizer_hash(t), glot_tokenizer_hash(again)) == 0);
    glot_tokenizer_close(again);
    glot_free(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    glot_error err = {0};
    glot_tokenizer *t = NULL;
    if (size >= 4 && memcmp(data, "GGUF", 4) == 0) {
        glot_gguf *g = NULL;
        if (glot_gguf_parse(&g, data, size, "fuzz", &err) != GLOT_OK)
            return 0;
        if (glot_tokenizer_from_gguf(&t, g, &err) == GLOT_OK) {
            use(t);
            write_and_read(t);
        }
        glot_gguf_close(g);
    } else if (glot_tokenizer_parse(&t, (const char *)data, size, "fuzz", &err) == GLOT_OK) {
        use(t);
    }
    GLOT_ASSERT(t != NULL || err.message[0]);
    glot_tokenizer_close(t);
    return 0;
}
