/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Builds OpenPGP messages, sound or broken, packet by packet (RFC 9580), with nothing of the codec
 * under test. Call crypto_library_setup before. Failures of the libraries abort.
 */
#ifndef SUPPORT_OPENPGP_BUILDER_H
#define SUPPORT_OPENPGP_BUILDER_H

#include "crypto/aead_cipher.h"
#include "crypto/argon2.h"
#include "crypto/hash.h"
#include "support/octets.h"

#include <stdbool.h>

/** How a packet's length is written. */
enum framing {
    FRAMING_SHORTEST,        /* OpenPGP format, one, two or five octets */
    FRAMING_FIVE_OCTETS,     /* OpenPGP format */
    FRAMING_LEGACY,          /* legacy format, one, two or four octets; type below 16 */
    FRAMING_INDETERMINATE,   /* legacy format */
    FRAMING_PARTIAL_512,     /* chunks of 512 octets, then the rest (perhaps none) */
    FRAMING_PARTIAL_256,     /* a first chunk that is too small */
    FRAMING_PARTIAL_UNENDED, /* chunks of 512 octets without a last one; the body must fit */
};

/** Appends a packet. */
void build_packet(struct octets *out, unsigned type, enum framing framing, const void *body,
                  size_t size);

/** Appends a literal data packet: binary, no name, no date. */
void build_literal(struct octets *out, enum framing framing, const void *content, size_t size);

/** Appends the body of such a packet alone. */
void build_literal_body(struct octets *out, const void *content, size_t size);

/** Appends a compressed data packet; algorithm 0, 1 (ZIP), 2 (ZLIB) or 3 (BZip2) is applied to `packets`,
 *  for any other number they are taken as they are. */
void build_compressed(struct octets *out, enum framing framing, unsigned algorithm,
                      const void *packets, size_t size);

/** Appends what zlib makes of `content`: raw DEFLATE, or with the ZLIB wrapper. */
void build_deflate(struct octets *out, bool has_wrapper, const void *content, size_t size);

/** Appends what libbz2 makes of `content`, in blocks of 900,000 bytes. */
void build_bzip2(struct octets *out, const void *content, size_t size);

/** How a session key is given. All zero but the first three: type 0, no encrypted key. Versions 5
 *  and 6 always encrypt `session_key`. */
struct skesk_plan {
    const char *passphrase;
    enum cipher_algorithm cipher;
    enum hash_algorithm hash;
    unsigned s2k_type;                    /* 0, 1, 3 or 4 */
    unsigned coded_count;                 /* for type 3; for type 4 the exponent of the memory */
    unsigned version;                     /* 0 stands for 4 */
    enum aead_algorithm aead;             /* of versions 5 and 6 */
    bool has_encrypted_key;               /* else the derived key is the session key */
    enum cipher_algorithm session_cipher; /* of the encrypted key */
    uint8_t session_key[CIPHER_MAXIMUM_KEY_BYTES];
};

/** A plan as usual: AES-256, SHA-256, iterated and salted a few times. */
struct skesk_plan usual_skesk(const char *passphrase);

/** Appends the SKESK packet, and gives the session key to encrypt with. */
void build_skesk(struct octets *out, const struct skesk_plan *plan,
                 uint8_t ret_key[CIPHER_MAXIMUM_KEY_BYTES], enum cipher_algorithm *ret_cipher);

/** The key derived by S2K, computed the slow and obvious way. The salt is octets 1 to 8, of Argon2
 *  1 to 16, which takes two passes over two lanes. */
void build_s2k(const struct skesk_plan *plan, uint8_t *ret_key, size_t size);

/** What stands at the end of the encrypted data. */
enum mdc_plan {
    MDC_RIGHT,
    MDC_MISSING,
    MDC_WRONG_DIGEST,
    MDC_WRONG_HEADER,   /* D3 15 */
    MDC_LEGACY_HEADER,  /* CC 14: type 19 does not exist there */
    MDC_WITHOUT_PREFIX, /* digest over the packets only */
    MDC_FIRST,          /* in front of the packets */
};

struct seipd_plan {
    enum framing framing;
    unsigned version; /* 0 stands for 1 */
    enum mdc_plan mdc;
    bool breaks_quick_check; /* the prefix does not repeat its last octets */
};

/** Appends an SEIPD packet that holds `packets`; `plan` may be NULL for a sound one. */
void build_seipd(struct octets *out, const struct seipd_plan *plan, enum cipher_algorithm cipher,
                 const uint8_t *key, const void *packets, size_t size);

/** Appends a whole message: a usual SKESK and a sound SEIPD around `packets`. */
void build_message_around(struct octets *out, const char *passphrase, const void *packets,
                          size_t size);

/** Appends a whole sound message with a literal. */
void build_message(struct octets *out, const char *passphrase, const void *content, size_t size);

#endif
