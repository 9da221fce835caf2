/* SPDX-License-Identifier: Apache-2.0 */
#include "view/image_lister.h"

#include "base/clock.h"
#include "view/readable_image.h"
#include "view/record_refresh.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* A long list takes its time with a service in good order, too. */
static const struct refresh_limits limits = {
    .questions = 4, .grace_ms = REFRESH_GRACE_MS, .longest_grace_ms = 1000};

struct image_lister {
    struct image_service *images;
    struct attribute_cache *attributes;
    struct record_refresh *refresh;
    pthread_mutex_t mutex;      /* guards what follows; nothing else is locked inside */
    struct image_listing *last; /* NULL before the first */
    uint64_t last_begun_ns;
};

/* --- the last listing --- */

/* Takes it over; one that was begun after it, and came earlier, stays. */
static void remember(struct image_lister *lister, struct image_listing *listing, uint64_t begun_ns)
{
    struct image_listing *unwanted = listing;

    (void)pthread_mutex_lock(&lister->mutex);
    if (lister->last == NULL || begun_ns >= lister->last_begun_ns) {
        unwanted = lister->last;
        lister->last = listing;
        lister->last_begun_ns = begun_ns;
    }
    (void)pthread_mutex_unlock(&lister->mutex);
    image_listing_free(unwanted);
}

static bool has_listing(struct image_lister *lister)
{
    bool has_one;

    (void)pthread_mutex_lock(&lister->mutex);
    has_one = lister->last != NULL;
    (void)pthread_mutex_unlock(&lister->mutex);
    return has_one;
}

/* NULL without memory. Locked. */
static struct image_listing *copy(const struct image_listing *listing)
{
    const size_t size = sizeof *listing + listing->count * sizeof listing->images[0];
    struct image_listing *result = malloc(size);

    if (result != NULL)
        memcpy(result, listing, size);
    return result;
}

static int recall(struct image_lister *lister, struct image_listing **ret, struct error *err)
{
    bool has_one;

    (void)pthread_mutex_lock(&lister->mutex);
    has_one = lister->last != NULL;
    *ret = has_one ? copy(lister->last) : NULL;
    (void)pthread_mutex_unlock(&lister->mutex);
    if (!has_one)
        return error_set(err, ERROR_UNAVAILABLE, "the list of images was refused meanwhile");
    return *ret != NULL ? 0 : error_set(err, ERROR_EXHAUSTED, "out of memory");
}

/* What was shown before is not shown to whoever is refused now; the next one is told so himself. */
static void forget_if_refused(struct image_lister *lister, const struct error *err)
{
    struct image_listing *unwanted;

    if (err->kind != ERROR_DENIED && err->kind != ERROR_LOGIN)
        return;
    (void)pthread_mutex_lock(&lister->mutex);
    unwanted = steal(&lister->last);
    (void)pthread_mutex_unlock(&lister->mutex);
    image_listing_free(unwanted);
}

/* A newer answer came before the one that was asked for at `begun_ns`. */
static bool is_overtaken(struct image_lister *lister, uint64_t begun_ns)
{
    bool result;

    (void)pthread_mutex_lock(&lister->mutex);
    result = lister->last != NULL && begun_ns < lister->last_begun_ns;
    (void)pthread_mutex_unlock(&lister->mutex);
    return result;
}

/* --- asking --- */

static void add_to_listing(struct image_lister *lister, struct image_record *record,
                           struct image_listing *listing)
{
    struct error ignored = ERROR_INIT;

    if (readable_image_check(record, &ignored) < 0) {
        attribute_cache_forget_record(lister->attributes, image_record_id(record));
        return;
    }
    attribute_cache_put(lister->attributes, record, false, &listing->images[listing->count]);
    listing->count++;
}

static int ask(struct image_lister *lister, struct cancel *cancel, struct error *err)
{
    CLEANUP(image_list_free) struct image_list *list = NULL;
    const uint64_t begun_ns = clock_monotonic_ns();
    struct image_listing *listing;

    if (image_service_list(lister->images, cancel, &list, err) < 0) {
        forget_if_refused(lister, err);
        return -1;
    }
    if (is_overtaken(lister, begun_ns))
        return 0;
    listing = calloc(1, sizeof *listing + list->count * sizeof listing->images[0]);
    if (listing == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    for (size_t i = 0; i < list->count; i++)
        add_to_listing(lister, list->records[i], listing);
    attribute_cache_miss_older(lister->attributes, begun_ns);
    attribute_cache_prune(lister->attributes);
    remember(lister, listing, begun_ns);
    return 0;
}

/* In the background, where it is about no image in particular. */
static int ask_again(void *context, const char *id, struct cancel *cancel,
                     struct image_attributes *ret, struct error *err)
{
    (void)id;
    *ret = (struct image_attributes){.size = 0};
    return ask(context, cancel, err);
}

/* Fails when not even the last listing may be shown. */
static int renew(struct image_lister *lister, struct cancel *cancel, struct error *err)
{
    struct image_attributes ignored;

    switch (record_refresh_start(lister->refresh, "", cancel, &ignored, err)) {
    case RECORD_REFRESH_DONE:
        return 0;
    case RECORD_REFRESH_LATE:
        return cancel_check(cancel, err);
    case RECORD_REFRESH_FAILED:
        break;
    }
    return refresh_met_outage(err) ? 0 : -1;
}

int image_lister_list(struct image_lister *lister, struct cancel *cancel,
                      struct image_listing **ret, struct error *err)
{
    const int result = has_listing(lister) ? renew(lister, cancel, err) : ask(lister, cancel, err);

    return result == 0 ? recall(lister, ret, err) : -1;
}

/* --- life --- */

int image_lister_new(struct image_service *images, struct attribute_cache *attributes,
                     struct image_lister **ret, struct error *err)
{
    CLEANUP(image_lister_free) struct image_lister *lister = calloc(1, sizeof *lister);

    if (lister == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    lister->images = images;
    lister->attributes = attributes;
    (void)pthread_mutex_init(&lister->mutex, NULL);
    if (record_refresh_new("listing", ask_again, lister, &limits, &lister->refresh, err) < 0)
        return -1;
    *ret = steal(&lister);
    return 0;
}

void image_lister_free(struct image_lister *lister)
{
    if (lister == NULL)
        return;
    record_refresh_free(lister->refresh);
    image_listing_free(lister->last);
    (void)pthread_mutex_destroy(&lister->mutex);
    free(lister);
}
