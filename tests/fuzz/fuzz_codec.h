/* SPDX-License-Identifier: Apache-2.0 */
/* What the targets for whole messages share: all ways of reading one must agree. */
#ifndef FUZZ_FUZZ_CODEC_H
#define FUZZ_FUZZ_CODEC_H

#include <stddef.h>
#include <stdint.h>

/** The passphrase of all messages. */
#define FUZZ_PASSPHRASE "fuzz"

/**
 * Verifies `message`; when it is sound, reads it as a stream, from front to back and at places that
 * `choice` picks, and wants the same bytes each time; when it is not, the stream has to fail, too.
 * With `expected` (may be NULL) a sound message must hold just these bytes.
 */
void fuzz_read_message(const uint8_t *message, size_t size, uint32_t choice,
                       const uint8_t *expected, size_t expected_size);

#endif
