/* density.c: a tokenizer that hardly knows a script. */
#include "text/density.h"
#include "base/log.h"

double glot_tokens_per_byte(uint64_t tokens, uint64_t bytes)
{
    return bytes ? (double)tokens / (double)bytes : 0.0;
}

void glot_warn_of_density(const char *language, uint64_t tokens, uint64_t bytes)
{
    double density = glot_tokens_per_byte(tokens, bytes);
    if (density > GLOT_POOR_TOKENS_PER_BYTE)
        glot_warn("language '%s': the tokenizer makes %.2f tokens of each byte of its text (more than %.2f: "
                  "it hardly knows the script), so that much "
                  "of the training will go into spelling; a base model with another tokenizer would learn "
                  "more from it",
                  language, density, GLOT_POOR_TOKENS_PER_BYTE);
}
