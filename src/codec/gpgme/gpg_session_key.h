/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gpg tells a message's session key as soon as it gets to the encrypted data, whatever becomes of
 * these: a few octets of them are enough, and the bulk never passes through gpg.
 */
#ifndef CODEC_GPGME_GPG_SESSION_KEY_H
#define CODEC_GPGME_GPG_SESSION_KEY_H

#include "codec/gpgme/gpg_helper.h"
#include "codec/gpgme/gpg_protocol.h"
#include "codec/openpgp/session_key.h"
#include "glancefs/cancel.h"
#include "glancefs/secure_buffer.h"

/** What gpg thinks of an excerpt of a message. */
struct gpg_session_key {
    struct session_key *key; /* NULL when gpg found none, or one of a cipher that we do not have */
    bool fits;               /* it also fits the start of the encrypted data, as far as gpg says */
    bool lacks_key;          /* none of the PKESK packets is for a key at hand */
};

/**
 * Asks a gpg of `helper`'s, with `home` as its GNUPGHOME, about `message`: session key packets and the beginning of
 * an SEIPD packet (version 1; at least 19 octets of its body). `passphrase` is NULL for public keys.
 * The key, which the caller frees, lives in `arena`.
 *
 * ERROR_UNAVAILABLE when gpg fails before it has asked for the passphrase, or the helper has ended; ERROR_TIMEOUT when it
 * takes over GPG_SESSION_KEY_SECONDS, a person's time for a PIN included.
 */
int gpg_session_key_find(const struct gpg_helper *helper, enum gpg_home home,
                         struct secure_arena *arena, const struct secure_buffer *passphrase,
                         const uint8_t *message, size_t size, struct cancel *cancel,
                         struct gpg_session_key *ret, struct error *err);

#endif
