/* SPDX-License-Identifier: Apache-2.0 */
#include "support/scripted_image_service.h"

#include "crypto/encoding.h"
#include "crypto/hash.h"
#include "support/delay.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES 65536
#define PROPERTIES 8
#define HANG_MS 60000

struct scripted_image {
    char id[37];
    const char *status;
    uint8_t *bytes;
    size_t size;
    unsigned saving_looks; /* looks that still show "saving" before `status` */
    struct scripted_upload script[SCRIPTED_STEPS];
    size_t steps;
    size_t next_step;
    char *names[PROPERTIES];
    char *values[PROPERTIES];
    size_t property_count;
};

struct failures {
    enum error_kind kind;
    unsigned count;
};

struct scripted_image_service {
    struct image_service base;
    pthread_mutex_t mutex; /* guards everything below */
    struct scripted_image images[SCRIPTED_IMAGES];
    size_t count;
    const char *hash_algo;
    bool has_checksum;
    struct failures look_failures, update_failures;
    unsigned looks, updates, uploads, running, most_at_once;
};

static struct scripted_image_service *lock(struct image_service *service)
{
    struct scripted_image_service *scripted = (struct scripted_image_service *)service;

    (void)pthread_mutex_lock(&scripted->mutex);
    return scripted;
}

static void unlock(struct scripted_image_service *scripted)
{
    (void)pthread_mutex_unlock(&scripted->mutex);
}

/* NULL when there is none. Locked. */
static struct scripted_image *find(struct scripted_image_service *scripted, const char *id)
{
    for (size_t i = 0; i < scripted->count; i++)
        if (strcmp(scripted->images[i].id, id) == 0 &&
            strcmp(scripted->images[i].status, "gone") != 0)
            return &scripted->images[i];
    return NULL;
}

static int no_image(const char *id, struct error *err)
{
    return error_set(err, ERROR_NOT_FOUND, "image %s does not exist", id);
}

/* Locked. */
static int fail_as_told(struct failures *failures, struct error *err)
{
    if (failures->count == 0)
        return 0;
    failures->count--;
    return error_set(err, failures->kind, "as the script says");
}

/* --- get --- */

static void print_digest(FILE *out, const char *label, const char *algo,
                         const struct scripted_image *image)
{
    CLEANUP(hash_free) struct hash *hash = NULL;
    uint8_t digest[HASH_MAXIMUM_BYTES];
    char text[2 * HASH_MAXIMUM_BYTES + 1] = "";
    enum hash_algorithm algorithm = HASH_SHA512;
    struct error err = ERROR_INIT;

    if (!hash_algorithm_from_name(algo, &algorithm) || hash_new(algorithm, &hash, &err) < 0)
        abort();
    hash_update(hash, image->bytes, image->size);
    hash_finish(hash, digest);
    encode_hex(digest, hash_size(algorithm), text);
    (void)fprintf(out, ", \"%s\": \"%s\"", label, text);
}

static void print_data(FILE *out, const struct scripted_image_service *scripted,
                       const struct scripted_image *image)
{
    (void)fprintf(out, ", \"size\": %zu", image->size);
    if (scripted->has_checksum)
        print_digest(out, "checksum", "md5", image);
    if (scripted->hash_algo == NULL)
        return;
    (void)fprintf(out, ", \"os_hash_algo\": \"%s\"", scripted->hash_algo);
    print_digest(out, "os_hash_value", scripted->hash_algo, image);
}

static struct image_record *record_of(const struct scripted_image_service *scripted,
                                      const struct scripted_image *image)
{
    CLEANUP(memory_free) char *json = NULL;
    struct image_record *record = NULL;
    struct error err = ERROR_INIT;
    size_t length;
    FILE *out = open_memstream(&json, &length);

    if (out == NULL)
        abort();
    (void)fprintf(out, "{\"id\": \"%s\", \"status\": \"%s\"", image->id,
                  image->saving_looks > 0 ? "saving" : image->status);
    if (image->saving_looks == 0 && image->bytes != NULL)
        print_data(out, scripted, image);
    for (size_t i = 0; i < image->property_count; i++)
        (void)fprintf(out, ", \"%s\": \"%s\"", image->names[i], image->values[i]);
    (void)fprintf(out, "}");
    (void)fclose(out);
    if (image_record_parse(json, length, &record, &err) < 0) {
        (void)fprintf(stderr, "%s: %s\n", json, err.message);
        abort();
    }
    return record;
}

static int get(struct image_service *service, const char *id, struct cancel *cancel,
               struct image_record **ret, struct error *err)
{
    struct scripted_image_service *scripted = lock(service);
    struct scripted_image *image = find(scripted, id);
    int result;

    (void)cancel;
    scripted->looks++;
    result = fail_as_told(&scripted->look_failures, err);
    if (image == NULL) {
        result = no_image(id, err);
    } else if (result == 0) {
        *ret = record_of(scripted, image);
        image->saving_looks -= image->saving_looks > 0;
    }
    unlock(scripted);
    return result;
}

/* --- update --- */

/* Locked. */
static void set_property(struct scripted_image *image, const struct image_property *property)
{
    size_t i = 0;

    while (i < image->property_count && strcmp(image->names[i], property->name) != 0)
        i++;
    if (i == PROPERTIES)
        abort();
    free(image->names[i]);
    free(image->values[i]);
    image->names[i] = strdup(property->name);
    image->values[i] = strdup(property->value);
    image->property_count += i == image->property_count;
}

static int update(struct image_service *service, const char *id,
                  const struct image_property *properties, size_t count, struct cancel *cancel,
                  struct error *err)
{
    struct scripted_image_service *scripted = lock(service);
    struct scripted_image *image = find(scripted, id);
    int result;

    (void)cancel;
    scripted->updates++;
    result = fail_as_told(&scripted->update_failures, err);
    if (result == 0 && image == NULL)
        result = no_image(id, err);
    for (size_t i = 0; result == 0 && i < count; i++)
        set_property(image, &properties[i]);
    unlock(scripted);
    return result;
}

/* --- upload --- */

/* Reads from the start up to `size`. */
static int take(struct byte_source *data, uint8_t *bytes, size_t size, struct cancel *cancel,
                struct error *err)
{
    size_t position = 0;

    while (position < size) {
        const size_t left = size - position;
        size_t got = 0;

        if (byte_source_pread(data, bytes + position, left < CHUNK_BYTES ? left : CHUNK_BYTES,
                              position, cancel, &got, err) < 0)
            return -1;
        if (got == 0)
            return error_set(err, ERROR_INVALID, "the data ended early");
        position += got;
    }
    return 0;
}

static int end_as_told(const struct scripted_upload *step, struct error *err)
{
    return error_set(err, step->kind == ERROR_NONE ? ERROR_UNAVAILABLE : step->kind,
                     "the upload ended as the script says");
}

static void activate(struct image_service *service, const char *id, uint8_t *bytes, size_t size,
                     unsigned saving_looks)
{
    struct scripted_image_service *scripted = lock(service);
    struct scripted_image *image = find(scripted, id);

    if (image == NULL)
        abort();
    free(image->bytes);
    image->bytes = bytes;
    image->size = size;
    image->status = "active";
    image->saving_looks = saving_looks;
    unlock(scripted);
}

static int cut_off(struct image_service *service, const char *id, const char *status,
                   const struct scripted_upload *step, struct byte_source *data,
                   struct cancel *cancel, struct error *err)
{
    const size_t size = (size_t)byte_source_size(data);
    CLEANUP(memory_free) uint8_t *bytes = malloc(size + 1);

    if (bytes == NULL)
        abort();
    if (take(data, bytes, size / 2, cancel, err) < 0)
        return -1;
    scripted_image_service_set_status(service, id, status);
    return end_as_told(step, err);
}

static int overtake(struct image_service *service, const char *id,
                    const struct scripted_upload *step, size_t size, struct error *err)
{
    uint8_t *bytes = calloc(1, size + 1);

    if (bytes == NULL)
        abort();
    activate(service, id, bytes, size, 0);
    return end_as_told(step, err);
}

static int read_at_random(struct byte_source *data, struct cancel *cancel, struct error *err)
{
    uint8_t byte;
    size_t got;

    return byte_source_pread(data, &byte, 1, 7, cancel, &got, err);
}

static int accept_data(struct image_service *service, const char *id,
                       const struct scripted_upload *step, struct byte_source *data,
                       struct cancel *cancel, struct error *err)
{
    const size_t size = (size_t)byte_source_size(data);
    CLEANUP(memory_free) uint8_t *bytes = malloc(size + 1);

    if (bytes == NULL)
        abort();
    if (step->action == SCRIPT_READ_TWICE && take(data, bytes, size / 2, cancel, err) < 0)
        return -1;
    if (take(data, bytes, size, cancel, err) < 0)
        return -1;
    if (step->action == SCRIPT_FORGOTTEN)
        return 0;
    activate(service, id, steal(&bytes), size, step->looks);
    return step->action == SCRIPT_REPLY_LOST ? end_as_told(step, err) : 0;
}

static int act(struct image_service *service, const char *id, const struct scripted_upload *step,
               struct byte_source *data, struct cancel *cancel, struct error *err)
{
    switch (step->action) {
    case SCRIPT_ACCEPTED:
    case SCRIPT_REPLY_LOST:
    case SCRIPT_SAVED_LATER:
    case SCRIPT_FORGOTTEN:
    case SCRIPT_READ_TWICE:
        return accept_data(service, id, step, data, cancel, err);
    case SCRIPT_CUT_OFF:
        return cut_off(service, id, "queued", step, data, cancel, err);
    case SCRIPT_STUCK:
        return cut_off(service, id, "saving", step, data, cancel, err);
    case SCRIPT_DELETED:
        return cut_off(service, id, "gone", step, data, cancel, err);
    case SCRIPT_OVERTAKEN:
        return overtake(service, id, step, (size_t)byte_source_size(data), err);
    case SCRIPT_READ_AT_RANDOM:
        return read_at_random(data, cancel, err);
    case SCRIPT_HANGS:
        return delay(HANG_MS, cancel, err);
    case SCRIPT_REFUSED:
        break;
    }
    return end_as_told(step, err);
}

/* 409 unless queued, as Glance. Locked. */
static int begin(struct scripted_image_service *scripted, const char *id,
                 struct scripted_upload *ret_step, struct error *err)
{
    struct scripted_image *image = find(scripted, id);

    scripted->uploads++;
    if (image == NULL)
        return no_image(id, err);
    if (image->saving_looks > 0 || strcmp(image->status, "saving") == 0)
        return error_set(err, ERROR_BUSY, "image %s is being saved", id);
    if (strcmp(image->status, "queued") != 0)
        return error_set(err, ERROR_EXISTS, "image %s is %s", id, image->status);
    *ret_step = (struct scripted_upload){0};
    if (image->next_step < image->steps)
        *ret_step = image->script[image->next_step++];
    return 0;
}

static int upload(struct image_service *service, const char *id, struct byte_source *data,
                  struct cancel *cancel, struct error *err)
{
    struct scripted_image_service *scripted = lock(service);
    struct scripted_upload step = {0};
    int result = begin(scripted, id, &step, err);

    if (++scripted->running > scripted->most_at_once)
        scripted->most_at_once = scripted->running;
    unlock(scripted);
    if (result == 0)
        result = act(service, id, &step, data, cancel, err);
    scripted = lock(service);
    if (step.blind_looks > 0)
        scripted->look_failures = (struct failures){ERROR_UNAVAILABLE, step.blind_looks};
    scripted->running--;
    unlock(scripted);
    return result;
}

/* --- the service --- */

static void free_service(struct image_service *service)
{
    struct scripted_image_service *scripted = (struct scripted_image_service *)service;

    for (size_t i = 0; i < scripted->count; i++) {
        struct scripted_image *image = &scripted->images[i];

        for (size_t j = 0; j < image->property_count; j++) {
            free(image->names[j]);
            free(image->values[j]);
        }
        free(image->bytes);
    }
    (void)pthread_mutex_destroy(&scripted->mutex);
    free(scripted);
}

static const struct image_service_ops ops = {
    .get = get, .update = update, .upload = upload, .free = free_service};

struct image_service *scripted_image_service_new(void)
{
    struct scripted_image_service *scripted = calloc(1, sizeof *scripted);

    if (scripted == NULL || pthread_mutex_init(&scripted->mutex, NULL) != 0)
        abort();
    scripted->base.ops = &ops;
    scripted->hash_algo = "sha512";
    scripted->has_checksum = true;
    return &scripted->base;
}

void scripted_image_service_add(struct image_service *service, const char *id,
                                const struct scripted_upload *script, size_t count)
{
    struct scripted_image_service *scripted = lock(service);
    struct scripted_image *image = &scripted->images[scripted->count++];

    if (scripted->count > SCRIPTED_IMAGES || count > SCRIPTED_STEPS)
        abort();
    *image = (struct scripted_image){.status = "queued", .steps = count};
    (void)snprintf(image->id, sizeof image->id, "%s", id);
    if (count > 0)
        memcpy(image->script, script, count * sizeof *script);
    unlock(scripted);
}

void scripted_image_service_set_status(struct image_service *service, const char *id,
                                       const char *status)
{
    struct scripted_image_service *scripted = lock(service);
    struct scripted_image *image = find(scripted, id);

    if (image == NULL)
        abort();
    image->status = status;
    unlock(scripted);
}

void scripted_image_service_set_hash(struct image_service *service, const char *hash_algo,
                                     bool has_checksum)
{
    struct scripted_image_service *scripted = lock(service);

    scripted->hash_algo = hash_algo;
    scripted->has_checksum = has_checksum;
    unlock(scripted);
}

void scripted_image_service_fail_looks(struct image_service *service, enum error_kind kind,
                                       unsigned count)
{
    struct scripted_image_service *scripted = lock(service);

    scripted->look_failures = (struct failures){kind, count};
    unlock(scripted);
}

void scripted_image_service_fail_updates(struct image_service *service, enum error_kind kind,
                                         unsigned count)
{
    struct scripted_image_service *scripted = lock(service);

    scripted->update_failures = (struct failures){kind, count};
    unlock(scripted);
}

static unsigned counter(struct image_service *service, size_t offset)
{
    struct scripted_image_service *scripted = lock(service);
    const unsigned value = *(const unsigned *)((const char *)scripted + offset);

    unlock(scripted);
    return value;
}

unsigned scripted_image_service_looks(struct image_service *service)
{
    return counter(service, offsetof(struct scripted_image_service, looks));
}

unsigned scripted_image_service_updates(struct image_service *service)
{
    return counter(service, offsetof(struct scripted_image_service, updates));
}

unsigned scripted_image_service_uploads(struct image_service *service)
{
    return counter(service, offsetof(struct scripted_image_service, uploads));
}

unsigned scripted_image_service_most_at_once(struct image_service *service)
{
    return counter(service, offsetof(struct scripted_image_service, most_at_once));
}

bool scripted_image_service_holds(struct image_service *service, const char *id, const void *bytes,
                                  size_t size)
{
    struct scripted_image_service *scripted = lock(service);
    const struct scripted_image *image = find(scripted, id);
    const bool holds = image != NULL && strcmp(image->status, "active") == 0 &&
                       image->size == size && memcmp(image->bytes, bytes, size) == 0;

    unlock(scripted);
    return holds;
}

bool scripted_image_service_has_property(struct image_service *service, const char *id,
                                         const char *name, const char *value)
{
    struct scripted_image_service *scripted = lock(service);
    const struct scripted_image *image = find(scripted, id);
    bool has = false;

    for (size_t i = 0; image != NULL && i < image->property_count; i++)
        has = has || (strcmp(image->names[i], name) == 0 && strcmp(image->values[i], value) == 0);
    unlock(scripted);
    return has;
}
