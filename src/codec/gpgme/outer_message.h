/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The message as gpg gets to see it. gpg would follow whatever packets there are, and has been seen
 * to take damaged ones for sound (GnuPG bug 7042), so our own parser reads the outer packets, as the
 * bytes pass, and writes a message of its own for gpg: one session key packet (or those to public
 * keys), then one SEIPD packet of version 1 in chunks. Nothing else gets through, and the last chunk
 * goes out only when nothing follows it in the message.
 */
#ifndef CODEC_GPGME_OUTER_MESSAGE_H
#define CODEC_GPGME_OUTER_MESSAGE_H

#include "glancefs/byte_source.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Octets of the encrypted data that gpg needs to get as far as a session key. */
#define OUTER_MESSAGE_SAMPLE_BYTES 64

struct outer_message;

/**
 * Reads `source` (borrowed), which may be armored, from its start up to the encrypted data. Errors of
 * armor_open, and:
 *
 * ERROR_CORRUPT: not OpenPGP, not encrypted, no integrity protection, damaged. ERROR_UNSUPPORTED:
 * any encrypted data but SEIPD version 1. ERROR_TOO_LARGE: a cap of limits.h.
 */
int outer_message_new(struct byte_source *source, struct cancel *cancel, struct outer_message **ret,
                      struct error *err);

/** Frees; NULL is allowed. */
void outer_message_free(struct outer_message *message);
DEFINE_CLEANUP(struct outer_message, outer_message_free)

/** Passphrase packets (SKESK version 4) that gpg can try. */
size_t outer_message_passphrase_packets(const struct outer_message *message);

/** True when there are session key packets to public keys. */
bool outer_message_has_public_key_packets(const struct outer_message *message);

/** Stands for all packets to public keys where an index is wanted. */
#define OUTER_MESSAGE_PUBLIC_KEYS SIZE_MAX

/**
 * A complete small message for finding the session key: the packets that `index` names, and the
 * beginning of the encrypted data. On the heap; the caller frees it.
 */
int outer_message_excerpt(struct outer_message *message, size_t index, struct cancel *cancel,
                          uint8_t **ret, size_t *ret_size, struct error *err);

/** What comes next of the whole message goes behind the packets that `index` names. Once, before the
 *  first outer_message_next. */
int outer_message_begin(struct outer_message *message, size_t index, struct error *err);

/**
 * Shows the next bytes for gpg; *ret_size is 0 at the end of a message whose outer structure is
 * sound. The uniform error when it is not. A failure loses nothing.
 */
int outer_message_next(struct outer_message *message, struct cancel *cancel,
                       const uint8_t **ret_bytes, size_t *ret_size, struct error *err);

/** Steps over `size` bytes of what was shown. */
void outer_message_skip(struct outer_message *message, size_t size);

#endif
