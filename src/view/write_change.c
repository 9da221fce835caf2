/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of files by name: truncate, rename, remove. */
#include "view/write_context.h"

#include "base/clock.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

int write_index_truncate(struct write_index *index, const char *name, uint64_t size,
                         struct cancel *cancel, struct error *err)
{
    CLEANUP(write_stream_close) struct write_stream *stream = NULL;

    if (write_index_open(index, name, O_WRONLY, cancel, &stream, err) < 0)
        return -1;
    return write_stream_truncate(stream, size, cancel, err);
}

/* --- rename --- */

/* Whether the two names are a staging and its image. */
static int check_names(const char *from, const char *to, struct error *err)
{
    struct write_name source;
    struct write_name target;

    if (!write_name_parse(from, &source))
        return error_set(err, ERROR_NOT_FOUND, "no name of an image");
    if (!write_name_parse(to, &target) || target.kind != WRITE_NAME_IMAGE ||
        source.kind == WRITE_NAME_IMAGE || strcmp(source.image_id, target.image_id) != 0)
        return error_set(err, ERROR_DENIED,
                         "a file can be renamed only to the id of the image it is written for");
    return 0;
}

static bool is_image_hidden(const struct write_staging *staging)
{
    struct monitor *monitor = &staging->set->monitor;
    bool result;

    monitor_lock(monitor);
    result = write_staging_hides_image(staging);
    monitor_unlock(monitor);
    return result;
}

int write_index_rename(struct write_index *index, const char *from, const char *to, unsigned flags,
                       struct cancel *cancel, struct error *err)
{
    CLEANUP(write_staging_unref) struct write_staging *staging = NULL;

    if ((flags & ~(unsigned)RENAME_NOREPLACE) != 0)
        return error_set(err, ERROR_INVALID, "rename flags %#x", flags);
    if (check_names(from, to, err) < 0)
        return -1;
    staging = write_index_find_file(index, from);
    if (staging == NULL)
        return error_set(err, ERROR_NOT_FOUND, "no such file is being written");
    if ((flags & RENAME_NOREPLACE) != 0 && !is_image_hidden(staging))
        return error_set(err, ERROR_EXISTS, "%s exists, and is empty until this replaces it", to);
    return write_staging_seal(staging, NULL, cancel, err);
}

/* --- remove --- */

/* The image behind a removed name is still queued; tools that removed it to create it anew must not
 * see it for a moment, and what was declared about it still holds. */
static void remember_removed(struct write_index *index, const struct write_name *parsed,
                             bool is_declared, uint64_t declared_size)
{
    struct monitor *monitor = &index->stagings->monitor;
    const bool is_image = parsed->kind == WRITE_NAME_IMAGE;
    struct write_staging *staging;

    if (!is_image && !is_declared)
        return;
    monitor_lock(monitor);
    staging = write_stagings_find_or_add(index->stagings, parsed->image_id);
    if (staging != NULL && is_image)
        staging->hidden_until_ns =
            clock_monotonic_ns() + WRITE_HIDDEN_SECONDS * NANOSECONDS_PER_SECOND;
    if (staging != NULL && is_declared && staging->phase == STAGING_IDLE) {
        staging->size_is_declared_by_xattr = true;
        staging->declared_size = declared_size;
    }
    monitor_unlock(monitor);
}

static int remove_staging(struct write_staging *staging, struct cancel *cancel, struct error *err)
{
    struct monitor *monitor = &staging->set->monitor;
    bool is_removable;

    if (write_staging_take_turn(staging, cancel, err) < 0)
        return -1;
    monitor_lock(monitor);
    is_removable = staging->phase == STAGING_OPEN || staging->phase == STAGING_POISONED;
    if (is_removable)
        staging->phase = STAGING_REMOVED;
    monitor_unlock(monitor);
    if (is_removable) {
        write_staging_finish_removal(staging);
        return 0;
    }
    write_staging_end_turn(staging);
    return error_set(err, ERROR_BUSY, "is just being sealed or removed");
}

/* Nothing is staged under the name. */
static int remove_unstaged(struct write_index *index, const struct write_name *parsed,
                           struct error *err)
{
    struct write_attributes upload;
    struct upload_info info;

    if (parsed->kind != WRITE_NAME_IMAGE)
        return error_set(err, ERROR_NOT_FOUND, "no such file is being written");
    if (write_index_find_upload(index, parsed->image_id, &upload, &info))
        return error_set(err, ERROR_BUSY, "is %s; only `glancefs uploads drop` removes it",
                         write_state_name(upload.state));
    remember_removed(index, parsed, false, 0);
    return 0;
}

int write_index_remove(struct write_index *index, const char *name, struct cancel *cancel,
                       struct error *err)
{
    CLEANUP(write_staging_unref) struct write_staging *staging = NULL;
    struct monitor *monitor = &index->stagings->monitor;
    struct write_name parsed;
    bool is_declared;
    uint64_t declared_size;

    if (!write_name_parse(name, &parsed))
        return error_set(err, ERROR_NOT_FOUND, "no name of an image");
    staging = write_index_find_file(index, name);
    if (staging == NULL)
        return remove_unstaged(index, &parsed, err);
    if (remove_staging(staging, cancel, err) < 0)
        return -1;
    monitor_lock(monitor);
    is_declared = staging->size_is_declared_by_xattr;
    declared_size = staging->declared_size;
    monitor_unlock(monitor);
    remember_removed(index, &parsed, is_declared, declared_size);
    return 0;
}
