/* step_data.c: blocks of text to rows of a batch. Padding never becomes a row: a short block just has
 * fewer. */
#include "train/step_data.h"
#include "base/memory.h"

glot_status glot_step_data_create(glot_step_data **out, const glot_train_settings *s, glot_error *err)
{
    glot_status status = GLOT_OK;
    glot_step_data *d = NULL;
    size_t all = (size_t)s->batch * (size_t)s->length, micro = (size_t)s->micro_batch * (size_t)s->length;
    const char *what = "the text of a step";
    GLOT_TRY(glot_new(&d, 1, sizeof *d, what, err));
    d->batch = s->batch;
    d->length = s->length;
    GLOT_TRY_OUT(glot_new(&d->blocks, (size_t)s->batch, sizeof *d->blocks, what, err));
    GLOT_TRY_OUT(glot_new(&d->ids, all, sizeof *d->ids, what, err));
    GLOT_TRY_OUT(glot_new(&d->languages, all, sizeof *d->languages, what, err));
    GLOT_TRY_OUT(glot_new(&d->is_start, all, sizeof *d->is_start, what, err));
    GLOT_TRY_OUT(glot_new(&d->positions, micro, sizeof *d->positions, what, err));
    GLOT_TRY_OUT(glot_new(&d->segments, micro * 4, sizeof *d->segments, what, err));
    GLOT_TRY_OUT(glot_new(&d->targets, micro, sizeof *d->targets, what, err));
    GLOT_TRY_OUT(glot_new(&d->row_ids, micro, sizeof *d->row_ids, what, err));
    GLOT_TRY_OUT(glot_new(&d->groups, micro, sizeof *d->groups, what, err));
    GLOT_TRY_OUT(glot_new(&d->documents, micro * 4, sizeof *d->documents, what, err));
    for (int64_t b = 0; b < s->batch; b++)
        d->blocks[b] = (glot_block){.ids = d->ids + b * s->length, .languages = d->languages + b * s->length,
                                    .is_start = d->is_start + b * s->length};
out:
    if (status == GLOT_OK)
        *out = d;
    else
        glot_step_data_free(d);
    return status;
}

void glot_step_data_free(glot_step_data *d)
{
    if (!d)
        return;
    glot_free(d->blocks);
    glot_free(d->ids);
    glot_free(d->languages);
    glot_free(d->is_start);
    glot_free(d->positions);
    glot_free(d->segments);
    glot_free(d->targets);
    glot_free(d->row_ids);
    glot_free(d->groups);
    glot_free(d->documents);
    glot_free(d);
}

size_t glot_step_data_bytes(const glot_train_settings *s)
{
    size_t all = (size_t)(s->batch * s->length), micro = (size_t)(s->micro_batch * s->length);
    return all * 9 + micro * 45;
}

void glot_step_data_draw(glot_step_data *d, glot_next_block *next, void *user, const bool *is_home)
{
    d->n_targets = d->n_tokens = d->n_home = 0;
    for (int64_t b = 0; b < d->batch; b++) {
        glot_block *block = &d->blocks[b];
        next(user, block);
        d->n_tokens += block->n;
        d->n_targets += block->n > 1 ? block->n - 1 : 0;
        for (int64_t i = 0; i < block->n; i++)
            d->n_home += is_home[block->languages[i]];
    }
}

/* The documents that the gates see in the block, whose rows begin at `row`. */
static void add_documents(glot_step_data *d, const glot_block *block, int64_t row, glot_batch *out)
{
    int32_t *document = NULL;
    for (int64_t i = 0; i < block->n; i++) {
        if (i == 0 || (block->is_start[i] && !d->is_block_whole)) {
            document = d->documents + 4 * out->n_documents++;
            document[0] = (int32_t)(row + i);
            document[1] = document[3] = 0;
            document[2] = -1;
        }
        document[1]++;
    }
}

/* Adds one block's rows behind the `row` rows there are. */
static void add_block(glot_step_data *d, const glot_block *block, glot_batch *out,
                      const int32_t *language_group, bool is_cross_document)
{
    int32_t *segment = NULL;
    add_documents(d, block, out->n_tokens, out);
    for (int64_t i = 0; i < block->n; i++) {
        int64_t row = out->n_tokens++;
        if (i == 0 || (block->is_start[i] && !is_cross_document)) {
            segment = d->segments + 4 * out->n_segments++;
            segment[0] = segment[2] = (int32_t)row;
            segment[1] = segment[3] = 0;
        }
        d->row_ids[row] = block->ids[i];
        d->positions[row] = segment[1]++;
        segment[3]++;
        d->targets[row] = i + 1 < block->n ? block->ids[i + 1] : -1;
        d->groups[row] = (uint8_t)language_group[block->languages[i]];
    }
}

void glot_step_data_batch(glot_step_data *d, glot_batch *out, int64_t first, int64_t n,
                          const int32_t *language_group, bool is_cross_document)
{
    *out = (glot_batch){.ids = d->row_ids,
                        .positions = d->positions,
                        .segments = d->segments,
                        .targets = d->targets,
                        .token_group = d->groups,
                        .documents = d->documents};
    for (int64_t b = first; b < first + n; b++)
        add_block(d, &d->blocks[b], out, language_group, is_cross_document);
}
