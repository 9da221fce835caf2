/* SPDX-License-Identifier: Apache-2.0 */
/* The codec_message of the gpgme engine: what it takes to run gpg on the message once more. */
#ifndef CODEC_GPGME_GPGME_MESSAGE_H
#define CODEC_GPGME_GPGME_MESSAGE_H

#include "codec/gpgme/gpgme_codec.h"

struct gpgme_message {
    struct codec_message message;
    const struct gpgme_codec *codec;
    struct secure_arena *arena;
    struct secure_buffer *passphrase;
    size_t packet;           /* see gpg_decryption_new */
    uint64_t plaintext_size; /* in bytes */
};

/** One reference to a message with a copy of `passphrase`. It counts as compressed, for it is read
 *  forward in any case. */
int gpgme_message_new(const struct gpgme_codec *codec, struct secure_arena *arena,
                      const struct secure_buffer *passphrase, size_t packet,
                      uint64_t plaintext_size, struct codec_message **ret, struct error *err);

#endif
