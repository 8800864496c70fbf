/* prompt.h
 *
 * What a choice is asked as: the text that the model reads, as lm-evaluation-harness makes it of the same
 * examples and item,
 *
 *     query answer            an example, as many as there are, a blank line behind each
 *
 *     query choice            the item
 *
 * and where the context ends and the choice begins. Spaces at the end of a query are dropped, one stands
 * before the choice; other white space that ends the context (a line's end, a blank line before an empty
 * query) belongs to the choice.
 */
#ifndef GLOT_EVAL_PROMPT_H
#define GLOT_EVAL_PROMPT_H

#include "eval/items.h"

/* Overwrites `text`; its first `context_size` bytes are the context. `examples` (NULL: none): the first
 * `shots` of them that are not the item itself. */
glot_status glot_prompt_write(glot_str *text, size_t *context_size, const glot_items *examples, size_t shots,
                              const glot_item *item, size_t choice, glot_error *err);

/* {"id", "requests": [[context, continuation] of each choice], "gold"}; new reference, NULL: no memory. */
json_t *glot_prompts_json(const glot_items *examples, size_t shots, const glot_item *item);

#endif
