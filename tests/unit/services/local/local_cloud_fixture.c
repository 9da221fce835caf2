/* SPDX-License-Identifier: Apache-2.0 */
#include "local_cloud_fixture.h"

#include "support/memory_source.h"
#include "support/testing.h"

#include <stdio.h>
#include <sys/stat.h>

struct local_cloud_fixture *local_cloud_fixture_new(struct secure_arena *arena)
{
    struct local_cloud_fixture *fixture = calloc(1, sizeof *fixture);
    struct error err;

    assert_non_null(fixture);
    fixture->dir = temp_dir_new();
    (void)snprintf(fixture->name, sizeof fixture->name, "local:%s", temp_dir_path(fixture->dir));
    assert_succeeds(cloud_open(fixture->name, NULL, arena, &fixture->cloud, &err));
    return fixture;
}

void local_cloud_fixture_free(struct local_cloud_fixture *fixture)
{
    if (fixture == NULL)
        return;
    cloud_free(fixture->cloud);
    temp_dir_free(fixture->dir);
    free(fixture);
}

static void write_file(struct local_cloud_fixture *fixture, const char *directory, const char *id,
                       const char *suffix, const char *text)
{
    char name[128];

    (void)mkdirat(temp_dir_fd(fixture->dir), directory, 0700);
    (void)snprintf(name, sizeof name, "%s/%s%s", directory, id, suffix);
    temp_dir_write(fixture->dir, name, text, strlen(text));
}

void write_image_file(struct local_cloud_fixture *fixture, const char *id, const char *suffix,
                      const char *text)
{
    write_file(fixture, "images", id, suffix, text);
}

void write_secret_file(struct local_cloud_fixture *fixture, const char *id, const char *suffix,
                       const char *text)
{
    write_file(fixture, "secrets", id, suffix, text);
}

void create_image(struct local_cloud_fixture *fixture, const char *id)
{
    const struct image_property properties[] = {
        {"id", id}, {"disk_format", "raw"}, {"container_format", "encrypted"}};
    CLEANUP(image_record_unref) struct image_record *record = NULL;
    struct error err;

    assert_succeeds(image_service_create(fixture->cloud->images, properties,
                                         ELEMENTS_OF(properties), NULL, &record, &err));
}

void create_active_image(struct local_cloud_fixture *fixture, const char *id, const void *bytes,
                         size_t size)
{
    CLEANUP(byte_source_free) struct byte_source *data = memory_source_new(bytes, size, NULL);
    struct error err;

    create_image(fixture, id);
    assert_succeeds(image_service_upload(fixture->cloud->images, id, data, NULL, &err));
}

enum image_status status_of(struct local_cloud_fixture *fixture, const char *id)
{
    CLEANUP(image_record_unref) struct image_record *record = NULL;
    struct error err;

    assert_succeeds(image_service_get(fixture->cloud->images, id, NULL, &record, &err));
    return image_record_status(record);
}
