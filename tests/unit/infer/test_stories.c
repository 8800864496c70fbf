/* test_stories.c: a real model, trained elsewhere: stories260K of ../shared/models tells the story that it is
 * known for. Its file is read here, as its README describes it; skipped where it is missing. */
#include "infer/session.h"
#include "unit/tiny_model.h"

#include "base/str.h"

#define STORIES GLOT_SOURCE_DIR "/../shared/models/stories260K/"

enum { DIM = 64, HIDDEN = 172, LAYERS = 5, HEADS = 8, KV_HEADS = 4, HEAD_DIM = 8, VOCAB = 512, BOS = 1 };

static const char story[] = "Once upon a time, there was a little girl named Lily. She loved to play outside "
                            "in the park. One day, she saw a big, "
                            "red ball. She wanted to play with it, but it was too high";

/* What of the file comes next. */
typedef struct cursor {
    const float *at;
    int64_t left; /* floats */
} cursor;

static const float *take(cursor *c, int64_t n)
{
    const float *found = c->at;
    assert_true(n <= c->left);
    c->at += n;
    c->left -= n;
    return found;
}

static void put(const glot_model *m, const char *name, const float *values, int64_t n)
{
    for (size_t i = 0; i < m->n_params; i++)
        if (strcmp(m->params[i]->name, name) == 0) {
            assert_int_equal(glot_tensor_elements(&m->params[i]->weight), n);
            m->be->upload(m->be, &m->params[i]->weight, values);
            return;
        }
    fail_msg("the model has no '%s'", name);
}

/* A matrix of each layer, all of them one behind the other in the file. */
static void put_layers(const glot_model *m, cursor *c, const char *name, int64_t n)
{
    for (int l = 0; l < LAYERS; l++) {
        char full[96];
        snprintf(full, sizeof full, "model.layers.%d.%s.weight", l, name);
        put(m, full, take(c, n), n);
    }
}

/* Rows of Q or K: the file rotates neighbours (2i, 2i + 1), the model halves (i, i + 4). */
static void put_rotated_layers(const glot_model *m, cursor *c, const char *name, int n_heads)
{
    float rows[HEADS * HEAD_DIM * DIM];
    for (int l = 0; l < LAYERS; l++) {
        char full[96];
        const float *from = take(c, n_heads * HEAD_DIM * DIM);
        for (int row = 0; row < n_heads * HEAD_DIM; row++) {
            int head = row / HEAD_DIM, i = row % HEAD_DIM;
            int to = head * HEAD_DIM + i % 2 * (HEAD_DIM / 2) + i / 2;
            memcpy(rows + to * DIM, from + row * DIM, DIM * sizeof *rows);
        }
        snprintf(full, sizeof full, "model.layers.%d.%s.weight", l, name);
        put(m, full, rows, n_heads * HEAD_DIM * DIM);
    }
}

static void put_weights(const glot_model *m, cursor *c)
{
    put(m, "model.embed_tokens.weight", take(c, VOCAB * DIM), VOCAB * DIM);
    put_layers(m, c, "input_layernorm", DIM);
    put_rotated_layers(m, c, "self_attn.q_proj", HEADS);
    put_rotated_layers(m, c, "self_attn.k_proj", KV_HEADS);
    put_layers(m, c, "self_attn.v_proj", KV_HEADS * HEAD_DIM * DIM);
    put_layers(m, c, "self_attn.o_proj", DIM * DIM);
    put_layers(m, c, "post_attention_layernorm", DIM);
    put_layers(m, c, "mlp.gate_proj", HIDDEN * DIM);
    put_layers(m, c, "mlp.down_proj", DIM * HIDDEN);
    put_layers(m, c, "mlp.up_proj", HIDDEN * DIM);
    put(m, "model.norm.weight", take(c, DIM), DIM);
    assert_int_equal(c->left, 2 * 512 * 4); /* tables of older readers */
}

static glot_model *open_stories(glot_backend *be)
{
    static const int32_t header[] = {DIM, HIDDEN, LAYERS, HEADS, KV_HEADS, VOCAB, 512};
    glot_error err = {0};
    glot_model *m = NULL;
    char *bytes = NULL;
    size_t size = 0;
    glot_model_config c = tiny_dense_config();
    c.hidden_size = DIM;
    c.intermediate_size = HIDDEN;
    c.n_layers = LAYERS;
    c.n_heads = HEADS;
    c.n_kv_heads = KV_HEADS;
    c.head_dim = HEAD_DIM;
    c.vocab_size = c.context_length = VOCAB;
    c.rope.theta = 10000.0;
    for (int l = 0; l < LAYERS; l++)
        c.n_experts[l] = 1;
    OK(glot_file_read(&bytes, &size, STORIES "stories260K.bin", 4 << 20, &err));
    assert_memory_equal(bytes, header, sizeof header);
    OK(glot_model_create_random(&m, be, &c, 1, &err));
    cursor at = {(const float *)(const void *)(bytes + sizeof header),
                 (int64_t)((size - sizeof header) / sizeof(float))};
    put_weights(m, &at);
    glot_free(bytes);
    return m;
}

/* Appends the piece of an id: each is a score, its length and its bytes. */
static void append_piece(glot_str *out, const char *pieces, int32_t id)
{
    const char *at = pieces + sizeof(int32_t);
    int32_t length;
    for (int32_t i = 0;; i++) {
        memcpy(&length, at + sizeof(float), sizeof length);
        at += sizeof(float) + sizeof length;
        if (i == id)
            break;
        at += length;
    }
    glot_str_append(out, at, (size_t)length);
}

/* Greedy from BOS until there is as much text as the known story. */
static void tell(glot_str *out, glot_session *s, const char *pieces)
{
    glot_error err = {0};
    const float *log_probs = NULL;
    int32_t id = BOS;
    while (out->length < sizeof story) {
        OK(glot_session_feed(s, &id, 1, &log_probs, &err));
        id = 0;
        for (int32_t i = 1; i < VOCAB; i++)
            if (log_probs[i] > log_probs[id])
                id = i;
        append_piece(out, pieces, id);
    }
}

static void test_the_known_story(void **state)
{
    (void)state;
    glot_error err = {0};
    glot_backend *be = NULL;
    glot_session *s = NULL;
    glot_str text = {0};
    char *pieces = NULL;
    size_t size = 0;
    if (!glot_path_exists(STORIES "stories260K.bin")) {
        print_message("skipped: there is no ../shared with models\n");
        skip();
    }
    OK(glot_cpu_backend_create(&be, 2, NULL, &err));
    OK(glot_file_read(&pieces, &size, STORIES "tok512.bin", 1 << 20, &err));
    glot_model *m = open_stories(be);
    OK(glot_session_create(&s, m, 256, 1, &err));
    tell(&text, s, pieces);
    const char *begin = text.data + (text.data[0] == ' '); /* the first piece's space is no text */
    if (strncmp(begin, story, sizeof story - 1) != 0)
        fail_msg("'%s' is another story", begin);
    glot_str_release(&text);
    glot_free(pieces);
    glot_session_free(s);
    glot_model_close(m);
    glot_backend_close(be);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_the_known_story)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
