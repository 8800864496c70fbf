/* fuzz_items.c: any bytes as a line of multiple-choice items, by every template: items that are whole, or one sentence.
 *
 * links: eval
 */
#include "eval/items.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_with(const glot_template *t, const uint8_t *data, size_t size)
{
    glot_items items = {0};
    glot_error err = {0};
    glot_status status = glot_items_add(&items, (const char *)data, size, "fuzz", 1, t, &err);
    GLOT_ASSERT(status == GLOT_OK || err.message[0] != '\0');
    GLOT_ASSERT(t->each || items.n == (status == GLOT_OK));
    for (size_t i = 0; i < items.n; i++) {
        const glot_item *item = &items.items[i];
        GLOT_ASSERT(item->id && item->gold < glot_item_n_choices(item));
        for (size_t k = 0; k < glot_item_n_choices(item); k++)
            GLOT_ASSERT(glot_item_query(item, k) && glot_item_choice(item, k)[0] != '\0');
    }
    glot_items_release(&items);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_with(&glot_template_plain, data, size);
    for (const glot_template *t = glot_templates; t->name; t++)
        read_with(t, data, size);
    return 0;
}
