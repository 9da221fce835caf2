/* SPDX-License-Identifier: Apache-2.0 */
/* What an image's record must say before somebody may write the image. */
#ifndef VIEW_WRITE_TARGET_H
#define VIEW_WRITE_TARGET_H

#include "base/uuid.h"
#include "glancefs/codec.h"
#include "glancefs/error.h"
#include "glancefs/identity_service.h"
#include "glancefs/image_record.h"

#include <stdbool.h>
#include <stdint.h>

/** How to encrypt the image. */
struct write_target {
    const struct codec *codec;
    char key_id[UUID_TEXT_BYTES];
    uint64_t declared_size; /* os_decrypt_size, or BYTE_SOURCE_SIZE_UNKNOWN */
    bool names_container_format;
};

/**
 * Judges the record: queued, ours (see ownership.h), with a key, to be encrypted as GPG.
 *
 * ERROR_EXISTS: already active. ERROR_BUSY: somebody's data is on its way. ERROR_NOT_FOUND: deleted.
 * ERROR_DENIED: another project's. ERROR_NO_KEY. ERROR_UNSUPPORTED. ERROR_INVALID: bad
 * os_decrypt_size.
 */
int write_target_judge(const struct image_record *record, const struct identity *identity,
                       const char *foreign_owners, struct codecs *codecs, struct write_target *ret,
                       struct error *err);

#endif
