/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/gpgme/gpgme_decrypt.h"

#include "codec/gpgme/gpg_decryption.h"
#include "codec/gpgme/gpgme_message.h"
#include "codec/gpgme/gpgme_passphrase.h"
#include "glancefs/limits.h"

#define PIECE_BYTES (256 * KIB)

static int read_all(struct gpg_decryption *decryption, struct secure_buffer *piece,
                    struct byte_sink *plaintext, struct cancel *cancel, uint64_t *ret_size,
                    struct error *err)
{
    size_t got;

    *ret_size = 0;
    do {
        if (gpg_decryption_read(decryption, secure_buffer_data(piece),
                                secure_buffer_capacity(piece), cancel, &got, err) < 0)
            return -1;
        *ret_size += got;
        if (got > 0 && plaintext != NULL &&
            byte_sink_write(plaintext, secure_buffer_bytes(piece), got, cancel, err) < 0)
            return -1;
    } while (got > 0);
    return 0;
}

static int decrypt(const struct gpgme_codec *codec, struct secure_arena *arena,
                   struct byte_source *ciphertext, const struct secure_buffer *passphrase,
                   struct byte_sink *plaintext, struct cancel *cancel, struct codec_message **ret,
                   struct error *err)
{
    CLEANUP(gpg_decryption_free) struct gpg_decryption *decryption = NULL;
    CLEANUP(secure_buffer_free) struct secure_buffer *piece = NULL;
    CLEANUP(codec_message_unref) struct codec_message *message = NULL;
    uint64_t size;

    if (gpgme_passphrase_check(passphrase, err) < 0 ||
        secure_buffer_new(arena, PIECE_BYTES, &piece, err) < 0 ||
        gpg_decryption_new(codec, arena, ciphertext, passphrase, GPG_DECRYPTION_UNKNOWN_PACKET,
                           cancel, &decryption, err) < 0 ||
        read_all(decryption, piece, plaintext, cancel, &size, err) < 0)
        return -1;
    if (ret != NULL &&
        gpgme_message_new(codec, arena, passphrase, gpg_decryption_packet(decryption), size,
                          &message, err) < 0)
        return -1;
    if (plaintext != NULL && byte_sink_commit(plaintext, cancel, err) < 0)
        return -1;
    if (ret != NULL)
        *ret = steal(&message);
    return 0;
}

int gpgme_decrypt(const struct codec *codec, struct secure_arena *arena,
                  struct byte_source *ciphertext, const struct secure_buffer *passphrase,
                  struct byte_sink *plaintext, struct cancel *cancel, struct codec_message **ret,
                  struct error *err)
{
    if (decrypt((const struct gpgme_codec *)codec, arena, ciphertext, passphrase, plaintext, cancel,
                ret, err) == 0)
        return 0;
    if (plaintext != NULL)
        byte_sink_abort(plaintext);
    return -1;
}
