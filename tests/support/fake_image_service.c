/* SPDX-License-Identifier: Apache-2.0 */
#include "support/fake_image_service.h"

#include "crypto/encoding.h"
#include "crypto/hash.h"
#include "support/delay.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_CHUNK_BYTES 65536

struct fake_image {
    const uint8_t *bytes;
    size_t size;
    struct image_record *record;
    struct fake_download download;
    unsigned failed; /* downloads that were made to fail so far */
};

struct fake_image_service {
    struct image_service base;
    pthread_mutex_t mutex; /* guards the images */
    struct fake_image images[FAKE_IMAGES];
    size_t count;
    atomic_uint downloads;
    atomic_uint running;
    atomic_ullong bytes;
};

/* --- records --- */

static void digest_of(const char *algo, const void *bytes, size_t size,
                      char ret[2 * HASH_MAXIMUM_BYTES + 1])
{
    CLEANUP(hash_free) struct hash *hash = NULL;
    uint8_t digest[HASH_MAXIMUM_BYTES];
    enum hash_algorithm algorithm;
    struct error err = ERROR_INIT;

    if (!hash_algorithm_from_name(algo, &algorithm) || hash_new(algorithm, &hash, &err) < 0)
        abort();
    hash_update(hash, bytes, size);
    hash_finish(hash, digest);
    encode_hex(digest, hash_size(algorithm), ret);
    ret[2 * hash_size(algorithm)] = '\0';
}

/* `, "name": "value"`, or nothing for NULL. */
static void print_property(FILE *out, const char *name, const char *value)
{
    if (value != NULL)
        (void)fprintf(out, ", \"%s\": \"%s\"", name, value);
}

struct image_record *fake_image_record(const char *id, const void *bytes, size_t size,
                                       const char *hash_algo, const char *hash_value)
{
    CLEANUP(memory_free) char *json = NULL;
    char checksum[2 * HASH_MAXIMUM_BYTES + 1];
    struct image_record *record = NULL;
    struct error err = ERROR_INIT;
    size_t length;
    FILE *out = open_memstream(&json, &length);

    if (out == NULL)
        abort();
    digest_of("md5", bytes, size, checksum);
    (void)fprintf(out, "{\"id\": \"%s\", \"status\": \"active\", \"size\": %zu", id, size);
    print_property(out, "checksum", checksum);
    print_property(out, "os_hash_algo", hash_algo);
    print_property(out, "os_hash_value", hash_value);
    (void)fprintf(out, "}");
    (void)fclose(out);
    if (image_record_parse(json, length, &record, &err) < 0) {
        (void)fprintf(stderr, "%s: %s\n", json, err.message);
        abort();
    }
    return record;
}

struct image_record *fake_image_record_hashed(const char *id, const void *bytes, size_t size,
                                              const char *hash_algo)
{
    char value[2 * HASH_MAXIMUM_BYTES + 1];

    digest_of(hash_algo, bytes, size, value);
    return fake_image_record(id, bytes, size, hash_algo, value);
}

/* --- images --- */

/* NULL when there is none. Locked. */
static struct fake_image *find(struct fake_image_service *fake, const char *id)
{
    for (size_t i = 0; i < fake->count; i++)
        if (strcmp(image_record_id(fake->images[i].record), id) == 0)
            return &fake->images[i];
    return NULL;
}

void fake_image_service_put(struct image_service *service, const char *id, const void *bytes,
                            size_t size)
{
    struct fake_image_service *fake = (struct fake_image_service *)service;
    struct image_record *record = fake_image_record_hashed(id, bytes, size, "sha512");
    struct fake_image *image;

    (void)pthread_mutex_lock(&fake->mutex);
    image = find(fake, id);
    if (image == NULL && fake->count == FAKE_IMAGES)
        abort();
    if (image == NULL)
        image = &fake->images[fake->count++];
    image_record_unref(image->record);
    *image = (struct fake_image){.bytes = bytes, .size = size, .record = record};
    (void)pthread_mutex_unlock(&fake->mutex);
}

void fake_image_service_misbehave(struct image_service *service, const char *id,
                                  const struct fake_download *download)
{
    struct fake_image_service *fake = (struct fake_image_service *)service;
    struct fake_image *image;

    (void)pthread_mutex_lock(&fake->mutex);
    image = find(fake, id);
    if (image == NULL)
        abort();
    image->download = *download;
    image->failed = 0;
    (void)pthread_mutex_unlock(&fake->mutex);
}

unsigned fake_image_service_downloads(struct image_service *service)
{
    return atomic_load(&((struct fake_image_service *)service)->downloads);
}

unsigned fake_image_service_running(struct image_service *service)
{
    return atomic_load(&((struct fake_image_service *)service)->running);
}

uint64_t fake_image_service_bytes(struct image_service *service)
{
    return atomic_load(&((struct fake_image_service *)service)->bytes);
}

/* --- downloads --- */

/* A copy of the image as it is now, with `fails` of its download decided. */
static int begin_download(struct fake_image_service *fake, const char *id, struct fake_image *ret,
                          struct error *err)
{
    struct fake_image *image;

    (void)pthread_mutex_lock(&fake->mutex);
    image = find(fake, id);
    if (image != NULL) {
        *ret = *image;
        if (image->download.failures > 0 && image->failed >= image->download.failures)
            ret->download.fails = false;
        image->failed += ret->download.fails;
    }
    (void)pthread_mutex_unlock(&fake->mutex);
    return image == NULL ? error_set(err, ERROR_NOT_FOUND, "no image %s", id) : 0;
}

/* The image as this download shows it, on the heap. */
static uint8_t *lie(const struct fake_image *image, size_t *ret_size)
{
    const struct fake_download *download = &image->download;
    uint8_t *bytes = calloc(1, image->size + download->extra_bytes + 1);

    if (bytes == NULL)
        abort();
    if (image->size > 0)
        memcpy(bytes, image->bytes, image->size);
    if (download->flips_a_bit)
        bytes[download->flip_at] ^= 0x10;
    *ret_size = image->size - download->missing_bytes + download->extra_bytes;
    return bytes;
}

static int deliver(struct fake_image_service *fake, const struct fake_download *download,
                   const uint8_t *bytes, size_t done, size_t size, struct byte_sink *sink,
                   struct cancel *cancel, struct error *err)
{
    const size_t end = download->fails ? download->fail_at : size;
    const size_t chunk = download->chunk_bytes == 0 ? DEFAULT_CHUNK_BYTES : download->chunk_bytes;

    while (done < end) {
        const size_t step = chunk < end - done ? chunk : end - done;

        if (delay(download->delay_ms, cancel, err) < 0 || cancel_check(cancel, err) < 0 ||
            byte_sink_write(sink, bytes + done, step, cancel, err) < 0)
            return -1;
        done += step;
        atomic_fetch_add(&fake->bytes, step);
    }
    if (!download->fails)
        return 0;
    return error_set(err,
                     download->fail_kind == ERROR_NONE ? ERROR_UNAVAILABLE : download->fail_kind,
                     "the fake image service fails here");
}

static int fake_download(struct image_service *service, const struct image_record *record,
                         uint64_t offset, struct byte_sink *sink, struct cancel *cancel,
                         struct error *err)
{
    struct fake_image_service *fake = (struct fake_image_service *)service;
    CLEANUP(memory_free) uint8_t *bytes = NULL;
    struct fake_image image = {0};
    size_t size;
    int result;

    atomic_fetch_add(&fake->downloads, 1);
    if (begin_download(fake, image_record_id(record), &image, err) < 0)
        return -1;
    bytes = lie(&image, &size);
    if (offset > size)
        return error_set(err, ERROR_INVALID, "offset past the end");
    atomic_fetch_add(&fake->running, 1);
    result = deliver(fake, &image.download, bytes, (size_t)offset, size, sink, cancel, err);
    atomic_fetch_sub(&fake->running, 1);
    return result;
}

static int fake_get(struct image_service *service, const char *id, struct cancel *cancel,
                    struct image_record **ret, struct error *err)
{
    struct fake_image_service *fake = (struct fake_image_service *)service;
    const struct fake_image *image;

    (void)cancel;
    (void)pthread_mutex_lock(&fake->mutex);
    image = find(fake, id);
    if (image != NULL)
        *ret = image_record_ref(image->record);
    (void)pthread_mutex_unlock(&fake->mutex);
    return image == NULL ? error_set(err, ERROR_NOT_FOUND, "no image %s", id) : 0;
}

static void fake_free(struct image_service *service)
{
    struct fake_image_service *fake = (struct fake_image_service *)service;

    for (size_t i = 0; i < fake->count; i++)
        image_record_unref(fake->images[i].record);
    (void)pthread_mutex_destroy(&fake->mutex);
    free(fake);
}

/* Only what a reader of images calls: another call is a bug, and a crash shows where. */
static const struct image_service_ops fake_ops = {
    .get = fake_get, .download = fake_download, .free = fake_free};

struct image_service *fake_image_service_new(void)
{
    struct fake_image_service *fake = calloc(1, sizeof *fake);

    if (fake == NULL)
        abort();
    fake->base.ops = &fake_ops;
    (void)pthread_mutex_init(&fake->mutex, NULL);
    return &fake->base;
}
