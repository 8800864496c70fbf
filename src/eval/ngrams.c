/* ngrams.c: both sides' n-grams sorted, then walked side by side. */
#include "eval/ngrams.h"
#include "base/memory.h"
#include "text/unicode.h"

#include <stdlib.h>
#include <string.h>

glot_status glot_codes_append(glot_codes *c, uint32_t item, glot_error *err)
{
    GLOT_TRY(glot_grow(&c->items, &c->capacity, c->n + 1, sizeof *c->items, "a sentence", err));
    c->items[c->n++] = item;
    return GLOT_OK;
}

glot_status glot_codes_decode(glot_codes *c, const char *text, size_t size, glot_error *err)
{
    GLOT_TRY(glot_grow(&c->items, &c->capacity, c->n + size, sizeof *c->items, "a sentence", err));
    for (size_t i = 0, length; i < size; i += length)
        c->items[c->n++] = glot_utf8_decode(text + i, &length);
    return GLOT_OK;
}

void glot_codes_release(glot_codes *c)
{
    glot_free(c->items);
    *c = (glot_codes){0};
}

bool glot_is_split_space(uint32_t code)
{
    return (glot_class(code) & GLOT_SPACE) != 0 || (code >= 0x1C && code <= 0x1F);
}

void glot_ngram_scratch_release(glot_ngram_scratch *s)
{
    glot_free(s->hypothesis);
    glot_free(s->reference);
    *s = (glot_ngram_scratch){0};
}

static int compare_runs(const void *a, const void *b)
{
    const glot_run *x = a, *y = b;
    size_t n = x->n < y->n ? x->n : y->n;
    for (size_t i = 0; i < n; i++)
        if (x->at[i] != y->at[i])
            return x->at[i] < y->at[i] ? -1 : 1;
    return x->n < y->n ? -1 : x->n > y->n;
}

static size_t count_of(const glot_codes *c, size_t order)
{
    return c->n >= order ? c->n - order + 1 : 0;
}

static glot_status sorted_ngrams(glot_run **grams, size_t *capacity, const glot_codes *c, size_t order,
                                 glot_error *err)
{
    size_t n = count_of(c, order);
    GLOT_TRY(glot_grow(grams, capacity, n, sizeof **grams, "n-grams", err));
    for (size_t i = 0; i < n; i++)
        (*grams)[i] = (glot_run){c->items + i, order};
    if (n)
        qsort(*grams, n, sizeof **grams, compare_runs);
    return GLOT_OK;
}

glot_status glot_ngrams_match(glot_ngram_counts *out, glot_ngram_scratch *s, const glot_codes *hypothesis,
                              const glot_codes *reference, size_t order, glot_error *err)
{
    GLOT_TRY(sorted_ngrams(&s->hypothesis, &s->hypothesis_capacity, hypothesis, order, err));
    GLOT_TRY(sorted_ngrams(&s->reference, &s->reference_capacity, reference, order, err));
    *out = (glot_ngram_counts){count_of(hypothesis, order), count_of(reference, order), 0};
    for (size_t h = 0, r = 0; h < out->hypothesis && r < out->reference;) {
        int side = compare_runs(&s->hypothesis[h], &s->reference[r]);
        out->matches += side == 0;
        h += side <= 0;
        r += side >= 0;
    }
    return GLOT_OK;
}

static int compare_words(const void *a, const void *b, void *words)
{
    const glot_run *w = words;
    return compare_runs(&w[*(const uint32_t *)a], &w[*(const uint32_t *)b]);
}

void glot_words_number(uint32_t *ids, const glot_run *words, size_t n, uint32_t *order)
{
    uint32_t number = 0;
    for (size_t i = 0; i < n; i++)
        order[i] = (uint32_t)i;
    if (n)
        qsort_r(order, n, sizeof *order, compare_words, (void *)(uintptr_t)words);
    for (size_t i = 0; i < n; i++) {
        number += i > 0 && compare_runs(&words[order[i - 1]], &words[order[i]]) != 0;
        ids[order[i]] = number;
    }
}
