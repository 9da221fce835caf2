/* SPDX-License-Identifier: Apache-2.0 */
#include "services/local/local_directory.h"

#include "base/file_sink.h"
#include "base/uuid.h"
#include "local_cloud_fixture.h"
#include "support/child_process.h"
#include "support/crypto_arena.h"
#include "support/testing.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

static const char *const directories[] = {"images", "secrets"};

/* What begins to write a document of the cloud, and is killed before it has its name. */
struct writer {
    struct local_cloud_fixture *fixture;
    const char *directory;
};

static int write_and_die(void *context)
{
    const struct writer *writer = context;
    CLEANUP(byte_sink_free) struct byte_sink *sink = NULL;
    CLEANUP(fd_close) int lock_fd = -1;
    struct error err = ERROR_INIT;
    const int fd = openat(temp_dir_fd(writer->fixture->dir), writer->directory, O_RDONLY);

    if (local_directory_lock(fd, LOCAL_LOCK_EXCLUSIVE, &lock_fd, &err) == 0 &&
        file_sink_publish(fd, IMAGE_ID ".json", 0600, &sink, &err) == 0 &&
        byte_sink_write(sink, "{", 1, NULL, &err) == 0)
        (void)raise(SIGKILL);
    return 1;
}

/* A cloud with both directories, and nothing in them. */
static struct local_cloud_fixture *empty_cloud(struct secure_arena *arena)
{
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(arena);

    for (size_t i = 0; i < ELEMENTS_OF(directories); i++)
        assert_int_equal(mkdirat(temp_dir_fd(fixture->dir), directories[i], 0700), 0);
    return fixture;
}

static unsigned count_temporaries(struct local_cloud_fixture *fixture, const char *directory)
{
    const int dir_fd = openat(temp_dir_fd(fixture->dir), directory, O_RDONLY);
    CLEANUP(closedir) DIR *stream = fdopendir(dir_fd);
    const struct dirent *entry;
    unsigned count = 0;

    assert_non_null(stream);
    while ((entry = readdir(stream)) != NULL)
        count += strncmp(entry->d_name, FILE_SINK_TEMPORARY_PREFIX,
                         strlen(FILE_SINK_TEMPORARY_PREFIX)) == 0;
    return count;
}

static void kill_a_writer(struct local_cloud_fixture *fixture, const char *directory)
{
    struct writer writer = {fixture, directory};

    assert_int_equal(run_in_child(write_and_die, &writer), 256 + SIGKILL);
    assert_int_equal(count_temporaries(fixture, directory), 1);
}

static void open_once_more(const struct local_cloud_fixture *fixture, struct secure_arena *arena)
{
    CLEANUP(cloud_free) struct cloud *cloud = NULL;
    struct error err;

    assert_succeeds(cloud_open(fixture->name, NULL, arena, &cloud, &err));
}

/* --- what killed writers left --- */

static void a_start_removes_what_killed_writers_left(void **state)
{
    CLEANUP(local_cloud_fixture_free) struct local_cloud_fixture *fixture = empty_cloud(*state);

    for (size_t i = 0; i < ELEMENTS_OF(directories); i++) {
        kill_a_writer(fixture, directories[i]);
        open_once_more(fixture, *state);
        assert_int_equal(count_temporaries(fixture, directories[i]), 0);
    }
}

static void the_next_record_is_written_without_what_a_killed_writer_left(void **state)
{
    CLEANUP(local_cloud_fixture_free) struct local_cloud_fixture *fixture = empty_cloud(*state);

    kill_a_writer(fixture, "images");
    create_image(fixture, IMAGE_ID);
    assert_int_equal(count_temporaries(fixture, "images"), 0);
    assert_int_equal(status_of(fixture, IMAGE_ID), IMAGE_STATUS_QUEUED);
}

static void the_next_secret_is_written_without_what_a_killed_writer_left(void **state)
{
    CLEANUP(local_cloud_fixture_free) struct local_cloud_fixture *fixture = empty_cloud(*state);
    CLEANUP(secure_buffer_free) struct secure_buffer *payload = NULL;
    const struct secret_metadata metadata = {.secret_type = "passphrase"};
    char id[UUID_TEXT_BYTES];
    struct error err;

    assert_succeeds(secure_buffer_new(*state, 8, &payload, &err));
    assert_succeeds(secure_buffer_append(payload, "password", 8, &err));
    kill_a_writer(fixture, "secrets");
    assert_succeeds(key_manager_store(fixture->cloud->keys, &metadata, payload, NULL, id, &err));
    assert_int_equal(count_temporaries(fixture, "secrets"), 0);
}

static void a_start_does_not_disturb_who_is_writing(void **state)
{
    CLEANUP(local_cloud_fixture_free) struct local_cloud_fixture *fixture = empty_cloud(*state);

    for (size_t i = 0; i < ELEMENTS_OF(directories); i++) {
        const int fd = openat(temp_dir_fd(fixture->dir), directories[i], O_RDONLY);
        CLEANUP(byte_sink_free) struct byte_sink *sink = NULL;
        CLEANUP(fd_close) int lock_fd = -1;
        struct error err;

        assert_succeeds(local_directory_lock(fd, LOCAL_LOCK_EXCLUSIVE, &lock_fd, &err));
        assert_succeeds(file_sink_publish(fd, "document", 0600, &sink, &err));
        open_once_more(fixture, *state);
        assert_int_equal(count_temporaries(fixture, directories[i]), 1);
        assert_succeeds(byte_sink_commit(sink, NULL, &err));
        assert_int_equal(count_temporaries(fixture, directories[i]), 0);
        (void)close(fd);
    }
}

/* --- the lock --- */

static int lock_of(int fd, enum local_lock lock)
{
    CLEANUP(fd_close) int lock_fd = -1;
    struct error err = ERROR_INIT;

    return local_directory_lock(fd, lock, &lock_fd, &err) == 0 ? 0 : (int)err.kind;
}

static void a_lock_that_is_held_is_not_waited_for_on_request(void **state)
{
    CLEANUP(local_cloud_fixture_free) struct local_cloud_fixture *fixture = empty_cloud(*state);
    static const enum local_lock locks[] = {LOCAL_LOCK_SHARED, LOCAL_LOCK_EXCLUSIVE,
                                            LOCAL_LOCK_IF_FREE};
    CLEANUP(fd_close) int fd = openat(temp_dir_fd(fixture->dir), "images", O_RDONLY);

    for (size_t i = 0; i < ELEMENTS_OF(locks); i++) {
        CLEANUP(fd_close) int held = -1;
        struct error err;

        assert_succeeds(local_directory_lock(fd, locks[i], &held, &err));
        assert_int_equal(lock_of(fd, LOCAL_LOCK_IF_FREE), ERROR_BUSY);
    }
    assert_int_equal(lock_of(fd, LOCAL_LOCK_IF_FREE), 0);
}

static void who_only_looks_removes_nothing(void **state)
{
    CLEANUP(local_cloud_fixture_free) struct local_cloud_fixture *fixture = empty_cloud(*state);
    CLEANUP(fd_close) int fd = openat(temp_dir_fd(fixture->dir), "images", O_RDONLY);

    kill_a_writer(fixture, "images");
    assert_int_equal(lock_of(fd, LOCAL_LOCK_SHARED), 0);
    assert_int_equal(count_temporaries(fixture, "images"), 1);
    assert_int_equal(lock_of(fd, LOCAL_LOCK_IF_FREE), 0);
    assert_int_equal(count_temporaries(fixture, "images"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_start_removes_what_killed_writers_left),
        cmocka_unit_test(the_next_record_is_written_without_what_a_killed_writer_left),
        cmocka_unit_test(the_next_secret_is_written_without_what_a_killed_writer_left),
        cmocka_unit_test(a_start_does_not_disturb_who_is_writing),
        cmocka_unit_test(a_lock_that_is_held_is_not_waited_for_on_request),
        cmocka_unit_test(who_only_looks_removes_nothing),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
