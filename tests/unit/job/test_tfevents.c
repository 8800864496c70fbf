/* test_tfevents.c: the event file's bytes against those of TensorBoard's own writer
 * (tools/job/golden_tfevents.py), and CRC-32C. */
#include "base/file.h"
#include "base/memory.h"
#include "job/tfevents.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void test_crc(void **state)
{
    (void)state;
    /* RFC 3720, appendix B.4 */
    uint8_t bytes[32] = {0};
    assert_int_equal(glot_crc32c(bytes, 32), 0x8a9136aau);
    memset(bytes, 0xff, 32);
    assert_int_equal(glot_crc32c(bytes, 32), 0x62a8ab43u);
    assert_int_equal(glot_crc32c("123456789", 9), 0xe3069283u);
}

static void test_golden(void **state)
{
    (void)state;
    const glot_tf_scalar first[] = {{"train/loss", 2.5f}, {"train/lr", 0.0005f}},
                         second[] = {{"bits_per_byte/el", 1.0f / 3.0f}};
    glot_str out = {0};
    char *golden = NULL;
    size_t size = 0;
    glot_error err = {0};
    glot_tf_header(&out, 1234567890.0);
    glot_tf_event(&out, 1234567890.25, 1, first, 2);
    glot_tf_event(&out, 1234567891.5, 300, second, 1);
    glot_tf_event(&out, 1234567892.0, INT64_C(1) << 40, NULL, 0);
    assert_false(out.failed);
    if (glot_file_read(&golden, &size, GLOT_SOURCE_DIR "/tests/golden/job/tfevents.bin", 1 << 20, &err) !=
        GLOT_OK)
        fail_msg("%s", err.message);
    assert_int_equal(out.length, size);
    assert_memory_equal(out.data, golden, size);
    glot_free(golden);
    glot_str_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_crc), cmocka_unit_test(test_golden)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
