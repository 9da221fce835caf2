/* SPDX-License-Identifier: Apache-2.0 */
#include "store_fixture.h"

#include "support/testing.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int open_store_fixture(void **state)
{
    struct store_fixture *fixture = calloc(1, sizeof *fixture);
    struct error err = ERROR_INIT;

    if (fixture == NULL)
        return -1;
    fixture->dir = temp_dir_new();
    fixture->path = temp_dir_join(fixture->dir, "cache");
    fixture->metadata = (struct object_metadata){.image_id = STORE_ID,
                                                 .size = STORE_SIZE,
                                                 .hash_algo = "sha256",
                                                 .hash_value = STORE_SHA256};
    *state = fixture;
    return cache_layout_open(fixture->path, CACHE_COMMAND, &fixture->layout, &err);
}

int close_store_fixture(void **state)
{
    struct store_fixture *fixture = *state;

    cache_layout_free(fixture->layout);
    temp_dir_free(fixture->dir);
    free(fixture->path);
    free(fixture);
    return 0;
}

char *store_path(const struct store_fixture *fixture, enum cache_place place, const char *name,
                 const char *file)
{
    char *path = NULL;

    assert_true(asprintf(&path, "%s/%s/%s%s%s", fixture->path, cache_place_name(place), name,
                         file == NULL ? "" : "/", file == NULL ? "" : file) > 0);
    return path;
}

bool store_has_file(const struct store_fixture *fixture, enum cache_place place, const char *name,
                    const char *file)
{
    CLEANUP(memory_free) char *path = store_path(fixture, place, name, file);
    struct stat status;

    return lstat(path, &status) == 0;
}

size_t store_count(const struct store_fixture *fixture, enum cache_place place)
{
    CLEANUP(memory_free) char *path = store_path(fixture, place, ".", NULL);
    DIR *directory = opendir(path);
    const struct dirent *entry;
    size_t count = 0;

    assert_non_null(directory);
    while ((entry = readdir(directory)) != NULL)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    (void)closedir(directory);
    return count;
}

void store_write(const struct partial_object *partial, const void *bytes, size_t size, off_t offset)
{
    assert_int_equal(pwrite(partial->data_fd, bytes, size, offset), size);
}

int store_fetch(const struct store_fixture *fixture, struct error *err)
{
    CLEANUP(partial_object_free) struct partial_object *partial = NULL;

    if (object_store_begin(fixture->layout, &fixture->metadata, NULL, NULL, &partial, err) < 0 ||
        object_store_grant(partial, &fixture->metadata, err) < 0)
        return -1;
    store_write(partial, STORE_BYTES, STORE_SIZE, 0);
    return object_store_publish(fixture->layout, partial, &fixture->metadata, STORE_NOW_NS, NULL,
                                err);
}

void store_publish(const struct store_fixture *fixture)
{
    struct error err = ERROR_INIT;

    assert_succeeds(store_fetch(fixture, &err));
}

void store_leave_partial(const struct store_fixture *fixture, size_t size)
{
    CLEANUP(partial_object_free) struct partial_object *partial = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(
        object_store_begin(fixture->layout, &fixture->metadata, NULL, NULL, &partial, &err));
    assert_succeeds(object_store_grant(partial, &fixture->metadata, &err));
    store_write(partial, STORE_BYTES, size, 0);
}

void assert_store_object_is_right(const struct store_fixture *fixture)
{
    CLEANUP(fd_close) int fd = -1;
    struct object_metadata metadata;
    struct error err = ERROR_INIT;
    char bytes[STORE_SIZE + 1];

    assert_succeeds(
        object_store_open(fixture->layout, STORE_NAME, STORE_NOW_NS, &fd, &metadata, &err));
    assert_int_equal(pread(fd, bytes, sizeof bytes, 0), STORE_SIZE);
    assert_memory_equal(bytes, STORE_BYTES, STORE_SIZE);
    assert_true(object_metadata_is_same(&metadata, &fixture->metadata));
    assert_true(object_store_has(fixture->layout, &fixture->metadata));
}
