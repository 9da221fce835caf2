/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything readable: an image's stored bytes, a cached ciphertext, a decrypted view.
 *
 * An implementation embeds `struct byte_source` as its first member and sets `ops`. pread is
 * thread-safe for sources that are not forward-only. A forward-only source has one reader,
 * keeps a position and answers ESPIPE (ERROR_SYSTEM) to any other offset.
 */
#ifndef GLANCEFS_BYTE_SOURCE_H
#define GLANCEFS_BYTE_SOURCE_H

#include "glancefs/cancel.h"
#include "glancefs/cleanup.h"
#include "glancefs/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** The size of a source that does not know it. */
#define BYTE_SOURCE_SIZE_UNKNOWN UINT64_MAX

struct byte_source;

/** Somebody who is shown bytes instead of getting a copy. */
struct byte_visitor {
    /** Takes the next `size` (> 0) bytes, which are there during the call only. -1 ends the visit. */
    int (*visit)(void *context, const uint8_t *bytes, size_t size, struct error *err);
    void *context;
};

struct byte_source_ops {
    /** See byte_source_pread. */
    int (*pread)(struct byte_source *source, void *buffer, size_t size, uint64_t offset,
                 struct cancel *cancel, size_t *ret_size, struct error *err);
    /** See byte_source_visit; NULL when the source holds no bytes to show. */
    int (*visit)(struct byte_source *source, size_t size, uint64_t offset,
                 const struct byte_visitor *visitor, struct cancel *cancel, size_t *ret_size,
                 struct error *err);
    /** See byte_source_size. */
    uint64_t (*size)(struct byte_source *source);
    /** Releases the object. */
    void (*free)(struct byte_source *source);
    /** See above. */
    bool is_forward_only;
};

struct byte_source {
    const struct byte_source_ops *ops;
};

/**
 * Reads `size` bytes at `offset` into `buffer`. *ret_size is `size`, or less only where the
 * source ends; 0 at and after its end. On failure nothing counts as read and a forward-only
 * source keeps its position, if its contract says so, else it stays failed. Bytes returned are
 * as final as the source's contract promises (a verified source returns authentic bytes only).
 * May wait; `cancel` ends the wait with ERROR_CANCELLED.
 */
int byte_source_pread(struct byte_source *source, void *buffer, size_t size, uint64_t offset,
                      struct cancel *cancel, size_t *ret_size, struct error *err);

/** True when byte_source_visit can be used. */
bool byte_source_can_be_visited(const struct byte_source *source);

/**
 * byte_source_pread without the copy: shows `visitor` the same bytes, in order, in pieces of any
 * size, where the source has them. After a failure, also the visitor's own, some may have been shown.
 */
int byte_source_visit(struct byte_source *source, size_t size, uint64_t offset,
                      const struct byte_visitor *visitor, struct cancel *cancel, size_t *ret_size,
                      struct error *err);

/** Total size in bytes, or BYTE_SOURCE_SIZE_UNKNOWN. Never blocks. */
uint64_t byte_source_size(struct byte_source *source);

/** True when only reads at the current position are answered. */
bool byte_source_is_forward_only(const struct byte_source *source);

/** Releases; NULL is allowed. */
void byte_source_free(struct byte_source *source);
DEFINE_CLEANUP(struct byte_source, byte_source_free)

#endif
