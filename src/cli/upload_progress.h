/* SPDX-License-Identifier: Apache-2.0 */
/* Sending a sealed upload in the foreground, with progress on standard error. */
#ifndef CLI_UPLOAD_PROGRESS_H
#define CLI_UPLOAD_PROGRESS_H

#include "glancefs/upload_staging.h"

/**
 * upload_staging_send with a bar or plain lines. When somebody else, say a mount, is sending the
 * upload of image `id` to that image already, waits for that one instead.
 */
int upload_with_progress(struct upload_staging *staging, const char *id, const char *target,
                         struct cancel *cancel, struct error *err);

#endif
