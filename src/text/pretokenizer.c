/* pretokenizer.c: the stages, one inside the other: each gives its pieces to the next, the last to the
 * caller. */
#include "text/pretokenizer.h"
#include "base/log.h"
#include "base/memory.h"
#include "text/normalizer.h"
#include "text/unicode.h"

#include <string.h>

/* Limits of one match by PCRE2: a pattern that needs more on real text is an attack or a mistake. */
enum { MATCH_LIMIT = 10000000, DEPTH_LIMIT = 10000, HEAP_LIMIT_KIB = 65536 };

typedef struct run {
    const glot_pretokenizer *pretokenizer;
    glot_pretokenizer_scratch *scratch;
    bool is_first;
    glot_piece_fn *take;
    void *user;
    glot_error *err;
} run;

static glot_status run_stage(const run *r, size_t index, const char *text, size_t size);

/* --- patterns --- */

#define LETTERS_AND_SPACES "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define CONTRACTION_OR_WORD "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|"

static const struct {
    const char *pattern;
    glot_stage_kind kind;
} known_patterns[] = {
    {"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+", GLOT_STAGE_GPT2},
    {"'(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+", GLOT_STAGE_GPT2},
    {CONTRACTION_OR_WORD "\\p{N}{1,3}" LETTERS_AND_SPACES, GLOT_STAGE_LLAMA3},
    {CONTRACTION_OR_WORD "\\p{N}" LETTERS_AND_SPACES, GLOT_STAGE_QWEN2},
};

const char *glot_stage_pattern(glot_stage_kind kind)
{
    for (size_t i = 0; i < sizeof known_patterns / sizeof known_patterns[0]; i++)
        if (known_patterns[i].kind == kind)
            return known_patterns[i].pattern;
    return NULL;
}

static void *pcre2_take(PCRE2_SIZE size, void *user)
{
    (void)user;
    return glot_calloc(size, 1);
}

static void pcre2_give(void *memory, void *user)
{
    (void)user;
    glot_free(memory);
}

/* Whether a character class holds another one: a set operation to Oniguruma, a plain bracket to PCRE2. */
static bool has_nested_class(const char *pattern)
{
    bool in_class = false;
    for (const char *p = pattern; *p; p++) {
        if (*p == '\\' && p[1]) {
            p++;
        } else if (*p == '[') {
            if (in_class)
                return true;
            in_class = true;
            p += p[1] == '^';
            p += p[1] == ']';
        } else if (*p == ']') {
            in_class = false;
        }
    }
    return false;
}

/* Constructs that PCRE2 takes but reads otherwise than Oniguruma, the engine of tokenizers; NULL where there
 * is none. */
static const char *read_otherwise(const char *pattern)
{
    static const char *const constructs[] = {"&&",  "}+",  "(?m", "(?s", "(?x", "(?a", "(?~", "(?R",
                                             "(?(", "(*",  "\\w", "\\W", "\\b", "\\B", "\\h", "\\H",
                                             "\\v", "\\V", "\\R", "\\X", "\\K", "\\G", "\\Z", "\\z",
                                             "\\A", "\\N", "\\O", "\\y", "\\Y", "\\g", "\\k", "\\Q"};
    for (size_t i = 0; i < sizeof constructs / sizeof constructs[0]; i++)
        if (strstr(pattern, constructs[i]))
            return constructs[i];
    return has_nested_class(pattern) ? "[...[" : NULL;
}

static glot_status compile(glot_stage *stage, const char *where, glot_error *err)
{
    const char *construct = read_otherwise(stage->text);
    if (construct)
        return GLOT_FAIL(err, GLOT_UNSUPPORTED,
                         "'%s': the split pattern '%.200s' uses '%s', which is not supported in patterns "
                         "that are not known",
                         where, stage->text, construct);
    pcre2_general_context *memory = pcre2_general_context_create(pcre2_take, pcre2_give, NULL);
    pcre2_compile_context *context = memory ? pcre2_compile_context_create(memory) : NULL;
    int code = 0;
    PCRE2_SIZE at = 0;
    if (context) {
        pcre2_set_parens_nest_limit(context, 100);
        pcre2_set_newline(context, PCRE2_NEWLINE_LF);
        stage->code = pcre2_compile((PCRE2_SPTR)stage->text, strlen(stage->text),
                                    PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE, &code, &at, context);
    }
    pcre2_compile_context_free(context);
    pcre2_general_context_free(memory);
    if (!stage->code && (!context || code == PCRE2_ERROR_NOMEMORY || code == 121))
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for the split pattern of '%s'", where);
    if (!stage->code) {
        PCRE2_UCHAR reason[128];
        pcre2_get_error_message(code, reason, sizeof reason);
        return GLOT_FAIL(err, GLOT_UNSUPPORTED,
                         "'%s': the split pattern '%.200s' is not supported: %s at byte %zu", where,
                         stage->text, (const char *)reason, at);
    }
    char version[64];
    pcre2_config(PCRE2_CONFIG_UNICODE_VERSION, version);
    glot_warn("'%s': the split pattern '%.200s' is not a known one; PCRE2 runs it with its own Unicode %s, "
              "so newer "
              "characters may be split otherwise than by tokenizers",
              where, stage->text, version);
    return GLOT_OK;
}

/* Whether every match becomes a piece and nothing is dropped: the known patterns match everything. */
static bool is_isolated(const glot_stage *stage)
{
    return (stage->behavior == GLOT_SPLIT_ISOLATED) ||
           (stage->behavior == GLOT_SPLIT_REMOVED && stage->invert);
}

glot_status glot_pretokenizer_add(glot_pretokenizer *p, const glot_stage *stage, const char *where,
                                  glot_error *err)
{
    if (p->n == GLOT_MAX_STAGES)
        return GLOT_FAIL(err, GLOT_UNSUPPORTED, "'%s': more than %d pre-tokenizers", where, GLOT_MAX_STAGES);
    glot_stage *added = &p->stages[p->n++];
    *added = *stage;
    added->code = NULL;
    added->text = stage->text ? glot_strdup(stage->text) : NULL;
    if (stage->text && !added->text)
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for the pre-tokenizers of '%s'", where);
    if (stage->kind != GLOT_STAGE_PATTERN)
        return GLOT_OK;
    for (size_t i = 0; i < sizeof known_patterns / sizeof known_patterns[0]; i++)
        if (is_isolated(stage) && strcmp(stage->text, known_patterns[i].pattern) == 0) {
            added->kind = known_patterns[i].kind;
            return GLOT_OK;
        }
    return compile(added, where, err);
}

/* --- matches and what becomes of them --- */

/* The next match from `at`: *found false where there is none. */
static glot_status match_digit(const char *text, size_t size, size_t at, bool *found, size_t *start,
                               size_t *end)
{
    *found = false;
    for (size_t length; at < size; at += length) {
        if (glot_is_numeric(glot_utf8_decode(text + at, &length))) {
            *found = true;
            *start = at;
            *end = at + length;
            break;
        }
    }
    return GLOT_OK;
}

static glot_status match_string(const glot_stage *stage, const char *text, size_t size, size_t at,
                                bool *found, size_t *start, size_t *end)
{
    size_t length = strlen(stage->text);
    const char *place = memmem(text + at, size - at, stage->text, length);
    *found = place != NULL;
    if (place) {
        *start = (size_t)(place - text);
        *end = *start + length;
    }
    return GLOT_OK;
}

static glot_status prepare_matching(const run *r, size_t index)
{
    glot_pretokenizer_scratch *s = r->scratch;
    if (s->matches[index])
        return GLOT_OK;
    pcre2_general_context *memory = pcre2_general_context_create(pcre2_take, pcre2_give, NULL);
    if (memory && !s->limits && (s->limits = pcre2_match_context_create(memory))) {
        pcre2_set_match_limit(s->limits, MATCH_LIMIT);
        pcre2_set_depth_limit(s->limits, DEPTH_LIMIT);
        pcre2_set_heap_limit(s->limits, HEAP_LIMIT_KIB);
    }
    if (s->limits)
        s->matches[index] = pcre2_match_data_create(1, memory);
    pcre2_general_context_free(memory);
    if (!s->matches[index])
        return GLOT_FAIL(r->err, GLOT_NOMEM, "no memory for a split pattern");
    return GLOT_OK;
}

static glot_status match_pattern(const run *r, size_t index, const char *text, size_t size, size_t at,
                                 bool *found, size_t *start, size_t *end)
{
    const glot_stage *stage = &r->pretokenizer->stages[index];
    GLOT_TRY(prepare_matching(r, index));
    pcre2_match_data *match = r->scratch->matches[index];
    int n =
        pcre2_match(stage->code, (PCRE2_SPTR)text, size, at, PCRE2_NO_UTF_CHECK, match, r->scratch->limits);
    *found = n >= 0;
    if (n == PCRE2_ERROR_NOMATCH)
        return GLOT_OK;
    if (n == PCRE2_ERROR_NOMEMORY)
        return GLOT_FAIL(r->err, GLOT_NOMEM, "no memory to match a split pattern");
    if (n < 0) {
        PCRE2_UCHAR reason[128];
        pcre2_get_error_message(n, reason, sizeof reason);
        return GLOT_FAIL(r->err, GLOT_BAD_VALUE, "the split pattern '%.200s' fails on the text: %s",
                         stage->text, (const char *)reason);
    }
    const PCRE2_SIZE *places = pcre2_get_ovector_pointer(match);
    *start = places[0];
    *end = places[1];
    return GLOT_OK;
}

static glot_status next_match(const run *r, size_t index, const char *text, size_t size, size_t at,
                              bool *found, size_t *start, size_t *end)
{
    const glot_stage *stage = &r->pretokenizer->stages[index];
    if (stage->kind == GLOT_STAGE_DIGITS)
        return match_digit(text, size, at, found, start, end);
    if (stage->kind == GLOT_STAGE_STRING)
        return match_string(stage, text, size, at, found, start, end);
    return match_pattern(r, index, text, size, at, found, start, end);
}

/* A piece that may still grow, as the behaviours ask. */
typedef struct splitter {
    const run *run;
    size_t index;
    const char *text;
    size_t start, end; /* the piece held back */
    bool is_held, was_match;
} splitter;

static glot_status give(const splitter *p, size_t start, size_t end)
{
    return end > start ? run_stage(p->run, p->index + 1, p->text + start, end - start) : GLOT_OK;
}

static glot_status give_held(splitter *p)
{
    bool is_held = p->is_held;
    p->is_held = false;
    return is_held ? give(p, p->start, p->end) : GLOT_OK;
}

static glot_status hold(splitter *p, size_t start, size_t end)
{
    GLOT_TRY(give_held(p));
    p->start = start;
    p->end = end;
    p->is_held = true;
    return GLOT_OK;
}

/* Takes the next part of the text, a match or what lies between two. */
static glot_status take_part(splitter *p, size_t start, size_t end, bool is_match)
{
    const glot_stage *stage = &p->run->pretokenizer->stages[p->index];
    bool was_match = p->was_match;
    is_match ^= stage->invert;
    p->was_match = is_match;
    switch (stage->behavior) {
    case GLOT_SPLIT_ISOLATED:
        return give(p, start, end);
    case GLOT_SPLIT_REMOVED:
        return is_match ? GLOT_OK : give(p, start, end);
    case GLOT_SPLIT_CONTIGUOUS:
        if (!p->is_held || is_match != was_match)
            return hold(p, start, end);
        break;
    case GLOT_SPLIT_MERGED_WITH_PREVIOUS:
        if (!p->is_held || !is_match || was_match)
            return hold(p, start, end);
        break;
    case GLOT_SPLIT_MERGED_WITH_NEXT:
        if (!p->is_held || is_match)
            GLOT_TRY(hold(p, start, end));
        p->end = end;
        return is_match ? GLOT_OK : give_held(p);
    }
    p->end = end;
    return GLOT_OK;
}

static size_t character_length(const char *text)
{
    size_t length;
    glot_utf8_decode(text, &length);
    return length;
}

/* Goes on as tokenizers' find_iter does: an empty match directly behind the last one does not count. */
static glot_status run_matches(const run *r, size_t index, const char *text, size_t size)
{
    splitter p = {.run = r, .index = index, .text = text};
    size_t done = 0, from = 0, start = 0, end = 0, last_end = SIZE_MAX;
    while (from <= size) {
        bool found = false;
        GLOT_TRY(next_match(r, index, text, size, from, &found, &start, &end));
        if (!found)
            break;
        if (start == end && end == last_end) {
            from += from < size ? character_length(text + from) : 1;
            continue;
        }
        if (start > done)
            GLOT_TRY(take_part(&p, done, start, false));
        GLOT_TRY(take_part(&p, start, end, true));
        done = from = last_end = end;
    }
    if (done < size)
        GLOT_TRY(take_part(&p, done, size, false));
    return give_held(&p);
}

/* --- stages --- */

typedef size_t scan_fn(const char *text, size_t size, size_t at);

static glot_status run_scanner(const run *r, size_t index, const char *text, size_t size, scan_fn *scan)
{
    size_t next = index + 1;
    bool is_last = next == r->pretokenizer->n;
    for (size_t at = 0, end; at < size; at = end) {
        end = scan(text, size, at);
        GLOT_TRY(is_last ? r->take(r->user, text + at, end - at, r->err)
                         : run_stage(r, next, text + at, end - at));
    }
    return GLOT_OK;
}

/* Text with a string in front, in the stage's second buffer. */
static glot_status put_in_front(const run *r, size_t index, const char *front, const char **text,
                                size_t *size)
{
    size_t n = strlen(front);
    char **buffer = &r->scratch->texts[index][1];
    GLOT_TRY(glot_grow(buffer, &r->scratch->capacities[index][1], n + *size, 1, "a text", r->err));
    memcpy(*buffer, front, n);
    memcpy(*buffer + n, *text, *size);
    *text = *buffer;
    *size += n;
    return GLOT_OK;
}

static glot_status run_metaspace(const run *r, size_t index, const char *text, size_t size)
{
    const glot_stage *stage = &r->pretokenizer->stages[index];
    char **buffer = &r->scratch->texts[index][0];
    GLOT_TRY(
        glot_replace(buffer, &r->scratch->capacities[index][0], text, size, " ", stage->text, &size, r->err));
    text = *buffer;
    size_t n = strlen(stage->text);
    bool has_one = size >= n && memcmp(text, stage->text, n) == 0;
    bool asked = stage->scheme == GLOT_PREPEND_ALWAYS || (stage->scheme == GLOT_PREPEND_FIRST && r->is_first);
    if (asked && !has_one)
        GLOT_TRY(put_in_front(r, index, stage->text, &text, &size));
    if (!stage->split)
        return run_stage(r, index + 1, text, size);
    for (size_t at = 0; at < size;) {
        size_t from = at + (size - at >= n && memcmp(text + at, stage->text, n) == 0 ? n : 0);
        const char *next = memmem(text + from, size - from, stage->text, n);
        size_t end = next ? (size_t)(next - text) : size;
        GLOT_TRY(run_stage(r, index + 1, text + at, end - at));
        at = end;
    }
    return GLOT_OK;
}

static glot_status run_stage(const run *r, size_t index, const char *text, size_t size)
{
    if (index == r->pretokenizer->n)
        return r->take(r->user, text, size, r->err);
    switch (r->pretokenizer->stages[index].kind) {
    case GLOT_STAGE_GPT2:
        return run_scanner(r, index, text, size, glot_scan_gpt2);
    case GLOT_STAGE_LLAMA3:
        return run_scanner(r, index, text, size, glot_scan_llama3);
    case GLOT_STAGE_QWEN2:
        return run_scanner(r, index, text, size, glot_scan_qwen2);
    case GLOT_STAGE_DIGITS:
    case GLOT_STAGE_STRING:
    case GLOT_STAGE_PATTERN:
        return run_matches(r, index, text, size);
    case GLOT_STAGE_SPACE:
        if (text[0] != ' ')
            GLOT_TRY(put_in_front(r, index, " ", &text, &size));
        return run_stage(r, index + 1, text, size);
    case GLOT_STAGE_METASPACE:
        return run_metaspace(r, index, text, size);
    }
    return GLOT_OK;
}

glot_status glot_pretokenize(const glot_pretokenizer *p, glot_pretokenizer_scratch *s, const char *text,
                             size_t size, bool is_first, glot_piece_fn *take, void *user, glot_error *err)
{
    run r = {.pretokenizer = p, .scratch = s, .is_first = is_first, .take = take, .user = user, .err = err};
    return size ? run_stage(&r, 0, text, size) : GLOT_OK;
}

void glot_pretokenizer_release(glot_pretokenizer *p)
{
    for (size_t i = 0; i < p->n; i++) {
        glot_free(p->stages[i].text);
        pcre2_code_free(p->stages[i].code);
    }
    *p = (glot_pretokenizer){0};
}

void glot_pretokenizer_scratch_release(glot_pretokenizer_scratch *s)
{
    for (size_t i = 0; i < GLOT_MAX_STAGES; i++) {
        glot_free(s->texts[i][0]);
        glot_free(s->texts[i][1]);
        pcre2_match_data_free(s->matches[i]);
    }
    pcre2_match_context_free(s->limits);
    *s = (glot_pretokenizer_scratch){0};
}
