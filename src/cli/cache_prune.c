/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cache_prune.h"

#include "cli/cache_cloud.h"

#include <string.h>

/* What the image service says of an image that is in the cache. */
enum verdict { VERDICT_CURRENT, VERDICT_GONE, VERDICT_CHANGED };

/* Not of a download that is just begun, nor of what is in quarantine, which goes anyway. */
static bool names_its_bytes(const struct cached_object *object)
{
    return object->state != CACHED_OBJECT_QUARANTINED &&
           (object->hash_value[0] != '\0' || object->total_bytes != UINT64_MAX);
}

/* An image that is deactivated, or not active yet, may come back with the same bytes. */
static enum verdict judge(const struct image_record *record, const struct cached_object *objects,
                          size_t count)
{
    const enum image_status status = image_record_status(record);
    enum verdict verdict = VERDICT_CURRENT;

    if (status == IMAGE_STATUS_DELETED || status == IMAGE_STATUS_PENDING_DELETE)
        return VERDICT_GONE;
    for (size_t i = 0; i < count; i++) {
        if (!names_its_bytes(&objects[i]))
            continue;
        if (cached_object_is_of(&objects[i], record))
            return VERDICT_CURRENT;
        verdict = VERDICT_CHANGED;
    }
    return verdict;
}

static int ask(const struct cache_access *access, const struct cached_object *objects, size_t count,
               struct cancel *cancel, enum verdict *ret, struct error *err)
{
    CLEANUP(image_record_unref) struct image_record *record = NULL;

    if (image_service_get(access->session->cloud->images, objects[0].image_id, cancel, &record,
                          err) == 0) {
        *ret = judge(record, objects, count);
        return 0;
    }
    if (err->kind != ERROR_NOT_FOUND)
        return -1;
    *ret = VERDICT_GONE;
    return 0;
}

/* Somebody may have evicted it, or opened it, meanwhile. */
static int remove_image(const struct cache_access *access, const char *image_id,
                        uint64_t *ret_counter, struct cache_pruning *pruning, struct error *err)
{
    if (ciphertext_cache_evict(access->cache, image_id, &pruning->removed, err) == 0)
        (*ret_counter)++;
    else if (err->kind == ERROR_BUSY)
        pruning->kept_images++;
    else if (err->kind != ERROR_NOT_FOUND)
        return -1;
    return 0;
}

/* All objects of one image. False when asking has come to an end: *err says why. */
static bool settle_image(const struct cache_access *access, const struct cached_object *objects,
                         size_t count, struct cancel *cancel, struct cache_pruning *pruning,
                         struct error *err)
{
    enum verdict verdict;

    if (ask(access, objects, count, cancel, &verdict, err) < 0)
        return false;
    if (verdict == VERDICT_CURRENT)
        return true;
    return remove_image(access, objects[0].image_id,
                        verdict == VERDICT_GONE ? &pruning->gone_images : &pruning->changed_images,
                        pruning, err) == 0;
}

/* The list is sorted by image. */
static size_t objects_of_image(const struct cached_object_list *list, size_t first)
{
    size_t count = 1;

    while (first + count < list->count &&
           strcmp(list->objects[first].image_id, list->objects[first + count].image_id) == 0)
        count++;
    return count;
}

static bool settle_all(const struct cache_access *access, const struct cached_object_list *list,
                       struct cancel *cancel, struct cache_pruning *pruning)
{
    size_t count;

    for (size_t i = 0; i < list->count; i += count) {
        struct error err = ERROR_INIT;

        count = objects_of_image(list, i);
        if (!settle_image(access, &list->objects[i], count, cancel, pruning, &err)) {
            pruning->unasked = err;
            return false;
        }
    }
    return true;
}

static bool is_outage(const struct error *err)
{
    return err->kind == ERROR_UNAVAILABLE || err->kind == ERROR_TIMEOUT || err->kind == ERROR_LOGIN;
}

/* By the word of the image service, if it is the right one and answers. */
static int settle(struct cache_access *access, bool trusts_any_cloud, struct cancel *cancel,
                  struct cache_pruning *pruning, struct error *err)
{
    CLEANUP(cached_object_list_free) struct cached_object_list *list = NULL;

    if (ciphertext_cache_list(access->cache, &list, err) < 0)
        return -1;
    if (list->count > 0 && !trusts_any_cloud && cache_cloud_check(access, cancel, err) < 0) {
        if (!is_outage(err))
            return -1;
        pruning->unasked = *err;
        *err = (struct error)ERROR_INIT;
        return 0;
    }
    pruning->asked = settle_all(access, list, cancel, pruning);
    return 0;
}

int cache_prune(struct cache_access *access, bool trusts_any_cloud, struct cancel *cancel,
                struct cache_pruning *ret, struct error *err)
{
    *ret = (struct cache_pruning){.asked = false};
    if (access->session != NULL && settle(access, trusts_any_cloud, cancel, ret, err) < 0)
        return -1;
    if (cancel_check(cancel, err) < 0)
        return -1;
    return ciphertext_cache_prune(access->cache, cancel, &ret->removed, err);
}
