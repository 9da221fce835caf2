/* SPDX-License-Identifier: Apache-2.0 */
/* Whether two records speak of the same stored bytes. */
#ifndef VIEW_IMAGE_CONTENT_H
#define VIEW_IMAGE_CONTENT_H

#include "glancefs/ciphertext_cache.h"
#include "glancefs/image_record.h"
#include "view/image_signature.h"

#include <stdbool.h>

/**
 * True when both records describe the same bytes, told by a strong hash: a key must not be applied
 * to bytes that it was not verified on, nor a signature be taken for verified that was not. Any
 * thread.
 */
bool image_content_is_same(const struct signature_policy *signatures, const struct image_record *a,
                           const struct image_record *b);

/**
 * The key of a pass over the bytes of `record` that also checks its signature: equal for records of
 * the same size and hash that make the same claim. Whoever joins such a pass may take what it proved
 * for proven of his own record. Any thread.
 */
int image_content_pass_key(const struct signature_policy *signatures,
                           const struct image_record *record, struct pass_key *ret,
                           struct error *err);

#endif
