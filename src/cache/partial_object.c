/* SPDX-License-Identifier: Apache-2.0 */
/* Downloads: from the directory in CACHE/partial to the object. Why the steps stand in this order is
 * said at the top of object_store.c. */
#include "base/clock.h"
#include "base/file_sink.h"
#include "cache/file_lock.h"
#include "cache/object_directory.h"
#include "cache/object_store.h"
#include "cache/wall_clock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

/* Turns at a name that somebody else took away; so many mean that he does nothing else. */
#define BEGIN_TURNS 64

/* How long one turn waits for whoever has the download in hand, before the name is looked at again. */
#define BEGIN_WAIT_NS (100 * NANOSECONDS_PER_MILLISECOND)

/* The locks that stand against a reader's are held for moments. */
#define READER_WAIT_NS NANOSECONDS_PER_SECOND

static int new_partial(const struct object_metadata *metadata, struct partial_object **ret,
                       struct error *err)
{
    struct partial_object *partial = calloc(1, sizeof *partial);

    if (partial == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    partial->dir_fd = -1;
    partial->data_fd = -1;
    object_metadata_name(metadata, partial->name);
    *ret = partial;
    return 0;
}

static void close_files(struct partial_object *partial)
{
    fd_close_cleanup(&partial->data_fd);
    fd_close_cleanup(&partial->dir_fd);
    partial->data_fd = -1;
    partial->dir_fd = -1;
}

void partial_object_free(struct partial_object *partial)
{
    if (partial == NULL)
        return;
    close_files(partial);
    free(partial);
}

static bool is_partial(const struct cache_layout *layout, const struct partial_object *partial)
{
    return object_directory_is_at(partial->dir_fd, layout, CACHE_PLACE_PARTIAL, partial->name);
}

/* --- taking it in hand --- */

/* What stands under our name, but is no directory with a file for data, is none of a download. */
static int clear_the_way(const struct cache_layout *layout, const char *name, struct cancel *cancel,
                         struct error *err)
{
    CLEANUP(fd_close) int lock = -1;

    if (cache_layout_lock(layout, cancel, &lock, err) < 0)
        return -1;
    if (object_store_discard(layout, CACHE_PLACE_PARTIAL, name, err) < 0 &&
        err->kind != ERROR_NOT_FOUND)
        return -1;
    (void)close(steal_fd(&lock));
    object_store_empty_trash(layout);
    return 0;
}

static int open_files(const struct cache_layout *layout, struct partial_object *partial,
                      struct error *err)
{
    const int place = layout->place_fds[CACHE_PLACE_PARTIAL];

    close_files(partial);
    if (mkdirat(place, partial->name, S_IRWXU) < 0 && errno != EEXIST)
        return error_set_errno(err, errno, "cache: make partial/%s", partial->name);
    if (object_directory_open(layout, CACHE_PLACE_PARTIAL, partial->name, &partial->dir_fd, err) <
        0)
        return -1;
    if (object_directory_open_data(partial->dir_fd, O_RDWR | O_CREAT, &partial->data_fd, err) == 0)
        return 0;
    /* Who makes room must not take an empty directory for some, and the next turn make it again. */
    if (err->kind == ERROR_NO_SPACE)
        (void)unlinkat(place, partial->name, AT_REMOVEDIR);
    return -1;
}

/* One turn; *ret_done is false when there has to be another one. */
static int try_to_take(const struct cache_layout *layout, struct partial_object *partial,
                       struct cancel *cancel, bool *ret_done, struct error *err)
{
    *ret_done = false;
    if (open_files(layout, partial, err) < 0) {
        if (err->kind == ERROR_CORRUPT)
            return clear_the_way(layout, partial->name, cancel, err);
        return err->kind == ERROR_NOT_FOUND ? 0 : -1;
    }
    if (file_lock_take(partial->data_fd, LOCK_EX, BEGIN_WAIT_NS, partial->name, cancel, err) < 0)
        return -1;
    *ret_done =
        is_partial(layout, partial) && object_directory_holds(partial->dir_fd, partial->data_fd);
    if (*ret_done)
        return 0;
    /* Taken for abandoned before we had the lock: our data may be what keeps it in the trash. */
    close_files(partial);
    object_store_empty_trash(layout);
    return 0;
}

static int check_not_complete(const struct cache_layout *layout,
                              const struct object_metadata *metadata, struct error *err)
{
    if (object_store_has(layout, metadata))
        return error_set(err, ERROR_EXISTS, "cache: image %s is complete", metadata->image_id);
    return 0;
}

/* What whoever has it in hand has downloaded by now. */
static void show_other(const struct partial_object *partial, _Atomic uint64_t *progress)
{
    struct stat status;

    if (progress != NULL && fstat(partial->data_fd, &status) == 0)
        atomic_store(progress, CACHE_PROGRESS_WAITS | (uint64_t)status.st_size);
}

/* Turns in which it is in use are not counted: a download may take hours. */
static int take_in_hand(const struct cache_layout *layout, const struct object_metadata *metadata,
                        struct partial_object *partial, _Atomic uint64_t *progress,
                        struct cancel *cancel, struct error *err)
{
    bool is_done;

    for (int turn = 0; turn < BEGIN_TURNS;) {
        if (cancel_check(cancel, err) < 0 || check_not_complete(layout, metadata, err) < 0)
            return -1;
        if (try_to_take(layout, partial, cancel, &is_done, err) == 0) {
            if (is_done)
                return 0;
            turn++;
        } else if (err->kind != ERROR_BUSY) {
            return -1;
        } else {
            show_other(partial, progress);
        }
    }
    return error_set(err, ERROR_BUSY, "cache: partial/%s is in use", partial->name);
}

/* --- what an earlier download left --- */

static int start_from_nothing(struct partial_object *partial, struct error *err)
{
    if (object_store_restart(partial, err) < 0)
        return -1;
    if (unlinkat(partial->dir_fd, OBJECT_METADATA, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno == EISDIR)
        return error_set(err, ERROR_CORRUPT, "cache: partial/%s: the metadata are no file",
                         partial->name);
    return error_set_errno(err, errno, "cache: partial/%s: remove the metadata", partial->name);
}

/* Whether what is there belongs to these metadata, and a hash will tell if it is right. */
static bool is_to_be_resumed(const struct object_metadata *found,
                             const struct object_metadata *wanted, uint64_t present)
{
    return object_metadata_is_same(found, wanted) && object_metadata_can_prove(found) &&
           (found->size == OBJECT_SIZE_UNKNOWN || present <= found->size);
}

static int look_what_is_there(struct partial_object *partial, const struct object_metadata *wanted,
                              struct error *err)
{
    struct object_metadata found;
    struct stat status;

    file_sink_remove_leftovers(partial->dir_fd);
    if (fstat(partial->data_fd, &status) < 0)
        return error_set_errno(err, errno, "cache: partial/%s", partial->name);
    if (object_directory_read_metadata(partial->dir_fd, partial->name, &found, err) < 0)
        return err->kind == ERROR_NOT_FOUND || err->kind == ERROR_CORRUPT ||
                       err->kind == ERROR_UNSUPPORTED
                   ? start_from_nothing(partial, err)
                   : -1;
    if (!is_to_be_resumed(&found, wanted, (uint64_t)status.st_size))
        return start_from_nothing(partial, err);
    partial->present = (uint64_t)status.st_size;
    partial->is_granted = true;
    return 0;
}

static int begin(const struct cache_layout *layout, const struct object_metadata *metadata,
                 struct partial_object *partial, _Atomic uint64_t *progress, struct cancel *cancel,
                 struct error *err)
{
    const int result = take_in_hand(layout, metadata, partial, progress, cancel, err);

    if (progress != NULL)
        atomic_store(progress, 0);
    if (result < 0)
        return -1;
    /* Completed by him we waited for: what we hold we have made ourselves. */
    if (check_not_complete(layout, metadata, err) < 0) {
        object_store_drop(layout, partial);
        return -1;
    }
    return look_what_is_there(partial, metadata, err);
}

int object_store_begin(const struct cache_layout *layout, const struct object_metadata *metadata,
                       _Atomic uint64_t *progress, struct cancel *cancel,
                       struct partial_object **ret, struct error *err)
{
    CLEANUP(partial_object_free) struct partial_object *partial = NULL;
    int result;

    if (new_partial(metadata, &partial, err) < 0)
        return -1;
    result = begin(layout, metadata, partial, progress, cancel, err);
    if (result < 0 && err->kind == ERROR_CORRUPT) {
        /* What is no file cannot be removed like one: the whole directory goes. */
        object_store_drop(layout, partial);
        *err = (struct error)ERROR_INIT;
        result = begin(layout, metadata, partial, progress, cancel, err);
    }
    if (result < 0)
        return -1;
    *ret = steal(&partial);
    return 0;
}

/* --- space --- */

static int write_metadata(const struct partial_object *partial,
                          const struct object_metadata *metadata, struct error *err)
{
    char text[OBJECT_METADATA_TEXT_BYTES];
    const size_t size = object_metadata_print(metadata, text);

    if (file_publish(partial->dir_fd, OBJECT_METADATA, S_IRUSR | S_IWUSR, text, size, err) < 0)
        return error_prefix(err, "cache: partial/%s", partial->name);
    return 0;
}

/* *ret_is_done is false where the filesystem cannot. */
static int allocate(const struct partial_object *partial, uint64_t offset, uint64_t size,
                    bool *ret_is_done, struct error *err)
{
    int result;

    *ret_is_done = true;
    if (size == OBJECT_SIZE_UNKNOWN || size == 0)
        return 0;
    if (size > INT64_MAX || offset > INT64_MAX - size)
        return error_set(err, ERROR_NO_SPACE, "cache: %" PRIu64 " bytes never fit", size);
    do
        result = fallocate(partial->data_fd, FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)size);
    while (result < 0 && errno == EINTR);
    *ret_is_done = result == 0;
    if (result < 0 && errno != EOPNOTSUPP && errno != ENOSYS)
        return error_set_errno(err, errno, "cache: reserve %" PRIu64 " bytes", size);
    return 0;
}

/* Says up to where the data will go in the size of an empty file, which takes no space. */
static int promise(const struct partial_object *partial, uint64_t end, struct error *err)
{
    CLEANUP(fd_close)
    int fd = openat(partial->dir_fd, OBJECT_RESERVE,
                    O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, S_IRUSR | S_IWUSR);

    if (fd < 0 || ftruncate(fd, (off_t)end) < 0)
        return error_set_errno(err, errno, "cache: partial/%s: " OBJECT_RESERVE, partial->name);
    return 0;
}

static void withdraw_promise(const struct partial_object *partial)
{
    (void)unlinkat(partial->dir_fd, OBJECT_RESERVE, 0);
}

int object_store_extend(struct partial_object *partial, uint64_t offset, uint64_t size,
                        struct error *err)
{
    bool is_allocated;

    if (allocate(partial, offset, size, &is_allocated, err) < 0)
        return -1;
    return is_allocated ? 0 : promise(partial, offset + size, err);
}

void object_store_trim(struct partial_object *partial)
{
    struct stat status;

    withdraw_promise(partial);
    if (fstat(partial->data_fd, &status) == 0 && ftruncate(partial->data_fd, status.st_size) < 0)
        return; /* It was allocated, and stays so until the download goes on or goes. */
}

/* And says no longer that more will come. */
static void take_back_grant(struct partial_object *partial)
{
    (void)unlinkat(partial->dir_fd, OBJECT_METADATA, 0);
    object_store_trim(partial);
}

int object_store_grant(struct partial_object *partial, const struct object_metadata *metadata,
                       struct error *err)
{
    struct object_metadata unfinished = *metadata;
    bool ignored; /* Where nothing can be allocated, the metadata reserve it. */

    unfinished.fetched_at = 0;
    if (write_metadata(partial, &unfinished, err) < 0 ||
        allocate(partial, 0, metadata->size, &ignored, err) < 0) {
        if (!partial->is_granted)
            take_back_grant(partial);
        return -1;
    }
    partial->is_granted = true;
    return 0;
}

int object_store_restart(struct partial_object *partial, struct error *err)
{
    if (ftruncate(partial->data_fd, 0) < 0)
        return error_set_errno(err, errno, "cache: partial/%s: empty it", partial->name);
    withdraw_promise(partial);
    partial->present = 0;
    return 0;
}

/* --- the end --- */

/* Pages that could not be written may read well as long as they are in memory. */
static int sync_data(struct partial_object *partial, uint64_t size, struct error *err)
{
    struct error ignored = ERROR_INIT;

    if (fdatasync(partial->data_fd) == 0)
        return 0;
    (void)error_set_errno(err, errno, "cache: partial/%s: fdatasync", partial->name);
    partial->lost = size;
    (void)object_store_restart(partial, &ignored);
    return -1;
}

static int complete_metadata(const struct partial_object *partial,
                             const struct object_metadata *metadata, int64_t now_ns,
                             struct object_metadata *ret, struct error *err)
{
    const int64_t seconds = wall_clock_seconds(now_ns);
    struct stat status;

    if (fstat(partial->data_fd, &status) < 0)
        return error_set_errno(err, errno, "cache: partial/%s", partial->name);
    *ret = *metadata;
    ret->size = (uint64_t)status.st_size;
    /* 0 stands for "not complete"; no clock that is right says so. */
    ret->fetched_at = seconds > 0 ? seconds : 1;
    if (metadata->size != OBJECT_SIZE_UNKNOWN && metadata->size != ret->size)
        return error_set(err, ERROR_CORRUPT,
                         "cache: partial/%s has %" PRIu64 " bytes, not the %" PRIu64
                         " of the image",
                         partial->name, ret->size, metadata->size);
    return 0;
}

/* Under CACHE/lock. What is there under the name is none of these bytes, which are proven. */
static int move_to_objects(const struct cache_layout *layout, const struct partial_object *partial,
                           struct error *err)
{
    const char *name = partial->name;

    if (!is_partial(layout, partial))
        return error_set(err, ERROR_NOT_FOUND, "cache: somebody removed partial/%s", name);
    if (object_directory_discard(layout, CACHE_PLACE_OBJECTS, name, err) < 0 &&
        err->kind != ERROR_NOT_FOUND)
        return -1;
    if (renameat(layout->place_fds[CACHE_PLACE_PARTIAL], name,
                 layout->place_fds[CACHE_PLACE_OBJECTS], name) < 0)
        return error_set_errno(err, errno, "cache: publish %s", name);
    return 0;
}

static int sync_places(const struct cache_layout *layout, struct error *err)
{
    if (fsync(layout->place_fds[CACHE_PLACE_OBJECTS]) < 0 ||
        fsync(layout->place_fds[CACHE_PLACE_PARTIAL]) < 0)
        return error_set_errno(err, errno, "cache: fsync of objects and partial");
    return 0;
}

int object_store_publish(const struct cache_layout *layout, struct partial_object *partial,
                         const struct object_metadata *metadata, int64_t now_ns,
                         struct cancel *cancel, struct error *err)
{
    CLEANUP(fd_close) int lock = -1;
    struct object_metadata complete;
    struct error ignored = ERROR_INIT;
    int result;

    if (metadata->size == OBJECT_SIZE_UNKNOWN)
        withdraw_promise(partial);
    if (complete_metadata(partial, metadata, now_ns, &complete, err) < 0 ||
        sync_data(partial, complete.size, err) < 0 || write_metadata(partial, &complete, err) < 0)
        return -1;
    object_directory_touch(partial->dir_fd, now_ns);
    if (cache_layout_lock(layout, cancel, &lock, err) < 0 ||
        move_to_objects(layout, partial, err) < 0)
        return -1;
    partial->is_published = true;
    /* Still under CACHE/lock, which a remover needs: only who waits to begin can come between. */
    (void)file_lock_take(partial->data_fd, LOCK_SH, READER_WAIT_NS, partial->name, NULL, &ignored);
    result = sync_places(layout, err);
    (void)close(steal_fd(&lock));
    object_store_empty_trash(layout);
    return result;
}

/* Nobody but us may move what we hold: where it is it stays until we say so. */
void object_store_drop(const struct cache_layout *layout, struct partial_object *partial)
{
    CLEANUP(fd_close) int lock = -1;
    struct error ignored = ERROR_INIT;

    if (!is_partial(layout, partial))
        return;
    /* At the very least, nobody resumes it. */
    if (cache_layout_lock(layout, NULL, &lock, &ignored) < 0 ||
        object_directory_discard(layout, CACHE_PLACE_PARTIAL, partial->name, &ignored) < 0)
        (void)object_store_restart(partial, &ignored);
    fd_close_cleanup(&lock);
    lock = -1;
    object_store_empty_trash(layout);
}
