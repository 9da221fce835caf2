/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Digests of data that nobody uploaded: Glance hashes an image while it stores it, so a record
 * written by hand beside its data has none. They are then made from the data when the record is
 * first asked for, and remembered for as long as the file stays the same.
 */
#ifndef SERVICES_LOCAL_LOCAL_DIGEST_H
#define SERVICES_LOCAL_LOCAL_DIGEST_H

#include "glancefs/cancel.h"
#include "glancefs/cleanup.h"
#include "services/json_document.h"

struct local_digests;

/** Nothing remembered yet. Thread-safe. */
int local_digests_new(struct local_digests **ret, struct error *err);

/** NULL is allowed. */
void local_digests_free(struct local_digests *digests);
DEFINE_CLEANUP(struct local_digests, local_digests_free)

/**
 * Gives the active image in `entity` an `os_hash_algo` and `os_hash_value` (SHA-512) when it has
 * no value of its own, from its data below descriptor `fd`. Reads the data once; cancellable. An
 * image that is not active is left as it is. ERROR_UNAVAILABLE when the data is missing or no
 * regular file: whoever asks then learns that, not that a hash is missing.
 */
int local_digests_complete(struct local_digests *digests, int fd, const char *id,
                           struct json_object *entity, struct cancel *cancel, struct error *err);

#endif
