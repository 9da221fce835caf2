/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cloud: an identity service, an image service and a key manager that belong together.
 * cloud_open is the one place that chooses an implementation.
 */
#ifndef GLANCEFS_CLOUD_H
#define GLANCEFS_CLOUD_H

#include "glancefs/cleanup.h"
#include "glancefs/error.h"
#include "glancefs/identity_service.h"
#include "glancefs/image_service.h"
#include "glancefs/key_manager.h"
#include "glancefs/secure_arena.h"

struct cloud {
    struct identity_service *identity;
    struct image_service *images;
    struct key_manager *keys;
};

/**
 * Opens the cloud that `name` describes: `local:DIR` (a directory that must exist) or
 * `openstack[:CLOUD_NAME]`. Secrets will live in `arena`, which must outlive the cloud.
 * ERROR_INVALID for any other word.
 */
int cloud_open(const char *name, struct secure_arena *arena, struct cloud **ret, struct error *err);

/** Releases the three services; NULL is allowed. No call may be under way. */
void cloud_free(struct cloud *cloud);
DEFINE_CLEANUP(struct cloud, cloud_free)

#endif
