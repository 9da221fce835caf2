/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ASCII armor (RFC 9580 section 6.2) of small messages: images are stored in binary, but a test
 * message or a short secret may come as text. It is decoded whole, which is why it is capped.
 */
#ifndef CODEC_OPENPGP_ARMOR_H
#define CODEC_OPENPGP_ARMOR_H

#include "glancefs/byte_source.h"
#include "glancefs/limits.h"

#include <stddef.h>
#include <stdint.h>

/**
 * The binary message in `ciphertext`: a binary one is `ciphertext` itself (*ret equals it), or a
 * forward-only source that gives its bytes again from the start when it can only be read once; an
 * armored one (*ret_is_armored) is a source of the decoded bytes, which no longer needs it.
 *
 * ERROR_UNSUPPORTED: more than LIMIT_ARMOR_BYTES of armor. ERROR_CORRUPT: armor of something else
 * than a message; the uniform error when it is malformed. Its checksum is not looked at: a reader
 * must not refuse a message for it (section 6.1).
 */
int armor_open(struct byte_source *ciphertext, struct cancel *cancel, struct byte_source **ret,
               bool *ret_is_armored, struct error *err);

/**
 * What is kept of a source that can only be read once, in bytes. The first chunk of AEAD data is the
 * first thing to tell a wrong session key: the largest one, with session key packets before it and a
 * piece of reading behind it.
 */
#define ARMOR_KEPT_BYTES (LIMIT_AEAD_CHUNK_BYTES + MIB)

/** Call it on what armor_open gave, before the first read: from now on its bytes are kept, as long as
 *  they are no more than ARMOR_KEPT_BYTES, so that they can be read again. Heap: up to that. */
void armor_keep(struct byte_source *opened);

/** Ends that: bytes that were kept stay until they are read, and can be read no more then. */
void armor_keep_no_more(struct byte_source *opened);

/** Whether what armor_open gave can be read again from its start. */
bool armor_can_be_read_again(const struct byte_source *opened);

/** Frees what armor_open gave for `ciphertext`, which stays. NULL `opened` is allowed. */
void armor_close(struct byte_source *opened, struct byte_source *ciphertext);

/** Hands `ciphertext` over to what armor_open gave for it: it is freed along with that, or now. */
void armor_own(struct byte_source *opened, struct byte_source *ciphertext);

/** Decodes armored text in place of a source: *ret (caller frees) has *ret_size bytes. */
int armor_decode(const uint8_t *text, size_t size, uint8_t **ret, size_t *ret_size,
                 struct error *err);

#endif
