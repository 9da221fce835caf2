/* SPDX-License-Identifier: Apache-2.0 */
#include "strict_json.h"

#include <string.h>

/* More than any parser of ours takes; a limit only for our stack. */
#define DEEPEST 1000

struct reader {
    const char *next;
    const char *end;
    unsigned depth;
};

static bool read_value(struct reader *reader);

static char peek(const struct reader *reader)
{
    return reader->next < reader->end ? *reader->next : '\0';
}

static bool take(struct reader *reader, char expected)
{
    if (reader->next == reader->end || *reader->next != expected)
        return false;
    reader->next++;
    return true;
}

static void skip_space(struct reader *reader)
{
    while (reader->next < reader->end && memchr(" \t\r\n", *reader->next, 4) != NULL)
        reader->next++;
}

static bool take_word(struct reader *reader, const char *word)
{
    while (*word != '\0')
        if (!take(reader, *word++))
            return false;
    return true;
}

static bool take_digits(struct reader *reader)
{
    const char *start = reader->next;

    while (peek(reader) >= '0' && peek(reader) <= '9')
        reader->next++;
    return reader->next > start;
}

/* Section 6. */
static bool read_number(struct reader *reader)
{
    (void)take(reader, '-');
    if (!take(reader, '0') && !take_digits(reader))
        return false;
    if (take(reader, '.') && !take_digits(reader))
        return false;
    if (take(reader, 'e') || take(reader, 'E')) {
        if (!take(reader, '-'))
            (void)take(reader, '+');
        return take_digits(reader);
    }
    return true;
}

static bool read_escape(struct reader *reader)
{
    if (!take(reader, 'u')) {
        const bool is_known =
            reader->next < reader->end && memchr("\"\\/bfnrt", *reader->next, 8) != NULL;

        reader->next += is_known;
        return is_known;
    }
    for (unsigned i = 0; i < 4; i++) {
        if (reader->next == reader->end ||
            memchr("0123456789abcdefABCDEF", *reader->next, 22) == NULL)
            return false;
        reader->next++;
    }
    return true;
}

/* Section 7. */
static bool read_string(struct reader *reader)
{
    if (!take(reader, '"'))
        return false;
    while (reader->next < reader->end) {
        const unsigned char byte = (unsigned char)*reader->next++;

        if (byte == '"')
            return true;
        if (byte < ' ' || (byte == '\\' && !read_escape(reader)))
            return false;
    }
    return false;
}

static bool read_member(struct reader *reader)
{
    skip_space(reader);
    if (!read_string(reader))
        return false;
    skip_space(reader);
    return take(reader, ':') && read_value(reader);
}

/* Section 4 and 5: members or values between two brackets. */
static bool read_list(struct reader *reader, char end, bool (*read_one)(struct reader *reader))
{
    reader->next++;
    skip_space(reader);
    if (take(reader, end))
        return true;
    do {
        if (!read_one(reader))
            return false;
        skip_space(reader);
    } while (take(reader, ','));
    return take(reader, end);
}

static bool read_plain(struct reader *reader)
{
    switch (peek(reader)) {
    case '"':
        return read_string(reader);
    case 't':
        return take_word(reader, "true");
    case 'f':
        return take_word(reader, "false");
    case 'n':
        return take_word(reader, "null");
    default:
        return read_number(reader);
    }
}

static bool read_value(struct reader *reader)
{
    bool is_sound;

    skip_space(reader);
    if (peek(reader) != '{' && peek(reader) != '[')
        return read_plain(reader);
    if (++reader->depth > DEEPEST)
        return false;
    is_sound = peek(reader) == '{' ? read_list(reader, '}', read_member)
                                   : read_list(reader, ']', read_value);
    reader->depth--;
    return is_sound;
}

bool strict_json_is_sound(const char *text, size_t size)
{
    struct reader reader = {.next = text, .end = text + size};

    if (!read_value(&reader))
        return false;
    skip_space(&reader);
    return reader.next == reader.end;
}
