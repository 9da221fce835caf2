/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of one staging: a window of plaintext, and behind it the codec that encrypts what
 * leaves the window into a staged upload. Knows no names, handles or poison. One thread at a time.
 *
 * After a failure that is not ERROR_CANCELLED the content is good for nothing but to be freed,
 * unless a function says otherwise.
 */
#ifndef VIEW_WRITE_CONTENT_H
#define VIEW_WRITE_CONTENT_H

#include "glancefs/byte_source.h"
#include "glancefs/cancel.h"
#include "glancefs/cleanup.h"
#include "glancefs/codec.h"
#include "glancefs/secure_buffer.h"
#include "glancefs/stage_counter.h"
#include "glancefs/upload_staging.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct write_content;

/** What a content is made from; borrowed, the strings only for the call. */
struct write_content_parts {
    struct upload_staging *staging;
    struct secure_arena *arena;
    const struct codec *codec;
    const char *image_id;
    size_t window_bytes;
    uint64_t declared_size;           /* or BYTE_SOURCE_SIZE_UNKNOWN */
    const char *key_id;               /* of the secret that is the passphrase */
    bool sets_container_format;       /* the record has no os_decrypt_container_format */
    struct stage_counter *encryption; /* of plaintext; NULL: nobody counts */
};

/** An empty content; takes `passphrase` on success. Reserves all the memory it will need. */
int write_content_new(const struct write_content_parts *parts, struct secure_buffer *passphrase,
                      struct write_content **ret, struct error *err);

/** Wipes; gives the staged upload up unless it was sealed. NULL is allowed. */
void write_content_free(struct write_content *content);
DEFINE_CLEANUP(struct write_content, write_content_free)

/** Bytes of plaintext. */
uint64_t write_content_size(const struct write_content *content);

/**
 * Takes all bytes. ERROR_CANCELLED: nothing was taken, and the same write can follow; when it does
 * not, zeros before it may already have been encrypted, and the content cannot be sealed shorter.
 */
int write_content_write(struct write_content *content, const void *bytes, size_t size,
                        uint64_t offset, struct cancel *cancel, struct error *err);

/** Reads what lies in the window. ERROR_UNSUPPORTED elsewhere; the content stays good. */
int write_content_read(const struct write_content *content, void *buffer, size_t size,
                       uint64_t offset, size_t *ret_size, struct error *err);

/** Sets the size; 0 starts anew, with a new session key once the old one encrypted anything. */
int write_content_truncate(struct write_content *content, uint64_t size, struct error *err);

/** True for the modes of fallocate(2) that write_content_allocate has. */
bool write_content_has_mode(int mode);

/** fallocate(2). */
int write_content_allocate(struct write_content *content, int mode, uint64_t offset,
                           uint64_t length, struct error *err);

/** True when write_content_declare may be called: not smaller than what is there, and the size is
 *  not already fixed by what was encrypted. */
bool write_content_may_declare(const struct write_content *content, uint64_t size);

/** Says how large the content will be, so that the message has definite lengths. */
int write_content_declare(struct write_content *content, uint64_t size, struct error *err);

/**
 * Encrypts the rest and seals the staged upload. `cancel` ends it only while it encrypts zeros
 * behind the window.
 */
int write_content_seal(struct write_content *content, struct cancel *cancel, struct error *err);

#endif
