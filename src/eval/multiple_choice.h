/* multiple_choice.h
 *
 * Multiple choice as lm-evaluation-harness scores it (INTERFACES, "Blocks and scores"): the log likelihood of
 * each choice behind the query, one space between them. The text is tokenized as a whole; the choice's tokens
 * are those beyond the number that the query alone has. Spaces at the end of a query are dropped; other white
 * space there (a line's end) is scored with the choice. A query without text is BOS (EOS where the model has
 * none). The last token is never fed, so that a text may be one longer than the context; a longer one loses
 * its beginning. An item that is a text to complete is right where each token of its one choice is the
 * model's likeliest (the lower id of equals).
 */
#ifndef GLOT_EVAL_MULTIPLE_CHOICE_H
#define GLOT_EVAL_MULTIPLE_CHOICE_H

#include "eval/items.h"
#include "infer/session.h"
#include "text/tokenizer.h"

typedef struct glot_choice_options {
    const glot_items *examples; /* few-shot examples, or NULL: the first `shots` of them without the item
                                   itself stand in front */
    size_t shots;
    glot_exact_choice exact;
    const glot_cancel *cancel;
    /* Called after each item (NULL: nobody): the log likelihood of each of its choices, and the one picked by
     * the sum. */
    glot_status (*on_item)(void *user, const glot_item *item, const double *loglikelihoods, size_t picked,
                           glot_error *err);
    void *user;
} glot_choice_options;

typedef struct glot_choice_score {
    double acc;      /* share of items whose gold choice has the largest sum; the first of equals wins; texts
                        completed right */
    double acc_norm; /* the same by sum / characters of the choice */
    double acc_stderr; /* sqrt(acc (1 - acc) / (items - 1)); 0 for one item */
    double acc_norm_stderr;
    uint64_t items;
} glot_choice_score;

/* {"acc", "acc_norm", "items", "acc_stderr", "acc_norm_stderr"}; new reference. */
json_t *glot_choice_score_json(const glot_choice_score *s);

glot_status glot_multiple_choice(glot_choice_score *out, const glot_model *m, const glot_tokenizer *tokenizer,
                                 const glot_items *items, const glot_choice_options *options,
                                 glot_error *err);

#endif
