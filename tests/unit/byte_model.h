/* byte_model.h: a small model whose tokens are bytes, saved as a directory: for tests that begin with text.
 */
#ifndef GLOT_TESTS_BYTE_MODEL_H
#define GLOT_TESTS_BYTE_MODEL_H

#include "unit/tiny_model.h"

#include "base/str.h"

enum { BYTE_END = 256, BYTE_VOCAB = 258 }; /* the id that begins and ends documents; one entry has no token */

/* tokenizer.json: the ids of a text are its bytes, "<end>" is BYTE_END. */
static inline void byte_tokenizer_json(glot_str *json)
{
    unsigned next = 256;
    glot_str_puts(
        json,
        "{\"version\":\"1.0\",\"added_tokens\":[{\"id\":256,\"content\":\"<end>\",\"single_word\":false,"
        "\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"special\":true}],\"normalizer\":null,"
        "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,"
        "\"use_regex\":true},\"post_processor\":null,\"decoder\":{\"type\":\"ByteLevel\","
        "\"add_prefix_space\":true,\"trim_offsets\":true,\"use_regex\":true},\"model\":{\"type\":\"BPE\","
        "\"dropout\":null,\"unk_token\":null,\"continuing_subword_prefix\":null,"
        "\"end_of_word_suffix\":null,\"fuse_unk\":false,\"byte_fallback\":false,\"vocab\":{");
    for (unsigned byte = 0; byte < 256; byte++) {
        bool prints = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
        glot_str_printf(json, "%s\"\\u%04x\":%u", byte ? "," : "", prints ? byte : next, byte);
        next += !prints;
    }
    glot_str_puts(json, "},\"merges\":[]}}");
}

/* The tiny dense model over bytes; of another seed, other weights. */
static inline glot_model *byte_model(glot_backend *be, uint64_t seed)
{
    glot_error err = {0};
    glot_model *m = NULL;
    glot_model_config c = tiny_dense_config();
    c.vocab_size = BYTE_VOCAB;
    c.bos_id = c.eos_id = BYTE_END;
    OK(glot_model_create_random(&m, be, &c, seed, &err));
    tiny_spread(m, 8.0f);
    return m;
}

/* It, with its tokenizer, as a model directory. */
static inline void byte_model_save(const char *dir)
{
    glot_error err = {0};
    glot_backend *be = NULL;
    glot_str tokenizer = {0};
    OK(glot_ref_backend_create(&be, GLOT_F32, &err));
    glot_model *m = byte_model(be, 3);
    byte_tokenizer_json(&tokenizer);
    OK(glot_model_save(m, dir, NULL, tokenizer.data, tokenizer.length, &err));
    glot_str_release(&tokenizer);
    glot_model_close(m);
    glot_backend_close(be);
}

#endif
