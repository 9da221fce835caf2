/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cache_fetch.h"

#include "cli/cache_cloud.h"
#include "cli/command.h"

#include <stdatomic.h>

/* Whether a mount would serve the image at all, by its record alone. */
static int check_record(const struct image_record *record, struct error *err)
{
    const enum image_status status = image_record_status(record);
    const char *format = NULL;

    if (status == IMAGE_STATUS_DEACTIVATED)
        return error_set(err, ERROR_DENIED, "is deactivated");
    if (status != IMAGE_STATUS_ACTIVE)
        return error_set(err, ERROR_BUSY, "is %s, not active", image_status_name(status));
    switch (image_record_encryption(record, &format)) {
    case IMAGE_ENCRYPTION_GPG:
        return 0;
    case IMAGE_ENCRYPTION_NONE:
        return error_set(err, ERROR_UNSUPPORTED,
                         "is not encrypted: a mount does not show it, so it is not fetched");
    case IMAGE_ENCRYPTION_UNSUPPORTED:
        break;
    }
    return error_set(err, ERROR_UNSUPPORTED, "is encrypted as %.64s, which is not supported",
                     format != NULL ? format : "something unknown");
}

int cache_fetch_prepare(struct cache_access *access, struct cancel *cancel, struct error *err)
{
    struct cloud *cloud = access->session->cloud;

    if (identity_service_identify(cloud->identity, cancel, &access->identity, err) < 0 ||
        image_vetting_new(access->config, &access->identity, cloud->keys, &access->vetting, err) <
            0)
        return -1;
    cache_cloud_begin(access, &access->identity);
    return 0;
}

static int fetch_once(const struct cache_access *access, struct image_record *record,
                      struct image_task *task, struct cancel *cancel, bool *ret_was_there,
                      struct error *err)
{
    CLEANUP(byte_sink_free) struct byte_sink *observer = NULL;

    if (image_vetting_observe(access->vetting, record, cancel, &observer, err) < 0)
        return -1;
    return ciphertext_cache_fetch(access->cache, record, observer, &task->done_bytes, cancel,
                                  ret_was_there, err);
}

/* What an earlier download left may be what is wrong. It is gone then, and the observer has seen it. */
static int fetch_proven(const struct cache_access *access, struct image_record *record,
                        struct image_task *task, struct cancel *cancel, bool *ret_was_there,
                        struct error *err)
{
    const bool had_rest = ciphertext_cache_has_image(access->cache, task->image_id);

    if (fetch_once(access, record, task, cancel, ret_was_there, err) == 0)
        return 0;
    if (!had_rest || err->kind != ERROR_CORRUPT ||
        ciphertext_cache_has_image(access->cache, task->image_id))
        return -1;
    *err = (struct error)ERROR_INIT;
    return fetch_once(access, record, task, cancel, ret_was_there, err);
}

static int fetch(const struct cache_access *access, struct image_task *task, struct cancel *cancel,
                 struct error *err)
{
    CLEANUP(image_record_unref) struct image_record *record = NULL;
    bool was_there = false;
    uint64_t size;

    if (image_service_get(access->session->cloud->images, task->image_id, cancel, &record, err) <
            0 ||
        check_record(record, err) < 0 ||
        image_vetting_check_owner(access->vetting, record, err) < 0)
        return -1;
    if (image_record_size(record, &size))
        atomic_store(&task->total_bytes, size);
    if (fetch_proven(access, record, task, cancel, &was_there, err) < 0)
        return -1;
    task->result = was_there ? "present" : "fetched";
    return 0;
}

int cache_fetch_image(void *context, struct image_task *task, struct cancel *cancel,
                      struct error *err)
{
    if (fetch(context, task, cancel, err) == 0)
        return 0;
    return command_prefix_image(err, task->image_id);
}
