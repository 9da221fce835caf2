/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plaintext of a verified message at any offset, for any number of threads. Ciphertext is read
 * into the caller's memory and decrypted there, which therefore must be locked memory.
 */
#ifndef CODEC_OPENPGP_RANDOM_SOURCE_H
#define CODEC_OPENPGP_RANDOM_SOURCE_H

#include "codec/openpgp/openpgp_message.h"

/** Readers that a source keeps for the next reads; each has a cipher, and goes on cheaply where it
 *  stopped. */
#define RANDOM_SOURCE_IDLE_READERS 4

/**
 * A source with random access over the verified bytes `ciphertext`, which it takes over on success;
 * holds a reference to `message`, whose layout must be one for random access. Nothing is read
 * before the first pread. Bytes that are no longer there are the uniform error; other bytes are
 * other plaintext, unless a whole AEAD chunk is read: its tag is checked.
 */
int random_source_new(struct openpgp_message *message, struct byte_source *ciphertext,
                      struct byte_source **ret, struct error *err);

#endif
