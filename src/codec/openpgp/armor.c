/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/armor.h"

#include "codec/openpgp/message_damaged.h"
#include "crypto/encoding.h"
#include "glancefs/byte_cursor.h"
#include "glancefs/limits.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define HEADER_LINE "-----BEGIN PGP MESSAGE-----"
#define TAIL_LINE "-----END PGP MESSAGE-----"

/* One line, without its end and the white space before it. */
struct line {
    const uint8_t *text;
    size_t size;
};

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* False when the text is read. */
static bool next_line(struct byte_cursor *cursor, struct line *ret)
{
    const size_t remaining = byte_cursor_remaining(cursor);
    struct error ignored = ERROR_INIT;
    const uint8_t *end;
    uint8_t feed;

    if (remaining == 0)
        return false;
    end = memchr(cursor->bytes + cursor->position, '\n', remaining);
    ret->size = end == NULL ? remaining : (size_t)(end - (cursor->bytes + cursor->position));
    (void)byte_cursor_take(cursor, ret->size, &ret->text, &ignored);
    if (end != NULL)
        (void)byte_cursor_u8(cursor, &feed, &ignored);
    while (ret->size > 0 && is_blank(ret->text[ret->size - 1]))
        ret->size--;
    return true;
}

static bool line_is(const struct line *line, const char *text)
{
    return line->size == strlen(text) && strncmp((const char *)line->text, text, line->size) == 0;
}

/* The header line, "Key: value" lines, an empty one. */
static int read_headers(struct byte_cursor *cursor, struct error *err)
{
    struct line line;

    if (!next_line(cursor, &line))
        return message_damaged(err);
    if (!line_is(&line, HEADER_LINE))
        return error_set(err, ERROR_CORRUPT, "the ASCII armor is not that of a message");
    while (next_line(cursor, &line)) {
        const uint8_t *colon = memchr(line.text, ':', line.size);

        if (line.size == 0)
            return 0;
        if (colon == NULL || colon == line.text)
            return message_damaged(err);
        if (colon + 1 < line.text + line.size && colon[1] != ' ')
            return message_damaged(err);
    }
    return message_damaged(err);
}

static bool is_base64(const struct line *line)
{
    for (size_t i = 0; i < line->size; i++) {
        const uint8_t c = line->text[i];

        if (!(isalnum(c) || c == '+' || c == '/' || c == '=') || c > 0x7f)
            return false;
    }
    return line->size > 0;
}

/* No data begins with padding. */
static bool is_checksum(const struct line *line)
{
    return line->size > 0 && line->text[0] == '=';
}

/* The digits of all data lines in a row, up to the tail. `digits` has room for all of the text and a
 * NUL. What stands in a checksum does not matter (section 6.1): the message has its own integrity. */
static int read_digits(struct byte_cursor *cursor, char *digits, struct error *err)
{
    bool has_checksum = false;
    struct line line;
    size_t size = 0;

    while (next_line(cursor, &line)) {
        if (line_is(&line, TAIL_LINE)) {
            digits[size] = '\0';
            return 0;
        }
        if (has_checksum)
            return message_damaged(err);
        has_checksum = is_checksum(&line);
        if (has_checksum)
            continue;
        if (!is_base64(&line))
            return message_damaged(err);
        memcpy(digits + size, line.text, line.size);
        size += line.size;
    }
    return message_damaged(err);
}

static int require_nothing_more(struct byte_cursor *cursor, struct error *err)
{
    struct line line;

    while (next_line(cursor, &line))
        if (line.size > 0)
            return message_damaged(err);
    return 0;
}

int armor_decode(const uint8_t *text, size_t size, uint8_t **ret, size_t *ret_size,
                 struct error *err)
{
    struct byte_cursor cursor = byte_cursor_over(text, size);
    CLEANUP(memory_free) char *digits = malloc(size + 1);
    CLEANUP(memory_free) uint8_t *bytes = malloc(size + 1);

    if (digits == NULL || bytes == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    if (read_headers(&cursor, err) < 0 || read_digits(&cursor, digits, err) < 0 ||
        require_nothing_more(&cursor, err) < 0)
        return -1;
    if (!decode_base64(digits, bytes, size, ret_size) || *ret_size == 0)
        return message_damaged(err);
    *ret = steal(&bytes);
    return 0;
}
