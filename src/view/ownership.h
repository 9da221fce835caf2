/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose images we read. Without this rule project B could register A's ciphertext with A's key id
 * as an image of its own, share it with us, and read it through our right to A's key.
 */
#ifndef VIEW_OWNERSHIP_H
#define VIEW_OWNERSHIP_H

#include "glancefs/error.h"
#include "glancefs/identity_service.h"
#include "glancefs/image_record.h"

/**
 * ERROR_DENIED unless the image belongs to our project or to one that the comma-separated list
 * `foreign_owners` (may be NULL) names; so it is for a record without an owner, which cannot be named.
 * An identity without project (a cloud with a single tenant) has no foreigners.
 */
int ownership_check(const struct image_record *record, const struct identity *identity,
                    const char *foreign_owners, struct error *err);

#endif
