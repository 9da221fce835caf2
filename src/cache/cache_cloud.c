/* SPDX-License-Identifier: Apache-2.0 */
/* Whose images a cache holds, as it was told: CACHE/cloud. */
#include "base/file_sink.h"
#include "base/file_source.h"
#include "cache/cache_context.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CLOUD "cloud"
#define FIRST_LINE "glancefs-cloud 1\n"
#define TEXT_BYTES (sizeof FIRST_LINE + CACHE_CLOUD_BYTES)

/* On one line, and short enough: anything else was not written by us. */
static bool is_name(const char *name)
{
    size_t length = 0;

    while ((unsigned char)name[length] >= ' ' && name[length] != 0x7f)
        length++;
    return length > 0 && length < CACHE_CLOUD_BYTES && name[length] == '\0';
}

static bool take_name(char *text, size_t size, char ret[CACHE_CLOUD_BYTES])
{
    const size_t first = sizeof FIRST_LINE - 1;

    if (size <= first + 1 || memcmp(text, FIRST_LINE, first) != 0 || text[size - 1] != '\n')
        return false;
    text[size - 1] = '\0';
    if (strlen(text) != size - 1 || !is_name(text + first))
        return false;
    (void)snprintf(ret, CACHE_CLOUD_BYTES, "%s", text + first);
    return true;
}

/* What is damaged, or was written by a newer version, tells nothing. */
int ciphertext_cache_cloud(struct ciphertext_cache *cache, char ret[CACHE_CLOUD_BYTES],
                           struct error *err)
{
    CLEANUP(memory_free) char *text = NULL;
    size_t size;

    ret[0] = '\0';
    if (file_read_all(cache->layout->root_fd, CLOUD, TEXT_BYTES, &text, &size, err) == 0) {
        (void)take_name(text, size, ret);
        return 0;
    }
    if (err->kind != ERROR_NOT_FOUND && err->kind != ERROR_TOO_LARGE &&
        err->kind != ERROR_INVALID && err->errnum != ELOOP)
        return error_prefix(err, "cache: " CLOUD);
    *err = (struct error)ERROR_INIT;
    return 0;
}

static int write_name(struct ciphertext_cache *cache, const char *name, struct error *err)
{
    char text[TEXT_BYTES];
    const int length = snprintf(text, sizeof text, FIRST_LINE "%s\n", name);

    if (!is_name(name) || length < 0 || (size_t)length >= sizeof text)
        return error_set(err, ERROR_INVALID, "cache: \"%.64s\" cannot name a cloud", name);
    if (file_publish(cache->layout->root_fd, CLOUD, S_IRUSR | S_IWUSR, text, (size_t)length, err) <
        0)
        return error_prefix(err, "cache: " CLOUD);
    return 0;
}

static int has_entry(int place_fd, bool *ret, struct error *err)
{
    const int fd = openat(place_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;

    if (directory == NULL) {
        (void)error_set_errno(err, errno, "cache: its directories");
        if (fd >= 0)
            (void)close(fd);
        return -1;
    }
    while (!*ret && (entry = readdir(directory)) != NULL)
        *ret = strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    (void)closedir(directory);
    return 0;
}

/* Whether there are images of which nobody said whose they are. */
static int holds_images(const struct cache_layout *layout, bool *ret, struct error *err)
{
    static const enum cache_place places[] = {CACHE_PLACE_OBJECTS, CACHE_PLACE_PARTIAL,
                                              CACHE_PLACE_QUARANTINE};

    *ret = false;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        if (has_entry(layout->place_fds[places[i]], ret, err) < 0)
            return -1;
    return 0;
}

int ciphertext_cache_set_cloud(struct ciphertext_cache *cache, const char *cloud, bool replaces,
                               char ret_former[CACHE_CLOUD_BYTES], struct error *err)
{
    CLEANUP(fd_close) int lock = -1;
    bool holds_some;

    if (cache_context_may_change(cache, err) < 0 ||
        cache_layout_lock(cache->layout, NULL, &lock, err) < 0 ||
        ciphertext_cache_cloud(cache, ret_former, err) < 0 ||
        holds_images(cache->layout, &holds_some, err) < 0)
        return -1;
    if (strcmp(ret_former, cloud) == 0 || ((ret_former[0] != '\0' || holds_some) && !replaces))
        return 0;
    return write_name(cache, cloud, err);
}
