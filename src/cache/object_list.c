/* SPDX-License-Identifier: Apache-2.0 */
/* What is in a cache: the listing, and what the daemon makes of it when it starts. */
#include "cache/cache_directory.h"
#include "cache/object_directory.h"
#include "cache/object_store.h"
#include "cache/wall_clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Objects of the first allocation. */
#define FIRST_CAPACITY 64

/* Bytes of a block that stat(2) counts. */
#define STAT_BLOCK_BYTES 512

void stored_object_list_free(struct stored_object_list *list)
{
    if (list == NULL)
        return;
    free(list->objects);
    free(list);
}

/* --- one object --- */

static uint64_t disk_bytes_of(const struct stat *status)
{
    return (uint64_t)status->st_blocks * STAT_BLOCK_BYTES;
}

/* Nothing in *ret when `name` of the directory `entry` is no regular file; false when that cannot be told.
 * The one is looked at through the other's name: a link in the middle would be followed, but only to be
 * counted wrongly. */
static bool look_at_file(int place_fd, const char *entry, const char *name, struct stat *ret)
{
    char path[CACHE_OBJECT_NAME_BYTES + sizeof "/" OBJECT_METADATA];
    struct stat status;

    *ret = (struct stat){0};
    if ((size_t)snprintf(path, sizeof path, "%s/%s", entry, name) >= sizeof path)
        return false;
    if (fstatat(place_fd, path, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT || errno == ENOTDIR;
    if (S_ISREG(status.st_mode))
        *ret = status;
    return true;
}

/* Up to where a download may grow. */
static uint64_t promised_bytes(const struct cache_layout *layout, const char *name)
{
    struct object_metadata metadata;
    struct error ignored = ERROR_INIT;
    struct stat reserve;

    if (object_store_read_metadata(layout, CACHE_PLACE_PARTIAL, name, &metadata, &ignored) < 0)
        return 0;
    if (metadata.size != OBJECT_SIZE_UNKNOWN)
        return metadata.size;
    (void)look_at_file(layout->place_fds[CACHE_PLACE_PARTIAL], name, OBJECT_RESERVE, &reserve);
    return (uint64_t)reserve.st_size;
}

/* What a download may still take without anybody else's knowing. */
static uint64_t unallocated_bytes(const struct cache_layout *layout, const char *name,
                                  uint64_t allocated_bytes)
{
    const uint64_t promised = promised_bytes(layout, name);

    return promised > allocated_bytes ? promised - allocated_bytes : 0;
}

/* False when it is gone meanwhile, or cannot be looked at. */
static bool look_at_object(const struct cache_layout *layout, enum cache_place place,
                           const char *name, struct stored_object *ret)
{
    const int place_fd = layout->place_fds[place];
    struct stat itself;
    struct stat data;
    struct stat metadata;

    if (fstatat(place_fd, name, &itself, AT_SYMLINK_NOFOLLOW) < 0)
        return false;
    *ret = (struct stored_object){.place = place, .disk_bytes = disk_bytes_of(&itself)};
    ret->last_used_ns = wall_clock_from_file(&itself.st_mtim);
    if ((size_t)snprintf(ret->name, sizeof ret->name, "%s", name) >= sizeof ret->name)
        return false;
    if (!S_ISDIR(itself.st_mode))
        return true;
    if (!look_at_file(place_fd, name, OBJECT_DATA, &data) ||
        !look_at_file(place_fd, name, OBJECT_METADATA, &metadata))
        return false;
    ret->data_bytes = (uint64_t)data.st_size;
    ret->disk_bytes += disk_bytes_of(&data) + disk_bytes_of(&metadata);
    if (S_ISREG(metadata.st_mode)) {
        ret->last_used_ns = wall_clock_from_file(&metadata.st_mtim);
        if (place == CACHE_PLACE_PARTIAL)
            ret->unallocated_bytes = unallocated_bytes(layout, name, disk_bytes_of(&data));
    }
    ret->disk_bytes += ret->unallocated_bytes;
    /* Its metadata are as old as its beginning, which may be days. */
    if (place == CACHE_PLACE_PARTIAL && wall_clock_from_file(&data.st_mtim) > ret->last_used_ns)
        ret->last_used_ns = wall_clock_from_file(&data.st_mtim);
    return true;
}

/* --- all of them --- */

struct listing {
    struct stored_object_list *list;
    size_t capacity;
    void (*unknown)(void *context, enum cache_place place, const char *name);
    void *context;
};

static int append(struct listing *listing, const struct stored_object *object, struct error *err)
{
    struct stored_object_list *list = listing->list;

    if (list->count == listing->capacity) {
        const size_t capacity = listing->capacity == 0 ? FIRST_CAPACITY : 2 * listing->capacity;
        struct stored_object *objects = reallocarray(list->objects, capacity, sizeof *objects);

        if (objects == NULL)
            return error_set(err, ERROR_EXHAUSTED, "out of memory");
        list->objects = objects;
        listing->capacity = capacity;
    }
    list->objects[list->count++] = *object;
    return 0;
}

static int list_place(const struct cache_layout *layout, enum cache_place place,
                      struct listing *listing, struct error *err)
{
    CLEANUP(closedir) DIR *directory = cache_directory_stream(layout->place_fds[place]);
    const struct dirent *entry;

    if (directory == NULL)
        return error_set_errno(err, errno, "cache: list %s", cache_place_name(place));
    while ((entry = readdir(directory)) != NULL) {
        struct stored_object object;

        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (!object_name_is_valid(entry->d_name)) {
            listing->list->unknown++;
            if (listing->unknown != NULL)
                listing->unknown(listing->context, place, entry->d_name);
        } else if (look_at_object(layout, place, entry->d_name, &object) &&
                   append(listing, &object, err) < 0) {
            return -1;
        }
    }
    return 0;
}

/* In the order in which objects go from place to place: so without CACHE/lock one that moves meanwhile
 * may be told of twice, but is not missed. */
int object_store_list(const struct cache_layout *layout,
                      void (*unknown)(void *context, enum cache_place place, const char *name),
                      void *context, struct stored_object_list **ret, struct error *err)
{
    static const enum cache_place order[] = {CACHE_PLACE_PARTIAL, CACHE_PLACE_OBJECTS,
                                             CACHE_PLACE_QUARANTINE};
    CLEANUP(stored_object_list_free) struct stored_object_list *list = calloc(1, sizeof *list);
    struct listing listing = {.list = list, .unknown = unknown, .context = context};

    if (list == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++)
        if (list_place(layout, order[i], &listing, err) < 0)
            return -1;
    *ret = steal(&list);
    return 0;
}

/* --- the daemon's start --- */

static bool is_damage(const struct error *err)
{
    return err->kind == ERROR_CORRUPT || err->kind == ERROR_UNSUPPORTED ||
           err->kind == ERROR_NOT_FOUND;
}

static void __attribute__((format(printf, 2, 3)))
tell(const struct tidy_listener *listener, const char *format, ...)
{
    char text[ERROR_MESSAGE_BYTES + CACHE_OBJECT_NAME_BYTES];
    va_list arguments;

    if (listener->notice == NULL)
        return;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    listener->notice(listener->context, text);
}

static void tidy_object(const struct cache_layout *layout, const struct stored_object *object,
                        const struct tidy_listener *listener)
{
    struct object_metadata metadata = {0};
    struct error err = ERROR_INIT;

    if (object_store_read_metadata(layout, object->place, object->name, &metadata, &err) < 0 &&
        !is_damage(&err))
        return;
    if (!error_is_set(&err) && metadata.fetched_at != 0 && metadata.size == object->data_bytes)
        return;
    tell(listener, "cache: objects/%s is set aside: %s", object->name,
         error_is_set(&err) ? err.message : "it is not complete");
    (void)object_store_quarantine_damaged(layout, object->name, NULL, &err);
}

/* What somebody has in hand, or what a system call did not tell, is left alone. */
static void tidy_partial(const struct cache_layout *layout, const struct stored_object *object)
{
    CLEANUP(fd_close) int lock = -1;
    struct object_metadata metadata = {0};
    struct error err = ERROR_INIT;

    if (object_store_read_metadata(layout, object->place, object->name, &metadata, &err) < 0 &&
        !is_damage(&err))
        return;
    if (!error_is_set(&err) && object_metadata_can_prove(&metadata))
        return;
    if (cache_layout_lock(layout, NULL, &lock, &err) == 0)
        (void)object_store_discard(layout, object->place, object->name, &err);
}

static void report_unknown(void *context, enum cache_place place, const char *name)
{
    tell(context, "cache: %s/%s is none of ours and left alone", cache_place_name(place), name);
}

int object_store_tidy(const struct cache_layout *layout, struct tidy_listener listener,
                      struct error *err)
{
    CLEANUP(stored_object_list_free) struct stored_object_list *list = NULL;

    if (object_store_list(layout, report_unknown, &listener, &list, err) < 0)
        return -1;
    for (size_t i = 0; i < list->count; i++) {
        if (list->objects[i].place == CACHE_PLACE_OBJECTS)
            tidy_object(layout, &list->objects[i], &listener);
        if (list->objects[i].place == CACHE_PLACE_PARTIAL)
            tidy_partial(layout, &list->objects[i]);
    }
    object_store_empty_trash(layout);
    return 0;
}
