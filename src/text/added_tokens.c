/* added_tokens.c: the patterns of the added tokens as a tree of bytes. */
#include "text/added_tokens.h"
#include "base/memory.h"
#include "text/unicode.h"

#include <string.h>

static int32_t find_child(const glot_added_matcher *m, int32_t node, unsigned char byte)
{
    if (node == 0)
        return m->first[byte];
    int32_t child = m->nodes[node].child;
    while (child && m->nodes[child].byte != byte)
        child = m->nodes[child].sibling;
    return child;
}

static glot_status add_child(glot_added_matcher *m, int32_t node, unsigned char byte, int32_t *child,
                             glot_error *err)
{
    GLOT_TRY(glot_grow(&m->nodes, &m->capacity, m->n_nodes + 2, sizeof m->nodes[0], "the added tokens", err));
    if (m->n_nodes == 0)
        m->nodes[m->n_nodes++] = (glot_added_node){.token = -1};
    *child = (int32_t)m->n_nodes++;
    m->nodes[*child] = (glot_added_node){.token = -1, .byte = byte};
    if (node == 0) {
        m->first[byte] = *child;
        m->only = byte;
        m->n_first++;
    } else {
        m->nodes[*child].sibling = m->nodes[node].child;
        m->nodes[node].child = *child;
    }
    return GLOT_OK;
}

glot_status glot_added_matcher_add(glot_added_matcher *m, const glot_added_token *tokens, size_t index,
                                   const char *where, glot_error *err)
{
    m->tokens = tokens;
    const char *pattern = tokens[index].pattern;
    if (!*pattern)
        return GLOT_FAIL(err, GLOT_BAD_VALUE,
                         "'%s': nothing is left of the added token '%.64s' after normalization", where,
                         tokens[index].content);
    int32_t node = 0;
    for (const char *p = pattern; *p; p++) {
        int32_t child = find_child(m, node, (unsigned char)*p);
        if (!child)
            GLOT_TRY(add_child(m, node, (unsigned char)*p, &child, err));
        node = child;
    }
    if (m->nodes[node].token >= 0)
        return GLOT_FAIL(err, GLOT_BAD_VALUE,
                         "'%s': the added tokens '%.64s' and '%.64s' are the same after normalization", where,
                         tokens[m->nodes[node].token].content, tokens[index].content);
    m->nodes[node].token = (int32_t)index;
    return GLOT_OK;
}

/* The longest pattern that begins at `at`: its token, or -1; its end in *end. */
static int32_t match_at(const glot_added_matcher *m, const char *text, size_t size, size_t at, size_t *end)
{
    int32_t token = -1;
    for (int32_t node = m->first[(unsigned char)text[at]]; node;) {
        at++;
        if (m->nodes[node].token >= 0) {
            token = m->nodes[node].token;
            *end = at;
        }
        node = at < size ? find_child(m, node, (unsigned char)text[at]) : 0;
    }
    return token;
}

/* The next match from `at`: its token, or -1. */
static int32_t find_match(const glot_added_matcher *m, const char *text, size_t size, size_t at,
                          size_t *start, size_t *end)
{
    for (; at < size && m->n_first > 0; at++) {
        if (m->n_first == 1) {
            const char *place = memchr(text + at, m->only, size - at);
            if (!place)
                return -1;
            at = (size_t)(place - text);
        }
        int32_t token = m->first[(unsigned char)text[at]] ? match_at(m, text, size, at, end) : -1;
        if (token >= 0) {
            *start = at;
            return token;
        }
    }
    return -1;
}

static bool is_word(uint32_t code)
{
    return (glot_class(code) & GLOT_WORD) != 0;
}

static bool is_single_word(const char *text, size_t size, size_t start, size_t end)
{
    size_t length;
    bool left_free = start == 0 || !is_word(glot_utf8_decode_before(text, start, &length));
    bool right_free = end == size || !is_word(glot_utf8_decode(text + end, &length));
    return left_free && right_free;
}

static size_t space_before(const char *text, size_t least, size_t start)
{
    size_t length;
    while (start > least && glot_class(glot_utf8_decode_before(text, start, &length)) & GLOT_SPACE)
        start -= length;
    return start;
}

static size_t space_after(const char *text, size_t size, size_t end)
{
    size_t length;
    while (end < size && glot_class(glot_utf8_decode(text + end, &length)) & GLOT_SPACE)
        end += length;
    return end;
}

/* As in tokenizers, white space that a token took along may hold the next token: `done` then goes back, and
 * the space is not looked at again. */
glot_status glot_added_split(const glot_added_matcher *m, const char *text, size_t size, glot_part_fn *take,
                             void *user, glot_error *err)
{
    size_t done = 0, from = 0, start = 0, end = 0, space_end = 0;
    for (;;) {
        int32_t index = find_match(m, text, size, from, &start, &end);
        if (index < 0)
            break;
        from = end;
        const glot_added_token *token = &m->tokens[index];
        if (token->single_word && !is_single_word(text, size, start, end))
            continue;
        if (token->lstrip)
            start = start > done ? space_before(text, done, start) : done;
        if (token->rstrip)
            end = space_end = end < space_end ? space_end : space_after(text, size, end);
        if (done < start)
            GLOT_TRY(take(user, -1, text + done, start - done, done, err));
        if (start < end) /* else another token took all of it */
            GLOT_TRY(take(user, token->id, NULL, 0, start, err));
        done = end;
    }
    return done < size ? take(user, -1, text + done, size - done, done, err) : GLOT_OK;
}

void glot_added_matcher_release(glot_added_matcher *m)
{
    glot_free(m->nodes);
    *m = (glot_added_matcher){0};
}
