/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The image service (Glance, Image API v2). An implementation embeds `struct image_service` as
 * its first member. All calls are thread-safe, may wait and end early when cancelled.
 *
 * Errors are the same for every implementation: ERROR_NOT_FOUND (no such image, or not ours to
 * see), ERROR_DENIED (403: policy, deactivated), ERROR_EXISTS (409: already active, id taken),
 * ERROR_BUSY (409: being saved), ERROR_TOO_LARGE (413), ERROR_UNAVAILABLE, ERROR_TIMEOUT,
 * ERROR_INVALID (400, 415, or an answer that makes no sense).
 */
#ifndef GLANCEFS_IMAGE_SERVICE_H
#define GLANCEFS_IMAGE_SERVICE_H

#include "glancefs/byte_sink.h"
#include "glancefs/byte_source.h"
#include "glancefs/cancel.h"
#include "glancefs/error.h"
#include "glancefs/image_record.h"
#include "glancefs/service_counters.h"

#include <stddef.h>
#include <stdint.h>

/** A snapshot of many records, owned by the caller. */
struct image_list {
    struct image_record **records;
    size_t count;
};

/** Drops all records; NULL is allowed. */
void image_list_free(struct image_list *list);
DEFINE_CLEANUP(struct image_list, image_list_free)

struct image_service;

struct image_service_ops {
    int (*list)(struct image_service *service, struct cancel *cancel, struct image_list **ret,
                struct error *err);
    int (*get)(struct image_service *service, const char *id, struct cancel *cancel,
               struct image_record **ret, struct error *err);
    int (*create)(struct image_service *service, const struct image_property *properties,
                  size_t count, struct cancel *cancel, struct image_record **ret,
                  struct error *err);
    int (*update)(struct image_service *service, const char *id,
                  const struct image_property *properties, size_t count, struct cancel *cancel,
                  struct error *err);
    int (*download)(struct image_service *service, const struct image_record *record,
                    uint64_t offset, struct byte_sink *sink, struct cancel *cancel,
                    struct error *err);
    int (*upload)(struct image_service *service, const char *id, struct byte_source *data,
                  struct cancel *cancel, struct error *err);
    int (*remove)(struct image_service *service, const char *id, struct cancel *cancel,
                  struct error *err);
    void (*free)(struct image_service *service);
};

struct image_service {
    const struct image_service_ops *ops;
    struct service_counters *counters; /* borrowed; set by who made it. NULL: nobody counts */
};

/** Every image we may see, at most LIMIT_IMAGES; one that cannot be parsed is left out. */
int image_service_list(struct image_service *service, struct cancel *cancel,
                       struct image_list **ret, struct error *err);

/** The record of image `id` as it is now. `id` must be a UUID: else ERROR_NOT_FOUND. */
int image_service_get(struct image_service *service, const char *id, struct cancel *cancel,
                      struct image_record **ret, struct error *err);

/** A new queued image. A property "id" chooses its id; else the service does. */
int image_service_create(struct image_service *service, const struct image_property *properties,
                         size_t count, struct cancel *cancel, struct image_record **ret,
                         struct error *err);

/** Adds or replaces additional properties. Not while the image is being saved. */
int image_service_update(struct image_service *service, const char *id,
                         const struct image_property *properties, size_t count,
                         struct cancel *cancel, struct error *err);

/**
 * Writes the stored bytes from `offset` to their end into `sink`, in order; the caller commits.
 * Delivers what the service delivers: the caller checks size and hash. An image that is not active
 * is ERROR_DENIED (deactivated) or ERROR_BUSY (queued, saving).
 */
int image_service_download(struct image_service *service, const struct image_record *record,
                           uint64_t offset, struct byte_sink *sink, struct cancel *cancel,
                           struct error *err);

/** Stores all bytes of `data` (its size must be known) and makes the queued image active. */
int image_service_upload(struct image_service *service, const char *id, struct byte_source *data,
                         struct cancel *cancel, struct error *err);

/** Deletes record and data. */
int image_service_remove(struct image_service *service, const char *id, struct cancel *cancel,
                         struct error *err);

/** Releases; NULL is allowed. */
void image_service_free(struct image_service *service);
DEFINE_CLEANUP(struct image_service, image_service_free)

#endif
