/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plaintext of a verified message, read forward: gpg runs from the first read on, and waits while
 * nobody reads. Plaintext goes from gpg's pipe to the caller's memory, which must be locked memory.
 */
#ifndef CODEC_GPGME_GPGME_SOURCE_H
#define CODEC_GPGME_GPGME_SOURCE_H

#include "codec/gpgme/gpgme_message.h"

/**
 * A forward-only source over the verified bytes `ciphertext`, which it takes over on success; holds a
 * reference to `message`. Bytes that are no longer a message are the uniform error; what gpg says of
 * them at the end shows in the read that meets the end.
 *
 * A pread that fails leaves the position: what was decrypted already is kept for the next one. Only
 * when there is no locked memory to keep it, the source stays failed (ERROR_EXHAUSTED).
 */
int gpgme_source_new(struct gpgme_message *message, struct byte_source *ciphertext,
                     struct byte_source **ret, struct error *err);

#endif
