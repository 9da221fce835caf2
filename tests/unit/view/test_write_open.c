/* SPDX-License-Identifier: Apache-2.0 */
/* Opening files to write and read: src/view/write_open.c. */
#include "write_bed.h"

#include "glancefs/limits.h"
#include "support/crypto_arena.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#define CREATE (O_WRONLY | O_CREAT | O_TRUNC)

/* The open fails with this kind. */
#define assert_open_fails(kind, name, flags)                                                       \
    do {                                                                                           \
        struct write_stream *refused_ = NULL;                                                      \
        assert_fails(kind, write_index_open(bed->index, name, flags, NULL, &refused_, &err));      \
        assert_null(refused_);                                                                     \
    } while (0)

static int open_code(struct write_bed *bed, const char *name, int flags)
{
    CLEANUP(write_stream_close) struct write_stream *stream = NULL;
    struct error err = ERROR_INIT;

    return write_index_open(bed->index, name, flags, NULL, &stream, &err) == 0 ? 0 : err.errnum;
}

static void a_part_can_be_created_and_seen(void **state)
{
    struct write_bed *bed = *state;
    struct write_stream *stream;

    assert_absent(bed, IMAGE_PART);
    assert_state(bed, IMAGE_ID, "queued");
    stream = write_bed_open_file(bed, IMAGE_PART, CREATE);
    assert_state(bed, IMAGE_PART, "staging");
    assert_state(bed, IMAGE_ID, "queued");
    write_bed_write(stream, "hello", 5, 0);
    assert_file_size(bed, IMAGE_PART, 5);
    assert_file_size(bed, IMAGE_ID, 0);
    write_stream_close(stream);
    assert_file_size(bed, IMAGE_PART, 5);
}

static void rsync_names_can_be_created(void **state)
{
    struct write_bed *bed = *state;

    write_stream_close(write_bed_open_file(bed, IMAGE_TEMPORARY, O_RDWR | O_CREAT | O_EXCL));
    assert_state(bed, IMAGE_TEMPORARY, "staging");
    assert_absent(bed, IMAGE_PART);
}

static void other_names_are_refused_without_asking(void **state)
{
    struct write_bed *bed = *state;
    struct error err = ERROR_INIT;

    assert_open_fails(ERROR_DENIED, "disk.img", CREATE);
    assert_open_fails(ERROR_DENIED, "." IMAGE_ID ".swp", CREATE);
    assert_open_fails(ERROR_NOT_FOUND, "disk.img", O_RDONLY);
    assert_open_fails(ERROR_NOT_FOUND, "disk.img", O_WRONLY);
    assert_open_fails(ERROR_NOT_FOUND, IMAGE_PART, O_WRONLY);
    assert_open_fails(ERROR_NOT_FOUND, IMAGE_PART, O_RDONLY);
    assert_absent(bed, "disk.img");
    assert_int_equal(fake_cloud_calls(bed->cloud).gets, 0);
}

static void records_decide_who_may_write(void **state)
{
    static const struct {
        const char *status;
        const char *more;
        enum error_kind kind;
    } records[] = {
        {"active", WRITABLE, ERROR_EXISTS},
        {"saving", WRITABLE, ERROR_BUSY},
        {"deleted", WRITABLE, ERROR_NOT_FOUND},
        {"queued", OURS ", \"os_encrypt_format\": \"GPG\"", ERROR_NO_KEY},
        {"queued", OURS ", \"os_encrypt_key_id\": \"" KEY_ID "\"", ERROR_UNSUPPORTED},
        {"queued", ENCRYPTED, ERROR_DENIED},
        {"queued", FOREIGN, ERROR_DENIED},
    };
    struct write_bed *bed = *state;
    struct error err = ERROR_INIT;

    for (size_t i = 0; i < ELEMENTS_OF(records); i++) {
        write_bed_put(bed, IMAGE_ID, records[i].status, records[i].more);
        assert_open_fails(records[i].kind, IMAGE_PART, CREATE);
        assert_absent(bed, IMAGE_PART);
    }
    assert_open_fails(ERROR_NOT_FOUND, OTHER_ID ".part", CREATE);
    assert_int_equal(fake_staging_begun(bed->staging), 0);
}

static void the_record_is_asked_for_at_every_open(void **state)
{
    struct write_bed *bed = *state;
    struct error err = ERROR_INIT;

    write_bed_create(bed, "x", 1);
    write_bed_put(bed, IMAGE_ID, "active", WRITABLE);
    assert_open_fails(ERROR_EXISTS, IMAGE_PART, O_RDWR);
    assert_open_fails(ERROR_EXISTS, IMAGE_PART, CREATE);
    fake_cloud_fail_records(bed->cloud, ERROR_UNAVAILABLE);
    assert_open_fails(ERROR_UNAVAILABLE, IMAGE_PART, O_RDWR);
    fake_cloud_fail_records(bed->cloud, ERROR_NONE);
    write_bed_put(bed, IMAGE_ID, "queued", WRITABLE);
    write_stream_close(write_bed_open_file(bed, IMAGE_PART, O_RDWR));
    assert_state(bed, IMAGE_PART, "staging");
}

static void the_key_manager_is_asked_once_and_its_refusal_counts(void **state)
{
    struct write_bed *bed = *state;
    struct error err = ERROR_INIT;

    write_bed_put(bed, IMAGE_ID, "queued",
                  OURS ", \"os_encrypt_format\": \"GPG\", \"os_encrypt_key_id\": \"" REFUSED_KEY_ID
                       "\"");
    assert_open_fails(ERROR_DENIED, IMAGE_PART, CREATE);
    assert_absent(bed, IMAGE_PART);
    write_bed_put(bed, IMAGE_ID, "queued", WRITABLE);
    write_bed_create(bed, "x", 1);
    write_bed_create(bed, "y", 1);
    write_stream_close(write_bed_open_file(bed, IMAGE_PART, O_RDWR));
    assert_int_equal(fake_cloud_calls(bed->cloud).payloads, 2);
}

static void a_second_writer_is_busy(void **state)
{
    struct write_bed *bed = *state;
    struct write_stream *stream = write_bed_open_file(bed, IMAGE_PART, CREATE);
    struct error err = ERROR_INIT;

    assert_open_fails(ERROR_BUSY, IMAGE_PART, O_RDWR);
    assert_open_fails(ERROR_BUSY, IMAGE_PART, CREATE);
    assert_open_fails(ERROR_BUSY, IMAGE_TEMPORARY, CREATE);
    assert_open_fails(ERROR_BUSY, IMAGE_ID, O_WRONLY);
    write_stream_close(stream);
    write_stream_close(write_bed_open_file(bed, IMAGE_PART, O_RDWR));
}

static void a_staging_under_another_name_is_in_the_way(void **state)
{
    struct write_bed *bed = *state;
    struct error err = ERROR_INIT;

    write_bed_create(bed, "x", 1);
    assert_open_fails(ERROR_BUSY, IMAGE_TEMPORARY, CREATE);
    assert_message_has(IMAGE_PART);
    assert_succeeds(write_index_remove(bed->index, IMAGE_PART, NULL, &err));
    write_stream_close(write_bed_open_file(bed, IMAGE_TEMPORARY, CREATE));
}

static void a_poisoned_one_that_was_left_behind_is_not(void **state)
{
    struct write_bed *bed = *state;
    struct write_stream *stream = write_bed_open_file(bed, IMAGE_TEMPORARY, CREATE);
    struct error err = ERROR_INIT;

    write_bed_write(stream, "old", 3, 0);
    assert_errno(EIO, write_stream_flush(stream, true, &err));
    assert_open_fails(ERROR_BUSY, IMAGE_PART, CREATE);
    write_stream_close(stream);
    assert_open_fails(ERROR_BUSY, IMAGE_ID, O_WRONLY);
    fake_cloud_fail_records(bed->cloud, ERROR_UNAVAILABLE);
    assert_open_fails(ERROR_UNAVAILABLE, IMAGE_PART, O_RDWR | O_CREAT | O_EXCL);
    assert_state(bed, IMAGE_TEMPORARY, "poisoned");
    fake_cloud_fail_records(bed->cloud, ERROR_NONE);
    stream = write_bed_open_file(bed, IMAGE_PART, O_RDWR | O_CREAT | O_EXCL);
    assert_absent(bed, IMAGE_TEMPORARY);
    write_bed_write(stream, "new", 3, 0);
    write_stream_close(stream);
    assert_succeeds(write_index_rename(bed->index, IMAGE_PART, IMAGE_ID, 0, NULL, &err));
    assert_sealed(bed, IMAGE_ID, "new", 3);
}

static void exclusive_means_exclusive(void **state)
{
    struct write_bed *bed = *state;
    struct error err = ERROR_INIT;

    write_bed_create(bed, "x", 1);
    assert_open_fails(ERROR_EXISTS, IMAGE_PART, O_WRONLY | O_CREAT | O_EXCL);
    assert_succeeds(write_index_remove(bed->index, IMAGE_PART, NULL, &err));
    write_bed_declare(bed, 5);
    assert_open_fails(ERROR_EXISTS, IMAGE_ID, O_WRONLY | O_CREAT | O_EXCL);
}

static void the_image_itself_needs_a_declared_size(void **state)
{
    struct write_bed *bed = *state;
    struct write_stream *stream = NULL;
    struct error err = ERROR_INIT;

    assert_errno(EDESTADDRREQ,
                 write_index_open(bed->index, IMAGE_ID, O_WRONLY | O_TRUNC, NULL, &stream, &err));
    assert_message_has(".part");
    assert_message_has("user.glancefs.size");
    assert_message_has("commit=close");
    assert_int_equal(fake_cloud_calls(bed->cloud).payloads, 0);
    assert_state(bed, IMAGE_ID, "queued");
}

static void a_size_in_the_record_is_enough(void **state)
{
    struct write_bed *bed = *state;

    write_bed_declare(bed, 100);
    write_stream_close(write_bed_open_file(bed, IMAGE_ID, O_WRONLY | O_TRUNC));
    assert_state(bed, IMAGE_ID, "staging");
}

static void a_size_by_xattr_is_enough(void **state)
{
    struct write_bed *bed = *state;
    struct error err = ERROR_INIT;

    assert_succeeds(
        write_index_set_xattr(bed->index, IMAGE_ID, "user.glancefs.size", "100", 3, NULL, &err));
    write_stream_close(write_bed_open_file(bed, IMAGE_ID, O_WRONLY | O_TRUNC));
    assert_state(bed, IMAGE_ID, "staging");
}

static void commit_on_close_needs_none(void **state)
{
    struct write_bed *bed = *state;

    bed->config->commit = COMMIT_CLOSE;
    write_stream_close(write_bed_open_file(bed, IMAGE_ID, O_WRONLY | O_TRUNC));
    assert_state(bed, IMAGE_ID, "staging");
}

static void truncating_starts_anew_with_another_session_key(void **state)
{
    CLEANUP(memory_free) uint8_t *bytes = calloc(3, WINDOW_BYTES);
    struct write_bed *bed = *state;
    struct error err = ERROR_INIT;
    uint8_t first[64];
    size_t size;

    assert_non_null(bytes);
    write_bed_create(bed, bytes, 3 * WINDOW_BYTES);
    memcpy(first, fake_staging_bytes(bed->staging, IMAGE_ID, &size), sizeof first);
    write_bed_create(bed, bytes, 3 * WINDOW_BYTES);
    assert_int_equal(fake_staging_begun(bed->staging), 2);
    assert_memory_not_equal(first, fake_staging_bytes(bed->staging, IMAGE_ID, &size), sizeof first);
    assert_succeeds(write_index_rename(bed->index, IMAGE_PART, IMAGE_ID, 0, NULL, &err));
    assert_sealed(bed, IMAGE_ID, bytes, 3 * WINDOW_BYTES);
}

static void opening_without_truncating_goes_on(void **state)
{
    struct write_bed *bed = *state;
    struct write_stream *stream;
    struct error err = ERROR_INIT;

    write_bed_create(bed, "hello", 5);
    stream = write_bed_open_file(bed, IMAGE_PART, O_RDWR);
    write_bed_write(stream, "J", 1, 0);
    write_bed_write(stream, "!", 1, 5);
    write_stream_close(stream);
    assert_succeeds(write_index_rename(bed->index, IMAGE_PART, IMAGE_ID, 0, NULL, &err));
    assert_sealed(bed, IMAGE_ID, "Jello!", 6);
}

static void no_memory_is_told_at_the_open(void **state)
{
    struct write_bed *bed = *state;
    const size_t left = WINDOW_BYTES / 2;
    struct error err = ERROR_INIT;
    void *hoard = secure_arena_allocate(bed->arena, secure_arena_capacity(bed->arena) -
                                                        secure_arena_used(bed->arena) - left);

    assert_non_null(hoard);
    assert_open_fails(ERROR_EXHAUSTED, IMAGE_PART, CREATE);
    assert_int_equal(err.errnum, EAGAIN);
    assert_absent(bed, IMAGE_PART);
    secure_arena_release(bed->arena, hoard);
    write_stream_close(write_bed_open_file(bed, IMAGE_PART, CREATE));
}

static void a_disk_that_takes_no_file_is_told_at_the_open(void **state)
{
    const struct fake_staging_faults faults = {.fails_begin = true};
    struct write_bed *bed = *state;
    struct error err = ERROR_INIT;

    fake_staging_misbehave(bed->staging, &faults);
    assert_open_fails(ERROR_NO_SPACE, IMAGE_PART, CREATE);
    assert_absent(bed, IMAGE_PART);
}

static void a_truncating_open_that_fails_poisons(void **state)
{
    const struct fake_staging_faults faults = {.fails_begin = true};
    CLEANUP(memory_free) uint8_t *bytes = calloc(2, WINDOW_BYTES);
    struct write_bed *bed = *state;
    struct error err = ERROR_INIT;

    assert_non_null(bytes);
    write_bed_create(bed, bytes, 2 * WINDOW_BYTES);
    fake_staging_misbehave(bed->staging, &faults);
    assert_open_fails(ERROR_NO_SPACE, IMAGE_PART, CREATE);
    assert_state(bed, IMAGE_PART, "poisoned");
    fake_staging_misbehave(bed->staging, &(struct fake_staging_faults){0});
    write_bed_create(bed, "x", 1);
    assert_state(bed, IMAGE_PART, "staging");
}

static void a_sealed_image_is_not_written_again(void **state)
{
    struct write_bed *bed = *state;
    struct error err = ERROR_INIT;

    write_bed_create(bed, "x", 1);
    assert_succeeds(write_index_rename(bed->index, IMAGE_PART, IMAGE_ID, 0, NULL, &err));
    assert_open_fails(ERROR_EXISTS, IMAGE_PART, CREATE);
    assert_message_has("sealed");
    assert_int_equal(fake_cloud_calls(bed->cloud).payloads, 1);
    fake_staging_set_state(bed->staging, IMAGE_ID, UPLOAD_FAILED, "quota");
    assert_open_fails(ERROR_EXISTS, IMAGE_PART, CREATE);
    write_bed_put(bed, IMAGE_ID, "active", WRITABLE);
    fake_staging_set_state(bed->staging, IMAGE_ID, UPLOAD_ACTIVE, "");
    assert_open_fails(ERROR_EXISTS, IMAGE_PART, CREATE);
}

static void an_interrupted_open_leaves_nothing(void **state)
{
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    struct write_bed *bed = *state;
    struct write_stream *stream = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(cancel_new(&cancel, &err));
    cancel_request(cancel);
    fake_cloud_set_delays(bed->cloud, (struct fake_cloud_delays){.get_ms = 60000});
    assert_fails(ERROR_CANCELLED,
                 write_index_open(bed->index, IMAGE_PART, CREATE, cancel, &stream, &err));
    fake_cloud_set_delays(bed->cloud, (struct fake_cloud_delays){.payload_ms = 60000});
    assert_fails(ERROR_CANCELLED,
                 write_index_open(bed->index, IMAGE_PART, CREATE, cancel, &stream, &err));
    fake_cloud_set_delays(bed->cloud, (struct fake_cloud_delays){.get_ms = 0});
    assert_absent(bed, IMAGE_PART);
    write_stream_close(write_bed_open_file(bed, IMAGE_PART, CREATE));
}

static void readers_take_what_is_there(void **state)
{
    struct write_bed *bed = *state;
    struct write_stream *placeholder = write_bed_open_file(bed, IMAGE_ID, O_RDONLY);
    struct write_stream *part;
    struct error err = ERROR_INIT;
    char bytes[8];
    size_t got;

    assert_succeeds(write_stream_read(placeholder, bytes, sizeof bytes, 0, NULL, &got, &err));
    assert_int_equal(got, 0);
    write_bed_create(bed, "hello", 5);
    part = write_bed_open_file(bed, IMAGE_PART, O_RDONLY | O_NONBLOCK);
    assert_succeeds(write_stream_read(part, bytes, sizeof bytes, 1, NULL, &got, &err));
    assert_int_equal(got, 4);
    assert_memory_equal(bytes, "ello", 4);
    assert_errno(EBADF, write_stream_write(part, "x", 1, 0, NULL, &err));
    assert_errno(EBADF, write_stream_truncate(part, 0, NULL, &err));
    assert_errno(EBADF, write_stream_allocate(part, 0, 0, 1, NULL, &err));
    assert_state(bed, IMAGE_PART, "staging");
    assert_succeeds(write_index_rename(bed->index, IMAGE_PART, IMAGE_ID, 0, NULL, &err));
    assert_fails(ERROR_UNSUPPORTED,
                 write_stream_read(part, bytes, sizeof bytes, 0, NULL, &got, &err));
    assert_succeeds(write_stream_flush(part, false, &err));
    write_stream_close(part);
    write_stream_close(placeholder);
    part = write_bed_open_file(bed, IMAGE_ID, O_RDONLY);
    assert_fails(ERROR_UNSUPPORTED,
                 write_stream_read(part, bytes, sizeof bytes, 0, NULL, &got, &err));
    assert_succeeds(write_stream_flush(part, false, &err));
    write_stream_close(part);
}

/* What qemu-img convert -O raw does before it writes data. */
static void the_way_of_qemu_img_works(void **state)
{
    static const uint8_t zeros[4096];
    struct write_bed *bed = *state;
    struct write_stream *stream = write_bed_open_file(bed, IMAGE_PART, CREATE);
    struct error err = ERROR_INIT;
    uint8_t expected[8192] = {[5000] = 'd'};

    assert_succeeds(write_stream_truncate(stream, 0, NULL, &err));
    assert_succeeds(write_stream_truncate(stream, 8192, NULL, &err));
    write_bed_write(stream, zeros, sizeof zeros, 0);
    assert_succeeds(write_stream_flush(stream, false, &err));
    write_stream_close(stream);
    write_stream_close(write_bed_open_file(bed, IMAGE_PART, O_RDONLY | O_NONBLOCK));
    stream = write_bed_open_file(bed, IMAGE_PART, O_RDWR);
    assert_file_size(bed, IMAGE_PART, 8192);
    write_bed_write(stream, "d", 1, 5000);
    write_stream_close(stream);
    assert_succeeds(write_index_rename(bed->index, IMAGE_PART, IMAGE_ID, 0, NULL, &err));
    assert_sealed(bed, IMAGE_ID, expected, sizeof expected);
}

static void ownership_follows_the_configuration(void **state)
{
    struct write_bed *bed = *state;

    bed->config->foreign_owners = strdup("them");
    write_bed_put(bed, IMAGE_ID, "queued", FOREIGN);
    assert_int_equal(open_code(bed, IMAGE_PART, CREATE), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        write_test(a_part_can_be_created_and_seen),
        write_test(rsync_names_can_be_created),
        write_test(other_names_are_refused_without_asking),
        write_test(records_decide_who_may_write),
        write_test(the_record_is_asked_for_at_every_open),
        write_test(the_key_manager_is_asked_once_and_its_refusal_counts),
        write_test(a_second_writer_is_busy),
        write_test(a_staging_under_another_name_is_in_the_way),
        write_test(a_poisoned_one_that_was_left_behind_is_not),
        write_test(exclusive_means_exclusive),
        write_test(the_image_itself_needs_a_declared_size),
        write_test(a_size_in_the_record_is_enough),
        write_test(a_size_by_xattr_is_enough),
        write_test(commit_on_close_needs_none),
        write_test(truncating_starts_anew_with_another_session_key),
        write_test(opening_without_truncating_goes_on),
        write_test(no_memory_is_told_at_the_open),
        write_test(a_disk_that_takes_no_file_is_told_at_the_open),
        write_test(a_truncating_open_that_fails_poisons),
        write_test(a_sealed_image_is_not_written_again),
        write_test(an_interrupted_open_leaves_nothing),
        write_test(readers_take_what_is_there),
        write_test(the_way_of_qemu_img_works),
        write_test(ownership_follows_the_configuration),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
