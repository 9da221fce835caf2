/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plaintext of a verified message, read forward: compressed content, or a layout too irregular
 * for an index. Reads of LITERAL_MESSAGE_PIECE_BYTES and more are decrypted in the caller's own
 * memory, which therefore must be locked memory.
 */
#ifndef CODEC_OPENPGP_FORWARD_SOURCE_H
#define CODEC_OPENPGP_FORWARD_SOURCE_H

#include "codec/openpgp/openpgp_message.h"

/**
 * A forward-only source over the verified bytes `ciphertext`, which it takes over on success; holds
 * a reference to `message`. Bytes that are no longer a message are the uniform error; other bytes
 * are other plaintext, where no tag tells. Nothing is read before the first pread.
 *
 * A pread that fails leaves the position: what was decrypted already is kept for the next one. Only
 * when there is no locked memory to keep it, the source stays failed (ERROR_EXHAUSTED).
 */
int forward_source_new(struct openpgp_message *message, struct byte_source *ciphertext,
                       struct byte_source **ret, struct error *err);

#endif
