/* normalizer.c: the steps between the text and its split. */
#include "text/normalizer.h"
#include "base/memory.h"

#include <string.h>

glot_status glot_normalizer_add(glot_normalizer *normalizer, glot_normalizer_kind kind, const char *pattern,
                                const char *content, const char *where, glot_error *err)
{
    if (normalizer->n == GLOT_MAX_NORMALIZERS)
        return GLOT_FAIL(err, GLOT_UNSUPPORTED, "'%s': more than %d normalizers", where,
                         GLOT_MAX_NORMALIZERS);
    if (pattern && !*pattern)
        return GLOT_FAIL(err, GLOT_UNSUPPORTED, "'%s': the normalizer Replace has an empty pattern", where);
    bool again = normalizer->n > 0 && normalizer->steps[normalizer->n - 1].kind == kind;
    if (again && kind == GLOT_NORMALIZE_NFC)
        return GLOT_OK;
    glot_normalizer_step *step = &normalizer->steps[normalizer->n++];
    step->kind = kind;
    step->pattern = pattern ? glot_strdup(pattern) : NULL;
    step->content = content ? glot_strdup(content) : NULL;
    if ((pattern && !step->pattern) || (content && !step->content))
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for the normalizers of '%s'", where);
    return GLOT_OK;
}

static const char *find(const char *text, size_t size, const char *pattern, size_t length)
{
    return length == 1 ? memchr(text, pattern[0], size) : memmem(text, size, pattern, length);
}

enum { FEW = 8 }; /* bytes of content up to which a byte is replaced without a branch */

/* Every byte is written as the first of FEW, the others are overwritten by what follows: `out` has room for
 * so many more than it needs. Returns the new size. */
static size_t replace_byte(char *out, const char *text, size_t size, char byte, const char *content,
                           size_t n_content)
{
    char few[FEW] = {0}, one[FEW] = {0};
    uint64_t replaced, kept;
    size_t n = 0;
    memcpy(few, content, n_content);
    memcpy(&replaced, few, FEW);
    for (size_t i = 0; i < size; i++) {
        bool is_replaced = text[i] == byte;
        one[0] = text[i];
        memcpy(&kept, one, FEW);
        kept = is_replaced ? replaced : kept;
        memcpy(out + n, &kept, FEW);
        n += is_replaced ? n_content : 1;
    }
    return n;
}

glot_status glot_replace(char **buffer, size_t *capacity, const char *text, size_t size, const char *pattern,
                         const char *content, size_t *out_size, glot_error *err)
{
    size_t n_pattern = strlen(pattern), n_content = strlen(content), most, n = 0;
    size_t growth = n_content > n_pattern ? n_content - n_pattern : 0;
    if (!glot_size_mul(&most, size / n_pattern, growth) || !glot_size_add(&most, most, size) ||
        !glot_size_add(&most, most, FEW))
        return GLOT_FAIL(err, GLOT_NOMEM, "a text of %zu bytes is too long", size);
    GLOT_TRY(glot_grow(buffer, capacity, most, 1, "a text", err));
    if (n_pattern == 1 && n_content <= FEW) {
        *out_size = replace_byte(*buffer, text, size, pattern[0], content, n_content);
        return GLOT_OK;
    }
    const char *end = text + size, *found;
    while ((found = find(text, (size_t)(end - text), pattern, n_pattern))) {
        memcpy(*buffer + n, text, (size_t)(found - text));
        n += (size_t)(found - text);
        memcpy(*buffer + n, content, n_content);
        n += n_content;
        text = found + n_pattern;
    }
    memcpy(*buffer + n, text, (size_t)(end - text));
    *out_size = n + (size_t)(end - text);
    return GLOT_OK;
}

static glot_status prepend(char **buffer, size_t *capacity, const char *text, size_t size,
                           const char *content, size_t *out_size, glot_error *err)
{
    size_t n_content = strlen(content);
    GLOT_TRY(glot_grow(buffer, capacity, n_content + size, 1, "a text", err));
    memcpy(*buffer, content, n_content);
    memcpy(*buffer + n_content, text, size);
    *out_size = n_content + size;
    return GLOT_OK;
}

glot_status glot_normalize(const glot_normalizer *normalizer, glot_normalizer_scratch *s, const char *text,
                           size_t size, const char **out, size_t *out_size, glot_error *err)
{
    for (size_t i = 0; i < normalizer->n && size > 0; i++) {
        const glot_normalizer_step *step = &normalizer->steps[i];
        if (step->kind == GLOT_NORMALIZE_NFC) {
            GLOT_TRY(glot_nfc(&s->nfc, text, size, &text, &size, err));
            continue;
        }
        int to = text == s->texts[0];
        char **buffer = &s->texts[to];
        if (step->kind == GLOT_NORMALIZE_PREPEND)
            GLOT_TRY(prepend(buffer, &s->capacities[to], text, size, step->content, &size, err));
        else
            GLOT_TRY(glot_replace(buffer, &s->capacities[to], text, size, step->pattern, step->content, &size,
                                  err));
        text = *buffer;
    }
    *out = text;
    *out_size = size;
    return GLOT_OK;
}

void glot_normalizer_release(glot_normalizer *normalizer)
{
    for (size_t i = 0; i < normalizer->n; i++) {
        glot_free(normalizer->steps[i].pattern);
        glot_free(normalizer->steps[i].content);
    }
    *normalizer = (glot_normalizer){0};
}

void glot_normalizer_scratch_release(glot_normalizer_scratch *s)
{
    glot_nfc_scratch_release(&s->nfc);
    glot_free(s->texts[0]);
    glot_free(s->texts[1]);
    *s = (glot_normalizer_scratch){0};
}
