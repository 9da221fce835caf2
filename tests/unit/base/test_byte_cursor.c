/* SPDX-License-Identifier: Apache-2.0 */
#include "glancefs/byte_cursor.h"

#include "support/testing.h"

#include <stdlib.h>

static const uint8_t sample[] = {0x00, 0x01, 0x7f, 0x80, 0xfe, 0xff, 0x12, 0x34, 0x56, 0x78};

static void starts_at_the_first_byte(void **state)
{
    const struct byte_cursor cursor = byte_cursor_over(sample, sizeof sample);

    (void)state;
    assert_ptr_equal(cursor.bytes, sample);
    assert_int_equal(cursor.position, 0);
    assert_int_equal(byte_cursor_remaining(&cursor), sizeof sample);
}

static void numbers_are_big_endian_and_unsigned(void **state)
{
    static const uint8_t bytes[] = {0xff, 0x80, 0x01, 0xff, 0xfe, 0xfd, 0xfc};
    struct byte_cursor cursor = byte_cursor_over(bytes, sizeof bytes);
    struct error err = ERROR_INIT;
    uint8_t u8;
    uint16_t u16;
    uint32_t u32;

    (void)state;
    assert_succeeds(byte_cursor_u8(&cursor, &u8, &err));
    assert_int_equal(u8, 0xff);
    assert_succeeds(byte_cursor_u16(&cursor, &u16, &err));
    assert_int_equal(u16, 0x8001);
    assert_succeeds(byte_cursor_u32(&cursor, &u32, &err));
    assert_int_equal(u32, UINT32_C(0xfffefdfc));
    assert_succeeds(byte_cursor_finish(&cursor, &err));
}

/* The bytes lie at the end of a heap block: a sanitizer sees a read past them. */
static void every_truncation_fails_and_consumes_nothing(void **state)
{
    struct error err = ERROR_INIT;

    (void)state;
    for (size_t size = 0; size <= 4; size++) {
        uint8_t *bytes = malloc(size == 0 ? 1 : size);
        struct byte_cursor cursor = byte_cursor_over(bytes, size);
        uint8_t u8 = 0xaa, copy[8] = {0xaa};
        uint16_t u16 = 0xaaaa;
        uint32_t u32 = 0xaaaaaaaa;
        const uint8_t *taken = sample;

        assert_non_null(bytes);
        memset(bytes, 1, size);
        if (size < 1)
            assert_fails(ERROR_CORRUPT, byte_cursor_u8(&cursor, &u8, &err));
        if (size < 2)
            assert_fails(ERROR_CORRUPT, byte_cursor_u16(&cursor, &u16, &err));
        if (size < 4)
            assert_fails(ERROR_CORRUPT, byte_cursor_u32(&cursor, &u32, &err));
        assert_fails(ERROR_CORRUPT, byte_cursor_take(&cursor, size + 1, &taken, &err));
        assert_fails(ERROR_CORRUPT, byte_cursor_copy(&cursor, copy, size + 1, &err));
        assert_int_equal(cursor.position, 0);
        assert_int_equal(byte_cursor_remaining(&cursor), size);
        assert_int_equal(copy[0], 0xaa);
        free(bytes);
    }
}

static void sizes_near_the_end_of_the_address_space_do_not_wrap(void **state)
{
    static const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - 4, SIZE_MAX / 2 + 1, 11};
    struct byte_cursor cursor = byte_cursor_over(sample, sizeof sample);
    struct error err = ERROR_INIT;
    const uint8_t *taken;
    uint8_t out[16];
    uint32_t skipped;

    (void)state;
    assert_succeeds(byte_cursor_u32(&cursor, &skipped, &err));
    for (size_t i = 0; i < ELEMENTS_OF(sizes); i++) {
        assert_fails(ERROR_CORRUPT, byte_cursor_take(&cursor, sizes[i], &taken, &err));
        assert_fails(ERROR_CORRUPT, byte_cursor_copy(&cursor, out, sizes[i], &err));
        assert_int_equal(cursor.position, 4);
    }
}

static void take_borrows_and_steps_over(void **state)
{
    struct byte_cursor cursor = byte_cursor_over(sample, sizeof sample);
    struct error err = ERROR_INIT;
    const uint8_t *taken = NULL;

    (void)state;
    assert_succeeds(byte_cursor_take(&cursor, 3, &taken, &err));
    assert_ptr_equal(taken, sample);
    assert_succeeds(byte_cursor_take(&cursor, 7, &taken, &err));
    assert_ptr_equal(taken, sample + 3);
    assert_int_equal(byte_cursor_remaining(&cursor), 0);
}

static void copy_copies_exactly(void **state)
{
    struct byte_cursor cursor = byte_cursor_over(sample, sizeof sample);
    struct error err = ERROR_INIT;
    uint8_t out[6];

    (void)state;
    memset(out, 0xaa, sizeof out);
    assert_succeeds(byte_cursor_copy(&cursor, out, 5, &err));
    assert_memory_equal(out, sample, 5);
    assert_int_equal(out[5], 0xaa);
    assert_int_equal(cursor.position, 5);
}

static void reading_nothing_succeeds_anywhere(void **state)
{
    struct byte_cursor empty = byte_cursor_over(NULL, 0);
    struct byte_cursor cursor = byte_cursor_over(sample, 1);
    struct error err = ERROR_INIT;
    const uint8_t *taken;
    uint8_t byte = 0xaa;

    (void)state;
    assert_int_equal(byte_cursor_remaining(&empty), 0);
    assert_succeeds(byte_cursor_take(&empty, 0, &taken, &err));
    assert_succeeds(byte_cursor_copy(&empty, &byte, 0, &err));
    assert_succeeds(byte_cursor_finish(&empty, &err));
    assert_succeeds(byte_cursor_take(&cursor, 0, &taken, &err));
    assert_int_equal(cursor.position, 0);
    assert_int_equal(byte, 0xaa);
}

static void finish_refuses_trailing_bytes(void **state)
{
    struct byte_cursor cursor = byte_cursor_over(sample, sizeof sample);
    struct error err = ERROR_INIT;
    const uint8_t *taken;

    (void)state;
    for (size_t left = sizeof sample; left > 0; left--) {
        assert_fails(ERROR_CORRUPT, byte_cursor_finish(&cursor, &err));
        assert_succeeds(byte_cursor_take(&cursor, 1, &taken, &err));
    }
    assert_succeeds(byte_cursor_finish(&cursor, &err));
}

/* A failed read must leave the next, smaller one possible. */
static void goes_on_after_a_failed_read(void **state)
{
    struct byte_cursor cursor = byte_cursor_over(sample + 6, 3);
    struct error err = ERROR_INIT;
    uint32_t u32;
    uint16_t u16;
    uint8_t u8;

    (void)state;
    assert_fails(ERROR_CORRUPT, byte_cursor_u32(&cursor, &u32, &err));
    assert_succeeds(byte_cursor_u16(&cursor, &u16, &err));
    assert_int_equal(u16, 0x1234);
    assert_fails(ERROR_CORRUPT, byte_cursor_u16(&cursor, &u16, &err));
    assert_succeeds(byte_cursor_u8(&cursor, &u8, &err));
    assert_int_equal(u8, 0x56);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_at_the_first_byte),
        cmocka_unit_test(numbers_are_big_endian_and_unsigned),
        cmocka_unit_test(every_truncation_fails_and_consumes_nothing),
        cmocka_unit_test(sizes_near_the_end_of_the_address_space_do_not_wrap),
        cmocka_unit_test(take_borrows_and_steps_over),
        cmocka_unit_test(copy_copies_exactly),
        cmocka_unit_test(reading_nothing_succeeds_anywhere),
        cmocka_unit_test(finish_refuses_trailing_bytes),
        cmocka_unit_test(goes_on_after_a_failed_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
