/* SPDX-License-Identifier: Apache-2.0 */
#include "base/uuid.h"
#include "cli/command.h"
#include "program.h"
#include "support/pseudo_random.h"
#include "support/testing.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define DISK_BYTES 1234567

/* A directory with a disk to upload, "disk"; cloud and cache are made by the program. */
struct upload_test {
    struct temp_dir *dir;
    char cloud[4096]; /* "local:DIR/cloud" */
    char *cache;
    char *temporary; /* $TMPDIR of the program */
    char *disk;
    uint8_t *bytes;
};

static int begin_test(void **state)
{
    struct upload_test *test = calloc(1, sizeof *test);

    if (test == NULL)
        return -1;
    test->dir = temp_dir_new();
    (void)snprintf(test->cloud, sizeof test->cloud, "local:%s/cloud", temp_dir_path(test->dir));
    test->cache = temp_dir_join(test->dir, "cache");
    test->temporary = temp_dir_join(test->dir, "temporary");
    test->disk = temp_dir_join(test->dir, "disk");
    test->bytes = pseudo_random_bytes(11, DISK_BYTES);
    temp_dir_write(test->dir, "disk", test->bytes, DISK_BYTES);
    *state = test;
    return mkdir(test->temporary, 0700) < 0 || setenv("TMPDIR", test->temporary, 1) < 0 ? -1 : 0;
}

static int end_test(void **state)
{
    struct upload_test *test = *state;

    (void)unsetenv("TMPDIR");
    temp_dir_free(test->dir);
    free(test->cache);
    free(test->temporary);
    free(test->disk);
    free(test->bytes);
    free(test);
    return 0;
}

/* The id that stands alone on standard output. */
static void take_id(const struct program_run *run, char ret[UUID_TEXT_BYTES])
{
    if (run->exit_code != EXIT_CODE_OK)
        fail_msg("exit code %d: %s", run->exit_code, run->errors);
    assert_int_equal(strlen(run->output), UUID_TEXT_BYTES);
    memcpy(ret, run->output, UUID_TEXT_BYTES - 1);
    ret[UUID_TEXT_BYTES - 1] = '\0';
    assert_true(uuid_is_valid(ret));
}

static char *cloud_file(const char *id, const char *suffix)
{
    char *name = NULL;

    if (asprintf(&name, "cloud/%s%s", id, suffix) < 0)
        abort();
    return name;
}

static size_t entries(const struct upload_test *test, const char *name)
{
    CLEANUP(memory_free) char *path = temp_dir_join(test->dir, name);
    const struct dirent *entry;
    DIR *directory = opendir(path);
    size_t count = 0;

    if (directory == NULL)
        return 0;
    while ((entry = readdir(directory)) != NULL)
        count += entry->d_name[0] != '.';
    (void)closedir(directory);
    return count;
}

static void make_key(const struct upload_test *test, char ret_id[UUID_TEXT_BYTES])
{
    CLEANUP(program_run_free)
    struct program_run *run = RUN(test->dir, NULL, "key", "create", "--cloud", test->cloud);

    take_id(run, ret_id);
}

/* The image's record; its data, decrypted with the key, are the disk. */
static char *assert_holds_disk(const struct upload_test *test, const char *id, const char *key_id)
{
    CLEANUP(program_run_free) struct program_run *run = NULL;
    CLEANUP(memory_free) char *relative = cloud_file("secrets/", key_id);
    CLEANUP(memory_free) char *payload = NULL;
    CLEANUP(memory_free) char *data = NULL;
    CLEANUP(memory_free) char *record_name = NULL;
    CLEANUP(memory_free) char *plain = temp_dir_join(test->dir, "plain");
    CLEANUP(memory_free) uint8_t *bytes = NULL;
    size_t size = 0;

    assert_true(asprintf(&payload, "%s/%s.payload", temp_dir_path(test->dir), relative) > 0);
    assert_true(asprintf(&data, "%s/cloud/images/%s.data", temp_dir_path(test->dir), id) > 0);
    assert_true(asprintf(&record_name, "cloud/images/%s.json", id) > 0);
    run = RUN(test->dir, NULL, "decrypt", "--key-file", payload, "--output", plain, data);
    if (run->exit_code != EXIT_CODE_OK)
        fail_msg("decrypt: %s", run->errors);
    bytes = temp_dir_read(test->dir, "plain", &size);
    assert_int_equal(size, DISK_BYTES);
    assert_memory_equal(bytes, test->bytes, DISK_BYTES);
    return (char *)temp_dir_read(test->dir, record_name, NULL);
}

/* --- success --- */

static void a_file_becomes_an_active_image(void **state)
{
    const struct upload_test *test = *state;
    CLEANUP(program_run_free) struct program_run *run = NULL;
    CLEANUP(memory_free) char *record = NULL;
    char key[UUID_TEXT_BYTES], id[UUID_TEXT_BYTES];

    make_key(test, key);
    run = RUN(test->dir, NULL, "upload", "--cloud", test->cloud, "--key", key, "--name", "disk 1",
              "--disk-format", "qcow2", test->disk);
    take_id(run, id);
    record = assert_holds_disk(test, id, key);
    assert_non_null(strstr(record, "\"status\":\"active\""));
    assert_non_null(strstr(record, "\"name\":\"disk 1\""));
    assert_non_null(strstr(record, "\"disk_format\":\"qcow2\""));
    assert_non_null(strstr(record, "\"container_format\":\"encrypted\""));
    assert_non_null(strstr(record, "\"os_encrypt_format\":\"GPG\""));
    assert_non_null(strstr(record, key));
    assert_non_null(strstr(record, "\"os_decrypt_size\":\"1234567\""));
    assert_string_equal(run->errors, "");
}

static void standard_input_becomes_an_active_image(void **state)
{
    const struct upload_test *test = *state;
    CLEANUP(program_run_free) struct program_run *run = NULL;
    CLEANUP(memory_free) char *record = NULL;
    char key[UUID_TEXT_BYTES], id[UUID_TEXT_BYTES];

    make_key(test, key);
    run = RUN(test->dir, "disk", "upload", "--cloud", test->cloud, "--key", key, "-");
    take_id(run, id);
    record = assert_holds_disk(test, id, key);
    assert_non_null(strstr(record, "\"disk_format\":\"raw\""));
    assert_non_null(strstr(record, "\"os_decrypt_size\":\"1234567\""));
}

static void a_new_key_is_made_and_named(void **state)
{
    const struct upload_test *test = *state;
    CLEANUP(program_run_free) struct program_run *run = NULL;
    char key[UUID_TEXT_BYTES] = "", id[UUID_TEXT_BYTES];
    const char *told;

    run = RUN(test->dir, NULL, "upload", "--cloud", test->cloud, "--new-key", test->disk);
    take_id(run, id);
    told = strstr(run->errors, "new key ");
    assert_non_null(told);
    assert_int_equal(sscanf(told, "new key %36s", key), 1);
    free(assert_holds_disk(test, id, key));
}

static void without_a_cache_nothing_is_left_behind(void **state)
{
    const struct upload_test *test = *state;
    CLEANUP(program_run_free)
    struct program_run *run =
        RUN(test->dir, NULL, "upload", "--cloud", test->cloud, "--new-key", test->disk);

    assert_int_equal(run->exit_code, EXIT_CODE_OK);
    assert_int_equal(entries(test, "temporary"), 0);
    assert_false(temp_dir_has(test->dir, "cache"));
}

static void a_cache_is_used_and_emptied(void **state)
{
    const struct upload_test *test = *state;
    CLEANUP(program_run_free)
    struct program_run *run = RUN(test->dir, NULL, "upload", "--cloud", test->cloud, "--cache",
                                  test->cache, "--new-key", test->disk);

    assert_int_equal(run->exit_code, EXIT_CODE_OK);
    assert_true(temp_dir_has(test->dir, "cache/staging"));
    assert_int_equal(entries(test, "cache/staging"), 0);
    assert_int_equal(entries(test, "temporary"), 0);
}

/* --- failures --- */

static void a_key_that_does_not_exist_makes_no_image(void **state)
{
    const struct upload_test *test = *state;
    CLEANUP(program_run_free)
    struct program_run *run = RUN(test->dir, NULL, "upload", "--cloud", test->cloud, "--key",
                                  "00000000-0000-4000-8000-000000000000", test->disk);

    assert_int_equal(run->exit_code, EXIT_CODE_DENIED);
    assert_string_equal(run->output, "");
    assert_int_equal(entries(test, "cloud/images"), 0);
    assert_int_equal(entries(test, "temporary"), 0);
}

/* An upload that reads from a pipe which is open at our end, so that it stands still. */
struct standing_upload {
    pid_t child;
    int pipe;
    char image_id[UUID_TEXT_BYTES];
};

static void wait_for_an_image(const struct upload_test *test, char ret_id[UUID_TEXT_BYTES])
{
    const struct timespec pause = {.tv_nsec = 5000000};
    CLEANUP(memory_free) char *path = temp_dir_join(test->dir, "cloud/images");

    for (int i = 0; i < 2000; i++) {
        const struct dirent *entry;
        DIR *directory = opendir(path);

        while (directory != NULL && (entry = readdir(directory)) != NULL) {
            if (strlen(entry->d_name) == UUID_TEXT_BYTES - 1 + 5 &&
                strcmp(entry->d_name + UUID_TEXT_BYTES - 1, ".json") == 0) {
                memcpy(ret_id, entry->d_name, UUID_TEXT_BYTES - 1);
                ret_id[UUID_TEXT_BYTES - 1] = '\0';
                (void)closedir(directory);
                return;
            }
        }
        if (directory != NULL)
            (void)closedir(directory);
        (void)nanosleep(&pause, NULL);
    }
    fail_msg("no image appeared");
}

static void start_standing(const struct upload_test *test, bool with_cache,
                           struct standing_upload *ret)
{
    const char *const arguments[] = {"upload",    "--cloud", test->cloud,
                                     "--new-key", "-",       with_cache ? "--cache" : NULL,
                                     test->cache, NULL};
    CLEANUP(memory_free) char *path = temp_dir_join(test->dir, "pipe");

    assert_int_equal(mkfifo(path, 0600), 0);
    ret->child = program_start(test->dir, "pipe", arguments);
    ret->pipe = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(ret->pipe >= 0);
    assert_int_equal(write(ret->pipe, test->bytes, 5000), 5000);
    wait_for_an_image(test, ret->image_id);
}

static void a_signal_takes_everything_back(void **state)
{
    const struct upload_test *test = *state;
    CLEANUP(program_run_free) struct program_run *run = NULL;
    struct standing_upload upload;

    start_standing(test, false, &upload);
    assert_int_equal(kill(upload.child, SIGTERM), 0);
    run = program_finish(test->dir, upload.child);
    (void)close(upload.pipe);
    assert_int_equal(run->exit_code, EXIT_CODE_INTERRUPTED);
    assert_string_equal(run->output, "");
    assert_int_equal(entries(test, "cloud/images"), 0);
    assert_int_equal(entries(test, "temporary"), 0);
}

static void remove_image(const struct upload_test *test, const char *id)
{
    CLEANUP(memory_free) char *name = NULL;

    assert_true(asprintf(&name, "cloud/images/%s.json", id) > 0);
    assert_int_equal(unlinkat(temp_dir_fd(test->dir), name, 0), 0);
}

static void an_image_deleted_meanwhile_leaves_the_sealed_upload(void **state)
{
    const struct upload_test *test = *state;
    CLEANUP(program_run_free) struct program_run *run = NULL;
    CLEANUP(program_run_free) struct program_run *list = NULL;
    struct standing_upload upload;

    start_standing(test, true, &upload);
    remove_image(test, upload.image_id);
    (void)close(upload.pipe);
    run = program_finish(test->dir, upload.child);
    assert_int_equal(run->exit_code, EXIT_CODE_NOT_FOUND);
    assert_non_null(strstr(run->errors, "glancefs uploads retry"));
    assert_int_equal(entries(test, "cache/staging"), 2);
    list = RUN(test->dir, NULL, "uploads", "list", "--cloud", test->cloud, "--cache", test->cache);
    assert_non_null(strstr(list->output, upload.image_id));
    assert_non_null(strstr(list->output, "failed"));
}

static void an_image_deleted_meanwhile_leaves_nothing_without_a_cache(void **state)
{
    const struct upload_test *test = *state;
    CLEANUP(program_run_free) struct program_run *run = NULL;
    struct standing_upload upload;

    start_standing(test, false, &upload);
    remove_image(test, upload.image_id);
    (void)close(upload.pipe);
    run = program_finish(test->dir, upload.child);
    assert_int_equal(run->exit_code, EXIT_CODE_NOT_FOUND);
    assert_int_equal(entries(test, "temporary"), 0);
}

/* The local cloud refuses whatever is asked about the image. */
static void make_it_refuse(const struct upload_test *test, const char *id, bool refuses)
{
    static const char fault[] = "{\"glancefs_test_status\":403,";
    CLEANUP(memory_free) char *name = NULL;
    CLEANUP(memory_free) char *record = NULL;
    CLEANUP(memory_free) char *changed = NULL;

    assert_true(asprintf(&name, "cloud/images/%s.json", id) > 0);
    record = (char *)temp_dir_read(test->dir, name, NULL);
    assert_int_equal(record[0], '{');
    if (refuses)
        assert_true(asprintf(&changed, "%s%s", fault, record + 1) > 0);
    else
        assert_true(asprintf(&changed, "{%s", record + sizeof fault - 1) > 0);
    temp_dir_write(test->dir, name, changed, strlen(changed));
}

static void what_is_refused_without_a_cache_is_kept_and_can_be_sent(void **state)
{
    const struct upload_test *test = *state;
    CLEANUP(program_run_free) struct program_run *run = NULL;
    CLEANUP(program_run_free) struct program_run *retry = NULL;
    struct standing_upload upload;
    const char *told;
    char cache[256];

    start_standing(test, false, &upload);
    make_it_refuse(test, upload.image_id, true);
    (void)close(upload.pipe);
    run = program_finish(test->dir, upload.child);
    assert_int_equal(run->exit_code, EXIT_CODE_DENIED);
    told = strstr(run->errors, "--cache ");
    assert_non_null(told);
    assert_int_equal(sscanf(told, "--cache %255s", cache), 1);
    make_it_refuse(test, upload.image_id, false);
    retry = RUN(test->dir, NULL, "uploads", "retry", "--cloud", test->cloud, "--cache", cache,
                upload.image_id);
    if (retry->exit_code != EXIT_CODE_OK)
        fail_msg("retry: %s", retry->errors);
}

static void bad_arguments_are_usage_errors(void **state)
{
    const struct upload_test *test = *state;
    const char *const bad[][8] = {
        {"upload", NULL},
        {"upload", test->disk, NULL},
        {"upload", "--new-key", NULL},
        {"upload", "--new-key", "--key", "00000000-0000-4000-8000-000000000000", test->disk, NULL},
        {"upload", "--key", "disk", test->disk, NULL},
        {"upload", "--new-key", test->disk, test->disk, NULL},
        {"upload", "--nonsense", test->disk, NULL},
        {"upload", "--new-key", test->disk, NULL}, /* no cloud */
    };

    for (size_t i = 0; i < ELEMENTS_OF(bad); i++) {
        CLEANUP(program_run_free)
        struct program_run *run = program_run(test->dir, NULL, bad[i]);

        assert_int_equal(run->exit_code, EXIT_CODE_USAGE);
        assert_string_equal(run->output, "");
    }
}

static void a_missing_file_is_told_before_anything_is_made(void **state)
{
    const struct upload_test *test = *state;
    CLEANUP(program_run_free)
    struct program_run *run =
        RUN(test->dir, NULL, "upload", "--cloud", test->cloud, "--new-key", "/nonexistent/disk");

    assert_int_equal(run->exit_code, EXIT_CODE_NOT_FOUND);
    assert_false(temp_dir_has(test->dir, "cloud"));
}

static void help_explains_the_options(void **state)
{
    const struct upload_test *test = *state;
    CLEANUP(program_run_free) struct program_run *run = RUN(test->dir, NULL, "upload", "--help");

    assert_int_equal(run->exit_code, EXIT_CODE_OK);
    assert_non_null(strstr(run->output, "--new-key"));
    assert_non_null(strstr(run->output, "--disk-format"));
}

#define upload_test(name) cmocka_unit_test_setup_teardown(name, begin_test, end_test)

int main(void)
{
    const struct CMUnitTest tests[] = {
        upload_test(a_file_becomes_an_active_image),
        upload_test(standard_input_becomes_an_active_image),
        upload_test(a_new_key_is_made_and_named),
        upload_test(without_a_cache_nothing_is_left_behind),
        upload_test(a_cache_is_used_and_emptied),
        upload_test(a_key_that_does_not_exist_makes_no_image),
        upload_test(a_signal_takes_everything_back),
        upload_test(an_image_deleted_meanwhile_leaves_the_sealed_upload),
        upload_test(an_image_deleted_meanwhile_leaves_nothing_without_a_cache),
        upload_test(what_is_refused_without_a_cache_is_kept_and_can_be_sent),
        upload_test(bad_arguments_are_usage_errors),
        upload_test(a_missing_file_is_told_before_anything_is_made),
        upload_test(help_explains_the_options),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
