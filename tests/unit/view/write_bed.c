/* SPDX-License-Identifier: Apache-2.0 */
#include "write_bed.h"

#include "crypto/gmac.h"
#include "support/delay.h"
#include "support/memory_sink.h"
#include "support/memory_source.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* libgcrypt's generator takes memory of the arena with its first key and keeps it. */
static void warm_up(struct secure_arena *arena)
{
    CLEANUP(gmac_key_free) struct gmac_key *key = NULL;
    struct error err = ERROR_INIT;

    (void)gmac_key_new(arena, &key, &err);
}

static void count_seal(void *context, const char *image_id, const struct error *err)
{
    struct write_bed *bed = context;

    (void)image_id;
    if (err != NULL)
        atomic_fetch_add(&bed->failed_seals, 1);
    atomic_fetch_add(&bed->seals, 1);
}

static int make_index(struct write_bed *bed, struct error *err)
{
    const struct write_index_parts parts = {.config = bed->config,
                                            .cloud = fake_cloud_services(bed->cloud),
                                            .codecs = test_codecs(),
                                            .identity = &bed->identity,
                                            .staging = bed->staging,
                                            .arena = bed->arena,
                                            .on_seal = count_seal,
                                            .on_seal_context = bed};

    return write_index_new(&parts, &bed->index, err);
}

int write_bed_open(void **state)
{
    struct write_bed *bed = calloc(1, sizeof *bed);
    struct error err = ERROR_INIT;

    if (bed == NULL)
        return -1;
    bed->arena = *state;
    *state = bed;
    warm_up(bed->arena);
    bed->arena_used = secure_arena_used(bed->arena);
    bed->cloud = fake_cloud_new(bed->arena);
    fake_cloud_set_secret(bed->cloud, KEY_ID, PASSPHRASE);
    fake_cloud_set_secret(bed->cloud, REFUSED_KEY_ID, NULL);
    write_bed_put(bed, IMAGE_ID, "queued", WRITABLE);
    (void)snprintf(bed->identity.project_id, sizeof bed->identity.project_id, "%s", PROJECT);
    bed->staging = fake_staging_new();
    if (config_new(&bed->config, &err) < 0)
        return -1;
    bed->config->write_window_bytes = WINDOW_BYTES;
    return make_index(bed, &err);
}

int write_bed_close(void **state)
{
    struct write_bed *bed = *state;
    size_t left;
    unsigned unsealed;

    write_index_free(bed->index);
    unsealed = fake_staging_unsealed(bed->staging);
    upload_staging_free(bed->staging);
    config_free(bed->config);
    fake_cloud_free(bed->cloud);
    left = secure_arena_used(bed->arena) - bed->arena_used;
    *state = bed->arena;
    free(bed);
    if (left > 0 || unsealed > 0)
        (void)fprintf(stderr, "%zu bytes of locked memory and %u stagings are left\n", left,
                      unsealed);
    return left == 0 && unsealed == 0 ? 0 : -1;
}

void write_bed_put(struct write_bed *bed, const char *id, const char *status, const char *more)
{
    const struct fake_cloud_image image = {
        .id = id, .status = status, .bytes = "", .lacks_hash = true, .more = more};

    fake_cloud_put(bed->cloud, &image);
}

void write_bed_declare(struct write_bed *bed, uint64_t size)
{
    char more[512];

    (void)snprintf(more, sizeof more, WRITABLE ", \"os_decrypt_size\": \"%" PRIu64 "\"", size);
    write_bed_put(bed, IMAGE_ID, "queued", more);
}

struct write_stream *write_bed_open_file(struct write_bed *bed, const char *name, int flags)
{
    struct write_stream *stream = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(write_index_open(bed->index, name, flags, NULL, &stream, &err));
    return stream;
}

void write_bed_write(struct write_stream *stream, const void *bytes, size_t size, uint64_t offset)
{
    struct error err = ERROR_INIT;

    assert_succeeds(write_stream_write(stream, bytes, size, offset, NULL, &err));
}

void write_bed_create(struct write_bed *bed, const void *bytes, size_t size)
{
    struct write_stream *stream =
        write_bed_open_file(bed, IMAGE_PART, O_WRONLY | O_CREAT | O_TRUNC);

    write_bed_write(stream, bytes, size, 0);
    write_stream_close(stream);
}

static int decrypt(struct write_bed *bed, const char *id, struct memory_sink_record *plaintext,
                   struct error *err)
{
    CLEANUP(secure_buffer_free) struct secure_buffer *passphrase = NULL;
    CLEANUP(byte_source_free) struct byte_source *source = NULL;
    CLEANUP(byte_sink_free) struct byte_sink *sink = memory_sink_new(plaintext, NULL);
    size_t size;
    const uint8_t *bytes = fake_staging_bytes(bed->staging, id, &size);

    if (bytes == NULL)
        return error_set(err, ERROR_NOT_FOUND, "nothing is staged");
    source = memory_source_new(bytes, size, NULL);
    if (secure_buffer_copy_of(bed->arena, PASSPHRASE, strlen(PASSPHRASE), &passphrase, err) < 0)
        return -1;
    return codec_decrypt(test_gpg_codec(), bed->arena, source, passphrase, sink, NULL, NULL, err);
}

void assert_staged(struct write_bed *bed, const char *id, const void *bytes, size_t size)
{
    CLEANUP(memory_sink_record) struct memory_sink_record plaintext = {0};
    struct error err = ERROR_INIT;

    assert_succeeds(decrypt(bed, id, &plaintext, &err));
    assert_int_equal(plaintext.size, size);
    if (size > 0)
        assert_memory_equal(plaintext.bytes, bytes, size);
}

void assert_sealed(struct write_bed *bed, const char *id, const void *bytes, size_t size)
{
    char expected[32];

    assert_true(fake_staging_wait_sealed(bed->staging, id));
    assert_staged(bed, id, bytes, size);
    (void)snprintf(expected, sizeof expected, "%zu", size);
    assert_string_equal(fake_staging_property(bed->staging, id, "os_decrypt_size"), expected);
}

void assert_state(struct write_bed *bed, const char *name, const char *state)
{
    CLEANUP(memory_free) char *text = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(
        write_index_get_xattr(bed->index, name, "user.glancefs.state", NULL, &text, &err));
    assert_string_equal(text, state);
}

void assert_absent(struct write_bed *bed, const char *name)
{
    struct write_attributes attributes;
    struct error err = ERROR_INIT;

    assert_fails(ERROR_NOT_FOUND, write_index_lookup(bed->index, name, NULL, &attributes, &err));
}

void assert_file_size(struct write_bed *bed, const char *name, uint64_t size)
{
    struct write_attributes attributes;
    struct error err = ERROR_INIT;

    assert_succeeds(write_index_lookup(bed->index, name, NULL, &attributes, &err));
    assert_string_equal(attributes.name, name);
    assert_int_equal(attributes.size, size);
}

void write_bed_pause(void)
{
    struct error err = ERROR_INIT;

    (void)delay(5, NULL, &err);
}
