/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What we told the key manager about who uses its secrets, in CACHE/consumers: an entry is durable
 * before the consumer is registered and goes only after it was withdrawn, so that no crash leaves
 * one behind for ever. A consumer is withdrawn when its image is gone, that of a cache also when the
 * image is not cached any more; never before.
 *
 * Processes that share a cache directory share its entries. They name cloud and project; those of
 * others are left alone.
 */
#ifndef GLANCEFS_CONSUMER_REGISTRY_H
#define GLANCEFS_CONSUMER_REGISTRY_H

#include "glancefs/cancel.h"
#include "glancefs/cleanup.h"
#include "glancefs/error.h"
#include "glancefs/image_service.h"
#include "glancefs/key_manager.h"

#include <stdbool.h>

struct consumer_registry;

/** What a registry is made from; borrowed, must outlive it. */
struct consumer_registry_parts {
    const char *cache_path; /* the cache directory; CACHE/consumers is made with mode 0700 */
    const char *cloud;      /* where images are: "local:/srv/cloud", "openstack:demo@RegionOne" */
    const char *project_id; /* of our identity; "" for a single tenant */
    struct image_service *images;
    struct key_manager *keys;

    /** Whether the cache directory holds anything of an image, be it a download. Any thread; never
     *  waits long. NULL: nobody can tell, so that only images that are gone are withdrawn. */
    bool (*is_cached)(void *context, const char *image_id);
    void *is_cached_context;
};

/** Opens (makes) the directory. */
int consumer_registry_new(const struct consumer_registry_parts *parts,
                          struct consumer_registry **ret, struct error *err);

/** NULL is allowed. */
void consumer_registry_free(struct consumer_registry *registry);
DEFINE_CLEANUP(struct consumer_registry, consumer_registry_free)

/** Why a secret is used; what Barbican is told follows. */
enum consumer_use {
    CONSUMER_IMAGE,      /* {image, image, <image-id>}: the image is encrypted with it */
    CONSUMER_IMAGE_CACHE /* {compute, image-cache:<host>, <image-id>}: read on this host */
};

/** A consumer is registered before the first byte of its image is fetched: how long that may take. */
#define CONSUMER_GRACE_SECONDS 600

/**
 * Registers us with secret `secret_id` because of image `image_id`; again does no harm. Any thread;
 * may wait. Errors of key_manager_add_consumer, and of the disk.
 */
int consumer_registry_add(struct consumer_registry *registry, enum consumer_use use,
                          const char *image_id, const char *secret_id, struct cancel *cancel,
                          struct error *err);

/**
 * Withdraws the consumers of images that the image service does not know any more, and those of a cache
 * that does not hold the image any more: but not while it may still be on its way there, which is
 * CONSUMER_GRACE_SECONDS after the last consumer_registry_add. What cannot be asked or withdrawn now
 * stays for the next time. Any thread; may wait.
 */
void consumer_registry_sweep(struct consumer_registry *registry, struct cancel *cancel);

#endif
