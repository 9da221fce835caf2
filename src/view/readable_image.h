/* SPDX-License-Identifier: Apache-2.0 */
/* Which images have a decrypted view. */
#ifndef VIEW_READABLE_IMAGE_H
#define VIEW_READABLE_IMAGE_H

#include "glancefs/error.h"
#include "glancefs/image_record.h"

/**
 * Whether the image can be read here at all, by its record alone. ERROR_NOT_FOUND: not active, or not
 * encrypted. ERROR_DENIED: deactivated. ERROR_UNSUPPORTED names another encryption format. Never waits.
 */
int readable_image_check(const struct image_record *record, struct error *err);

#endif
