/* density.h: tokens per byte, what a tokenizer makes of a language.
 *
 * A tokenizer without pieces for a script falls back to bytes: up to one token for each, where a language
 * that it was made for takes 0.2 to 0.25. Work and context are counted in tokens, so such a language costs
 * four times as much for the same bytes, and much of what a model learns is how letters are spelt out of
 * bytes (docs/evaluation.md has measurements).
 */
#ifndef GLOT_TEXT_DENSITY_H
#define GLOT_TEXT_DENSITY_H

#include "base/error.h"

/* Above this a letter of two bytes takes more than 1.3 tokens, one of three bytes two. */
#define GLOT_POOR_TOKENS_PER_BYTE 0.65

/* 0 for no bytes. */
double glot_tokens_per_byte(uint64_t tokens, uint64_t bytes);
/* Warns where the text of a language has more than that. */
void glot_warn_of_density(const char *language, uint64_t tokens, uint64_t bytes);

#endif
