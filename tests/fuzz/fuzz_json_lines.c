/* fuzz_json_lines.c: any bytes as a text file: plain, gzip or zstd, JSON lines or text, with bad lines
 * refused and skipped.
 *
 * links: text
 */
#include "text/corpus.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST_BYTES = 16 << 20 }; /* of text: a few bytes of gzip may hold gigabytes */

typedef struct counts {
    uint64_t documents, bytes, bad_lines;
    glot_status status;
} counts;

static counts read_documents(const char *path, bool skip_bad_lines)
{
    counts all = {0};
    glot_corpus *c = NULL;
    glot_corpus_options options = glot_corpus_options_default();
    glot_error err = {0};
    const char *text = "";
    size_t n;
    options.skip_bad_lines = skip_bad_lines;
    GLOT_ASSERT(glot_corpus_open(&c, &path, 1, &options, &err) == GLOT_OK);
    while (all.status == GLOT_OK && text && all.bytes < MOST_BYTES) {
        all.status = glot_corpus_next(c, &text, &n, &err);
        if (all.status != GLOT_OK || !text)
            break;
        GLOT_ASSERT(n > 0 && glot_utf8_valid_prefix(text, n) == n);
        all.documents++;
        all.bytes += n;
    }
    GLOT_ASSERT(all.status == GLOT_OK || err.message[0] != '\0');
    all.bad_lines = glot_corpus_bad_lines(c);
    glot_corpus_close(c);
    return all;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    int file = memfd_create("fuzz", MFD_CLOEXEC);
    GLOT_ASSERT(file >= 0 && write(file, data, size) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    counts strict = read_documents(path, false), lenient = read_documents(path, true);
    GLOT_ASSERT(strict.bad_lines == 0);
    GLOT_ASSERT(strict.status != GLOT_OK || lenient.status == GLOT_OK);
    GLOT_ASSERT(strict.status != GLOT_OK || lenient.documents == strict.documents);
    GLOT_ASSERT(lenient.documents >= strict.documents);
    close(file);
    return 0;
}
