/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_upload_staging.h"

#include "support/octets.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define UPLOADS 16
#define PROPERTIES 4
#define WAIT_SECONDS 20

struct fake_property {
    char name[64];
    char value[64];
};

struct staged_upload {
    struct byte_sink sink; /* must be first */
    struct upload_staging *staging;
    struct upload_info info;
    bool is_sealed;
    struct octets bytes;
    struct fake_property properties[PROPERTIES];
    size_t property_count;
};

struct upload_staging {
    pthread_mutex_t mutex; /* guards everything below */
    pthread_cond_t changed;
    struct fake_staging_faults faults;
    bool is_holding;
    unsigned held;
    unsigned begun;
    struct staged_upload *uploads[UPLOADS];
};

struct upload_staging *fake_staging_new(void)
{
    struct upload_staging *staging = calloc(1, sizeof *staging);

    if (staging == NULL)
        abort();
    (void)pthread_mutex_init(&staging->mutex, NULL);
    (void)pthread_cond_init(&staging->changed, NULL);
    return staging;
}

static void lock(struct upload_staging *staging)
{
    (void)pthread_mutex_lock(&staging->mutex);
}

static void unlock(struct upload_staging *staging)
{
    (void)pthread_cond_broadcast(&staging->changed);
    (void)pthread_mutex_unlock(&staging->mutex);
}

static void free_upload(struct staged_upload *upload)
{
    octets_clear(&upload->bytes);
    free(upload);
}

void upload_staging_free(struct upload_staging *staging)
{
    if (staging == NULL)
        return;
    for (size_t i = 0; i < UPLOADS; i++)
        if (staging->uploads[i] != NULL)
            free_upload(staging->uploads[i]);
    (void)pthread_cond_destroy(&staging->changed);
    (void)pthread_mutex_destroy(&staging->mutex);
    free(staging);
}

/* The place of the image's upload; of a free one when it has none. Locked. */
static struct staged_upload **place_of(struct upload_staging *staging, const char *id)
{
    struct staged_upload **free_place = NULL;

    for (size_t i = 0; i < UPLOADS; i++) {
        struct staged_upload **place = &staging->uploads[i];

        if (*place == NULL)
            free_place = place;
        else if (strcmp((*place)->info.image_id, id) == 0)
            return place;
    }
    if (free_place == NULL)
        abort();
    return free_place;
}

/* --- the sink --- */

static int fake_write(struct byte_sink *sink, const void *bytes, size_t size, struct cancel *cancel,
                      struct error *err)
{
    struct staged_upload *upload = (struct staged_upload *)sink;
    struct upload_staging *staging = upload->staging;
    bool fails;

    (void)cancel;
    lock(staging);
    staging->held++;
    (void)pthread_cond_broadcast(&staging->changed);
    while (staging->is_holding)
        (void)pthread_cond_wait(&staging->changed, &staging->mutex);
    staging->held--;
    fails = staging->faults.fails_writes && upload->bytes.size + size > staging->faults.fail_at;
    if (!fails)
        octets_add(&upload->bytes, bytes, size);
    unlock(staging);
    return fails ? error_set(err, ERROR_NO_SPACE, "the fake disk is full") : 0;
}

static int fake_commit(struct byte_sink *sink, struct cancel *cancel, struct error *err)
{
    struct staged_upload *upload = (struct staged_upload *)sink;
    bool fails;

    (void)cancel;
    lock(upload->staging);
    fails = upload->staging->faults.fails_commit;
    upload->is_sealed = !fails;
    upload->info.state = UPLOAD_SEALED;
    unlock(upload->staging);
    return fails ? error_set(err, ERROR_NO_SPACE, "the fake disk is full") : 0;
}

static void fake_abort(struct byte_sink *sink)
{
    (void)sink;
}

/* --- writing --- */

int staged_upload_new(struct upload_staging *staging, const char *id, struct staged_upload **ret,
                      struct error *err)
{
    static const struct byte_sink_ops ops = {
        .write = fake_write, .commit = fake_commit, .abort = fake_abort, .free = fake_abort};
    struct staged_upload **place;
    int result = 0;

    lock(staging);
    place = place_of(staging, id);
    if (*place != NULL) {
        result = error_set(err, (*place)->is_sealed ? ERROR_EXISTS : ERROR_BUSY, "staged already");
    } else if (staging->faults.fails_begin) {
        result = error_set(err, ERROR_NO_SPACE, "the fake disk is full");
    } else {
        *place = calloc(1, sizeof **place);
        if (*place == NULL)
            abort();
        (*place)->sink.ops = &ops;
        (*place)->staging = staging;
        (void)snprintf((*place)->info.image_id, sizeof(*place)->info.image_id, "%s", id);
        staging->begun++;
        *ret = *place;
    }
    unlock(staging);
    return result;
}

struct byte_sink *staged_upload_sink(struct staged_upload *upload)
{
    return &upload->sink;
}

int staged_upload_set_property(struct staged_upload *upload, const char *name, const char *value,
                               struct error *err)
{
    struct fake_property *property = &upload->properties[upload->property_count];

    if (upload->property_count == PROPERTIES)
        return error_set(err, ERROR_TOO_LARGE, "too many properties for the fake");
    (void)snprintf(property->name, sizeof property->name, "%s", name);
    (void)snprintf(property->value, sizeof property->value, "%s", value);
    upload->property_count++;
    return 0;
}

void staged_upload_set_plaintext_size(struct staged_upload *upload, uint64_t bytes)
{
    upload->info.plaintext_bytes = bytes;
}

void staged_upload_free(struct staged_upload *upload)
{
    struct upload_staging *staging;

    if (upload == NULL)
        return;
    staging = upload->staging;
    byte_sink_free(&upload->sink);
    lock(staging);
    if (!upload->is_sealed) {
        *place_of(staging, upload->info.image_id) = NULL;
        free_upload(upload);
    }
    unlock(staging);
}

/* --- sealed uploads --- */

int upload_staging_query(struct upload_staging *staging, const char *id, struct upload_info *ret,
                         struct error *err)
{
    const struct staged_upload *upload;

    lock(staging);
    upload = *place_of(staging, id);
    if (upload != NULL && !upload->is_sealed)
        upload = NULL;
    if (upload != NULL)
        *ret = upload->info;
    unlock(staging);
    return upload != NULL ? 0 : error_set(err, ERROR_NOT_FOUND, "nothing is sealed");
}

int upload_staging_list(struct upload_staging *staging, struct upload_info **ret, size_t *ret_count,
                        struct error *err)
{
    struct upload_info *infos = calloc(UPLOADS, sizeof *infos);
    size_t count = 0;

    if (infos == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    lock(staging);
    for (size_t i = 0; i < UPLOADS; i++)
        if (staging->uploads[i] != NULL && staging->uploads[i]->is_sealed)
            infos[count++] = staging->uploads[i]->info;
    unlock(staging);
    *ret = infos;
    *ret_count = count;
    return 0;
}

/* --- for tests --- */

void fake_staging_misbehave(struct upload_staging *staging,
                            const struct fake_staging_faults *faults)
{
    lock(staging);
    staging->faults = *faults;
    unlock(staging);
}

static void set_holding(struct upload_staging *staging, bool is_holding)
{
    lock(staging);
    staging->is_holding = is_holding;
    unlock(staging);
}

void fake_staging_hold(struct upload_staging *staging)
{
    set_holding(staging, true);
}

void fake_staging_let_go(struct upload_staging *staging)
{
    set_holding(staging, false);
}

void fake_staging_wait_held(struct upload_staging *staging)
{
    lock(staging);
    while (staging->held == 0)
        (void)pthread_cond_wait(&staging->changed, &staging->mutex);
    unlock(staging);
}

bool fake_staging_wait_sealed(struct upload_staging *staging, const char *id)
{
    struct timespec deadline;
    bool is_sealed = false;
    int result = 0;

    (void)clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += WAIT_SECONDS;
    lock(staging);
    while (result == 0) {
        const struct staged_upload *upload = *place_of(staging, id);

        is_sealed = upload != NULL && upload->is_sealed;
        if (is_sealed)
            break;
        result = pthread_cond_timedwait(&staging->changed, &staging->mutex, &deadline);
    }
    unlock(staging);
    return is_sealed;
}

const uint8_t *fake_staging_bytes(struct upload_staging *staging, const char *id, size_t *ret_size)
{
    const struct staged_upload *upload;

    lock(staging);
    upload = *place_of(staging, id);
    unlock(staging);
    *ret_size = upload != NULL ? upload->bytes.size : 0;
    return upload != NULL ? upload->bytes.data : NULL;
}

bool fake_staging_is_sealed(struct upload_staging *staging, const char *id)
{
    struct upload_info info;
    struct error err = ERROR_INIT;

    return upload_staging_query(staging, id, &info, &err) == 0;
}

const char *fake_staging_property(struct upload_staging *staging, const char *id, const char *name)
{
    const struct staged_upload *upload;
    const char *value = NULL;

    lock(staging);
    upload = *place_of(staging, id);
    for (size_t i = 0; upload != NULL && i < upload->property_count; i++)
        if (strcmp(upload->properties[i].name, name) == 0)
            value = upload->properties[i].value;
    unlock(staging);
    return value;
}

void fake_staging_set_state(struct upload_staging *staging, const char *id, enum upload_state state,
                            const char *error)
{
    struct staged_upload *upload;

    lock(staging);
    upload = *place_of(staging, id);
    if (upload == NULL)
        abort();
    upload->info.state = state;
    (void)snprintf(upload->info.error, sizeof upload->info.error, "%s", error);
    unlock(staging);
}

unsigned fake_staging_begun(struct upload_staging *staging)
{
    unsigned begun;

    lock(staging);
    begun = staging->begun;
    unlock(staging);
    return begun;
}

unsigned fake_staging_unsealed(struct upload_staging *staging)
{
    unsigned count = 0;

    lock(staging);
    for (size_t i = 0; i < UPLOADS; i++)
        count += staging->uploads[i] != NULL && !staging->uploads[i]->is_sealed;
    unlock(staging);
    return count;
}
