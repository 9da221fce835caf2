/* SPDX-License-Identifier: Apache-2.0 */
#include "services/openstack/clouds_yaml.h"

#include "glancefs/cleanup.h"
#include "glancefs/limits.h"
#include "glancefs/secure_buffer.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* A text of a file in locked memory. */
struct yaml_file {
    char path[PATH_MAX];
    struct secure_buffer *text; /* NULL: there is no such file */
};

static void yaml_file_clear_cleanup(struct yaml_file *file)
{
    secure_buffer_free(file->text);
}

/* --- reading --- */

static int read_whole(int fd, size_t size, struct secure_buffer *text, struct error *err)
{
    size_t got = 0;

    while (got < size) {
        const ssize_t count = read(fd, secure_buffer_data(text) + got, size - got);

        if (count < 0 && errno != EINTR)
            return error_set_errno(err, errno, "cannot read");
        if (count == 0)
            break;
        if (count > 0)
            got += (size_t)count;
    }
    secure_buffer_set_size(text, got);
    return 0;
}

/* Leaves file->text NULL when there is no such file. */
static int load(struct yaml_file *file, struct secure_arena *arena, struct error *err)
{
    CLEANUP(fd_close) int fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat status;

    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return 0;
    if (fd < 0 || fstat(fd, &status) < 0)
        return error_set_errno(err, errno, "%s", file->path);
    if (!S_ISREG(status.st_mode))
        return error_set(err, ERROR_INVALID, "%s: not a regular file", file->path);
    if ((uint64_t)status.st_size > LIMIT_CLOUDS_YAML_BYTES)
        return error_set(err, ERROR_TOO_LARGE, "%s: over %zu bytes", file->path,
                         LIMIT_CLOUDS_YAML_BYTES);
    if (secure_buffer_new(arena, (size_t)status.st_size, &file->text, err) < 0)
        return -1;
    if (read_whole(fd, (size_t)status.st_size, file->text, err) < 0)
        return error_prefix(err, "%s", file->path);
    return 0;
}

/* --- looking for it --- */

static int set_path(struct yaml_file *file, const char *directory, const char *middle,
                    const char *name, struct error *err)
{
    const int length = snprintf(file->path, sizeof file->path, "%s%s/%s", directory, middle, name);

    if (length < 0 || (size_t)length >= sizeof file->path)
        return error_set(err, ERROR_INVALID, "a path to %s is too long", name);
    return 0;
}

/* NAME.yaml, NAME.yml in one directory; nothing when `directory` is NULL. */
static int look_in(struct yaml_file *file, const char *directory, const char *middle,
                   const char *stem, struct secure_arena *arena, struct error *err)
{
    static const char *const suffixes[] = {"yaml", "yml"};

    for (size_t i = 0; directory != NULL && i < sizeof suffixes / sizeof suffixes[0]; i++) {
        char name[32];

        (void)snprintf(name, sizeof name, "%s.%s", stem, suffixes[i]);
        if (file->text != NULL)
            return 0;
        if (set_path(file, directory, middle, name, err) < 0 || load(file, arena, err) < 0)
            return -1;
    }
    return 0;
}

/* A file that was named must be there. */
static int load_named(struct yaml_file *file, const struct clouds_yaml_places *places,
                      const char *path, struct secure_arena *arena, struct error *err)
{
    const bool is_relative = *path != '/' && places->working_directory != NULL;

    if (is_relative ? set_path(file, places->working_directory, "", path, err) < 0
                    : snprintf(file->path, sizeof file->path, "%s", path) >= PATH_MAX)
        return error_set(err, ERROR_INVALID, "the path of a clouds.yaml is too long");
    if (load(file, arena, err) < 0)
        return -1;
    if (file->text == NULL)
        return error_set(err, ERROR_NOT_FOUND, "%s does not exist", file->path);
    return 0;
}

static int find(struct yaml_file *file, const struct clouds_yaml_places *places, const char *named,
                const char *stem, struct secure_arena *arena, struct error *err)
{
    if (named != NULL)
        return load_named(file, places, named, arena, err);
    if (look_in(file, places->working_directory, "", stem, arena, err) < 0)
        return -1;
    if (places->config_home != NULL) {
        if (look_in(file, places->config_home, "/openstack", stem, arena, err) < 0)
            return -1;
    } else if (look_in(file, places->home, "/.config/openstack", stem, arena, err) < 0) {
        return -1;
    }
    return look_in(file, places->site, "", stem, arena, err);
}

/* --- the entry --- */

static int parse(const struct yaml_file *file, const char *cloud, clouds_yaml_take *take,
                 void *context, bool *ret_found, struct error *err)
{
    return clouds_yaml_parse(file->path, secure_buffer_bytes(file->text),
                             secure_buffer_size(file->text), cloud, take, context, ret_found, err);
}

int clouds_yaml_read_entry(const struct clouds_yaml_places *places, const char *cloud,
                           struct secure_arena *arena, clouds_yaml_take *take, void *context,
                           struct error *err)
{
    CLEANUP(yaml_file_clear) struct yaml_file clouds = {.text = NULL};
    CLEANUP(yaml_file_clear) struct yaml_file secure = {.text = NULL};
    bool found = false;

    if (find(&clouds, places, places->config_file, "clouds", arena, err) < 0 ||
        find(&secure, places, places->secure_file, "secure", arena, err) < 0)
        return -1;
    if (clouds.text == NULL)
        return error_set(err, ERROR_NOT_FOUND,
                         "no clouds.yaml for cloud %.60s: neither OS_CLIENT_CONFIG_FILE nor one in "
                         ". ~/.config/openstack /etc/openstack",
                         cloud);
    if (parse(&clouds, cloud, take, context, &found, err) < 0)
        return -1;
    if (!found)
        return error_set(err, ERROR_NOT_FOUND, "%s has no cloud %.60s", clouds.path, cloud);
    return secure.text == NULL ? 0 : parse(&secure, cloud, take, context, &found, err);
}
