/* tfevents.c: see tfevents.h for the layout. */
#include "job/tfevents.h"

#include <string.h>

enum { WIRE_VARINT = 0, WIRE_64BIT = 1, WIRE_BYTES = 2, WIRE_32BIT = 5 };
static const uint32_t MASK_DELTA = 0xa282ead8u;

uint32_t glot_crc32c(const void *bytes, size_t n)
{
    /* Bit by bit: a few hundred bytes a step need no table. */
    const uint8_t *p = bytes;
    uint32_t crc = ~0u;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (0x82f63b78u & (0u - (crc & 1u)));
    }
    return ~crc;
}

/* Masked, because a CRC of bytes that hold their own CRC is worth little. */
uint32_t glot_crc32c_masked(const void *bytes, size_t n)
{
    uint32_t crc = glot_crc32c(bytes, n);
    return ((crc >> 15) | (crc << 17)) + MASK_DELTA;
}

/* Little-endian, whatever the machine. */
static void put_fixed(glot_str *out, uint64_t value, size_t n_bytes)
{
    for (size_t i = 0; i < n_bytes; i++) {
        uint8_t byte = (uint8_t)(value >> (8 * i));
        glot_str_append(out, &byte, 1);
    }
}

static void put_varint(glot_str *out, uint64_t value)
{
    do {
        uint8_t byte = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        glot_str_append(out, &byte, 1);
        value >>= 7;
    } while (value);
}

static void put_key(glot_str *out, unsigned field, unsigned wire)
{
    put_varint(out, field << 3 | wire);
}

static void put_bytes(glot_str *out, unsigned field, const void *bytes, size_t n)
{
    put_key(out, field, WIRE_BYTES);
    put_varint(out, n);
    glot_str_append(out, bytes, n);
}

static void put_wall_time(glot_str *out, double wall_time)
{
    uint64_t bits;
    memcpy(&bits, &wall_time, sizeof bits);
    put_key(out, 1, WIRE_64BIT);
    put_fixed(out, bits, 8);
}

static void put_value(glot_str *out, const glot_tf_scalar *scalar)
{
    glot_str value = {0};
    uint32_t bits;
    memcpy(&bits, &scalar->value, sizeof bits);
    put_bytes(&value, 1, scalar->tag, strlen(scalar->tag));
    put_key(&value, 2, WIRE_32BIT);
    put_fixed(&value, bits, 4);
    out->failed = out->failed || value.failed;
    if (!value.failed)
        put_bytes(out, 1, value.data, value.length);
    glot_str_release(&value);
}

/* Frames a finished message, which is released. */
static void put_record(glot_str *out, glot_str *message)
{
    glot_str length = {0};
    put_fixed(&length, message->length, 8);
    out->failed = out->failed || message->failed || length.failed;
    if (!out->failed) {
        glot_str_append(out, length.data, 8);
        put_fixed(out, glot_crc32c_masked(length.data, 8), 4);
        glot_str_append(out, message->data, message->length);
        put_fixed(out, glot_crc32c_masked(message->data, message->length), 4);
    }
    glot_str_release(&length);
    glot_str_release(message);
}

void glot_tf_header(glot_str *out, double wall_time)
{
    static const char version[] = "brain.Event:2";
    glot_str event = {0};
    put_wall_time(&event, wall_time);
    put_bytes(&event, 3, version, sizeof version - 1);
    put_record(out, &event);
}

void glot_tf_event(glot_str *out, double wall_time, int64_t step, const glot_tf_scalar *scalars, size_t n)
{
    glot_str event = {0}, summary = {0};
    for (size_t i = 0; i < n; i++)
        put_value(&summary, &scalars[i]);
    put_wall_time(&event, wall_time);
    put_key(&event, 2, WIRE_VARINT);
    put_varint(&event, (uint64_t)step);
    event.failed = event.failed || summary.failed;
    if (!summary.failed)
        put_bytes(&event, 5, summary.data ? summary.data : "", summary.length);
    glot_str_release(&summary);
    put_record(out, &event);
}
