/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cloud: an identity service, an image service and a key manager that belong together.
 * cloud_open is the one place that chooses an implementation.
 */
#ifndef GLANCEFS_CLOUD_H
#define GLANCEFS_CLOUD_H

#include "glancefs/cleanup.h"
#include "glancefs/config.h"
#include "glancefs/error.h"
#include "glancefs/identity_service.h"
#include "glancefs/image_service.h"
#include "glancefs/key_manager.h"
#include "glancefs/secure_arena.h"
#include "glancefs/service_counters.h"

/** What an OpenStack cloud needs to know; all borrowed for the call, but copied as needed. */
struct cloud_options {
    const struct openstack_options *openstack;
    char *const *environment; /* where OS_* variables are looked for; NULL: environ(7) */
};

struct cloud {
    struct identity_service *identity;
    struct image_service *images;
    struct key_manager *keys;
    char *cafile; /* certificates that the services are checked against; NULL: the system's */
    struct service_counters counters;
};

/**
 * Opens the cloud that `name` describes: `local:DIR` (a directory that must exist) or
 * `openstack[:CLOUD_NAME]`, CLOUD_NAME being an entry of clouds.yaml. Secrets will live in `arena`,
 * which must outlive the cloud. `options` may be NULL for a local cloud. Of OpenStack no service is
 * asked yet: the first use tells whether the credentials are right. ERROR_INVALID for any other word,
 * and for credentials that are incomplete.
 */
int cloud_open(const char *name, const struct cloud_options *options, struct secure_arena *arena,
               struct cloud **ret, struct error *err);

/** Releases the three services; NULL is allowed. No call may be under way. */
void cloud_free(struct cloud *cloud);
DEFINE_CLEANUP(struct cloud, cloud_free)

#endif
