/* Reading one safetensors file: what Python writes, what lies, what is cut off, what is larger than memory.
 */
#include "format_util.h"

#include <fcntl.h>
#include <unistd.h>

#include "format/safetensors.h"

/* A file of this header, padded with spaces to a multiple of 8 where `is_padded`, and data bytes 0, 1, 2, ...
 */
static void make_file(glot_str *out, const char *header, size_t n_data, bool is_padded)
{
    size_t length = strlen(header), padding = is_padded ? (8 - length % 8) % 8 : 0;
    append_number(out, 8, length + padding);
    glot_str_puts(out, header);
    glot_str_append(out, "       ", padding);
    for (size_t i = 0; i < n_data; i++)
        append_number(out, 1, i);
    assert_false(out->failed);
}

static glot_status parse(const uint8_t *bytes, size_t n, glot_error *err)
{
    glot_safetensors *s = NULL;
    glot_status status = glot_safetensors_parse(&s, bytes, n, "x", err);
    glot_safetensors_close(s);
    return status;
}

static const char small_header[] = "{\"__metadata__\":{\"format\":\"pt\",\"a\":\"b\"},"
                                   "\"m\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[8,32]},"
                                   "\"z\":{\"dtype\":\"F32\",\"shape\":[0,7],\"data_offsets\":[32,32]},"
                                   "\"k\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[0,8]},"
                                   "\"h\":{\"shape\":[1,1,2,1],\"dtype\":\"BF16\",\"data_offsets\":[32,36]}}";
enum { SMALL_DATA = 36 };

static void tensors_point_into_the_bytes(void **state)
{
    (void)state;
    glot_error err = {0};
    glot_str file = {0};
    glot_safetensors *s;
    make_file(&file, small_header, SMALL_DATA, true);
    const uint8_t *data = (const uint8_t *)file.data + file.length - SMALL_DATA;
    assert_ok(glot_safetensors_parse(&s, (const uint8_t *)file.data, file.length, "x", &err));
    assert_int_equal(glot_safetensors_count(s), 4);
    const char *const names[] = {"k", "m", "z", "h"}; /* in the order of the data */
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(glot_safetensors_at(s, i)->name, names[i]);
    const glot_stored_tensor *m = glot_safetensors_find(s, "m"), *h = glot_safetensors_find(s, "h");
    assert_true(m && h && !glot_safetensors_find(s, "mm") && !glot_safetensors_find(s, ""));
    assert_ptr_equal(m->tensor.addr, data + 8);
    assert_true(m->tensor.dtype == GLOT_F32 && m->tensor.n_dims == 2);
    assert_true(m->tensor.shape[0] == 2 && m->tensor.shape[1] == 3);
    assert_string_equal(m->file, "x");
    assert_true(h->tensor.dtype == GLOT_BF16 && h->tensor.n_dims == 4 && h->tensor.shape[2] == 2);
    assert_int_equal(glot_safetensors_find(s, "k")->tensor.n_dims, 0);
    assert_int_equal(glot_tensor_bytes(&glot_safetensors_find(s, "z")->tensor), 0);
    assert_string_equal(glot_safetensors_metadata(s, "format"), "pt");
    assert_null(glot_safetensors_metadata(s, "m"));
    glot_safetensors_close(s);
    glot_safetensors_close(NULL);
    glot_str_release(&file);
}

/* A header of odd length puts every tensor at an odd address: each is copied to where its elements may lie.
 */
static void misaligned_tensors_are_copied(void **state)
{
    (void)state;
    glot_error err = {0};
    glot_str file = {0};
    glot_safetensors *s;
    const char *header = "{\"u\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
                         "\"d\":{\"dtype\":\"F64\",\"shape\":[2],\"data_offsets\":[1,17]},"
                         "\"f\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[17,21]}} ";
    assert_int_equal(strlen(header) % 2, 1);
    make_file(&file, header, 21, false);
    const char *data = file.data + file.length - 21;
    assert_ok(glot_safetensors_parse(&s, (const uint8_t *)file.data, file.length, "x", &err));
    const size_t begins[] = {0, 1, 17}, sizes[] = {1, 16, 4};
    for (size_t i = 0; i < 3; i++) {
        const glot_tensor *t = &glot_safetensors_at(s, i)->tensor;
        assert_int_equal((uintptr_t)t->addr % glot_dtype_block_bytes(t->dtype), 0);
        assert_memory_equal(t->addr, data + begins[i], sizes[i]);
    }
    assert_ptr_equal(glot_safetensors_find(s, "u")->tensor.addr, data);
    glot_safetensors_close(s);
    glot_str_release(&file);
}

static void check_bytes(const glot_safetensors *s, const char *name, glot_dtype dtype, const char *shape,
                        const void *bytes, size_t n)
{
    char text[96];
    const glot_stored_tensor *t = glot_safetensors_find(s, name);
    assert_non_null(t);
    assert_int_equal(t->tensor.dtype, dtype);
    assert_string_equal(glot_tensor_shape_text(&t->tensor, text), shape);
    assert_int_equal(glot_tensor_bytes(&t->tensor), n);
    assert_true(n == 0 || memcmp(t->tensor.addr, bytes, n) == 0);
}

/* Written by the safetensors package (tools/formats/make_golden.py). */
static void a_file_from_python_is_read(void **state)
{
    (void)state;
    glot_error err = {0};
    glot_safetensors *s;
    assert_ok(glot_safetensors_open(&s, GOLDEN_DIR "python.safetensors", &err));
    assert_int_equal(glot_safetensors_count(s), 9);
    const float matrix[] = {0.0f, 0.25f, 0.5f, 0.75f, 1.0f, 1.25f}, scalar = 3.25f, answer = 42.0f;
    const uint16_t half[] = {0x3e00, 0xc000, 0x7bff};
    const double wide[] = {1e300, -0.5};
    const int64_t ids[] = {-1, INT64_C(1) << 40};
    const int32_t small_ids[] = {-7, 7, INT32_MAX};
    check_bytes(s, "matrix", GLOT_F32, "[2, 3]", matrix, sizeof matrix);
    check_bytes(s, "half", GLOT_F16, "[3]", half, sizeof half);
    check_bytes(s, "wide", GLOT_F64, "[1, 2]", wide, sizeof wide);
    check_bytes(s, "ids", GLOT_I64, "[2]", ids, sizeof ids);
    check_bytes(s, "small ids", GLOT_I32, "[3]", small_ids, sizeof small_ids);
    check_bytes(s, "bytes", GLOT_U8, "[3]", "\x00\x01\xff", 3);
    check_bytes(s, "scalar", GLOT_F32, "[]", &scalar, sizeof scalar);
    check_bytes(s, "empty", GLOT_F32, "[0, 4]", NULL, 0);
    check_bytes(s, "ελληνικά/\"quoted\"", GLOT_F32, "[1]", &answer, sizeof answer);
    assert_string_equal(glot_safetensors_metadata(s, "format"), "pt");
    assert_string_equal(glot_safetensors_metadata(s, "made by"), "safetensors");
    glot_safetensors_close(s);
}

static void headers_without_tensors_are_fine(void **state)
{
    (void)state;
    glot_error err = {0};
    const char *const headers[] = {"{}", "{}      ", "{\"__metadata__\":{}}"};
    for (size_t i = 0; i < 3; i++) {
        glot_str file = {0};
        make_file(&file, headers[i], 0, false);
        assert_ok(parse((const uint8_t *)file.data, file.length, &err));
        glot_str_release(&file);
    }
}

/* Files whose length field lies, and files that are something else. */
static void lying_lengths_get_their_sentences(void **state)
{
    (void)state;
    const struct {
        const char *program, *sentence;
    } rows[] = {
        {"", "'x': a safetensors file starts with the 8 bytes of its header's length, found 0 bytes"},
        {"raw=GGUF", "'x': a safetensors file starts with the 8 bytes of its header's length, found 4 bytes"},
        {"u64=0", "'x': the header does not start with '{'"},
        {"u64=2 raw=[]", "'x': the header does not start with '{'"},
        {"u64=3 u8=32 raw={}", "'x': the header does not start with '{'"},
        {"u64=3 raw={}", "'x': header length is 3 but only 2 bytes follow it"},
        {"u64=100000001 raw={}", "'x': header length 100000001 is above the limit of 100000000 bytes"},
        {"u64=0xffffffffffffffff raw={}",
         "'x': header length 18446744073709551615 is above the limit of 100000000 bytes"},
        {"u64=0xfffffffffffffff8 raw={}",
         "'x': header length 18446744073709551608 is above the limit of 100000000 bytes"},
        {"u64=2 raw={}a", "'x': bytes 0 to 1 at the end of the data belong to no tensor"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        glot_error err = {0};
        glot_str file = {0};
        run_program(&file, rows[i].program);
        uint8_t *copy = exact_copy(file.data, file.length);
        assert_int_equal(parse(copy, file.length, &err), GLOT_BAD_FORMAT);
        assert_string_equal(err.message, rows[i].sentence);
        free(copy);
        glot_str_release(&file);
    }
}

#define T(dtype, shape, offsets) "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

static const struct malformed {
    const char *header;
    size_t n_data;
    glot_status status;
    const char *sentence; /* or its start, where it ends in what jansson says */
} malformed[] = {
    {"{", 0, GLOT_BAD_FORMAT, "'x' is not valid JSON: line 1, column 1:"},
    {"{} {}", 0, GLOT_BAD_FORMAT, "'x' is not valid JSON: line 1, column 4:"},
    {"{\"a\":1,}", 0, GLOT_BAD_FORMAT, "'x' is not valid JSON: line 1, column 8:"},
    {"{\"\xff\":1}", 0, GLOT_BAD_FORMAT, "'x' is not valid JSON: line 1, column 2:"},
    {"{\"a\\u0000b\":1}", 0, GLOT_BAD_FORMAT, "'x' is not valid JSON: line 1, column 11:"},
    {"{\"a\":" T("F32", "[1]", "[0,4]") ",\"a\":" T("F32", "[1]", "[0,4]") "}", 4, GLOT_BAD_FORMAT,
     "'x' is not valid JSON: line 1, column"},
    {"{\"a\":" T("F32", "[99999999999999999999]", "[0,4]") "}", 4, GLOT_BAD_FORMAT,
     "'x' is not valid JSON: line 1, column"},
    {"{\"__metadata__\":[]}", 0, GLOT_BAD_FORMAT, "'x': __metadata__ is not an object"},
    {"{\"__metadata__\":{\"k\":1}}", 0, GLOT_BAD_FORMAT, "'x': __metadata__ value of 'k' is not a string"},
    {"{\"a\":[]}", 0, GLOT_BAD_FORMAT, "'x': entry of tensor 'a' is not an object"},
    {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, GLOT_BAD_FORMAT,
     "'x': tensor 'a' has no dtype string"},
    {"{\"a\":{\"dtype\":7,\"shape\":[1],\"data_offsets\":[0,4]}}", 4, GLOT_BAD_FORMAT,
     "'x': tensor 'a' has no dtype string"},
    {"{\"a\":" T("F8_E4M3", "[1]", "[0,1]") "}", 1, GLOT_UNSUPPORTED,
     "'x': dtype 'F8_E4M3' of tensor 'a' is none of F32, F16, BF16, F64, I32, I64, U8"},
    {"{\"a\":" T("", "[1]", "[0,1]") "}", 1, GLOT_UNSUPPORTED,
     "'x': dtype '' of tensor 'a' is none of F32, F16, BF16, F64, I32, I64, U8"},
    {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, GLOT_BAD_FORMAT,
     "'x': tensor 'a' has no shape array"},
    {"{\"a\":" T("F32", "[-1]", "[0,4]") "}", 4, GLOT_BAD_FORMAT,
     "'x': dimension 0 of tensor 'a' is not a count"},
    {"{\"a\":" T("F32", "[1,1.0]", "[0,4]") "}", 4, GLOT_BAD_FORMAT,
     "'x': dimension 1 of tensor 'a' is not a count"},
    {"{\"a\":" T("F32", "[1,1,1,1,1]", "[0,4]") "}", 4, GLOT_UNSUPPORTED,
     "'x': tensor 'a' has 5 dimensions, at most 4 are expected"},
    {"{\"a\":" T("F32", "[4294967296,4294967296]", "[0,4]") "}", 4, GLOT_BAD_FORMAT,
     "'x': tensor 'a' of F32 [4294967296, 4294967296] is larger than any file"},
    {"{\"a\":" T("F32", "[9223372036854775807]", "[0,4]") "}", 4, GLOT_BAD_FORMAT,
     "'x': tensor 'a' of F32 [9223372036854775807] is larger than any file"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, GLOT_BAD_FORMAT,
     "'x': data_offsets of tensor 'a' are not two counts"},
    {"{\"a\":" T("F32", "[1]", "[0]") "}", 4, GLOT_BAD_FORMAT,
     "'x': data_offsets of tensor 'a' are not two counts"},
    {"{\"a\":" T("F32", "[1]", "[0,4,8]") "}", 4, GLOT_BAD_FORMAT,
     "'x': data_offsets of tensor 'a' are not two counts"},
    {"{\"a\":" T("F32", "[1]", "[-4,0]") "}", 4, GLOT_BAD_FORMAT,
     "'x': data_offsets of tensor 'a' are not two counts"},
    {"{\"a\":" T("F32", "[1]", "[\"0\",4]") "}", 4, GLOT_BAD_FORMAT,
     "'x': data_offsets of tensor 'a' are not two counts"},
    {"{\"a\":" T("F32", "[1]", "[8,4]") "}", 8, GLOT_BAD_FORMAT,
     "'x': data_offsets [8, 4] of tensor 'a' run backwards"},
    {"{\"a\":" T("F32", "[2]", "[0,8]") "}", 7, GLOT_BAD_FORMAT,
     "'x': tensor 'a' ends at byte 8 of the data but the file has 7"},
    {"{\"a\":" T("F32", "[1]", "[0,9223372036854775807]") "}", 4, GLOT_BAD_FORMAT,
     "'x': tensor 'a' ends at byte 9223372036854775807 of the data but the file has 4"},
    {"{\"a\":" T("F32", "[2]", "[0,4]") "}", 4, GLOT_BAD_FORMAT,
     "'x': tensor 'a' of F32 [2] takes 8 bytes but its data_offsets [0, 4] hold 4"},
    {"{\"a\":" T("BF16", "[2,1]", "[0,8]") "}", 8, GLOT_BAD_FORMAT,
     "'x': tensor 'a' of BF16 [2, 1] takes 4 bytes but its data_offsets [0, 8] hold 8"},
    {"{\"a\":" T("F32", "[2]", "[0,8]") ",\"b\":" T("F32", "[2]", "[4,12]") "}", 12, GLOT_BAD_FORMAT,
     "'x': tensor 'b' starts at byte 4 of the data, inside tensor 'a' that ends at 8"},
    {"{\"a\":" T("F32", "[1]", "[0,4]") ",\"b\":" T("F32", "[1]", "[0,4]") "}", 4, GLOT_BAD_FORMAT,
     "'x': tensor 'b' starts at byte 0 of the data, inside tensor 'a' that ends at 4"},
    {"{\"a\":" T("F32", "[1]", "[0,4]") ",\"b\":" T("F32", "[0]", "[2,2]") "}", 4, GLOT_BAD_FORMAT,
     "'x': tensor 'b' starts at byte 2 of the data, inside tensor 'a' that ends at 4"},
    {"{\"a\":" T("F32", "[1]", "[0,4]") ",\"b\":" T("F32", "[1]", "[8,12]") "}", 12, GLOT_BAD_FORMAT,
     "'x': bytes 4 to 8 of the data, before tensor 'b', belong to no tensor"},
    {"{\"a\":" T("F32", "[1]", "[4,8]") "}", 8, GLOT_BAD_FORMAT,
     "'x': bytes 0 to 4 of the data, before tensor 'a', belong to no tensor"},
    {"{\"a\":" T("F32", "[1]", "[0,4]") "}", 6, GLOT_BAD_FORMAT,
     "'x': bytes 4 to 6 at the end of the data belong to no tensor"},
};

static void malformed_headers_get_their_sentences(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++) {
        const struct malformed *m = &malformed[i];
        glot_error err = {0};
        glot_str file = {0};
        make_file(&file, m->header, m->n_data, false);
        uint8_t *copy = exact_copy(file.data, file.length);
        assert_int_equal(parse(copy, file.length, &err), m->status);
        size_t n = strlen(m->sentence);
        bool is_start = strstr(m->sentence, "valid JSON") != NULL;
        if (strncmp(err.message, m->sentence, n) != 0 || (!is_start && err.message[n]))
            fail_msg("row %zu: got \"%s\", expected \"%s\"", i, err.message, m->sentence);
        free(copy);
        glot_str_release(&file);
    }
}

static void a_name_without_end_is_refused(void **state)
{
    (void)state;
    glot_error err = {0};
    glot_str header = {0}, file = {0};
    run_program(&header, "raw={\" chars=513 raw=\":1}");
    make_file(&file, header.data, 0, false);
    assert_int_equal(parse((const uint8_t *)file.data, file.length, &err), GLOT_BAD_FORMAT);
    assert_string_equal(err.message,
                        "'x': tensor name 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                        "aaaaa...' has 513 bytes, at most 512 are expected");
    glot_str_release(&header);
    glot_str_release(&file);
}

static void every_cut_is_noticed(void **state)
{
    (void)state;
    glot_str file = {0};
    make_file(&file, small_header, SMALL_DATA, true);
    check_every_cut(parse, file.data, file.length);
    glot_str_release(&file);
}

static void memory_that_ends_is_an_error(void **state)
{
    (void)state;
    glot_str file = {0};
    make_file(&file, small_header, SMALL_DATA, false); /* not padded: copies too */
    check_every_heap_failure(parse, file.data, file.length);
    glot_str_release(&file);
}

static void a_missing_file_is_named(void **state)
{
    (void)state;
    glot_error err = {0};
    glot_safetensors *s = NULL;
    assert_int_equal(glot_safetensors_open(&s, "/nowhere/at/all", &err), GLOT_NOT_FOUND);
    assert_non_null(strstr(err.message, "'/nowhere/at/all'"));
}

/* Two tensors of 5 GiB each in a file with holes: nothing but its header is ever read or on the disk. */
static void tensors_beyond_4_gib_have_their_place(void **state)
{
    (void)state;
    glot_error err = {0};
    glot_safetensors *s;
    char *dir = make_temp_dir(), *path = glot_path_join(dir, "large.safetensors");
    const off_t header = 256, bytes = INT64_C(5) << 30;
    glot_str start = {0};
    append_number(&start, 8, (uint64_t)header - 8);
    glot_str_printf(&start, "{\"a\":{\"dtype\":\"BF16\",\"shape\":[%jd],\"data_offsets\":[0,%jd]},",
                    bytes / 2, bytes);
    glot_str_printf(&start, "\"b\":{\"dtype\":\"U8\",\"shape\":[%jd],\"data_offsets\":[%jd,%jd]}}", bytes,
                    bytes, 2 * bytes);
    while (start.length < (size_t)header)
        glot_str_puts(&start, " ");
    assert_ok(glot_file_write(path, start.data, start.length, &err));
    assert_int_equal(truncate(path, header + 2 * bytes), 0);
    int fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, "\x2a", 1, header + 2 * bytes - 1), 1);
    close(fd);
    assert_ok(glot_safetensors_open(&s, path, &err));
    const glot_tensor *a = &glot_safetensors_find(s, "a")->tensor,
                      *b = &glot_safetensors_find(s, "b")->tensor;
    assert_int_equal((const char *)b->addr - (const char *)a->addr, bytes);
    assert_int_equal(((const uint8_t *)b->addr)[bytes - 1], 0x2a);
    glot_safetensors_close(s);
    glot_str_release(&start);
    glot_free(path);
    remove_temp_dir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensors_point_into_the_bytes),
        cmocka_unit_test(misaligned_tensors_are_copied),
        cmocka_unit_test(a_file_from_python_is_read),
        cmocka_unit_test(headers_without_tensors_are_fine),
        cmocka_unit_test(lying_lengths_get_their_sentences),
        cmocka_unit_test(malformed_headers_get_their_sentences),
        cmocka_unit_test(a_name_without_end_is_refused),
        cmocka_unit_test(every_cut_is_noticed),
        cmocka_unit_test(memory_that_ends_is_an_error),
        cmocka_unit_test(a_missing_file_is_named),
        cmocka_unit_test(tensors_beyond_4_gib_have_their_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
