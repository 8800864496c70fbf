/* fuzz_recipe.c: any bytes through the recipe reader; a recipe that is taken is written as resolved, and
 * reading that must give the same text again.
 *
 * links: job
 */
#include "job/recipe.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static glot_str resolved_text(const glot_recipe *r)
{
    glot_str text = {0};
    GLOT_ASSERT(glot_recipe_write(r, &text, NULL) == GLOT_OK);
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    glot_recipe *r = NULL, *again = NULL;
    glot_error err = {0};
    if (glot_recipe_parse(&r, (const char *)data, size, "fuzz", &err) != GLOT_OK) {
        GLOT_ASSERT(err.message[0] != '\0');
        return 0;
    }
    glot_str once = resolved_text(r);
    GLOT_ASSERT(glot_recipe_parse(&again, once.data, once.length, "resolved", &err) == GLOT_OK);
    glot_str twice = resolved_text(again);
    GLOT_ASSERT(strcmp(once.data, twice.data) == 0);
    GLOT_ASSERT(glot_recipe_check_change(r, again, (glot_recipe_progress){true, true}, &err) == GLOT_OK);
    glot_str_release(&once);
    glot_str_release(&twice);
    glot_recipe_free(r);
    glot_recipe_free(again);
    return 0;
}
