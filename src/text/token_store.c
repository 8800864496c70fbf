/* token_store.c: opening, checking and reading a token store. */
#include "text/token_store.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/str.h"
#include "text/token_store_layout.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct glot_token_store {
    char *path;
    glot_map map; /* unused where the bytes are the caller's */
    const uint8_t *bytes;
    size_t size;
    const store_footer *footer;
    const int32_t *ids;              /* [footer->n_ids] */
    const store_document *documents; /* [footer->n_documents] */
    glot_store_language *languages;  /* [footer->n_languages] */
    uint64_t *first_documents;       /* [footer->n_languages] */
    char tokenizer_hash[STORE_HASH_DIGITS + 1];
};

#define FAIL_STORE(s, err, status, ...) fail_store(s, err, status, __LINE__, __VA_ARGS__)

static glot_status fail_store(const glot_token_store *s, glot_error *err, glot_status status, int line,
                              const char *format, ...) __attribute__((format(printf, 5, 6)));

static glot_status fail_store(const glot_token_store *s, glot_error *err, glot_status status, int line,
                              const char *format, ...)
{
    char found[512];
    va_list args;
    va_start(args, format);
    vsnprintf(found, sizeof found, format, args);
    va_end(args);
    return glot_error_set(err, status, __FILE__, line, "token store '%s': %s", s->path, found);
}

static bool is_zero(const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (bytes[i])
            return false;
    return true;
}

static bool is_hash(const char *digits)
{
    for (size_t i = 0; i < STORE_HASH_DIGITS; i++)
        if (!strchr("0123456789abcdef", digits[i]) || !digits[i])
            return false;
    return true;
}

static glot_status check_header(const glot_token_store *s, glot_error *err)
{
    const store_header *header = (const store_header *)s->bytes;
    if (s->size < sizeof header->magic || memcmp(header->magic, STORE_MAGIC, sizeof header->magic) != 0)
        return FAIL_STORE(s, err, GLOT_BAD_FORMAT,
                          "does not begin with '" STORE_MAGIC "', so it is no token store");
    if (s->size < sizeof(store_header) + sizeof(store_footer))
        return FAIL_STORE(s, err, GLOT_BAD_FORMAT, "has %zu bytes, fewer than its header and footer (%zu)",
                          s->size, sizeof(store_header) + sizeof(store_footer));
    if (header->version != STORE_VERSION)
        return FAIL_STORE(s, err, GLOT_BAD_VERSION, "has version %" PRIu32 ", expected %d", header->version,
                          STORE_VERSION);
    if (!is_zero(header->zero, sizeof header->zero))
        return FAIL_STORE(s, err, GLOT_BAD_FORMAT, "reserved bytes 12 to 63 of the header are not zero");
    return GLOT_OK;
}

static glot_status check_footer(const glot_token_store *s, glot_error *err)
{
    const store_footer *f = s->footer;
    if (memcmp(f->magic, STORE_END_MAGIC, sizeof f->magic) != 0)
        return FAIL_STORE(s, err, GLOT_BAD_FORMAT,
                          "the footer's mark is missing at byte %zu: truncated or added to",
                          s->size - sizeof(store_footer) + offsetof(store_footer, magic));
    if (f->file_size != s->size)
        return FAIL_STORE(s, err, GLOT_BAD_FORMAT, "the footer says %" PRIu64 " bytes but the file has %zu",
                          f->file_size, s->size);
    if (f->n_languages < 1 || f->n_languages > STORE_MAX_LANGUAGES)
        return FAIL_STORE(s, err, GLOT_BAD_FORMAT, "has %" PRIu32 " languages, expected 1 to %d",
                          f->n_languages, STORE_MAX_LANGUAGES);
    if (f->vocabulary_size < 1 || f->vocabulary_size > INT32_MAX)
        return FAIL_STORE(s, err, GLOT_BAD_FORMAT, "has a vocabulary of %" PRIu32 " ids, expected 1 to %d",
                          f->vocabulary_size, INT32_MAX);
    if (!is_hash(f->tokenizer_hash))
        return FAIL_STORE(s, err, GLOT_BAD_FORMAT, "the tokenizer's hash is not 64 hexadecimal digits");
    if (!is_hash(f->sha256))
        return FAIL_STORE(s, err, GLOT_BAD_FORMAT, "the checksum is not 64 hexadecimal digits");
    return GLOT_OK;
}

/* The sections follow one another without gaps, so the counts decide every offset. */
static glot_status check_sections(const glot_token_store *s, glot_error *err)
{
    const store_footer *f = s->footer;
    uint64_t room = s->size - sizeof(store_header) - sizeof(store_footer);
    if (f->n_ids > room / sizeof(int32_t))
        return FAIL_STORE(s, err, GLOT_BAD_FORMAT, "%" PRIu64 " ids do not fit into %zu bytes", f->n_ids,
                          s->size);
    uint64_t padding = f->n_ids % 2 * sizeof(int32_t);
    uint64_t documents_offset = sizeof(store_header) + f->n_ids * sizeof(int32_t) + padding;
    if (f->documents_offset != documents_offset)
        return FAIL_STORE(s, err, GLOT_BAD_FORMAT,
                          "the documents begin at byte %" PRIu64 ", expected %" PRIu64 " behind %" PRIu64
                          " ids",
                          f->documents_offset, documents_offset, f->n_ids);
    if (f->n_documents > room / sizeof(store_document))
        return FAIL_STORE(s, err, GLOT_BAD_FORMAT, "%" PRIu64 " documents do not fit into %zu bytes",
                          f->n_documents, s->size);
    uint64_t languages_offset = documents_offset + f->n_documents * sizeof(store_document);
    if (f->languages_offset != languages_offset)
        return FAIL_STORE(s, err, GLOT_BAD_FORMAT,
                          "the languages begin at byte %" PRIu64 ", expected %" PRIu64 " behind %" PRIu64
                          " documents",
                          f->languages_offset, languages_offset, f->n_documents);
    uint64_t size = languages_offset + f->n_languages * sizeof(store_language) + sizeof(store_footer);
    if (size != s->size)
        return FAIL_STORE(s, err, GLOT_BAD_FORMAT,
                          "%" PRIu64 " ids, %" PRIu64 " documents and %" PRIu32 " languages make %" PRIu64
                          " bytes but the file has %zu",
                          f->n_ids, f->n_documents, f->n_languages, size, s->size);
    if (!is_zero(s->bytes + documents_offset - padding, padding))
        return FAIL_STORE(s, err, GLOT_BAD_FORMAT, "the bytes between ids and documents are not zero");
    return GLOT_OK;
}

static bool is_name(const char name[64])
{
    size_t length = strnlen(name, 64);
    return length > 0 && length < 64 && glot_utf8_valid_prefix(name, length) == length &&
           is_zero((const uint8_t *)name + length, 64 - length);
}

static glot_status read_language(glot_token_store *s, uint32_t i, const store_language *l, glot_error *err)
{
    glot_store_language *out = &s->languages[i];
    if (!is_name(l->name))
        return FAIL_STORE(s, err, GLOT_BAD_FORMAT,
                          "the name of language %" PRIu32 " is not 1 to 63 bytes of UTF-8 and zero bytes",
                          i + 1);
    for (uint32_t k = 0; k < i; k++)
        if (strcmp(s->languages[k].name, l->name) == 0)
            return FAIL_STORE(s, err, GLOT_BAD_FORMAT, "has the language '%s' twice", l->name);
    if (l->group < 0)
        return FAIL_STORE(s, err, GLOT_BAD_FORMAT,
                          "language '%s' is in group %" PRId32 ", expected 0 or more", l->name, l->group);
    if (l->zero_1 || l->zero_2)
        return FAIL_STORE(s, err, GLOT_BAD_FORMAT, "reserved bytes of language '%s' are not zero", l->name);
    memcpy(out->name, l->name, sizeof out->name);
    out->group = l->group;
    out->n_documents = l->n_documents;
    out->n_tokens = l->n_tokens;
    out->n_bytes = l->n_bytes;
    out->n_words = l->n_words;
    out->n_empty = l->n_empty;
    out->n_bad_lines = l->n_bad_lines;
    return GLOT_OK;
}

static glot_status read_languages(glot_token_store *s, glot_error *err)
{
    const store_language *table = (const store_language *)(s->bytes + s->footer->languages_offset);
    uint64_t first = 0;
    for (uint32_t i = 0; i < s->footer->n_languages; i++) {
        GLOT_TRY(read_language(s, i, &table[i], err));
        if (table[i].n_documents > s->footer->n_documents - first)
            return FAIL_STORE(
                s, err, GLOT_BAD_FORMAT,
                "language '%s' has %" PRIu64 " documents but only %" PRIu64 " of %" PRIu64 " are left",
                table[i].name, table[i].n_documents, s->footer->n_documents - first, s->footer->n_documents);
        s->first_documents[i] = first;
        first += table[i].n_documents;
    }
    if (first != s->footer->n_documents)
        return FAIL_STORE(s, err, GLOT_BAD_FORMAT,
                          "the languages have %" PRIu64 " documents together but the table has %" PRIu64,
                          first, s->footer->n_documents);
    return GLOT_OK;
}

static glot_status check_document(const glot_token_store *s, uint64_t i, uint32_t language, uint64_t first_id,
                                  glot_error *err)
{
    const store_document *d = &s->documents[i];
    if (d->language != language)
        return FAIL_STORE(s, err, GLOT_BAD_FORMAT,
                          "document %" PRIu64 " is of language %" PRIu32 ", expected %" PRIu32 " ('%s')", i,
                          d->language, language, s->languages[language].name);
    if (d->first_id != first_id)
        return FAIL_STORE(s, err, GLOT_BAD_FORMAT,
                          "document %" PRIu64 " begins at id %" PRIu64 ", expected %" PRIu64, i, d->first_id,
                          first_id);
    if (d->n_ids < 1 || d->n_ids > s->footer->n_ids - first_id)
        return FAIL_STORE(s, err, GLOT_BAD_FORMAT,
                          "document %" PRIu64 " has %" PRIu32 " ids, expected 1 to %" PRIu64, i, d->n_ids,
                          s->footer->n_ids - first_id);
    return GLOT_OK;
}

/* All documents of one language; *first_id goes from its first id to the next language's. */
static glot_status check_documents(const glot_token_store *s, uint32_t language, uint64_t *first_id,
                                   glot_error *err)
{
    const glot_store_language *l = &s->languages[language];
    uint64_t n_tokens = 0, n_bytes = 0, n_words = 0;
    for (uint64_t k = 0; k < l->n_documents; k++) {
        uint64_t i = s->first_documents[language] + k;
        GLOT_TRY(check_document(s, i, language, *first_id, err));
        *first_id += s->documents[i].n_ids;
        n_tokens += s->documents[i].n_ids;
        n_bytes += s->documents[i].n_bytes;
        n_words += s->documents[i].n_words;
    }
    if (n_tokens != l->n_tokens || n_bytes != l->n_bytes || n_words != l->n_words)
        return FAIL_STORE(s, err, GLOT_BAD_FORMAT,
                          "language '%s' says %" PRIu64 " tokens, %" PRIu64 " bytes and %" PRIu64
                          " words but its documents have %" PRIu64 ", %" PRIu64 " and %" PRIu64,
                          l->name, l->n_tokens, l->n_bytes, l->n_words, n_tokens, n_bytes, n_words);
    return GLOT_OK;
}

static glot_status read_structure(glot_token_store *s, glot_error *err)
{
    uint64_t first_id = 0;
    GLOT_TRY(check_header(s, err));
    s->footer = (const store_footer *)(s->bytes + s->size - sizeof(store_footer));
    if (s->size % 8 != 0)
        return FAIL_STORE(s, err, GLOT_BAD_FORMAT,
                          "has %zu bytes, expected a multiple of 8: truncated or added to", s->size);
    GLOT_TRY(check_footer(s, err));
    GLOT_TRY(check_sections(s, err));
    s->ids = (const int32_t *)(s->bytes + sizeof(store_header));
    s->documents = (const store_document *)(s->bytes + s->footer->documents_offset);
    memcpy(s->tokenizer_hash, s->footer->tokenizer_hash, STORE_HASH_DIGITS);
    GLOT_TRY(glot_new(&s->languages, s->footer->n_languages, sizeof *s->languages, "languages", err));
    GLOT_TRY(
        glot_new(&s->first_documents, s->footer->n_languages, sizeof *s->first_documents, "languages", err));
    GLOT_TRY(read_languages(s, err));
    for (uint32_t i = 0; i < s->footer->n_languages; i++)
        GLOT_TRY(check_documents(s, i, &first_id, err));
    if (first_id != s->footer->n_ids)
        return FAIL_STORE(s, err, GLOT_BAD_FORMAT,
                          "the documents have %" PRIu64 " ids together but there are %" PRIu64, first_id,
                          s->footer->n_ids);
    return GLOT_OK;
}

static glot_status create_store(glot_token_store **out, const char *path, glot_error *err)
{
    glot_token_store *s = NULL;
    GLOT_TRY(glot_new(&s, 1, sizeof *s, "a token store", err));
    s->path = glot_strdup(path);
    if (!s->path) {
        glot_free(s);
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for a token store");
    }
    *out = s;
    return GLOT_OK;
}

glot_status glot_token_store_parse(glot_token_store **out, const void *bytes, size_t size, const char *path,
                                   glot_error *err)
{
    glot_token_store *s = NULL;
    GLOT_ASSERT((uintptr_t)bytes % 8 == 0);
    GLOT_TRY(create_store(&s, path, err));
    s->bytes = bytes;
    s->size = size;
    glot_status status = read_structure(s, err);
    if (status != GLOT_OK) {
        glot_token_store_close(s);
        return status;
    }
    *out = s;
    return GLOT_OK;
}

glot_status glot_token_store_open(glot_token_store **out, const char *path, glot_error *err)
{
    glot_token_store *s = NULL;
    glot_status status;
    GLOT_TRY(create_store(&s, path, err));
    GLOT_TRY_OUT(glot_map_open(&s->map, path, err));
    s->bytes = s->map.data;
    s->size = s->map.size;
    GLOT_TRY_OUT(read_structure(s, err));
    *out = s;
    return GLOT_OK;
out:
    glot_token_store_close(s);
    return status;
}

void glot_token_store_close(glot_token_store *s)
{
    if (!s)
        return;
    glot_map_close(&s->map);
    glot_free(s->languages);
    glot_free(s->first_documents);
    glot_free(s->path);
    glot_free(s);
}

/* Only a regular file is opened: a writer waiting at a named pipe would take us for its reader and lose its
 * text. */
bool glot_token_store_is_file(const char *path)
{
    struct stat info;
    char magic[8] = {0};
    if (strcmp(path, "-") == 0 || stat(path, &info) != 0 || !S_ISREG(info.st_mode))
        return false;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return false;
    bool is_store = read(file, magic, sizeof magic) == (ssize_t)sizeof magic &&
                    memcmp(magic, STORE_MAGIC, sizeof magic) == 0;
    close(file);
    return is_store;
}

const char *glot_token_store_path(const glot_token_store *s)
{
    return s->path;
}

const char *glot_token_store_tokenizer_hash(const glot_token_store *s)
{
    return s->tokenizer_hash;
}

int32_t glot_token_store_vocabulary_size(const glot_token_store *s)
{
    return (int32_t)s->footer->vocabulary_size;
}

size_t glot_token_store_n_languages(const glot_token_store *s)
{
    return s->footer->n_languages;
}

const glot_store_language *glot_token_store_language(const glot_token_store *s, size_t i)
{
    GLOT_ASSERT(i < s->footer->n_languages);
    return &s->languages[i];
}

glot_status glot_token_store_find_language(const glot_token_store *s, const char *name, size_t *index,
                                           glot_error *err)
{
    glot_str names = {0};
    for (size_t i = 0; i < s->footer->n_languages; i++) {
        if (strcmp(s->languages[i].name, name) == 0) {
            *index = i;
            glot_str_release(&names);
            return GLOT_OK;
        }
        glot_str_printf(&names, "%s'%s'", i ? ", " : "", s->languages[i].name);
    }
    glot_status status = FAIL_STORE(s, err, GLOT_NOT_FOUND, "has no language '%s', only %s", name,
                                    names.data ? names.data : "others");
    glot_str_release(&names);
    return status;
}

glot_status glot_token_store_language_for(const glot_token_store *s, const char *name, size_t *index,
                                          glot_error *err)
{
    if (s->footer->n_languages > 1)
        return glot_token_store_find_language(s, name, index, err);
    *index = 0;
    return GLOT_OK;
}

uint64_t glot_token_store_n_documents(const glot_token_store *s)
{
    return s->footer->n_documents;
}

uint64_t glot_token_store_first_document(const glot_token_store *s, size_t i)
{
    GLOT_ASSERT(i < s->footer->n_languages);
    return s->first_documents[i];
}

glot_document glot_token_store_document(const glot_token_store *s, uint64_t i)
{
    GLOT_ASSERT(i < s->footer->n_documents);
    const store_document *d = &s->documents[i];
    return (glot_document){
        .ids = s->ids + d->first_id,
        .n_ids = d->n_ids,
        .n_bytes = d->n_bytes,
        .n_words = d->n_words,
        .language = (int32_t)d->language,
    };
}

static glot_status verify_checksum(const glot_token_store *s, glot_error *err)
{
    char hex[65];
    glot_sha256 *hash = NULL;
    GLOT_TRY(glot_sha256_create(&hash, err));
    glot_sha256_update(hash, s->bytes, s->size - sizeof s->footer->sha256);
    glot_sha256_finish(hash, hex);
    glot_sha256_free(hash);
    if (memcmp(hex, s->footer->sha256, sizeof s->footer->sha256) != 0)
        return FAIL_STORE(s, err, GLOT_BAD_FORMAT, "the bytes have the SHA-256 %s but the footer says %.64s",
                          hex, s->footer->sha256);
    return GLOT_OK;
}

static glot_status verify_ids(const glot_token_store *s, const glot_document *d, uint64_t document,
                              glot_error *err)
{
    int32_t vocabulary_size = glot_token_store_vocabulary_size(s);
    for (uint32_t i = 0; i < d->n_ids; i++)
        if (d->ids[i] < 0 || d->ids[i] >= vocabulary_size)
            return FAIL_STORE(s, err, GLOT_BAD_VALUE,
                              "id %" PRId32 " at place %" PRIu32 " of document %" PRIu64
                              " is not below the vocabulary's size %" PRId32,
                              d->ids[i], i, document, vocabulary_size);
    return GLOT_OK;
}

/* Ids first: of a store that someone made with wrong ids and a right checksum, and of a damaged one alike,
 * the place of a wrong id says more than a checksum does. */
glot_status glot_token_store_verify(const glot_token_store *s, glot_error *err)
{
    for (uint64_t i = 0; i < s->footer->n_documents; i++) {
        glot_document d = glot_token_store_document(s, i);
        GLOT_TRY(verify_ids(s, &d, i, err));
    }
    return verify_checksum(s, err);
}

glot_status glot_token_store_check_tokenizer(const glot_token_store *s, const glot_tokenizer *t,
                                             glot_error *err)
{
    const char *hash = glot_tokenizer_hash(t);
    if (strcmp(hash, s->tokenizer_hash) != 0)
        return FAIL_STORE(s, err, GLOT_BAD_VALUE, "was made with the tokenizer %.12s..., expected %.12s...",
                          s->tokenizer_hash, hash);
    return GLOT_OK;
}
