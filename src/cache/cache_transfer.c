/* SPDX-License-Identifier: Apache-2.0 */
/* Objects that are followed while a pass over them goes on in the background. */
#include "cache/cache_pass.h"
#include "cache/object_feed.h"
#include "cache/object_store.h"

#include <stdlib.h>

/* A pass over an object that is followed: its turn of the slot, on a thread of its own. */
struct transfer {
    struct job job;
    struct slot_transfer turn;
    struct ciphertext_cache *cache;
    struct slot *slot; /* the job's */
    struct image_record *record;
    struct byte_sink *observer; /* owned; may be NULL */
    struct object_feed *feed;
};

static struct transfer *transfer_of(struct slot_transfer *turn)
{
    return (struct transfer *)((char *)turn - offsetof(struct transfer, turn));
}

static void free_transfer(struct transfer *transfer)
{
    if (transfer == NULL)
        return;
    byte_sink_free(transfer->observer);
    image_record_unref(transfer->record);
    cancel_unref(transfer->turn.cancel);
    object_feed_unref(transfer->feed);
    free(transfer);
}
DEFINE_CLEANUP(struct transfer, free_transfer)

/* One follower less, or the job is over. */
static void leave_transfer(void *context)
{
    struct transfer *transfer = context;

    if (slot_table_leave(&transfer->cache->slots, &transfer->turn))
        free_transfer(transfer);
}

/* A follower was a reader, too: his object was used until now, if it is complete. */
static void leave_as_follower(void *context)
{
    const struct transfer *transfer = context;
    char name[CACHE_OBJECT_NAME_BYTES];

    cache_object_name(transfer->record, name);
    object_store_touch(transfer->cache->layout, name, cache_context_now());
    leave_transfer(context);
}

/* Ends the turn and the job: `object` was obtained, or `err` (not NULL) says why not. */
static void finish_transfer(struct transfer *transfer, struct cache_object *object,
                            const struct error *err)
{
    /* Before followers are told: who has seen the end finds the object verified, and his observer
     * through. */
    byte_sink_free(steal(&transfer->observer));
    cache_pass_release(transfer->cache, transfer->slot, transfer->record, object);
    object_feed_end(transfer->feed, err);
    leave_transfer(transfer);
}

static void run_transfer(struct job *job)
{
    struct transfer *transfer = (struct transfer *)job;
    const struct cache_pass pass = {.cache = transfer->cache,
                                    .record = transfer->record,
                                    .observer = transfer->observer,
                                    .feed = transfer->feed};
    struct cache_finding finding = CACHE_FINDING_INIT;
    struct error error = ERROR_INIT;
    bool ignored;

    if (cache_pass_run(&pass, transfer->turn.cancel, &finding, &ignored, &error) == 0)
        finish_transfer(transfer, finding.object, NULL);
    else
        finish_transfer(transfer, NULL, &error);
    cache_finding_clear(&finding);
}

static int new_transfer(struct ciphertext_cache *cache, struct image_record *record,
                        const struct slot_pass *pass, struct byte_sink **observer,
                        struct transfer **ret, struct error *err)
{
    CLEANUP(free_transfer) struct transfer *transfer = calloc(1, sizeof *transfer);

    if (transfer == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    if (cancel_new(&transfer->turn.cancel, err) < 0 || object_feed_new(&transfer->feed, err) < 0)
        return -1;
    transfer->job.run = run_transfer;
    transfer->cache = cache;
    transfer->record = image_record_ref(record);
    transfer->observer = steal(observer);
    transfer->turn.pass = *pass;
    *ret = steal(&transfer);
    return 0;
}

/* Hands the turn of a busy slot over to a new transfer: *ret, with a reference. */
static int start_transfer(struct ciphertext_cache *cache, struct slot *slot,
                          struct image_record *record, const struct slot_pass *pass,
                          struct byte_sink **observer, struct transfer **ret, struct error *err)
{
    struct transfer *transfer = NULL;

    if (new_transfer(cache, record, pass, observer, &transfer, err) < 0) {
        slot_table_release(&cache->slots, slot, NULL);
        return -1;
    }
    transfer->slot = slot;
    slot_table_hand_over(&cache->slots, slot, &transfer->turn);
    if (worker_pool_submit(cache->transfers, &transfer->job, err) < 0) {
        finish_transfer(transfer, NULL, err);
        leave_transfer(transfer);
        return -1;
    }
    *ret = transfer;
    return 0;
}

/* In a busy slot, whose turn it ends or hands over: *ret, or else *ret_transfer to follow. */
static int open_or_start(struct ciphertext_cache *cache, struct slot *slot,
                         struct image_record *record, const struct slot_pass *pass,
                         struct byte_sink **observer, struct byte_source **ret,
                         struct transfer **ret_transfer, struct error *err)
{
    struct error ignored = ERROR_INIT;

    /* An observer must see the bytes, whoever has seen them before. */
    if (*observer != NULL || ciphertext_cache_open_known(cache, record, ret, &ignored) < 0)
        return start_transfer(cache, slot, record, pass, observer, ret_transfer, err);
    slot_table_release(&cache->slots, slot, NULL);
    return 0;
}

int ciphertext_cache_follow(struct ciphertext_cache *cache, struct image_record *record,
                            const struct pass_key *key, struct byte_sink *observer,
                            struct cancel *cancel, struct byte_source **ret, struct error *err)
{
    CLEANUP(byte_sink_free) struct byte_sink *unused_observer = observer;
    struct slot_pass pass = {.key = *key};
    struct slot_transfer *turn = NULL;
    struct transfer *transfer = NULL;
    struct slot *slot;

    cache_object_name(record, pass.name);
    if (cache_context_may_read(cache, err) < 0 ||
        slot_table_join(&cache->slots, image_record_id(record), &pass, cancel, &slot, &turn, err) <
            0)
        return -1;
    *ret = NULL;
    if (turn != NULL)
        transfer = transfer_of(turn);
    else if (open_or_start(cache, slot, record, &pass, &unused_observer, ret, &transfer, err) < 0)
        return -1;
    if (transfer == NULL)
        return 0;
    const struct follower_listener listener = {.left = leave_as_follower, .context = transfer};
    if (object_feed_follow(transfer->feed, listener, ret, err) == 0)
        return 0;
    leave_transfer(transfer);
    return -1;
}
