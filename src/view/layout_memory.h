/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layouts of messages that were verified, kept when their keys are gone, so that the next open of
 * the same bytes needs no pass over them. At most CACHE_REMEMBERED_OBJECTS; the least recently used
 * one is forgotten for another. Holds no secret. Thread-safe; nothing waits.
 */
#ifndef VIEW_LAYOUT_MEMORY_H
#define VIEW_LAYOUT_MEMORY_H

#include "glancefs/cleanup.h"
#include "glancefs/codec.h"
#include "glancefs/error.h"
#include "glancefs/image_record.h"
#include "view/image_signature.h"

struct layout_memory;

/** Nothing is remembered. `signatures` is borrowed. */
int layout_memory_new(const struct signature_policy *signatures, struct layout_memory **ret,
                      struct error *err);

/** NULL is allowed. */
void layout_memory_free(struct layout_memory *memory);
DEFINE_CLEANUP(struct layout_memory, layout_memory_free)

/** Remembers the layout of `message`, verified on the bytes of `record`. Best effort. */
void layout_memory_put(struct layout_memory *memory, struct image_record *record,
                       const struct codec_message *message);

/** The layout of the bytes that `record` describes, or NULL. Caller unrefs. */
struct codec_layout *layout_memory_find(struct layout_memory *memory,
                                        const struct image_record *record);

#endif
