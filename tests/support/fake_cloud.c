/* SPDX-License-Identifier: Apache-2.0 */
#include "support/fake_cloud.h"

#include "crypto/encoding.h"
#include "crypto/hash.h"
#include "support/delay.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES 65536
#define SECRETS 8
#define PASSPHRASE_BYTES 4096 /* certificates, too */

struct stored_image {
    struct stored_image *next;
    struct image_record *record;
    uint8_t *bytes;
    size_t size;
};

struct stored_secret {
    char id[37];
    char passphrase[PASSPHRASE_BYTES];
    bool is_refused;
};

struct fake_cloud {
    struct cloud cloud;
    struct identity_service identity;
    struct image_service images;
    struct key_manager keys;
    struct secure_arena *arena;
    pthread_mutex_t mutex; /* guards everything below; nothing waits with it */
    struct stored_image *first;
    struct stored_secret secrets[SECRETS];
    size_t secret_count;
    struct fake_cloud_delays delays;
    enum error_kind record_failure;
    struct fake_cloud_calls calls;
};

#define FAKE_OF(service, member)                                                                   \
    ((struct fake_cloud *)((char *)(service)-offsetof(struct fake_cloud, member)))

static void lock(struct fake_cloud *fake)
{
    (void)pthread_mutex_lock(&fake->mutex);
}

static void unlock(struct fake_cloud *fake)
{
    (void)pthread_mutex_unlock(&fake->mutex);
}

/* --- images --- */

/* The place of image `id`; what it points to is NULL when there is none. Locked. */
static struct stored_image **place_of(struct fake_cloud *fake, const char *id)
{
    struct stored_image **place = &fake->first;

    while (*place != NULL && strcmp(image_record_id((*place)->record), id) != 0)
        place = &(*place)->next;
    return place;
}

static void print_hash(FILE *out, const struct fake_cloud_image *image)
{
    CLEANUP(hash_free) struct hash *hash = NULL;
    uint8_t digest[HASH_MAXIMUM_BYTES];
    char hex[2 * HASH_MAXIMUM_BYTES + 1] = "";
    struct error err = ERROR_INIT;

    if (hash_new(HASH_SHA512, &hash, &err) < 0)
        abort();
    hash_update(hash, image->bytes, image->size);
    hash_finish(hash, digest);
    encode_hex(digest, hash_size(HASH_SHA512), hex);
    (void)fprintf(out, ", \"os_hash_algo\": \"sha512\", \"os_hash_value\": \"%s\"", hex);
}

static struct image_record *make_record(const struct fake_cloud_image *image)
{
    CLEANUP(memory_free) char *json = NULL;
    struct image_record *record = NULL;
    struct error err = ERROR_INIT;
    size_t length;
    FILE *out = open_memstream(&json, &length);

    if (out == NULL)
        abort();
    (void)fprintf(out, "{\"id\": \"%s\", \"status\": \"%s\", \"size\": %zu", image->id,
                  image->status != NULL ? image->status : "active", image->size);
    if (!image->lacks_hash)
        print_hash(out, image);
    if (image->more != NULL)
        (void)fprintf(out, ", %s", image->more);
    (void)fprintf(out, "}");
    (void)fclose(out);
    if (image_record_parse(json, length, &record, &err) < 0) {
        (void)fprintf(stderr, "%s: %s\n", json, err.message);
        abort();
    }
    return record;
}

static void free_image(struct stored_image *image)
{
    image_record_unref(image->record);
    free(image->bytes);
    free(image);
}

/* Locked. */
static void remove_at(struct stored_image **place)
{
    struct stored_image *image = *place;

    *place = image->next;
    free_image(image);
}

void fake_cloud_put(struct fake_cloud *fake, const struct fake_cloud_image *image)
{
    struct stored_image *stored = calloc(1, sizeof *stored);
    struct stored_image **place;

    if (stored == NULL || (stored->bytes = malloc(image->size + 1)) == NULL)
        abort();
    stored->record = make_record(image);
    memcpy(stored->bytes, image->bytes, image->size);
    stored->size = image->size;
    lock(fake);
    place = place_of(fake, image->id);
    if (*place != NULL)
        remove_at(place);
    stored->next = fake->first;
    fake->first = stored;
    unlock(fake);
}

void fake_cloud_remove(struct fake_cloud *fake, const char *id)
{
    struct stored_image **place;

    lock(fake);
    place = place_of(fake, id);
    if (*place == NULL)
        abort();
    remove_at(place);
    unlock(fake);
}

/* What the next call for records has to do. */
static int begin_record_call(struct fake_cloud *fake, unsigned *counter, struct cancel *cancel,
                             struct error *err)
{
    enum error_kind failure;
    unsigned delay_ms;

    lock(fake);
    (*counter)++;
    failure = fake->record_failure;
    delay_ms = fake->delays.get_ms;
    unlock(fake);
    if (delay(delay_ms, cancel, err) < 0)
        return -1;
    return failure == ERROR_NONE ? 0 : error_set(err, failure, "the fake image service fails");
}

static int get(struct image_service *service, const char *id, struct cancel *cancel,
               struct image_record **ret, struct error *err)
{
    struct fake_cloud *fake = FAKE_OF(service, images);
    const struct stored_image *image;

    if (begin_record_call(fake, &fake->calls.gets, cancel, err) < 0)
        return -1;
    lock(fake);
    image = *place_of(fake, id);
    if (image != NULL)
        *ret = image_record_ref(image->record);
    unlock(fake);
    return image != NULL ? 0 : error_set(err, ERROR_NOT_FOUND, "no image %s", id);
}

static int list(struct image_service *service, struct cancel *cancel, struct image_list **ret,
                struct error *err)
{
    struct fake_cloud *fake = FAKE_OF(service, images);
    struct image_list *images = calloc(1, sizeof *images);

    if (images == NULL)
        abort();
    if (begin_record_call(fake, &fake->calls.lists, cancel, err) < 0) {
        free(images);
        return -1;
    }
    lock(fake);
    for (const struct stored_image *image = fake->first; image != NULL; image = image->next) {
        images->records = realloc(images->records, (images->count + 1) * sizeof *images->records);
        if (images->records == NULL)
            abort();
        images->records[images->count++] = image_record_ref(image->record);
    }
    unlock(fake);
    *ret = images;
    return 0;
}

/* A copy of the stored bytes. */
static uint8_t *copy_bytes(struct fake_cloud *fake, const char *id, size_t *ret_size)
{
    const struct stored_image *image;
    uint8_t *bytes = NULL;

    lock(fake);
    image = *place_of(fake, id);
    if (image != NULL) {
        bytes = malloc(image->size + 1);
        if (bytes == NULL)
            abort();
        memcpy(bytes, image->bytes, image->size);
        *ret_size = image->size;
    }
    unlock(fake);
    return bytes;
}

static int deliver(struct fake_cloud *fake, const uint8_t *bytes, size_t size,
                   struct byte_sink *sink, struct cancel *cancel, struct error *err)
{
    while (size > 0) {
        const size_t step = size < CHUNK_BYTES ? size : CHUNK_BYTES;
        unsigned delay_ms;

        lock(fake);
        delay_ms = fake->delays.download_ms;
        unlock(fake);
        if (delay(delay_ms, cancel, err) < 0 || byte_sink_write(sink, bytes, step, cancel, err) < 0)
            return -1;
        bytes += step;
        size -= step;
    }
    return 0;
}

static int download(struct image_service *service, const struct image_record *record,
                    uint64_t offset, struct byte_sink *sink, struct cancel *cancel,
                    struct error *err)
{
    struct fake_cloud *fake = FAKE_OF(service, images);
    size_t size = 0;
    CLEANUP(memory_free) uint8_t *bytes = copy_bytes(fake, image_record_id(record), &size);
    int result;

    if (bytes == NULL || offset > size)
        return error_set(err, ERROR_NOT_FOUND, "no such image or offset");
    lock(fake);
    fake->calls.downloads++;
    fake->calls.running_downloads++;
    unlock(fake);
    result = deliver(fake, bytes + offset, size - (size_t)offset, sink, cancel, err);
    lock(fake);
    fake->calls.running_downloads--;
    unlock(fake);
    return result;
}

static void free_nothing_of_images(struct image_service *service)
{
    (void)service;
}

/* Only what a reader of images calls: another call is a bug, and a crash shows where. */
static const struct image_service_ops image_ops = {
    .list = list, .get = get, .download = download, .free = free_nothing_of_images};

/* --- secrets --- */

/* Locked. */
static struct stored_secret *find_secret(struct fake_cloud *fake, const char *id)
{
    for (size_t i = 0; i < fake->secret_count; i++)
        if (strcmp(fake->secrets[i].id, id) == 0)
            return &fake->secrets[i];
    return NULL;
}

void fake_cloud_set_secret(struct fake_cloud *fake, const char *id, const char *passphrase)
{
    struct stored_secret *secret;

    lock(fake);
    secret = find_secret(fake, id);
    if (secret == NULL && fake->secret_count == SECRETS)
        abort();
    if (secret == NULL)
        secret = &fake->secrets[fake->secret_count++];
    (void)snprintf(secret->id, sizeof secret->id, "%s", id);
    secret->is_refused = passphrase == NULL;
    (void)snprintf(secret->passphrase, sizeof secret->passphrase, "%s",
                   passphrase != NULL ? passphrase : "");
    unlock(fake);
}

static int get_metadata(struct key_manager *manager, const char *secret_id, struct cancel *cancel,
                        struct secret_metadata *ret, struct error *err)
{
    (void)manager;
    (void)secret_id;
    (void)cancel;
    (void)err;
    *ret = (struct secret_metadata){.secret_type = "passphrase"};
    return 0;
}

static int get_payload(struct key_manager *manager, const char *secret_id, struct cancel *cancel,
                       struct secure_buffer **ret, struct error *err)
{
    struct fake_cloud *fake = FAKE_OF(manager, keys);
    struct stored_secret secret = {.is_refused = false};
    const struct stored_secret *found;
    unsigned delay_ms;

    lock(fake);
    fake->calls.payloads++;
    found = find_secret(fake, secret_id);
    if (found != NULL)
        secret = *found;
    delay_ms = fake->delays.payload_ms;
    unlock(fake);
    if (delay(delay_ms, cancel, err) < 0)
        return -1;
    if (found == NULL)
        return error_set(err, ERROR_NO_KEY, "no secret %s", secret_id);
    if (secret.is_refused)
        return error_set(err, ERROR_DENIED, "the key manager refused");
    return secure_buffer_copy_of(fake->arena, secret.passphrase, strlen(secret.passphrase), ret,
                                 err);
}

static const struct key_manager_ops key_ops = {.get_metadata = get_metadata,
                                               .get_payload = get_payload};

/* --- the cloud --- */

struct fake_cloud *fake_cloud_new(struct secure_arena *arena)
{
    struct fake_cloud *fake = calloc(1, sizeof *fake);

    if (fake == NULL)
        abort();
    fake->arena = arena;
    fake->images.ops = &image_ops;
    fake->keys.ops = &key_ops;
    fake->cloud =
        (struct cloud){.identity = &fake->identity, .images = &fake->images, .keys = &fake->keys};
    (void)pthread_mutex_init(&fake->mutex, NULL);
    return fake;
}

void fake_cloud_free(struct fake_cloud *fake)
{
    if (fake == NULL)
        return;
    while (fake->first != NULL)
        remove_at(&fake->first);
    (void)pthread_mutex_destroy(&fake->mutex);
    free(fake);
}

struct cloud *fake_cloud_services(struct fake_cloud *fake)
{
    return &fake->cloud;
}

void fake_cloud_set_delays(struct fake_cloud *fake, struct fake_cloud_delays delays)
{
    lock(fake);
    fake->delays = delays;
    unlock(fake);
}

void fake_cloud_fail_records(struct fake_cloud *fake, enum error_kind kind)
{
    lock(fake);
    fake->record_failure = kind;
    unlock(fake);
}

struct fake_cloud_calls fake_cloud_calls(struct fake_cloud *fake)
{
    struct fake_cloud_calls calls;

    lock(fake);
    calls = fake->calls;
    unlock(fake);
    return calls;
}
