/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/encoding.h"

#include <string.h>

static const char hex_digits[] = "0123456789abcdef";
static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void encode_hex(const void *bytes, size_t size, char *out)
{
    const uint8_t *next = bytes;

    for (size_t i = 0; i < size; i++) {
        out[2 * i] = hex_digits[next[i] >> 4];
        out[2 * i + 1] = hex_digits[next[i] & 15];
    }
}

static int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}

bool decode_hex(const char *text, size_t size, uint8_t *out)
{
    for (size_t i = 0; i < size; i++) {
        const int high = hex_value(text[2 * i]);
        const int low = high < 0 ? -1 : hex_value(text[2 * i + 1]);

        if (low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

size_t encode_base64_size(size_t size)
{
    return (size + 2) / 3 * 4;
}

/* Byte by byte, into the caller's buffer: a key must not pass through a library's own memory. */
void encode_base64(const void *bytes, size_t size, char *out)
{
    const uint8_t *next = bytes;

    for (size_t i = 0; i < size; i += 3) {
        const size_t rest = size - i;
        const uint32_t group = (uint32_t)next[i] << 16 |
                               (rest > 1 ? (uint32_t)next[i + 1] << 8 : 0) |
                               (rest > 2 ? (uint32_t)next[i + 2] : 0);

        *out++ = base64_digits[group >> 18];
        *out++ = base64_digits[group >> 12 & 63];
        *out++ = rest > 1 ? base64_digits[group >> 6 & 63] : '=';
        *out++ = rest > 2 ? base64_digits[group & 63] : '=';
    }
}

/* The next character that is no white space; '\0' at the end. */
static char next_digit(const char **text)
{
    *text += strspn(*text, " \t\r\n");
    return **text == '\0' ? '\0' : *(*text)++;
}

/* Four characters to at most three bytes: their count, or -1. */
static int decode_group(const char group[4], uint8_t out[3])
{
    uint32_t bits = 0;
    int digits = 0;

    while (digits < 4 && group[digits] != '=') {
        const char *digit = strchr(base64_digits, group[digits]);

        if (digit == NULL)
            return -1;
        bits = bits << 6 | (uint32_t)(digit - base64_digits);
        digits++;
    }
    if (digits < 2 || (digits == 2 && group[3] != '='))
        return -1;
    bits <<= 6 * (4 - digits);
    out[0] = (uint8_t)(bits >> 16);
    out[1] = (uint8_t)(bits >> 8);
    out[2] = (uint8_t)bits;
    return digits - 1;
}

bool decode_base64(const char *text, uint8_t *out, size_t capacity, size_t *ret_size)
{
    size_t size = 0;
    int count = 3;
    char group[4];

    while ((group[0] = next_digit(&text)) != '\0') {
        uint8_t bytes[3];

        /* Padding ends the text. */
        if (count != 3)
            return false;
        for (size_t i = 1; i < 4; i++)
            if ((group[i] = next_digit(&text)) == '\0')
                return false;
        count = decode_group(group, bytes);
        if (count < 0 || (size_t)count > capacity - size)
            return false;
        memcpy(out + size, bytes, (size_t)count);
        size += (size_t)count;
    }
    *ret_size = size;
    return true;
}
