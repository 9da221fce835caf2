/* SPDX-License-Identifier: Apache-2.0 */
/* A local cloud in a directory of one test's own. Failures fail the test. */
#ifndef TESTS_LOCAL_CLOUD_FIXTURE_H
#define TESTS_LOCAL_CLOUD_FIXTURE_H

#include "glancefs/cleanup.h"
#include "glancefs/cloud.h"
#include "support/temp_dir.h"

/** Ids for records and secrets written by hand. */
#define IMAGE_ID "7b97a3a7-3d5c-4b6f-9f4e-2f1f3a5d9c10"
#define OTHER_ID "11111111-2222-4333-8444-555555555555"
#define KEY_ID "c2fb7546-e548-4e8b-9a3b-78ee2a3dd3d1"

struct local_cloud_fixture {
    struct temp_dir *dir;
    struct cloud *cloud;
    char name[4096]; /* "local:DIR" */
};

/** An empty cloud; secrets live in `arena`. */
struct local_cloud_fixture *local_cloud_fixture_new(struct secure_arena *arena);

/** Closes the cloud and removes its directory. */
void local_cloud_fixture_free(struct local_cloud_fixture *fixture);
DEFINE_CLEANUP(struct local_cloud_fixture, local_cloud_fixture_free)

/** Writes `text` as images/<id><suffix> ("images" is made when absent). */
void write_image_file(struct local_cloud_fixture *fixture, const char *id, const char *suffix,
                      const char *text);

/** Writes `text` as secrets/<id><suffix>. */
void write_secret_file(struct local_cloud_fixture *fixture, const char *id, const char *suffix,
                       const char *text);

/** Creates a queued image with both formats set. */
void create_image(struct local_cloud_fixture *fixture, const char *id);

/** Creates an image and makes `size` bytes its data. */
void create_active_image(struct local_cloud_fixture *fixture, const char *id, const void *bytes,
                         size_t size);

/** The status that get answers. */
enum image_status status_of(struct local_cloud_fixture *fixture, const char *id);

#endif
