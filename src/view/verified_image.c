/* SPDX-License-Identifier: Apache-2.0 */
#include "view/verified_image.h"

#include "base/clock.h"
#include "base/monitor.h"
#include "base/worker_pool.h"
#include "view/image_content.h"
#include "view/layout_memory.h"
#include "view/verification.h"

#include <stdlib.h>
#include <string.h>

enum image_state { IMAGE_VERIFYING, IMAGE_VERIFIED, IMAGE_FAILED };

struct verified_image {
    struct job job; /* the verification */
    struct verified_images *images;
    struct image_record *record;
    const struct codec *codec;
    struct secure_buffer *passphrase;
    struct cancel *cancel; /* of the verification */
    atomic_uint_fast64_t progress;

    /* Guarded by the set's monitor. */
    struct verified_image *next;
    bool is_listed;      /* newcomers may join */
    unsigned references; /* waiters, streams and the verification */
    unsigned waiters;
    enum image_state state;
    struct given_key key; /* the last one that gave the passphrase */
    struct error error;   /* of a failed verification */

    /* Written before the state becomes IMAGE_VERIFIED, constant afterwards. */
    struct codec_message *message;
    struct byte_source *ciphertext; /* for the first who asks; guarded by the monitor */
};

struct verified_images {
    struct verified_images_parts parts;
    struct worker_pool *verifications; /* wait for the cache */
    struct worker_pool *codecs;        /* decrypt beside them, one for each */
    struct layout_memory *layouts;     /* of verified messages, open or not */
    struct monitor monitor; /* taken after a cancel token's lock, before a pool's; nothing waits
                               for I/O or crypto with it */
    struct verified_image *first;
};

int verified_images_new(const struct verified_images_parts *parts, struct verified_images **ret,
                        struct error *err)
{
    CLEANUP(verified_images_free) struct verified_images *images = calloc(1, sizeof *images);

    if (images == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    images->parts = *parts;
    monitor_init(&images->monitor);
    if (worker_pool_new("verify", parts->max_verifications, &images->verifications, err) < 0 ||
        worker_pool_new("verify-codec", parts->max_verifications, &images->codecs, err) < 0 ||
        layout_memory_new(parts->signatures, &images->layouts, err) < 0)
        return -1;
    *ret = steal(&images);
    return 0;
}

void verified_images_free(struct verified_images *images)
{
    if (images == NULL)
        return;
    worker_pool_free(images->verifications);
    worker_pool_free(images->codecs);
    layout_memory_free(images->layouts);
    monitor_destroy(&images->monitor);
    free(images);
}

/* --- life of one image --- */

static void free_image(struct verified_image *image)
{
    if (image == NULL)
        return;
    codec_message_unref(image->message);
    byte_source_free(image->ciphertext);
    secure_buffer_free(image->passphrase);
    cancel_unref(image->cancel);
    image_record_unref(image->record);
    free(image);
}
DEFINE_CLEANUP(struct verified_image, free_image)

/* Newcomers find it. Locked. */
static void list(struct verified_image *image)
{
    image->next = image->images->first;
    image->images->first = image;
    image->is_listed = true;
}

/* Newcomers no longer find it. Locked. */
static void unlist(struct verified_image *image)
{
    struct verified_image **link = &image->images->first;

    if (!image->is_listed)
        return;
    while (*link != image)
        link = &(*link)->next;
    *link = image->next;
    image->is_listed = false;
}

/* Gives one reference back; true when it was the last and the caller frees. Locked. */
static bool drop_reference(struct verified_image *image)
{
    if (--image->references > 0)
        return false;
    unlist(image);
    return true;
}

void verified_image_release(struct verified_image *image)
{
    struct verified_images *images;
    bool last;

    if (image == NULL)
        return;
    images = image->images;
    monitor_lock(&images->monitor);
    last = drop_reference(image);
    monitor_unlock(&images->monitor);
    if (last)
        free_image(image);
}

/* --- the verification, on a thread of its own --- */

static void finish(struct verified_image *image, struct codec_message *message,
                   struct byte_source *ciphertext, const struct error *error)
{
    struct verified_images *images = image->images;
    bool last;

    monitor_lock(&images->monitor);
    image->message = message;
    image->ciphertext = ciphertext;
    image->error = *error;
    image->state = message != NULL ? IMAGE_VERIFIED : IMAGE_FAILED;
    if (image->state == IMAGE_FAILED)
        unlist(image);
    monitor_changed(&images->monitor);
    last = drop_reference(image);
    monitor_unlock(&images->monitor);
    if (last)
        free_image(image);
}

/*
 * Without a pass, when an earlier one left the layout: the cache proves that the bytes are the same,
 * the codec that the key is. False when only a pass can give the image, or tell why not.
 */
static bool recall(const struct verified_image *image, struct codec_message **ret_message,
                   struct byte_source **ret_ciphertext, struct error *err)
{
    const struct verified_images *images = image->images;
    struct ciphertext_cache *cache = images->parts.cache;
    CLEANUP(codec_layout_unref)
    struct codec_layout *layout = layout_memory_find(images->layouts, image->record);
    CLEANUP(byte_source_free) struct byte_source *ciphertext = NULL;

    if (layout == NULL)
        return false;
    /* What is used up now will be so at a second try, which would wait as long again. */
    if (ciphertext_cache_open(cache, image->record, NULL, image->cancel, &ciphertext, err) < 0)
        return err->kind == ERROR_EXHAUSTED;
    if (codec_reopen(image->codec, images->parts.arena, layout, ciphertext, image->passphrase,
                     image->cancel, ret_message, err) < 0)
        /* The cache forgets bytes that changed; then it was not the passphrase. */
        return err->kind != ERROR_UNSUPPORTED && ciphertext_cache_remembers(cache, image->record);
    *ret_ciphertext = steal(&ciphertext);
    atomic_fetch_add(&images->parts.counters->reopens, 1);
    return true;
}

static void verify(struct verified_image *image, struct codec_message **ret_message,
                   struct byte_source **ret_ciphertext, struct error *err)
{
    const struct verified_images *images = image->images;
    const struct verification verification = {.cache = images->parts.cache,
                                              .arena = images->parts.arena,
                                              .codec_pool = images->codecs,
                                              .codec = image->codec,
                                              .record = image->record,
                                              .passphrase = image->passphrase,
                                              .signatures = images->parts.signatures,
                                              .progress = &image->progress};

    const uint64_t started_ns = clock_monotonic_ns();

    if (verification_run(&verification, image->cancel, ret_message, ret_ciphertext, err) == 0) {
        atomic_fetch_add(&images->parts.counters->verifications, 1);
        layout_memory_put(images->layouts, image->record, *ret_message);
    }
    stage_counter_add(&images->parts.counters->verify, atomic_load(&image->progress), started_ns);
}

static void run_verification(struct job *job)
{
    struct verified_image *image = (struct verified_image *)job;
    struct codec_message *message = NULL;
    struct byte_source *ciphertext = NULL;
    struct error error = ERROR_INIT;

    if (!recall(image, &message, &ciphertext, &error)) {
        error = (struct error)ERROR_INIT;
        verify(image, &message, &ciphertext, &error);
    }
    if (message == NULL && error.kind != ERROR_CANCELLED)
        atomic_fetch_add(&image->images->parts.counters->failed_verifications, 1);
    finish(image, message, ciphertext, &error);
}

/* --- finding or making one --- */

/* Locked. */
static struct verified_image *find(struct verified_images *images,
                                   const struct image_record *record,
                                   const struct secure_buffer *passphrase)
{
    struct verified_image *image = images->first;

    while (image != NULL &&
           (!image_content_is_same(images->parts.signatures, image->record, record) ||
            !secure_buffer_equal(image->passphrase, passphrase)))
        image = image->next;
    return image;
}

static int new_image(struct verified_images *images, struct image_record *record,
                     const struct codec *codec, struct secure_buffer **passphrase,
                     struct verified_image **ret, struct error *err)
{
    CLEANUP(free_image) struct verified_image *image = calloc(1, sizeof *image);

    if (image == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    if (cancel_new(&image->cancel, err) < 0)
        return -1;
    image->images = images;
    image->job.run = run_verification;
    image->record = image_record_ref(record);
    image->codec = codec;
    image->passphrase = steal(passphrase);
    image->state = IMAGE_VERIFYING;
    *ret = steal(&image);
    return 0;
}

/* Starts the verification of `image` and lets others join. Locked. */
static int start(struct verified_image *image, struct error *err)
{
    struct verified_images *images = image->images;

    image->references = 1;
    if (worker_pool_submit(images->verifications, &image->job, err) < 0)
        return -1;
    list(image);
    return 0;
}

/*
 * Finds the image or starts its verification, and takes a reference; NULL when that fails. Locked,
 * so that two callers never start the same one.
 */
static struct verified_image *join(struct verified_images *images, struct image_record *record,
                                   const struct codec *codec, struct secure_buffer **passphrase,
                                   struct error *err)
{
    CLEANUP(free_image) struct verified_image *fresh = NULL;
    struct verified_image *image = find(images, record, *passphrase);

    if (image == NULL) {
        if (new_image(images, record, codec, passphrase, &fresh, err) < 0 || start(fresh, err) < 0)
            return NULL;
        image = steal(&fresh);
    }
    image->references++;
    return image;
}

/* The key manager gave this key for the image; others may have asked it since. Locked. */
static void note_authorisation(struct verified_image *image, const struct given_key *key)
{
    if (key->given_ns > image->key.given_ns)
        image->key = *key;
}

/* Waits for the verification. True when it must be cancelled: nobody waits any more. Locked. */
static bool wait_verified(struct verified_image *image, const struct cancel *cancel)
{
    image->waiters++;
    while (image->state == IMAGE_VERIFYING && !cancel_is_requested(cancel))
        monitor_wait(&image->images->monitor);
    image->waiters--;
    if (image->state != IMAGE_VERIFYING || image->waiters > 0)
        return false;
    unlist(image);
    return true;
}

/* What became of the image for one who waited. Locked. */
static int outcome(const struct verified_image *image, const struct cancel *cancel,
                   struct error *err)
{
    switch (image->state) {
    case IMAGE_VERIFIED:
        return 0;
    case IMAGE_FAILED:
        *err = image->error;
        return -1;
    case IMAGE_VERIFYING:
        break;
    }
    return cancel_check(cancel, err);
}

int verified_images_acquire(struct verified_images *images, struct image_record *record,
                            const struct codec *codec, const struct given_key *key,
                            struct secure_buffer *passphrase, struct cancel *cancel,
                            struct verified_image **ret, struct error *err)
{
    CLEANUP(secure_buffer_free) struct secure_buffer *unused_passphrase = passphrase;
    CLEANUP(verified_image_release) struct verified_image *image = NULL;
    struct monitor_waiter waiter;
    bool nobody_waits = false;
    int result = -1;

    monitor_enter(&images->monitor, cancel, &waiter);
    image = join(images, record, codec, &unused_passphrase, err);
    if (image != NULL) {
        nobody_waits = wait_verified(image, cancel);
        result = outcome(image, cancel, err);
    }
    if (result == 0)
        note_authorisation(image, key);
    monitor_leave(&images->monitor, cancel, &waiter);
    if (nobody_waits)
        cancel_request(image->cancel);
    if (result == 0)
        *ret = steal(&image);
    return result;
}

struct verified_image *verified_images_find(struct verified_images *images,
                                            const struct image_record *record,
                                            const struct given_key *key,
                                            const struct secure_buffer *passphrase)
{
    struct verified_image *image;

    monitor_lock(&images->monitor);
    image = find(images, record, passphrase);
    if (image != NULL && image->state != IMAGE_VERIFIED)
        image = NULL;
    if (image != NULL) {
        image->references++;
        note_authorisation(image, key);
    }
    monitor_unlock(&images->monitor);
    return image;
}

bool verified_images_can_recall(struct verified_images *images, const struct image_record *record)
{
    CLEANUP(codec_layout_unref)
    struct codec_layout *layout = layout_memory_find(images->layouts, record);

    return layout != NULL && ciphertext_cache_remembers(images->parts.cache, record);
}

struct verified_image *verified_images_adopt(struct verified_images *images,
                                             struct image_record *record, const struct codec *codec,
                                             const struct given_key *key,
                                             struct secure_buffer *passphrase,
                                             struct codec_message *message)
{
    CLEANUP(secure_buffer_free) struct secure_buffer *unused_passphrase = passphrase;
    CLEANUP(free_image) struct verified_image *fresh = NULL;
    struct verified_image *image;
    struct error ignored = ERROR_INIT;

    layout_memory_put(images->layouts, record, message);
    image = verified_images_find(images, record, key, passphrase);
    if (image != NULL || new_image(images, record, codec, &unused_passphrase, &fresh, &ignored) < 0)
        return image;
    fresh->state = IMAGE_VERIFIED;
    fresh->message = codec_message_ref(message);
    fresh->references = 1;
    monitor_lock(&images->monitor);
    note_authorisation(fresh, key);
    list(fresh);
    monitor_unlock(&images->monitor);
    return steal(&fresh);
}

struct verified_image *verified_images_find_authorised(struct verified_images *images,
                                                       const struct image_record *record,
                                                       const char *key_id)
{
    const uint64_t ttl_ns = images->parts.authorise_ttl_seconds * NANOSECONDS_PER_SECOND;
    const uint64_t now_ns = clock_monotonic_ns();
    struct verified_image *image;

    monitor_lock(&images->monitor);
    for (image = images->first; image != NULL; image = image->next)
        if (image->state == IMAGE_VERIFIED &&
            image_content_is_same(images->parts.signatures, image->record, record) &&
            strcmp(image->key.id, key_id) == 0 && now_ns - image->key.given_ns < ttl_ns)
            break;
    if (image != NULL)
        image->references++;
    monitor_unlock(&images->monitor);
    return image;
}

/* --- using one --- */

struct codec_message *verified_image_message(const struct verified_image *image)
{
    return image->message;
}

/* The source that the verification left, for one reader; NULL for the others. */
static struct byte_source *take_ciphertext(struct verified_image *image)
{
    struct byte_source *ciphertext;

    monitor_lock(&image->images->monitor);
    ciphertext = steal(&image->ciphertext);
    monitor_unlock(&image->images->monitor);
    return ciphertext;
}

int verified_image_open_ciphertext(struct verified_image *image, struct cancel *cancel,
                                   struct byte_source **ret, struct error *err)
{
    *ret = take_ciphertext(image);
    return *ret != NULL ? 0
                        : ciphertext_cache_open(image->images->parts.cache, image->record, NULL,
                                                cancel, ret, err);
}

int verified_image_open_ciphertext_now(struct verified_image *image, struct byte_source **ret,
                                       struct error *err)
{
    *ret = take_ciphertext(image);
    return *ret != NULL
               ? 0
               : ciphertext_cache_open_known(image->images->parts.cache, image->record, ret, err);
}

void verified_images_each_verification(struct verified_images *images,
                                       void (*visit)(void *context, const char *id,
                                                     uint64_t done_bytes, uint64_t total_bytes),
                                       void *context)
{
    monitor_lock(&images->monitor);
    for (const struct verified_image *image = images->first; image != NULL; image = image->next) {
        uint64_t total = 0;

        if (image->state != IMAGE_VERIFYING)
            continue;
        (void)image_record_size(image->record, &total);
        visit(context, image_record_id(image->record), atomic_load(&image->progress), total);
    }
    monitor_unlock(&images->monitor);
}
