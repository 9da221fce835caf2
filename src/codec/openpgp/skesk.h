/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Symmetric-Key Encrypted Session Key packet: how a passphrase becomes the session key. Version 4
 * (RFC 9580 section 5.3.1) derives it or decrypts one, and a wrong passphrase yields some key, too.
 * Version 5 (LibrePGP section 5.3) and 6 (RFC 9580 section 5.3.2) decrypt one that is authenticated.
 */
#ifndef CODEC_OPENPGP_SKESK_H
#define CODEC_OPENPGP_SKESK_H

#include "codec/openpgp/encrypted_data.h"
#include "codec/openpgp/s2k.h"
#include "codec/openpgp/session_key.h"
#include "crypto/aead_cipher.h"

#define SKESK_VERSION 4
#define SKESK_VERSION_LIBREPGP_AEAD 5
#define SKESK_VERSION_AEAD 6

/** Longest encrypted session key of version 4: the algorithm octet and the key. */
#define SKESK_ENCRYPTED_KEY_MAXIMUM_BYTES (1 + CIPHER_MAXIMUM_KEY_BYTES)

struct skesk {
    uint8_t version;
    enum cipher_algorithm cipher;
    struct s2k s2k;
    enum aead_algorithm aead; /* this and the next two: version 5 and 6 */
    uint8_t nonce[AEAD_MAXIMUM_NONCE_BYTES];
    uint8_t tag[AEAD_TAG_BYTES];
    uint8_t encrypted_key[SKESK_ENCRYPTED_KEY_MAXIMUM_BYTES];
    size_t encrypted_key_size; /* 0, in version 4 only: the derived key is the session key */
};

/** Parses a packet body. ERROR_UNSUPPORTED for a version, cipher, AEAD mode or S2K that we do not
 *  have; ERROR_TOO_LARGE as s2k_parse; the uniform error when it is malformed. */
int skesk_parse(struct byte_cursor *cursor, struct skesk *ret, struct error *err);

/** Whether a packet of `version` may stand before encrypted data of `kind`: see encrypted_data.h. */
bool skesk_version_goes_with(uint8_t version, enum encrypted_data_kind kind);

/**
 * The session key that `passphrase` gives. *ret is NULL, with success, when the decrypted octets
 * are no session key or not authentic: the passphrase is then not the one of this packet. Its
 * `algorithm` is meaningless for versions 5 and 6, where the encrypted data names the cipher. Errors
 * as s2k_derive.
 */
int skesk_session_key(const struct skesk *skesk, struct secure_arena *arena,
                      const struct secure_buffer *passphrase, struct s2k_allowance *allowance,
                      struct cancel *cancel, struct session_key **ret, struct error *err);

/**
 * Makes a whole packet of version 4, with header, of SKESK_WRITTEN_BYTES in `out`: AES-256, iterated
 * and salted SHA-256 at the highest count, and `session_key` (AES-256) encrypted. SHA-256 is what
 * gpg 2.2, rnp and sq all read, and yields the key in one pass.
 */
int skesk_write(const struct session_key *session_key, struct secure_arena *arena,
                const struct secure_buffer *passphrase, uint8_t *out, struct error *err);
#define SKESK_WRITTEN_BYTES (6 + 4 + S2K_SALT_BYTES + 1 + SKESK_ENCRYPTED_KEY_MAXIMUM_BYTES)

/**
 * The same for version 5 (`is_librepgp`) or 6, encrypted with `aead`; *ret_size is the packet's
 * size, at most SKESK_AEAD_WRITTEN_MAXIMUM_BYTES.
 */
int skesk_write_aead(const struct session_key *session_key, bool is_librepgp,
                     enum aead_algorithm aead, struct secure_arena *arena,
                     const struct secure_buffer *passphrase, uint8_t *out, size_t *ret_size,
                     struct error *err);
#define SKESK_AEAD_WRITTEN_MAXIMUM_BYTES                                                           \
    (6 + 5 + 3 + S2K_SALT_BYTES + AEAD_MAXIMUM_NONCE_BYTES + CIPHER_MAXIMUM_KEY_BYTES +            \
     AEAD_TAG_BYTES)

#endif
