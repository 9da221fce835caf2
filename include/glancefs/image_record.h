/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Glance says about one image (Image API v2, "image" entity): an immutable, reference-counted
 * snapshot. Names are Glance's own. Strings are borrowed and live as long as the record; an
 * absent or null property is NULL.
 */
#ifndef GLANCEFS_IMAGE_RECORD_H
#define GLANCEFS_IMAGE_RECORD_H

#include "glancefs/cleanup.h"
#include "glancefs/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Image states of the Image API v2. */
enum image_status {
    IMAGE_STATUS_QUEUED,
    IMAGE_STATUS_SAVING,
    IMAGE_STATUS_UPLOADING,
    IMAGE_STATUS_IMPORTING,
    IMAGE_STATUS_ACTIVE,
    IMAGE_STATUS_KILLED,
    IMAGE_STATUS_DELETED,
    IMAGE_STATUS_PENDING_DELETE,
    IMAGE_STATUS_DEACTIVATED,
};

/** Glance's word for `status`. Static storage. */
const char *image_status_name(enum image_status status);

/** One additional property; both strings borrowed. */
struct image_property {
    const char *name;
    const char *value;
};

struct image_record;

/**
 * Parses one JSON image entity of `size` bytes. Caps of limits.h apply; an id that is no UUID, an
 * unknown status, a size that is no number from 0 on and a property of the wrong type are
 * ERROR_INVALID naming the property. Numbers and booleans among the additional properties are
 * kept as their JSON text.
 */
int image_record_parse(const char *json, size_t size, struct image_record **ret, struct error *err);

/** One more reference; any thread. */
struct image_record *image_record_ref(struct image_record *record);

/** Gives a reference back; NULL is allowed; any thread. */
void image_record_unref(struct image_record *record);
DEFINE_CLEANUP(struct image_record, image_record_unref)

const char *image_record_id(const struct image_record *record);
const char *image_record_name(const struct image_record *record); /* NULL when unnamed */
enum image_status image_record_status(const struct image_record *record);
const char *image_record_owner(const struct image_record *record); /* project id or NULL */

/** True, with the stored size in bytes, once Glance has the data. */
bool image_record_size(const struct image_record *record, uint64_t *ret);

/** MD5 of the stored bytes in lower-case hex, or NULL. */
const char *image_record_checksum(const struct image_record *record);

/** `os_hash_algo` ("sha512") and `os_hash_value` (lower-case hex), or NULL. */
const char *image_record_hash_algo(const struct image_record *record);
const char *image_record_hash_value(const struct image_record *record);

/** `updated_at` (else `created_at`) in seconds since the epoch; 0 when absent or not a date. */
int64_t image_record_updated_at(const struct image_record *record);

/**
 * The scalar property `name` as text, be it a base property ("disk_format", "size") or an
 * additional one, or NULL.
 */
const char *image_record_property(const struct image_record *record, const char *name);

/** All scalar properties, in the record's order: the i-th of `count`. */
size_t image_record_property_count(const struct image_record *record);
struct image_property image_record_property_at(const struct image_record *record, size_t index);

/* --- encryption --- */

/** How an image's stored bytes are encrypted, by its properties. */
enum image_encryption {
    IMAGE_ENCRYPTION_NONE,        /* a plain image */
    IMAGE_ENCRYPTION_GPG,         /* os_encrypt_format = GPG, in any case */
    IMAGE_ENCRYPTION_UNSUPPORTED, /* LUKS, cinder_encryption_key_id, anything else */
};

/** Judges the record. For UNSUPPORTED, *ret_format (if not NULL) names the format, borrowed. */
enum image_encryption image_record_encryption(const struct image_record *record,
                                              const char **ret_format);

/**
 * The bare UUID of `os_encrypt_key_id`, of which a whole reference (an address) may be given: only
 * its last component counts. 37 bytes with the NUL. ERROR_NO_KEY when absent or no UUID.
 */
int image_record_encrypt_key_id(const struct image_record *record, char ret[37], struct error *err);

/**
 * `os_decrypt_size` in bytes. *ret_present is false when the property is absent. ERROR_INVALID
 * when it is no decimal number or over LIMIT_PLAINTEXT_BYTES.
 */
int image_record_decrypt_size(const struct image_record *record, bool *ret_present, uint64_t *ret,
                              struct error *err);

#endif
