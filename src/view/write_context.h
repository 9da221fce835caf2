/* SPDX-License-Identifier: Apache-2.0 */
/* What the functions of glancefs/write_index.h share: the two objects behind them. */
#ifndef VIEW_WRITE_CONTEXT_H
#define VIEW_WRITE_CONTEXT_H

#include "glancefs/stream_limit.h"
#include "glancefs/write_index.h"
#include "view/attribute_cache.h"
#include "view/write_coverage.h"
#include "view/write_name.h"
#include "view/write_staging.h"
#include "view/write_target.h"

#include <stdbool.h>

/** How long the record of a queued image is believed, in seconds: others may write it, too. */
#define WRITE_RECORD_TTL_SECONDS 1

struct write_index {
    struct write_index_parts parts;
    struct write_stagings *stagings;
    struct stage_counter encryption;
    struct attribute_cache *queued; /* images that were queued when we last saw them */
};

struct write_stream {
    struct write_index *index;
    struct write_staging *staging;      /* NULL: nothing was staged under the name at the open */
    struct write_attributes attributes; /* what was there then */
    bool is_writer;
    /* Guarded by the stagings' monitor. */
    bool has_written;
    struct write_coverage coverage;
};

/** Asks for the record of image `id` anew and judges it (write_target_judge). May wait. */
int write_index_fetch_target(struct write_index *index, const char *id, struct cancel *cancel,
                             struct write_target *ret, struct error *err);

/** The staging that has file `name`, with a reference; NULL when there is none. */
struct write_staging *write_index_find_file(struct write_index *index, const char *name);

/** True when a sealed upload of image `id` is known; *ret tells about it. */
bool write_index_find_upload(struct write_index *index, const char *id,
                             struct write_attributes *ret, struct upload_info *ret_info);

#endif
