/* SPDX-License-Identifier: Apache-2.0 */
/* Upload staging in a directory of its own before a scripted image service. */
#ifndef STAGING_FIXTURE_H
#define STAGING_FIXTURE_H

#include "glancefs/upload_staging.h"
#include "support/scripted_image_service.h"
#include "support/temp_dir.h"

#include <stdint.h>

#define IMAGE_ID "11111111-2222-4333-8444-555555555555"
#define OTHER_ID "99999999-8888-4777-a666-555555555555"
#define THIRD_ID "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"

#define CLOUD "local:/srv/cloud"
#define PROJECT "5f0c3a7e9d1b4c6f8a2e4d6c8b0a1f3e"

struct staging_fixture {
    struct temp_dir *dir; /* holds the cache, "cache" */
    char *path;           /* of the cache */
    struct image_service *images;
    struct upload_staging *staging;
    uint8_t *bytes; /* what is staged by default */
    size_t size;    /* some pieces of it, odd */
};

/** Set-up and tear-down of one test in a group opened with crypto_arena_open. */
int staging_fixture_open(void **state);
int staging_fixture_close(void **state);

/** The same directory as another process, or the next one, finds it; caller frees. */
struct upload_staging *staging_fixture_again(const struct staging_fixture *fixture,
                                             const char *cloud, const char *project_id);

/** The same staging as after a restart. */
void staging_fixture_restart(struct staging_fixture *fixture);

/** Stages and seals the default bytes for image `id`. */
void staging_fixture_seal(const struct staging_fixture *fixture, const char *id);

/** A staged upload of image `id` with half of the default bytes; caller frees. */
struct staged_upload *staging_fixture_begin(const struct staging_fixture *fixture, const char *id);

/** The path of a file of image `id` in the staging directory ("cache/staging/<id>.data") below
 *  `dir`; caller frees. */
char *staging_fixture_file(const char *id, const char *suffix);

/** True when that file exists. */
bool staging_fixture_has(const struct staging_fixture *fixture, const char *id, const char *suffix);

/** Files in the staging directory. */
size_t staging_fixture_files(const struct staging_fixture *fixture);

/** The state of the upload of image `id`, which must be there. */
enum upload_state staging_fixture_state(struct upload_staging *staging, const char *id);

#endif
