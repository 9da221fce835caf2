/* SPDX-License-Identifier: Apache-2.0 */
/* Files written over the real staging into a local cloud: what becomes active, and when. */
#include "glancefs/write_index.h"

#include "crypto/gmac.h"
#include "glancefs/limits.h"
#include "support/crypto_arena.h"
#include "support/memory_sink.h"
#include "support/memory_source.h"
#include "support/pseudo_random.h"
#include "support/temp_dir.h"
#include "support/test_codecs.h"
#include "support/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#define IMAGE_ID "11111111-2222-4333-8444-555555555555"
#define IMAGE_PART IMAGE_ID ".part"
#define PASSPHRASE "open sesame"
#define NAME_BYTES 4096

struct bed {
    struct secure_arena *arena;
    struct temp_dir *dir;
    struct temp_dir *cache;
    char cloud_name[NAME_BYTES];
    struct cloud *cloud;
    struct config *config;
    struct identity identity;
    struct upload_staging *staging;
    struct write_index *index;
};

static void store_key(struct bed *bed, char ret_id[37])
{
    const struct secret_metadata metadata = {.secret_type = "passphrase"};
    CLEANUP(secure_buffer_free) struct secure_buffer *payload = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(
        secure_buffer_copy_of(bed->arena, PASSPHRASE, strlen(PASSPHRASE), &payload, &err));
    assert_succeeds(key_manager_store(bed->cloud->keys, &metadata, payload, NULL, ret_id, &err));
}

static void create_image(struct bed *bed)
{
    CLEANUP(image_record_unref) struct image_record *record = NULL;
    struct error err = ERROR_INIT;
    char key_id[37];

    store_key(bed, key_id);
    const struct image_property properties[] = {{"id", IMAGE_ID},
                                                {"disk_format", "raw"},
                                                {"container_format", "bare"},
                                                {"os_encrypt_format", "GPG"},
                                                {"os_encrypt_key_id", key_id}};
    assert_succeeds(image_service_create(bed->cloud->images, properties, ELEMENTS_OF(properties),
                                         NULL, &record, &err));
}

/* Staging and index as a daemon that starts has them; the worker only when asked for. */
static void start(struct bed *bed, bool uploads)
{
    const struct upload_staging_parts staging = {.cache_path = temp_dir_path(bed->cache),
                                                 .cloud = bed->cloud_name,
                                                 .project_id = bed->identity.project_id,
                                                 .images = bed->cloud->images,
                                                 .first_retry_ms = 10,
                                                 .last_retry_ms = 100,
                                                 .max_uploads = 2};
    struct error err = ERROR_INIT;

    assert_succeeds(upload_staging_new(&staging, &bed->staging, &err));
    if (uploads)
        assert_succeeds(upload_staging_start(bed->staging, &err));
    const struct write_index_parts index = {.config = bed->config,
                                            .cloud = bed->cloud,
                                            .codecs = test_codecs(),
                                            .identity = &bed->identity,
                                            .staging = bed->staging,
                                            .arena = bed->arena};
    assert_succeeds(write_index_new(&index, &bed->index, &err));
}

static void stop(struct bed *bed)
{
    write_index_free(steal(&bed->index));
    upload_staging_free(steal(&bed->staging));
}

static int open_bed(void **state)
{
    CLEANUP(gmac_key_free) struct gmac_key *warm_up = NULL;
    struct bed *bed = calloc(1, sizeof *bed);
    struct error err = ERROR_INIT;

    if (bed == NULL)
        return -1;
    bed->arena = *state;
    *state = bed;
    bed->dir = temp_dir_new();
    bed->cache = temp_dir_new();
    (void)snprintf(bed->cloud_name, sizeof bed->cloud_name, "local:%s", temp_dir_path(bed->dir));
    if (gmac_key_new(bed->arena, &warm_up, &err) < 0 ||
        cloud_open(bed->cloud_name, NULL, bed->arena, &bed->cloud, &err) < 0 ||
        config_new(&bed->config, &err) < 0 ||
        identity_service_identify(bed->cloud->identity, NULL, &bed->identity, &err) < 0)
        return -1;
    bed->config->write_window_bytes = 1 * MIB;
    return 0;
}

static int close_bed(void **state)
{
    struct bed *bed = *state;

    stop(bed);
    config_free(bed->config);
    cloud_free(bed->cloud);
    temp_dir_free(bed->cache);
    temp_dir_free(bed->dir);
    *state = bed->arena;
    free(bed);
    return 0;
}

static void write_file(struct bed *bed, const char *name, const void *bytes, size_t size)
{
    CLEANUP(write_stream_close) struct write_stream *stream = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(
        write_index_open(bed->index, name, O_WRONLY | O_CREAT | O_TRUNC, NULL, &stream, &err));
    assert_succeeds(write_stream_write(stream, bytes, size, 0, NULL, &err));
    assert_succeeds(write_stream_flush(stream, false, &err));
}

/* What the cloud holds is active and decrypts to these bytes. */
static void assert_active(struct bed *bed, const void *bytes, size_t size)
{
    CLEANUP(image_record_unref) struct image_record *record = NULL;
    CLEANUP(memory_sink_record) struct memory_sink_record stored = {0};
    CLEANUP(memory_sink_record) struct memory_sink_record plaintext = {0};
    CLEANUP(byte_sink_free) struct byte_sink *store = memory_sink_new(&stored, NULL);
    CLEANUP(byte_sink_free) struct byte_sink *plain = memory_sink_new(&plaintext, NULL);
    CLEANUP(byte_source_free) struct byte_source *source = NULL;
    CLEANUP(secure_buffer_free) struct secure_buffer *passphrase = NULL;
    struct error err = ERROR_INIT;
    char expected[32];

    assert_succeeds(image_service_get(bed->cloud->images, IMAGE_ID, NULL, &record, &err));
    assert_int_equal(image_record_status(record), IMAGE_STATUS_ACTIVE);
    (void)snprintf(expected, sizeof expected, "%zu", size);
    assert_string_equal(image_record_property(record, "os_decrypt_size"), expected);
    assert_string_equal(image_record_property(record, "os_decrypt_container_format"), "bare");
    assert_succeeds(image_service_download(bed->cloud->images, record, 0, store, NULL, &err));
    source = memory_source_new(stored.bytes, stored.size, NULL);
    assert_succeeds(
        secure_buffer_copy_of(bed->arena, PASSPHRASE, strlen(PASSPHRASE), &passphrase, &err));
    assert_succeeds(
        codec_decrypt(test_gpg_codec(), bed->arena, source, passphrase, plain, NULL, NULL, &err));
    assert_int_equal(plaintext.size, size);
    assert_memory_equal(plaintext.bytes, bytes, size);
}

static void assert_state(struct bed *bed, const char *expected)
{
    CLEANUP(memory_free) char *text = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(
        write_index_get_xattr(bed->index, IMAGE_ID, "user.glancefs.state", NULL, &text, &err));
    assert_string_equal(text, expected);
}

static void a_renamed_file_becomes_the_active_image(void **state)
{
    const size_t size = 3 * MIB + 11;
    CLEANUP(memory_free) uint8_t *bytes = pseudo_random_bytes(1, size);
    CLEANUP(write_stream_close) struct write_stream *stream = NULL;
    struct bed *bed = *state;
    struct error err = ERROR_INIT;

    create_image(bed);
    start(bed, true);
    write_file(bed, IMAGE_PART, bytes, size);
    assert_succeeds(write_index_rename(bed->index, IMAGE_PART, IMAGE_ID, 0, NULL, &err));
    assert_succeeds(upload_staging_wait(bed->staging, IMAGE_ID, NULL, &err));
    assert_state(bed, "active");
    assert_active(bed, bytes, size);
    assert_fails(ERROR_EXISTS,
                 write_index_open(bed->index, IMAGE_PART, O_WRONLY | O_CREAT, NULL, &stream, &err));
}

static void a_sealed_file_survives_the_daemon(void **state)
{
    CLEANUP(memory_free) uint8_t *bytes = pseudo_random_bytes(2, 1 * MIB);
    CLEANUP(write_stream_close) struct write_stream *stream = NULL;
    struct bed *bed = *state;
    struct error err = ERROR_INIT;

    create_image(bed);
    start(bed, false);
    write_file(bed, IMAGE_PART, bytes, 1 * MIB);
    assert_succeeds(write_index_rename(bed->index, IMAGE_PART, IMAGE_ID, 0, NULL, &err));
    assert_state(bed, "sealed");
    stop(bed);
    start(bed, false);
    assert_state(bed, "sealed");
    assert_fails(ERROR_EXISTS,
                 write_index_open(bed->index, IMAGE_PART, O_WRONLY | O_CREAT, NULL, &stream, &err));
    stop(bed);
    start(bed, true);
    assert_succeeds(upload_staging_wait(bed->staging, IMAGE_ID, NULL, &err));
    assert_active(bed, bytes, 1 * MIB);
}

static void an_unsealed_file_does_not(void **state)
{
    struct bed *bed = *state;
    struct write_attributes attributes;
    struct error err = ERROR_INIT;

    create_image(bed);
    start(bed, true);
    write_file(bed, IMAGE_PART, "hello", 5);
    stop(bed);
    start(bed, true);
    assert_fails(ERROR_NOT_FOUND,
                 write_index_lookup(bed->index, IMAGE_PART, NULL, &attributes, &err));
    assert_state(bed, "queued");
    write_file(bed, IMAGE_PART, "again", 5);
    assert_succeeds(write_index_rename(bed->index, IMAGE_PART, IMAGE_ID, 0, NULL, &err));
    assert_succeeds(upload_staging_wait(bed->staging, IMAGE_ID, NULL, &err));
    assert_active(bed, "again", 5);
}

static void removing_and_starting_anew_finds_the_way_free(void **state)
{
    CLEANUP(memory_free) uint8_t *bytes = pseudo_random_bytes(3, 2 * MIB);
    struct bed *bed = *state;
    struct error err = ERROR_INIT;

    create_image(bed);
    start(bed, true);
    for (int round = 0; round < 3; round++) {
        write_file(bed, IMAGE_PART, bytes, 2 * MIB);
        write_file(bed, IMAGE_PART, bytes, 2 * MIB);
        assert_succeeds(write_index_remove(bed->index, IMAGE_PART, NULL, &err));
    }
    write_file(bed, IMAGE_PART, bytes, 2 * MIB);
    assert_succeeds(write_index_set_xattr(bed->index, IMAGE_PART, "user.glancefs.commit",
                                          "size=2097152", strlen("size=2097152"), NULL, &err));
    assert_succeeds(upload_staging_wait(bed->staging, IMAGE_ID, NULL, &err));
    assert_active(bed, bytes, 2 * MIB);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_renamed_file_becomes_the_active_image, open_bed,
                                        close_bed),
        cmocka_unit_test_setup_teardown(a_sealed_file_survives_the_daemon, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(an_unsealed_file_does_not, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(removing_and_starting_anew_finds_the_way_free, open_bed,
                                        close_bed),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
