/* replay.c
 *
 * Runs a fuzz target without a fuzzer: on every file of a corpus folder, on each of them cut short and with bytes changed (the same
 * changes on every run), and on no bytes at all. A finding of the fuzzer that is put into the corpus stays a test for ever.
 *
 * Every input is handed over in a block of exactly its size, so that AddressSanitizer sees the first byte read behind it.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MUTATIONS = 200, MUTATION_BYTES = 4 << 20 /* per file: large files get fewer mutations */ };

static size_t n_inputs;
static uint64_t random_state = 1;

/* xorshift64: any spread will do here. */
static size_t random_below(size_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (size_t)(random_state % n);
}

static void run_exact(const uint8_t *data, size_t size)
{
    uint8_t *copy = calloc(size ? size : 1, 1);
    if (!copy)
        abort();
    if (size)
        memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
    n_inputs++;
}

/* Changes up to four bytes: to an extreme value, by one bit, or to another byte of the file. */
static void mutate(uint8_t *data, size_t size)
{
    static const uint8_t extremes[] = {0x00, 0x01, 0x7f, 0x80, 0xff, '"', '{', '9'};
    size_t n_changes = 1 + random_below(4);
    for (size_t i = 0; i < n_changes; i++) {
        size_t at = random_below(size);
        size_t kind = random_below(3);
        if (kind == 0)
            data[at] = extremes[random_below(sizeof extremes)];
        else if (kind == 1)
            data[at] ^= (uint8_t)(1u << random_below(8));
        else
            data[at] = data[random_below(size)];
    }
}

static void run_mutations(const uint8_t *data, size_t size)
{
    size_t n = MUTATION_BYTES / size < MUTATIONS ? MUTATION_BYTES / size : MUTATIONS;
    uint8_t *changed = malloc(size);
    if (!changed)
        abort();
    for (size_t i = 0; i < n; i++) {
        memcpy(changed, data, size);
        if (i % 4 == 0) {
            run_exact(changed, random_below(size));
        } else {
            mutate(changed, size);
            run_exact(changed, size);
        }
    }
    free(changed);
}

static uint8_t *read_whole(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0)
        return NULL;
    long end = ftell(file);
    rewind(file);
    uint8_t *data = end < 0 ? NULL : malloc((size_t)end + 1);
    *size = data ? fread(data, 1, (size_t)end, file) : 0;
    fclose(file);
    return data;
}

static int run_folder(const char *folder)
{
    struct dirent **entries;
    int n = scandir(folder, &entries, NULL, alphasort);
    int n_files = 0;
    for (int i = 0; i < n; i++) {
        char path[4096];
        size_t size = 0;
        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.') {
            uint8_t *data = read_whole(path, &size);
            if (!data) {
                fprintf(stderr, "cannot read '%s'\n", path);
                return -1;
            }
            fprintf(stderr, "%s\n", path); /* the last line before a crash names its input */
            run_exact(data, size);
            if (size)
                run_mutations(data, size);
            free(data);
            n_files++;
        }
        free(entries[i]);
    }
    if (n >= 0)
        free(entries);
    return n_files;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s CORPUS_FOLDER\n", argv[0]);
        return 2;
    }
    run_exact(NULL, 0);
    int n_files = run_folder(argv[1]);
    if (n_files <= 0) {
        fprintf(stderr, "'%s' holds no inputs: a corpus is missing\n", argv[1]);
        return 1;
    }
    printf("%d files, %zu inputs\n", n_files, n_inputs);
    return 0;
}
