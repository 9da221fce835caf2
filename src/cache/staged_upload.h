/* SPDX-License-Identifier: Apache-2.0 */
/* Making the staged uploads of upload_staging.h, for whom owns the staging directory. */
#ifndef CACHE_STAGED_UPLOAD_H
#define CACHE_STAGED_UPLOAD_H

#include "cache/staging_directory.h"
#include "glancefs/upload_staging.h"

/** Who is told of a seal; called without any lock. */
struct seal_listener {
    void (*sealed)(void *context, const char *id);
    void *context;
};

/** See staged_upload_new. `owner` is borrowed, must outlive the upload. */
int staged_upload_begin(const struct staging_owner *owner, struct seal_listener listener,
                        const char *id, struct staged_upload **ret, struct error *err);

#endif
