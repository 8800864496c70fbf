/* fuzz_token_store.c: any bytes as a token store; of one that opens, everything is looked at.
 *
 * links: text
 */
#include "base/memory.h"
#include "text/overlap.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads every id of every document of language l; the sums must be those that the language says. */
static void read_language(const glot_token_store *s, size_t l)
{
    const glot_store_language *language = glot_token_store_language(s, l);
    uint64_t first = glot_token_store_first_document(s, l), n_tokens = 0;
    volatile int32_t last = 0;
    for (uint64_t i = 0; i < language->n_documents; i++) {
        glot_document d = glot_token_store_document(s, first + i);
        GLOT_ASSERT(d.language == (int32_t)l && d.n_ids > 0);
        for (uint32_t k = 0; k < d.n_ids; k++)
            last = d.ids[k];
        n_tokens += d.n_ids;
    }
    (void)last;
    GLOT_ASSERT(n_tokens == language->n_tokens);
}

static void read_store(const glot_token_store *s)
{
    glot_error err = {0};
    glot_text_overlap counts;
    size_t index;
    for (size_t l = 0; l < glot_token_store_n_languages(s); l++) {
        read_language(s, l);
        GLOT_ASSERT(glot_token_store_find_language(s, glot_token_store_language(s, l)->name, &index, &err) ==
                    GLOT_OK);
        GLOT_ASSERT(index == l);
    }
    glot_token_store_find_language(s, "none", &index, &err);
    GLOT_ASSERT(glot_text_overlap_count(&counts, s, 0, s, 0, &err) == GLOT_OK);
    GLOT_ASSERT(counts.n_shared == counts.n_train &&
                (counts.n_train == 0 || counts.n_repeated < counts.n_train));
    glot_token_store_verify(s, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    glot_token_store *s = NULL;
    glot_error err = {0};
    uint8_t *bytes = glot_calloc(size, 1); /* aligned as a map is */
    GLOT_ASSERT(bytes != NULL);
    memcpy(bytes, data, size);
    if (glot_token_store_parse(&s, bytes, size, "fuzz", &err) == GLOT_OK)
        read_store(s);
    else
        GLOT_ASSERT(err.message[0] != '\0');
    glot_token_store_close(s);
    glot_free(bytes);
    return 0;
}
