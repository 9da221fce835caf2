/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and reading images under verify=stream, and opening again what was verified. */
#include "glancefs/limits.h"
#include "stream_reader.h"
#include "support/crypto_arena.h"
#include "support/delay.h"
#include "view_bed.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int open_bed(void **state)
{
    if (view_bed_open(state) < 0)
        return -1;
    view_bed_configure(*state, "verify", "stream");
    return 0;
}

static void assert_status_has(struct view_bed *bed, const char *text)
{
    CLEANUP(memory_free) char *status = view_bed_status(bed);

    if (strstr(status, text) == NULL)
        fail_msg("no %s in %s", text, status);
}

/* The bed's image with one byte of its message wrong; the record's hash fits it. */
static void put_damaged(struct view_bed *bed, size_t at)
{
    bed->message[at] ^= 1;
    view_bed_put(bed, IMAGE_ID, GPG_MEMBERS);
}

static void gives_the_whole_image(void **state)
{
    struct view_bed *bed = *state;

    assert_image_sound(bed, IMAGE_ID);
    assert_status_has(bed, "\"verify\": \"stream\"");
    assert_status_has(bed, "\"verifications\": 1");
}

static void gives_bytes_while_the_image_arrives(void **state)
{
    struct view_bed *bed = *state;
    CLEANUP(read_stream_close) struct read_stream *stream = NULL;
    uint8_t bytes[4096];
    struct error err = ERROR_INIT;
    size_t got;

    fake_cloud_set_delays(bed->cloud, (struct fake_cloud_delays){.download_ms = 100});
    stream = view_bed_stream(bed, IMAGE_ID);
    assert_succeeds(stream_read(stream, bytes, sizeof bytes, 0, NULL, &got, &err));
    assert_int_equal(got, sizeof bytes);
    assert_memory_equal(bytes, bed->plaintext, sizeof bytes);
    assert_int_equal(fake_cloud_calls(bed->cloud).running_downloads, 1);
    assert_status_has(bed, "\"verified\": false");
    assert_succeeds(read_stream_flush(stream, &err));
}

static void an_image_that_arrived_is_a_verified_one(void **state)
{
    struct view_bed *bed = *state;
    CLEANUP(read_stream_close) struct read_stream *first = view_bed_stream(bed, IMAGE_ID);
    CLEANUP(read_stream_close) struct read_stream *second = NULL;

    assert_stream_gives(first, 0, bed->plaintext, PLAINTEXT_BYTES, FUSE_REQUEST_BYTES);
    second = view_bed_stream(bed, IMAGE_ID);
    assert_stream_gives(second, 0, bed->plaintext, PLAINTEXT_BYTES, 4096);
    assert_int_equal(fake_cloud_calls(bed->cloud).payloads, 2);
    assert_status_has(bed, "\"verifications\": 1");
    assert_status_has(bed, "\"reopens\": 0");
}

/* Reads the image until it had to be opened again: a stream is closed a moment before its image. */
static void assert_opens_again_without_a_pass(struct view_bed *bed)
{
    bool is_reopened = false;

    for (int i = 0; i < 1000 && !is_reopened; i++) {
        CLEANUP(memory_free) char *status = NULL;

        assert_image_sound(bed, IMAGE_ID);
        status = view_bed_status(bed);
        is_reopened = strstr(status, "\"reopens\": 0") == NULL;
    }
    assert_true(is_reopened);
    assert_status_has(bed, "\"verifications\": 1");
    assert_int_equal(fake_cloud_calls(bed->cloud).downloads, 1);
}

static void an_image_that_was_verified_needs_no_second_pass(void **state)
{
    assert_opens_again_without_a_pass(*state);
}

static void neither_does_one_under_verify_first(void **state)
{
    assert_status_has(*state, "\"verify\": \"first\"");
    assert_opens_again_without_a_pass(*state);
}

static void another_passphrase_does_not_open_it(void **state)
{
    struct view_bed *bed = *state;
    struct error err = ERROR_INIT;

    assert_image_sound(bed, IMAGE_ID);
    fake_cloud_set_secret(bed->cloud, KEY_ID, "another one");
    assert_fails(ERROR_CORRUPT, view_bed_try(bed, IMAGE_ID, &err));
    fake_cloud_set_secret(bed->cloud, KEY_ID, PASSPHRASE);
    assert_image_sound(bed, IMAGE_ID);
}

static void other_content_is_verified_anew(void **state)
{
    struct view_bed *bed = *state;
    CLEANUP(read_stream_close) struct read_stream *stream = NULL;
    uint8_t byte;
    struct error err = ERROR_INIT;
    size_t got;

    assert_image_sound(bed, IMAGE_ID);
    put_damaged(bed, bed->message_size - 1);
    stream = view_bed_stream(bed, IMAGE_ID);
    assert_fails(ERROR_CORRUPT,
                 stream_read(stream, &byte, 1, 0, NULL, &got, &err) < 0
                     ? -1
                     : stream_read(stream, bed->message, PLAINTEXT_BYTES / 2, 1, NULL, &got, &err));
}

static void every_read_and_the_flush_fail_once_it_turned_out_damaged(void **state)
{
    struct view_bed *bed = *state;
    CLEANUP(read_stream_close) struct read_stream *stream = NULL;
    uint8_t bytes[1000];
    struct error err = ERROR_INIT;
    size_t got;

    put_damaged(bed, bed->message_size - 1);
    stream = view_bed_stream(bed, IMAGE_ID);
    assert_succeeds(stream_read(stream, bytes, sizeof bytes, 0, NULL, &got, &err));
    assert_memory_equal(bytes, bed->plaintext, sizeof bytes);
    assert_succeeds(read_stream_flush(stream, &err));
    for (int i = 0; i < 2; i++)
        assert_fails(ERROR_CORRUPT, stream_read(stream, bed->message, FUSE_REQUEST_BYTES,
                                                sizeof bytes, NULL, &got, &err));
    assert_fails(ERROR_CORRUPT, stream_read(stream, bytes, 1, 0, NULL, &got, &err));
    assert_fails(ERROR_CORRUPT, read_stream_flush(stream, &err));
    assert_int_equal(err.errnum, EBADMSG);
    assert_status_has(bed, "\"verifications\": 0");
    assert_status_has(bed, "\"failed_verifications\": 1");
}

/* Changes one byte of the copy in the cache, which no process has open now. */
static void damage_copy(struct view_bed *bed, size_t at)
{
    CLEANUP(memory_free) char *objects = temp_dir_join(bed->dir, "cache/objects");
    CLEANUP(memory_free) char *path = NULL;
    CLEANUP(fd_close) int fd = -1;
    struct dirent *entry;
    DIR *directory;
    uint8_t byte;

    view_bed_restart_cache(bed);
    directory = opendir(objects);
    assert_non_null(directory);
    while ((entry = readdir(directory)) != NULL)
        if (path == NULL && entry->d_name[0] != '.')
            assert_true(asprintf(&path, "%s/%s/data", objects, entry->d_name) > 0);
    (void)closedir(directory);
    assert_non_null(path);
    fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
    byte ^= 0x80;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
}

static void a_damaged_copy_that_the_codec_refuses_is_fetched_again(void **state)
{
    struct view_bed *bed = *state;
    const size_t places[] = {0, 8, 38};

    for (size_t i = 0; i < ELEMENTS_OF(places); i++) {
        assert_image_sound(bed, IMAGE_ID);
        damage_copy(bed, places[i]);
        assert_image_sound(bed, IMAGE_ID);
        assert_int_equal(fake_cloud_calls(bed->cloud).downloads, i + 2);
    }
}

static void a_cancelled_read_does_not_end_the_stream(void **state)
{
    struct view_bed *bed = *state;
    CLEANUP(read_stream_close) struct read_stream *stream = NULL;
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    CLEANUP(memory_free) uint8_t *bytes = malloc(FUSE_REQUEST_BYTES);
    struct pending_read read;
    struct error err = ERROR_INIT;
    size_t got;

    assert_succeeds(cancel_new(&cancel, &err));
    fake_cloud_set_delays(bed->cloud, (struct fake_cloud_delays){.download_ms = 20});
    stream = view_bed_stream(bed, IMAGE_ID);
    pending_read_start(&read, stream, bytes, FUSE_REQUEST_BYTES, 0, cancel);
    (void)delay(20, NULL, &err);
    cancel_request(cancel);
    assert_fails(ERROR_CANCELLED, pending_read_finish(&read, &got, &err));
    assert_succeeds(read_stream_flush(stream, &err));
    assert_stream_gives(stream, 0, bed->plaintext, PLAINTEXT_BYTES, FUSE_REQUEST_BYTES);
}

/* As the parts of one large asynchronous read do, whichever of them comes first. */
static void a_read_behind_the_end_waits_for_those_before_it(void **state)
{
    struct view_bed *bed = *state;
    CLEANUP(read_stream_close) struct read_stream *stream = view_bed_stream(bed, IMAGE_ID);
    CLEANUP(memory_free) uint8_t *bytes = malloc(FUSE_REQUEST_BYTES);
    struct pending_read read;
    struct error err = ERROR_INIT;
    size_t got;

    assert_int_equal(read_stream_size(stream), PLAINTEXT_BYTES);
    pending_read_start(&read, stream, bytes, FUSE_REQUEST_BYTES, 2 * FUSE_REQUEST_BYTES, NULL);
    (void)delay(20, NULL, &err);
    assert_stream_gives(stream, 0, bed->plaintext, PLAINTEXT_BYTES, FUSE_REQUEST_BYTES);
    assert_succeeds(pending_read_finish(&read, &got, &err));
    assert_int_equal(got, 0);
    assert_succeeds(read_stream_flush(stream, &err));
}

static void a_declared_size_that_is_wrong_is_refused_at_open(void **state)
{
    struct view_bed *bed = *state;
    struct error err = ERROR_INIT;

    view_bed_put(bed, IMAGE_ID, GPG_MEMBERS ", \"os_decrypt_size\": \"1300006\"");
    assert_fails(ERROR_CORRUPT, view_bed_try(bed, IMAGE_ID, &err));
    assert_message_has("os_decrypt_size");
}

static void a_wrong_passphrase_is_refused_at_open(void **state)
{
    struct view_bed *bed = *state;
    struct error err = ERROR_INIT;

    fake_cloud_set_secret(bed->cloud, KEY_ID, "wrong");
    assert_fails(ERROR_CORRUPT, view_bed_try(bed, IMAGE_ID, &err));
}

static void the_last_close_leaves_no_key(void **state)
{
    struct view_bed *bed = *state;
    struct read_stream *stream;
    struct error err = ERROR_INIT;
    size_t used;

    assert_image_sound(bed, IMAGE_ID); /* what is kept for good is there then */
    stream = view_bed_stream(bed, IMAGE_ID);
    used = secure_arena_used(bed->arena);
    read_stream_close(stream);
    for (int i = 0; i < 1000 && secure_arena_used(bed->arena) >= used; i++)
        (void)delay(5, NULL, &err);
    assert_true(secure_arena_used(bed->arena) < used);
}

static void an_open_under_authorise_ttl_needs_nobody(void **state)
{
    struct view_bed *bed = *state;
    CLEANUP(read_stream_close) struct read_stream *held = NULL;
    CLEANUP(read_stream_close) struct read_stream *stream = NULL;
    struct fake_cloud_calls before;

    view_bed_configure(bed, "authorise_ttl", "60");
    assert_false(image_index_open_now(bed->index, IMAGE_ID, &stream));
    held = view_bed_stream(bed, IMAGE_ID);
    assert_false(image_index_open_now(bed->index, IMAGE_ID, &stream)); /* not verified yet */
    assert_stream_gives(held, 0, bed->plaintext, PLAINTEXT_BYTES, FUSE_REQUEST_BYTES);
    before = fake_cloud_calls(bed->cloud);
    assert_true(image_index_open_now(bed->index, IMAGE_ID, &stream));
    assert_int_equal(fake_cloud_calls(bed->cloud).gets, before.gets);
    assert_int_equal(fake_cloud_calls(bed->cloud).payloads, before.payloads);
    assert_stream_gives(stream, 0, bed->plaintext, PLAINTEXT_BYTES, 65536);
}

/* Not when its first stream, which needed no other word than that, came to its end. */
static void authorise_ttl_begins_when_the_key_was_given(void **state)
{
    struct view_bed *bed = *state;
    CLEANUP(read_stream_close) struct read_stream *held = NULL;
    struct error err = ERROR_INIT;

    view_bed_configure(bed, "authorise_ttl", "1");
    held = view_bed_stream(bed, IMAGE_ID);
    (void)delay(1100, NULL, &err);
    assert_stream_gives(held, 0, bed->plaintext, PLAINTEXT_BYTES, FUSE_REQUEST_BYTES);
    fake_cloud_set_secret(bed->cloud, KEY_ID, NULL);
    assert_fails(ERROR_DENIED, view_bed_try(bed, IMAGE_ID, &err));
}

static void without_it_each_open_asks_the_key_manager(void **state)
{
    struct view_bed *bed = *state;
    CLEANUP(read_stream_close) struct read_stream *held = view_bed_stream(bed, IMAGE_ID);
    struct read_stream *stream = NULL;

    assert_stream_gives(held, 0, bed->plaintext, PLAINTEXT_BYTES, FUSE_REQUEST_BYTES);
    assert_false(image_index_open_now(bed->index, IMAGE_ID, &stream));
    assert_null(stream);
}

#define test(name) cmocka_unit_test_setup_teardown(name, open_bed, view_bed_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(gives_the_whole_image),
        test(gives_bytes_while_the_image_arrives),
        test(an_image_that_arrived_is_a_verified_one),
        test(an_image_that_was_verified_needs_no_second_pass),
        cmocka_unit_test_setup_teardown(neither_does_one_under_verify_first, view_bed_open,
                                        view_bed_close),
        test(another_passphrase_does_not_open_it),
        test(other_content_is_verified_anew),
        test(every_read_and_the_flush_fail_once_it_turned_out_damaged),
        test(a_damaged_copy_that_the_codec_refuses_is_fetched_again),
        test(a_cancelled_read_does_not_end_the_stream),
        test(a_read_behind_the_end_waits_for_those_before_it),
        test(a_declared_size_that_is_wrong_is_refused_at_open),
        test(a_wrong_passphrase_is_refused_at_open),
        test(the_last_close_leaves_no_key),
        test(an_open_under_authorise_ttl_needs_nobody),
        test(authorise_ttl_begins_when_the_key_was_given),
        test(without_it_each_open_asks_the_key_manager),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
