/* SPDX-License-Identifier: Apache-2.0 */
/* An index over a fake cloud, a real cache in a directory of its own and the real codec. */
#ifndef VIEW_BED_H
#define VIEW_BED_H

#include "glancefs/image_view.h"
#include "glancefs/stream_limit.h"
#include "support/fake_cloud.h"
#include "support/temp_dir.h"
#include "support/test_codecs.h"
#include "support/testing.h"

#include <stdint.h>

#define IMAGE_ID "11111111-2222-4333-8444-555555555555"
#define OTHER_ID "99999999-8888-4777-a666-555555555555"
#define KEY_ID "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
#define OTHER_KEY_ID "bbbbbbbb-bbbb-4ccc-8ddd-eeeeeeeeeeee"
#define PASSPHRASE "correct horse"
#define PROJECT "0123456789abcdef0123456789abcdef"

/** Members of the record of an image that is encrypted under KEY_ID. */
#define GPG_MEMBERS "\"os_encrypt_format\": \"GPG\", \"os_encrypt_key_id\": \"" KEY_ID "\""

/** Plaintext of the bed's image: odd, more than one request. */
#define PLAINTEXT_BYTES (1300000 + 7)

struct view_bed {
    struct secure_arena *arena;
    size_t arena_used; /* before the index was made */
    struct temp_dir *dir;
    struct fake_cloud *cloud;
    struct config *config;
    struct identity identity;
    struct ciphertext_cache *cache;
    struct stream_limit *streams; /* made anew with the index */
    struct image_index *index;
    uint8_t *plaintext;
    uint8_t *message; /* the plaintext encrypted with PASSPHRASE */
    size_t message_size;
};

/**
 * Set-up and tear-down of one test in a group opened with crypto_arena_open. The cloud holds IMAGE_ID
 * and the secret KEY_ID. The tear-down fails the test when something secret is left in the arena.
 */
int view_bed_open(void **state);
int view_bed_close(void **state);

/** Makes the index anew with one more option. */
void view_bed_configure(struct view_bed *bed, const char *option, const char *value);

/** Makes cache and index anew, as the next process would. */
void view_bed_restart_cache(struct view_bed *bed);

/** Puts image `id` with the bed's message and these members of its record. */
void view_bed_put(struct view_bed *bed, const char *id, const char *members);

/** Opens image `id`; the test fails when that fails. */
struct read_stream *view_bed_stream(struct view_bed *bed, const char *id);

/** image_index_open without anything to cancel it; a stream that opens is closed. */
int view_bed_try(struct view_bed *bed, const char *id, struct error *err);

/** The image opens and gives exactly the bed's plaintext. */
void assert_image_sound(struct view_bed *bed, const char *id);

/** The index's status; the caller frees it. */
char *view_bed_status(struct view_bed *bed);

#endif
