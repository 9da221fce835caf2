/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a file to write or read it. */
#include "view/write_context.h"

#include "base/clock.h"
#include "glancefs/byte_source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* An open for writing under way. */
struct opening {
    struct write_index *index;
    const char *name;
    struct write_name parsed;
    int flags;
    struct write_staging *staging; /* once claimed: with a reference, a handle and the writer */
    bool is_first;                 /* of the staging; has the turn from the claim on */
    bool starts_anew;              /* what was staged before is given up */
    bool needs_new_name;           /* O_EXCL, while the queued image is seen under the name */
    char old_name[WRITE_NAME_BYTES];
};

static bool wants_to_write(int flags)
{
    return (flags & O_ACCMODE) != O_RDONLY || (flags & (O_TRUNC | O_CREAT)) != 0;
}

/* --- claiming the staging; locked --- */

static int check_name(const struct opening *opening, const struct write_staging *staging,
                      struct error *err)
{
    if (strcmp(staging->name, opening->name) == 0)
        return (opening->flags & O_EXCL) != 0 ? error_set(err, ERROR_EXISTS, "exists already") : 0;
    /* A poisoned file that was left behind must not block another attempt. */
    if (staging->phase == STAGING_POISONED && staging->handles == 0 &&
        (opening->flags & O_CREAT) != 0)
        return 0;
    return error_set(err, ERROR_BUSY, "the image is being written as %s: seal or remove that",
                     staging->name);
}

/* Whether a staging that exists can be opened under the name and flags. */
static int check_claim(struct opening *opening, const struct write_staging *staging,
                       struct error *err)
{
    if (staging->has_writer)
        return error_set(err, ERROR_BUSY, "is already being written");
    if (staging->phase != STAGING_OPEN && staging->phase != STAGING_POISONED)
        return error_set(err, ERROR_BUSY, "is just being opened, sealed or removed");
    if (check_name(opening, staging, err) < 0)
        return -1;
    opening->starts_anew =
        (opening->flags & O_TRUNC) != 0 || strcmp(staging->name, opening->name) != 0;
    return opening->starts_anew ? 0 : write_staging_check(staging, err);
}

static int claim_locked(struct opening *opening, struct error *err)
{
    struct write_stagings *set = opening->index->stagings;
    struct write_staging *staging = write_stagings_find(set, opening->parsed.image_id);

    if (staging != NULL && write_staging_has_file(staging)) {
        if (check_claim(opening, staging, err) < 0)
            return -1;
    } else {
        if (opening->parsed.kind != WRITE_NAME_IMAGE && (opening->flags & O_CREAT) == 0)
            return error_set(err, ERROR_NOT_FOUND, "no such file is being written");
        staging = write_stagings_find_or_add(set, opening->parsed.image_id);
        if (staging == NULL)
            return error_set(err, ERROR_EXHAUSTED, "out of memory");
        opening->is_first = true;
        opening->needs_new_name = opening->parsed.kind == WRITE_NAME_IMAGE &&
                                  (opening->flags & O_EXCL) != 0 &&
                                  !write_staging_hides_image(staging);
        staging->phase = STAGING_OPENING;
        staging->is_busy = true;
        staging->changed_at = time(NULL);
    }
    (void)snprintf(opening->old_name, sizeof opening->old_name, "%s", staging->name);
    (void)snprintf(staging->name, sizeof staging->name, "%s", opening->name);
    staging->has_writer = true;
    staging->seals_at_last_close = false;
    staging->handles++;
    opening->staging = write_staging_ref(staging);
    return 0;
}

static int claim(struct opening *opening, struct error *err)
{
    struct monitor *monitor = &opening->index->stagings->monitor;
    int result;

    monitor_lock(monitor);
    result = claim_locked(opening, err);
    monitor_unlock(monitor);
    return result;
}

/* The open failed: everything is as before it. */
static void give_up_claim(struct opening *opening)
{
    struct write_staging *staging = opening->staging;
    struct monitor *monitor = &opening->index->stagings->monitor;

    monitor_lock(monitor);
    staging->has_writer = false;
    staging->handles--;
    staging->idle_since_ns = clock_monotonic_ns();
    (void)snprintf(staging->name, sizeof staging->name, "%s", opening->old_name);
    if (opening->is_first) {
        staging->phase = STAGING_IDLE;
        if (!staging->size_is_declared_by_xattr && !write_staging_hides_image(staging))
            write_staging_unlist(staging);
        staging->is_busy = false;
        monitor_changed(monitor);
    }
    monitor_unlock(monitor);
    write_staging_unref(staging);
}

/* --- the content; with the turn --- */

/* A size by xattr counts like one of the record, which it does not contradict. */
static uint64_t declared_size(const struct opening *opening, const struct write_target *target)
{
    return opening->staging->size_is_declared_by_xattr ? opening->staging->declared_size
                                                       : target->declared_size;
}

/* Closing such a file would have to mean "done", which close(2) cannot. */
static int refuse_undeclared(const struct opening *opening, uint64_t declared, struct error *err)
{
    if (opening->parsed.kind != WRITE_NAME_IMAGE || declared != BYTE_SOURCE_SIZE_UNKNOWN ||
        opening->index->parts.config->commit == COMMIT_CLOSE)
        return 0;
    (void)error_set(err, ERROR_INVALID,
                    "its size is not declared, so its end could not be told: write %s.part and "
                    "rename it, or set xattr user.glancefs.size first, or mount with commit=close",
                    opening->parsed.image_id);
    err->errnum = EDESTADDRREQ;
    return -1;
}

static int refuse_sealed(const struct opening *opening, struct error *err)
{
    struct write_attributes upload;
    struct upload_info info;

    if (!write_index_find_upload(opening->index, opening->parsed.image_id, &upload, &info) ||
        upload.state == WRITE_ACTIVE)
        return 0;
    return error_set(err, ERROR_EXISTS, "was already written and is %s (glancefs uploads)",
                     write_state_name(upload.state));
}

static int new_content(const struct opening *opening, const struct write_target *target,
                       uint64_t declared, struct cancel *cancel, struct write_content **ret,
                       struct error *err)
{
    const struct write_index_parts *parts = &opening->index->parts;
    CLEANUP(secure_buffer_free) struct secure_buffer *passphrase = NULL;
    const struct write_content_parts content = {.staging = parts->staging,
                                                .arena = parts->arena,
                                                .codec = target->codec,
                                                .image_id = opening->parsed.image_id,
                                                .key_id = target->key_id,
                                                .window_bytes = parts->config->write_window_bytes,
                                                .declared_size = declared,
                                                .sets_container_format =
                                                    !target->names_container_format,
                                                .encryption = &opening->index->encryption};

    if (key_manager_get_passphrase(parts->cloud->keys, parts->arena, target->key_id,
                                   parts->config->key_encoding, cancel, &passphrase, err) < 0 ||
        cancel_check(cancel, err) < 0 || write_content_new(&content, passphrase, ret, err) < 0)
        return -1;
    passphrase = NULL; /* the content's now */
    return 0;
}

/* The content is good: the file is open. */
static void publish(const struct opening *opening, struct write_content *content, uint64_t declared)
{
    struct write_staging *staging = opening->staging;
    struct monitor *monitor = &opening->index->stagings->monitor;

    monitor_lock(monitor);
    staging->content = content;
    staging->phase = STAGING_OPEN;
    staging->declared_size = declared;
    staging->size = write_content_size(content);
    staging->changed_at = time(NULL);
    staging->hidden_until_ns = 0;
    monitor_unlock(monitor);
}

static int begin(const struct opening *opening, const struct write_target *target,
                 struct cancel *cancel, struct error *err)
{
    const uint64_t declared = declared_size(opening, target);
    struct write_content *content;

    if (refuse_sealed(opening, err) < 0 || refuse_undeclared(opening, declared, err) < 0 ||
        new_content(opening, target, declared, cancel, &content, err) < 0)
        return -1;
    monitor_lock(&opening->index->stagings->monitor);
    (void)snprintf(opening->staging->key_id, sizeof opening->staging->key_id, "%s", target->key_id);
    monitor_unlock(&opening->index->stagings->monitor);
    publish(opening, content, declared);
    return 0;
}

static int start_anew(const struct opening *opening, struct error *err)
{
    struct write_staging *staging = opening->staging;
    struct monitor *monitor = &opening->index->stagings->monitor;

    if (write_content_truncate(staging->content, 0, err) < 0) {
        monitor_lock(monitor);
        write_staging_poison(staging, err);
        monitor_unlock(monitor);
        return -1;
    }
    publish(opening, staging->content, staging->declared_size);
    return 0;
}

/* A further open of a staging, which may have been poisoned or removed meanwhile. */
static int go_on(const struct opening *opening, const struct write_target *target,
                 struct cancel *cancel, struct error *err)
{
    const struct write_staging *staging = opening->staging;
    struct monitor *monitor = &opening->index->stagings->monitor;
    enum staging_phase phase;
    int result;

    monitor_lock(monitor);
    phase = staging->phase;
    result = write_staging_check(staging, err);
    monitor_unlock(monitor);
    if (phase == STAGING_POISONED && opening->starts_anew)
        return begin(opening, target, cancel, err);
    if (result < 0 || !opening->starts_anew)
        return result;
    return start_anew(opening, err);
}

static int open_claimed(const struct opening *opening, struct cancel *cancel, struct error *err)
{
    struct write_target target;
    int result;

    if (write_index_fetch_target(opening->index, opening->parsed.image_id, cancel, &target, err) <
        0)
        return -1;
    if (opening->needs_new_name)
        return error_set(err, ERROR_EXISTS, "exists already");
    if (opening->is_first)
        return begin(opening, &target, cancel, err);
    if (write_staging_take_turn(opening->staging, cancel, err) < 0)
        return -1;
    result = go_on(opening, &target, cancel, err);
    write_staging_end_turn(opening->staging);
    return result;
}

/* --- streams --- */

static struct write_stream *new_stream(struct write_index *index, struct error *err)
{
    struct write_stream *stream = calloc(1, sizeof *stream);

    if (stream == NULL)
        (void)error_set(err, ERROR_EXHAUSTED, "out of memory");
    else
        stream->index = index;
    return stream;
}

static int open_writer(struct opening *opening, struct cancel *cancel, struct write_stream *stream,
                       struct error *err)
{
    if (claim(opening, err) < 0)
        return -1;
    if (open_claimed(opening, cancel, err) < 0) {
        give_up_claim(opening);
        return -1;
    }
    if (opening->is_first)
        write_staging_end_turn(opening->staging);
    stream->staging = opening->staging;
    stream->is_writer = true;
    return 0;
}

/* A reader has what is staged under the name now, or the placeholder. */
static int open_reader(const struct opening *opening, struct cancel *cancel,
                       struct write_stream *stream, struct error *err)
{
    struct monitor *monitor = &opening->index->stagings->monitor;

    stream->staging = write_index_find_file(opening->index, opening->name);
    if (stream->staging == NULL)
        return write_index_lookup(opening->index, opening->name, cancel, &stream->attributes, err);
    monitor_lock(monitor);
    stream->staging->handles++;
    monitor_unlock(monitor);
    return 0;
}

/* With a place for it. */
static int open_file(struct write_index *index, const char *name, int flags, struct cancel *cancel,
                     struct write_stream **ret, struct error *err)
{
    CLEANUP(memory_free) struct write_stream *stream = NULL;
    struct opening opening = {.index = index, .name = name, .flags = flags};
    int result;

    if (!write_name_parse(name, &opening.parsed))
        return (flags & O_CREAT) != 0
                   ? error_set(err, ERROR_DENIED,
                               "only <image-id>, <image-id>.part and rsync's temporary names "
                               "can be created")
                   : error_set(err, ERROR_NOT_FOUND, "no name of an image");
    stream = new_stream(index, err);
    if (stream == NULL)
        return -1;
    result = wants_to_write(flags) ? open_writer(&opening, cancel, stream, err)
                                   : open_reader(&opening, cancel, stream, err);
    if (result == 0)
        *ret = steal(&stream);
    return result;
}

int write_index_open(struct write_index *index, const char *name, int flags, struct cancel *cancel,
                     struct write_stream **ret, struct error *err)
{
    if (stream_limit_take(index->parts.streams, err) < 0)
        return -1;
    if (open_file(index, name, flags, cancel, ret, err) == 0)
        return 0;
    stream_limit_give(index->parts.streams);
    return -1;
}
