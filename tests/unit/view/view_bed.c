/* SPDX-License-Identifier: Apache-2.0 */
#include "view_bed.h"

#include "glancefs/limits.h"
#include "stream_reader.h"
#include "support/memory_sink.h"
#include "support/pseudo_random.h"

#include <stdlib.h>
#include <string.h>

/* The plaintext as a message to PASSPHRASE, on the heap. */
static int encrypt(struct view_bed *bed, struct error *err)
{
    struct memory_sink_record record = {0};
    CLEANUP(secure_buffer_free) struct secure_buffer *passphrase = NULL;
    CLEANUP(byte_sink_free) struct byte_sink *ciphertext = memory_sink_new(&record, NULL);
    CLEANUP(byte_sink_free) struct byte_sink *sink = NULL;

    if (secure_buffer_copy_of(bed->arena, PASSPHRASE, strlen(PASSPHRASE), &passphrase, err) < 0 ||
        codec_open_sink(test_gpg_codec(), bed->arena, passphrase, PLAINTEXT_BYTES, ciphertext,
                        &sink, err) < 0 ||
        byte_sink_write(sink, bed->plaintext, PLAINTEXT_BYTES, NULL, err) < 0 ||
        byte_sink_commit(sink, NULL, err) < 0)
        return -1;
    bed->message = record.bytes;
    bed->message_size = record.size;
    return 0;
}

static int make_index(struct view_bed *bed, struct error *err)
{
    stream_limit_free(steal(&bed->streams));
    if (stream_limit_new(bed->config->max_streams, &bed->streams, err) < 0)
        return -1;
    const struct image_index_parts parts = {.config = bed->config,
                                            .version = "1.2.3",
                                            .cloud = fake_cloud_services(bed->cloud),
                                            .codecs = test_codecs(),
                                            .identity = &bed->identity,
                                            .cache = bed->cache,
                                            .arena = bed->arena,
                                            .streams = bed->streams};

    return image_index_new(&parts, &bed->index, err);
}

static int open_cache(struct view_bed *bed, struct error *err)
{
    CLEANUP(memory_free) char *cache = temp_dir_join(bed->dir, "cache");
    const struct ciphertext_cache_parts parts = {.path = cache,
                                                 .images = fake_cloud_services(bed->cloud)->images,
                                                 .arena = bed->arena,
                                                 .require_hash = true};

    return ciphertext_cache_new(&parts, &bed->cache, err);
}

static int fill(struct view_bed *bed, struct error *err)
{
    if (config_new(&bed->config, err) < 0 ||
        config_set(bed->config, "cloud", "local:/fake", "test", err) < 0 ||
        config_set(bed->config, "max_streams", "4", "test", err) < 0 || encrypt(bed, err) < 0 ||
        open_cache(bed, err) < 0)
        return -1;
    view_bed_put(bed, IMAGE_ID, GPG_MEMBERS);
    fake_cloud_set_secret(bed->cloud, KEY_ID, PASSPHRASE);
    return make_index(bed, err);
}

int view_bed_open(void **state)
{
    struct view_bed *bed = calloc(1, sizeof *bed);
    struct error err = ERROR_INIT;

    if (bed == NULL)
        return -1;
    bed->arena = *state;
    bed->arena_used = secure_arena_used(bed->arena);
    bed->dir = temp_dir_new();
    bed->cloud = fake_cloud_new(bed->arena);
    bed->plaintext = pseudo_random_bytes(3, PLAINTEXT_BYTES);
    if (fill(bed, &err) < 0) {
        print_error("%s\n", err.message);
        return -1;
    }
    *state = bed;
    return 0;
}

int view_bed_close(void **state)
{
    struct view_bed *bed = *state;
    size_t left;

    image_index_free(bed->index);
    stream_limit_free(bed->streams);
    ciphertext_cache_free(bed->cache);
    config_free(bed->config);
    fake_cloud_free(bed->cloud);
    temp_dir_free(bed->dir);
    left = secure_arena_used(bed->arena) - bed->arena_used;
    *state = bed->arena;
    free(bed->plaintext);
    free(bed->message);
    free(bed);
    return left == 0 ? 0 : -1;
}

void view_bed_configure(struct view_bed *bed, const char *option, const char *value)
{
    struct error err = ERROR_INIT;

    image_index_free(bed->index);
    bed->index = NULL;
    assert_succeeds(config_set(bed->config, option, value, "test", &err));
    assert_succeeds(make_index(bed, &err));
}

void view_bed_restart_cache(struct view_bed *bed)
{
    struct error err = ERROR_INIT;

    image_index_free(bed->index);
    ciphertext_cache_free(bed->cache);
    bed->index = NULL;
    bed->cache = NULL;
    assert_succeeds(open_cache(bed, &err));
    assert_succeeds(make_index(bed, &err));
}

void view_bed_put(struct view_bed *bed, const char *id, const char *members)
{
    fake_cloud_put(bed->cloud, &(struct fake_cloud_image){.id = id,
                                                          .bytes = bed->message,
                                                          .size = bed->message_size,
                                                          .more = members});
}

struct read_stream *view_bed_stream(struct view_bed *bed, const char *id)
{
    struct read_stream *stream = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(image_index_open(bed->index, id, NULL, &stream, &err));
    return stream;
}

int view_bed_try(struct view_bed *bed, const char *id, struct error *err)
{
    struct read_stream *stream = NULL;
    const int result = image_index_open(bed->index, id, NULL, &stream, err);

    read_stream_close(stream);
    return result;
}

void assert_image_sound(struct view_bed *bed, const char *id)
{
    CLEANUP(read_stream_close) struct read_stream *stream = view_bed_stream(bed, id);

    assert_int_equal(read_stream_size(stream), PLAINTEXT_BYTES);
    assert_stream_gives(stream, 0, bed->plaintext, PLAINTEXT_BYTES, FUSE_REQUEST_BYTES);
}

char *view_bed_status(struct view_bed *bed)
{
    struct error err = ERROR_INIT;
    char *text = NULL;

    assert_succeeds(image_index_status(bed->index, &text, &err));
    return text;
}
