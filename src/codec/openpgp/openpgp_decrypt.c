/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an error may tell. Anything inside the encryption fails with the uniform error
 * (message_damaged.h). Two kinds are worth telling the owner of a sound message, though: content
 * that is not supported, and content over a limit. When one of them is met, the rest of the message
 * is decrypted and its MDC checked first: only an authentic message gets the clear text, so that
 * altering one never yields anything but the uniform error.
 */
#include "codec/openpgp/openpgp_decrypt.h"

#include "codec/openpgp/encrypted_message.h"
#include "codec/openpgp/esk_sequence.h"
#include "codec/openpgp/message_damaged.h"
#include "codec/openpgp/openpgp_message.h"
#include "codec/openpgp/passphrase.h"
#include "glancefs/limits.h"

#include <inttypes.h>

/* Reads up to the encrypted data and finds its key. */
static int find_key(struct encrypted_message *encrypted, struct secure_arena *arena,
                    const struct secure_buffer *passphrase, struct cancel *cancel,
                    struct openpgp_message **ret, struct error *err)
{
    CLEANUP(session_key_free) struct session_key *key = NULL;
    struct esk_sequence sequence;
    struct packet_header header;
    const uint8_t *sample;
    uint64_t seipd_offset;
    size_t sample_size;

    if (esk_sequence_read(encrypted->packets, cancel, &sequence, &seipd_offset, &header, err) < 0 ||
        encrypted_message_enter(encrypted, &header, cancel, err) < 0 ||
        encrypted_message_sample(encrypted, cancel, &sample, &sample_size, err) < 0)
        return -1;
    if (esk_sequence_find_session_key(&sequence, arena, passphrase, sample, sample_size, cancel,
                                      &key, err) < 0 ||
        openpgp_message_new(key, seipd_offset, ret, err) < 0)
        return -1;
    (void)steal(&key);
    return 0;
}

/* Hands out the content in the pieces it comes in. */
static int read_content(struct encrypted_message *encrypted, struct openpgp_message *message,
                        struct byte_sink *plaintext, struct secure_buffer *piece,
                        struct cancel *cancel, struct error *err)
{
    size_t got;

    do {
        if (cancel_check(cancel, err) < 0 ||
            byte_stream_read(literal_message_content(encrypted->inside), secure_buffer_data(piece),
                             secure_buffer_capacity(piece), cancel, &got, err) < 0)
            return -1;
        if (got > LIMIT_PLAINTEXT_BYTES - message->plaintext_size)
            return error_set(err, ERROR_TOO_LARGE, "the plaintext is over %" PRIu64 " bytes",
                             LIMIT_PLAINTEXT_BYTES);
        message->plaintext_size += got;
        if (got > 0 && plaintext != NULL &&
            byte_sink_write(plaintext, secure_buffer_bytes(piece), got, cancel, err) < 0)
            return -1;
    } while (got > 0);
    return literal_message_finish(encrypted->inside, cancel, err);
}

/* The encrypted data was read to its end: its MDC is right and nothing follows it. */
static int verify(struct encrypted_message *encrypted, struct cancel *cancel, struct error *err)
{
    const uint8_t *bytes;
    size_t size;

    if (seipd_v1_finish(encrypted->seipd, err) < 0 ||
        packet_body_finish(&encrypted->body, cancel, err) < 0 ||
        lookahead_peek(encrypted->packets, 1, cancel, &bytes, &size, err) < 0)
        return -1;
    return size == 0 ? 0 : message_damaged(err);
}

static int drain(struct encrypted_message *encrypted, struct secure_buffer *piece,
                 struct cancel *cancel, struct error *err)
{
    size_t got;

    do {
        if (byte_stream_read(seipd_v1_stream(encrypted->seipd), secure_buffer_data(piece),
                             secure_buffer_capacity(piece), cancel, &got, err) < 0)
            return -1;
    } while (got > 0);
    return verify(encrypted, cancel, err);
}

/* Reads, hands out and verifies; see the top of this file for what happens to a failure. */
static int read_all(struct encrypted_message *encrypted, struct openpgp_message *message,
                    struct byte_sink *plaintext, struct cancel *cancel, struct error *err)
{
    CLEANUP(secure_buffer_free) struct secure_buffer *piece = NULL;
    struct error drain_err = ERROR_INIT;

    if (secure_buffer_new(message->key->arena, LITERAL_MESSAGE_PIECE_BYTES, &piece, err) < 0)
        return -1;
    if (encrypted_message_decrypt(encrypted, message->key, true, cancel, err) == 0 &&
        read_content(encrypted, message, plaintext, piece, cancel, err) == 0)
        return verify(encrypted, cancel, err);
    if ((err->kind == ERROR_UNSUPPORTED || err->kind == ERROR_TOO_LARGE) &&
        drain(encrypted, piece, cancel, &drain_err) < 0)
        *err = drain_err;
    return -1;
}

static int decrypt(struct secure_arena *arena, struct byte_source *ciphertext,
                   const struct secure_buffer *passphrase, struct byte_sink *plaintext,
                   struct cancel *cancel, struct codec_message **ret, struct error *err)
{
    CLEANUP(encrypted_message_free) struct encrypted_message *encrypted = NULL;
    CLEANUP(codec_message_unref) struct codec_message *result = NULL;
    struct openpgp_message *message = NULL;

    if (passphrase_check(passphrase, err) < 0 ||
        encrypted_message_new(ciphertext, 0, &encrypted, err) < 0 ||
        find_key(encrypted, arena, passphrase, cancel, &message, err) < 0)
        return -1;
    result = &message->message;
    if (read_all(encrypted, message, plaintext, cancel, err) < 0)
        return -1;
    message->is_compressed = literal_message_is_compressed(encrypted->inside);
    if (plaintext != NULL && byte_sink_commit(plaintext, cancel, err) < 0)
        return -1;
    if (ret != NULL)
        *ret = steal(&result);
    return 0;
}

int openpgp_decrypt(const struct codec *codec, struct secure_arena *arena,
                    struct byte_source *ciphertext, const struct secure_buffer *passphrase,
                    struct byte_sink *plaintext, struct cancel *cancel, struct codec_message **ret,
                    struct error *err)
{
    (void)codec;
    if (decrypt(arena, ciphertext, passphrase, plaintext, cancel, ret, err) == 0)
        return 0;
    if (plaintext != NULL)
        byte_sink_abort(plaintext);
    return -1;
}
