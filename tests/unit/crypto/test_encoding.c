/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/encoding.h"

#include "support/testing.h"

#include <stdlib.h>

/* RFC 4648 section 10 */
static const struct {
    const char *bytes;
    const char *base64;
    const char *hex;
} examples[] = {
    {"", "", ""},
    {"f", "Zg==", "66"},
    {"fo", "Zm8=", "666f"},
    {"foo", "Zm9v", "666f6f"},
    {"foob", "Zm9vYg==", "666f6f62"},
    {"fooba", "Zm9vYmE=", "666f6f6261"},
    {"foobar", "Zm9vYmFy", "666f6f626172"},
};

static void texts_are_those_of_rfc_4648(void **state)
{
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(examples); i++) {
        const size_t size = strlen(examples[i].bytes);
        char text[32];

        memset(text, '#', sizeof text);
        assert_int_equal(encode_base64_size(size), strlen(examples[i].base64));
        encode_base64(examples[i].bytes, size, text);
        assert_memory_equal(text, examples[i].base64, strlen(examples[i].base64));
        assert_int_equal(text[strlen(examples[i].base64)], '#'); /* no NUL */
        memset(text, '#', sizeof text);
        encode_hex(examples[i].bytes, size, text);
        assert_memory_equal(text, examples[i].hex, 2 * size);
        assert_int_equal(text[2 * size], '#');
    }
}

/* All 64 digits in order, by bytes that hold 0, 1, 2, ... in six bits each. */
static void every_base64_digit_stands_for_its_value(void **state)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint8_t bytes[48];
    char text[64];

    (void)state;
    for (size_t i = 0; i < 16; i++) {
        const size_t value = 4 * i;
        const uint32_t group =
            (uint32_t)(value << 18 | (value + 1) << 12 | (value + 2) << 6 | (value + 3));

        bytes[3 * i] = (uint8_t)(group >> 16);
        bytes[3 * i + 1] = (uint8_t)(group >> 8);
        bytes[3 * i + 2] = (uint8_t)group;
    }
    encode_base64(bytes, sizeof bytes, text);
    assert_memory_equal(text, digits, 64);
}

static void base64_needs_four_digits_for_each_three_bytes(void **state)
{
    (void)state;
    assert_int_equal(encode_base64_size(0), 0);
    for (size_t size = 1; size < 100; size++)
        assert_int_equal(encode_base64_size(size), (size + 2) / 3 * 4);
    assert_int_equal(encode_base64_size(20480), 27308);
}

static void every_byte_comes_back_from_hex(void **state)
{
    uint8_t bytes[256], back[256];
    char text[512];

    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)i;
    encode_hex(bytes, sizeof bytes, text);
    for (size_t i = 0; i < sizeof text; i++)
        assert_non_null(memchr("0123456789abcdef", text[i], 16));
    assert_true(decode_hex(text, sizeof back, back));
    assert_memory_equal(back, bytes, sizeof bytes);
}

static void hex_is_read_in_any_case(void **state)
{
    uint8_t bytes[4];

    (void)state;
    assert_true(decode_hex("aBcDeF09", 4, bytes));
    assert_memory_equal(bytes, "\xab\xcd\xef\x09", 4);
    assert_true(decode_hex("", 0, bytes));
}

/* Both digits of a byte, against every character there is. */
static void what_is_no_digit_is_refused(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        const bool is_digit = c != 0 && strchr("0123456789abcdefABCDEF", c) != NULL;
        const char first[] = {(char)c, '0'};
        const char second[] = {'0', (char)c};
        uint8_t byte;

        assert_int_equal(decode_hex(first, 1, &byte), is_digit);
        assert_int_equal(decode_hex(second, 1, &byte), is_digit);
    }
}

/* A text that ends early: the NUL is no digit, and nothing behind it is looked at. */
static void a_short_text_is_refused_without_reading_past_it(void **state)
{
    char *text = strdup("abc");
    char *empty = strdup("");
    uint8_t bytes[8];

    (void)state;
    assert_true(text != NULL && empty != NULL);
    assert_false(decode_hex(text, 8, bytes));
    assert_false(decode_hex(text, 2, bytes));
    assert_false(decode_hex(empty, 1, bytes));
    free(text);
    free(empty);
}

static void base64_is_read_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(examples); i++) {
        const size_t size = strlen(examples[i].base64) / 4 * 3;
        uint8_t bytes[64];
        char again[64];
        size_t got;

        assert_true(size <= sizeof bytes);
        assert_true(decode_base64(examples[i].base64, bytes, sizeof bytes, &got));
        encode_base64(bytes, got, again);
        assert_memory_equal(again, examples[i].base64, strlen(examples[i].base64));
    }
}

static void base64_may_hold_white_space(void **state)
{
    uint8_t bytes[4];
    size_t size;

    (void)state;
    assert_true(decode_base64(" Z2\nxh\r\n\tbg = =\n", bytes, sizeof bytes, &size));
    assert_int_equal(size, 4);
    assert_memory_equal(bytes, "glan", 4);
}

static void what_is_no_base64_is_refused(void **state)
{
    static const char *const texts[] = {"Z",    "Zg",       "Zg=",   "Z===", "====",        "Zg=a",
                                        "Z=a=", "Zg==Zg==", "Zg==x", "Zg-_", "Zg==\xc3\xa4"};
    uint8_t bytes[8];
    size_t size;

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(texts); i++)
        if (decode_base64(texts[i], bytes, sizeof bytes, &size))
            fail_msg("%s was taken", texts[i]);
    assert_false(decode_base64("Z2xhbmNlZnM=", bytes, 7, &size));
    assert_true(decode_base64("Z2xhbmNlZnM=", bytes, 8, &size));
    assert_true(decode_base64("", bytes, 0, &size));
    assert_int_equal(size, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_those_of_rfc_4648),
        cmocka_unit_test(every_base64_digit_stands_for_its_value),
        cmocka_unit_test(base64_needs_four_digits_for_each_three_bytes),
        cmocka_unit_test(every_byte_comes_back_from_hex),
        cmocka_unit_test(hex_is_read_in_any_case),
        cmocka_unit_test(what_is_no_digit_is_refused),
        cmocka_unit_test(a_short_text_is_refused_without_reading_past_it),
        cmocka_unit_test(base64_is_read_back),
        cmocka_unit_test(base64_may_hold_white_space),
        cmocka_unit_test(what_is_no_base64_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
