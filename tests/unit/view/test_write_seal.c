/* SPDX-License-Identifier: Apache-2.0 */
/* Seals by rename and xattr, and what must not be sealed. */
#include "write_bed.h"

#include "glancefs/limits.h"
#include "support/crypto_arena.h"
#include "support/pseudo_random.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define CREATE (O_WRONLY | O_CREAT | O_TRUNC)

static int seal_by_rename(struct write_bed *bed, struct error *err)
{
    return write_index_rename(bed->index, IMAGE_PART, IMAGE_ID, 0, NULL, err);
}

static int seal_by_xattr(struct write_bed *bed, const char *value, struct error *err)
{
    return write_index_set_xattr(bed->index, IMAGE_PART, "user.glancefs.commit", value,
                                 strlen(value), NULL, err);
}

static int commit_image(struct write_bed *bed, const char *value, struct error *err)
{
    return write_index_set_xattr(bed->index, IMAGE_ID, "user.glancefs.commit", value, strlen(value),
                                 NULL, err);
}

/* --- explicit seals --- */

static void a_rename_seals(void **state)
{
    CLEANUP(memory_free) uint8_t *bytes = pseudo_random_bytes(1, 3 * WINDOW_BYTES + 7);
    struct write_bed *bed = *state;
    const size_t before = secure_arena_used(bed->arena);
    struct error err = ERROR_INIT;

    write_bed_create(bed, bytes, 3 * WINDOW_BYTES + 7);
    assert_succeeds(seal_by_rename(bed, &err));
    assert_int_equal(secure_arena_used(bed->arena), before);
    assert_absent(bed, IMAGE_PART);
    assert_state(bed, IMAGE_ID, "sealed");
    assert_file_size(bed, IMAGE_ID, 3 * WINDOW_BYTES + 7);
    assert_sealed(bed, IMAGE_ID, bytes, 3 * WINDOW_BYTES + 7);
    assert_string_equal(
        fake_staging_property(bed->staging, IMAGE_ID, "os_decrypt_container_format"), "bare");
    assert_int_equal(atomic_load(&bed->seals), 0);
}

static void a_rename_of_rsync_seals(void **state)
{
    struct write_bed *bed = *state;
    struct write_stream *stream = write_bed_open_file(bed, IMAGE_TEMPORARY, O_RDWR | O_CREAT);
    struct error err = ERROR_INIT;

    write_bed_write(stream, "rsync", 5, 0);
    write_stream_close(stream);
    assert_succeeds(write_index_rename(bed->index, IMAGE_TEMPORARY, IMAGE_ID, 0, NULL, &err));
    assert_sealed(bed, IMAGE_ID, "rsync", 5);
}

static void an_xattr_seals(void **state)
{
    struct write_bed *bed = *state;
    struct error err = ERROR_INIT;

    write_bed_create(bed, "hello", 5);
    assert_succeeds(seal_by_xattr(bed, "1", &err));
    assert_absent(bed, IMAGE_PART);
    assert_sealed(bed, IMAGE_ID, "hello", 5);
}

static void an_xattr_with_the_right_size_seals(void **state)
{
    struct write_bed *bed = *state;
    struct error err = ERROR_INIT;

    write_bed_create(bed, "hello", 5);
    assert_errno(EINVAL, seal_by_xattr(bed, "size=4", &err));
    assert_errno(EINVAL, seal_by_xattr(bed, "size=6", &err));
    assert_state(bed, IMAGE_PART, "staging");
    assert_succeeds(seal_by_xattr(bed, "size=5", &err));
    assert_sealed(bed, IMAGE_ID, "hello", 5);
}

static void committing_again_does_nothing(void **state)
{
    struct write_bed *bed = *state;
    struct error err = ERROR_INIT;

    write_bed_create(bed, "hello", 5);
    assert_succeeds(seal_by_xattr(bed, "1", &err));
    assert_succeeds(commit_image(bed, "1", &err));
    assert_succeeds(commit_image(bed, "size=5", &err));
    assert_errno(EINVAL, commit_image(bed, "size=4", &err));
    fake_staging_set_state(bed->staging, IMAGE_ID, UPLOAD_ACTIVE, "");
    assert_succeeds(commit_image(bed, "1", &err));
    fake_staging_set_state(bed->staging, IMAGE_ID, UPLOAD_FAILED, "over quota");
    assert_errno(EEXIST, commit_image(bed, "1", &err));
}

static void other_values_of_the_xattr_are_refused(void **state)
{
    static const char *const values[] = {
        "",
        "0",
        "2",
        "yes",
        "11",
        "size",
        "size=",
        "size=x",
        "size=-5",
        "size= 5",
        "size=5 ",
        "size=0x5",
        "size=99999999999999999999999999",
    };
    struct write_bed *bed = *state;
    struct error err = ERROR_INIT;

    write_bed_create(bed, "hello", 5);
    for (size_t i = 0; i < ELEMENTS_OF(values); i++)
        assert_errno(EINVAL, seal_by_xattr(bed, values[i], &err));
    assert_errno(EINVAL, write_index_set_xattr(bed->index, IMAGE_PART, "user.glancefs.commit",
                                               "1\0", 2, NULL, &err));
    assert_state(bed, IMAGE_PART, "staging");
}

static void a_container_format_of_the_record_stays(void **state)
{
    struct write_bed *bed = *state;
    struct error err = ERROR_INIT;

    write_bed_put(bed, IMAGE_ID, "queued", WRITABLE ", \"os_decrypt_container_format\": \"ova\"");
    write_bed_create(bed, "hello", 5);
    assert_succeeds(seal_by_rename(bed, &err));
    assert_sealed(bed, IMAGE_ID, "hello", 5);
    assert_null(fake_staging_property(bed->staging, IMAGE_ID, "os_decrypt_container_format"));
}

static void truncated_zeros_are_sealed(void **state)
{
    static const uint8_t zeros[100000];
    struct write_bed *bed = *state;
    struct write_stream *stream = write_bed_open_file(bed, IMAGE_PART, CREATE);
    struct error err = ERROR_INIT;

    assert_succeeds(write_stream_truncate(stream, sizeof zeros, NULL, &err));
    write_stream_close(stream);
    assert_succeeds(seal_by_rename(bed, &err));
    assert_sealed(bed, IMAGE_ID, zeros, sizeof zeros);
}

static void zeros_behind_the_window_are_sealed(void **state)
{
    static const uint8_t head[] = {'h', 'e', 'a', 'd'};
    CLEANUP(memory_free) uint8_t *expected = calloc(3, WINDOW_BYTES);
    struct write_bed *bed = *state;
    struct error err = ERROR_INIT;

    assert_non_null(expected);
    write_bed_create(bed, head, sizeof head);
    assert_succeeds(write_index_truncate(bed->index, IMAGE_PART, 3 * WINDOW_BYTES, NULL, &err));
    assert_succeeds(seal_by_rename(bed, &err));
    memcpy(expected, head, sizeof head);
    assert_sealed(bed, IMAGE_ID, expected, 3 * WINDOW_BYTES);
}

static void nothing_is_not_sealed(void **state)
{
    struct write_bed *bed = *state;
    struct error err = ERROR_INIT;

    assert_errno(ENODATA, commit_image(bed, "1", &err));
    write_bed_create(bed, "", 0);
    assert_errno(ENODATA, seal_by_rename(bed, &err));
    assert_errno(ENODATA, seal_by_xattr(bed, "1", &err));
    assert_state(bed, IMAGE_PART, "staging");
}

static void an_empty_image_is_sealed_only_by_saying_so(void **state)
{
    struct write_bed *bed = *state;
    struct error err = ERROR_INIT;

    write_bed_create(bed, "", 0);
    assert_succeeds(seal_by_xattr(bed, "size=0", &err));
    assert_sealed(bed, IMAGE_ID, "", 0);
}

static void a_declared_empty_image_is_sealed(void **state)
{
    struct write_bed *bed = *state;

    write_bed_declare(bed, 0);
    write_stream_close(write_bed_open_file(bed, IMAGE_ID, CREATE));
    assert_sealed(bed, IMAGE_ID, "", 0);
}

static void not_the_declared_size_is_not_sealed(void **state)
{
    struct write_bed *bed = *state;
    struct write_stream *stream;
    struct error err = ERROR_INIT;

    write_bed_declare(bed, 5);
    write_bed_create(bed, "hell", 4);
    assert_errno(EINVAL, seal_by_rename(bed, &err));
    assert_errno(EINVAL, seal_by_xattr(bed, "1", &err));
    assert_errno(EINVAL, seal_by_xattr(bed, "size=4", &err));
    assert_errno(EINVAL, seal_by_xattr(bed, "size=5", &err));
    stream = write_bed_open_file(bed, IMAGE_PART, O_WRONLY);
    write_bed_write(stream, "o", 1, 4);
    write_stream_close(stream);
    assert_succeeds(seal_by_rename(bed, &err));
    assert_sealed(bed, IMAGE_ID, "hello", 5);
}

static void an_open_writer_is_in_the_way(void **state)
{
    struct write_bed *bed = *state;
    struct write_stream *stream = write_bed_open_file(bed, IMAGE_PART, CREATE);
    struct error err = ERROR_INIT;

    write_bed_write(stream, "hello", 5, 0);
    assert_errno(EBUSY, seal_by_rename(bed, &err));
    assert_errno(EBUSY, seal_by_xattr(bed, "1", &err));
    write_stream_close(stream);
    assert_succeeds(seal_by_rename(bed, &err));
}

static void an_open_reader_is_not(void **state)
{
    struct write_bed *bed = *state;
    struct write_stream *reader;
    struct write_attributes attributes;
    struct error err = ERROR_INIT;

    write_bed_create(bed, "hello", 5);
    reader = write_bed_open_file(bed, IMAGE_PART, O_RDONLY);
    assert_succeeds(seal_by_rename(bed, &err));
    write_stream_attributes(reader, &attributes);
    assert_int_equal(attributes.state, WRITE_SEALED);
    write_stream_close(reader);
    assert_sealed(bed, IMAGE_ID, "hello", 5);
}

static void a_full_disk_at_the_seal_is_told_and_poisons(void **state)
{
    const struct fake_staging_faults faults = {.fails_commit = true};
    struct write_bed *bed = *state;
    struct error err = ERROR_INIT;

    write_bed_create(bed, "hello", 5);
    fake_staging_misbehave(bed->staging, &faults);
    assert_errno(ENOSPC, seal_by_rename(bed, &err));
    assert_errno(EIO, seal_by_rename(bed, &err));
    assert_message_has("full");
    assert_state(bed, IMAGE_PART, "poisoned");
    assert_int_equal(fake_staging_unsealed(bed->staging), 0);
}

static void a_declared_size_gives_definite_lengths(void **state)
{
    CLEANUP(memory_free) uint8_t *bytes = pseudo_random_bytes(2, 2 * WINDOW_BYTES);
    struct write_bed *bed = *state;
    struct write_stream *stream;
    struct error err = ERROR_INIT;
    size_t unknown_size;
    size_t declared_size;

    write_bed_create(bed, bytes, 2 * WINDOW_BYTES);
    assert_succeeds(seal_by_rename(bed, &err));
    (void)fake_staging_bytes(bed->staging, IMAGE_ID, &unknown_size);
    write_bed_put(bed, OTHER_ID, "queued", WRITABLE ", \"os_decrypt_size\": \"2097152\"");
    stream = write_bed_open_file(bed, OTHER_ID, CREATE);
    write_bed_write(stream, bytes, 2 * WINDOW_BYTES, 0);
    write_stream_close(stream);
    assert_sealed(bed, OTHER_ID, bytes, 2 * WINDOW_BYTES);
    (void)fake_staging_bytes(bed->staging, OTHER_ID, &declared_size);
    assert_true(declared_size < unknown_size);
}

/* --- interruptions --- */

struct sealer {
    struct write_bed *bed;
    struct cancel *cancel;
    pthread_t thread;
    int result;
    struct error error;
};

static void *run_sealer(void *argument)
{
    struct sealer *sealer = argument;

    sealer->result = write_index_rename(sealer->bed->index, IMAGE_PART, IMAGE_ID, 0, sealer->cancel,
                                        &sealer->error);
    return NULL;
}

static void start_held_seal(struct write_bed *bed, struct sealer *sealer)
{
    *sealer = (struct sealer){.bed = bed, .cancel = sealer->cancel};
    fake_staging_hold(bed->staging);
    assert_int_equal(pthread_create(&sealer->thread, NULL, run_sealer, sealer), 0);
    fake_staging_wait_held(bed->staging);
}

static void an_interrupted_rename_ends_at_once_and_the_seal_goes_on(void **state)
{
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    struct write_bed *bed = *state;
    struct sealer sealer;
    struct error err = ERROR_INIT;

    assert_succeeds(cancel_new(&cancel, &err));
    sealer.cancel = cancel;
    write_bed_create(bed, "hello", 5);
    start_held_seal(bed, &sealer);
    cancel_request(cancel);
    assert_int_equal(pthread_join(sealer.thread, NULL), 0);
    assert_int_equal(sealer.error.kind, ERROR_CANCELLED);
    fake_staging_let_go(bed->staging);
    assert_sealed(bed, IMAGE_ID, "hello", 5);
    wait_until(atomic_load(&bed->seals) == 1);
    assert_int_equal(atomic_load(&bed->failed_seals), 0);
}

/* A rename that is cancelled already: it begins a seal or joins one, but waits for nothing. */
static int rename_without_waiting(struct write_bed *bed, struct error *err)
{
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;

    if (cancel_new(&cancel, err) < 0)
        return -1;
    cancel_request(cancel);
    return write_index_rename(bed->index, IMAGE_PART, IMAGE_ID, 0, cancel, err);
}

static void a_rename_joins_the_seal_that_an_interrupted_one_began(void **state)
{
    struct write_bed *bed = *state;
    struct sealer sealer = {.cancel = NULL};
    struct error err = ERROR_INIT;

    write_bed_create(bed, "hello", 5);
    fake_staging_hold(bed->staging);
    assert_fails(ERROR_CANCELLED, rename_without_waiting(bed, &err));
    fake_staging_wait_held(bed->staging);
    assert_errno(EINVAL, seal_by_xattr(bed, "size=4", &err));
    start_held_seal(bed, &sealer);
    wait_until(rename_without_waiting(bed, &err) < 0 && err.kind == ERROR_BUSY);
    fake_staging_let_go(bed->staging);
    assert_int_equal(pthread_join(sealer.thread, NULL), 0);
    assert_int_equal(sealer.result, 0);
    assert_int_equal(atomic_load(&bed->seals), 0);
    assert_sealed(bed, IMAGE_ID, "hello", 5);
}

static void nothing_else_happens_during_a_seal(void **state)
{
    struct write_bed *bed = *state;
    struct sealer sealer = {.cancel = NULL};
    struct write_stream *stream = NULL;
    struct error err = ERROR_INIT;

    write_bed_create(bed, "hello", 5);
    start_held_seal(bed, &sealer);
    assert_state(bed, IMAGE_PART, "staging");
    assert_errno(EBUSY, write_index_open(bed->index, IMAGE_PART, O_RDWR, NULL, &stream, &err));
    assert_errno(EBUSY, write_index_open(bed->index, IMAGE_PART, CREATE, NULL, &stream, &err));
    assert_errno(EBUSY, seal_by_rename(bed, &err));
    assert_errno(EBUSY, seal_by_xattr(bed, "1", &err));
    fake_staging_let_go(bed->staging);
    assert_int_equal(pthread_join(sealer.thread, NULL), 0);
    assert_int_equal(sealer.result, 0);
}

static void a_seal_with_much_left_is_given_up_at_the_end(void **state)
{
    struct write_bed *bed = *state;
    struct write_stream *stream;
    struct error err = ERROR_INIT;

    bed->config->commit = COMMIT_CLOSE;
    stream = write_bed_open_file(bed, IMAGE_ID, CREATE);
    write_bed_write(stream, "x", 1, 0);
    assert_succeeds(write_stream_truncate(stream, LIMIT_PLAINTEXT_BYTES, NULL, &err));
    write_stream_close(stream);
    write_index_free(bed->index);
    bed->index = NULL;
    assert_false(fake_staging_is_sealed(bed->staging, IMAGE_ID));
    assert_int_equal(atomic_load(&bed->failed_seals), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        write_test(a_rename_seals),
        write_test(a_rename_of_rsync_seals),
        write_test(an_xattr_seals),
        write_test(an_xattr_with_the_right_size_seals),
        write_test(committing_again_does_nothing),
        write_test(other_values_of_the_xattr_are_refused),
        write_test(a_container_format_of_the_record_stays),
        write_test(truncated_zeros_are_sealed),
        write_test(zeros_behind_the_window_are_sealed),
        write_test(nothing_is_not_sealed),
        write_test(an_empty_image_is_sealed_only_by_saying_so),
        write_test(a_declared_empty_image_is_sealed),
        write_test(not_the_declared_size_is_not_sealed),
        write_test(an_open_writer_is_in_the_way),
        write_test(an_open_reader_is_not),
        write_test(a_full_disk_at_the_seal_is_told_and_poisons),
        write_test(a_declared_size_gives_definite_lengths),
        write_test(an_interrupted_rename_ends_at_once_and_the_seal_goes_on),
        write_test(a_rename_joins_the_seal_that_an_interrupted_one_began),
        write_test(nothing_else_happens_during_a_seal),
        write_test(a_seal_with_much_left_is_given_up_at_the_end),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
