/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a mount would show, for people: each image that can be decrypted, what its record says, what
 * the key manager says of its secret (by the metadata; no payload is fetched), and whether its
 * ciphertext is in the cache.
 */
#ifndef CLI_IMAGE_OVERVIEW_H
#define CLI_IMAGE_OVERVIEW_H

#include "glancefs/cloud.h"
#include "glancefs/error.h"

#include <stdbool.h>

/**
 * Prints all images of `cloud` that are encrypted as GPG: as a table, or as one JSON array with
 * members id, name, status, size, plaintext_size, format, key_id, key and cached; what is not known
 * is "-" or null. `key` is "ok", "none" (the record names none), "gone", "denied", "unusable" or
 * "unknown" (no answer; after the first one of that kind no other key is asked for). `cache` is a cache directory, NULL for none; a daemon may be using it.
 */
int image_overview_print(struct cloud *cloud, const char *cache, bool as_json, struct error *err);

#endif
