/* SPDX-License-Identifier: Apache-2.0 */
/* Small values in text: base64 and hexadecimal digits, UUIDs in references, dates. */
#include "base/uuid.h"
#include "crypto/encoding.h"
#include "fuzz_main.h"
#include "services/iso_date.h"

#include <stdlib.h>
#include <string.h>

#define CAPACITY 256

static void check_base64(const char *text)
{
    uint8_t bytes[CAPACITY], again[CAPACITY];
    char printed[CAPACITY * 2];
    size_t size = 0;
    size_t size_again = 0;

    if (!decode_base64(text, bytes, sizeof bytes, &size))
        return;
    FUZZ_ASSERT(size <= sizeof bytes && size <= strlen(text));
    encode_base64(bytes, size, printed);
    printed[encode_base64_size(size)] = '\0';
    FUZZ_ASSERT(decode_base64(printed, again, sizeof again, &size_again));
    FUZZ_ASSERT(size == size_again && memcmp(bytes, again, size) == 0);
}

static void check_hex(const char *text)
{
    uint8_t bytes[CAPACITY];
    char printed[2 * CAPACITY];
    const size_t size = strlen(text) / 2 < CAPACITY ? strlen(text) / 2 : CAPACITY;

    if (!decode_hex(text, size, bytes))
        return;
    encode_hex(bytes, size, printed);
    FUZZ_ASSERT(strncasecmp(text, printed, 2 * size) == 0);
}

static void check_uuid(const char *text)
{
    char id[UUID_TEXT_BYTES];

    if (uuid_from_reference(text, id))
        FUZZ_ASSERT(uuid_is_valid(id) && strlen(text) >= strlen(id));
    FUZZ_ASSERT(!uuid_is_valid(text) || strlen(text) == UUID_TEXT_BYTES - 1);
}

/* A date of one second has one number. */
static void check_date(const char *text)
{
    int64_t seconds = 0;
    int64_t again = 0;

    if (!iso_date_parse(text, &seconds))
        return;
    FUZZ_ASSERT(iso_date_parse(text, &again) && seconds == again);
}

void fuzz_one(const uint8_t *data, size_t size)
{
    CLEANUP(memory_free) char *text = malloc(size + 1);

    FUZZ_ASSERT(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    check_base64(text);
    check_hex(text);
    check_uuid(text);
    check_date(text);
}
