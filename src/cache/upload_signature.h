/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signing an upload when it is sealed: img_signature and its companions among the properties that
 * are set before the data are sent, so that the image service can verify the data as it takes them.
 */
#ifndef CACHE_UPLOAD_SIGNATURE_H
#define CACHE_UPLOAD_SIGNATURE_H

#include "cache/staging_directory.h"

/**
 * Adds the four properties to `journal`, whose sha512 is known, with the owner's key; without one it
 * adds none. The signed hash is SHA-512, which the journal has anyway.
 */
int upload_signature_add(const struct staging_owner *owner, struct upload_journal *journal,
                         struct error *err);

#endif
