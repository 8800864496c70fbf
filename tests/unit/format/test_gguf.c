/* Reading GGUF: metadata of every type, tensors in their places, files that lie and files that are cut off.
 */
#include "format_util.h"

#include "format/gguf.h"

static glot_status parse(const uint8_t *bytes, size_t n, glot_error *err)
{
    glot_gguf *g = NULL;
    glot_status status = glot_gguf_parse(&g, bytes, n, "x", err);
    glot_gguf_close(g);
    return status;
}

/* Every value type once, arrays of each kind, an alignment of its own, and three tensors. The numbers are
 * type numbers of the format: 0-12 of values, 0 F32, 8 Q8_0, 30 BF16 of tensors. */
static const char whole_file[] =
    "raw=GGUF u32=3 u64=3 u64=21 "
    "str=general.alignment u32=4 u32=64 "
    "str=i.u8 u32=0 u8=200 str=i.i8 u32=1 u8=200 str=i.u16 u32=2 u16=60000 str=i.i16 u32=3 u16=60000 "
    "str=i.u32 u32=4 u32=4000000000 str=i.i32 u32=5 u32=4294967295 "
    "str=i.u64 u32=10 u64=9223372036854775807 str=i.big u32=10 u64=18446744073709551615 "
    "str=i.i64 u32=11 u64=18446744073709551614 "
    "str=r.f32 u32=6 f32=0.1 str=r.f64 u32=12 f64=-2.5e-300 "
    "str=b.true u32=7 u8=1 str=b.false u32=7 u8=0 "
    "str=s.text u32=8 str=Łódź str=s.empty u32=8 str= "
    "str=a.strings u32=9 u32=8 u64=3 str=one str= str=three "
    "str=a.ints u32=9 u32=5 u64=2 u32=7 u32=4294967289 "
    "str=a.reals u32=9 u32=12 u64=2 f64=0.5 f64=0.25 "
    "str=a.bools u32=9 u32=7 u64=2 u8=0 u8=1 "
    "str=a.none u32=9 u32=8 u64=0 "
    "str=w.f32 u32=2 u64=3 u64=2 u32=0 u64=0 "
    "str=w.q8 u32=2 u64=32 u64=2 u32=8 u64=64 "
    "str=w.bf16 u32=1 u64=2 u32=30 u64=192 "
    "align=64 f32=0 f32=1 f32=2 f32=3 f32=4 f32=5 align=64 zeros=68 align=64 u16=0x3f80 u16=0xc000";

static void open_whole_file(glot_gguf **g, glot_str *file)
{
    glot_error err = {0};
    run_program(file, whole_file);
    assert_ok(glot_gguf_parse(g, (const uint8_t *)file->data, file->length, "x", &err));
}

static void integers_of_every_width(void **state)
{
    (void)state;
    glot_error err = {0};
    glot_gguf *g;
    glot_str file = {0};
    open_whole_file(&g, &file);
    const struct {
        const char *key;
        int64_t value;
    } rows[] = {{"i.u8", 200},    {"i.i8", -56},         {"i.u16", 60000},
                {"i.i16", -5536}, {"i.u32", 4000000000}, {"i.i32", -1},
                {"i.i64", -2},    {"i.u64", INT64_MAX},  {"general.alignment", 64}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t value = 0;
        double real = 0;
        assert_ok(glot_gguf_int(g, rows[i].key, &value, &err));
        assert_int_equal(value, rows[i].value);
        assert_ok(glot_gguf_real(g, rows[i].key, &real, &err));
        assert_true(real == (double)rows[i].value);
    }
    int64_t value;
    double real;
    assert_int_equal(glot_gguf_int(g, "i.big", &value, &err), GLOT_BAD_VALUE);
    assert_string_equal(err.message,
                        "'x': metadata key 'i.big' is 18446744073709551615, at most 9223372036854775807 is "
                        "expected");
    assert_ok(glot_gguf_real(g, "i.big", &real, &err));
    assert_true(real == 0x1p64);
    glot_gguf_close(g);
    glot_gguf_close(NULL);
    glot_str_release(&file);
}

static void reals_bools_and_strings(void **state)
{
    (void)state;
    glot_error err = {0};
    glot_gguf *g;
    glot_str file = {0};
    double real;
    bool yes, no;
    const char *text, *empty;
    open_whole_file(&g, &file);
    assert_ok(glot_gguf_real(g, "r.f32", &real, &err));
    assert_true(real == (double)0.1f);
    assert_ok(glot_gguf_real(g, "r.f64", &real, &err));
    assert_true(real == -2.5e-300);
    assert_ok(glot_gguf_bool(g, "b.true", &yes, &err));
    assert_ok(glot_gguf_bool(g, "b.false", &no, &err));
    assert_true(yes && !no);
    assert_ok(glot_gguf_string(g, "s.text", &text, &err));
    assert_ok(glot_gguf_string(g, "s.empty", &empty, &err));
    assert_string_equal(text, "Łódź");
    assert_string_equal(empty, "");
    glot_gguf_close(g);
    glot_str_release(&file);
}

static void arrays_of_every_kind(void **state)
{
    (void)state;
    glot_error err = {0};
    glot_gguf *g;
    glot_str file = {0};
    size_t n;
    const char *const *strings;
    const int64_t *ints;
    const float *reals;
    open_whole_file(&g, &file);
    assert_ok(glot_gguf_strings(g, "a.strings", &strings, &n, &err));
    assert_int_equal(n, 3);
    assert_string_equal(strings[0], "one");
    assert_string_equal(strings[1], "");
    assert_string_equal(strings[2], "three");
    assert_ok(glot_gguf_ints(g, "a.ints", &ints, &n, &err));
    assert_true(n == 2 && ints[0] == 7 && ints[1] == -7);
    assert_ok(glot_gguf_reals(g, "a.reals", &reals, &n, &err));
    assert_true(n == 2 && reals[0] == 0.5f && reals[1] == 0.25f);
    assert_ok(glot_gguf_strings(g, "a.none", &strings, &n, &err));
    assert_int_equal(n, 0);
    glot_gguf_close(g);
    glot_str_release(&file);
}

static void wrong_types_get_their_sentences(void **state)
{
    (void)state;
    glot_gguf *g;
    glot_str file = {0};
    int64_t i;
    double r;
    bool b;
    const char *s;
    const char *const *strings;
    const int64_t *ints;
    const float *reals;
    size_t n;
    open_whole_file(&g, &file);
#define CHECK(call, sentence)                                                                                \
    do {                                                                                                     \
        glot_error err = {0};                                                                                \
        assert_int_equal(call, GLOT_BAD_FORMAT);                                                             \
        assert_string_equal(err.message, sentence);                                                          \
    } while (0)
    CHECK(glot_gguf_int(g, "nothing", &i, &err), "'x': metadata key 'nothing' is missing");
    CHECK(glot_gguf_string(g, "", &s, &err), "'x': metadata key '' is missing");
    CHECK(glot_gguf_int(g, "r.f32", &i, &err),
          "'x': metadata key 'r.f32' is of type float32, expected an integer");
    CHECK(glot_gguf_int(g, "b.true", &i, &err),
          "'x': metadata key 'b.true' is of type bool, expected an integer");
    CHECK(glot_gguf_int(g, "a.ints", &i, &err),
          "'x': metadata key 'a.ints' is an array of int32, expected an integer");
    CHECK(glot_gguf_real(g, "s.text", &r, &err),
          "'x': metadata key 's.text' is of type string, expected a number");
    CHECK(glot_gguf_real(g, "a.reals", &r, &err),
          "'x': metadata key 'a.reals' is an array of float64, expected a number");
    CHECK(glot_gguf_bool(g, "i.u8", &b, &err), "'x': metadata key 'i.u8' is of type uint8, expected a bool");
    CHECK(glot_gguf_bool(g, "a.bools", &b, &err),
          "'x': metadata key 'a.bools' is an array of bool, expected a bool");
    CHECK(glot_gguf_string(g, "a.strings", &s, &err),
          "'x': metadata key 'a.strings' is an array of string, expected a string");
    CHECK(glot_gguf_strings(g, "s.text", &strings, &n, &err),
          "'x': metadata key 's.text' is of type string, expected an array of strings");
    CHECK(glot_gguf_ints(g, "a.bools", &ints, &n, &err),
          "'x': metadata key 'a.bools' is an array of bool, expected an array of integers");
    CHECK(glot_gguf_reals(g, "a.ints", &reals, &n, &err),
          "'x': metadata key 'a.ints' is an array of int32, expected an array of reals");
    CHECK(glot_gguf_reals(g, "r.f32", &reals, &n, &err),
          "'x': metadata key 'r.f32' is of type float32, expected an array of reals");
#undef CHECK
    glot_gguf_close(g);
    glot_str_release(&file);
}

static void tensors_have_their_places_and_shapes(void **state)
{
    (void)state;
    glot_gguf *g;
    glot_str file = {0};
    open_whole_file(&g, &file);
    assert_int_equal(glot_gguf_count(g), 3);
    assert_string_equal(glot_gguf_path(g), "x");
    const glot_stored_tensor *f32 = glot_gguf_find(g, "w.f32"), *q8 = glot_gguf_find(g, "w.q8");
    const glot_stored_tensor *bf16 = glot_gguf_find(g, "w.bf16");
    assert_true(f32 && q8 && bf16 && !glot_gguf_find(g, "w"));
    assert_ptr_equal(glot_gguf_at(g, 0), f32);
    assert_ptr_equal(glot_gguf_at(g, 2), bf16);
    assert_string_equal(f32->file, "x");
    assert_true(f32->tensor.n_dims == 2 && f32->tensor.shape[0] == 2 && f32->tensor.shape[1] == 3);
    assert_true(q8->tensor.dtype == GLOT_Q8_0 && q8->tensor.shape[0] == 2 && q8->tensor.shape[1] == 32);
    const char *data = file.data + file.length - 196;
    assert_int_equal((data - file.data) % 64, 0);
    assert_ptr_equal(f32->tensor.addr, data);
    assert_ptr_equal(q8->tensor.addr, data + 64);
    assert_ptr_equal(bf16->tensor.addr, data + 192);
    assert_true(((const float *)f32->tensor.addr)[5] == 5.0f);
    float out[2];
    glot_dequantize(out, bf16->tensor.addr, GLOT_BF16, 2);
    assert_true(out[0] == 1.0f && out[1] == -2.0f);
    glot_gguf_close(g);
    glot_str_release(&file);
}

static void keys_are_printed_in_file_order(void **state)
{
    (void)state;
    const struct {
        const char *key, *text;
    } rows[] = {{"general.alignment", "64"},
                {"i.u8", "200"},
                {"i.i8", "-56"},
                {"i.u16", "60000"},
                {"i.i16", "-5536"},
                {"i.u32", "4000000000"},
                {"i.i32", "-1"},
                {"i.u64", "9223372036854775807"},
                {"i.big", "18446744073709551615"},
                {"i.i64", "-2"},
                {"r.f32", "0.100000001"},
                {"r.f64", "-2.5e-300"},
                {"b.true", "true"},
                {"b.false", "false"},
                {"s.text", "\"Łódź\""},
                {"s.empty", "\"\""},
                {"a.strings", "[3 strings]"},
                {"a.ints", "[2 int32s]"},
                {"a.reals", "[2 float64s]"},
                {"a.bools", "[2 bools]"},
                {"a.none", "[0 strings]"}};
    glot_gguf *g;
    glot_str file = {0};
    open_whole_file(&g, &file);
    assert_int_equal(glot_gguf_n_keys(g), sizeof rows / sizeof rows[0]);
    for (size_t i = 0; i < glot_gguf_n_keys(g); i++) {
        glot_str text = {0};
        glot_gguf_print_value(g, i, &text);
        assert_string_equal(glot_gguf_key(g, i), rows[i].key);
        assert_string_equal(text.data, rows[i].text);
        assert_true(glot_gguf_has(g, rows[i].key));
        glot_str_release(&text);
    }
    assert_false(glot_gguf_has(g, "a"));
    glot_gguf_close(g);
    glot_str_release(&file);
}

/* Long strings are cut between code points; what is not UTF-8 is counted. */
static void long_and_odd_strings_are_printed_short(void **state)
{
    (void)state;
    const struct {
        const char *value, *text;
    } rows[] = {
        {"chars=59 u16=0xb1ce chars=3", "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"..."},
        {"chars=58 u16=0xb1ce chars=3", "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaα\"..."},
        {"chars=60", "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\""},
        {"u8=10 u8=34", "\"\\n\\\"\""},
        {"u8=255 u8=97", "(2 bytes that are not UTF-8)"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        glot_error err = {0};
        glot_gguf *g;
        glot_str value = {0}, file = {0}, text = {0};
        run_program(&value, rows[i].value);
        run_program(&file, "raw=GGUF u32=3 u64=0 u64=1 str=key u32=8");
        append_number(&file, 8, value.length);
        glot_str_append(&file, value.data, value.length);
        assert_ok(glot_gguf_parse(&g, (const uint8_t *)file.data, file.length, "x", &err));
        glot_gguf_print_value(g, 0, &text);
        assert_string_equal(text.data, rows[i].text);
        glot_gguf_close(g);
        glot_str_release(&value);
        glot_str_release(&file);
        glot_str_release(&text);
    }
}

/* Written by the gguf package (tools/formats/make_golden.py): metadata, and a tensor of every type. */
static void a_file_from_python_is_read(void **state)
{
    (void)state;
    glot_error err = {0};
    glot_gguf *g;
    int64_t value;
    double real;
    const char *text;
    const char *const *tokens;
    const float *scores;
    size_t n;
    assert_ok(glot_gguf_open(&g, GOLDEN_DIR "python.gguf", &err));
    assert_ok(glot_gguf_int(g, "test.large", &value, &err));
    assert_int_equal(value, INT64_C(1) << 40);
    assert_ok(glot_gguf_int(g, "test.small", &value, &err));
    assert_int_equal(value, -3);
    assert_ok(glot_gguf_real(g, "llama.rope.freq_base", &real, &err));
    assert_true(real == 10000.0);
    assert_ok(glot_gguf_string(g, "general.name", &text, &err));
    assert_string_equal(text, "tiny ñandú");
    assert_ok(glot_gguf_strings(g, "tokenizer.ggml.tokens", &tokens, &n, &err));
    assert_true(n == 3 && strcmp(tokens[1], "▁a") == 0);
    assert_ok(glot_gguf_reals(g, "tokenizer.ggml.scores", &scores, &n, &err));
    assert_true(n == 3 && scores[2] == -2.25f);
    const glot_dtype types[] = {GLOT_F32,  GLOT_Q4_0, GLOT_Q4_1, GLOT_Q5_0, GLOT_Q5_1, GLOT_Q8_0,
                                GLOT_Q4_K, GLOT_Q5_K, GLOT_Q6_K, GLOT_BF16, GLOT_F16};
    assert_int_equal(glot_gguf_count(g), 11);
    for (size_t i = 0; i < 11; i++) {
        const glot_tensor *t = &glot_gguf_at(g, i)->tensor;
        assert_int_equal(t->dtype, types[i]);
        assert_int_equal(t->n_dims, 2);
        assert_int_equal(t->shape[0], i == 0 ? 2 : 3);
    }
    const float *first = glot_gguf_find(g, "blk.0.f32.weight")->tensor.addr;
    assert_true(first[0] == 0.0f && first[5] == 5.0f);
    glot_gguf_close(g);
}

/* Odd but right: version 2, no tensors, no padding behind the last tensor, a scalar, an empty tensor, bytes
 * behind. */
static void unusual_files_are_read(void **state)
{
    (void)state;
    const char *const programs[] = {
        "raw=GGUF u32=2 u64=0 u64=0",
        "raw=GGUF u32=3 u64=1 u64=0 str=w u32=1 u64=1 u32=0 u64=0 align=32 f32=1",
        "raw=GGUF u32=3 u64=1 u64=0 str=w u32=0 u32=0 u64=0 align=32 f32=1",
        "raw=GGUF u32=3 u64=1 u64=0 str=w u32=1 u64=1 u32=0 u64=0 align=32 f32=1 zeros=100",
        "raw=GGUF u32=3 u64=2 u64=0 str=w u32=2 u64=7 u64=0 u32=0 u64=0 str=v u32=1 u64=1 u32=0 u64=0 "
        "align=32 f32=1",
        "raw=GGUF u32=3 u64=1 u64=0 str=w u32=1 u64=0 u32=0 u64=0",
        "raw=GGUF u32=3 u64=1 u64=1 str=general.alignment u32=4 u32=8 str=w u32=1 u64=1 u32=0 u64=0 align=8 "
        "f32=1",
    };
    for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++) {
        glot_error err = {0};
        glot_str file = {0};
        run_program(&file, programs[i]);
        uint8_t *copy = exact_copy(file.data, file.length);
        assert_ok(parse(copy, file.length, &err));
        free(copy);
        glot_str_release(&file);
    }
}

#define HEAD "raw=GGUF u32=3 "
#define ONE_KEY HEAD "u64=0 u64=1 "
#define ONE_TENSOR HEAD "u64=1 u64=0 "

static const struct malformed {
    const char *program;
    glot_status status;
    const char *sentence;
} malformed[] = {
    /* the header */
    {"", GLOT_BAD_FORMAT, "'x' does not start with 'GGUF'"},
    {"raw=GGML u32=3 u64=0 u64=0", GLOT_BAD_FORMAT, "'x' does not start with 'GGUF'"},
    {"raw=GGUF u16=3", GLOT_BAD_FORMAT,
     "'x': the file ends at byte 6, but the version has 4 more bytes at byte 4"},
    {"raw=GGUF u32=1 u64=0 u64=0", GLOT_BAD_VERSION, "'x' is GGUF version 1, expected 2 or 3"},
    {"raw=GGUF u32=4 u64=0 u64=0", GLOT_BAD_VERSION, "'x' is GGUF version 4, expected 2 or 3"},
    {"raw=GGUF u32=0 u64=0 u64=0", GLOT_BAD_VERSION, "'x' is GGUF version 0, expected 2 or 3"},
    {"raw=GGUF u32=0x03000000 u64=0 u64=0", GLOT_UNSUPPORTED,
     "'x' is a big-endian GGUF file, expected a little-endian one"},
    {HEAD "u64=18446744073709551615 u64=0", GLOT_BAD_FORMAT,
     "'x': 18446744073709551615 tensors are announced, but only 0 bytes follow the metadata"},
    {HEAD "u64=0 u64=18446744073709551615 zeros=100", GLOT_BAD_FORMAT,
     "'x': 18446744073709551615 metadata keys are announced, but only 100 bytes follow"},
    {HEAD "u64=0 u64=3 zeros=41", GLOT_BAD_FORMAT,
     "'x': 3 metadata keys are announced, but only 41 bytes follow"},
    /* keys and values */
    {ONE_KEY "str= u32=4 u32=1 zeros=9", GLOT_BAD_FORMAT,
     "'x': the name of metadata key 0 has 0 bytes, expected 1 to 65535"},
    {ONE_KEY "u64=65536 chars=65536 u32=4 u32=1", GLOT_BAD_FORMAT,
     "'x': the name of metadata key 0 has 65536 bytes, expected 1 to 65535"},
    {ONE_KEY "u64=18446744073709551615 raw=key u32=4 u32=1", GLOT_BAD_FORMAT,
     "'x': the file ends at byte 43, but metadata key 0 has 18446744073709551615 more bytes at byte 32"},
    {ONE_KEY "u64=3 raw=k u8=10 raw=y u32=4 u32=1", GLOT_BAD_FORMAT,
     "'x': the name of metadata key 0 has byte 0x0a at 1, expected printable ASCII"},
    {ONE_KEY "u64=3 raw=k u8=0 raw=y u32=4 u32=1", GLOT_BAD_FORMAT,
     "'x': a string of metadata key 0 has a zero byte in it"},
    {ONE_KEY "str=key u32=13 u32=1", GLOT_BAD_FORMAT,
     "'x': the value of key 'key' has type 13, expected 0 to 12"},
    {ONE_KEY "str=key u32=4294967295 u32=1", GLOT_BAD_FORMAT,
     "'x': the value of key 'key' has type 4294967295, expected 0 to 12"},
    {ONE_KEY "str=key u32=11 u32=1", GLOT_BAD_FORMAT,
     "'x': the file ends at byte 43, but the value of key 'key' has 8 more bytes at byte 39"},
    {ONE_KEY "str=key u32=7 u8=2", GLOT_BAD_FORMAT,
     "'x': the value of key 'key' has a bool of value 2, expected 0 or 1"},
    {ONE_KEY "str=key u32=8 u64=4 raw=abc", GLOT_BAD_FORMAT,
     "'x': the file ends at byte 50, but the value of key 'key' has 4 more bytes at byte 47"},
    {ONE_KEY "str=key u32=8 u64=3 raw=a u8=0 raw=c", GLOT_BAD_FORMAT,
     "'x': a string of the value of key 'key' has a zero byte in it"},
    {ONE_KEY "str=key u32=9 u32=9 u64=1 u32=4 u64=0", GLOT_UNSUPPORTED,
     "'x': the value of key 'key' is an array of arrays, expected numbers, bools or strings"},
    {ONE_KEY "str=key u32=9 u32=99 u64=0", GLOT_BAD_FORMAT,
     "'x': the value of key 'key' has type 99, expected 0 to 12"},
    {ONE_KEY "str=key u32=9 u32=4 u64=3 u32=1 u32=2", GLOT_BAD_FORMAT,
     "'x': the value of key 'key' has 3 elements of at least 4 bytes, but only 8 bytes follow"},
    {ONE_KEY "str=key u32=9 u32=10 u64=0x2000000000000001 u64=0", GLOT_BAD_FORMAT,
     "'x': the value of key 'key' has 2305843009213693953 elements of at least 8 bytes, but only 8 bytes "
     "follow"},
    {ONE_KEY "str=key u32=9 u32=8 u64=2 str=abcdefgh u32=1", GLOT_BAD_FORMAT,
     "'x': the file ends at byte 71, but the value of key 'key' has 8 more bytes at byte 67"},
    {ONE_KEY "str=key u32=9 u32=7 u64=2 u8=1 u8=7", GLOT_BAD_FORMAT,
     "'x': the value of key 'key' has a bool of value 7, expected 0 or 1"},
    {HEAD "u64=0 u64=2 str=key u32=4 u32=1 str=key u32=4 u32=1", GLOT_BAD_FORMAT,
     "'x': key 'key' is there twice"},
    {ONE_KEY "str=general.alignment u32=4 u32=0", GLOT_BAD_VALUE,
     "'x': general.alignment is 0, expected a power of two from 8 up"},
    {ONE_KEY "str=general.alignment u32=4 u32=48", GLOT_BAD_VALUE,
     "'x': general.alignment is 48, expected a power of two from 8 up"},
    {ONE_KEY "str=general.alignment u32=10 u64=0x8000000000", GLOT_BAD_VALUE,
     "'x': general.alignment is 549755813888, expected a power of two from 8 up"},
    {ONE_KEY "str=general.alignment u32=8 str=32", GLOT_BAD_FORMAT,
     "'x': metadata key 'general.alignment' is of type string, expected an integer"},
    /* tensors */
    {ONE_TENSOR "str= u32=1 u64=1 u32=0 u64=0", GLOT_BAD_FORMAT,
     "'x': the name of tensor info 0 has 0 bytes, expected 1 to 512"},
    {ONE_TENSOR "u64=513 chars=513 u32=1 u64=1 u32=0 u64=0", GLOT_BAD_FORMAT,
     "'x': the name of tensor info 0 has 513 bytes, expected 1 to 512"},
    {ONE_TENSOR "str=ü u32=1 u64=1 u32=0 u64=0", GLOT_BAD_FORMAT,
     "'x': the name of tensor info 0 has byte 0xc3 at 0, expected printable ASCII"},
    {ONE_TENSOR "str=w u32=5 zeros=100", GLOT_BAD_FORMAT,
     "'x': tensor 'w' has 5 dimensions, at most 4 are expected"},
    {ONE_TENSOR "str=w u32=4 u64=1 u64=1", GLOT_BAD_FORMAT,
     "'x': the file ends at byte 53, but tensor 'w' has 8 more bytes at byte 53"},
    {ONE_TENSOR "str=w u32=1 u64=0x8000000000000000 u32=0 u64=0", GLOT_BAD_FORMAT,
     "'x': tensor 'w' has a dimension of 9223372036854775808, which is larger than any file"},
    {ONE_TENSOR "str=w u32=1 u64=1 u32=4 u64=0", GLOT_UNSUPPORTED,
     "'x': tensor 'w' has type 4 (unknown), which is not supported"},
    {ONE_TENSOR "str=w u32=1 u64=256 u32=10 u64=0", GLOT_UNSUPPORTED,
     "'x': tensor 'w' has type 10 (Q2_K), which is not supported"},
    {ONE_TENSOR "str=w u32=1 u64=256 u32=4294967295 u64=0", GLOT_UNSUPPORTED,
     "'x': tensor 'w' has type 4294967295 (unknown), which is not supported"},
    {ONE_TENSOR "str=w u32=2 u64=16 u64=2 u32=2 u64=0 align=32 zeros=18", GLOT_BAD_FORMAT,
     "'x': tensor 'w' has rows of 16 elements, expected whole Q4_0 blocks of 32"},
    {ONE_TENSOR "str=w u32=0 u32=12 u64=0 align=32 zeros=144", GLOT_BAD_FORMAT,
     "'x': tensor 'w' has rows of 1 elements, expected whole Q4_K blocks of 256"},
    {ONE_TENSOR "str=w u32=2 u64=0x100000000 u64=0x100000000 u32=0 u64=0", GLOT_BAD_FORMAT,
     "'x': tensor 'w' of F32 [4294967296, 4294967296] is larger than any file"},
    {ONE_TENSOR "str=w u32=1 u64=0x7fffffffffffffff u32=0 u64=0", GLOT_BAD_FORMAT,
     "'x': tensor 'w' of F32 [9223372036854775807] is larger than any file"},
    {ONE_TENSOR "str=w u32=1 u64=1 u32=0 u64=32 align=32 zeros=64", GLOT_BAD_FORMAT,
     "'x': tensor 'w' starts at byte 32 of the data, expected 0"},
    {ONE_TENSOR "str=w u32=1 u64=2 u32=0 u64=0 align=32 f32=1", GLOT_BAD_FORMAT,
     "'x': tensor 'w' has 8 bytes from byte 64 on but the file has 68 bytes"},
    {ONE_TENSOR "str=w u32=1 u64=1 u32=0 u64=0", GLOT_BAD_FORMAT,
     "'x': tensor 'w' has 4 bytes from byte 64 on but the file has 57 bytes"},
    {HEAD "u64=2 u64=0 str=v u32=1 u64=1 u32=0 u64=0 str=w u32=1 u64=1 u32=0 u64=0 align=32 zeros=64",
     GLOT_BAD_FORMAT, "'x': tensor 'w' starts at byte 0 of the data, expected 32"},
    {HEAD "u64=2 u64=0 str=v u32=1 u64=1 u32=0 u64=0 str=w u32=1 u64=1 u32=0 u64=4 align=32 zeros=64",
     GLOT_BAD_FORMAT, "'x': tensor 'w' starts at byte 4 of the data, expected 32"},
    {HEAD "u64=2 u64=0 str=v u32=1 u64=1 u32=0 u64=0 str=w u32=1 u64=1 u32=0 u64=18446744073709551584 "
          "align=32 zeros=64",
     GLOT_BAD_FORMAT, "'x': tensor 'w' starts at byte 18446744073709551584 of the data, expected 32"},
    {HEAD "u64=2 u64=0 str=w u32=1 u64=1 u32=0 u64=0 str=w u32=1 u64=1 u32=0 u64=32 align=32 zeros=64",
     GLOT_BAD_FORMAT, "'x': two tensors are called 'w'"},
    {HEAD "u64=3 u64=0 str=v u32=1 u64=1 u32=0 u64=0", GLOT_BAD_FORMAT,
     "'x': 3 tensors are announced, but only 33 bytes follow the metadata"},
    {HEAD "u64=2 u64=0 str=v u32=1 u64=1 u32=0 u64=0 align=32 zeros=18", GLOT_BAD_FORMAT,
     "'x': the name of tensor info 1 has 0 bytes, expected 1 to 512"},
};

static void malformed_files_get_their_sentences(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++) {
        glot_error err = {0};
        glot_str file = {0};
        run_program(&file, malformed[i].program);
        uint8_t *copy = exact_copy(file.data, file.length);
        glot_status status = parse(copy, file.length, &err);
        if (status != malformed[i].status || strcmp(err.message, malformed[i].sentence) != 0)
            fail_msg("row %zu: %s \"%s\", expected %s \"%s\"", i, glot_status_name(status), err.message,
                     glot_status_name(malformed[i].status), malformed[i].sentence);
        free(copy);
        glot_str_release(&file);
    }
}

static void every_cut_is_noticed(void **state)
{
    (void)state;
    glot_str file = {0};
    run_program(&file, whole_file);
    check_every_cut(parse, file.data, file.length);
    glot_str_release(&file);
}

static void memory_that_ends_is_an_error(void **state)
{
    (void)state;
    glot_str file = {0};
    run_program(&file, whole_file);
    check_every_heap_failure(parse, file.data, file.length);
    glot_str_release(&file);
}

static void files_are_told_apart(void **state)
{
    (void)state;
    glot_error err = {0};
    glot_gguf *g = NULL;
    glot_str file = {0};
    char *dir = make_temp_dir(), *path = glot_path_join(dir, "a");
    run_program(&file, whole_file);
    assert_ok(glot_file_write(path, file.data, file.length, &err));
    assert_true(glot_gguf_is_file(path));
    assert_ok(glot_gguf_open(&g, path, &err));
    assert_string_equal(glot_gguf_path(g), path);
    assert_int_equal((uintptr_t)glot_gguf_at(g, 0)->tensor.addr % 64, 0);
    glot_gguf_close(g);
    assert_ok(glot_file_write(path, "GGU", 3, &err));
    assert_false(glot_gguf_is_file(path));
    assert_ok(glot_file_write(path, "", 0, &err));
    assert_false(glot_gguf_is_file(path));
    assert_int_equal(glot_gguf_open(&g, path, &err), GLOT_BAD_FORMAT);
    assert_false(glot_gguf_is_file(dir));
    assert_false(glot_gguf_is_file("/nowhere/at/all"));
    assert_int_equal(glot_gguf_open(&g, "/nowhere/at/all", &err), GLOT_NOT_FOUND);
    glot_free(path);
    glot_str_release(&file);
    remove_temp_dir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_of_every_width),
        cmocka_unit_test(reals_bools_and_strings),
        cmocka_unit_test(arrays_of_every_kind),
        cmocka_unit_test(wrong_types_get_their_sentences),
        cmocka_unit_test(tensors_have_their_places_and_shapes),
        cmocka_unit_test(keys_are_printed_in_file_order),
        cmocka_unit_test(long_and_odd_strings_are_printed_short),
        cmocka_unit_test(a_file_from_python_is_read),
        cmocka_unit_test(unusual_files_are_read),
        cmocka_unit_test(malformed_files_get_their_sentences),
        cmocka_unit_test(every_cut_is_noticed),
        cmocka_unit_test(memory_that_ends_is_an_error),
        cmocka_unit_test(files_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
