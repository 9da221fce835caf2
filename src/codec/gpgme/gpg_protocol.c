/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/gpgme/gpg_protocol.h"

#include "glancefs/byte_cursor.h"

#include <string.h>

/* Numbers of status lines, of which only none, one and several are told apart. */
#define COUNTERS 6

static int malformed(struct error *err)
{
    return error_set(err, ERROR_CORRUPT, "a message between processes is not what it must be");
}

/* --- a request --- */

int gpg_request_write(const struct gpg_request *request, struct secure_buffer *message,
                      struct error *err)
{
    const uint8_t head[] = {(uint8_t)request->verb, (uint8_t)request->home,
                            request->exports_session_key, request->has_passphrase};

    if (secure_buffer_append(message, head, sizeof head, err) < 0)
        return -1;
    return secure_buffer_append(message, request->passphrase, request->passphrase_size, err);
}

int gpg_request_read(const struct secure_buffer *message, struct gpg_request *ret,
                     struct error *err)
{
    struct byte_cursor cursor =
        byte_cursor_over(secure_buffer_bytes(message), secure_buffer_size(message));
    uint8_t verb, home, exports_session_key, has_passphrase;

    if (byte_cursor_u8(&cursor, &verb, err) < 0 || byte_cursor_u8(&cursor, &home, err) < 0 ||
        byte_cursor_u8(&cursor, &exports_session_key, err) < 0 ||
        byte_cursor_u8(&cursor, &has_passphrase, err) < 0)
        return -1;
    if (verb > GPG_ENCRYPT || home > GPG_HOME_KEYRING || exports_session_key > 1 ||
        has_passphrase > 1)
        return malformed(err);
    *ret = (struct gpg_request){.verb = verb,
                                .home = home,
                                .exports_session_key = exports_session_key != 0,
                                .has_passphrase = has_passphrase != 0,
                                .passphrase_size = byte_cursor_remaining(&cursor)};
    if (!ret->has_passphrase && ret->passphrase_size > 0)
        return malformed(err);
    return byte_cursor_take(&cursor, ret->passphrase_size, &ret->passphrase, err);
}

/* --- a result --- */

static void list_counters(struct gpg_status *status, unsigned *ret[COUNTERS])
{
    ret[0] = &status->okays;
    ret[1] = &status->good_mdcs;
    ret[2] = &status->endings;
    ret[3] = &status->errors;
    ret[4] = &status->bad_keys;
    ret[5] = &status->missing_keys;
}

int gpg_result_write(const struct gpg_result *result, struct secure_buffer *message,
                     struct error *err)
{
    struct gpg_status status = result->status;
    const char *key = status.session_key;
    uint8_t head[1 + COUNTERS] = {result->has_asked};
    unsigned *counters[COUNTERS];

    list_counters(&status, counters);
    for (size_t i = 0; i < COUNTERS; i++)
        head[1 + i] = *counters[i] < UINT8_MAX ? (uint8_t)*counters[i] : UINT8_MAX;
    if (secure_buffer_append(message, head, sizeof head, err) < 0)
        return -1;
    return key == NULL ? 0 : secure_buffer_append(message, key, strlen(key), err);
}

static int read_session_key(struct byte_cursor *cursor, struct gpg_status *status,
                            struct error *err)
{
    const size_t size = byte_cursor_remaining(cursor);

    if (size == 0)
        return 0;
    if (status->session_key == NULL || size >= GPG_SESSION_KEY_TEXT_BYTES)
        return malformed(err);
    if (byte_cursor_copy(cursor, status->session_key, size, err) < 0)
        return -1;
    status->session_key[size] = '\0';
    return 0;
}

int gpg_result_read(const struct secure_buffer *message, struct gpg_result *ret, struct error *err)
{
    struct byte_cursor cursor =
        byte_cursor_over(secure_buffer_bytes(message), secure_buffer_size(message));
    unsigned *counters[COUNTERS];
    uint8_t octet;

    if (byte_cursor_u8(&cursor, &octet, err) < 0)
        return -1;
    ret->has_asked = octet != 0;
    list_counters(&ret->status, counters);
    for (size_t i = 0; i < COUNTERS; i++) {
        if (byte_cursor_u8(&cursor, &octet, err) < 0)
            return -1;
        *counters[i] = octet;
    }
    return read_session_key(&cursor, &ret->status, err);
}

/* --- an answer --- */

size_t gpg_answer_write(const struct error *answer, uint8_t message[LIMIT_GPG_MESSAGE_BYTES])
{
    const size_t length = strnlen(answer->message, sizeof answer->message - 1);
    const uint32_t number = (uint32_t)answer->errnum;

    message[0] = (uint8_t)answer->kind;
    for (unsigned i = 0; i < sizeof number; i++)
        message[1 + i] = (uint8_t)(number >> (24 - 8 * i));
    memcpy(message + 1 + sizeof number, answer->message, length);
    return 1 + sizeof number + length;
}

int gpg_answer_read(const uint8_t *message, size_t size, struct error *err)
{
    struct byte_cursor cursor = byte_cursor_over(message, size);
    const uint8_t *text;
    size_t length;
    uint32_t number;
    uint8_t kind;

    if (byte_cursor_u8(&cursor, &kind, err) < 0 || byte_cursor_u32(&cursor, &number, err) < 0)
        return -1;
    length = byte_cursor_remaining(&cursor);
    if (kind > ERROR_SYSTEM || length >= ERROR_MESSAGE_BYTES || number > INT16_MAX)
        return malformed(err);
    if (kind == ERROR_NONE)
        return length == 0 ? 0 : malformed(err);
    if (byte_cursor_take(&cursor, length, &text, err) < 0)
        return -1;
    (void)error_set(err, kind, "%.*s", (int)length, (const char *)text);
    if (kind == ERROR_SYSTEM)
        err->errnum = (int)number;
    return -1;
}
