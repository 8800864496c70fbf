/* test_corpus.c: file patterns, lines out of plain, gzip and zstd files, documents out of lines. */
#include "text/corpus.h"
#include "text_util.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

/* ---- helpers ---- */

/* `text` as one gzip member or zstd frame, appended to out. */
static void append_gzip(glot_str *out, const char *text, size_t n)
{
    z_stream z = {0};
    uint8_t packed[4096];
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (uint8_t *)(uintptr_t)text;
    z.avail_in = (uInt)n;
    int code;
    do {
        z.next_out = packed;
        z.avail_out = sizeof packed;
        code = deflate(&z, Z_FINISH);
        glot_str_append(out, packed, sizeof packed - z.avail_out);
    } while (code == Z_OK);
    assert_int_equal(code, Z_STREAM_END);
    deflateEnd(&z);
}

static void append_zstd(glot_str *out, const char *text, size_t n)
{
    size_t bound = ZSTD_compressBound(n);
    void *packed = malloc(bound);
    size_t size = ZSTD_compress(packed, bound, text, n, 3);
    assert_false(ZSTD_isError(size));
    glot_str_append(out, packed, size);
    free(packed);
}

typedef void append_packed(glot_str *out, const char *text, size_t n);

static void write_packed(const char *name, append_packed *pack, const char *text, size_t n)
{
    glot_str packed = {0};
    pack(&packed, text, n);
    write_bytes(name, packed.data, packed.length);
    glot_str_release(&packed);
}

/* All lines of a file as one text, each in brackets. */
static void assert_lines(const char *path, const char *expected)
{
    glot_lines *l = NULL;
    glot_str all = {0};
    const char *line;
    size_t size;
    uint64_t n = 0;
    assert_ok(glot_lines_open(&l, path, err));
    for (;;) {
        assert_ok(glot_lines_next(l, &line, &size, err));
        if (!line)
            break;
        assert_int_equal(glot_lines_number(l), ++n);
        assert_int_equal(line[size], 0);
        glot_str_puts(&all, "[");
        glot_str_append(&all, line, size);
        glot_str_puts(&all, "]");
    }
    assert_string_equal(all.data ? all.data : "", expected);
    glot_lines_close(l);
    glot_str_release(&all);
}

static glot_status read_corpus(const char *const *paths, size_t n_paths, const glot_corpus_options *options,
                               glot_str *all, uint64_t *n_bad, uint64_t *n_empty, glot_error *err)
{
    glot_corpus *c = NULL;
    const char *text;
    size_t size;
    GLOT_TRY(glot_corpus_open(&c, paths, n_paths, options, err));
    glot_status status;
    while ((status = glot_corpus_next(c, &text, &size, err)) == GLOT_OK && text) {
        glot_str_puts(all, "[");
        glot_str_append(all, text, size);
        glot_str_puts(all, "]");
    }
    *n_bad = glot_corpus_bad_lines(c);
    *n_empty = glot_corpus_empty(c);
    glot_corpus_close(c);
    return status;
}

static void assert_documents(const char *name, const char *content, const char *expected,
                             uint64_t expected_empty)
{
    glot_corpus_options options = glot_corpus_options_default();
    glot_str all = {0};
    uint64_t n_bad, n_empty;
    write_text(name, content);
    const char *path = in_dir(name);
    assert_ok(read_corpus(&path, 1, &options, &all, &n_bad, &n_empty, err));
    assert_string_equal(all.data ? all.data : "", expected);
    assert_int_equal(n_bad, 0);
    assert_int_equal(n_empty, expected_empty);
    glot_str_release(&all);
}

/* The file is refused with a sentence that begins with its name; with skip_bad_lines its other documents are
 * read and the bad line is counted. */
static void assert_bad_line(const char *name, const char *content, const char *ending, const char *others)
{
    glot_corpus_options options = glot_corpus_options_default();
    glot_str all = {0};
    uint64_t n_bad, n_empty;
    write_text(name, content);
    const char *path = in_dir(name);
    glot_error first = {0};
    assert_int_equal(read_corpus(&path, 1, &options, &all, &n_bad, &n_empty, &first), GLOT_BAD_FORMAT);
    assert_int_equal(first.message[0], '\'');
    assert_memory_equal(first.message + 1, path, strlen(path));
    assert_sentence(first.message, ending);
    glot_str_reset(&all);
    options.skip_bad_lines = true;
    assert_ok(read_corpus(&path, 1, &options, &all, &n_bad, &n_empty, err));
    assert_string_equal(all.data ? all.data : "", others);
    assert_int_equal(n_bad, 1);
    glot_str_release(&all);
}

/* ---- patterns ---- */

static void assert_expands(const char *const *patterns, size_t n_patterns, const char *const *names, size_t n)
{
    char **paths = NULL;
    size_t n_paths = 0;
    assert_ok(glot_paths_expand(&paths, &n_paths, patterns, n_patterns, err));
    assert_int_equal(n_paths, n);
    for (size_t i = 0; i < n; i++)
        assert_string_equal(paths[i], names[i]);
    glot_paths_free(paths, n_paths);
}

static void test_patterns(void **state)
{
    (void)state;
    static const char *const made[] = {"p.b.txt", "p.a.txt", "p.10.txt", "p.2.txt", "p[1].txt", "q.txt"};
    for (size_t i = 0; i < sizeof made / sizeof made[0]; i++)
        write_text(made[i], "");
    const char *patterns[] = {in_dir("q.txt"), in_dir("p.[ab0-9]*.txt"), "-"};
    const char *names[] = {in_dir("q.txt"),   in_dir("p.10.txt"), in_dir("p.2.txt"),
                           in_dir("p.a.txt"), in_dir("p.b.txt"),  "-"};
    assert_expands(patterns, 3, names, 6);
    const char *literal[] = {in_dir("p[1].txt")};
    assert_expands(literal, 1, literal, 1);
    assert_expands(NULL, 0, NULL, 0);
}

static void test_patterns_without_a_file(void **state)
{
    (void)state;
    char **paths = NULL;
    size_t n = 0;
    const char *pattern = in_dir("none.*"), *name = in_dir("none.txt");
    assert_fails(glot_paths_expand(&paths, &n, &pattern, 1, err), GLOT_NOT_FOUND,
                 "none.*': no file matches this pattern");
    assert_fails(glot_paths_expand(&paths, &n, &name, 1, err), GLOT_NOT_FOUND, "none.txt': no such file");
    assert_null(paths);
}

/* ---- lines ---- */

static void test_lines(void **state)
{
    (void)state;
    static const struct {
        const char *content, *lines;
    } cases[] = {
        {"", ""},
        {"\n", "[]"},
        {"one", "[one]"},
        {"one\n", "[one]"},
        {"one\ntwo", "[one][two]"},
        {"\n\none\n\n", "[][][one][]"},
        {"one\r\ntwo\r\n", "[one\r][two\r]"},
        {"\xEF\xBB\xBFone\n", "[\xEF\xBB\xBFone]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t n = strlen(cases[i].content);
        write_text("lines", cases[i].content);
        assert_lines(in_dir("lines"), cases[i].lines);
        write_packed("lines.txt", append_gzip, cases[i].content, n);
        assert_lines(in_dir("lines.txt"), cases[i].lines);
        write_packed("lines.txt", append_zstd, cases[i].content, n);
        assert_lines(in_dir("lines.txt"), cases[i].lines);
    }
}

static void test_members_and_frames(void **state)
{
    (void)state;
    glot_str gzip = {0}, zstd = {0};
    append_gzip(&gzip, "one\nt", 5);
    append_gzip(&gzip, "", 0);
    append_gzip(&gzip, "wo\n", 3);
    glot_str_append(&gzip, "\0\0\0\0\0", 5); /* padding, as a tape's last block has it */
    write_bytes("members", gzip.data, gzip.length);
    assert_lines(in_dir("members"), "[one][two]");

    glot_str_append(&zstd, "\x53\x2A\x4D\x18\x03\0\0\0abc", 11); /* a skippable frame of three bytes */
    append_zstd(&zstd, "one\nt", 5);
    append_zstd(&zstd, "", 0);
    append_zstd(&zstd, "wo\n", 3);
    glot_str_append(&zstd, "\x50\x2A\x4D\x18\0\0\0\0", 8);
    write_bytes("frames", zstd.data, zstd.length);
    assert_lines(in_dir("frames"), "[one][two]");
    glot_str_release(&gzip);
    glot_str_release(&zstd);
}

/* Lines of 1 byte to 20 MB, so that every buffer has its edge inside one. */
static void long_lines(append_packed *pack)
{
    static const size_t sizes[] = {1, 131071, 131072, 131073, 262143, 262144, 3, 1000003, 20 << 20, 5};
    size_t n_sizes = sizeof sizes / sizeof sizes[0], size;
    glot_str text = {0};
    for (size_t i = 0; i < n_sizes; i++) {
        for (size_t k = 0; k < sizes[i]; k++) {
            char byte = (char)('a' + (k * 7 + k / 251 + i) % 26);
            glot_str_append(&text, &byte, 1);
        }
        glot_str_puts(&text, "\n");
    }
    if (pack)
        write_packed("long", pack, text.data, text.length);
    else
        write_bytes("long", text.data, text.length);
    glot_lines *l = NULL;
    const char *line, *expected = text.data;
    assert_ok(glot_lines_open(&l, in_dir("long"), err));
    for (size_t i = 0; i < n_sizes; i++) {
        assert_ok(glot_lines_next(l, &line, &size, err));
        assert_non_null(line);
        assert_int_equal(size, sizes[i]);
        assert_true(memcmp(line, expected, size) == 0);
        expected += size + 1;
    }
    assert_ok(glot_lines_next(l, &line, &size, err));
    assert_null(line);
    glot_lines_close(l);
    glot_str_release(&text);
}

static void test_long_lines(void **state)
{
    (void)state;
    long_lines(NULL);
    long_lines(append_gzip);
    long_lines(append_zstd);
}

/* Reads to the end; the status that stops it. */
static glot_status drain(const char *path, uint64_t *n, glot_error *err)
{
    glot_lines *l = NULL;
    const char *line = "";
    size_t size;
    *n = 0;
    GLOT_TRY(glot_lines_open(&l, path, err));
    glot_status status = GLOT_OK;
    while (status == GLOT_OK && line) {
        status = glot_lines_next(l, &line, &size, err);
        *n += status == GLOT_OK && line != NULL;
    }
    glot_lines_close(l);
    return status;
}

/* Cut short at every byte: never a shorter text, always a sentence (but for the first bytes, which are no
 * longer recognised as compressed, and the empty file). */
static void cut_everywhere(append_packed *pack, size_t magic, const char *format)
{
    glot_str packed = {0};
    char expected[100];
    uint64_t n;
    pack(&packed, "one\ntwo\nthree\nfour four four four\n", 34);
    for (size_t size = magic; size < packed.length; size++) {
        write_bytes("cut", packed.data, size);
        snprintf(expected, sizeof expected, "at byte %zu: the file is truncated", size);
        assert_fails(drain(in_dir("cut"), &n, err), GLOT_BAD_FORMAT, expected);
        glot_error first = {0};
        drain(in_dir("cut"), &n, &first);
        assert_non_null(strstr(first.message, format));
    }
    write_bytes("cut", packed.data, packed.length);
    assert_ok(drain(in_dir("cut"), &n, err));
    assert_int_equal(n, 4);
    glot_str_release(&packed);
}

static void test_truncated_files(void **state)
{
    (void)state;
    cut_everywhere(append_gzip, 2, "the gzip data stops inside a member");
    cut_everywhere(append_zstd, 4, "the zstd data stops inside a frame");
}

static void test_damaged_files(void **state)
{
    (void)state;
    uint64_t n;
    glot_str packed = {0};
    append_gzip(&packed, "one\n", 4);
    packed.data[packed.length - 8] ^= 1; /* the check sum */
    write_bytes("damaged", packed.data, packed.length);
    assert_fails(drain(in_dir("damaged"), &n, err), GLOT_BAD_FORMAT, "incorrect data check");
    packed.data[packed.length - 8] ^= 1;
    glot_str_puts(&packed, "garbage");
    write_bytes("damaged", packed.data, packed.length);
    assert_fails(drain(in_dir("damaged"), &n, err), GLOT_BAD_FORMAT, "incorrect header check");
    glot_str_reset(&packed);
    append_zstd(&packed, "one\n", 4);
    glot_str_puts(&packed, "garbage");
    write_bytes("damaged", packed.data, packed.length);
    assert_fails(drain(in_dir("damaged"), &n, err), GLOT_BAD_FORMAT, "Unknown frame descriptor");
    glot_str_release(&packed);
    assert_fails(drain(in_dir("missing"), &n, err), GLOT_NOT_FOUND, "missing': no such file or directory");
    assert_fails(drain(test_dir, &n, err), GLOT_BAD_FORMAT, "is a folder, expected a file");
}

static void test_place_of_damage(void **state)
{
    (void)state;
    glot_str packed = {0};
    char expected[700];
    uint64_t n;
    append_gzip(&packed, "one\ntwo\n", 8);
    append_gzip(&packed, "three\n", 6);
    write_bytes("place", packed.data, packed.length - 1);
    snprintf(expected, sizeof expected,
             "'%.500s' after line 3: the gzip data stops inside a member at byte %zu: the file is truncated",
             in_dir("place"), packed.length - 1);
    assert_fails(drain(in_dir("place"), &n, err), GLOT_BAD_FORMAT, expected);
    glot_str_release(&packed);
}

/* Standard input, and pipes by name: a compressed one that comes in small pieces. */
static void test_standard_input(void **state)
{
    (void)state;
    int ends[2], saved = dup(STDIN_FILENO);
    glot_str packed = {0};
    append_zstd(&packed, "{\"text\": \"one\"}\n{\"text\": \"two\"}\n", 32);
    assert_int_equal(pipe(ends), 0);
    dup2(ends[0], STDIN_FILENO);
    close(ends[0]);
    pid_t child = fork();
    if (child == 0) {
        for (size_t i = 0; i < packed.length; i++) {
            if (write(ends[1], packed.data + i, 1) != 1)
                _exit(1);
            usleep(i < 8 ? 2000 : 0); /* the first bytes, which tell the kind, one at a time */
        }
        _exit(0);
    }
    close(ends[1]);
    glot_corpus_options options = glot_corpus_options_default();
    glot_str all = {0};
    uint64_t n_bad, n_empty;
    const char *path = "-";
    assert_ok(read_corpus(&path, 1, &options, &all, &n_bad, &n_empty, err));
    assert_string_equal(all.data, "[one][two]");
    dup2(saved, STDIN_FILENO);
    close(saved);
    glot_str_release(&packed);
    glot_str_release(&all);
}

/* ---- documents ---- */

static void test_documents(void **state)
{
    (void)state;
    assert_documents("d.txt", "one\n\n two \r\n\r\nthree", "[one][ two ][three]", 0);
    assert_documents("d.txt", "\xEF\xBB\xBFone\n\xEF\xBB\xBFtwo\n", "[one][\xEF\xBB\xBFtwo]", 0);
    assert_documents("d.txt", "{\"text\": \"one\"}\n", "[{\"text\": \"one\"}]", 0);
    assert_documents("d.jsonl", "{\"text\": \"one\"}\r\n\n{\"src\": 1, \"text\": \"t\\nw\\u03bf\"}\n  \n",
                     "[one][t\nw\xCE\xBF]", 0);
    assert_documents("d.jsonl", "\xEF\xBB\xBF{\"text\": \"one\"}\n{\"text\": \"\"}\n", "[one]", 1);
    assert_documents("d.jsonl", "{\"n\": 123456789012345678901234567890, \"text\": \"one\"}", "[one]", 0);
    assert_documents("d", "{\"text\": \"one\"}\n{\"text\": \"two\"}\n", "[one][two]", 0);
    assert_documents("d.dev", "one {\n{two}\n", "[one {][{two}]", 0);
    assert_documents("d.jsonl", "", "", 0);
}

static void test_zero_bytes(void **state)
{
    (void)state;
    static const char json[] = "{\"text\": \"a\\u0000b\"}\n", text[] = "a\0b\n";
    glot_corpus_options options = glot_corpus_options_default();
    const char *paths[] = {in_dir("zero.jsonl"), in_dir("zero.txt")}, *got;
    glot_corpus *c = NULL;
    size_t size;
    write_bytes("zero.jsonl", json, sizeof json - 1);
    write_bytes("zero.txt", text, sizeof text - 1);
    assert_ok(glot_corpus_open(&c, paths, 2, &options, err));
    for (int i = 0; i < 2; i++) {
        assert_ok(glot_corpus_next(c, &got, &size, err));
        assert_int_equal(size, 3);
        assert_memory_equal(got, "a\0b", 3);
    }
    glot_corpus_close(c);
}

static void test_kind_behind_compression(void **state)
{
    (void)state;
    glot_corpus_options options = glot_corpus_options_default();
    glot_str all = {0};
    uint64_t n_bad, n_empty;
    write_packed("k.jsonl.gz", append_gzip, "{\"text\": \"one\"}", 15);
    write_packed("k.txt.zst", append_zstd, "{\"text\": \"two\"}", 15);
    write_packed("k.jsonl.zst", append_gzip, "{\"text\": \"three\"}",
                 17); /* the name lies: content decides */
    const char *paths[] = {in_dir("k.jsonl.gz"), in_dir("k.txt.zst"), in_dir("k.jsonl.zst")};
    assert_ok(read_corpus(paths, 3, &options, &all, &n_bad, &n_empty, err));
    assert_string_equal(all.data, "[one][{\"text\": \"two\"}][three]");
    glot_str_release(&all);
}

static void test_text_key(void **state)
{
    (void)state;
    glot_corpus_options options = glot_corpus_options_default();
    glot_str all = {0};
    uint64_t n_bad, n_empty;
    options.text_key = "content";
    write_text("key.jsonl", "{\"text\": \"no\", \"content\": \"yes\"}\n");
    const char *path = in_dir("key.jsonl");
    assert_ok(read_corpus(&path, 1, &options, &all, &n_bad, &n_empty, err));
    assert_string_equal(all.data, "[yes]");
    glot_str_release(&all);
}

static void test_bad_lines(void **state)
{
    (void)state;
    assert_bad_line("b.jsonl", "{\"text\": \"one\"}\nnonsense\n{\"text\": \"two\"}\n",
                    "b.jsonl' line 2: not JSON at column 8: '[' or '{' expected near 'nonsense'",
                    "[one][two]");
    assert_bad_line("b.jsonl", "{\"text\": \"on",
                    "line 1: not JSON at column 12: premature end of input near '\"on'", "");
    assert_bad_line("b.jsonl", "{\"text\": \"one\"} {}\n",
                    "line 1: not JSON at column 17: end of file expected near '{'", "");
    assert_bad_line("b.jsonl", "{\"text\": \"a\", \"text\": \"b\"}\n",
                    "line 1: not JSON at column 20: duplicate object key near '\"text\"'", "");
    assert_bad_line("b.jsonl", "\n{\"txt\": \"one\"}\n", "line 2: the key 'text' is missing", "");
    assert_bad_line("b.jsonl", "{\"text\": 5}\n", "line 1: the key 'text' holds a number, expected a string",
                    "");
    assert_bad_line("b.jsonl", "{\"text\": null}\n", "line 1: the key 'text' holds null, expected a string",
                    "");
    assert_bad_line("b.jsonl", "{\"text\": [\"a\"]}\n",
                    "line 1: the key 'text' holds a list, expected a string", "");
    assert_bad_line("b.jsonl", "{\"text\": true}\n", "the key 'text' holds a truth value, expected a string",
                    "");
    assert_bad_line("b.jsonl", "[\"one\"]\n", "line 1: a list, expected an object with the key 'text'", "");
    assert_bad_line("b.jsonl", "{\"text\": \"\\ud800\"}\n",
                    "line 1: not JSON at column 17: invalid Unicode '\\uD800' near '\"\\ud800\"'", "");
    assert_bad_line("b.jsonl", "{\"text\": \"ab\xFF\"}\n", "line 1: byte 13 (0xff) is not UTF-8", "");
    assert_bad_line("b.txt", "one\n\ntw\xC3(o\nthree\n", "b.txt' line 3: byte 3 (0xc3) is not UTF-8",
                    "[one][three]");
    assert_bad_line("b.txt", "one\n\xED\xA0\x80\n", "line 2: byte 1 (0xed) is not UTF-8", "[one]");
}

/* The sentence quotes the line and must stay UTF-8 wherever the quotation ends. */
static void test_sentence_is_utf8(void **state)
{
    (void)state;
    glot_corpus_options options = glot_corpus_options_default();
    glot_str text = {0}, all = {0};
    uint64_t n_bad, n_empty;
    for (size_t shift = 0; shift < 4; shift++) {
        glot_str_reset(&text);
        glot_str_printf(&text, "%.*s{\"text\": \"one\" ", (int)shift, "    ");
        for (int i = 0; i < 200; i++)
            glot_str_puts(&text, "\xE0\xA6\xAC");
        write_text("quoted.jsonl", text.data);
        const char *path = in_dir("quoted.jsonl");
        glot_error first = {0};
        assert_int_equal(read_corpus(&path, 1, &options, &all, &n_bad, &n_empty, &first), GLOT_BAD_FORMAT);
        assert_int_equal(glot_utf8_valid_prefix(first.message, strlen(first.message)), strlen(first.message));
    }
    glot_str_release(&text);
    glot_str_release(&all);
}

/* A damaged file is never a bad line that may be skipped. */
static void test_truncation_is_not_skipped(void **state)
{
    (void)state;
    glot_corpus_options options = glot_corpus_options_default();
    glot_str all = {0}, packed = {0};
    uint64_t n_bad, n_empty;
    options.skip_bad_lines = true;
    append_gzip(&packed, "one\ntwo\n", 8);
    write_bytes("skip.txt", packed.data, packed.length - 3);
    const char *path = in_dir("skip.txt");
    assert_fails(read_corpus(&path, 1, &options, &all, &n_bad, &n_empty, err), GLOT_BAD_FORMAT,
                 "the file is truncated");
    glot_str_release(&all);
    glot_str_release(&packed);
}

static void test_cancelled(void **state)
{
    (void)state;
    glot_cancel cancel = {0};
    glot_corpus_options options = glot_corpus_options_default();
    glot_corpus *c = NULL;
    const char *path = in_dir("cancel.txt"), *text;
    size_t size;
    options.cancel = &cancel;
    write_text("cancel.txt", "one\ntwo\n");
    path = in_dir("cancel.txt");
    assert_ok(glot_corpus_open(&c, &path, 1, &options, err));
    assert_ok(glot_corpus_next(c, &text, &size, err));
    cancel.requested = 1;
    assert_fails(glot_corpus_next(c, &text, &size, err), GLOT_CANCELLED, "stopped while reading text");
    glot_corpus_close(c);
}

/* Every allocation fails once: a status, no leak, no crash. */
static void test_out_of_memory(void **state)
{
    (void)state;
    glot_corpus_options options = glot_corpus_options_default();
    glot_status status = GLOT_NOMEM;
    write_packed("memory.jsonl", append_gzip, "{\"text\": \"one\"}\n", 16);
    const char *path = in_dir("memory.jsonl");
    for (uint64_t n = 1; status != GLOT_OK; n++) {
        glot_corpus *c = NULL;
        const char *text;
        size_t size;
        glot_error err = {0};
        glot_heap_fail_after(n);
        status = glot_corpus_open(&c, &path, 1, &options, &err);
        while (status == GLOT_OK && (status = glot_corpus_next(c, &text, &size, &err)) == GLOT_OK && text)
            continue;
        glot_heap_fail_after(0);
        glot_corpus_close(c);
        if (status != GLOT_OK) {
            assert_int_equal(status, GLOT_NOMEM);
            assert_true(err.message[0] != '\0');
        }
        assert_true(n < 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_patterns_without_a_file),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_members_and_frames),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_truncated_files),
        cmocka_unit_test(test_damaged_files),
        cmocka_unit_test(test_place_of_damage),
        cmocka_unit_test(test_standard_input),
        cmocka_unit_test(test_documents),
        cmocka_unit_test(test_zero_bytes),
        cmocka_unit_test(test_kind_behind_compression),
        cmocka_unit_test(test_text_key),
        cmocka_unit_test(test_bad_lines),
        cmocka_unit_test(test_sentence_is_utf8),
        cmocka_unit_test(test_truncation_is_not_skipped),
        cmocka_unit_test(test_cancelled),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, make_test_dir, remove_test_dir);
}
