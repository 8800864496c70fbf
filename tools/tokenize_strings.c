/* tokenize_strings.c: the other end of tools/check-tokenizers.
 *
 *     tokenize_strings MODEL           reads strings, writes their ids and what the ids decode to
 *     tokenize_strings MODEL --json    writes a tokenizer.json that gives the same ids
 *     tokenize_strings MODEL --time N  reads strings, encodes all of them N times, prints the seconds of the
 * best round
 *
 * A string is a little-endian uint32 and so many bytes; the answer to one is a count and ids, then a size and
 * bytes. The size UINT32_MAX asks for the answers so far.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/memory.h"
#include "text/tokenizer.h"

typedef struct strings {
    char **texts;
    uint32_t *sizes;
    size_t n, text_capacity, size_capacity;
} strings;

static void die(const glot_error *err)
{
    fprintf(stderr, "tokenize_strings: %s\n", err->message);
    exit(3);
}

static void print_warning(void *user, glot_log_level level, const char *message)
{
    (void)user;
    if (level == GLOT_LOG_WARNING)
        fprintf(stderr, "tokenize_strings: warning: %s\n", message);
}

static char *read_string(uint32_t *size)
{
    while (fread(size, sizeof *size, 1, stdin) == 1 && *size == UINT32_MAX)
        fflush(stdout);
    if (feof(stdin))
        return NULL;
    char *text = malloc((size_t)*size + 1);
    if (!text || fread(text, 1, *size, stdin) != *size)
        exit(2);
    return text;
}

static void write_block(const void *data, size_t n, size_t size)
{
    uint32_t count = (uint32_t)n;
    fwrite(&count, sizeof count, 1, stdout);
    fwrite(data, size, n, stdout);
}

static void answer(const glot_tokenizer *t, glot_encoder *e)
{
    glot_error err = {0};
    glot_str decoded = {0};
    uint32_t size;
    for (char *text; (text = read_string(&size)); free(text)) {
        const int32_t *ids;
        size_t n;
        glot_str_reset(&decoded);
        if (glot_encode(e, text, size, &ids, &n, &err) || glot_decode(t, ids, n, false, true, &decoded, &err))
            die(&err);
        write_block(ids, n, sizeof ids[0]);
        write_block(decoded.data, decoded.length, 1);
    }
    glot_str_release(&decoded);
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void time_rounds(glot_encoder *e, int rounds)
{
    glot_error err = {0};
    strings all = {0};
    uint32_t size;
    for (char *text; (text = read_string(&size));) {
        if (glot_grow(&all.texts, &all.text_capacity, all.n + 1, sizeof all.texts[0], "strings", &err) ||
            glot_grow(&all.sizes, &all.size_capacity, all.n + 1, sizeof all.sizes[0], "strings", &err))
            die(&err);
        all.texts[all.n] = text;
        all.sizes[all.n++] = size;
    }
    double best = 1e30;
    size_t n_ids = 0;
    for (int round = 0; round < rounds; round++) {
        double start = seconds();
        n_ids = 0;
        for (size_t i = 0; i < all.n; i++) {
            const int32_t *ids;
            size_t n;
            if (glot_encode(e, all.texts[i], all.sizes[i], &ids, &n, &err))
                die(&err);
            n_ids += n;
        }
        double taken = seconds() - start;
        best = taken < best ? taken : best;
    }
    printf("%.6f %zu\n", best, n_ids);
}

int main(int argc, char **argv)
{
    glot_error err = {0};
    glot_tokenizer *t;
    glot_encoder *e;
    glot_log_set_sink(print_warning, NULL);
    if (argc < 2 || glot_tokenizer_open_model(&t, argv[1], &err) || glot_encoder_create(&e, t, &err))
        die(&err);
    if (argc > 3 && strcmp(argv[2], "--time") == 0) {
        time_rounds(e, atoi(argv[3]));
    } else if (argc > 2) {
        char *json;
        size_t size;
        if (glot_tokenizer_json(t, &json, &size, &err))
            die(&err);
        fwrite(json, 1, size, stdout);
        glot_free(json);
    } else {
        answer(t, e);
    }
    glot_encoder_free(e);
    glot_tokenizer_close(t);
    return ferror(stdout) || fclose(stdout);
}
