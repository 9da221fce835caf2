/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything writable, front to back, by one writer. Commit and abort are different verbs: what
 * was written counts only after a successful commit; freeing without one is an abort.
 *
 * An implementation embeds `struct byte_sink` as its first member and sets `ops`; the wrappers
 * below keep the state, so that an implementation never sees a write after commit.
 */
#ifndef GLANCEFS_BYTE_SINK_H
#define GLANCEFS_BYTE_SINK_H

#include "glancefs/cancel.h"
#include "glancefs/cleanup.h"
#include "glancefs/error.h"

#include <stddef.h>
#include <stdint.h>

struct byte_sink;

struct byte_sink_ops {
    /** Takes all `size` bytes or fails; a failure is final. */
    int (*write)(struct byte_sink *sink, const void *bytes, size_t size, struct cancel *cancel,
                 struct error *err);
    /** Makes everything written count. A failure is final and must have undone it. */
    int (*commit)(struct byte_sink *sink, struct cancel *cancel, struct error *err);
    /** Undoes everything written. Called at most once, never after commit succeeded. */
    void (*abort)(struct byte_sink *sink);
    /** Releases the object; abort was called before unless commit was. */
    void (*free)(struct byte_sink *sink);
};

enum byte_sink_state { BYTE_SINK_OPEN = 0, BYTE_SINK_COMMITTED, BYTE_SINK_ABORTED };

struct byte_sink {
    const struct byte_sink_ops *ops;
    enum byte_sink_state state; /* kept by the wrappers; starts as BYTE_SINK_OPEN */
};

/** Appends `size` bytes. After a failure the sink is aborted. ERROR_INVALID when not open. */
int byte_sink_write(struct byte_sink *sink, const void *bytes, size_t size, struct cancel *cancel,
                    struct error *err);

/** Makes everything count, once. After a failure the sink is aborted. */
int byte_sink_commit(struct byte_sink *sink, struct cancel *cancel, struct error *err);

/** Gives up what was written. Harmless when already committed or aborted. */
void byte_sink_abort(struct byte_sink *sink);

/** Aborts unless committed, then releases; NULL is allowed. */
void byte_sink_free(struct byte_sink *sink);
DEFINE_CLEANUP(struct byte_sink, byte_sink_free)

#endif
