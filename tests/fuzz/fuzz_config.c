/* fuzz_config.c: any bytes as config.json, or as GGUF metadata where they start so. A configuration that is
 * accepted is written, over what it was read from and without it, and must be accepted again; its tables are
 * computed.
 *
 * links: model
 */
#include "base/memory.h"
#include "model/config.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_and_read(const glot_model_config *c, const json_t *base)
{
    glot_error err = {0};
    glot_model_config again;
    json_t *written = NULL;
    GLOT_ASSERT(glot_config_to_json(&written, c, base, &err) == GLOT_OK);
    GLOT_ASSERT(glot_config_from_json(&again, written, "fuzz", &err) == GLOT_OK);
    GLOT_ASSERT(again.n_layers == c->n_layers && again.head_dim == c->head_dim &&
                again.vocab_size == c->vocab_size);
    GLOT_ASSERT(again.rope.type == c->rope.type && again.context_length == c->context_length);
    glot_config_release(&again);
    json_decref(written);
}

static void use(glot_model_config *c, const json_t *base)
{
    glot_error err = {0};
    float *cosines = NULL, *sines = NULL;
    write_and_read(c, base);
    write_and_read(c, NULL);
    GLOT_ASSERT(glot_rope_tables(&cosines, &sines, c, 3, &err) == GLOT_OK);
    glot_free(cosines);
    glot_free(sines);
    glot_config_release(c);
}

static void try_gguf(const uint8_t *data, size_t size)
{
    glot_error err = {0};
    glot_gguf *g = NULL;
    glot_model_config c;
    if (glot_gguf_parse(&g, data, size, "fuzz", &err) != GLOT_OK)
        return;
    if (glot_config_from_gguf(&c, g, &err) == GLOT_OK)
        use(&c, NULL);
    glot_gguf_close(g);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    glot_error err = {0};
    json_t *root = NULL;
    glot_model_config c;
    if (size >= 4 && memcmp(data, "GGUF", 4) == 0) {
        try_gguf(data, size);
        return 0;
    }
    if (glot_json_load(&root, (const char *)data, size, "fuzz", &err) != GLOT_OK)
        return 0;
    if (glot_config_from_json(&c, root, "fuzz", &err) == GLOT_OK)
        use(&c, root);
    json_decref(root);
    return 0;
}
