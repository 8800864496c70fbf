#include "model/windows.h"

enum { DEFAULT_LENGTH = 1024 };

glot_status glot_windows_of(glot_windows *out, const glot_model *m, int64_t length, glot_error *err)
{
    const glot_model_config *c = &m->config;
    int64_t most = c->context_length - 1;
    out->length = length ? length : (most < DEFAULT_LENGTH ? most : DEFAULT_LENGTH);
    if (out->length < 1 || out->length > most)
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT,
                         "windows of %" PRId64 " tokens are outside 1 to %" PRId64
                         ", the model's context less one",
                         out->length, most);
    out->start_id = glot_config_start_id(c);
    if (out->start_id < 0)
        return GLOT_FAIL(
            err, GLOT_BAD_VALUE,
            "'%s' names neither a BOS nor an EOS token, and every window of a text begins with one",
            m->path ? m->path : "the model");
    return GLOT_OK;
}
