/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ciphertext of a sealed upload as the image service reads it: counted for progress, and
 * checked. Should the staged bytes have changed since the seal, the read that would deliver the
 * last of them fails instead, so that the service never gets a complete image.
 */
#ifndef CACHE_UPLOAD_SOURCE_H
#define CACHE_UPLOAD_SOURCE_H

#include "cache/upload_journal.h"
#include "glancefs/byte_source.h"

#include <stdatomic.h>

/**
 * A forward-only source over descriptor `fd`; both, and `sent`, which follows the position, are
 * borrowed. It can be read again from offset 0, as often as a service likes to start anew.
 * ERROR_CORRUPT, here and from reads, when the bytes are not those that were sealed.
 */
int upload_source_new(const struct upload_journal *journal, int fd, _Atomic uint64_t *sent,
                      struct byte_source **ret, struct error *err);

#endif
