/* fuzz_items.c: any bytes as a line of multiple-choice items: an item that is whole, or one sentence.
 *
 * links: eval
 */
#include "eval/items.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    glot_items items = {0};
    glot_error err = {0};
    glot_status status = glot_items_add(&items, (const char *)data, size, "fuzz", 1, &err);
    GLOT_ASSERT(items.n == (status == GLOT_OK));
    GLOT_ASSERT(status == GLOT_OK || err.message[0] != '\0');
    for (size_t i = 0; i < items.n; i++) {
        const glot_item *item = &items.items[i];
        GLOT_ASSERT(item->id && item->query && item->n_choices >= 2 && item->gold < item->n_choices);
        for (size_t k = 0; k < item->n_choices; k++)
            GLOT_ASSERT(item->choices[k][0] != '\0');
    }
    glot_items_release(&items);
    return 0;
}
