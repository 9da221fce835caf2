/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/openpgp_decrypt.h"

#include "codec/openpgp/armor.h"
#include "codec/openpgp/encrypted_message.h"
#include "codec/openpgp/message_damaged.h"
#include "codec/openpgp/openpgp_codec.h"
#include "codec/openpgp/openpgp_stream.h"
#include "codec/openpgp/passphrase.h"

static struct session_key_means means_of(const struct codec *codec, struct secure_arena *arena,
                                         const struct secure_buffer *passphrase)
{
    const struct openpgp_codec *openpgp = (const struct openpgp_codec *)codec;

    return (struct session_key_means){.arena = arena,
                                      .passphrase = passphrase,
                                      .resolver = openpgp->resolver,
                                      .argon2_gate = openpgp->argon2_gate};
}

/* Hands out the plaintext in the pieces it comes in. */
static int copy(struct openpgp_stream *stream, struct secure_arena *arena,
                struct byte_sink *plaintext, struct cancel *cancel, struct error *err)
{
    CLEANUP(secure_buffer_free) struct secure_buffer *piece = NULL;
    size_t got;

    if (secure_buffer_new(arena, LITERAL_MESSAGE_PIECE_BYTES, &piece, err) < 0)
        return -1;
    do {
        if (openpgp_stream_read(stream, secure_buffer_data(piece), secure_buffer_capacity(piece),
                                cancel, &got, err) < 0)
            return -1;
        if (got > 0 && plaintext != NULL &&
            byte_sink_write(plaintext, secure_buffer_bytes(piece), got, cancel, err) < 0)
            return -1;
    } while (got > 0);
    return plaintext == NULL ? 0 : byte_sink_commit(plaintext, cancel, err);
}

static int decrypt(const struct session_key_means *means, struct byte_source *ciphertext,
                   struct byte_sink *plaintext, struct cancel *cancel, struct codec_message **ret,
                   struct error *err)
{
    CLEANUP(openpgp_stream_free) struct openpgp_stream *stream = NULL;

    if (passphrase_check(means->passphrase, err) < 0 ||
        openpgp_stream_new(ciphertext, means, plaintext == NULL, cancel, &stream, err) < 0 ||
        copy(stream, means->arena, plaintext, cancel, err) < 0)
        return -1;
    if (ret != NULL)
        *ret = openpgp_stream_message(stream);
    return 0;
}

int openpgp_decrypt(const struct codec *codec, struct secure_arena *arena,
                    struct byte_source *ciphertext, const struct secure_buffer *passphrase,
                    struct byte_sink *plaintext, struct cancel *cancel, struct codec_message **ret,
                    struct error *err)
{
    const struct session_key_means means = means_of(codec, arena, passphrase);

    if (decrypt(&means, ciphertext, plaintext, cancel, ret, err) == 0)
        return 0;
    if (plaintext != NULL)
        byte_sink_abort(plaintext);
    return -1;
}

int openpgp_open_stream(const struct codec *codec, struct secure_arena *arena,
                        struct byte_source *ciphertext, const struct secure_buffer *passphrase,
                        struct cancel *cancel, struct codec_stream **ret, struct error *err)
{
    const struct session_key_means means = means_of(codec, arena, passphrase);
    struct openpgp_stream *stream = NULL;

    if (passphrase_check(passphrase, err) < 0 ||
        openpgp_stream_new(ciphertext, &means, false, cancel, &stream, err) < 0)
        return -1;
    *ret = openpgp_stream_as_codec_stream(stream);
    return 0;
}

/* Reads no further than a stream does before it has its key. */
static int start_search(struct byte_source *ciphertext, const struct session_key_means *means,
                        struct cancel *cancel, struct session_key_search **ret, struct error *err)
{
    CLEANUP(encrypted_message_free) struct encrypted_message *encrypted = NULL;
    CLEANUP(esk_sequence_free) struct esk_sequence *sequence = NULL;
    struct packet_header header;
    uint64_t data_offset;

    if (encrypted_message_new(ciphertext, 0, &encrypted, err) < 0 ||
        esk_sequence_read(encrypted->packets, cancel, &sequence, &data_offset, &header, err) < 0 ||
        encrypted_message_enter(encrypted, &header, NULL, cancel, err) < 0)
        return -1;
    return session_key_search_new(&sequence, &encrypted->data, means, ret, err);
}

static int start_armored_search(struct byte_source *ciphertext,
                                const struct session_key_means *means, struct cancel *cancel,
                                struct session_key_search **ret, struct error *err)
{
    struct byte_source *binary;
    bool is_armored;
    int result;

    if (armor_open(ciphertext, cancel, &binary, &is_armored, err) < 0)
        return -1;
    result = start_search(binary, means, cancel, ret, err);
    armor_close(binary, ciphertext);
    return result;
}

int openpgp_reopen(const struct codec *codec, struct secure_arena *arena,
                   struct codec_layout *layout, struct byte_source *ciphertext,
                   const struct secure_buffer *passphrase, struct cancel *cancel,
                   struct codec_message **ret, struct error *err)
{
    const struct session_key_means means = means_of(codec, arena, passphrase);
    struct openpgp_layout *openpgp = (struct openpgp_layout *)layout;
    CLEANUP(session_key_search_free) struct session_key_search *search = NULL;

    if (passphrase_check(passphrase, err) < 0 ||
        (openpgp->is_armored ? start_armored_search(ciphertext, &means, cancel, &search, err)
                             : start_search(ciphertext, &means, cancel, &search, err)) < 0)
        return -1;
    for (;;) {
        CLEANUP(session_key_free) struct session_key *key = NULL;
        bool is_right;

        if (session_key_search_next(search, cancel, &key, err) < 0 ||
            openpgp_layout_check_key(openpgp, key, &is_right, err) < 0)
            return -1;
        if (is_right)
            return openpgp_message_new(&key, openpgp, ret, err);
    }
}
