/* SPDX-License-Identifier: Apache-2.0 */
#include "cached_images.h"

#include "support/testing.h"

#include <dirent.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES 512

DEFINE_CLEANUP(DIR, closedir)
DEFINE_CLEANUP(struct json_object, json_object_put)

int cached_images_begin(void **state)
{
    struct cached_images *test = calloc(1, sizeof *test);

    if (test == NULL)
        return -1;
    test->dir = temp_dir_new();
    test->cache = temp_dir_join(test->dir, "cache");
    *state = test;
    return asprintf(&test->cloud, "local:%s/cloud", temp_dir_path(test->dir)) < 0 ? -1 : 0;
}

int cached_images_end(void **state)
{
    struct cached_images *test = *state;

    temp_dir_free(test->dir);
    free(test->cloud);
    free(test->cache);
    free(test);
    return 0;
}

void cached_images_add(const struct cached_images *test, const char *id, const char *data,
                       const char *more)
{
    CLEANUP(memory_free) char *file = temp_dir_join(test->dir, "stored");
    CLEANUP(program_run_free) struct program_run *run = NULL;

    temp_dir_write(test->dir, "stored", data, strlen(data));
    run = RUN(test->dir, NULL, "images", "add", "--cloud", test->cloud, "--id", id, file, more);
    assert_exit(run, 0);
}

static void record_name(const char *id, char ret[PATH_BYTES])
{
    (void)snprintf(ret, PATH_BYTES, "cloud/images/%s.json", id);
}

void cached_images_alter(const struct cached_images *test, const char *id, const char *members)
{
    CLEANUP(json_object_put) struct json_object *changes = json_tokener_parse(members);
    CLEANUP(json_object_put) struct json_object *record = NULL;
    CLEANUP(memory_free) char *text = NULL;
    struct json_object_iterator at, end;
    const char *changed;
    char name[PATH_BYTES];

    record_name(id, name);
    text = (char *)temp_dir_read(test->dir, name, NULL);
    record = json_tokener_parse(text);
    assert_true(record != NULL && changes != NULL);
    end = json_object_iter_end(changes);
    for (at = json_object_iter_begin(changes); !json_object_iter_equal(&at, &end);
         json_object_iter_next(&at)) {
        const char *key = json_object_iter_peek_name(&at);
        struct json_object *value = json_object_iter_peek_value(&at);

        json_object_object_del(record, key);
        if (value != NULL)
            (void)json_object_object_add(record, key, json_object_get(value));
    }
    changed = json_object_to_json_string(record);
    temp_dir_write(test->dir, name, changed, strlen(changed));
}

void cached_images_remove(const struct cached_images *test, const char *id)
{
    char name[PATH_BYTES];

    record_name(id, name);
    assert_int_equal(unlinkat(temp_dir_fd(test->dir), name, 0), 0);
}

static DIR *open_place(const struct cached_images *test, const char *place)
{
    CLEANUP(fd_close) int fd = -1;
    char name[PATH_BYTES];
    DIR *listing;

    (void)snprintf(name, sizeof name, "cache/%s", place);
    fd = openat(temp_dir_fd(test->dir), name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    listing = fd < 0 ? NULL : fdopendir(fd);
    if (listing != NULL)
        (void)steal_fd(&fd);
    return listing;
}

char *cached_images_find(const struct cached_images *test, const char *place, const char *id)
{
    CLEANUP(closedir) DIR *listing = open_place(test, place);
    const struct dirent *entry;
    char *path = NULL;

    while (listing != NULL && path == NULL && (entry = readdir(listing)) != NULL)
        if (strncmp(entry->d_name, id, strlen(id)) == 0)
            assert_true(asprintf(&path, "cache/%s/%s/data", place, entry->d_name) > 0);
    return path;
}

size_t cached_images_count(const struct cached_images *test, const char *place)
{
    CLEANUP(closedir) DIR *listing = open_place(test, place);
    const struct dirent *entry;
    size_t count = 0;

    while (listing != NULL && (entry = readdir(listing)) != NULL)
        count += entry->d_name[0] != '.';
    return count;
}

void cached_images_flip(const struct cached_images *test, const char *id)
{
    CLEANUP(memory_free) char *path = cached_images_find(test, "objects", id);
    CLEANUP(fd_close) int fd = -1;
    char byte;

    assert_non_null(path);
    fd = openat(temp_dir_fd(test->dir), path, O_RDWR | O_CLOEXEC);
    assert_int_equal(pread(fd, &byte, 1, 3), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, 3), 1);
}
