/* SPDX-License-Identifier: Apache-2.0 */
/* Whether two records speak of the same stored bytes. */
#ifndef VIEW_IMAGE_CONTENT_H
#define VIEW_IMAGE_CONTENT_H

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

#endif
