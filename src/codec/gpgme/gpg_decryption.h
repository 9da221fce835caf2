/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A message on its way through gpg, which takes off the encryption and checks the MDC, and does
 * nothing else: our parser reads the packets in front of it and those that come out. Left to
 * itself, gpg takes compressed data that is cut for a literal that ends there. Bytes are pulled;
 * nothing runs between two reads but gpg itself, as far as its pipes let it.
 */
#ifndef CODEC_GPGME_GPG_DECRYPTION_H
#define CODEC_GPGME_GPG_DECRYPTION_H

#include "codec/gpgme/gpgme_codec.h"

/** The session key packets have not been tried yet. */
#define GPG_DECRYPTION_UNKNOWN_PACKET (SIZE_MAX - 1)

struct gpg_decryption;

/**
 * Starts gpg on `ciphertext` (borrowed, as `passphrase` is), read from its start, up to the beginning
 * of the plaintext. `packet` is what gpg_decryption_packet gave for the same message, to spare the
 * search, or GPG_DECRYPTION_UNKNOWN_PACKET. Arena: 0.3 MiB, and what compression takes.
 *
 * Of several session key packets, gpg gets the first that the passphrase or the keyring opens: left
 * to itself, gpg 2.2 only ever tries the first. Errors as outer_message_new; the uniform error when
 * no packet opens; ERROR_UNSUPPORTED when there are only public keys, and no keyring; and as
 * gpg_decryption_read.
 */
int gpg_decryption_new(const struct gpgme_codec *codec, struct secure_arena *arena,
                       struct byte_source *ciphertext, const struct secure_buffer *passphrase,
                       size_t packet, struct cancel *cancel, struct gpg_decryption **ret,
                       struct error *err);

/** Ends gpg, wipes and frees. NULL is allowed. */
void gpg_decryption_free(struct gpg_decryption *decryption);
DEFINE_CLEANUP(struct gpg_decryption, gpg_decryption_free)

/** The session key packet in use. */
size_t gpg_decryption_packet(const struct gpg_decryption *decryption);

/**
 * Reads 1 to `size` (> 0) bytes of plaintext into locked memory. *ret_size is 0 only at the end, and
 * only when gpg vouches for the message and our parser for its structure; else the call that meets
 * the end fails. A cancelled read loses nothing.
 *
 * The uniform error for all that can depend on the key. ERROR_UNSUPPORTED and ERROR_TOO_LARGE for
 * content that literal_message.h refuses, once gpg vouches for the message.
 */
int gpg_decryption_read(struct gpg_decryption *decryption, void *buffer, size_t size,
                        struct cancel *cancel, size_t *ret_size, struct error *err);

#endif
