/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file of a download as a sink: what is present already is passed over, the rest is appended, and
 * commit publishes the object. When the disk is full others have to make room. Write-back starts
 * early, so that little is left to wait for at the end. Abort keeps what has come.
 */
#ifndef CACHE_PARTIAL_SINK_H
#define CACHE_PARTIAL_SINK_H

#include "cache/cache_space.h"
#include "cache/object_store.h"
#include "glancefs/byte_sink.h"

/** What a sink writes to; all borrowed. */
struct partial_sink_parts {
    const struct cache_layout *layout;
    struct cache_space *space;
    struct partial_object *partial;
    const struct object_metadata *metadata;
};

/** A sink at byte 0 of the object. ERROR_NO_SPACE from write and commit when no room can be made. */
int partial_sink_new(const struct partial_sink_parts *parts, struct byte_sink **ret,
                     struct error *err);

#endif
