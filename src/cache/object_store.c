/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why no kill -9, no power cut and no failing system call makes a wrong object pass for a right one.
 *
 * An object is complete exactly while objects/<name> exists. Its life is this sequence; a kill between
 * any two lines leaves the state named there, and what happens then:
 *
 *     mkdir partial/<name>
 *                                     empty      begun anew, or discarded by the daemon's start
 *     create its data, lock them
 *                                     data       the same: without metadata nothing in it counts
 *     write and fsync meta.json       (object_store_grant; by a temporary name and a rename)
 *     fallocate
 *                                     data meta.json   a download that reserves its size; resumed
 *                                                when the record still says what meta.json says,
 *                                                else emptied
 *     write the data
 *                                     the same. What is there was not proven: who resumes reads and
 *                                                hashes all of it, and a power cut may have taken any
 *                                                of it. Where there is no hash it is not resumed
 *     (hash, observer: the bytes are right)
 *     fdatasync the data
 *                                     the same. When this fails the pages may be gone although they
 *                                                read well: the data are cut to nothing
 *     write and fsync meta.json anew, with size and time
 *                                     the same: it is the place that makes a download of it
 *     fsync of the directory          (by file_publish)
 *     rename partial/<name> to objects/<name>
 *                                     complete   in both files durable before this. A power cut may
 *                                                bring it back to partial: then it is resumed, and
 *                                                there is nothing left to download
 *     fsync objects, fsync partial
 *                                     complete and durable
 *     (read by whoever opens it)
 *     rename objects/<name> to trash/<any>
 *                                     gone. A power cut may bring it back as it was, for its data are
 *                                                removed later; where a filesystem does not keep
 *                                                that order, without data: set aside at the start
 *                                                or at the next open
 *     unlink its files, rmdir
 *                                     trash, which every start empties
 *
 * So one rename decides, and what it shows was durable before. Nothing that was here before a kill is
 * believed, either: name, metadata and size are compared at every open, and the bytes are hashed by
 * each daemon before it serves them (object_verifier.h).
 *
 * Who is where: data in use are locked (shared by readers, exclusively by the downloader), and only who
 * gets the exclusive lock may remove or download. A lock that was got is worth something only if the
 * name still leads to what was locked, so that is looked at afterwards, and one starts over if not:
 *
 *   - two who begin: the later one waits for the lock of the first; when he gets it, the first one has
 *     let go (the name still leads to these data: resumed), published (then there is an object) or
 *     dropped it (begun anew);
 *   - one who begins and one who removes: both lock the data, which the first of them makes, and look at
 *     the name then;
 *   - one who opens and one who removes: the opener has the lock first (the remover finds it busy), or
 *     the remover has renamed before the opener looks at the name again;
 *   - one who publishes keeps his exclusive lock over the rename and only then makes it a reader's. In
 *     between the kernel may give it to somebody who waits to begin: he finds the name gone. Readers
 *     that come earlier wait these moments.
 *
 * Names change place only under CACHE/lock, so that whoever holds it can count.
 */
#include "cache/object_store.h"

#include "base/clock.h"
#include "cache/cache_directory.h"
#include "cache/file_lock.h"
#include "cache/object_directory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

/* Each turn was lost to somebody who replaced the object; so many mean that he does nothing else. */
#define OPEN_TURNS 16

/* Nobody holds the exclusive lock on an object's data for long; who looks whether it is in use holds
 * it for a moment, too. */
#define READER_WAIT_NS NANOSECONDS_PER_SECOND
#define REMOVER_WAIT_NS (2 * NANOSECONDS_PER_MILLISECOND)

/* Directories in each other that the trash is rid of, itself included; each takes a descriptor or two
 * while they are emptied. */
#define TRASH_DEPTH 16

/* Bytes of a block that stat(2) counts. */
#define STAT_BLOCK_BYTES 512

/* --- reading --- */

/* What an object that has its place is to be. */
static int check_complete(int dir_fd, int data_fd, const char *name, struct object_metadata *ret,
                          struct error *err)
{
    struct stat status;

    if (object_directory_read_metadata(dir_fd, name, ret, err) < 0)
        return err->kind == ERROR_NOT_FOUND || err->kind == ERROR_UNSUPPORTED ||
                       err->errnum == EACCES
                   ? error_set(err, ERROR_CORRUPT,
                               "the metadata are missing, closed to us or not of this version")
                   : object_directory_blame_disk(err);
    if (fstat(data_fd, &status) < 0)
        return error_set_errno(err, errno, "stat");
    if (ret->fetched_at == 0 || (uint64_t)status.st_size != ret->size)
        return error_set(err, ERROR_CORRUPT, "the data are not of the size in the metadata");
    return 0;
}

/* Everything that is wrong in a directory that has its place is damage. */
static int open_data(int dir_fd, int *ret_fd, struct error *err)
{
    if (object_directory_open_data(dir_fd, O_RDONLY, ret_fd, err) == 0)
        return 0;
    return err->kind == ERROR_NOT_FOUND
               ? error_set(err, ERROR_CORRUPT, "the object's data are missing")
               : object_directory_blame_disk(err);
}

static int open_in(int dir_fd, const char *name, int *ret_fd, struct object_metadata *ret_metadata,
                   struct error *err)
{
    CLEANUP(fd_close) int fd = -1;

    if (open_data(dir_fd, &fd, err) < 0)
        return -1;
    if (file_lock_take(fd, LOCK_SH, READER_WAIT_NS, "the object's data", NULL, err) < 0 ||
        check_complete(dir_fd, fd, name, ret_metadata, err) < 0)
        return -1;
    *ret_fd = steal_fd(&fd);
    return 0;
}

static int open_sound(const struct cache_layout *layout, const char *name, int *ret_dir,
                      int *ret_fd, struct object_metadata *ret_metadata, struct error *err)
{
    for (int turn = 0; turn < OPEN_TURNS; turn++) {
        CLEANUP(fd_close) int dir = -1;
        CLEANUP(fd_close) int fd = -1;
        int result;

        if (object_directory_open(layout, CACHE_PLACE_OBJECTS, name, &dir, err) < 0)
            return -1;
        result = open_in(dir, name, &fd, ret_metadata, err);
        /* Removed or replaced meanwhile: whatever was found says nothing. */
        if (!object_directory_is_at(dir, layout, CACHE_PLACE_OBJECTS, name))
            continue;
        if (result < 0)
            return error_prefix(err, "cache: objects/%s", name);
        *ret_dir = steal_fd(&dir);
        *ret_fd = steal_fd(&fd);
        return 0;
    }
    return error_set(err, ERROR_BUSY, "cache: objects/%s is being replaced", name);
}

int object_store_open(const struct cache_layout *layout, const char *name, int64_t now_ns,
                      int *ret_fd, struct object_metadata *ret_metadata, struct error *err)
{
    CLEANUP(fd_close) int dir = -1;
    struct object_metadata metadata;

    if (open_sound(layout, name, &dir, ret_fd, &metadata, err) < 0)
        return -1;
    object_directory_touch(dir, now_ns);
    if (ret_metadata != NULL)
        *ret_metadata = metadata;
    return 0;
}

int object_store_inspect(const struct cache_layout *layout, const char *name, int *ret_fd,
                         struct object_metadata *ret_metadata, struct error *err)
{
    CLEANUP(fd_close) int dir = -1;

    return open_sound(layout, name, &dir, ret_fd, ret_metadata, err);
}

void object_store_touch(const struct cache_layout *layout, const char *name, int64_t now_ns)
{
    CLEANUP(fd_close) int dir = -1;
    struct error ignored = ERROR_INIT;

    if (object_directory_open(layout, CACHE_PLACE_OBJECTS, name, &dir, &ignored) == 0)
        object_directory_touch(dir, now_ns);
}

static bool is_regular(int dir_fd, const char *name, uint64_t *ret_size)
{
    struct stat status;

    if (fstatat(dir_fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(status.st_mode))
        return false;
    *ret_size = (uint64_t)status.st_size;
    return true;
}

bool object_store_has(const struct cache_layout *layout, const struct object_metadata *metadata)
{
    CLEANUP(fd_close) int dir = -1;
    struct error ignored = ERROR_INIT;
    char name[CACHE_OBJECT_NAME_BYTES];
    uint64_t size;
    uint64_t metadata_size;

    object_metadata_name(metadata, name);
    return object_directory_open(layout, CACHE_PLACE_OBJECTS, name, &dir, &ignored) == 0 &&
           is_regular(dir, OBJECT_METADATA, &metadata_size) &&
           is_regular(dir, OBJECT_DATA, &size) &&
           (metadata->size == OBJECT_SIZE_UNKNOWN || metadata->size == size);
}

int object_store_read_metadata(const struct cache_layout *layout, enum cache_place place,
                               const char *name, struct object_metadata *ret, struct error *err)
{
    CLEANUP(fd_close) int dir = -1;

    if (object_directory_open(layout, place, name, &dir, err) < 0)
        return -1;
    return object_directory_read_metadata(dir, name, ret, err);
}

bool object_store_is_in_use(const struct cache_layout *layout, enum cache_place place,
                            const char *name)
{
    CLEANUP(fd_close) int dir = -1;
    CLEANUP(fd_close) int fd = -1;
    struct error ignored = ERROR_INIT;

    return object_directory_open(layout, place, name, &dir, &ignored) == 0 &&
           object_directory_open_data(dir, O_RDONLY, &fd, &ignored) == 0 &&
           flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

/* --- removal --- */

/* Where data lack, and cannot be made, nobody can use them. */
static bool has_no_users(const struct error *err)
{
    return err->kind == ERROR_CORRUPT || err->kind == ERROR_NOT_FOUND ||
           err->kind == ERROR_NO_SPACE;
}

/* Takes the lock that a remover needs. Data that lack are made, to be locked: somebody may have made the
 * directory just now, and is to meet our lock, or we his, before either goes on. */
static int lock_to_remove(const struct cache_layout *layout, enum cache_place place,
                          const char *name, int *ret_fd, struct error *err)
{
    CLEANUP(fd_close) int dir = -1;
    CLEANUP(fd_close) int fd = -1;

    if (object_directory_open(layout, place, name, &dir, err) < 0)
        return err->kind == ERROR_CORRUPT ? 0 : -1;
    if (object_directory_open_data(dir, O_RDONLY | O_CREAT, &fd, err) < 0)
        return has_no_users(err) ? 0 : -1;
    if (file_lock_take(fd, LOCK_EX, REMOVER_WAIT_NS, name, NULL, err) < 0)
        return -1;
    *ret_fd = steal_fd(&fd);
    return 0;
}

int object_store_discard(const struct cache_layout *layout, enum cache_place place,
                         const char *name, struct error *err)
{
    CLEANUP(fd_close) int fd = -1;

    if (lock_to_remove(layout, place, name, &fd, err) < 0)
        return -1;
    return object_directory_discard(layout, place, name, err);
}

/* True when the object's data are the file `inode`, or any will do. */
static bool is_meant(const struct cache_layout *layout, const char *name, uint64_t inode)
{
    CLEANUP(fd_close) int dir = -1;
    struct error ignored = ERROR_INIT;
    struct stat status;

    if (inode == 0)
        return true;
    return object_directory_open(layout, CACHE_PLACE_OBJECTS, name, &dir, &ignored) == 0 &&
           fstatat(dir, OBJECT_DATA, &status, AT_SYMLINK_NOFOLLOW) == 0 && status.st_ino == inode;
}

/* As object_store_open judges. Without the data's lock, which goes before CACHE/lock: nobody changes
 * what has its place, and no name changes place while we look. */
static bool is_damaged(const struct cache_layout *layout, const char *name)
{
    CLEANUP(fd_close) int dir = -1;
    CLEANUP(fd_close) int fd = -1;
    struct object_metadata ignored;
    struct error err = ERROR_INIT;

    if (object_directory_open(layout, CACHE_PLACE_OBJECTS, name, &dir, &err) == 0 &&
        open_data(dir, &fd, &err) == 0 && check_complete(dir, fd, name, &ignored, &err) == 0)
        return false;
    return err.kind == ERROR_CORRUPT;
}

static int set_aside_locked(const struct cache_layout *layout, const char *name, struct error *err)
{
    const int objects = layout->place_fds[CACHE_PLACE_OBJECTS];
    const int quarantine = layout->place_fds[CACHE_PLACE_QUARANTINE];
    struct stat status;

    if (fstatat(objects, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return error_set_errno(err, errno, "cache: objects/%s", name);
    if (!S_ISDIR(status.st_mode))
        return object_directory_discard(layout, CACHE_PLACE_OBJECTS, name, err);
    if (object_directory_discard(layout, CACHE_PLACE_QUARANTINE, name, err) < 0 &&
        err->kind != ERROR_NOT_FOUND)
        return -1;
    if (renameat(objects, name, quarantine, name) < 0)
        return error_set_errno(err, errno, "cache: set objects/%s aside", name);
    return 0;
}

int object_store_quarantine(const struct cache_layout *layout, const char *name, uint64_t inode,
                            struct cancel *cancel, struct error *err)
{
    CLEANUP(fd_close) int lock = -1;
    int result;

    if (cache_layout_lock(layout, cancel, &lock, err) < 0)
        return -1;
    result = is_meant(layout, name, inode)
                 ? set_aside_locked(layout, name, err)
                 : error_set(err, ERROR_NOT_FOUND, "cache: objects/%s is another one by now", name);
    (void)close(steal_fd(&lock));
    object_store_empty_trash(layout);
    return result;
}

int object_store_quarantine_damaged(const struct cache_layout *layout, const char *name,
                                    struct cancel *cancel, struct error *err)
{
    CLEANUP(fd_close) int lock = -1;
    int result;

    if (cache_layout_lock(layout, cancel, &lock, err) < 0)
        return -1;
    result = is_damaged(layout, name)
                 ? set_aside_locked(layout, name, err)
                 : error_set(err, ERROR_NOT_FOUND, "cache: objects/%s is not damaged", name);
    (void)close(steal_fd(&lock));
    object_store_empty_trash(layout);
    return result;
}

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static int open_directory(int parent_fd, const char *name)
{
    return openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* Empties a directory; one of ours holds files, but it was somebody else's hand that put more there. */
static void empty_directory(int dir_fd, unsigned depth)
{
    CLEANUP(closedir) DIR *directory = cache_directory_stream(dir_fd);
    const struct dirent *entry;

    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        CLEANUP(fd_close) int inner = -1;

        if (is_dots(entry->d_name) || unlinkat(dir_fd, entry->d_name, 0) == 0)
            continue;
        if (depth > 1)
            inner = open_directory(dir_fd, entry->d_name);
        if (inner >= 0)
            empty_directory(inner, depth - 1);
        (void)unlinkat(dir_fd, entry->d_name, AT_REMOVEDIR);
    }
}

void object_store_empty_trash(const struct cache_layout *layout)
{
    empty_directory(layout->place_fds[CACHE_PLACE_TRASH], TRASH_DEPTH);
}

/* What stands in it, but not itself. */
static uint64_t bytes_below(int dir_fd, unsigned depth)
{
    CLEANUP(closedir) DIR *directory = cache_directory_stream(dir_fd);
    const struct dirent *entry;
    uint64_t bytes = 0;

    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        CLEANUP(fd_close) int inner = -1;
        struct stat status;

        if (is_dots(entry->d_name) ||
            fstatat(dir_fd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        bytes += (uint64_t)status.st_blocks * STAT_BLOCK_BYTES;
        if (S_ISDIR(status.st_mode) && depth > 1)
            inner = open_directory(dir_fd, entry->d_name);
        if (inner >= 0)
            bytes += bytes_below(inner, depth - 1);
    }
    return bytes;
}

uint64_t object_store_trash_bytes(const struct cache_layout *layout)
{
    return bytes_below(layout->place_fds[CACHE_PLACE_TRASH], TRASH_DEPTH);
}
