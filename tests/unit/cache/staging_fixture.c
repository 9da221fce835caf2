/* SPDX-License-Identifier: Apache-2.0 */
#include "staging_fixture.h"

#include "support/pseudo_random.h"
#include "support/testing.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

/* Delays short enough for a test, long enough to be seen. */
#define FIRST_RETRY_MS 2
#define LAST_RETRY_MS 20

struct upload_staging *staging_fixture_again(const struct staging_fixture *fixture,
                                             const char *cloud, const char *project_id)
{
    const struct upload_staging_parts parts = {.cache_path = fixture->path,
                                               .cloud = cloud,
                                               .project_id = project_id,
                                               .images = fixture->images,
                                               .first_retry_ms = FIRST_RETRY_MS,
                                               .last_retry_ms = LAST_RETRY_MS,
                                               .max_uploads = 2};
    struct upload_staging *staging = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(upload_staging_new(&parts, &staging, &err));
    return staging;
}

int staging_fixture_open(void **state)
{
    struct staging_fixture *fixture = calloc(1, sizeof *fixture);

    if (fixture == NULL)
        return -1;
    fixture->dir = temp_dir_new();
    fixture->path = temp_dir_join(fixture->dir, "cache");
    fixture->size = 300017;
    fixture->bytes = pseudo_random_bytes(7, fixture->size);
    fixture->images = scripted_image_service_new();
    fixture->staging = staging_fixture_again(fixture, CLOUD, PROJECT);
    *state = fixture;
    return 0;
}

int staging_fixture_close(void **state)
{
    struct staging_fixture *fixture = *state;

    upload_staging_free(fixture->staging);
    image_service_free(fixture->images);
    temp_dir_free(fixture->dir);
    free(fixture->path);
    free(fixture->bytes);
    free(fixture);
    return 0;
}

void staging_fixture_restart(struct staging_fixture *fixture)
{
    upload_staging_free(steal(&fixture->staging));
    fixture->staging = staging_fixture_again(fixture, CLOUD, PROJECT);
}

struct staged_upload *staging_fixture_begin(const struct staging_fixture *fixture, const char *id)
{
    struct staged_upload *upload = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(staged_upload_new(fixture->staging, id, &upload, &err));
    assert_succeeds(
        byte_sink_write(staged_upload_sink(upload), fixture->bytes, fixture->size / 2, NULL, &err));
    return upload;
}

void staging_fixture_seal(const struct staging_fixture *fixture, const char *id)
{
    CLEANUP(staged_upload_free)
    struct staged_upload *upload = staging_fixture_begin(fixture, id);
    const size_t half = fixture->size / 2;
    struct error err = ERROR_INIT;

    assert_succeeds(byte_sink_write(staged_upload_sink(upload), fixture->bytes + half,
                                    fixture->size - half, NULL, &err));
    staged_upload_set_plaintext_size(upload, fixture->size - 100);
    assert_succeeds(staged_upload_set_property(upload, "os_decrypt_size", "299917", &err));
    assert_succeeds(byte_sink_commit(staged_upload_sink(upload), NULL, &err));
}

char *staging_fixture_file(const char *id, const char *suffix)
{
    char *path = NULL;

    if (asprintf(&path, "cache/staging/%s%s", id, suffix) < 0)
        abort();
    return path;
}

bool staging_fixture_has(const struct staging_fixture *fixture, const char *id, const char *suffix)
{
    CLEANUP(memory_free) char *path = staging_fixture_file(id, suffix);

    return temp_dir_has(fixture->dir, path);
}

size_t staging_fixture_files(const struct staging_fixture *fixture)
{
    CLEANUP(memory_free) char *path = temp_dir_join(fixture->dir, "cache/staging");
    const struct dirent *entry;
    size_t count = 0;
    DIR *entries = opendir(path);

    assert_non_null(entries);
    while ((entry = readdir(entries)) != NULL)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    (void)closedir(entries);
    return count;
}

enum upload_state staging_fixture_state(struct upload_staging *staging, const char *id)
{
    struct upload_info info;
    struct error err = ERROR_INIT;

    assert_succeeds(upload_staging_query(staging, id, &info, &err));
    return info.state;
}
