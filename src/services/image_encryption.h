/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Judgement of a record's encryption properties. Three generations of names exist: os_encrypt_* and
 * os_decrypt_* (Cinder's specification, and Glance's since 2024.2), os_glance_encrypt_* and
 * os_glance_decrypt_* (Glance's from Victoria to 2024.1; reserved, so only ever read), and
 * cinder_encryption_key_id (what Cinder writes today, over a LUKS volume). Where one property
 * stands under both names, os_encrypt_* counts.
 */
#ifndef SERVICES_IMAGE_ENCRYPTION_H
#define SERVICES_IMAGE_ENCRYPTION_H

#include "glancefs/image_record.h"

#include <stddef.h>

/** Room for the name of a format, with its NUL, in bytes. */
#define IMAGE_FORMAT_NAME_BYTES 96

/**
 * Judges `record` and writes the format's name ("none", "GPG", or what is not supported).
 *
 * A record with cinder_encryption_key_id is UNSUPPORTED whatever else it says: its bytes are those
 * of a LUKS volume. Without os_encrypt_format, disk_format or container_format `luks` is
 * UNSUPPORTED, and so is an os_encrypt_key_id: bytes that need a key nobody said how to use. A
 * container_format `encrypted` with neither is NONE: nothing says that we could ever read it. GPG
 * is served only when os_encrypt_type is absent or `symmetric` and os_encrypt_cipher is absent or
 * a spelling of AES256.
 */
enum image_encryption image_encryption_judge(const struct image_record *record,
                                             char ret_format[IMAGE_FORMAT_NAME_BYTES]);

#endif
