/* SPDX-License-Identifier: Apache-2.0 */
/* Whether an active image holds the bytes of an upload: by its size and the hash it names. */
#ifndef CACHE_UPLOAD_MATCH_H
#define CACHE_UPLOAD_MATCH_H

#include "cache/upload_journal.h"
#include "glancefs/cancel.h"
#include "glancefs/image_record.h"

/** True when `record` is active with exactly the bytes of the journal: size, and os_hash_value or,
 *  where the service hashes otherwise than with sha512, checksum. */
bool upload_journal_describes(const struct upload_journal *journal,
                              const struct image_record *record);

/**
 * The same with the staged data (`fd`) at hand: whatever algorithm the service hashes with is
 * computed over them. Reads all of them then, so it may wait. Fails when they cannot be read.
 */
int upload_match(const struct upload_journal *journal, int fd, const struct image_record *record,
                 struct cancel *cancel, bool *ret, struct error *err);

#endif
