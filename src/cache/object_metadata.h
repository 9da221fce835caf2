/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The small file beside an object's data: which image's bytes they are to be, and what proves it.
 * One JSON object, made to be read by people too (contrib/doc/cache-format.md). It holds ids, sizes
 * and hashes; no key. When the object was used last is the file's modification time: that can be
 * set without writing, so it can damage nothing.
 *
 * Reading is strict: a text that its version would not have written in the very same bytes is
 * damaged, whatever JSON may make of it.
 */
#ifndef CACHE_OBJECT_METADATA_H
#define CACHE_OBJECT_METADATA_H

#include "base/uuid.h"
#include "cache/cache_object.h"
#include "crypto/hash.h"
#include "glancefs/error.h"
#include "glancefs/image_record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** The format this version writes and reads. */
#define OBJECT_METADATA_VERSION 1

/** Text of one metadata file, in bytes: more is damage. */
#define OBJECT_METADATA_TEXT_BYTES 2048

/** `size` of an object whose record does not tell it; never of one that is complete. */
#define OBJECT_SIZE_UNKNOWN UINT64_MAX

struct object_metadata {
    char image_id[UUID_TEXT_BYTES];
    char key_id[UUID_TEXT_BYTES]; /* os_encrypt_key_id, whose consumer we may be; "" for none */
    uint64_t size;                /* stored bytes of the whole object, or OBJECT_SIZE_UNKNOWN */
    char hash_algo[16];           /* os_hash_algo, "" for none */
    char hash_value[2 * HASH_MAXIMUM_BYTES + 1]; /* lower-case hexadecimal digits, "" for none */
    char checksum[33];                           /* MD5, the same; "" for none */
    int64_t fetched_at; /* seconds since the epoch when it was complete; 0: it is not */
};

/** What the record says; fetched_at is 0. A hash or checksum that is no row of hexadecimal digits,
 *  or an id that is no UUID, is as good as none. */
void object_metadata_of(const struct image_record *record, struct object_metadata *ret);

/** True when both name the same bytes: image, size, algorithm, hash and checksum. */
bool object_metadata_is_same(const struct object_metadata *a, const struct object_metadata *b);

/** True when a digest in it can tell whether bytes are right: of a known algorithm, or the checksum. */
bool object_metadata_can_prove(const struct object_metadata *metadata);

/** The object's name, the same as cache_object_name gives for the record. */
void object_metadata_name(const struct object_metadata *metadata,
                          char ret[CACHE_OBJECT_NAME_BYTES]);

/** As text, which fits: bytes without the NUL that ends it. */
size_t object_metadata_print(const struct object_metadata *metadata,
                             char ret[OBJECT_METADATA_TEXT_BYTES]);

/**
 * Reads what belongs to the object `name`. ERROR_UNSUPPORTED when a newer version wrote it,
 * ERROR_CORRUPT for everything else that is wrong with it, another object's metadata included.
 */
int object_metadata_parse(const char *name, const char *text, size_t size,
                          struct object_metadata *ret, struct error *err);

#endif
