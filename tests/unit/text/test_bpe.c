/* The merging of one piece against the rule as it is written: again and again the merge with the lowest rank,
 * the leftmost first. */
#include "tokenizer_util.h"

enum { N_LETTERS = 6 };

/* A model over the letters a to f with random merges; ids 0 to 5 are the letters. */
static void make_model(glot_vocabulary *v, glot_bpe *b, glot_rng *rng, size_t n_merges)
{
    *v = (glot_vocabulary){0};
    *b = (glot_bpe){.vocabulary = v, .unk_id = -1};
    for (int64_t i = 0; i < N_LETTERS; i++) {
        char letter[2] = {(char)('a' + i), 0};
        assert_int_equal(glot_vocabulary_add(v, i, letter, 1, true, "test", NULL), GLOT_OK);
    }
    for (size_t i = 0; i < n_merges; i++) {
        int32_t left = (int32_t)glot_rng_below(rng, (uint32_t)v->size);
        int32_t right = (int32_t)glot_rng_below(rng, (uint32_t)v->size);
        char text[256];
        int n = snprintf(text, sizeof text, "%s%s", glot_vocabulary_text(v, left, NULL),
                         glot_vocabulary_text(v, right, NULL));
        if (n > 60)
            continue;
        int32_t id = glot_vocabulary_find(v, text, (size_t)n);
        if (id < 0) {
            id = (int32_t)v->size;
            assert_int_equal(glot_vocabulary_add(v, id, text, (size_t)n, true, "test", NULL), GLOT_OK);
        }
        assert_int_equal(glot_merge_add(&b->merges, left, right, id, NULL), GLOT_OK);
    }
    assert_int_equal(glot_bpe_prepare(b, NULL), GLOT_OK);
}

static bool find_rank(const glot_bpe *b, int32_t left, int32_t right, uint32_t *rank, int32_t *id)
{
    for (size_t i = 0; i < b->merges.n; i++)
        if (b->merges.merges[i].left == left && b->merges.merges[i].right == right) {
            *rank = (uint32_t)i;
            *id = b->merges.merges[i].id;
            return true;
        }
    return false;
}

static size_t merge_by_the_rule(const glot_bpe *b, int32_t *ids, size_t n)
{
    for (;;) {
        uint32_t best_rank = UINT32_MAX, rank;
        size_t best = n;
        int32_t best_id = 0, id;
        for (size_t i = 0; i + 1 < n; i++)
            if (find_rank(b, ids[i], ids[i + 1], &rank, &id) && rank < best_rank) {
                best_rank = rank;
                best = i;
                best_id = id;
            }
        if (best == n)
            return n;
        ids[best] = best_id;
        memmove(ids + best + 1, ids + best + 2, (n - best - 2) * sizeof ids[0]);
        n--;
    }
}

static void test_short_and_long_pieces(void **state)
{
    (void)state;
    glot_rng rng = glot_rng_seed(1, 0);
    glot_bpe_scratch s = {0};
    for (int round = 0; round < 150; round++) {
        glot_vocabulary v;
        glot_bpe b;
        make_model(&v, &b, &rng, glot_rng_below(&rng, 40));
        for (int i = 0; i < 10; i++) {
            char piece[256];
            int32_t ids[256];
            size_t n = 1 + glot_rng_below(&rng, i < 5 ? 20 : 200), unmerged = n;
            for (size_t k = 0; k < n; k++) {
                uint32_t letter = glot_rng_below(&rng, N_LETTERS);
                piece[k] = (char)('a' + letter);
                ids[k] = (int32_t)letter;
            }
            n = merge_by_the_rule(&b, ids, n);
            assert_int_equal(glot_bpe_encode(&b, &s, piece, unmerged, NULL), GLOT_OK);
            assert_int_equal(s.n, n);
            assert_memory_equal(s.ids, ids, n * sizeof ids[0]);
        }
        glot_bpe_release(&b);
        glot_vocabulary_release(&v);
    }
    glot_bpe_scratch_release(&s);
}

/* One million letters without a break: done in a moment, where the plain rule would take hours. */
static void test_a_very_long_piece(void **state)
{
    (void)state;
    enum { N = 1 << 20 };
    glot_rng rng = glot_rng_seed(2, 0);
    glot_vocabulary v;
    glot_bpe b;
    glot_bpe_scratch s = {0};
    char *piece = malloc(N);
    assert_non_null(piece);
    make_model(&v, &b, &rng, 200);
    for (size_t i = 0; i < N; i++)
        piece[i] = (char)('a' + glot_rng_below(&rng, N_LETTERS));
    assert_int_equal(glot_bpe_encode(&b, &s, piece, N, NULL), GLOT_OK);
    assert_true(s.n < N);
    size_t size = 0;
    for (size_t i = 0; i < s.n; i++) {
        size_t length;
        const char *text = glot_vocabulary_text(&v, s.ids[i], &length);
        assert_memory_equal(piece + size, text, length);
        size += length;
    }
    assert_int_equal(size, N);
    free(piece);
    glot_bpe_scratch_release(&s);
    glot_bpe_release(&b);
    glot_vocabulary_release(&v);
}

static void test_byte_characters(void **state)
{
    (void)state;
    for (int byte = 0; byte < 256; byte++)
        assert_int_equal(glot_character_to_byte(glot_byte_to_character((unsigned char)byte)), byte);
    assert_int_equal(glot_byte_to_character(' '), 0x120);
    assert_int_equal(glot_byte_to_character('\n'), 0x10A);
    assert_int_equal(glot_byte_to_character(0x7F), 0x121);
    assert_int_equal(glot_byte_to_character(0xAD), 0x143);
    assert_int_equal(glot_character_to_byte(' '), -1);
    assert_int_equal(glot_character_to_byte(0x144), -1);
    assert_int_equal(glot_character_to_byte(0x1F600), -1);
}

/* Of two equal merges the later one holds, as in tokenizers, and the list of merges has it once. */
static void test_a_merge_named_twice(void **state)
{
    (void)state;
    glot_vocabulary v = {0};
    glot_bpe b = {.vocabulary = &v, .unk_id = -1};
    glot_bpe_scratch s = {0};
    static const char *const tokens[] = {"a", "b", "c", "ab", "bc"};
    for (int64_t i = 0; i < 5; i++)
        assert_int_equal(glot_vocabulary_add(&v, i, tokens[i], strlen(tokens[i]), true, "test", NULL),
                         GLOT_OK);
    assert_int_equal(glot_merge_add(&b.merges, 0, 1, 3, NULL), GLOT_OK);
    assert_int_equal(glot_merge_add(&b.merges, 1, 2, 4, NULL), GLOT_OK);
    assert_int_equal(glot_merge_add(&b.merges, 0, 1, 3, NULL), GLOT_OK);
    assert_int_equal(glot_bpe_prepare(&b, NULL), GLOT_OK);
    assert_int_equal(glot_bpe_encode(&b, &s, "abc", 3, NULL), GLOT_OK);
    assert_int_equal(s.n, 2);
    assert_int_equal(s.ids[1], 4); /* a bc, not ab c */
    assert_int_equal(b.merges.n, 2);
    assert_int_equal(b.merges.merges[0].left, 1);
    assert_int_equal(b.merges.merges[1].left, 0);
    glot_bpe_scratch_release(&s);
    glot_bpe_release(&b);
    glot_vocabulary_release(&v);
}

/* A byte-level model whose merges join bytes, parts of characters and characters at random. `missing`: a byte
 * without a token. */
static void make_byte_model(glot_vocabulary *v, glot_bpe *b, glot_rng *rng, const char *alphabet, int missing)
{
    *v = (glot_vocabulary){0};
    *b = (glot_bpe){.vocabulary = v, .unk_id = -1, .byte_level = true};
    for (int byte = 0; byte < 256; byte++) {
        char text[4];
        size_t n = glot_utf8_encode(text, glot_byte_to_character((unsigned char)byte));
        if (byte == missing)
            continue;
        assert_int_equal(glot_vocabulary_add(v, byte, text, n, true, "test", NULL), GLOT_OK);
    }
    for (int i = 0; i < 20; i++) {
        size_t n_left, n_right, at = glot_rng_below(rng, (uint32_t)strlen(alphabet) - 1);
        bool is_byte = v->size == 256 || glot_rng_below(rng, 2) == 0;
        int32_t left = is_byte ? (unsigned char)alphabet[at]
                               : (int32_t)(256 + glot_rng_below(rng, (uint32_t)v->size - 256));
        int32_t right = is_byte ? (unsigned char)alphabet[at + 1]
                                : (unsigned char)alphabet[glot_rng_below(rng, (uint32_t)strlen(alphabet))];
        if (left == missing || right == missing)
            continue;
        char text[256];
        const char *left_text = glot_vocabulary_text(v, left, &n_left);
        const char *right_text = glot_vocabulary_text(v, right, &n_right);
        int n = snprintf(text, sizeof text, "%s%s", left_text, right_text);
        int32_t id = glot_vocabulary_find(v, text, (size_t)n);
        if (id < 0)
            assert_int_equal(
                glot_vocabulary_add(v, id = (int32_t)v->size, text, (size_t)n, true, "test", NULL), GLOT_OK);
        assert_int_equal(glot_merge_add(&b->merges, left, right, id, NULL), GLOT_OK);
    }
    assert_int_equal(glot_bpe_prepare(b, NULL), GLOT_OK);
}

/* ids[0, n) of a piece merged in the parts that glot_bpe_may_join allows; counts the cuts. */
static size_t merge_in_parts(const glot_bpe *b, const char *piece, size_t size, int32_t *ids, size_t *n_cuts)
{
    glot_bpe_scratch s = {0};
    size_t n = 0, start = 0, length;
    uint32_t previous = glot_utf8_decode(piece, &length), code = 0;
    for (size_t at = length; at <= size; at += length) {
        length = 1;
        if (at < size)
            code = glot_utf8_decode(piece + at, &length);
        if (at == size || !glot_bpe_may_join(b, piece + at, previous, code)) {
            assert_int_equal(glot_bpe_merge(b, &s, piece + start, at - start, NULL), GLOT_OK);
            memcpy(ids + n, s.ids, s.n * sizeof ids[0]);
            n += s.n;
            start = at;
            *n_cuts += at < size;
        }
        previous = code;
    }
    glot_bpe_scratch_release(&s);
    return n;
}

static size_t count_start_characters(const glot_bpe *b)
{
    size_t n = 0;
    for (size_t code = 0x80; code < GLOT_N_PLANE; code++)
        n += b->character_ids[code] >= 0;
    return n;
}

/* Characters of one to four bytes that share bytes with one another: merged at once and in parts, against the
 * rule applied to the bytes. */
static void test_byte_level_pieces(void **state)
{
    (void)state;
    static const char *const characters[] = {
        "a", "\xC2\x80", "\xC4\x80", "\xE4\xB8\x80", "\xE4\xB8\x84", "\xE4\x80\xB8", "\xF0\xA0\x80\xB8"};
    static const int missing[] = {-1, -1, 'a', 0xF0, 0xB8};
    enum {
        N_CHARACTERS = sizeof characters / sizeof characters[0],
        N_MISSING = sizeof missing / sizeof missing[0]
    };
    glot_rng rng = glot_rng_seed(3, 0);
    glot_bpe_scratch s = {0};
    size_t n_cuts = 0, n_start = 0;
    for (int round = 0; round < 4000; round++) {
        char piece[128] = "";
        int32_t ids[128], expected[128];
        size_t n_expected = 0;
        for (int i = 0; i < 30; i++)
            strcat(piece, characters[glot_rng_below(&rng, N_CHARACTERS)]);
        glot_vocabulary v;
        glot_bpe b;
        make_byte_model(&v, &b, &rng, piece, missing[round % N_MISSING]);
        for (const char *p = piece; *p; p++)
            if ((unsigned char)*p != missing[round % N_MISSING])
                expected[n_expected++] = (unsigned char)*p;
        n_expected = merge_by_the_rule(&b, expected, n_expected);
        size_t n = merge_in_parts(&b, piece, strlen(piece), ids, &n_cuts);
        assert_int_equal(n, n_expected);
        assert_memory_equal(ids, expected, n * sizeof ids[0]);
        assert_int_equal(glot_bpe_merge(&b, &s, piece, strlen(piece), NULL), GLOT_OK);
        assert_int_equal(s.n, n_expected);
        assert_memory_equal(s.ids, expected, n * sizeof ids[0]);
        n_start += count_start_characters(&b);
        glot_bpe_release(&b);
        glot_vocabulary_release(&v);
    }
    assert_true(n_cuts > 1000 && n_start > 1000);
    glot_bpe_scratch_release(&s);
}

/* Buckets that overflow, the last one into the first: every merge is found, and no pair that is none. */
static void test_full_buckets(void **state)
{
    (void)state;
    enum { N_SAME = 11, FIRST_CLOSE = 1 << 20 };
    glot_merge_table t = {.slot_bits = 10}; /* as it begins */
    int32_t right[N_SAME + 1];
    size_t last_bucket = (1 << 10) - GLOT_MERGE_BUCKET;
    for (int32_t i = 0, id = 0; i <= N_SAME; id++)
        if (glot_merge_bucket(&t, glot_merge_pair(7, id)) == last_bucket)
            right[i++] = id;
    t.slot_bits = 0;
    for (int32_t i = 0; i < N_SAME; i++)
        assert_int_equal(glot_merge_add(&t, 7, right[i], 1000 + i, NULL), GLOT_OK);
    assert_int_equal(glot_merge_add(&t, GLOT_MAX_TOKEN_ID - 1, GLOT_MAX_TOKEN_ID - 1, 2000, NULL), GLOT_OK);
    assert_int_equal(glot_merge_finish(&t, FIRST_CLOSE, NULL), GLOT_OK);
    assert_int_equal(t.slot_bits, 10);
    for (int32_t i = 0; i < N_SAME; i++)
        assert_int_equal(glot_merge_find(&t, 7, right[i]), i);
    assert_int_equal(glot_merge_find(&t, GLOT_MAX_TOKEN_ID - 1, GLOT_MAX_TOKEN_ID - 1), N_SAME);
    assert_int_equal(glot_merge_find(&t, 7, right[N_SAME]), GLOT_NO_MERGE);
    for (int32_t id = 0; id < 4096; id++)
        assert_int_equal(glot_merge_find(&t, 8, id), GLOT_NO_MERGE);
    glot_merge_table_release(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_short_and_long_pieces), cmocka_unit_test(test_a_very_long_piece),
        cmocka_unit_test(test_byte_characters),       cmocka_unit_test(test_a_merge_named_twice),
        cmocka_unit_test(test_byte_level_pieces),     cmocka_unit_test(test_full_buckets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
