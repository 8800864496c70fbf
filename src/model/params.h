/* params.h: the parameter table inside src/model. Which parameters a configuration has, and moving their
 * numbers between the backend and the host piece by piece. */
#ifndef GLOT_MODEL_PARAMS_H
#define GLOT_MODEL_PARAMS_H

#include "model/model.h"

/* What identifies a parameter; layer and expert are -1 where the role has none. */
typedef struct glot_param_id {
    glot_role role;
    int layer, expert;
} glot_param_id;

/* Every parameter that a model with this configuration has, once, in the order of saving. The caller frees
 * *ids with glot_free. */
glot_status glot_param_list(glot_param_id **ids, size_t *n, const glot_model_config *c, glot_error *err);
/* Room for the layers and an empty table over `config`, which is copied. */
glot_status glot_model_create_empty(glot_model **out, glot_backend *be, const glot_model_config *config,
                                    const char *path, glot_error *err);
/* As glot_model_add_param, but without memory: `weight` has its shape and be->real as type, no address. */
glot_status glot_model_add_unplaced(glot_param **out, glot_model *m, const glot_param_id *id,
                                    glot_error *err);

/* Memory of the model's own for a weight that has shape and type. */
glot_status glot_param_place(glot_model *m, glot_param *p, glot_error *err);
/* Makes a weight the model's own and of this type: converted where it was mapped or of another one. A weight
 * that changes is be->real. */
glot_status glot_param_own(glot_model *m, glot_param *p, glot_dtype dtype, glot_error *err);
void glot_param_free(glot_model *m, glot_param *p); /* NULL is allowed */
/* Zeroes every gradient that a backward pass adds to: all but those of several experts, which its first
 * products set. */
void glot_params_zero_sums(const glot_model *m);

/* Takes a parameter out of the table and frees it; glot_model_link must follow. */
void glot_model_remove_param(glot_model *m, glot_param *p);

/* Where a directory's config.json names no BOS or EOS, those of its tokenizer_config.json (INTERFACES, "BOS
 * and EOS"); a file that is not there names none. */
glot_status glot_config_read_special_tokens(glot_model_config *c, const char *dir, glot_error *err);

/* Elements [first, first + n) of a weight as they lie there: in its own type. */
void glot_param_read(void *host, const glot_model *m, const glot_tensor *weight, int64_t first, int64_t n);
/* n elements of a float type (F32, F16, BF16, F64) as F32. `out` may be `values` where they are F32. */
void glot_values_to_f32(float *out, const void *values, glot_dtype dtype, int64_t n);
/* Room for a chunk of weights on its way from one type to another. */
typedef struct glot_param_buffers {
    void *raw, *out; /* GLOT_PARAM_CHUNK elements of any float type; `out` is the caller's to use */
    float *values;   /* [GLOT_PARAM_CHUNK] */
} glot_param_buffers;
glot_status glot_param_buffers_create(glot_param_buffers *b, glot_error *err);
void glot_param_buffers_release(glot_param_buffers *b);
/* Elements [first, first + n) of a weight in another type (its own, F32 or BF16); n is any number. */
void glot_param_read_as(void *out, glot_dtype dtype, const glot_model *m, const glot_tensor *weight,
                        int64_t first, int64_t n, const glot_param_buffers *buffers);
/* The type glot_model_save writes a parameter in: its own (float64 as float32), or the one asked for. */
glot_dtype glot_param_saved_dtype(const glot_param *p, const glot_dtype *save_dtype);

/* n float32 values into the elements [first, first + n) of a weight, converted to its type; `scratch` holds n
 * doubles. */
void glot_param_write(const glot_model *m, const glot_tensor *weight, int64_t first, int64_t n,
                      const float *values, void *scratch);

/* Rows [first_row, ...) of a parameter from the generator (seed, its name): the numbers that the whole tensor
 * would have there. */
glot_status glot_param_randomize(const glot_model *m, const glot_param *p, int64_t first_row, uint64_t seed,
                                 glot_error *err);

/* Elements that move at a time where a whole tensor passes through the host: 1 MiB of float32. */
enum { GLOT_PARAM_CHUNK = 1 << 18 };

#endif
