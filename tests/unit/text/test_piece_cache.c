/* The cache of pieces: what is kept is found, nothing else is, and a full cache starts again. */
#include "tokenizer_util.h"

#include "text/piece_cache.h"

static uint64_t make_piece(char piece[32], size_t *size, int i)
{
    *size = (size_t)snprintf(piece, 32, "%.*spiece %d", i % 13, "a long start", i);
    return glot_hash_bytes(piece, *size);
}

static bool holds(const glot_piece_cache *c, int i, bool is_part)
{
    char piece[32];
    size_t size;
    uint64_t hash = make_piece(piece, &size, i);
    const glot_cached_piece *p = glot_piece_cache_find(c, hash, is_part, piece, size);
    if (p && (p->n_ids != 1 + i % 3 || p->data[0] != i || p->data[i % 3] != i + i % 3))
        fail_msg("piece %d has other ids", i);
    return p != NULL;
}

static void test_pieces(void **state)
{
    (void)state;
    enum { N = 200000 };
    glot_piece_cache c = {0};
    assert_int_equal(glot_piece_cache_open(&c, NULL), GLOT_OK);
    size_t most = 0;
    for (int i = 0; i < N; i++) {
        char piece[32];
        size_t size, n = c.n;
        uint64_t hash = make_piece(piece, &size, i);
        assert_false(holds(&c, i, false));
        glot_piece_cache_keep(&c, hash, false, piece, size, (const int32_t[]){i, i + 1, i + 2},
                              1 + (size_t)i % 3);
        assert_true(holds(&c, i, false));
        assert_false(holds(&c, i, true));
        assert_true(c.n == 1 || holds(&c, i - 1, false));
        assert_true(c.n == n + 1 || c.n == 1);
        most = c.n > most ? c.n : most;
    }
    assert_true(most < N && c.n < most);
    assert_false(holds(&c, 0, false));
    glot_piece_cache_close(&c);
}

/* Two pieces of one hash are two pieces. */
static void test_one_hash(void **state)
{
    (void)state;
    glot_piece_cache c = {0};
    assert_int_equal(glot_piece_cache_open(&c, NULL), GLOT_OK);
    const int32_t ids[GLOT_PIECE_CACHE_MAX] = {1, 2, 3};
    const char piece[GLOT_PIECE_CACHE_MAX] = "abc";
    glot_piece_cache_keep(&c, UINT64_MAX, false, piece, 2, ids, 1);
    assert_null(glot_piece_cache_find(&c, UINT64_MAX, false, piece + 1, 2));
    assert_null(glot_piece_cache_find(&c, UINT64_MAX, false, piece, 3));
    glot_piece_cache_keep(&c, UINT64_MAX, false, piece, sizeof piece, ids, GLOT_PIECE_CACHE_MAX);
    assert_int_equal(glot_piece_cache_find(&c, UINT64_MAX, false, piece, sizeof piece)->n_ids,
                     GLOT_PIECE_CACHE_MAX);
    assert_int_equal(glot_piece_cache_find(&c, UINT64_MAX, false, piece, 2)->n_ids, 1);
    glot_piece_cache_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pieces), cmocka_unit_test(test_one_hash)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
