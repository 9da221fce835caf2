/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The contract of upload_staging.h in memory, linked in its place: tests look at the ciphertext,
 * make the disk fail and hold writes up. Any thread.
 */
#ifndef VIEW_FAKE_UPLOAD_STAGING_H
#define VIEW_FAKE_UPLOAD_STAGING_H

#include "glancefs/upload_staging.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** An empty one; upload_staging_free releases it. Aborts without memory. */
struct upload_staging *fake_staging_new(void);

/** How it misbehaves from now on; all zero is well. */
struct fake_staging_faults {
    bool fails_begin;
    bool fails_writes; /* once an upload has `fail_at` bytes */
    size_t fail_at;
    bool fails_commit;
};

/** The failures are ERROR_NO_SPACE. */
void fake_staging_misbehave(struct upload_staging *staging,
                            const struct fake_staging_faults *faults);

/** Holds every write up from now on, and lets them go. */
void fake_staging_hold(struct upload_staging *staging);
void fake_staging_let_go(struct upload_staging *staging);

/** Waits until a write is held up. */
void fake_staging_wait_held(struct upload_staging *staging);

/** Waits until image `id` has a sealed upload; false after some seconds. */
bool fake_staging_wait_sealed(struct upload_staging *staging, const char *id);

/** The ciphertext of the upload of image `id`, sealed or not, borrowed; NULL when there is none. */
const uint8_t *fake_staging_bytes(struct upload_staging *staging, const char *id, size_t *ret_size);

/** True when the image has a sealed upload. */
bool fake_staging_is_sealed(struct upload_staging *staging, const char *id);

/** A property of the image's upload, borrowed, or NULL. */
const char *fake_staging_property(struct upload_staging *staging, const char *id, const char *name);

/** Moves a sealed upload on. */
void fake_staging_set_state(struct upload_staging *staging, const char *id, enum upload_state state,
                            const char *error);

/** Uploads begun so far; those that are neither sealed nor given up. */
unsigned fake_staging_begun(struct upload_staging *staging);
unsigned fake_staging_unsealed(struct upload_staging *staging);

#endif
