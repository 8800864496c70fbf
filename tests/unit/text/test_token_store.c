/* test_token_store.c: building, reading, merging and checking token stores; damaged ones; the document
 * reader. */
#include "text/token_store.h"
#include "text/document_reader.h"
#include "text/token_store_layout.h"
#include "text_util.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static glot_tokenizer *tokenizer;       /* ids are bytes */
static glot_tokenizer *other_tokenizer; /* the same with one more token */

static int set_up(void **state)
{
    if (make_test_dir(state) != 0)
        return -1;
    tokenizer = byte_tokenizer(false);
    other_tokenizer = byte_tokenizer(true);
    return 0;
}

static int tear_down(void **state)
{
    glot_tokenizer_close(tokenizer);
    glot_tokenizer_close(other_tokenizer);
    return remove_test_dir(state);
}

/* ---- helpers ---- */

static glot_status build(const char *name, const glot_store_source *sources, size_t n, int threads,
                         glot_error *err)
{
    glot_corpus_options options = glot_corpus_options_default();
    return glot_token_store_build(in_dir(name), tokenizer, sources, n, &options, threads, err);
}

static void build_from(const char *name, const char *language, int32_t group, const char *const *paths,
                       size_t n_paths)
{
    glot_store_source source = {language, group, paths, n_paths, 0};
    assert_ok(build(name, &source, 1, 1, err));
}

static glot_token_store *open_store(const char *name)
{
    glot_token_store *s = NULL;
    assert_ok(glot_token_store_open(&s, in_dir(name), err));
    return s;
}

static void assert_document(const glot_token_store *s, uint64_t i, int32_t language, const char *text,
                            uint32_t n_words)
{
    glot_document d = glot_token_store_document(s, i);
    assert_int_equal(d.language, language);
    assert_int_equal(d.n_ids, strlen(text));
    assert_int_equal(d.n_bytes, strlen(text));
    assert_int_equal(d.n_words, n_words);
    for (uint32_t k = 0; k < d.n_ids; k++)
        assert_int_equal(d.ids[k], (uint8_t)text[k]);
}

static bool is_same_file(const char *a, const char *b)
{
    char a_hex[65], b_hex[65];
    assert_ok(glot_sha256_file(a_hex, in_dir(a), err));
    assert_ok(glot_sha256_file(b_hex, in_dir(b), err));
    return strcmp(a_hex, b_hex) == 0;
}

/* A store of two languages, "en" (old: two documents) and "el" (group 1: one), under `name`. */
static void build_small(const char *name)
{
    write_text("small.en.txt", "one two\nthree\n");
    write_text("small.el.jsonl", "{\"text\": \"\xCE\xAD\xCE\xBD\xCE\xB1\"}\n{\"text\": \"\"}\n");
    const char *en = in_dir("small.en.txt"), *el = in_dir("small.el.jsonl");
    glot_store_source sources[] = {{"en", 0, &en, 1, 0}, {"el", 1, &el, 1, 0}};
    assert_ok(build(name, sources, 2, 1, err));
}

/* ---- building and reading ---- */

static void test_build_and_read(void **state)
{
    (void)state;
    build_small("small.store");
    assert_true(glot_token_store_is_file(in_dir("small.store")));
    assert_false(glot_token_store_is_file(in_dir("small.en.txt")));
    assert_false(glot_token_store_is_file(in_dir("missing")));
    assert_false(glot_token_store_is_file("-"));
    glot_token_store *s = open_store("small.store");
    assert_int_equal(glot_token_store_n_languages(s), 2);
    assert_int_equal(glot_token_store_n_documents(s), 3);
    assert_int_equal(glot_token_store_vocabulary_size(s), 256);
    assert_string_equal(glot_token_store_tokenizer_hash(s), glot_tokenizer_hash(tokenizer));
    assert_document(s, 0, 0, "one two", 2);
    assert_document(s, 1, 0, "three", 1);
    assert_document(s, 2, 1, "\xCE\xAD\xCE\xBD\xCE\xB1", 1);
    assert_int_equal(glot_token_store_first_document(s, 0), 0);
    assert_int_equal(glot_token_store_first_document(s, 1), 2);
    const glot_store_language *en = glot_token_store_language(s, 0), *el = glot_token_store_language(s, 1);
    assert_string_equal(en->name, "en");
    assert_int_equal(en->group, 0);
    assert_int_equal(en->n_documents, 2);
    assert_int_equal(en->n_tokens, 12);
    assert_int_equal(en->n_bytes, 12);
    assert_int_equal(en->n_words, 3);
    assert_string_equal(el->name, "el");
    assert_int_equal(el->group, 1);
    assert_int_equal(el->n_tokens, 6);
    assert_int_equal(el->n_empty, 1);
    assert_ok(glot_token_store_verify(s, err));
    assert_ok(glot_token_store_check_tokenizer(s, tokenizer, err));
    glot_token_store_close(s);
}

static void test_find_language(void **state)
{
    (void)state;
    size_t index = 9;
    build_small("small.store");
    glot_token_store *s = open_store("small.store");
    assert_ok(glot_token_store_find_language(s, "el", &index, err));
    assert_int_equal(index, 1);
    assert_fails(glot_token_store_language_for(s, "hu", &index, err), GLOT_NOT_FOUND,
                 "small.store': has no language 'hu', only 'en', 'el'");
    assert_fails(glot_token_store_find_language(s, "hu", &index, err), GLOT_NOT_FOUND,
                 "small.store': has no language 'hu', only 'en', 'el'");
    glot_token_store_close(s);
    const char *path = in_dir("small.en.txt");
    build_from("single.store", "english", 0, &path, 1);
    s = open_store("single.store");
    assert_fails(glot_token_store_find_language(s, "en", &index, err), GLOT_NOT_FOUND,
                 "single.store': has no language 'en', only 'english'");
    assert_ok(glot_token_store_language_for(s, "en", &index, err));
    assert_int_equal(index, 0);
    glot_token_store_close(s);
}

/* Enough text for several batches, of documents of very different sizes. */
static void write_much_text(const char *name)
{
    glot_str text = {0};
    uint32_t random = 1;
    for (int i = 0; i < 40000; i++) {
        random = random * 1664525u + 1013904223u;
        uint32_t n = i % 5000 == 77 ? 300000 : 1 + (random >> 16) % 300;
        for (uint32_t k = 0; k < n; k++)
            glot_str_puts(&text, (k + (random >> 8)) % 6 ? "k" : " ");
        glot_str_puts(&text, "\n");
    }
    write_bytes(name, text.data, text.length);
    glot_str_release(&text);
}

static void test_threads_do_not_matter(void **state)
{
    (void)state;
    static const int threads[] = {1, 2, 3, 8, 0};
    static const char *const names[] = {"t1.store", "t2.store", "t3.store", "t8.store", "t0.store"};
    write_much_text("much.txt");
    const char *path = in_dir("much.txt");
    glot_store_source sources[] = {{"a", 0, &path, 1, 0}, {"b", 1, &path, 1, 123456}};
    for (size_t i = 0; i < sizeof threads / sizeof threads[0]; i++) {
        assert_ok(build(names[i], sources, 2, threads[i], err));
        assert_true(is_same_file(names[0], names[i]));
    }
    glot_token_store *s = open_store("t3.store");
    assert_ok(glot_token_store_verify(s, err));
    assert_int_equal(glot_token_store_language(s, 0)->n_documents, 40000);
    glot_token_store_close(s);
}

static void test_max_tokens(void **state)
{
    (void)state;
    static const struct {
        uint64_t max_tokens, n_documents;
    } cases[] = {{1, 1}, {3, 1}, {4, 2}, {6, 2}, {7, 3}, {9, 3}, {1000, 3}, {0, 3}};
    write_text("max.txt", "abc\ndef\nghi\n");
    const char *path = in_dir("max.txt");
    build_from("max.all", "en", 0, &path, 1);
    const char *store = in_dir("max.all");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int from_store = 0; from_store < 2; from_store++) {
            glot_store_source source = {"en", 0, from_store ? &store : &path, 1, cases[i].max_tokens};
            assert_ok(build("max.store", &source, 1, 1, err));
            glot_token_store *s = open_store("max.store");
            assert_int_equal(glot_token_store_n_documents(s), cases[i].n_documents);
            assert_int_equal(glot_token_store_language(s, 0)->n_words, cases[i].n_documents);
            glot_token_store_close(s);
        }
}

/* Text, a store and text again under one language: the documents of all three in that order. */
static void test_stores_are_merged(void **state)
{
    (void)state;
    write_text("m1.txt", "first\n");
    write_text("m2.txt", "second word\nthird\n");
    write_text("m3.jsonl", "{\"text\": \"fourth\"}\n");
    const char *first = in_dir("m1.txt"), *second = in_dir("m2.txt"), *third = in_dir("m3.jsonl");
    const char *texts[] = {first, second, third}, *mixed[] = {first, in_dir("m2.store"), third};
    glot_store_source two[] = {{"other", 0, &first, 1, 0}, {"hu", 3, &second, 1, 0}};
    assert_ok(build("m2.store", two, 2, 1, err));
    build_from("merged.store", "hu", 1, mixed, 3);
    build_from("texts.store", "hu", 1, texts, 3);
    assert_true(is_same_file("merged.store", "texts.store"));
    glot_token_store *s = open_store("merged.store");
    assert_document(s, 1, 0, "second word", 2);
    assert_int_equal(glot_token_store_language(s, 0)->group, 1);
    glot_token_store_close(s);
}

static void test_merge_is_refused(void **state)
{
    (void)state;
    build_small("small.store");
    glot_corpus_options options = glot_corpus_options_default();
    const char *path = in_dir("small.store");
    glot_store_source source = {"en", 0, &path, 1, 0};
    char expected[200];
    snprintf(expected, sizeof expected,
             "small.store': was made with the tokenizer %.12s..., expected %.12s...",
             glot_tokenizer_hash(tokenizer), glot_tokenizer_hash(other_tokenizer));
    assert_fails(glot_token_store_build(in_dir("x.store"), other_tokenizer, &source, 1, &options, 1, err),
                 GLOT_BAD_VALUE, expected);
    source.language = "hu";
    assert_fails(build("x.store", &source, 1, 1, err), GLOT_NOT_FOUND,
                 "has no language 'hu', only 'en', 'el'");
    char *bytes;
    size_t n;
    read_bytes("small.store", &bytes, &n);
    bytes[64 + 1] = 1; /* id 0 becomes 'o' + 256: not in the vocabulary */
    write_bytes("wrong.store", bytes, n);
    glot_free(bytes);
    path = in_dir("wrong.store");
    source.language = "en";
    assert_fails(build("x.store", &source, 1, 1, err), GLOT_BAD_VALUE,
                 "id 367 at place 0 of document 0 is not below the vocabulary's size 256");
    assert_false(glot_path_exists(in_dir("x.store")));
}

static void test_bad_sources(void **state)
{
    (void)state;
    write_text("some.txt", "some\n");
    write_text("none.txt", "\n\n");
    write_text("none.jsonl", "{\"text\": \"\"}\n");
    write_text("bad.txt", "good\n\xFF\n");
    const char *some = in_dir("some.txt"), *none[] = {in_dir("none.txt"), in_dir("none.jsonl")};
    const char *missing = in_dir("missing.*"), *bad = in_dir("bad.txt");
    glot_store_source s[] = {{"en", 0, &some, 1, 0}, {"en", 0, &some, 1, 0}};
    assert_fails(build("x.store", s, 0, 1, err), GLOT_BAD_ARGUMENT,
                 "a token store of 0 languages: expected 1 to 1024");
    assert_fails(build("x.store", s, 2, 1, err), GLOT_BAD_ARGUMENT, "language 'en' is named twice");
    s[1] = (glot_store_source){"el", -1, &some, 1, 0};
    assert_fails(build("x.store", s, 2, 1, err), GLOT_BAD_ARGUMENT,
                 "language 'el' is in group -1, expected 0 or more");
    s[1] = (glot_store_source){"", 0, &some, 1, 0};
    assert_fails(build("x.store", s, 2, 1, err), GLOT_BAD_ARGUMENT, "expected 1 to 63 bytes of UTF-8");
    s[1].language = "a name that is much too long, for it has sixty-four bytes and none less";
    assert_fails(build("x.store", s, 2, 1, err), GLOT_BAD_ARGUMENT, "expected 1 to 63 bytes of UTF-8");
    s[1] = (glot_store_source){"el", 1, none, 2, 0};
    assert_fails(build("x.store", s, 2, 1, err), GLOT_BAD_VALUE, "none.txt, ...)");
    s[1] = (glot_store_source){"el", 1, NULL, 0, 0};
    assert_fails(build("x.store", s, 2, 1, err), GLOT_BAD_VALUE,
                 "language 'el' has no text: no document in 0 files (none)");
    s[1] = (glot_store_source){"el", 1, &missing, 1, 0};
    assert_fails(build("x.store", s, 2, 1, err), GLOT_NOT_FOUND, "no file matches this pattern");
    s[1] = (glot_store_source){"el", 1, &bad, 1, 0};
    assert_fails(build("x.store", s, 2, 1, err), GLOT_BAD_FORMAT, "line 2: byte 1 (0xff) is not UTF-8");
    assert_false(glot_path_exists(in_dir("x.store")));
    glot_corpus_options options = glot_corpus_options_default();
    options.skip_bad_lines = true;
    assert_ok(glot_token_store_build(in_dir("y.store"), tokenizer, s, 2, &options, 1, err));
    glot_token_store *store = open_store("y.store");
    assert_int_equal(glot_token_store_language(store, 1)->n_bad_lines, 1);
    glot_token_store_close(store);
}

static void test_cancelled_build(void **state)
{
    (void)state;
    glot_cancel cancel = {1};
    glot_corpus_options options = glot_corpus_options_default();
    options.cancel = &cancel;
    build_small("small.store");
    const char *paths[] = {in_dir("small.en.txt"), in_dir("small.store")};
    for (int i = 0; i < 2; i++) {
        glot_store_source source = {"en", 0, &paths[i], 1, 0};
        assert_fails(glot_token_store_build(in_dir("c.store"), tokenizer, &source, 1, &options, 1, err),
                     GLOT_CANCELLED, "stopped while reading text");
    }
    assert_false(glot_path_exists(in_dir("c.store")));
}

/* Every allocation and every call that writes fails once: a sentence, and the old store untouched (or the new
 * one whole, where the last call fails, which makes the folder's entry safe). */
static void test_faults_leave_the_old_store(void **state)
{
    (void)state;
    build_small("small.store");
    const char *path = in_dir("small.store"), *text = in_dir("small.en.txt");
    build_from("new.store", "en", 0, (const char *const[]){path, text}, 2);
    for (int kind = 0; kind < 2; kind++) {
        glot_status status = GLOT_NOMEM;
        uint64_t n_new = 0;
        build_small("fault.store");
        for (uint64_t n = 1; status != GLOT_OK; n++) {
            const char *paths[] = {path, text};
            glot_store_source source = {"en", 0, paths, 2, 0};
            glot_error err = {0};
            kind ? glot_file_fail_after(n, ENOSPC) : glot_heap_fail_after(n);
            status = build("fault.store", &source, 1, 1, &err);
            glot_file_fail_after(0, 0);
            glot_heap_fail_after(0);
            if (status != GLOT_OK) {
                assert_int_equal(status, kind ? GLOT_NO_SPACE : GLOT_NOMEM);
                assert_int_equal(err.status, status);
                n_new += is_same_file("new.store", "fault.store");
                assert_true(n_new || is_same_file("small.store", "fault.store"));
            }
            assert_true(n < 200);
        }
        assert_true(n_new <= (kind ? 1 : 0));
        assert_true(is_same_file("new.store", "fault.store"));
    }
}

/* ---- damaged stores ---- */

typedef struct bytes {
    uint8_t *data; /* aligned, exactly `size` bytes long */
    size_t size;
} bytes;

static bytes copy_bytes(const void *data, size_t size)
{
    bytes b = {malloc(size ? size : 1), size};
    memcpy(b.data, data, size);
    return b;
}

static store_footer *footer_of(const bytes *b)
{
    return (store_footer *)(b->data + b->size - sizeof(store_footer));
}

static store_document *document_of(const bytes *b, size_t i)
{
    return (store_document *)(b->data + footer_of(b)->documents_offset) + i;
}

static store_language *language_of(const bytes *b, size_t i)
{
    return (store_language *)(b->data + footer_of(b)->languages_offset) + i;
}

/* The small store has 18 ids of 4 bytes at 64, 3 documents of 24 at 136, 2 languages of 128 at 208 and a
 * footer of 184 at 464: 648 bytes. */
static void spoil_magic(bytes *b)
{
    b->data[3] = 'x';
}
static void spoil_version(bytes *b)
{
    ((store_header *)b->data)->version = 7;
}
static void spoil_reserved(bytes *b)
{
    b->data[40] = 1;
}
static void spoil_end_magic(bytes *b)
{
    footer_of(b)->magic[0] = 's';
}
static void spoil_size(bytes *b)
{
    footer_of(b)->file_size += 8;
}
static void spoil_no_language(bytes *b)
{
    footer_of(b)->n_languages = 0;
}
static void spoil_many_languages(bytes *b)
{
    footer_of(b)->n_languages = UINT32_MAX;
}
static void spoil_one_language(bytes *b)
{
    footer_of(b)->n_languages = 1;
}
static void spoil_vocabulary(bytes *b)
{
    footer_of(b)->vocabulary_size = 0;
}
static void spoil_huge_vocabulary(bytes *b)
{
    footer_of(b)->vocabulary_size = UINT32_MAX;
}
static void spoil_tokenizer_hash(bytes *b)
{
    footer_of(b)->tokenizer_hash[63] = 'G';
}
static void spoil_sha256(bytes *b)
{
    footer_of(b)->sha256[0] = 0;
}
static void spoil_n_ids(bytes *b)
{
    footer_of(b)->n_ids = UINT64_MAX / 4;
}
static void spoil_fewer_ids(bytes *b)
{
    footer_of(b)->n_ids = 16;
}
static void spoil_documents_offset(bytes *b)
{
    footer_of(b)->documents_offset = 200;
}
static void spoil_n_documents(bytes *b)
{
    footer_of(b)->n_documents = UINT64_MAX;
}
static void spoil_fewer_documents(bytes *b)
{
    footer_of(b)->n_documents = 2;
}
static void spoil_languages_offset(bytes *b)
{
    footer_of(b)->languages_offset = UINT64_MAX - 7;
}
static void spoil_empty_name(bytes *b)
{
    memset(language_of(b, 0)->name, 0, 64);
}
static void spoil_endless_name(bytes *b)
{
    memset(language_of(b, 0)->name, 'e', 64);
}
static void spoil_name_tail(bytes *b)
{
    language_of(b, 0)->name[63] = 'e';
}
static void spoil_name_utf8(bytes *b)
{
    language_of(b, 1)->name[1] = (char)0xC3;
}
static void spoil_name_twice(bytes *b)
{
    memcpy(language_of(b, 1)->name, "en", 2);
}
static void spoil_group(bytes *b)
{
    language_of(b, 1)->group = -5;
}
static void spoil_language_reserved(bytes *b)
{
    language_of(b, 1)->zero_2 = 1;
}
static void spoil_language_too_many(bytes *b)
{
    language_of(b, 1)->n_documents = UINT64_MAX;
}
static void spoil_language_too_few(bytes *b)
{
    language_of(b, 1)->n_documents = 0;
}
static void spoil_language_split(bytes *b)
{
    language_of(b, 0)->n_documents = 1, language_of(b, 1)->n_documents = 2;
}
static void spoil_tokens(bytes *b)
{
    language_of(b, 0)->n_tokens = 13;
}
static void spoil_bytes(bytes *b)
{
    document_of(b, 2)->n_bytes = 7;
}
static void spoil_words(bytes *b)
{
    language_of(b, 1)->n_words = 0;
}
static void spoil_document_language(bytes *b)
{
    document_of(b, 1)->language = 1;
}
static void spoil_first_id(bytes *b)
{
    document_of(b, 1)->first_id = UINT64_MAX;
}
static void spoil_empty_document(bytes *b)
{
    document_of(b, 1)->n_ids = 0;
}
static void spoil_endless_document(bytes *b)
{
    document_of(b, 2)->n_ids = UINT32_MAX;
}
static void spoil_last_document(bytes *b)
{
    document_of(b, 2)->n_ids = 5, language_of(b, 1)->n_tokens = 5;
}

typedef struct damage {
    void (*spoil)(bytes *b);
    glot_status status;
    const char *sentence; /* behind "token store 'PATH': " */
} damage;

static const damage damages[] = {
    {spoil_magic, GLOT_BAD_FORMAT, "does not begin with 'GLOTTOKS', so it is no token store"},
    {spoil_version, GLOT_BAD_VERSION, "has version 7, expected 1"},
    {spoil_reserved, GLOT_BAD_FORMAT, "reserved bytes 12 to 63 of the header are not zero"},
    {spoil_end_magic, GLOT_BAD_FORMAT, "the footer's mark is missing at byte 576: truncated or added to"},
    {spoil_size, GLOT_BAD_FORMAT, "the footer says 656 bytes but the file has 648"},
    {spoil_no_language, GLOT_BAD_FORMAT, "has 0 languages, expected 1 to 1024"},
    {spoil_many_languages, GLOT_BAD_FORMAT, "has 4294967295 languages, expected 1 to 1024"},
    {spoil_one_language, GLOT_BAD_FORMAT,
     "18 ids, 3 documents and 1 languages make 520 bytes but the file has 648"},
    {spoil_vocabulary, GLOT_BAD_FORMAT, "has a vocabulary of 0 ids, expected 1 to 2147483647"},
    {spoil_huge_vocabulary, GLOT_BAD_FORMAT, "has a vocabulary of 4294967295 ids, expected 1 to 2147483647"},
    {spoil_tokenizer_hash, GLOT_BAD_FORMAT, "the tokenizer's hash is not 64 hexadecimal digits"},
    {spoil_sha256, GLOT_BAD_FORMAT, "the checksum is not 64 hexadecimal digits"},
    {spoil_n_ids, GLOT_BAD_FORMAT, "4611686018427387903 ids do not fit into 648 bytes"},
    {spoil_fewer_ids, GLOT_BAD_FORMAT, "the documents begin at byte 136, expected 128 behind 16 ids"},
    {spoil_documents_offset, GLOT_BAD_FORMAT, "the documents begin at byte 200, expected 136 behind 18 ids"},
    {spoil_n_documents, GLOT_BAD_FORMAT, "18446744073709551615 documents do not fit into 648 bytes"},
    {spoil_fewer_documents, GLOT_BAD_FORMAT,
     "the languages begin at byte 208, expected 184 behind 2 documents"},
    {spoil_languages_offset, GLOT_BAD_FORMAT,
     "the languages begin at byte 18446744073709551608, expected 208 behind 3 documents"},
    {spoil_empty_name, GLOT_BAD_FORMAT,
     "the name of language 1 is not 1 to 63 bytes of UTF-8 and zero bytes"},
    {spoil_endless_name, GLOT_BAD_FORMAT,
     "the name of language 1 is not 1 to 63 bytes of UTF-8 and zero bytes"},
    {spoil_name_tail, GLOT_BAD_FORMAT, "the name of language 1 is not 1 to 63 bytes of UTF-8 and zero bytes"},
    {spoil_name_utf8, GLOT_BAD_FORMAT, "the name of language 2 is not 1 to 63 bytes of UTF-8 and zero bytes"},
    {spoil_name_twice, GLOT_BAD_FORMAT, "has the language 'en' twice"},
    {spoil_group, GLOT_BAD_FORMAT, "language 'el' is in group -5, expected 0 or more"},
    {spoil_language_reserved, GLOT_BAD_FORMAT, "reserved bytes of language 'el' are not zero"},
    {spoil_language_too_many, GLOT_BAD_FORMAT,
     "language 'el' has 18446744073709551615 documents but only 1 of 3 are left"},
    {spoil_language_too_few, GLOT_BAD_FORMAT, "the languages have 2 documents together but the table has 3"},
    {spoil_language_split, GLOT_BAD_FORMAT,
     "language 'en' says 12 tokens, 12 bytes and 3 words but its documents have 7, 7 and 2"},
    {spoil_tokens, GLOT_BAD_FORMAT,
     "language 'en' says 13 tokens, 12 bytes and 3 words but its documents have 12, 12 and 3"},
    {spoil_bytes, GLOT_BAD_FORMAT,
     "language 'el' says 6 tokens, 6 bytes and 1 words but its documents have 6, 7 and 1"},
    {spoil_words, GLOT_BAD_FORMAT,
     "language 'el' says 6 tokens, 6 bytes and 0 words but its documents have 6, 6 and 1"},
    {spoil_document_language, GLOT_BAD_FORMAT, "document 1 is of language 1, expected 0 ('en')"},
    {spoil_first_id, GLOT_BAD_FORMAT, "document 1 begins at id 18446744073709551615, expected 7"},
    {spoil_empty_document, GLOT_BAD_FORMAT, "document 1 has 0 ids, expected 1 to 11"},
    {spoil_endless_document, GLOT_BAD_FORMAT, "document 2 has 4294967295 ids, expected 1 to 6"},
    {spoil_last_document, GLOT_BAD_FORMAT, "the documents have 17 ids together but there are 18"},
};

static void test_damaged_stores(void **state)
{
    (void)state;
    char *whole, expected[400];
    size_t n;
    build_small("small.store");
    read_bytes("small.store", &whole, &n);
    assert_int_equal(n, 648);
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        glot_token_store *s = NULL;
        bytes b = copy_bytes(whole, n);
        damages[i].spoil(&b);
        write_bytes("damaged.store", b.data, b.size);
        snprintf(expected, sizeof expected, "token store '%.100s': %s", in_dir("damaged.store"),
                 damages[i].sentence);
        assert_fails(glot_token_store_open(&s, in_dir("damaged.store"), err), damages[i].status, expected);
        assert_fails(glot_token_store_parse(&s, b.data, b.size, "memory", err), damages[i].status,
                     damages[i].sentence);
        assert_null(s);
        free(b.data);
    }
    glot_free(whole);
}

/* An odd number of ids leaves four bytes of padding, which must be zero. */
static void test_padding(void **state)
{
    (void)state;
    char *whole;
    size_t n;
    glot_token_store *s = NULL;
    write_text("odd.txt", "odd\n");
    const char *path = in_dir("odd.txt");
    build_from("odd.store", "en", 0, &path, 1);
    read_bytes("odd.store", &whole, &n);
    bytes b = copy_bytes(whole, n);
    assert_ok(glot_token_store_parse(&s, b.data, b.size, "odd", err));
    assert_document(s, 0, 0, "odd", 1);
    glot_token_store_close(s);
    b.data[64 + 12] = 1;
    assert_fails(glot_token_store_parse(&s, b.data, b.size, "odd", err), GLOT_BAD_FORMAT,
                 "the bytes between ids and documents are not zero");
    free(b.data);
    glot_free(whole);
}

static void test_cut_at_every_byte(void **state)
{
    (void)state;
    char *whole;
    size_t n;
    build_small("small.store");
    read_bytes("small.store", &whole, &n);
    for (size_t size = 0; size < n; size++) {
        glot_token_store *s = NULL;
        glot_error err = {0};
        bytes b = copy_bytes(whole, size);
        assert_int_equal(glot_token_store_parse(&s, b.data, size, "cut", &err), GLOT_BAD_FORMAT);
        assert_int_equal(strncmp(err.message, "token store 'cut': ", 19), 0);
        free(b.data);
    }
    for (size_t more = 1; more <= 200; more++) {
        glot_token_store *s = NULL;
        glot_error err = {0};
        bytes b = {calloc(1, n + more), n + more};
        memcpy(b.data, whole, n);
        assert_int_equal(glot_token_store_parse(&s, b.data, b.size, "longer", &err), GLOT_BAD_FORMAT);
        free(b.data);
    }
    glot_free(whole);
}

/* Whatever single bit is flipped: opening or verifying notices. */
static void test_every_bit(void **state)
{
    (void)state;
    char *whole;
    size_t n;
    build_small("small.store");
    read_bytes("small.store", &whole, &n);
    bytes b = copy_bytes(whole, n);
    for (size_t bit = 0; bit < 8 * n; bit++) {
        glot_token_store *s = NULL;
        b.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        glot_status status = glot_token_store_parse(&s, b.data, b.size, "bit", NULL);
        if (status == GLOT_OK)
            status = glot_token_store_verify(s, NULL);
        glot_token_store_close(s);
        if (status == GLOT_OK)
            fail_msg("bit %zu of byte %zu", bit % 8, bit / 8);
        b.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    free(b.data);
    glot_free(whole);
}

static void test_verify(void **state)
{
    (void)state;
    char *whole;
    size_t n;
    glot_token_store *s = NULL;
    build_small("small.store");
    read_bytes("small.store", &whole, &n);
    bytes b = copy_bytes(whole, n);
    int32_t *ids = (int32_t *)(b.data + 64);
    assert_ok(glot_token_store_parse(&s, b.data, b.size, "memory", err));
    ids[8] = -1;
    assert_fails(glot_token_store_verify(s, err), GLOT_BAD_VALUE,
                 "id -1 at place 1 of document 1 is not below the vocabulary's size 256");
    ids[8] = 256;
    assert_fails(glot_token_store_verify(s, err), GLOT_BAD_VALUE,
                 "id 256 at place 1 of document 1 is not below the vocabulary's size 256");
    ids[8] = 255;
    glot_error first = {0};
    assert_int_equal(glot_token_store_verify(s, &first), GLOT_BAD_FORMAT);
    assert_non_null(strstr(first.message, "token store 'memory': the bytes have the SHA-256 "));
    glot_token_store_close(s);
    free(b.data);
    glot_free(whole);
}

static void test_files_that_are_no_store(void **state)
{
    (void)state;
    glot_token_store *s = NULL;
    assert_fails(glot_token_store_open(&s, in_dir("missing"), err), GLOT_NOT_FOUND,
                 "missing': no such file or directory");
    assert_fails(glot_token_store_open(&s, test_dir, err), GLOT_BAD_FORMAT, "is a folder, expected a file");
    write_text("empty", "");
    assert_fails(glot_token_store_open(&s, in_dir("empty"), err), GLOT_BAD_FORMAT,
                 "does not begin with 'GLOTTOKS', so it is no token store");
    write_text("short", "GLOTTOKS");
    assert_fails(glot_token_store_open(&s, in_dir("short"), err), GLOT_BAD_FORMAT,
                 "has 8 bytes, fewer than its header and footer (248)");
    glot_token_store_close(NULL);
}

/* ---- the document reader ---- */

static void assert_reads(const char *language, const char *const *paths, size_t n_paths, uint64_t max_tokens,
                         const char *expected)
{
    glot_corpus_options options = glot_corpus_options_default();
    glot_document_reader *r = NULL;
    glot_document d;
    glot_str all = {0};
    options.skip_bad_lines = true;
    assert_ok(glot_document_reader_open(&r, language, paths, n_paths, tokenizer, &options, max_tokens, err));
    for (;;) {
        assert_ok(glot_document_reader_next(r, &d, err));
        if (!d.ids)
            break;
        assert_int_equal(d.n_ids, d.n_bytes);
        assert_int_equal(d.language, 0);
        for (uint32_t i = 0; i < d.n_ids; i++)
            glot_str_printf(&all, "%c", d.ids[i]);
        glot_str_printf(&all, "/%u ", d.n_words);
    }
    assert_string_equal(all.data ? all.data : "", expected);
    glot_document_reader_close(r);
    glot_str_release(&all);
}

static void test_document_reader(void **state)
{
    (void)state;
    build_small("small.store");
    write_text("r1.txt", "before\n\xFF\n");
    write_text("r2.txt", "be hind\n");
    const char *paths[] = {in_dir("r1.txt"), in_dir("small.store"), in_dir("r[2].txt")};
    assert_reads("en", paths, 3, 0, "before/1 one two/2 three/1 be hind/2 ");
    assert_reads("el", paths, 3, 0, "before/1 \xCE\xAD\xCE\xBD\xCE\xB1/1 be hind/2 ");
    assert_reads("en", paths, 3, 1, "before/1 ");
    assert_reads("en", paths, 3, 6, "before/1 ");
    assert_reads("en", paths, 3, 7, "before/1 one two/2 ");
    assert_reads("en", paths, 3, 14, "before/1 one two/2 three/1 ");
    assert_reads("en", NULL, 0, 0, "");
}

/* A writer that waits at a pipe meets one reader, not first one that only looks whether this is a store. */
static void test_document_reader_on_a_pipe(void **state)
{
    (void)state;
    int status;
    const char *path = in_dir("pipe");
    assert_int_equal(mkfifo(path, 0600), 0);
    pid_t child = fork();
    if (child == 0) {
        int file = open(path, O_WRONLY);
        usleep(20000);
        _exit(write(file, "one\ntwo\n", 8) == 8 ? 0 : 1);
    }
    usleep(20000);
    assert_reads("en", &path, 1, 0, "one/1 two/1 ");
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void test_document_reader_failures(void **state)
{
    (void)state;
    glot_corpus_options options = glot_corpus_options_default();
    glot_document_reader *r = NULL;
    glot_document d;
    build_small("small.store");
    write_text("r1.txt", "before\n\xFF\n");
    const char *store = in_dir("small.store"), *text = in_dir("r1.txt"), *missing = in_dir("none");
    assert_fails(glot_document_reader_open(&r, "en", &missing, 1, tokenizer, &options, 0, err),
                 GLOT_NOT_FOUND, "none': no such file");
    assert_ok(glot_document_reader_open(&r, "en", &store, 1, other_tokenizer, &options, 0, err));
    glot_error first = {0};
    assert_int_equal(glot_document_reader_next(r, &d, &first), GLOT_BAD_VALUE);
    assert_non_null(strstr(first.message, "was made with the tokenizer"));
    glot_document_reader_close(r);
    assert_ok(glot_document_reader_open(&r, "en", &text, 1, tokenizer, &options, 0, err));
    assert_ok(glot_document_reader_next(r, &d, err));
    assert_fails(glot_document_reader_next(r, &d, err), GLOT_BAD_FORMAT,
                 "line 2: byte 1 (0xff) is not UTF-8");
    glot_document_reader_close(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_build_and_read),
        cmocka_unit_test(test_find_language),
        cmocka_unit_test(test_threads_do_not_matter),
        cmocka_unit_test(test_max_tokens),
        cmocka_unit_test(test_stores_are_merged),
        cmocka_unit_test(test_merge_is_refused),
        cmocka_unit_test(test_bad_sources),
        cmocka_unit_test(test_cancelled_build),
        cmocka_unit_test(test_faults_leave_the_old_store),
        cmocka_unit_test(test_damaged_stores),
        cmocka_unit_test(test_padding),
        cmocka_unit_test(test_cut_at_every_byte),
        cmocka_unit_test(test_every_bit),
        cmocka_unit_test(test_verify),
        cmocka_unit_test(test_files_that_are_no_store),
        cmocka_unit_test(test_document_reader),
        cmocka_unit_test(test_document_reader_on_a_pipe),
        cmocka_unit_test(test_document_reader_failures),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
