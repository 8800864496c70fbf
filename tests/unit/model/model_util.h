/* model_util.h: what the tests of models share: folders, golden models, and running a list of documents. */
#ifndef MODEL_UTIL_H
#define MODEL_UTIL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "format/safetensors.h"
#include "model/model.h"

#define MODELS GLOT_SOURCE_DIR "/tests/golden/models/"

/* Fails the test with the error's sentence. */
#define assert_ok(call)                                                                                      \
    do {                                                                                                     \
        if ((call) != GLOT_OK)                                                                               \
            fail_msg("%s:%d: %s", __FILE__, __LINE__, err.message);                                          \
    } while (0)

/* The call fails with this status, and its sentence holds `part`. */
#define assert_refused(call, expected, part)                                                                 \
    do {                                                                                                     \
        glot_status got_ = (call);                                                                           \
        if (got_ != (expected) || !strstr(err.message, part))                                                \
            fail_msg("%s:%d: got %s, '%s', expected %s with '%s'", __FILE__, __LINE__,                       \
                     glot_status_name(got_), got_ ? err.message : "", glot_status_name(expected), part);     \
    } while (0)

/* A new folder; remove_temp_dir frees the name. */
static inline char *make_temp_dir(void)
{
    char *path = glot_strdup(GLOT_BINARY_DIR "/test-model-XXXXXX");
    assert_non_null(path);
    assert_non_null(mkdtemp(path));
    return path;
}

static inline void remove_temp_dir(char *path)
{
    glot_error err = {0};
    assert_ok(glot_dir_remove(path, &err));
    glot_free(path);
}

/* A path into a static buffer, good until the fourth call after this one. */
static inline const char *path_of(const char *dir, const char *name)
{
    static char buffers[4][1024];
    static int next;
    char *buffer = buffers[next++ % 4];
    snprintf(buffer, sizeof buffers[0], "%s/%s", dir, name);
    return buffer;
}

static inline void write_text(const char *dir, const char *name, const char *text)
{
    glot_error err = {0};
    assert_ok(glot_file_write(path_of(dir, name), text, strlen(text), &err));
}

static inline const glot_tensor *golden_tensor(const glot_safetensors *s, const char *name, glot_dtype dtype)
{
    const glot_stored_tensor *t = glot_safetensors_find(s, name);
    if (!t || t->tensor.dtype != dtype)
        fail_msg("golden tensor '%s' is missing or of another type", name);
    return &t->tensor;
}

/* log p of every position [T, vocab] of documents laid end to end; the caller frees. */
static inline float *run_documents(const glot_model *m, const int32_t *ids, const int32_t *lengths,
                                   int64_t n_documents)
{
    glot_error err = {0};
    int32_t positions[256], segments[4 * 16];
    int64_t n = 0, vocab = m->config.vocab_size;
    assert_true(n_documents <= 16);
    for (int64_t d = 0; d < n_documents; d++) {
        int32_t segment[4] = {(int32_t)n, lengths[d], (int32_t)n, lengths[d]};
        memcpy(segments + 4 * d, segment, sizeof segment);
        for (int32_t i = 0; i < lengths[d]; i++)
            positions[n++] = i;
    }
    glot_workspace *ws = NULL;
    glot_batch batch = {
        .n_tokens = n, .ids = ids, .positions = positions, .n_segments = n_documents, .segments = segments};
    float *out = malloc((size_t)(n * vocab) * sizeof *out);
    assert_non_null(out);
    assert_ok(glot_workspace_create(&ws, m, GLOT_WORKSPACE_INFER, n, n, n, &err));
    assert_ok(glot_workspace_load(ws, &batch, &err));
    glot_model_forward(m, ws, NULL);
    for (int64_t first = 0; first < n; first += ws->head_rows) {
        int64_t rows = n - first < ws->head_rows ? n - first : ws->head_rows;
        glot_model_log_probs(m, ws, first, rows, out + first * vocab);
    }
    glot_workspace_free(ws);
    return out;
}

#endif
