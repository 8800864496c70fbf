/* config_arch.h: what sets the supported architectures apart, shared by the readers and the writer of
 * configurations. */
#ifndef GLOT_MODEL_CONFIG_ARCH_H
#define GLOT_MODEL_CONFIG_ARCH_H

#include "model/config.h"

/* Defaults are those that transformers 5.23 takes where config.json leaves a key out. */
typedef struct glot_arch {
    const char *model_type, *architecture;
    bool has_qkv_bias, has_qk_norm;
    bool has_bias_switch;   /* transformers reads attention_bias */
    bool has_window;        /* every layer attends within sliding_window unless that is null */
    bool has_window_switch; /* ... and use_sliding_window is true */
    int64_t default_context, default_kv_heads /* 0: as many as heads */,
        default_head_dim /* 0: hidden size / heads */;
    int64_t default_window;
} glot_arch;

/* The row of a model_type, NULL for an unknown one. */
const glot_arch *glot_arch_find(const char *model_type);
/* "llama, mistral, qwen2, qwen3" */
const char *glot_arch_names(void);

/* The key of "glot" in config.json, and the version of what is under it that this program writes and
 * reads. */
#define GLOT_MODEL_TYPE "glot"
#define GLOT_ARCHITECTURE "GlotForCausalLM"
enum { GLOT_EXPANSION_VERSION = 1 };

/* Reads the object under "glot" into c, whose base is read already. */
glot_status glot_config_read_expansion(glot_model_config *c, const json_t *glot, const char *path,
                                       glot_error *err);
/* A dense model: one expert in every layer. */
void glot_config_set_dense(glot_model_config *c);

#endif
