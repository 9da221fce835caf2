/* SPDX-License-Identifier: Apache-2.0 */
/* Seals by the last close, and what closes must not seal. */
#include "write_bed.h"

#include "support/crypto_arena.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define CREATE (O_WRONLY | O_CREAT | O_TRUNC)

/* No seal comes; there is nothing to wait for, but a moment would let one through. */
static void assert_not_sealed(struct write_bed *bed, const char *name)
{
    assert_state(bed, name, "staging");
    write_bed_pause();
    assert_state(bed, name, "staging");
    assert_int_equal(atomic_load(&bed->seals), 0);
}

static void the_close_of_a_complete_declared_file_seals(void **state)
{
    struct write_bed *bed = *state;
    struct write_stream *stream;

    write_bed_declare(bed, 10);
    stream = write_bed_open_file(bed, IMAGE_ID, CREATE);
    write_bed_write(stream, "56789", 5, 5);
    write_bed_write(stream, "01234", 5, 0);
    write_stream_close(stream);
    assert_sealed(bed, IMAGE_ID, "0123456789", 10);
    wait_until(atomic_load(&bed->seals) == 1);
    assert_int_equal(atomic_load(&bed->failed_seals), 0);
    wait_until(secure_arena_used(bed->arena) == bed->arena_used);
}

static int declare(struct write_bed *bed, const char *value, struct error *err)
{
    return write_index_set_xattr(bed->index, IMAGE_ID, "user.glancefs.size", value, strlen(value),
                                 NULL, err);
}

static void a_size_by_xattr_counts_also_while_it_is_open(void **state)
{
    struct write_bed *bed = *state;
    struct write_stream *stream;
    struct error err = ERROR_INIT;

    assert_succeeds(declare(bed, "9", &err));
    stream = write_bed_open_file(bed, IMAGE_ID, CREATE);
    write_bed_write(stream, "hello", 5, 0);
    assert_succeeds(declare(bed, "5", &err));
    write_stream_close(stream);
    assert_sealed(bed, IMAGE_ID, "hello", 5);
}

/* cp x <id>.part && mv <id>.part <id>, and rsync, must find what they rename. */
static void closing_another_name_never_seals(void **state)
{
    struct write_bed *bed = *state;
    struct error err = ERROR_INIT;

    bed->config->commit = COMMIT_CLOSE;
    write_bed_declare(bed, 5);
    write_bed_create(bed, "hello", 5);
    assert_not_sealed(bed, IMAGE_PART);
    assert_succeeds(write_index_rename(bed->index, IMAGE_PART, IMAGE_ID, 0, NULL, &err));
    assert_sealed(bed, IMAGE_ID, "hello", 5);
}

static void the_close_of_an_incomplete_file_does_not(void **state)
{
    struct write_bed *bed = *state;
    struct write_stream *stream;
    struct error err = ERROR_INIT;

    write_bed_declare(bed, 10);
    stream = write_bed_open_file(bed, IMAGE_ID, CREATE);
    write_bed_write(stream, "012345678", 9, 0);
    write_stream_close(stream);
    assert_not_sealed(bed, IMAGE_ID);
    stream = write_bed_open_file(bed, IMAGE_ID, O_WRONLY);
    write_bed_write(stream, "9", 1, 9);
    write_stream_close(stream); /* complete, but no single handle wrote all of it */
    assert_not_sealed(bed, IMAGE_ID);
    assert_succeeds(
        write_index_set_xattr(bed->index, IMAGE_ID, "user.glancefs.commit", "1", 1, NULL, &err));
    assert_sealed(bed, IMAGE_ID, "0123456789", 10);
}

static void a_truncate_declares_nothing(void **state)
{
    struct write_bed *bed = *state;
    struct write_stream *stream = write_bed_open_file(bed, IMAGE_PART, CREATE);
    struct error err = ERROR_INIT;

    assert_succeeds(write_stream_truncate(stream, 5, NULL, &err));
    write_bed_write(stream, "hello", 5, 0);
    write_stream_close(stream);
    assert_not_sealed(bed, IMAGE_PART);
}

static void holes_and_extensions_are_not_written_bytes(void **state)
{
    struct write_bed *bed = *state;
    struct write_stream *stream;
    struct error err = ERROR_INIT;

    write_bed_declare(bed, 10);
    stream = write_bed_open_file(bed, IMAGE_ID, CREATE);
    assert_succeeds(write_stream_allocate(stream, 0, 0, 10, NULL, &err));
    write_stream_close(stream);
    stream = write_bed_open_file(bed, IMAGE_ID, CREATE);
    assert_succeeds(write_stream_truncate(stream, 10, NULL, &err));
    write_stream_close(stream);
    stream = write_bed_open_file(bed, IMAGE_ID, CREATE);
    write_bed_write(stream, "01234", 5, 0);
    write_bed_write(stream, "6789", 4, 6);
    write_stream_close(stream);
    assert_not_sealed(bed, IMAGE_ID);
}

static void bytes_cut_off_are_not_written_bytes(void **state)
{
    struct write_bed *bed = *state;
    struct write_stream *stream;
    struct error err = ERROR_INIT;

    write_bed_declare(bed, 10);
    stream = write_bed_open_file(bed, IMAGE_ID, CREATE);
    write_bed_write(stream, "0123456789", 10, 0);
    assert_succeeds(write_stream_truncate(stream, 5, NULL, &err));
    assert_succeeds(write_stream_truncate(stream, 10, NULL, &err));
    write_stream_close(stream);
    assert_not_sealed(bed, IMAGE_ID);
}

static void a_killed_writer_does_not_seal(void **state)
{
    struct write_bed *bed = *state;
    struct write_stream *stream;
    struct error err = ERROR_INIT;

    write_bed_declare(bed, 5);
    stream = write_bed_open_file(bed, IMAGE_ID, CREATE);
    write_bed_write(stream, "hello", 5, 0);
    assert_errno(EIO, write_stream_flush(stream, true, &err));
    write_stream_close(stream);
    write_bed_pause();
    assert_state(bed, IMAGE_ID, "poisoned");
    assert_int_equal(atomic_load(&bed->seals), 0);
}

static void the_last_close_seals_be_it_a_readers(void **state)
{
    struct write_bed *bed = *state;
    struct write_stream *stream;
    struct write_stream *reader;

    write_bed_declare(bed, 5);
    stream = write_bed_open_file(bed, IMAGE_ID, CREATE);
    reader = write_bed_open_file(bed, IMAGE_ID, O_RDONLY);
    write_bed_write(stream, "hello", 5, 0);
    write_stream_close(stream);
    assert_not_sealed(bed, IMAGE_ID);
    write_stream_close(reader);
    assert_sealed(bed, IMAGE_ID, "hello", 5);
}

static void another_writer_takes_the_completeness_back(void **state)
{
    struct write_bed *bed = *state;
    struct write_stream *stream;
    struct write_stream *reader;

    write_bed_declare(bed, 5);
    stream = write_bed_open_file(bed, IMAGE_ID, CREATE);
    reader = write_bed_open_file(bed, IMAGE_ID, O_RDONLY);
    write_bed_write(stream, "hello", 5, 0);
    write_stream_close(stream);
    stream = write_bed_open_file(bed, IMAGE_ID, O_WRONLY);
    write_bed_write(stream, "J", 1, 0);
    write_stream_close(stream);
    write_stream_close(reader);
    assert_not_sealed(bed, IMAGE_ID);
}

static void commit_on_close_seals_what_was_written(void **state)
{
    struct write_bed *bed = *state;
    struct write_stream *stream;

    bed->config->commit = COMMIT_CLOSE;
    stream = write_bed_open_file(bed, IMAGE_ID, CREATE);
    write_stream_close(stream);
    assert_not_sealed(bed, IMAGE_ID);
    stream = write_bed_open_file(bed, IMAGE_ID, CREATE);
    write_bed_write(stream, "\0x", 2, 0);
    write_bed_write(stream, "y", 1, 5);
    write_stream_close(stream);
    assert_sealed(bed, IMAGE_ID, "\0x\0\0\0y", 6);
}

static void commit_on_close_reports_what_it_cannot_seal(void **state)
{
    struct write_bed *bed = *state;
    struct write_stream *stream;

    bed->config->commit = COMMIT_CLOSE;
    write_bed_declare(bed, 10);
    stream = write_bed_open_file(bed, IMAGE_ID, CREATE);
    write_bed_write(stream, "hello", 5, 0);
    write_stream_close(stream);
    assert_int_equal(atomic_load(&bed->failed_seals), 1);
    assert_state(bed, IMAGE_ID, "staging");
}

static void commit_on_close_reports_a_full_disk(void **state)
{
    const struct fake_staging_faults faults = {.fails_commit = true};
    struct write_bed *bed = *state;
    struct write_stream *stream;

    bed->config->commit = COMMIT_CLOSE;
    fake_staging_misbehave(bed->staging, &faults);
    stream = write_bed_open_file(bed, IMAGE_ID, CREATE);
    write_bed_write(stream, "hello", 5, 0);
    write_stream_close(stream);
    wait_until(atomic_load(&bed->failed_seals) == 1);
    assert_state(bed, IMAGE_ID, "poisoned");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        write_test(the_close_of_a_complete_declared_file_seals),
        write_test(a_size_by_xattr_counts_also_while_it_is_open),
        write_test(closing_another_name_never_seals),
        write_test(the_close_of_an_incomplete_file_does_not),
        write_test(a_truncate_declares_nothing),
        write_test(holes_and_extensions_are_not_written_bytes),
        write_test(bytes_cut_off_are_not_written_bytes),
        write_test(a_killed_writer_does_not_seal),
        write_test(the_last_close_seals_be_it_a_readers),
        write_test(another_writer_takes_the_completeness_back),
        write_test(commit_on_close_seals_what_was_written),
        write_test(commit_on_close_reports_what_it_cannot_seal),
        write_test(commit_on_close_reports_a_full_disk),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
