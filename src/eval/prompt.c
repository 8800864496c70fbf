/* prompt.c: examples, query and choice to one text. */
#include "eval/prompt.h"
#include "eval/ngrams.h"
#include "text/unicode.h"
#include "text/utf8.h"

#include <string.h>

/* Bytes of the text without white space at its end. */
static size_t stripped_size(const char *text, size_t n)
{
    size_t length;
    while (n > 0 && glot_is_split_space(glot_utf8_decode_before(text, n, &length)))
        n -= length;
    return n;
}

/* Spaces at the end of a query would stand beside the one before the choice. */
static void put_query(glot_str *text, const char *query)
{
    size_t n = strlen(query);
    while (n > 0 && query[n - 1] == ' ')
        n--;
    glot_str_append(text, query, n);
}

static void put_examples(glot_str *text, const glot_items *examples, size_t shots, const glot_item *item)
{
    for (size_t i = 0, used = 0; examples && i < examples->n && used < shots; i++) {
        const glot_item *e = &examples->items[i];
        if (glot_item_is_same(e, item))
            continue;
        put_query(text, glot_item_query(e, e->gold));
        glot_str_printf(text, " %s\n\n", glot_item_choice(e, e->gold));
        used++;
    }
}

glot_status glot_prompt_write(glot_str *text, size_t *context_size, const glot_items *examples, size_t shots,
                              const glot_item *item, size_t choice, glot_error *err)
{
    glot_str_reset(text);
    put_examples(text, examples, shots, item);
    put_query(text, glot_item_query(item, choice));
    *context_size = stripped_size(text->data, text->length);
    glot_str_printf(text, " %s", glot_item_choice(item, choice));
    return glot_str_check(text, "an item", err);
}

static json_t *request_json(const glot_str *text, size_t context_size)
{
    return json_pack("[s%, s%]", text->data, context_size, text->data + context_size,
                     text->length - context_size);
}

json_t *glot_prompts_json(const glot_items *examples, size_t shots, const glot_item *item)
{
    glot_str text = {0};
    size_t context_size;
    glot_status status = GLOT_OK;
    json_t *requests = json_array();
    for (size_t i = 0; i < glot_item_n_choices(item) && status == GLOT_OK; i++) {
        status = glot_prompt_write(&text, &context_size, examples, shots, item, i, NULL);
        if (status == GLOT_OK && json_array_append_new(requests, request_json(&text, context_size)) != 0)
            status = GLOT_NOMEM;
    }
    glot_str_release(&text);
    if (status == GLOT_OK)
        return json_pack("{s:O, s:o, s:I}", "id", item->id, "requests", requests, "gold",
                         (json_int_t)item->gold);
    json_decref(requests);
    return NULL;
}
