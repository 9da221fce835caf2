/* SPDX-License-Identifier: Apache-2.0 */
#include "base/uuid.h"

#include <ctype.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define UUID_TEXT_LENGTH (UUID_TEXT_BYTES - 1)

static bool is_dash_position(size_t i)
{
    return i == 8 || i == 13 || i == 18 || i == 23;
}

bool uuid_is_valid(const char *text)
{
    for (size_t i = 0; i < UUID_TEXT_LENGTH; i++) {
        const char c = text[i];
        const bool digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');

        if (is_dash_position(i) ? c != '-' : !digit)
            return false;
    }
    return text[UUID_TEXT_LENGTH] == '\0';
}

bool uuid_from_reference(const char *reference, char ret[UUID_TEXT_BYTES])
{
    const char *slash = strrchr(reference, '/');
    const char *last = slash == NULL ? reference : slash + 1;

    if (strlen(last) != UUID_TEXT_LENGTH)
        return false;
    for (size_t i = 0; i < UUID_TEXT_LENGTH; i++)
        ret[i] = (char)tolower((unsigned char)last[i]);
    ret[UUID_TEXT_LENGTH] = '\0';
    return uuid_is_valid(ret);
}

bool uuid_generate(char ret[UUID_TEXT_BYTES])
{
    uint8_t bytes[16];
    size_t position = 0;

    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        return false;
    bytes[6] = (uint8_t)((bytes[6] & 0x0f) | 0x40);
    bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80);
    for (size_t i = 0; i < sizeof bytes; i++) {
        if (is_dash_position(position))
            ret[position++] = '-';
        (void)snprintf(ret + position, UUID_TEXT_BYTES - position, "%02x", bytes[i]);
        position += 2;
    }
    return true;
}
