/* Writing safetensors: the bytes, what readers make of them, shards and their index, and directories that
 * lie. */
#include "format_util.h"

#include "format/safetensors_file.h"

/* The list behind tests/golden/formats/glot.safetensors; tools/formats/make_golden.py knows the values. */
static const float matrix[6] = {0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 2.5f};
static const double scalar = 2.5;
static const uint16_t half[3] = {0x3c00, 0xc000, 0x3800};
static const int64_t wide[2] = {-5, INT64_C(1) << 33};
static const int32_t small[2] = {7, -7};
static const uint8_t bytes3[3] = {1, 2, 3};

enum { N_TENSORS = 7 };

static void make_list(glot_save_tensor list[N_TENSORS])
{
    const glot_save_tensor made[N_TENSORS] = {
        {"bytes", {GLOT_U8, 1, {3}, (void *)bytes3}},    {"matrix", {GLOT_F32, 2, {2, 3}, (void *)matrix}},
        {"scalar", {GLOT_F64, 0, {0}, (void *)&scalar}}, {"empty", {GLOT_F32, 2, {3, 0}, NULL}},
        {"half", {GLOT_F16, 1, {3}, (void *)half}},      {"línea \"1\"\n", {GLOT_I64, 1, {2}, (void *)wide}},
        {"int", {GLOT_I32, 1, {2}, (void *)small}},
    };
    memcpy(list, made, sizeof made);
}

static json_t *make_metadata(void)
{
    json_t *metadata = json_pack("{s:s, s:s}", "format", "pt", "key \"two\"", "ünï");
    assert_non_null(metadata);
    return metadata;
}

static void assert_same_file(const char *a, const char *b)
{
    char *x, *y;
    size_t n_x, n_y;
    read_whole(&x, &n_x, a);
    read_whole(&y, &n_y, b);
    assert_int_equal(n_x, n_y);
    assert_memory_equal(x, y, n_x);
    glot_free(x);
    glot_free(y);
}

static void the_bytes_are_the_golden_ones(void **state)
{
    (void)state;
    glot_error err = {0};
    glot_save_tensor list[N_TENSORS];
    char *dir = make_temp_dir(), *path = glot_path_join(dir, "a.safetensors");
    char sha256[65], expected_sha256[65];
    uint64_t size = 0;
    json_t *metadata = make_metadata();
    make_list(list);
    const char *golden = GOLDEN_DIR "glot.safetensors";
    const char *target = getenv("GLOT_UPDATE_GOLDEN") ? golden : path;
    assert_ok(glot_safetensors_save(target, list, N_TENSORS, metadata, NULL, NULL, sha256, &size, &err));
    assert_same_file(target, golden);
    assert_ok(glot_sha256_file(expected_sha256, golden, &err));
    assert_string_equal(sha256, expected_sha256);
    char *data;
    size_t n;
    read_whole(&data, &n, golden);
    uint64_t header;
    memcpy(&header, data, sizeof header);
    assert_int_equal(size, n);
    assert_int_equal((8 + header) % 64, 0);
    glot_free(data);
    json_decref(metadata);
    glot_free(path);
    remove_temp_dir(dir);
}

/* The file that docs shows byte by byte. */
static void the_documented_example_is_right(void **state)
{
    (void)state;
    glot_error err = {0};
    float one = 1.0f;
    const glot_save_tensor list[] = {{"a", {GLOT_F32, 1, {1}, &one}}};
    const char header[] =
        "\x38\0\0\0\0\0\0\0{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}  ";
    char *dir = make_temp_dir(), *path = glot_path_join(dir, "example"), *data;
    size_t n;
    assert_ok(glot_safetensors_save(path, list, 1, NULL, NULL, NULL, NULL, NULL, &err));
    read_whole(&data, &n, path);
    assert_int_equal(n, 68);
    assert_memory_equal(data, header, 64);
    assert_memory_equal(data + 64, "\0\0\x80\x3f", 4);
    glot_free(data);
    glot_free(path);
    remove_temp_dir(dir);
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    glot_error err = {0};
    glot_save_tensor list[N_TENSORS];
    glot_safetensors *s;
    make_list(list);
    assert_ok(glot_safetensors_open(&s, GOLDEN_DIR "glot.safetensors", &err));
    assert_int_equal(glot_safetensors_count(s), N_TENSORS);
    assert_string_equal(glot_safetensors_metadata(s, "key \"two\""), "ünï");
    for (size_t i = 0; i < N_TENSORS; i++) {
        const glot_stored_tensor *t = glot_safetensors_find(s, list[i].name);
        assert_non_null(t);
        assert_int_equal(t->tensor.dtype, list[i].tensor.dtype);
        assert_true(glot_tensor_same_shape(&t->tensor, &list[i].tensor));
        size_t n = glot_tensor_bytes(&t->tensor);
        assert_true(n == 0 || memcmp(t->tensor.addr, list[i].tensor.addr, n) == 0);
    }
    glot_safetensors_close(s);
}

/* Byte i of tensor t is i * 7 + t, in 16-bit steps so that a wrong offset shows. */
typedef struct fill_state {
    size_t calls, expected_offset[3];
    size_t fail_at; /* call that fails; 0: none */
} fill_state;

static glot_status fill(void *user, size_t index, size_t offset, size_t n, void *out, glot_error *err)
{
    fill_state *f = user;
    assert_true(index < 3 && n > 0 && n <= GLOT_SAVE_PIECE);
    assert_int_equal(offset, f->expected_offset[index]);
    f->expected_offset[index] += n;
    if (++f->calls == f->fail_at)
        return GLOT_FAIL(err, GLOT_NUMERIC, "piece %zu of the test fails", f->calls);
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)out)[i] = (uint8_t)(((offset + i) >> 8) * 7 + (offset + i) + index);
    return GLOT_OK;
}

static void check_filled(const glot_safetensors *s, const char *name, size_t index)
{
    const glot_stored_tensor *t = glot_safetensors_find(s, name);
    assert_non_null(t);
    const uint8_t *got = t->tensor.addr;
    for (size_t i = 0; i < glot_tensor_bytes(&t->tensor); i++)
        if (got[i] != (uint8_t)((i >> 8) * 7 + i + index))
            fail_msg("%s: byte %zu is %d", name, i, got[i]);
}

/* One tensor of two pieces and a bit, one given by address, one of exactly one piece; bf16 first to see them
 * moved. */
static void make_fill_list(glot_save_tensor list[3], void *given)
{
    list[0] = (glot_save_tensor){"b", {GLOT_BF16, 1, {GLOT_SAVE_PIECE + 5}, NULL}};
    list[1] = (glot_save_tensor){"given", {GLOT_F32, 1, {2}, given}};
    list[2] = (glot_save_tensor){"a", {GLOT_F32, 2, {GLOT_SAVE_PIECE / 64, 16}, NULL}};
}

static void pieces_come_in_order(void **state)
{
    (void)state;
    glot_error err = {0};
    glot_save_tensor list[3];
    glot_safetensors *s;
    float given[2] = {1.0f, 2.0f};
    fill_state f = {0};
    char *dir = make_temp_dir();
    make_fill_list(list, given);
    assert_ok(glot_safetensors_save_dir(dir, list, 3, NULL, UINT64_C(1) << 40, fill, &f, &err));
    assert_int_equal(f.calls, 4);
    assert_ok(glot_safetensors_open_dir(&s, dir, &err));
    assert_string_equal(glot_safetensors_at(s, 0)->name, "given");
    assert_string_equal(glot_safetensors_at(s, 2)->name, "b");
    assert_memory_equal(glot_safetensors_find(s, "given")->tensor.addr, given, sizeof given);
    check_filled(s, "b", 0);
    check_filled(s, "a", 2);
    glot_safetensors_close(s);
    remove_temp_dir(dir);
}

static void assert_dir_is_empty(const char *dir)
{
    glot_error err = {0};
    char **names;
    size_t n;
    assert_ok(glot_dir_list(&names, &n, dir, &err));
    if (n)
        fail_msg("'%s' is left behind", names[0]);
    glot_dir_list_free(names, n);
}

static void a_failing_fill_leaves_nothing(void **state)
{
    (void)state;
    char *dir = make_temp_dir();
    float given[2] = {1.0f, 2.0f};
    for (size_t n = 1; n <= 4; n++) {
        glot_error err = {0};
        glot_save_tensor list[3];
        fill_state f = {.fail_at = n};
        make_fill_list(list, given);
        glot_status status = glot_safetensors_save_dir(dir, list, 3, NULL, UINT64_C(1) << 40, fill, &f, &err);
        assert_int_equal(status, GLOT_NUMERIC);
        assert_non_null(strstr(err.message, "of the test fails"));
        assert_dir_is_empty(dir);
    }
    remove_temp_dir(dir);
}

/* A full disk at any moment: the error says so, an old file stays whole. */
static void a_full_disk_leaves_the_old_file(void **state)
{
    (void)state;
    glot_error err = {0};
    glot_save_tensor list[N_TENSORS];
    char *dir = make_temp_dir(), *path = glot_path_join(dir, GLOT_SAFETENSORS_NAME);
    make_list(list);
    assert_ok(glot_file_write(path, "old", 3, &err));
    uint64_t n_failed = 0;
    for (uint64_t n = 1;; n++) {
        glot_file_fail_after(n, 28 /* ENOSPC */);
        glot_status status = glot_safetensors_save_dir(dir, list, N_TENSORS, NULL, 1 << 30, NULL, NULL, &err);
        glot_file_fail_after(0, 0);
        if (status == GLOT_OK)
            break;
        n_failed++;
        assert_int_equal(status, GLOT_NO_SPACE);
    }
    assert_true(n_failed >= 3); /* write, fsync, rename */
    glot_safetensors *s;
    assert_ok(glot_safetensors_open(&s, path, &err));
    glot_safetensors_close(s);
    glot_free(path);
    remove_temp_dir(dir);
}

static void lists_that_cannot_be_held_are_refused(void **state)
{
    (void)state;
    float x[32] = {0};
    char long_name[600];
    memset(long_name, 'n', sizeof long_name);
    long_name[599] = '\0';
    const struct {
        glot_save_tensor list[2];
        const char *sentence;
    } rows[] = {
        {{{"a", {GLOT_F32, 1, {1}, x}}, {"a", {GLOT_F32, 1, {1}, x}}},
         "'d': two tensors to be written are called 'a'"},
        {{{"a", {GLOT_F32, 1, {1}, x}}, {"q", {GLOT_Q4_0, 1, {32}, x}}},
         "'d': tensor 'q' has type Q4_0, which safetensors cannot hold"},
        {{{"a", {GLOT_F32, 1, {1}, x}}, {"__metadata__", {GLOT_F32, 1, {1}, x}}},
         "'d': '__metadata__' cannot be the name of a tensor"},
        {{{"a", {GLOT_F32, 1, {1}, x}}, {"\xff", {GLOT_F32, 1, {1}, x}}},
         "'d': '\xff' cannot be the name of a tensor"},
        {{{"a", {GLOT_F32, 1, {1}, x}}, {long_name, {GLOT_F32, 1, {1}, x}}},
         "'d': 'nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn' cannot be the name of a "
         "tensor"},
        {{{"a", {GLOT_F32, 1, {1}, x}}, {"b", {GLOT_F32, 1, {1}, NULL}}},
         "'d': tensor 'b' has no bytes to be written"},
        {{{"a", {GLOT_F32, 1, {1}, x}}, {"b", {GLOT_F32, 2, {INT64_MAX, 4}, x}}},
         "'d': tensor 'b' is larger than any file"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        glot_error err = {0};
        glot_status status = glot_safetensors_save("d", rows[i].list, 2, NULL, NULL, NULL, NULL, NULL, &err);
        assert_int_equal(status, GLOT_BAD_ARGUMENT);
        assert_string_equal(err.message, rows[i].sentence);
        status = glot_safetensors_save_dir("d", rows[i].list, 2, NULL, 1, NULL, NULL, &err);
        assert_int_equal(status, GLOT_BAD_ARGUMENT);
        assert_false(glot_path_exists("d"));
    }
    const struct {
        const char *metadata, *sentence;
    } wrong[] = {{"[]", "'d': the metadata to be written is not an object"},
                 {"{\"k\":1}", "'d': metadata 'k' to be written is not a string"}};
    for (size_t i = 0; i < 2; i++) {
        glot_error err = {0};
        json_t *metadata = json_loads(wrong[i].metadata, 0, NULL);
        glot_status status =
            glot_safetensors_save("d", rows[0].list, 1, metadata, NULL, NULL, NULL, NULL, &err);
        assert_int_equal(status, GLOT_BAD_ARGUMENT);
        assert_string_equal(err.message, wrong[i].sentence);
        json_decref(metadata);
    }
}

/* Shards. */

static uint64_t size_of(const char *dir, const char *name)
{
    char *path = glot_path_join(dir, name), *data;
    size_t n;
    read_whole(&data, &n, path);
    glot_free(data);
    glot_free(path);
    return n;
}

static void shards_have_an_index(void **state)
{
    (void)state;
    glot_error err = {0};
    glot_safetensors *s;
    char *dir = make_temp_dir();
    float x[100];
    glot_save_tensor list[3] = {
        {"c", {GLOT_F32, 1, {100}, x}}, {"a", {GLOT_F32, 1, {100}, x}}, {"b", {GLOT_F32, 1, {50}, x + 50}}};
    for (int i = 0; i < 100; i++)
        x[i] = (float)i;
    json_t *metadata = json_pack("{s:s}", "format", "pt");
    assert_ok(glot_safetensors_save_dir(dir, list, 3, metadata, 1000, NULL, NULL, &err));
    assert_true(size_of(dir, "model-00001-of-00002.safetensors") <= 1000);
    assert_true(size_of(dir, "model-00002-of-00002.safetensors") <= 1000);
    char *path = glot_path_join(dir, GLOT_SAFETENSORS_INDEX_NAME), *index;
    size_t n;
    read_whole(&index, &n, path);
    assert_string_equal(index, "{\n"
                               "  \"metadata\": {\n"
                               "    \"total_size\": 1000\n"
                               "  },\n"
                               "  \"weight_map\": {\n"
                               "    \"a\": \"model-00002-of-00002.safetensors\",\n"
                               "    \"b\": \"model-00002-of-00002.safetensors\",\n"
                               "    \"c\": \"model-00001-of-00002.safetensors\"\n"
                               "  }\n"
                               "}\n");
    assert_ok(glot_safetensors_open_dir(&s, dir, &err));
    assert_int_equal(glot_safetensors_count(s), 3);
    assert_string_equal(glot_safetensors_at(s, 0)->name, "c");
    assert_memory_equal(glot_safetensors_find(s, "b")->tensor.addr, x + 50, 50 * sizeof(float));
    assert_string_equal(glot_path_base(glot_safetensors_find(s, "b")->file),
                        "model-00002-of-00002.safetensors");
    assert_string_equal(glot_safetensors_metadata(s, "format"), "pt");
    glot_safetensors_close(s);
    glot_free(index);
    glot_free(path);
    json_decref(metadata);
    remove_temp_dir(dir);
}

/* Two directories from one list are the same in every byte, and the fill function sees the list's numbers. */
static void shards_are_the_same_again(void **state)
{
    (void)state;
    glot_error err = {0};
    float given[2] = {1.0f, 2.0f};
    char *dirs[2];
    for (int i = 0; i < 2; i++) {
        glot_save_tensor list[3];
        fill_state f = {0};
        dirs[i] = make_temp_dir();
        make_fill_list(list, given);
        assert_ok(glot_safetensors_save_dir(dirs[i], list, 3, NULL, 1 << 20, fill, &f, &err));
        assert_int_equal(f.calls, 4);
    }
    const char *const names[] = {"model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors",
                                 "model-00003-of-00003.safetensors", GLOT_SAFETENSORS_INDEX_NAME};
    for (int i = 0; i < 4; i++) {
        char a[65], b[65], *x = glot_path_join(dirs[0], names[i]), *y = glot_path_join(dirs[1], names[i]);
        assert_ok(glot_sha256_file(a, x, &err));
        assert_ok(glot_sha256_file(b, y, &err));
        assert_string_equal(a, b);
        glot_free(x);
        glot_free(y);
    }
    glot_safetensors *s;
    assert_ok(glot_safetensors_open_dir(&s, dirs[0], &err));
    check_filled(s, "b", 0);
    check_filled(s, "a", 2);
    glot_safetensors_close(s);
    remove_temp_dir(dirs[0]);
    remove_temp_dir(dirs[1]);
}

/* The plan of a model of 24 tensors of 1.5 GB in shards of 5 GB, which is never written: three in each. */
static void the_plan_counts_beyond_32_bits(void **state)
{
    (void)state;
    glot_error err = {0};
    glot_shard_plan plan = {0};
    glot_save_tensor list[24];
    for (int i = 0; i < 24; i++)
        list[i] = (glot_save_tensor){"t", {GLOT_BF16, 2, {30000, 25000}, NULL}};
    list[4].tensor = glot_tensor_2d(GLOT_F32, 100000, 100000); /* 40 GB, alone in its file */
    assert_ok(glot_shard_plan_make(&plan, list, 24, NULL, 5000000000, &err));
    const size_t first[] = {0, 3, 4, 5, 8, 11, 14, 17, 20, 23, 24};
    assert_int_equal(plan.n_shards, 10);
    assert_memory_equal(plan.first, first, sizeof first);
    assert_int_equal(plan.total_bytes, 23 * UINT64_C(1500000000) + UINT64_C(40000000000));
    glot_free(plan.first);
    for (int i = 0; i < 24; i++)
        list[i].tensor = glot_tensor_2d(GLOT_F32, INT64_C(1) << 30, INT64_C(1) << 29);
    assert_int_equal(glot_shard_plan_make(&plan, list, 24, NULL, 5000000000, &err), GLOT_BAD_ARGUMENT);
    assert_string_equal(err.message, "the tensors to be written are larger than any disk");
}

/* The bound that the plan uses is never below what a file takes. */
static void no_file_is_larger_than_asked(void **state)
{
    (void)state;
    glot_error err = {0};
    glot_save_tensor list[N_TENSORS];
    json_t *metadata = make_metadata();
    make_list(list);
    for (uint64_t limit = 1; limit < 2000; limit += 37) {
        char *dir = make_temp_dir(), **names;
        size_t n;
        assert_ok(glot_safetensors_save_dir(dir, list, N_TENSORS, metadata, limit, NULL, NULL, &err));
        assert_ok(glot_dir_list(&names, &n, dir, &err));
        for (size_t i = 0; i < n; i++) {
            bool has_several = n - 1 < N_TENSORS && strcmp(names[i], GLOT_SAFETENSORS_INDEX_NAME) != 0;
            char *path = glot_path_join(dir, names[i]);
            glot_safetensors *s = NULL;
            if (has_several) {
                assert_ok(glot_safetensors_open(&s, path, &err));
                assert_true(glot_safetensors_count(s) == 1 || size_of(dir, names[i]) <= limit);
            }
            glot_safetensors_close(s);
            glot_free(path);
        }
        glot_dir_list_free(names, n);
        remove_temp_dir(dir);
    }
    json_decref(metadata);
}

static void the_other_form_is_in_the_way(void **state)
{
    (void)state;
    glot_error err = {0};
    glot_save_tensor list[N_TENSORS];
    char *dir = make_temp_dir();
    make_list(list);
    assert_ok(glot_safetensors_save_dir(dir, list, N_TENSORS, NULL, 1 << 20, NULL, NULL, &err));
    assert_int_equal(glot_safetensors_save_dir(dir, list, N_TENSORS, NULL, 1, NULL, NULL, &err), GLOT_EXISTS);
    assert_non_null(
        strstr(err.message, "/model.safetensors' is in the way: readers would take it for the model"));
    remove_temp_dir(dir);
    dir = make_temp_dir();
    assert_ok(glot_safetensors_save_dir(dir, list, N_TENSORS, NULL, 1, NULL, NULL, &err));
    assert_ok(glot_safetensors_save_dir(dir, list, N_TENSORS, NULL, 1, NULL, NULL, &err));
    assert_int_equal(glot_safetensors_save_dir(dir, list, N_TENSORS, NULL, 1 << 20, NULL, NULL, &err),
                     GLOT_EXISTS);
    assert_non_null(strstr(err.message, "/model.safetensors.index.json' is in the way"));
    remove_temp_dir(dir);
}

/* Directories that lie. s1 holds a and b, s2 holds c; `again` holds c too. */

static void write_lying_dir(const char *dir, const char *index)
{
    glot_error err = {0};
    float x[2] = {1.0f, 2.0f};
    const glot_save_tensor list[] = {
        {"a", {GLOT_F32, 1, {2}, x}}, {"b", {GLOT_F32, 1, {1}, x}}, {"c", {GLOT_F32, 1, {1}, x}}};
    const struct {
        const char *name;
        size_t first, n;
    } files[] = {{"s1", 0, 2}, {"s2", 2, 1}, {"again", 2, 1}};
    for (int i = 0; i < 3; i++) {
        char *path = glot_path_join(dir, files[i].name);
        assert_ok(glot_safetensors_save(path, list + files[i].first, files[i].n, NULL, NULL, NULL, NULL, NULL,
                                        &err));
        glot_free(path);
    }
    char *path = glot_path_join(dir, GLOT_SAFETENSORS_INDEX_NAME);
    assert_ok(glot_file_write(path, index, strlen(index), &err));
    glot_free(path);
}

static const struct lying_index {
    const char *index;
    glot_status status;
    const char *sentence; /* with D for the directory */
} lying[] = {
    {"{\"weight_map\":{\"a\":\"s1\",\"b\":\"s1\",\"c\":\"s2\"}}", GLOT_OK, ""},
    {"{\"weight_map\":", GLOT_BAD_FORMAT, "'D/model.safetensors.index.json' is not valid JSON: "},
    {"{}", GLOT_BAD_FORMAT,
     "'D/model.safetensors.index.json': no object weight_map with the file of every tensor"},
    {"[]", GLOT_BAD_FORMAT,
     "'D/model.safetensors.index.json': no object weight_map with the file of every tensor"},
    {"{\"weight_map\":{}}", GLOT_BAD_FORMAT,
     "'D/model.safetensors.index.json': no object weight_map with the file of every tensor"},
    {"{\"weight_map\":{\"a\":1}}", GLOT_BAD_FORMAT,
     "'D/model.safetensors.index.json': weight_map of tensor 'a' is not the name of a file beside it"},
    {"{\"weight_map\":{\"a\":\"../s1\"}}", GLOT_BAD_FORMAT,
     "'D/model.safetensors.index.json': weight_map of tensor 'a' is not the name of a file beside it"},
    {"{\"weight_map\":{\"a\":\"/etc/passwd\"}}", GLOT_BAD_FORMAT,
     "'D/model.safetensors.index.json': weight_map of tensor 'a' is not the name of a file beside it"},
    {"{\"weight_map\":{\"a\":\"..\"}}", GLOT_BAD_FORMAT,
     "'D/model.safetensors.index.json': weight_map of tensor 'a' is not the name of a file beside it"},
    {"{\"weight_map\":{\"a\":\"\"}}", GLOT_BAD_FORMAT,
     "'D/model.safetensors.index.json': weight_map of tensor 'a' is not the name of a file beside it"},
    {"{\"weight_map\":{\"a\":\"s9\"}}", GLOT_NOT_FOUND, "cannot open 'D/s9': no such file or directory"},
    {"{\"weight_map\":{\"a\":\"s1\",\"b\":\"s1\",\"d\":\"s2\"}}", GLOT_BAD_FORMAT,
     "'D/model.safetensors.index.json': tensor 'd' is in no shard, expected in 's2'"},
    {"{\"weight_map\":{\"a\":\"s1\",\"b\":\"s2\",\"c\":\"s2\"}}", GLOT_BAD_FORMAT,
     "'D/model.safetensors.index.json': tensor 'b' is in 's1', expected in 's2'"},
    {"{\"weight_map\":{\"a\":\"s1\",\"c\":\"s2\"}}", GLOT_BAD_FORMAT,
     "'D/s1': tensor 'b' is missing in the index 'D/model.safetensors.index.json'"},
    {"{\"weight_map\":{\"a\":\"s1\",\"b\":\"s1\",\"c\":\"s2\",\"d\":\"again\"}}", GLOT_BAD_FORMAT,
     "'D/again' and 'D/s2' both have a tensor 'c'"},
    {"{\"weight_map\":{\"a\":\"s1\",\"a\":\"s2\"}}", GLOT_BAD_FORMAT,
     "'D/model.safetensors.index.json' is not valid JSON: "},
    {"{\"weight_map\":{\"a\":\"model.safetensors.index.json\"}}", GLOT_BAD_FORMAT,
     "'D/model.safetensors.index.json': header length 8"},
};

static void expand_dir(glot_str *out, const char *sentence, const char *dir)
{
    for (; *sentence; sentence++)
        if (sentence[0] == '\'' && sentence[1] == 'D' && sentence++)
            glot_str_printf(out, "'%s", dir);
        else
            glot_str_append(out, sentence, 1);
}

static void lying_indices_get_their_sentences(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof lying / sizeof lying[0]; i++) {
        glot_error err = {0};
        glot_safetensors *s = NULL;
        glot_str expected = {0};
        char *dir = make_temp_dir();
        write_lying_dir(dir, lying[i].index);
        assert_int_equal(glot_safetensors_open_dir(&s, dir, &err), lying[i].status);
        expand_dir(&expected, lying[i].sentence, dir);
        if (expected.length && strncmp(err.message, expected.data, expected.length) != 0)
            fail_msg("row %zu: got \"%s\", expected \"%s\"", i, err.message, expected.data);
        glot_safetensors_close(s);
        glot_str_release(&expected);
        remove_temp_dir(dir);
    }
}

static void directories_without_weights_are_named(void **state)
{
    (void)state;
    glot_error err = {0};
    glot_safetensors *s = NULL;
    glot_str expected = {0};
    char *dir = make_temp_dir(), *pickle = glot_path_join(dir, "pytorch_model.bin");
    assert_int_equal(glot_safetensors_open_dir(&s, dir, &err), GLOT_NOT_FOUND);
    glot_str_printf(&expected, "'%s' has neither 'model.safetensors' nor 'model.safetensors.index.json'",
                    dir);
    assert_string_equal(err.message, expected.data);
    assert_ok(glot_file_write(pickle, "x", 1, &err));
    assert_int_equal(glot_safetensors_open_dir(&s, dir, &err), GLOT_UNSUPPORTED);
    glot_str_reset(&expected);
    glot_str_printf(&expected,
                    "'%s' has its weights as a pickle ('pytorch_model.bin'), expected 'model.safetensors' or "
                    "'model.safetensors.index.json'",
                    dir);
    assert_string_equal(err.message, expected.data);
    glot_str_release(&expected);
    glot_free(pickle);
    remove_temp_dir(dir);
}

/* Memory that ends anywhere while a sharded model is written or read. */
static void memory_that_ends_is_an_error(void **state)
{
    (void)state;
    glot_save_tensor list[N_TENSORS];
    json_t *metadata = make_metadata();
    char *dir = make_temp_dir();
    make_list(list);
    for (int reading = 0; reading <= 1; reading++)
        for (uint64_t n = 1;; n++) {
            glot_error err = {0};
            glot_safetensors *s = NULL;
            glot_heap_fail_after(n);
            glot_status status =
                reading ? glot_safetensors_open_dir(&s, dir, &err)
                        : glot_safetensors_save_dir(dir, list, N_TENSORS, metadata, 400, NULL, NULL, &err);
            glot_heap_fail_after(0);
            glot_safetensors_close(s);
            if (status == GLOT_OK)
                break;
            assert_int_equal(status, GLOT_NOMEM);
        }
    json_decref(metadata);
    remove_temp_dir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_bytes_are_the_golden_ones),
        cmocka_unit_test(the_documented_example_is_right),
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(pieces_come_in_order),
        cmocka_unit_test(a_failing_fill_leaves_nothing),
        cmocka_unit_test(a_full_disk_leaves_the_old_file),
        cmocka_unit_test(lists_that_cannot_be_held_are_refused),
        cmocka_unit_test(shards_have_an_index),
        cmocka_unit_test(shards_are_the_same_again),
        cmocka_unit_test(the_plan_counts_beyond_32_bits),
        cmocka_unit_test(no_file_is_larger_than_asked),
        cmocka_unit_test(the_other_form_is_in_the_way),
        cmocka_unit_test(lying_indices_get_their_sentences),
        cmocka_unit_test(directories_without_weights_are_named),
        cmocka_unit_test(memory_that_ends_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
