/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/upload_source.h"

#include "crypto/encoding.h"
#include "crypto/hash.h"
#include "support/crypto_arena.h"
#include "support/pseudo_random.h"
#include "support/temp_dir.h"
#include "support/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define IMAGE_ID "11111111-2222-4333-8444-555555555555"
#define SIZE 100003

struct fixture {
    struct temp_dir *dir;
    uint8_t *bytes;
    int fd;
    struct upload_journal *journal;
    _Atomic uint64_t sent;
};

static void seal_bytes(struct fixture *fixture)
{
    CLEANUP(hash_free) struct hash *hash = NULL;
    uint8_t digest[HASH_MAXIMUM_BYTES];
    struct error err = ERROR_INIT;

    assert_succeeds(hash_new(HASH_SHA512, &hash, &err));
    hash_update(hash, fixture->bytes, SIZE);
    hash_finish(hash, digest);
    encode_hex(digest, hash_size(HASH_SHA512), fixture->journal->sha512);
    fixture->journal->stored_bytes = SIZE;
}

static int open_fixture(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    struct error err = ERROR_INIT;

    if (fixture == NULL)
        return -1;
    fixture->dir = temp_dir_new();
    fixture->bytes = pseudo_random_bytes(3, SIZE);
    temp_dir_write(fixture->dir, "data", fixture->bytes, SIZE);
    fixture->fd = openat(temp_dir_fd(fixture->dir), "data", O_RDWR | O_CLOEXEC);
    assert_succeeds(upload_journal_new(IMAGE_ID, "local:", "", &fixture->journal, &err));
    seal_bytes(fixture);
    *state = fixture;
    return 0;
}

static int close_fixture(void **state)
{
    struct fixture *fixture = *state;

    (void)close(fixture->fd);
    upload_journal_free(fixture->journal);
    temp_dir_free(fixture->dir);
    free(fixture->bytes);
    free(fixture);
    return 0;
}

static struct byte_source *open_source(struct fixture *fixture)
{
    struct byte_source *source = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(
        upload_source_new(fixture->journal, fixture->fd, &fixture->sent, &source, &err));
    return source;
}

/* Reads on in pieces of `piece` bytes up to `end`. */
static void assert_reads(struct fixture *fixture, struct byte_source *source, size_t from,
                         size_t end, size_t piece)
{
    uint8_t buffer[SIZE];
    struct error err = ERROR_INIT;
    size_t got = 0;

    for (size_t at = from; at < end; at += got) {
        assert_succeeds(byte_source_pread(source, buffer, piece, at, NULL, &got, &err));
        assert_true(got > 0);
        assert_memory_equal(buffer, fixture->bytes + at, got);
        assert_int_equal(fixture->sent, at + got);
    }
}

static void delivers_what_was_sealed_and_counts_it(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(byte_source_free) struct byte_source *source = open_source(fixture);
    struct error err = ERROR_INIT;
    uint8_t byte;
    size_t got = 1;

    assert_int_equal(byte_source_size(source), SIZE);
    assert_true(byte_source_is_forward_only(source));
    assert_reads(fixture, source, 0, SIZE, 4099);
    assert_succeeds(byte_source_pread(source, &byte, 1, SIZE, NULL, &got, &err));
    assert_int_equal(got, 0);
}

static void can_be_read_again_from_the_start(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(byte_source_free) struct byte_source *source = open_source(fixture);

    assert_reads(fixture, source, 0, 50000, 1000);
    assert_reads(fixture, source, 0, SIZE, 777);
    assert_reads(fixture, source, 0, SIZE, SIZE);
}

static void refuses_any_other_offset(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(byte_source_free) struct byte_source *source = open_source(fixture);
    struct error err = ERROR_INIT;
    uint8_t byte;
    size_t got;

    assert_reads(fixture, source, 0, 1000, 1000);
    assert_fails(ERROR_SYSTEM, byte_source_pread(source, &byte, 1, 999, NULL, &got, &err));
    assert_int_equal(err.errnum, ESPIPE);
    assert_reads(fixture, source, 1000, SIZE, 5000);
}

static void withholds_the_end_of_bytes_that_changed(void **state)
{
    static const size_t places[] = {0, 1, 50000, SIZE - 1};
    struct fixture *fixture = *state;

    for (size_t i = 0; i < ELEMENTS_OF(places); i++) {
        CLEANUP(byte_source_free) struct byte_source *source = open_source(fixture);
        uint8_t buffer[SIZE];
        struct error err = ERROR_INIT;
        size_t got, at = 0;
        int result;

        fixture->bytes[places[i]] ^= 0x80;
        temp_dir_write(fixture->dir, "data", fixture->bytes, SIZE);
        (void)close(fixture->fd);
        fixture->fd = openat(temp_dir_fd(fixture->dir), "data", O_RDWR | O_CLOEXEC);
        byte_source_free(steal(&source));
        source = open_source(fixture);
        while ((result = byte_source_pread(source, buffer, 7000, at, NULL, &got, &err)) == 0)
            at += got;
        assert_int_equal(result, -1);
        assert_int_equal(err.kind, ERROR_CORRUPT);
        assert_true(at < SIZE);
        assert_fails(ERROR_CORRUPT, byte_source_pread(source, buffer, 7000, at, NULL, &got, &err));
        fixture->bytes[places[i]] ^= 0x80;
    }
}

static void refuses_a_file_of_another_size(void **state)
{
    struct fixture *fixture = *state;
    struct byte_source *source = NULL;
    struct error err = ERROR_INIT;

    assert_int_equal(ftruncate(fixture->fd, SIZE + 1), 0);
    assert_fails(ERROR_CORRUPT,
                 upload_source_new(fixture->journal, fixture->fd, &fixture->sent, &source, &err));
    assert_int_equal(ftruncate(fixture->fd, SIZE - 1), 0);
    assert_fails(ERROR_CORRUPT,
                 upload_source_new(fixture->journal, fixture->fd, &fixture->sent, &source, &err));
}

static void a_file_cut_while_it_is_read_is_noticed(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(byte_source_free) struct byte_source *source = open_source(fixture);
    uint8_t buffer[4000];
    struct error err = ERROR_INIT;
    size_t got;

    assert_reads(fixture, source, 0, 4000, 4000);
    assert_int_equal(ftruncate(fixture->fd, 6000), 0);
    assert_fails(ERROR_CORRUPT,
                 byte_source_pread(source, buffer, sizeof buffer, 4000, NULL, &got, &err));
}

static void a_cancelled_read_can_be_repeated(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(byte_source_free) struct byte_source *source = open_source(fixture);
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    struct error err = ERROR_INIT;
    uint8_t buffer[100];
    size_t got;

    assert_reads(fixture, source, 0, 5000, 5000);
    assert_succeeds(cancel_new(&cancel, &err));
    cancel_request(cancel);
    assert_fails(ERROR_CANCELLED,
                 byte_source_pread(source, buffer, sizeof buffer, 5000, cancel, &got, &err));
    assert_reads(fixture, source, 5000, SIZE, 5000);
}

#define source_test(name) cmocka_unit_test_setup_teardown(name, open_fixture, close_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        source_test(delivers_what_was_sealed_and_counts_it),
        source_test(can_be_read_again_from_the_start),
        source_test(refuses_any_other_offset),
        source_test(withholds_the_end_of_bytes_that_changed),
        source_test(refuses_a_file_of_another_size),
        source_test(a_file_cut_while_it_is_read_is_noticed),
        source_test(a_cancelled_read_can_be_repeated),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
