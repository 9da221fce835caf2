/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/cache_layout.h"

#include "base/clock.h"
#include "base/file_sink.h"
#include "base/file_source.h"
#include "cache/cache_directory.h"
#include "cache/file_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#define FORMAT "format"
#define FORMAT_WORD "glancefs-cache "
#define FORMAT_TEXT FORMAT_WORD "1\n"
#define FORMAT_TEXT_BYTES 256
#define LOCK "lock"

/* How long another daemon may take to end, and whoever moves names to be done. */
#define DAEMON_WAIT_NS (5 * NANOSECONDS_PER_SECOND)
#define LOCK_WAIT_NS (10 * NANOSECONDS_PER_SECOND)

_Static_assert(CACHE_FORMAT_VERSION == 1, "FORMAT_TEXT says so");

static const char *const place_names[] = {[CACHE_PLACE_OBJECTS] = "objects",
                                          [CACHE_PLACE_PARTIAL] = "partial",
                                          [CACHE_PLACE_QUARANTINE] = "quarantine",
                                          [CACHE_PLACE_TRASH] = "trash"};

const char *cache_place_name(enum cache_place place)
{
    return place_names[place];
}

/* --- the format --- */

/* What follows the first line a newer version may know. */
static bool is_newer_format(const char *text)
{
    const size_t word = sizeof FORMAT_WORD - 1;
    const char *number;
    size_t digits;

    if (strncmp(text, FORMAT_WORD, word) != 0)
        return false;
    number = text + word;
    digits = strspn(number, "0123456789");
    return digits > 0 && number[0] != '0' && number[digits] == '\n' &&
           (digits > 1 || number[0] > '1');
}

static int refuse_format(struct error *err)
{
    return error_set(err, ERROR_CORRUPT, "its file \"" FORMAT "\" is damaged, or none of ours");
}

static int judge_format(const char *text, size_t size, struct error *err)
{
    if (size == sizeof FORMAT_TEXT - 1 && memcmp(text, FORMAT_TEXT, size) == 0)
        return 0;
    if (is_newer_format(text))
        return error_set(err, ERROR_UNSUPPORTED,
                         "it was written by a newer glancefs; this one knows format version %d",
                         CACHE_FORMAT_VERSION);
    return refuse_format(err);
}

int cache_layout_check_format(int root_fd, bool *ret_is_there, struct error *err)
{
    CLEANUP(memory_free) char *text = NULL;
    struct error reason = ERROR_INIT;
    size_t size;

    *ret_is_there = true;
    if (file_read_all(root_fd, FORMAT, FORMAT_TEXT_BYTES, &text, &size, &reason) == 0)
        return judge_format(text, size, err);
    *ret_is_there = reason.kind != ERROR_NOT_FOUND;
    if (!*ret_is_there)
        return 0;
    if (reason.kind == ERROR_TOO_LARGE || reason.kind == ERROR_INVALID || reason.errnum == ELOOP)
        return refuse_format(err);
    *err = reason;
    return -1;
}

/* A directory that was made to be a cache: it holds nothing but what we, or mkfs, put there. */
static bool is_ours(const char *name)
{
    static const char *const others[] = {".",     "..", "staging",   "consumers",
                                         "cloud", LOCK, "lost+found"};

    for (size_t i = 0; i < CACHE_PLACE_COUNT; i++)
        if (strcmp(name, place_names[i]) == 0)
            return true;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (strcmp(name, others[i]) == 0)
            return true;
    return strncmp(name, FILE_SINK_TEMPORARY_PREFIX, sizeof FILE_SINK_TEMPORARY_PREFIX - 1) == 0;
}

static int check_may_become_cache(int root_fd, struct error *err)
{
    CLEANUP(closedir) DIR *directory = cache_directory_stream(root_fd);
    const struct dirent *entry;

    if (directory == NULL)
        return error_set_errno(err, errno, "open");
    while ((entry = readdir(directory)) != NULL)
        if (!is_ours(entry->d_name))
            return error_set(err, ERROR_INVALID,
                             "it is no cache, and holds %.64s: give an empty one", entry->d_name);
    return 0;
}

/* --- the lock --- */

static bool is_named(int root_fd, int fd)
{
    struct stat named;
    struct stat held;

    return fstat(fd, &held) == 0 && fstatat(root_fd, LOCK, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           named.st_dev == held.st_dev && named.st_ino == held.st_ino;
}

static int open_lock(int root_fd, int flags, int *ret_fd, struct error *err)
{
    CLEANUP(fd_close)
    int fd = openat(root_fd, LOCK, flags | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
                    S_IRUSR | S_IWUSR);
    struct stat status;

    if (fd < 0 || fstat(fd, &status) < 0)
        return error_set_errno(err, errno, "%s", LOCK);
    if (!S_ISREG(status.st_mode))
        return error_set(err, ERROR_INVALID, "%s: not a regular file", LOCK);
    *ret_fd = steal_fd(&fd);
    return 0;
}

/* Somebody who removes the file makes another one: then those who hold the old one hold nothing. */
static int take_lock(int root_fd, int flags, int operation, struct cancel *cancel, int *ret_fd,
                     struct error *err)
{
    const uint64_t since_ns = clock_monotonic_ns();

    do {
        CLEANUP(fd_close) int fd = -1;

        if (open_lock(root_fd, flags, &fd, err) < 0 ||
            file_lock_take(fd, operation, LOCK_WAIT_NS, LOCK, cancel, err) < 0)
            return -1;
        if (is_named(root_fd, fd)) {
            *ret_fd = steal_fd(&fd);
            return 0;
        }
    } while (clock_monotonic_ns() - since_ns < LOCK_WAIT_NS);
    return error_set(err, ERROR_BUSY, "%s: in use", LOCK);
}

int cache_layout_lock(const struct cache_layout *layout, struct cancel *cancel, int *ret_fd,
                      struct error *err)
{
    if (take_lock(layout->root_fd, O_RDWR | O_CREAT, LOCK_EX, cancel, ret_fd, err) < 0)
        return error_prefix(err, "cache");
    return 0;
}

int cache_layout_lock_to_look(const struct cache_layout *layout, struct cancel *cancel, int *ret_fd,
                              struct error *err)
{
    *ret_fd = -1;
    if (take_lock(layout->root_fd, O_RDONLY, LOCK_SH, cancel, ret_fd, err) == 0)
        return 0;
    if (err->kind != ERROR_NOT_FOUND)
        return error_prefix(err, "cache");
    /* Removed by hand: who moves a name next makes another one. */
    *err = (struct error)ERROR_INIT;
    return 0;
}

/* --- opening --- */

static int open_root(const char *path, enum cache_role role, struct cache_layout *layout,
                     struct error *err)
{
    if (role != CACHE_OBSERVER && mkdir(path, S_IRWXU) < 0 && errno != EEXIST)
        return error_set_errno(err, errno, "make it");
    layout->root_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return layout->root_fd < 0 ? error_set_errno(err, errno, "open") : 0;
}

static int open_place(struct cache_layout *layout, enum cache_place place, struct error *err)
{
    const char *name = place_names[place];

    layout->place_fds[place] =
        openat(layout->root_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (layout->place_fds[place] < 0)
        return error_set_errno(err, errno, "%s", name);
    return 0;
}

/* Ours alone, whatever the umask or somebody's hand made of it. */
static int make_place(struct cache_layout *layout, enum cache_place place, struct error *err)
{
    const char *name = place_names[place];
    struct stat status;

    if (mkdirat(layout->root_fd, name, S_IRWXU) < 0 && errno != EEXIST)
        return error_set_errno(err, errno, "make %s", name);
    if (open_place(layout, place, err) < 0)
        return -1;
    if (fstat(layout->place_fds[place], &status) < 0)
        return error_set_errno(err, errno, "%s", name);
    if (status.st_uid != geteuid())
        return error_set(err, ERROR_DENIED, "%s: must belong to us", name);
    if ((status.st_mode & ALLPERMS) != S_IRWXU && fchmod(layout->place_fds[place], S_IRWXU) < 0)
        return error_set_errno(err, errno, "%s: chmod", name);
    return 0;
}

/*
 * Under the lock, so that two who begin at a time make one cache. The format is written last: where
 * it stands, all places are.
 */
static int make_cache(struct cache_layout *layout, struct error *err)
{
    CLEANUP(fd_close) int lock = -1;
    bool has_format;

    if (take_lock(layout->root_fd, O_RDWR | O_CREAT, LOCK_EX, NULL, &lock, err) < 0 ||
        cache_layout_check_format(layout->root_fd, &has_format, err) < 0)
        return -1;
    for (enum cache_place place = 0; place < CACHE_PLACE_COUNT; place++)
        if (make_place(layout, place, err) < 0)
            return -1;
    file_sink_remove_leftovers(layout->root_fd);
    if (fsync(layout->root_fd) < 0)
        return error_set_errno(err, errno, "fsync");
    return has_format ? 0
                      : file_publish(layout->root_fd, FORMAT, S_IRUSR | S_IWUSR, FORMAT_TEXT,
                                     sizeof FORMAT_TEXT - 1, err);
}

static int open_to_look(struct cache_layout *layout, bool has_format, struct error *err)
{
    if (!has_format)
        return error_set(err, ERROR_NOT_FOUND, "it is no cache");
    for (enum cache_place place = 0; place < CACHE_PLACE_COUNT; place++)
        if (open_place(layout, place, err) < 0)
            return -1;
    return 0;
}

/* One at a time: two would keep the same limits, and send the same uploads. */
static int lock_for_daemon(struct cache_layout *layout, struct error *err)
{
    if (file_lock_take(layout->place_fds[CACHE_PLACE_OBJECTS], LOCK_EX, DAEMON_WAIT_NS, "objects",
                       NULL, err) == 0)
        return 0;
    return err->kind == ERROR_BUSY ? error_set(err, ERROR_BUSY, "another glancefs mount uses it")
                                   : -1;
}

/* Nothing is touched before the format was judged. */
static int open_all(const char *path, enum cache_role role, struct cache_layout *layout,
                    struct error *err)
{
    bool has_format;

    if (open_root(path, role, layout, err) < 0 ||
        cache_layout_check_format(layout->root_fd, &has_format, err) < 0)
        return -1;
    if (role == CACHE_OBSERVER)
        return open_to_look(layout, has_format, err);
    if ((!has_format && check_may_become_cache(layout->root_fd, err) < 0) ||
        cache_directory_require_private(layout->root_fd, err) < 0 || make_cache(layout, err) < 0)
        return -1;
    return role == CACHE_DAEMON ? lock_for_daemon(layout, err) : 0;
}

int cache_layout_open(const char *path, enum cache_role role, struct cache_layout **ret,
                      struct error *err)
{
    CLEANUP(cache_layout_free) struct cache_layout *layout = malloc(sizeof *layout);

    if (layout == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    layout->root_fd = -1;
    for (size_t i = 0; i < CACHE_PLACE_COUNT; i++)
        layout->place_fds[i] = -1;
    if (open_all(path, role, layout, err) < 0)
        return error_prefix(err, "cache %s", path);
    *ret = steal(&layout);
    return 0;
}

void cache_layout_free(struct cache_layout *layout)
{
    if (layout == NULL)
        return;
    for (size_t i = 0; i < CACHE_PLACE_COUNT; i++)
        fd_close_cleanup(&layout->place_fds[i]);
    fd_close_cleanup(&layout->root_fd);
    free(layout);
}
