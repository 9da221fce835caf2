/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Symmetric-Key Encrypted Session Key packet, version 4 (RFC 9580 section 5.3.1): how a passphrase
 * becomes the session key, directly or by decrypting one.
 */
#ifndef CODEC_OPENPGP_SKESK_H
#define CODEC_OPENPGP_SKESK_H

#include "codec/openpgp/s2k.h"
#include "codec/openpgp/session_key.h"

#define SKESK_VERSION 4

/** Longest encrypted session key: the algorithm octet and the key. */
#define SKESK_ENCRYPTED_KEY_MAXIMUM_BYTES (1 + CIPHER_MAXIMUM_KEY_BYTES)

struct skesk {
    enum cipher_algorithm cipher;
    struct s2k s2k;
    uint8_t encrypted_key[SKESK_ENCRYPTED_KEY_MAXIMUM_BYTES];
    size_t encrypted_key_size; /* 0: the derived key is the session key */
};

/** Parses a packet body. ERROR_UNSUPPORTED for a version, cipher or S2K we do not have; the uniform
 *  error when it is malformed. */
int skesk_parse(struct byte_cursor *cursor, struct skesk *ret, struct error *err);

/**
 * The session key that `passphrase` gives. *ret is NULL, with success, when the decrypted octets
 * are no session key: the passphrase is then not the one of this packet. Errors as s2k_derive.
 */
int skesk_session_key(const struct skesk *skesk, struct secure_arena *arena,
                      const struct secure_buffer *passphrase, uint64_t cpu_deadline_ns,
                      struct cancel *cancel, struct session_key **ret, struct error *err);

/**
 * Makes a whole packet, with header, of SKESK_WRITTEN_BYTES in `out`: AES-256, iterated and salted
 * SHA-256 at the highest count, and `session_key` (AES-256) encrypted. SHA-256 is what gpg 2.2,
 * rnp and sq all read, and yields the key in one pass.
 */
int skesk_write(const struct session_key *session_key, struct secure_arena *arena,
                const struct secure_buffer *passphrase, uint8_t *out, struct error *err);
#define SKESK_WRITTEN_BYTES (6 + 4 + S2K_SALT_BYTES + 1 + SKESK_ENCRYPTED_KEY_MAXIMUM_BYTES)

#endif
