/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON text of image_index_status; its members, which scripts rely on, are listed at that
 * function in glancefs/image_view.h. The numbers are read one after the other while the mount goes
 * on, so they need not add up.
 */
#ifndef VIEW_STATUS_H
#define VIEW_STATUS_H

#include "glancefs/ciphertext_cache.h"
#include "glancefs/codec.h"
#include "glancefs/config.h"
#include "glancefs/error.h"
#include "glancefs/sandbox_state.h"
#include "glancefs/secure_arena.h"
#include "glancefs/service_counters.h"
#include "glancefs/stream_limit.h"
#include "glancefs/upload_staging.h"
#include "glancefs/write_index.h"
#include "view/stream_registry.h"
#include "view/verified_image.h"

#include <stdint.h>

/** What is reported on; all borrowed. */
struct status_subject {
    const char *version;    /* of the program */
    const char *cloud_name; /* as configured: "local:DIR", "openstack[:NAME]" */
    enum verify_mode verify;
    uint64_t uptime_seconds;
    struct ciphertext_cache *cache; /* its disk is read */
    const struct secure_arena *arena;
    struct stream_registry *streams;
    struct verified_images *verified;
    struct view_counters *counters;
    const struct stream_limit *stream_limit;
    struct write_index *writes;              /* may be NULL, as the next */
    struct upload_staging *uploads;          /* its disk is read */
    const struct sandbox_state *sandbox;     /* NULL: none */
    const struct codecs *codecs;             /* for their helper */
    const struct service_counters *services; /* for metrics only */
};

/** The limits of a mount and what is used of them: max_streams, max_downloads, max_uploads. */
struct status_limits {
    struct limit_use streams;
    struct limit_use downloads;
    struct limit_use uploads; /* all zeros where nothing is ever uploaded */
};

/** Never waits. */
void status_limits_get(const struct status_subject *subject, struct status_limits *ret);

/**
 * The text, indented for people and with a line feed at its end; caller frees. Holds no secret:
 * ids, sizes and counts only. A cache that cannot be read shows as null. Any thread; may wait for
 * the disk. ERROR_EXHAUSTED only.
 */
int status_text(const struct status_subject *subject, char **ret, struct error *err);

#endif
