/* step_data.h: one optimizer step's text on the host: its blocks, and what the losses are divided by. Private
 * to src/train. */
#ifndef GLOT_TRAIN_STEP_DATA_H
#define GLOT_TRAIN_STEP_DATA_H

#include "train/train.h"

typedef struct glot_step_data {
    int64_t batch, length;
    glot_block *blocks;      /* [batch], each with arrays of `length` */
    int32_t *ids, *languages;
    uint8_t *is_start;       /* [batch * length] what the blocks point into */
    int32_t *positions, *targets, *row_ids; /* the micro-batch: [micro * length] */
    int32_t *segments;                      /* 4 times that */
    uint8_t *groups;
    int32_t *documents;      /* [micro * length, 4] of the language gates: where they start anew */
    bool is_block_whole;     /* gate.form sequence_sum: a block is one document to the gates */
    int64_t n_targets, n_tokens, n_home; /* of the whole step; n_home: tokens with an LPR loss (old ones) */
} glot_step_data;

glot_status glot_step_data_create(glot_step_data **out, const glot_train_settings *s, glot_error *err);
void glot_step_data_free(glot_step_data *d);
size_t glot_step_data_bytes(const glot_train_settings *s);

/* Takes the step's blocks and counts. `is_home` [n_languages]: the language has an LPR loss. */
void glot_step_data_draw(glot_step_data *d, glot_next_block *next, void *user, const bool *is_home);
/* The rows of blocks [first, first + n): no padding rows, one segment a document (or a block if
 * is_cross_document), targets within the block. */
void glot_step_data_batch(glot_step_data *d, glot_batch *out, int64_t first, int64_t n,
                          const int32_t *language_group, bool is_cross_document);

#endif
