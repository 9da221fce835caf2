/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal of one sealed upload: what it is, where it belongs, and how far it came. One JSON
 * object per file, made to be read by people too. It holds ids, sizes and hashes; no key.
 *
 * Reading is strict: a text that its version would not have written in the very same bytes is
 * damaged, whatever JSON may make of it.
 */
#ifndef CACHE_UPLOAD_JOURNAL_H
#define CACHE_UPLOAD_JOURNAL_H

#include "base/uuid.h"
#include "glancefs/cleanup.h"
#include "glancefs/error.h"
#include "glancefs/image_record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** The format this version writes. It reads version 1, too, which has no `saving_since`. */
#define UPLOAD_JOURNAL_VERSION 2

/** Hexadecimal digits of the hashes, with a NUL. */
#define SHA512_TEXT_BYTES (2 * 64 + 1)
#define MD5_TEXT_BYTES (2 * 16 + 1)

struct upload_journal {
    char image_id[UUID_TEXT_BYTES];
    char *cloud;      /* as configured when it was sealed */
    char *project_id; /* "" for a single tenant */
    uint64_t stored_bytes;
    uint64_t plaintext_bytes;
    char sha512[SHA512_TEXT_BYTES]; /* of the stored bytes, lower case */
    char md5[MD5_TEXT_BYTES];
    int64_t sealed_at; /* seconds since the epoch */
    unsigned attempts; /* how often its data was sent */
    int64_t
        saving_since; /* when the image was first seen being saved after an attempt; 0: it is not */
    bool failed;      /* refused for good, for the reason `last_error` */
    struct error last_error;
    struct image_property *properties; /* to set before the data; both strings owned */
    size_t property_count;
};

/** A journal for image `id` with everything else empty. Strings are copied. */
int upload_journal_new(const char *id, const char *cloud, const char *project_id,
                       struct upload_journal **ret, struct error *err);

/** Releases; NULL is allowed. */
void upload_journal_free(struct upload_journal *journal);
DEFINE_CLEANUP(struct upload_journal, upload_journal_free)

/** Adds a property or replaces its value. ERROR_TOO_LARGE over a cap of limits.h. */
int upload_journal_set_property(struct upload_journal *journal, const char *name, const char *value,
                                struct error *err);

/** Remembers why an attempt did not end the upload; characters that are not printable ASCII become
 *  "?". With `failed` it is refused for good. */
void upload_journal_set_error(struct upload_journal *journal, const struct error *reason,
                              bool failed);

/**
 * The journal as text; caller frees *ret. ERROR_INVALID when it could not be read back, as with a
 * property that is no UTF-8; ERROR_TOO_LARGE over LIMIT_RECORD_BYTES.
 */
int upload_journal_print(const struct upload_journal *journal, char **ret, size_t *ret_size,
                         struct error *err);

/**
 * Reads the journal of image `id`. ERROR_UNSUPPORTED when a newer version wrote it, ERROR_CORRUPT
 * for everything else that is wrong with it.
 */
int upload_journal_parse(const char *id, const char *text, size_t size, struct upload_journal **ret,
                         struct error *err);

#endif
