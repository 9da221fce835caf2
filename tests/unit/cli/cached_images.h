/* SPDX-License-Identifier: Apache-2.0 */
/* A local cloud with images, and the cache that commands keep for it. */
#ifndef TESTS_CLI_CACHED_IMAGES_H
#define TESTS_CLI_CACHED_IMAGES_H

#include "program.h"

#include <stdbool.h>

#define IMAGE_ID "11111111-2222-4333-8444-555555555555"
#define OTHER_ID "99999999-8888-4777-a666-555555555555"
#define DATA "ciphertext, as far as anybody here knows"
#define OTHER_DATA "other ciphertext"

struct cached_images {
    struct temp_dir *dir;
    char *cloud; /* "local:DIR/cloud" */
    char *cache; /* made by the first fetch */
};

/** Set-up and tear-down of a cmocka test whose state is a struct cached_images. */
int cached_images_begin(void **state);
int cached_images_end(void **state);

/** An active image with DATA; `more` are further arguments of `images add` or NULL. */
void cached_images_add(const struct cached_images *test, const char *id, const char *data,
                       const char *more);

/** Puts the members of a JSON object into the image's record; null takes one away. */
void cached_images_alter(const struct cached_images *test, const char *id, const char *members);

/** Deletes the image from the cloud. */
void cached_images_remove(const struct cached_images *test, const char *id);

/** The path, relative to the directory, of the one entry of CACHE/<place> that begins with `id`,
 *  with "/data" behind it; NULL when there is none. The caller frees it. */
char *cached_images_find(const struct cached_images *test, const char *place, const char *id);

/** Entries in CACHE/<place>. */
size_t cached_images_count(const struct cached_images *test, const char *place);

/** Changes a bit of the cached data of `id`, which must be complete. */
void cached_images_flip(const struct cached_images *test, const char *id);

/** `RUN_FETCH(test, IMAGE_ID)` */
#define RUN_FETCH(test, ...)                                                                       \
    RUN((test)->dir, NULL, "fetch", "--cloud", (test)->cloud, "--cache", (test)->cache, __VA_ARGS__)

/** `RUN_CACHE(test, "list", "--json")`: asks no cloud. */
#define RUN_CACHE(test, ...) RUN((test)->dir, NULL, "cache", __VA_ARGS__, "--cache", (test)->cache)

/** `RUN_CLOUD_CACHE(test, "prune")`: with the cloud named. */
#define RUN_CLOUD_CACHE(test, ...) RUN_CACHE(test, __VA_ARGS__, "--cloud", (test)->cloud)

/** For cmocka: the run ended with this exit code; else both of its outputs are shown. */
#define assert_exit(run, code)                                                                     \
    do {                                                                                           \
        if ((run)->exit_code != (code))                                                            \
            fail_msg("exit code %d: %s%s", (run)->exit_code, (run)->output, (run)->errors);        \
    } while (0)

#endif
