/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/staged_upload.h"

#include "crypto/encoding.h"
#include "crypto/hash.h"
#include "glancefs/limits.h"
#include "staging_fixture.h"
#include "support/child_process.h"
#include "support/crypto_arena.h"
#include "support/pseudo_random.h"
#include "support/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- system calls under control --- */

static size_t short_writes;    /* most bytes that one write takes; 0: all */
static size_t room = SIZE_MAX; /* bytes until the disk is full */
static unsigned sync_starts, sync_waits;

ssize_t __real_write(int fd, const void *bytes, size_t size);
ssize_t __wrap_write(int fd, const void *bytes, size_t size);
int __wrap_sync_file_range(int fd, off_t offset, off_t size, unsigned flags);

ssize_t __wrap_write(int fd, const void *bytes, size_t size)
{
    ssize_t result;

    if (room == 0) {
        errno = ENOSPC;
        return -1;
    }
    if (short_writes > 0 && size > short_writes)
        size = short_writes;
    if (size > room)
        size = room;
    result = __real_write(fd, bytes, size);
    if (result > 0 && room != SIZE_MAX)
        room -= (size_t)result;
    return result;
}

int __wrap_sync_file_range(int fd, off_t offset, off_t size, unsigned flags)
{
    (void)fd;
    if (offset % (off_t)(32 * MIB) != 0 || size != (off_t)(32 * MIB))
        abort();
    if ((flags & SYNC_FILE_RANGE_WAIT_AFTER) != 0)
        sync_waits++;
    else
        sync_starts++;
    errno = EINVAL;
    return -1;
}

static int open_fixture(void **state)
{
    short_writes = 0;
    room = SIZE_MAX;
    sync_starts = sync_waits = 0;
    return staging_fixture_open(state);
}

static void begin(const struct staging_fixture *fixture, struct staged_upload **ret)
{
    struct error err = ERROR_INIT;

    assert_succeeds(staged_upload_new(fixture->staging, IMAGE_ID, ret, &err));
}

static int write_all(struct staged_upload *upload, const void *bytes, size_t size,
                     struct error *err)
{
    return byte_sink_write(staged_upload_sink(upload), bytes, size, NULL, err);
}

static struct upload_journal *read_journal(const struct staging_fixture *fixture)
{
    CLEANUP(memory_free) char *path = staging_fixture_file(IMAGE_ID, ".json");
    CLEANUP(memory_free) uint8_t *text = NULL;
    struct upload_journal *journal = NULL;
    struct error err = ERROR_INIT;
    size_t size;

    text = temp_dir_read(fixture->dir, path, &size);
    assert_succeeds(upload_journal_parse(IMAGE_ID, (char *)text, size, &journal, &err));
    return journal;
}

static void assert_digest(enum hash_algorithm algorithm, const void *bytes, size_t size,
                          const char *expected)
{
    CLEANUP(hash_free) struct hash *hash = NULL;
    uint8_t digest[HASH_MAXIMUM_BYTES];
    char text[2 * HASH_MAXIMUM_BYTES + 1] = "";
    struct error err = ERROR_INIT;

    assert_succeeds(hash_new(algorithm, &hash, &err));
    hash_update(hash, bytes, size);
    hash_finish(hash, digest);
    encode_hex(digest, hash_size(algorithm), text);
    assert_string_equal(text, expected);
}

/* --- writing and sealing --- */

static void what_is_sealed_is_what_was_written(void **state)
{
    struct staging_fixture *fixture = *state;
    CLEANUP(staged_upload_free) struct staged_upload *upload = NULL;
    CLEANUP(upload_journal_free) struct upload_journal *journal = NULL;
    CLEANUP(memory_free) char *path = staging_fixture_file(IMAGE_ID, ".data");
    CLEANUP(memory_free) uint8_t *bytes = NULL;
    struct pseudo_random random = {.state = 5};
    struct error err = ERROR_INIT;
    size_t size = 0;

    short_writes = 1000;
    begin(fixture, &upload);
    for (size_t at = 0, piece; at < fixture->size; at += piece) {
        piece = 1 + pseudo_random_below(&random, 9999);
        piece = piece < fixture->size - at ? piece : fixture->size - at;
        assert_succeeds(write_all(upload, fixture->bytes + at, piece, &err));
    }
    staged_upload_set_plaintext_size(upload, 42);
    assert_succeeds(staged_upload_set_property(upload, "os_decrypt_size", "42", &err));
    assert_succeeds(byte_sink_commit(staged_upload_sink(upload), NULL, &err));
    bytes = temp_dir_read(fixture->dir, path, &size);
    assert_int_equal(size, fixture->size);
    assert_memory_equal(bytes, fixture->bytes, size);
    journal = read_journal(fixture);
    assert_int_equal(journal->stored_bytes, size);
    assert_int_equal(journal->plaintext_bytes, 42);
    assert_string_equal(journal->cloud, CLOUD);
    assert_string_equal(journal->project_id, PROJECT);
    assert_digest(HASH_SHA512, bytes, size, journal->sha512);
    assert_digest(HASH_MD5, bytes, size, journal->md5);
}

static void files_are_for_nobody_else(void **state)
{
    static const char *const suffixes[] = {".data", ".json"};
    struct staging_fixture *fixture = *state;

    staging_fixture_seal(fixture, IMAGE_ID);
    for (size_t i = 0; i < ELEMENTS_OF(suffixes); i++) {
        CLEANUP(memory_free) char *path = staging_fixture_file(IMAGE_ID, suffixes[i]);
        struct stat status;

        assert_int_equal(fstatat(temp_dir_fd(fixture->dir), path, &status, 0), 0);
        assert_int_equal(status.st_mode & 07777, 0600);
    }
}

static void aborting_leaves_nothing(void **state)
{
    struct staging_fixture *fixture = *state;
    struct staged_upload *upload = staging_fixture_begin(fixture, IMAGE_ID);
    struct error err = ERROR_INIT;

    byte_sink_abort(staged_upload_sink(upload));
    assert_int_equal(staging_fixture_files(fixture), 0);
    assert_fails(ERROR_INVALID, byte_sink_commit(staged_upload_sink(upload), NULL, &err));
    staged_upload_free(upload);
}

static void freeing_without_a_seal_aborts(void **state)
{
    struct staging_fixture *fixture = *state;

    staged_upload_free(staging_fixture_begin(fixture, IMAGE_ID));
    assert_int_equal(staging_fixture_files(fixture), 0);
    staged_upload_free(NULL);
}

static void freeing_after_the_seal_keeps_it(void **state)
{
    struct staging_fixture *fixture = *state;

    staging_fixture_seal(fixture, IMAGE_ID);
    assert_int_equal(staging_fixture_files(fixture), 2);
}

static void nothing_is_too_little_to_seal(void **state)
{
    struct staging_fixture *fixture = *state;
    CLEANUP(staged_upload_free) struct staged_upload *upload = NULL;
    CLEANUP(upload_journal_free) struct upload_journal *journal = NULL;
    struct error err = ERROR_INIT;

    begin(fixture, &upload);
    assert_succeeds(byte_sink_commit(staged_upload_sink(upload), NULL, &err));
    journal = read_journal(fixture);
    assert_int_equal(journal->stored_bytes, 0);
}

/* An interrupted writer must find its staging as it was. */
static void a_cancelled_caller_fails_nothing(void **state)
{
    struct staging_fixture *fixture = *state;
    CLEANUP(staged_upload_free) struct staged_upload *upload = NULL;
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    struct error err = ERROR_INIT;

    begin(fixture, &upload);
    assert_succeeds(cancel_new(&cancel, &err));
    cancel_request(cancel);
    assert_succeeds(
        byte_sink_write(staged_upload_sink(upload), fixture->bytes, 1000, cancel, &err));
    assert_succeeds(byte_sink_commit(staged_upload_sink(upload), cancel, &err));
}

static void a_seal_that_cannot_be_written_down_is_none(void **state)
{
    struct staging_fixture *fixture = *state;
    CLEANUP(staged_upload_free)
    struct staged_upload *upload = staging_fixture_begin(fixture, IMAGE_ID);
    struct error err = ERROR_INIT;

    assert_succeeds(staged_upload_set_property(upload, "name", "\xff", &err));
    assert_fails(ERROR_INVALID, byte_sink_commit(staged_upload_sink(upload), NULL, &err));
    assert_int_equal(staging_fixture_files(fixture), 0);
}

static void only_a_uuid_becomes_a_file_name(void **state)
{
    static const char *const ids[] = {"", "../../etc/passwd", IMAGE_ID "/", "11111111"};
    struct staging_fixture *fixture = *state;

    for (size_t i = 0; i < ELEMENTS_OF(ids); i++) {
        struct staged_upload *upload = NULL;
        struct error err = ERROR_INIT;

        assert_fails(ERROR_NOT_FOUND, staged_upload_new(fixture->staging, ids[i], &upload, &err));
    }
}

/* --- a full disk --- */

static void a_full_disk_ends_the_staging_and_frees_its_space(void **state)
{
    static const size_t rooms[] = {0, 1, 4095, 100000};
    struct staging_fixture *fixture = *state;

    for (size_t i = 0; i < ELEMENTS_OF(rooms); i++) {
        CLEANUP(staged_upload_free) struct staged_upload *upload = NULL;
        struct error err = ERROR_INIT;

        room = SIZE_MAX;
        begin(fixture, &upload);
        room = rooms[i];
        assert_fails(ERROR_NO_SPACE, write_all(upload, fixture->bytes, fixture->size, &err));
        assert_int_equal(err.errnum, ENOSPC);
        assert_int_equal(staging_fixture_files(fixture), 0);
        room = SIZE_MAX;
        assert_fails(ERROR_INVALID, write_all(upload, "x", 1, &err));
    }
}

static void a_disk_that_is_full_at_the_seal_keeps_nothing(void **state)
{
    struct staging_fixture *fixture = *state;
    CLEANUP(staged_upload_free)
    struct staged_upload *upload = staging_fixture_begin(fixture, IMAGE_ID);
    struct error err = ERROR_INIT;

    room = 10; /* not enough for the journal */
    assert_fails(ERROR_NO_SPACE, byte_sink_commit(staged_upload_sink(upload), NULL, &err));
    assert_int_equal(staging_fixture_files(fixture), 0);
    room = SIZE_MAX;
    staging_fixture_seal(fixture, IMAGE_ID);
}

#define FILE_LIMIT 65536

/* A real limit of the kernel; with SIGXFSZ ignored write reports it. */
static int write_over_the_limit(void *context)
{
    const struct staging_fixture *fixture = context;
    const struct rlimit limit = {FILE_LIMIT, FILE_LIMIT};
    struct staged_upload *upload = NULL;
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct error err = ERROR_INIT;
    int code = 0;

    if (sigaction(SIGXFSZ, &ignore, NULL) < 0 || setrlimit(RLIMIT_FSIZE, &limit) < 0 ||
        staged_upload_new(fixture->staging, IMAGE_ID, &upload, &err) < 0)
        return 1;
    if (write_all(upload, fixture->bytes, fixture->size, &err) == 0)
        code = 2;
    else if (err.errnum != EFBIG)
        code = 3;
    staged_upload_free(upload);
    return code;
}

static void a_file_size_limit_ends_it_too(void **state)
{
    struct staging_fixture *fixture = *state;

    assert_int_equal(run_in_child(write_over_the_limit, fixture), 0);
    assert_int_equal(staging_fixture_files(fixture), 0);
}

/* --- syncing as it grows --- */

static void write_back_starts_every_32_mib(void **state)
{
    struct staging_fixture *fixture = *state;
    CLEANUP(staged_upload_free) struct staged_upload *upload = NULL;
    CLEANUP(memory_free) uint8_t *piece = calloc(1, MIB);
    struct error err = ERROR_INIT;

    assert_non_null(piece);
    begin(fixture, &upload);
    for (int i = 0; i < 97; i++)
        assert_succeeds(write_all(upload, piece, i == 0 ? 5000 : MIB, &err));
    assert_int_equal(sync_starts, 3);
    assert_int_equal(sync_waits, 2);
}

#define upload_test(name) cmocka_unit_test_setup_teardown(name, open_fixture, staging_fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        upload_test(what_is_sealed_is_what_was_written),
        upload_test(files_are_for_nobody_else),
        upload_test(aborting_leaves_nothing),
        upload_test(freeing_without_a_seal_aborts),
        upload_test(freeing_after_the_seal_keeps_it),
        upload_test(nothing_is_too_little_to_seal),
        upload_test(a_cancelled_caller_fails_nothing),
        upload_test(a_seal_that_cannot_be_written_down_is_none),
        upload_test(only_a_uuid_becomes_a_file_name),
        upload_test(a_full_disk_ends_the_staging_and_frees_its_space),
        upload_test(a_disk_that_is_full_at_the_seal_keeps_nothing),
        upload_test(a_file_size_limit_ends_it_too),
        upload_test(write_back_starts_every_32_mib),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
