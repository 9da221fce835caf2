/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON text of image_index_status (see glancefs/image_view.h for its members). */
#ifndef VIEW_STATUS_H
#define VIEW_STATUS_H

#include "glancefs/ciphertext_cache.h"
#include "glancefs/error.h"
#include "glancefs/secure_arena.h"
#include "view/stream_registry.h"
#include "view/verified_image.h"

#include <stdint.h>

/** What is reported on; all borrowed. */
struct status_subject {
    const char *version;
    const char *cloud_name;
    uint64_t uptime_seconds;
    struct ciphertext_cache *cache;
    const struct secure_arena *arena;
    struct stream_registry *streams;
    struct verified_images *verified;
    struct view_counters *counters;
};

/** The text, with a line feed at its end; caller frees. Any thread; may wait for the disk. */
int status_text(const struct status_subject *subject, char **ret, struct error *err);

#endif
