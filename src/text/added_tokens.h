/* added_tokens.h
 *
 * Added tokens are cut out of a text before anything else happens to it: some from the text as it is, some
 * (`normalized`) from what the normalizer made of it. Found leftmost first, of those the longest.
 */
#ifndef GLOT_TEXT_ADDED_TOKENS_H
#define GLOT_TEXT_ADDED_TOKENS_H

#include "base/str.h"

typedef struct glot_added_token {
    int32_t id;
    bool single_word; /* not beside a word character */
    bool lstrip;      /* takes the white space before it along */
    bool rstrip;
    bool normalized; /* looked for in the normalized text */
    bool special;
    char *content;
    char *pattern; /* what is looked for: content, normalized where `normalized` */
} glot_added_token;

/* One node of the tree of patterns. */
typedef struct glot_added_node {
    int32_t child, sibling; /* node or 0 */
    int32_t token;          /* index of the token whose pattern ends here, or -1 */
    unsigned char byte;
} glot_added_node;

typedef struct glot_added_matcher {
    const glot_added_token *tokens; /* borrowed */
    glot_added_node *nodes;         /* nodes[0] is the root */
    size_t n_nodes, capacity;
    int32_t first[256]; /* child of the root by byte, or 0 */
    size_t n_first;     /* different first bytes */
    unsigned char only; /* the first byte where there is one */
} glot_added_matcher;

/* Takes a part of a text: id >= 0: the added token of that id; else ordinary text. */
typedef glot_status glot_part_fn(void *user, int32_t id, const char *part, size_t size, size_t offset,
                                 glot_error *err);

/* Adds tokens[index].pattern. GLOT_BAD_VALUE where the pattern is empty or there already. */
glot_status glot_added_matcher_add(glot_added_matcher *m, const glot_added_token *tokens, size_t index,
                                   const char *where, glot_error *err);
/* Gives the parts of a valid UTF-8 text to `take` in order; empty parts are left out. */
glot_status glot_added_split(const glot_added_matcher *m, const char *text, size_t size, glot_part_fn *take,
                             void *user, glot_error *err);
void glot_added_matcher_release(glot_added_matcher *m);

#endif
