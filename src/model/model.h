/* model.h
 *
 * A whole model on a backend: its configuration, one table of parameters, and the layers that point into it.
 * forward.c and backward.c tell what happens; weights.c where the numbers come from; save.c where they go.
 *
 *     glot_model *m; glot_workspace *ws;
 *     glot_model_open(&m, be, "path/to/model", &err);
 *     glot_workspace_create(&ws, m, GLOT_WORKSPACE_INFER, n_tokens, n_positions, n_keys, &err);
 *     glot_workspace_load(ws, &batch, &err); glot_model_forward(m, ws); glot_model_nll(m, ws, 0, nll);
 *
 * Base weights stay in their file's type, mapped where the backend can use them there. A model may be read by
 * several workspaces.
 */
#ifndef GLOT_MODEL_MODEL_H
#define GLOT_MODEL_MODEL_H

#include "model/config.h"
#include "moe/moe.h"

typedef enum glot_role {
    GLOT_ROLE_EMBEDDING, GLOT_ROLE_ATTN_NORM, GLOT_ROLE_Q, GLOT_ROLE_K, GLOT_ROLE_V, GLOT_ROLE_Q_BIAS,
    GLOT_ROLE_K_BIAS, GLOT_ROLE_V_BIAS, GLOT_ROLE_Q_NORM, GLOT_ROLE_K_NORM, GLOT_ROLE_O, GLOT_ROLE_FFN_NORM,
    GLOT_ROLE_ROUTER, GLOT_ROLE_LANGUAGE_GATE, GLOT_ROLE_GATE_PROJ, GLOT_ROLE_UP_PROJ, GLOT_ROLE_DOWN_PROJ,
    GLOT_ROLE_FINAL_NORM, GLOT_ROLE_LM_HEAD, GLOT_ROLE_EXACT_EVIDENCE,
    GLOT_ROLE_LORA_A, GLOT_ROLE_LORA_B /* of adapters, which are not in the table */
} glot_role;

/* One tensor of the model under its Hugging Face name. */
typedef struct glot_param {
    char *name;          /* owned by the model */
    glot_role role;
    int layer, expert;   /* -1 where it has none */
    glot_tensor weight;  /* on the backend */
    bool is_owned;       /* weight.addr was allocated by the model (else it is a mapped file's) */
    bool is_trainable;
    glot_tensor grad;    /* same shape, be->real; addr NULL while frozen */
    glot_lora lora;      /* the adapter beside this weight; a is NULL where there is none */
} glot_param;

typedef struct glot_layer {
    glot_param *attn_norm, *q, *k, *v, *o, *ffn_norm;
    glot_param *q_bias, *k_bias, *v_bias, *q_norm, *k_norm; /* NULL where there is none */
    glot_param *router, *language_gate; /* NULL where there is none */
    int n_experts;
    glot_param **gate_proj, **up_proj, **down_proj; /* [n_experts] */
    glot_moe_weights moe;                           /* the same as tensors: rebuilt by glot_model_link */
} glot_layer;

typedef struct glot_model {
    glot_backend *be;
    glot_model_config config;
    json_t *base_config;      /* config.json as read, or NULL (GGUF) */
    char *path;               /* where it was opened */
    glot_param **params;      /* [n_params] in the order of saving: embedding, layers, final norm, head */
    size_t n_params, params_capacity;
    glot_param **adapters; /* [n_adapters] A and B of one linear layer after the other, while LoRA trains;
                              never saved */
    size_t n_adapters;
    int64_t lora_rank;        /* 0: no adapters */
    glot_layer *layers;       /* [config.n_layers] */
    glot_param *embedding, *final_norm, *lm_head, *exact_evidence; /* lm_head == embedding where tied */
    glot_safetensors *safetensors; /* what the mapped weights belong to */
    glot_gguf *gguf;
    const glot_tensor **link_memory; /* backs the arrays of layers[].moe */
} glot_model;

/* Opens a Hugging Face directory (expanded ones included) or a GGUF file. Checks configuration, every name,
 * shape and type; a tensor that is missing or left over is refused by name. Quantised GGUF tensors become
 * F32, Q and K rows in Hugging Face order. Values are not looked at. */
glot_status glot_model_open(glot_model **out, glot_backend *be, const char *path, glot_error *err);
/* A model from a configuration alone, random weights (std 0.02, norms 1, seeded per tensor name), all F32
 * (be->real) and owned. For tests, benchmarks and base_init: random. */
glot_status glot_model_create_random(glot_model **out, glot_backend *be, const glot_model_config *config,
                                     uint64_t seed, glot_error *err);
void glot_model_close(glot_model *m);
/* Gives every matrix memory of its own in this type (F32, F16, BF16), for benchmarks. */
glot_status glot_model_store_as(glot_model *m, glot_dtype dtype, glot_error *err);

/* Adds a parameter (memory from the backend, contents undefined) at the end of the table, and points the
 * layer at it when linked. Shape must be right for the role. */
glot_status glot_model_add_param(glot_param **out, glot_model *m, glot_role role, int layer, int expert,
                                 glot_dtype dtype, glot_error *err);
/* Sorts the table into saving order and rebuilds every pointer of the layers from (role, layer, expert).
 * After any change of params, n_experts or is_trainable. */
glot_status glot_model_link(glot_model *m, glot_error *err);
/* Name and shape a parameter of this model has. */
char *glot_param_name(const glot_model_config *c, glot_role role, int layer, int expert);
glot_tensor glot_param_shape(const glot_model_config *c, glot_role role, int layer);

/* Every trainable parameter gets a weight of be->real of its own (converted if it was mapped or 16 bit) and a
 * gradient, zero; frozen ones have none. */
glot_status glot_model_allocate_grads(glot_model *m, glot_error *err);
void glot_model_zero_grads(const glot_model *m);
/* Every parameter that trains, adapters behind the table's, into `out` (unless NULL); gives their number. */
size_t glot_model_trained(const glot_model *m, glot_param **out);
/* Bytes of their gradients. */
size_t glot_model_trained_bytes(const glot_model *m);

/* ---- LoRA (lora.c) ---- */

typedef struct glot_lora_settings {
    int64_t rank;
    double alpha;
} glot_lora_settings;
/* GLOT_BAD_ARGUMENT for a layer with several experts, or a rank larger than a linear layer is wide. */
glot_status glot_model_check_lora(const glot_model *m, const glot_lora_settings *settings, glot_error *err);
/* Puts an adapter beside every linear layer of a dense model but the head: A Kaiming-uniform, seeded by name;
 * B zero, so that the model computes what it did. Adapters train; whether the weights beside them do is the
 * caller's affair. */
glot_status glot_model_add_lora(glot_model *m, const glot_lora_settings *settings, uint64_t seed,
                                glot_error *err);
/* W + alpha / rank B A in place of each W, which becomes be->real and the model's own; the adapters are
 * gone. */
glot_status glot_model_merge_lora(glot_model *m, glot_error *err);
/* Whether the weights of this role get adapters; and how many numbers all adapters of a configuration are. */
bool glot_lora_adapts(glot_role role);
uint64_t glot_lora_elements(const glot_model_config *c, int64_t rank);

/* SHA-256 over name, dtype, shape and bytes of every parameter, sorted by name. frozen_only: of those with
 * is_trainable == false but for the exact path's evidence, which is counted after training. */
glot_status glot_model_sha256(char hex[65], const glot_model *m, bool frozen_only, glot_error *err);
size_t glot_model_n_frozen(const glot_model *m); /* how many those are */
/* SHA-256 of what a language group brought, in the types that glot_model_save writes with save_dtype. Group 0
 * is the base, under its dense names: what glot_model_sha256 said of it before it was expanded. A later group
 * is its experts. Routers, gates and evidence belong to none. */
glot_status glot_model_group_sha256(char hex[65], const glot_model *m, int group,
                                    const glot_dtype *save_dtype, glot_error *err);
/* Puts the hash of every group into the configuration, for a model about to be saved; a base whose hash is
 * not known stays so. */
glot_status glot_model_record_groups(glot_model *m, const glot_dtype *save_dtype, glot_error *err);
/* GLOT_BAD_VALUE names both hashes where a group's weights are not those that the configuration records. */
glot_status glot_model_check_groups(const glot_model *m, glot_error *err);
/* GLOT_BAD_VALUE naming model, tensor and place of the first NaN or infinity in any weight. */
glot_status glot_model_check_values(const glot_model *m, glot_error *err);

/* Writes a model directory (INTERFACES "The expanded model"): config.json, safetensors, and copies of the
 * base's tokenizer files, chat template, generation config. save_dtype: NULL auto, else F32 or BF16. For a
 * GGUF base tokenizer.json comes from `tokenizer_json` (NULL: none is written). Each file is written
 * atomically, config.json last. */
glot_status glot_model_save(const glot_model *m, const char *dir, const glot_dtype *save_dtype,
                            const char *tokenizer_json, size_t tokenizer_json_size, glot_error *err);

/* Whether a file of this name may be one of those. */
bool glot_model_saves(const char *name);

/* ---- running ---- */

/* A batch on the host: rows of all sequences one behind the other. */
typedef struct glot_batch {
    int64_t n_tokens;
    const int32_t *ids;       /* [n_tokens] */
    const int32_t *positions; /* [n_tokens] */
    int64_t n_segments;
    const int32_t *segments; /* [n_segments, 4] as op attention; kv rows count in the cache where there is
                                one, else in the batch */
    int64_t n_shares;      /* keys and values that a segment has from another sequence, copied in the cache */
    const int32_t *shares; /* [n_shares, 4] {segment, to kv row, from kv row, n}, rising: before the segment's
                              own are put there, after those of the segments before */
    const int32_t *targets;     /* [n_tokens] -1: none; or NULL */
    const uint8_t *token_group; /* [n_tokens] language group; or NULL */
    const uint8_t *is_exact;    /* [n_tokens] or NULL: nobody */
    int64_t n_documents;        /* for the language gates (METHOD 6), which start anew with every document */
    const int32_t *documents;   /* [n_documents, 4] as op gate_input, whatever segments do; NULL: no gates */
    const struct glot_gate_sums *gate_sums; /* behind the documents' slots; NULL where they have none */
    bool is_ungated;                        /* gates are not asked: stage 1 */
} glot_batch;

/* What the language gates have added up of documents that come in several batches, slot by slot. */
typedef struct glot_gate_sums {
    glot_backend *be;
    glot_tensor *layers; /* [n_layers] F64 [n_slots, h]; no address where there is no gate */
    glot_pool pool;
} glot_gate_sums;
glot_status glot_gate_sums_create(glot_gate_sums **out, const glot_model *m, int64_t n_slots,
                                  glot_error *err);
void glot_gate_sums_free(glot_gate_sums *s);
/* A row of glot_batch.documents: `n` ids in rows first .. ; slot -1: none. *n_counted: tokens the slot's sum
 * holds (0: the document begins); those of the row are added to it. */
void glot_gate_document(int32_t row[4], const glot_model_config *c, int64_t first, const int32_t *ids,
                        int64_t n, int32_t slot, int64_t *n_counted);

/* Keys and values of earlier tokens, for inference. */
typedef struct glot_kv_cache {
    glot_backend *be;
    int64_t capacity;         /* rows */
    glot_tensor *k, *v;       /* [n_layers] of [capacity, n_kv_heads, head_dim] */
    glot_pool pool;
} glot_kv_cache;
glot_status glot_kv_cache_create(glot_kv_cache **out, const glot_model *m, int64_t capacity, glot_error *err);
void glot_kv_cache_free(glot_kv_cache *c);

/* RECOMPUTE trains as TRAIN does, with the same bits, in less memory: see glot_layer_acts. */
typedef enum glot_workspace_mode {
    GLOT_WORKSPACE_INFER, GLOT_WORKSPACE_TRAIN, GLOT_WORKSPACE_RECOMPUTE
} glot_workspace_mode;

/* What one layer's forward pass leaves behind. Training keeps it for every layer, inference one for all.
 * RECOMPUTE keeps `input` and, of moe, all but gate and up for every layer; what else there is has one place
 * for all layers and is made again before a layer's backward pass. */
typedef struct glot_layer_acts {
    glot_tensor input;            /* [T, h] the residual stream that came in */
    glot_tensor attn_in;          /* [T, h] normed */
    glot_tensor q, k, v;          /* [T, heads, d] after norm and rope */
    glot_tensor q_raw, k_raw;     /* before the q/k norm (only where there is one) */
    glot_tensor attn_out;         /* [T, heads, d] */
    glot_tensor middle;           /* [T, h] after attention's residual add */
    glot_tensor ffn_in;           /* [T, h] normed: the router's input, the HSA of METHOD 4 */
    glot_moe_acts moe;
} glot_layer_acts;

/* Called by glot_model_forward after each layer, when a workspace has one: the layer's activations are then
 * in acts (view.h). */
struct glot_workspace;
typedef void glot_on_layer(void *user, struct glot_workspace *ws, int64_t layer);

typedef struct glot_workspace {
    const glot_model *model;
    glot_backend *be;
    glot_workspace_mode mode;
    int64_t max_tokens, max_segments, head_rows; /* head_rows: rows of logits at a time */
    glot_pool pool;
    glot_layer_acts *acts;        /* [n_layers], in inference [1] */
    glot_moe_scratch moe_scratch;
    glot_lora_scratch lora_scratch;
    glot_tensor branch;           /* [T, h] what attention or FFN adds */
    glot_tensor output;           /* [T, h] the last layer's */
    glot_tensor normed;           /* [T, h] after the final norm */
    glot_tensor logits;           /* [head_rows, vocab] */
    glot_tensor nll;              /* [T] */
    glot_tensor staging;          /* F32: what downloads go through where be->real is not F32 */
    glot_tensor d_stream, d_branch, d_normed;      /* [T, h] */
    glot_tensor d_q, d_k, d_v, d_attn_out;
    glot_tensor cos_table, sin_table;              /* F32 [n_positions, d / 2] */
    glot_tensor ids, positions, segments, targets, token_group, is_exact; /* the batch, at full size */
    glot_tensor documents;        /* I32 [max_tokens, 4] where there are language gates */
    int64_t n_tokens, n_segments, n_documents; /* of the batch loaded now; no document: no gate is asked */
    const glot_gate_sums *gate_sums;
    int32_t *host_segments;       /* [max_segments, 4] */
    const int32_t *shares;        /* the batch's */
    int64_t n_shares;
    bool has_exact;
    glot_tensor losses;           /* F64 [GLOT_N_LOSSES] */
    glot_on_layer *on_layer;      /* or NULL */
    void *on_layer_user;
} glot_workspace;

enum { GLOT_LOSS_CE, GLOT_LOSS_BALANCE, GLOT_LOSS_LPR, GLOT_LOSS_GATE, GLOT_N_LOSSES };

/* Plans and allocates everything a batch of at most max_tokens rows needs; n_positions: highest position + 1;
 * n_keys: most keys of a segment. */
glot_status glot_workspace_create(glot_workspace **out, const glot_model *m, glot_workspace_mode mode,
                                  int64_t max_tokens, int64_t n_positions, int64_t n_keys, glot_error *err);
/* Bytes that create would allocate, without doing it. */
glot_status glot_workspace_measure(size_t *bytes, const glot_model *m, glot_workspace_mode mode,
                                   int64_t max_tokens, int64_t n_positions, int64_t n_keys, glot_error *err);
void glot_workspace_free(glot_workspace *ws);

/* Checks ids and positions against the model and takes the batch in; its shares must stay until it has
 * run. */
glot_status glot_workspace_load(glot_workspace *ws, const glot_batch *batch, glot_error *err);

/* Runs every layer and the final norm; `cache` (or NULL) gets the new keys and values at a segment's end. */
void glot_model_forward(const glot_model *m, glot_workspace *ws, glot_kv_cache *cache);
/* In mode RECOMPUTE, after forward: layer l's activations again, in place of another layer's. */
void glot_model_recompute(const glot_model *m, glot_workspace *ws, int64_t l);
/* After forward: -log p of each row's target (0 where none) from row `first` on, into host memory
 * [n_tokens - first] float. */
void glot_model_nll(const glot_model *m, glot_workspace *ws, int64_t first, float *nll);
/* After forward: log p of every vocabulary entry for rows [first, first + n), n <= ws->head_rows, into
 * host memory [n, vocab]. */
void glot_model_log_probs(const glot_model *m, glot_workspace *ws, int64_t first, int64_t n,
                          float *log_probs);

/* What the backward pass should minimise: sum over the batch of nll * ce_scale, plus the router losses with
 * these scales. */
typedef struct glot_loss_settings {
    double ce_scale;        /* 1 / target tokens of the whole step */
    double balance_scale;   /* coef / layers with a router * the batch's share of the step's tokens; 0: off */
    bool is_balance_released;
    double lpr_scale;       /* coef / M; 0: off */
    glot_lpr_form lpr_form;
    bool is_lpr_original_only; /* lpr_groups: original */
    double gate_scale;      /* coef / (tokens of the step * gated layers); 0: off */
} glot_loss_settings;
/* After forward (not in mode INFER), whose activations it uses up: loss values into ws->losses (CE, LPR, GATE
 * as sums over tokens, BALANCE as sum over layers); the gradients of every trainable parameter = (or,
 * is_added, +=) the batch's. Nothing is propagated below the first layer that trains. */
void glot_model_backward(const glot_model *m, glot_workspace *ws, const glot_loss_settings *settings,
                         bool is_added);

#endif
