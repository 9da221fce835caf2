/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole cloud in memory for tests of what stands on one: counts its calls, can be slow and
 * refuse. Any thread may call anything. Needs the crypto libraries set up (crypto_arena.h).
 */
#ifndef SUPPORT_FAKE_CLOUD_H
#define SUPPORT_FAKE_CLOUD_H

#include "glancefs/cloud.h"

#include <stdbool.h>
#include <stddef.h>

struct fake_cloud;

/** An empty cloud whose payloads will live in `arena`. Aborts without memory. */
struct fake_cloud *fake_cloud_new(struct secure_arena *arena);

/** NULL is allowed. */
void fake_cloud_free(struct fake_cloud *fake);
DEFINE_CLEANUP(struct fake_cloud, fake_cloud_free)

/** The services, owned by the fake. */
struct cloud *fake_cloud_services(struct fake_cloud *fake);

/** One image as it is put into the cloud; strings and bytes are copied. */
struct fake_cloud_image {
    const char *id;
    const char *status; /* NULL: "active" */
    const void *bytes;
    size_t size;
    bool lacks_hash;
    /** More members of the record as JSON text: `"owner": "x", "os_decrypt_size": "5"`; or NULL. */
    const char *more;
};

/** Adds the image, or replaces the one with its id. */
void fake_cloud_put(struct fake_cloud *fake, const struct fake_cloud_image *image);

/** Removes image `id`, which must be there. */
void fake_cloud_remove(struct fake_cloud *fake, const char *id);

/** Adds or replaces secret `id`, of type passphrase. NULL: the key manager refuses to give it. */
void fake_cloud_set_secret(struct fake_cloud *fake, const char *id, const char *passphrase);

/** How slow the services are from now on, in milliseconds, or until cancelled. */
struct fake_cloud_delays {
    unsigned get_ms;      /* of records and lists */
    unsigned payload_ms;  /* of secrets */
    unsigned download_ms; /* before each 64 KiB */
};

void fake_cloud_set_delays(struct fake_cloud *fake, struct fake_cloud_delays delays);

/** Every call of get and list fails with this kind from now on; ERROR_NONE: none does. */
void fake_cloud_fail_records(struct fake_cloud *fake, enum error_kind kind);

/** What was called so far, and how many downloads run now. */
struct fake_cloud_calls {
    unsigned lists, gets, payloads, downloads, running_downloads;
};

struct fake_cloud_calls fake_cloud_calls(struct fake_cloud *fake);

#endif
