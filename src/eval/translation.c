/* translation.c
 *
 * BLEU = bp exp(mean over n = 1..4 of log p_n),  p_n = 100 matches / n-grams of the hypotheses; where no
 * n-gram matches, 100 / (2^i n-grams) for the i-th such n; bp = exp(1 - reference words / hypothesis words)
 * where the hypotheses are shorter.
 *
 * chrF = 100 (1 + b^2) P R / (b^2 P + R), b = 2; P and R are means over the orders 1..6 (chrF++: word orders
 * 1 and 2 too) of matches over the hypotheses' and the references' n-grams, orders without any left out.
 *
 * All counts are summed over the corpus first.
 */
#include "eval/translation.h"
#include "base/memory.h"
#include "eval/translation_words.h"

#include <math.h>

enum { BLEU_ORDER = 4, CHAR_ORDER = 6, WORD_ORDER = 2 };

struct glot_translation {
    glot_ngram_counts bleu[BLEU_ORDER], chars[CHAR_ORDER], words[WORD_ORDER];
    uint64_t hypothesis_words, reference_words, sentences;
    /* scratch */
    glot_ngram_scratch ngrams;
    glot_str text, other;
    glot_codes codes[2], units[2]; /* hypothesis, reference: code points; what n-grams are made of */
    glot_words split[2], both;
    glot_codes ids, order;
};

glot_status glot_translation_create(glot_translation **out, glot_error *err)
{
    return glot_new(out, 1, sizeof **out, "translation scores", err);
}

void glot_translation_free(glot_translation *t)
{
    if (!t)
        return;
    for (int side = 0; side < 2; side++) {
        glot_codes_release(&t->codes[side]);
        glot_codes_release(&t->units[side]);
        glot_free(t->split[side].items);
    }
    glot_free(t->both.items);
    glot_codes_release(&t->ids);
    glot_codes_release(&t->order);
    glot_ngram_scratch_release(&t->ngrams);
    glot_str_release(&t->text);
    glot_str_release(&t->other);
    glot_free(t);
}

/* Adds the counts of orders 1..n_orders of units[0] against units[1]. An order that the reference lacks
 * counts nothing for chrF. */
static glot_status add_orders(glot_translation *t, glot_ngram_counts *sums, size_t n_orders, bool is_chrf,
                              glot_error *err)
{
    for (size_t n = 1; n <= n_orders; n++) {
        glot_ngram_counts c;
        GLOT_TRY(glot_ngrams_match(&c, &t->ngrams, &t->units[0], &t->units[1], n, err));
        if (!is_chrf || c.reference)
            sums[n - 1].hypothesis += c.hypothesis;
        sums[n - 1].reference += c.reference;
        sums[n - 1].matches += c.matches;
    }
    return GLOT_OK;
}

/* units = the words of both sides (split[0], split[1]) as numbers. */
static glot_status number_words(glot_translation *t, glot_error *err)
{
    size_t n_first = t->split[0].n, n = n_first + t->split[1].n;
    GLOT_TRY(glot_grow(&t->both.items, &t->both.capacity, n, sizeof *t->both.items, "words", err));
    GLOT_TRY(glot_grow(&t->ids.items, &t->ids.capacity, n, sizeof *t->ids.items, "words", err));
    GLOT_TRY(glot_grow(&t->order.items, &t->order.capacity, n, sizeof *t->order.items, "words", err));
    for (size_t i = 0; i < n; i++)
        t->both.items[i] = i < n_first ? t->split[0].items[i] : t->split[1].items[i - n_first];
    glot_words_number(t->ids.items, t->both.items, n, t->order.items);
    t->units[0].n = t->units[1].n = 0;
    for (size_t i = 0; i < n; i++)
        GLOT_TRY(glot_codes_append(&t->units[i >= n_first], t->ids.items[i], err));
    return GLOT_OK;
}

static glot_status add_bleu(glot_translation *t, const char *const *texts, const size_t *sizes,
                            glot_error *err)
{
    for (int side = 0; side < 2; side++) {
        glot_tokenize_13a(&t->text, &t->other, texts[side], sizes[side]);
        GLOT_TRY(glot_str_check(&t->text, "a sentence", err));
        GLOT_TRY(glot_str_check(&t->other, "a sentence", err));
        t->codes[side].n = 0;
        GLOT_TRY(glot_codes_decode(&t->codes[side], t->text.data, t->text.length, err));
        GLOT_TRY(glot_words_split(&t->split[side], &t->codes[side], err));
    }
    GLOT_TRY(number_words(t, err));
    t->hypothesis_words += t->units[0].n;
    t->reference_words += t->units[1].n;
    return add_orders(t, t->bleu, BLEU_ORDER, false, err);
}

static glot_status add_chrf(glot_translation *t, const char *const *texts, const size_t *sizes,
                            glot_error *err)
{
    for (int side = 0; side < 2; side++) {
        glot_codes *codes = &t->codes[side], *units = &t->units[side];
        codes->n = units->n = 0;
        GLOT_TRY(glot_codes_decode(codes, texts[side], sizes[side], err));
        for (size_t i = 0; i < codes->n; i++)
            if (!glot_is_split_space(codes->items[i]))
                GLOT_TRY(glot_codes_append(units, codes->items[i], err));
        GLOT_TRY(glot_words_split_punctuation(&t->split[side], codes, err));
    }
    GLOT_TRY(add_orders(t, t->chars, CHAR_ORDER, true, err));
    GLOT_TRY(number_words(t, err));
    return add_orders(t, t->words, WORD_ORDER, true, err);
}

glot_status glot_translation_add(glot_translation *t, const char *hypothesis, size_t hypothesis_size,
                                 const char *reference, size_t reference_size, glot_error *err)
{
    const char *texts[] = {hypothesis, reference};
    size_t sizes[] = {hypothesis_size, reference_size};
    GLOT_TRY(add_bleu(t, texts, sizes, err));
    GLOT_TRY(add_chrf(t, texts, sizes, err));
    t->sentences++;
    return GLOT_OK;
}

static double bleu_score(const glot_translation *t)
{
    double logs = 0.0, smooth = 1.0, penalty = 1.0;
    uint64_t matches = 0;
    for (size_t n = 0; n < BLEU_ORDER; n++)
        matches += t->bleu[n].matches;
    if (matches == 0)
        return 0.0;
    for (size_t n = 0; n < BLEU_ORDER; n++) {
        const glot_ngram_counts *c = &t->bleu[n];
        if (c->hypothesis == 0)
            return 0.0; /* no sentence is that long: its precision is 0 */
        smooth *= c->matches ? 1.0 : 2.0;
        logs += c->matches ? log(100.0 * (double)c->matches / (double)c->hypothesis)
                           : log(100.0 / (smooth * (double)c->hypothesis));
    }
    if (t->hypothesis_words < t->reference_words)
        penalty = exp(1.0 - (double)t->reference_words / (double)t->hypothesis_words);
    return penalty * exp(logs / BLEU_ORDER);
}

/* Adds the precision and recall of orders that both sides have. */
static void add_means(double *precision, double *recall, int *n_orders, const glot_ngram_counts *counts,
                      size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (counts[i].hypothesis == 0 || counts[i].reference == 0)
            continue;
        *precision += (double)counts[i].matches / (double)counts[i].hypothesis;
        *recall += (double)counts[i].matches / (double)counts[i].reference;
        (*n_orders)++;
    }
}

static double chrf_score(const glot_translation *t, size_t n_word_orders)
{
    const double factor = 4.0; /* beta^2 */
    double precision = 0.0, recall = 0.0;
    int n_orders = 0;
    add_means(&precision, &recall, &n_orders, t->chars, CHAR_ORDER);
    add_means(&precision, &recall, &n_orders, t->words, n_word_orders);
    if (n_orders == 0 || precision + recall == 0.0)
        return 0.0;
    precision /= n_orders;
    recall /= n_orders;
    double score = (1.0 + factor) * precision * recall;
    return 100.0 * (score / (factor * precision + recall));
}

glot_translation_scores glot_translation_finish(const glot_translation *t)
{
    return (glot_translation_scores){bleu_score(t), chrf_score(t, 0), chrf_score(t, WORD_ORDER),
                                     t->sentences};
}
