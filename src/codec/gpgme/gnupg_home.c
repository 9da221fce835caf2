/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/gpgme/gnupg_home.h"

#include "base/clock.h"
#include "base/file_sink.h"
#include "codec/gpgme/gpg_agent.h"
#include "crypto/encoding.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

#define HOME_PREFIX "gnupg-"
#define HOME_RANDOM_BYTES ((size_t)4)
#define HOME_NAME_BYTES (sizeof HOME_PREFIX + 2 * HOME_RANDOM_BYTES)

/* Directories inside one another that gpg makes in its home, with one to spare. */
#define HOME_DEPTH 3

/* How often a lock is tried that another process holds. */
#define TRY_AGAIN_NS 5000000

/* What a message with a passphrase is written like, and nothing that a home would remember. */
static const char gpg_conf[] = "cipher-algo AES256\n"
                               "s2k-cipher-algo AES256\n"
                               "s2k-digest-algo SHA256\n"
                               "s2k-mode 3\n"
                               "s2k-count 65011712\n"
                               "compress-algo none\n"
                               "no-symkey-cache\n"
                               "no-random-seed-file\n"
                               "no-auto-check-trustdb\n";
static const char agent_conf[] = "default-cache-ttl 0\n"
                                 "max-cache-ttl 0\n"
                                 "no-allow-external-cache\n"
                                 "disable-scdaemon\n";

struct gnupg_home {
    int runtime; /* the runtime directory */
    int lock;    /* the home, locked while we live; -1: not made */
    char name[HOME_NAME_BYTES];
    char path[RUNTIME_DIRECTORY_MAXIMUM_BYTES + 1 + HOME_NAME_BYTES];
};

/* --- the runtime directory --- */

static int name_runtime(const char *runtime, char *ret, size_t size, struct error *err)
{
    const char *session = getenv("XDG_RUNTIME_DIR");
    int length;

    if (runtime != NULL)
        length = snprintf(ret, size, "%s", runtime);
    else if (session != NULL && session[0] == '/')
        length = snprintf(ret, size, "%s/glancefs", session);
    else if (geteuid() == 0)
        length = snprintf(ret, size, "/run/glancefs");
    else
        length = snprintf(ret, size, "/tmp/glancefs-%u", geteuid());
    if (ret[0] != '/')
        return error_set(err, ERROR_INVALID, "%s: the runtime directory must be an absolute path",
                         ret);
    if (length < 0 || (size_t)length >= size)
        return error_set(err, ERROR_INVALID, "the path of the runtime directory has over %d bytes",
                         RUNTIME_DIRECTORY_MAXIMUM_BYTES);
    return 0;
}

/* One that others may enter is refused: gpg-agent's socket takes what anybody says. */
static int open_runtime(const char *path, int *ret, struct error *err)
{
    CLEANUP(fd_close) int fd = -1;
    struct stat status;

    if (mkdir(path, S_IRWXU) < 0 && errno != EEXIST)
        return error_set_errno(err, errno, "%s", path);
    fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && (errno == ELOOP || errno == ENOTDIR))
        return error_set(err, ERROR_DENIED, "%s: no directory", path);
    if (fd < 0 || fstat(fd, &status) < 0)
        return error_set_errno(err, errno, "%s", path);
    if (status.st_uid != geteuid() || (status.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return error_set(err, ERROR_DENIED, "%s: must belong to this user alone (mode 0700)", path);
    *ret = steal_fd(&fd);
    return 0;
}

/* --- removal --- */

static void empty_directory(int dir_fd, unsigned depth);

static void remove_entry(int dir_fd, const char *name, unsigned depth)
{
    CLEANUP(fd_close) int fd = -1;

    if (unlinkat(dir_fd, name, 0) == 0 || depth == 0)
        return;
    fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return;
    empty_directory(fd, depth - 1);
    (void)unlinkat(dir_fd, name, AT_REMOVEDIR);
}

/* Follows no link: unlinkat takes them for files. */
static void empty_directory(int dir_fd, unsigned depth)
{
    const int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);

    if (directory == NULL) {
        if (fd >= 0)
            (void)close(fd);
        return;
    }
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            remove_entry(dir_fd, entry->d_name, depth);
    (void)closedir(directory);
}

/* Removes a home that nobody holds any more, first its agent. */
static void purge_home(int runtime, const char *runtime_path, const char *name)
{
    CLEANUP(fd_close)
    int fd = openat(runtime, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    char path[sizeof((struct gnupg_home *)NULL)->path];
    struct stat status;

    if (fd < 0 || fstat(fd, &status) < 0 || status.st_uid != geteuid() ||
        flock(fd, LOCK_EX | LOCK_NB) < 0)
        return;
    (void)snprintf(path, sizeof path, "%s/%s", runtime_path, name);
    gpg_agent_stop(path);
    empty_directory(fd, HOME_DEPTH);
    (void)unlinkat(runtime, name, AT_REMOVEDIR);
}

static bool is_home_name(const char *name)
{
    const size_t prefix = sizeof HOME_PREFIX - 1;

    return strlen(name) == HOME_NAME_BYTES - 1 && strncmp(name, HOME_PREFIX, prefix) == 0 &&
           strspn(name + prefix, "0123456789abcdef") == 2 * HOME_RANDOM_BYTES;
}

static void purge_stale_homes(int runtime, const char *runtime_path)
{
    const int fd = openat(runtime, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);

    if (directory == NULL) {
        if (fd >= 0)
            (void)close(fd);
        return;
    }
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory))
        if (is_home_name(entry->d_name))
            purge_home(runtime, runtime_path, entry->d_name);
    (void)closedir(directory);
}

/* --- the home --- */

/* The crypto library is not at hand in the process that gets here: see gpg_warden.h. */
static int choose_name(struct gnupg_home *home, const char *runtime, struct error *err)
{
    uint8_t random[HOME_RANDOM_BYTES];

    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return error_set_errno(err, errno, "getrandom");
    memcpy(home->name, HOME_PREFIX, sizeof HOME_PREFIX - 1);
    encode_hex(random, sizeof random, home->name + sizeof HOME_PREFIX - 1);
    (void)snprintf(home->path, sizeof home->path, "%s/%s", runtime, home->name);
    return 0;
}

static int make_home(struct gnupg_home *home, const char *runtime, struct error *err)
{
    if (choose_name(home, runtime, err) < 0)
        return -1;
    if (mkdirat(home->runtime, home->name, S_IRWXU) < 0)
        return error_set_errno(err, errno, "%s", home->path);
    home->lock = openat(home->runtime, home->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (home->lock < 0 || flock(home->lock, LOCK_EX | LOCK_NB) < 0)
        return error_set_errno(err, errno, "%s", home->path);
    if (file_publish(home->lock, "gpg.conf", S_IRUSR | S_IWUSR, gpg_conf, sizeof gpg_conf - 1,
                     err) < 0)
        return -1;
    return file_publish(home->lock, "gpg-agent.conf", S_IRUSR | S_IWUSR, agent_conf,
                        sizeof agent_conf - 1, err);
}

static int lock_runtime(int runtime, const char *path, struct error *err)
{
    const uint64_t deadline = clock_monotonic_ns() + RUNTIME_LOCK_MS * NANOSECONDS_PER_MILLISECOND;
    const struct timespec pause = {.tv_nsec = TRY_AGAIN_NS};

    while (flock(runtime, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return error_set_errno(err, errno, "%s", path);
        if (clock_monotonic_ns() >= deadline)
            return error_set(err, ERROR_TIMEOUT, "%s: another process keeps it locked", path);
        (void)nanosleep(&pause, NULL);
    }
    return 0;
}

/* Under the lock of the runtime directory: a home that is not locked yet is not stale. */
static int purge_and_make(struct gnupg_home *home, const char *runtime, struct error *err)
{
    int result;

    if (lock_runtime(home->runtime, runtime, err) < 0)
        return -1;
    purge_stale_homes(home->runtime, runtime);
    result = make_home(home, runtime, err);
    (void)flock(home->runtime, LOCK_UN);
    return result;
}

int gnupg_home_new(const char *runtime, struct gnupg_home **ret, struct error *err)
{
    char path[RUNTIME_DIRECTORY_MAXIMUM_BYTES + 1];
    CLEANUP(gnupg_home_free) struct gnupg_home *home = calloc(1, sizeof *home);

    if (home == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    home->runtime = -1;
    home->lock = -1;
    if (name_runtime(runtime, path, sizeof path, err) < 0 ||
        open_runtime(path, &home->runtime, err) < 0 || purge_and_make(home, path, err) < 0)
        return -1;
    *ret = steal(&home);
    return 0;
}

void gnupg_home_free(struct gnupg_home *home)
{
    if (home == NULL)
        return;
    if (home->lock >= 0) {
        gpg_agent_stop(home->path);
        empty_directory(home->lock, HOME_DEPTH);
        (void)unlinkat(home->runtime, home->name, AT_REMOVEDIR);
        (void)close(home->lock);
    }
    if (home->runtime >= 0)
        (void)close(home->runtime);
    free(home);
}

const char *gnupg_home_path(const struct gnupg_home *home)
{
    return home->path;
}
