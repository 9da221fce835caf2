/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"
#include "glancefs/upload_staging.h"
#include "program.h"
#include "support/crypto_arena.h"
#include "support/testing.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define IMAGE_ID "11111111-2222-4333-8444-555555555555"
#define OTHER_ID "99999999-8888-4777-a666-555555555555"
#define DATA "ciphertext, as far as anybody here knows"

/* A local cloud and a cache whose staging the test fills itself. */
struct uploads_test {
    struct temp_dir *dir;
    char cloud[4096]; /* "local:DIR/cloud" */
    char *cache;
};

static int begin_test(void **state)
{
    struct uploads_test *test = calloc(1, sizeof *test);

    if (test == NULL)
        return -1;
    test->dir = temp_dir_new();
    (void)snprintf(test->cloud, sizeof test->cloud, "local:%s/cloud", temp_dir_path(test->dir));
    test->cache = temp_dir_join(test->dir, "cache");
    *state = test;
    return mkdir(test->cloud + strlen("local:"), 0700) < 0 ||
                   mkdirat(temp_dir_fd(test->dir), "cloud/images", 0700) < 0
               ? -1
               : 0;
}

static int end_test(void **state)
{
    struct uploads_test *test = *state;

    temp_dir_free(test->dir);
    free(test->cache);
    free(test);
    return 0;
}

/* Seals DATA for image `id`, as a mount would that is gone now. */
static void seal(const struct uploads_test *test, const char *id)
{
    const struct upload_staging_parts parts = {
        .cache_path = test->cache, .cloud = test->cloud, .project_id = ""};
    CLEANUP(upload_staging_free) struct upload_staging *staging = NULL;
    CLEANUP(staged_upload_free) struct staged_upload *upload = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(upload_staging_new(&parts, &staging, &err));
    assert_succeeds(staged_upload_new(staging, id, &upload, &err));
    assert_succeeds(byte_sink_write(staged_upload_sink(upload), DATA, sizeof DATA - 1, NULL, &err));
    staged_upload_set_plaintext_size(upload, 12);
    assert_succeeds(staged_upload_set_property(upload, "os_decrypt_size", "12", &err));
    assert_succeeds(byte_sink_commit(staged_upload_sink(upload), NULL, &err));
    staged_upload_free(steal(&upload));
}

static void write_image(const struct uploads_test *test, const char *id, const char *more)
{
    char name[128];
    char record[512];

    (void)snprintf(name, sizeof name, "cloud/images/%s.json", id);
    (void)snprintf(record, sizeof record,
                   "{\"disk_format\":\"raw\",\"container_format\":\"encrypted\"%s}", more);
    temp_dir_write(test->dir, name, record, strlen(record));
}

static void assert_active(const struct uploads_test *test, const char *id)
{
    CLEANUP(memory_free) uint8_t *data = NULL;
    CLEANUP(memory_free) uint8_t *record = NULL;
    char name[128];

    (void)snprintf(name, sizeof name, "cloud/images/%s.data", id);
    data = temp_dir_read(test->dir, name, NULL);
    assert_string_equal((char *)data, DATA);
    (void)snprintf(name, sizeof name, "cloud/images/%s.json", id);
    record = temp_dir_read(test->dir, name, NULL);
    assert_non_null(strstr((char *)record, "\"status\":\"active\""));
    assert_non_null(strstr((char *)record, "\"os_decrypt_size\":\"12\""));
}

/* `RUN_UPLOADS(test, "list", "--json")` */
#define RUN_UPLOADS(test, ...)                                                                     \
    RUN((test)->dir, NULL, "uploads", __VA_ARGS__, "--cloud", (test)->cloud, "--cache",            \
        (test)->cache)

#define assert_exit(run, code)                                                                     \
    do {                                                                                           \
        if ((run)->exit_code != (code))                                                            \
            fail_msg("exit code %d: %s%s", (run)->exit_code, (run)->output, (run)->errors);        \
    } while (0)

/* --- list --- */

static void list_shows_each_upload_on_a_line(void **state)
{
    const struct uploads_test *test = *state;
    CLEANUP(program_run_free) struct program_run *run = NULL;

    seal(test, IMAGE_ID);
    seal(test, OTHER_ID);
    run = RUN_UPLOADS(test, "list");
    assert_exit(run, EXIT_CODE_OK);
    assert_non_null(strstr(run->output, "\n" IMAGE_ID "  sealed "));
    assert_non_null(strstr(run->output, "\n" OTHER_ID "  sealed "));
    assert_non_null(strstr(run->output, "  40  "));
    assert_string_equal(run->errors, "");
}

static void list_gives_json(void **state)
{
    const struct uploads_test *test = *state;
    CLEANUP(program_run_free) struct program_run *empty = NULL;
    CLEANUP(program_run_free) struct program_run *run = NULL;

    seal(test, IMAGE_ID);
    run = RUN_UPLOADS(test, "list", "--json");
    assert_exit(run, EXIT_CODE_OK);
    assert_non_null(strstr(run->output,
                           "[{\"image_id\":\"" IMAGE_ID "\",\"state\":\"sealed\","
                           "\"plaintext_bytes\":12,\"stored_bytes\":40,\"sent_bytes\":0,"
                           "\"sealed_at\":"));
    assert_non_null(strstr(run->output, "\"attempts\":0,\"error\":null}]\n"));
    program_run_free(RUN_UPLOADS(test, "drop", IMAGE_ID));
    empty = RUN_UPLOADS(test, "list", "--json");
    assert_string_equal(empty->output, "[]\n");
}

static void list_shows_a_damaged_journal(void **state)
{
    const struct uploads_test *test = *state;
    CLEANUP(program_run_free) struct program_run *run = NULL;

    seal(test, IMAGE_ID);
    temp_dir_write(test->dir, "cache/staging/" IMAGE_ID ".json", "{", 1);
    run = RUN_UPLOADS(test, "list");
    assert_exit(run, EXIT_CODE_OK);
    assert_non_null(strstr(run->output, IMAGE_ID "  failed "));
    assert_non_null(strstr(run->output, "the journal is damaged"));
}

static void list_leaves_out_other_clouds(void **state)
{
    struct uploads_test *test = *state;
    CLEANUP(program_run_free) struct program_run *run = NULL;

    seal(test, IMAGE_ID);
    assert_int_equal(mkdirat(temp_dir_fd(test->dir), "cloud2", 0700), 0);
    (void)snprintf(test->cloud, sizeof test->cloud, "local:%s/cloud2", temp_dir_path(test->dir));
    run = RUN_UPLOADS(test, "list", "--json");
    assert_string_equal(run->output, "[]\n");
}

static void another_way_to_write_the_path_names_the_same_cloud(void **state)
{
    struct uploads_test *test = *state;
    CLEANUP(program_run_free) struct program_run *run = NULL;

    seal(test, IMAGE_ID);
    (void)snprintf(test->cloud, sizeof test->cloud, "local:%s/./cloud/", temp_dir_path(test->dir));
    run = RUN_UPLOADS(test, "list");
    assert_non_null(strstr(run->output, IMAGE_ID));
}

/* --- retry --- */

static void retry_sends_it(void **state)
{
    const struct uploads_test *test = *state;
    CLEANUP(program_run_free) struct program_run *run = NULL;
    CLEANUP(program_run_free) struct program_run *again = NULL;

    seal(test, IMAGE_ID);
    write_image(test, IMAGE_ID, "");
    run = RUN_UPLOADS(test, "retry", IMAGE_ID);
    assert_exit(run, EXIT_CODE_OK);
    assert_active(test, IMAGE_ID);
    again = RUN_UPLOADS(test, "retry", IMAGE_ID);
    assert_exit(again, EXIT_CODE_NOT_FOUND);
}

static void retry_sends_it_to_another_image(void **state)
{
    const struct uploads_test *test = *state;
    CLEANUP(program_run_free) struct program_run *gone = NULL;
    CLEANUP(program_run_free) struct program_run *run = NULL;

    seal(test, IMAGE_ID);
    write_image(test, OTHER_ID, "");
    gone = RUN_UPLOADS(test, "retry", IMAGE_ID);
    assert_exit(gone, EXIT_CODE_NOT_FOUND);
    run = RUN_UPLOADS(test, "retry", "--to", OTHER_ID, IMAGE_ID);
    assert_exit(run, EXIT_CODE_OK);
    assert_active(test, OTHER_ID);
}

static void retry_tells_who_refused(void **state)
{
    const struct uploads_test *test = *state;
    CLEANUP(program_run_free) struct program_run *run = NULL;
    CLEANUP(program_run_free) struct program_run *list = NULL;

    seal(test, IMAGE_ID);
    write_image(test, IMAGE_ID, ",\"status\":\"deactivated\"");
    run = RUN_UPLOADS(test, "retry", IMAGE_ID);
    assert_exit(run, EXIT_CODE_DENIED);
    assert_non_null(strstr(run->errors, "is deactivated"));
    list = RUN_UPLOADS(test, "list");
    assert_non_null(strstr(list->output, IMAGE_ID "  failed "));
    assert_non_null(strstr(list->output, "is deactivated"));
}

static void pause_milliseconds(long milliseconds)
{
    const struct timespec span = {.tv_sec = milliseconds / 1000,
                                  .tv_nsec = milliseconds % 1000 * 1000000};

    (void)nanosleep(&span, NULL);
}

static void retry_says_why_it_takes_long_and_can_be_interrupted(void **state)
{
    const struct uploads_test *test = *state;
    const char *const arguments[] = {"uploads",   "retry",   IMAGE_ID,    "--cloud",
                                     test->cloud, "--cache", test->cache, NULL};
    CLEANUP(program_run_free) struct program_run *run = NULL;
    CLEANUP(program_run_free) struct program_run *busy = NULL;
    pid_t child;

    seal(test, IMAGE_ID);
    write_image(test, IMAGE_ID, ",\"glancefs_test_status\":503");
    child = program_start(test->dir, NULL, arguments);
    pause_milliseconds(900);
    assert_int_equal(kill(child, SIGINT), 0);
    run = program_finish(test->dir, child);
    assert_exit(run, EXIT_CODE_INTERRUPTED);
    assert_non_null(strstr(run->errors, "503; trying again"));
    write_image(test, IMAGE_ID, "");
    busy = RUN_UPLOADS(test, "retry", IMAGE_ID);
    assert_exit(busy, EXIT_CODE_OK);
}

/* --- drop --- */

static void drop_deletes_it(void **state)
{
    const struct uploads_test *test = *state;
    CLEANUP(program_run_free) struct program_run *run = NULL;
    CLEANUP(program_run_free) struct program_run *again = NULL;

    seal(test, IMAGE_ID);
    run = RUN_UPLOADS(test, "drop", IMAGE_ID);
    assert_exit(run, EXIT_CODE_OK);
    assert_false(temp_dir_has(test->dir, "cache/staging/" IMAGE_ID ".data"));
    again = RUN_UPLOADS(test, "drop", IMAGE_ID);
    assert_exit(again, EXIT_CODE_NOT_FOUND);
}

static void ids_in_upper_case_are_folded(void **state)
{
    static const char upper[] = "99999999-8888-4777-A666-555555555555";
    const struct uploads_test *test = *state;
    CLEANUP(program_run_free) struct program_run *retried = NULL;
    CLEANUP(program_run_free) struct program_run *dropped = NULL;

    seal(test, IMAGE_ID);
    write_image(test, OTHER_ID, "");
    retried = RUN_UPLOADS(test, "retry", "--to", upper, IMAGE_ID);
    assert_exit(retried, EXIT_CODE_OK);
    assert_active(test, OTHER_ID);
    seal(test, OTHER_ID);
    dropped = RUN_UPLOADS(test, "drop", upper);
    assert_exit(dropped, EXIT_CODE_OK);
    assert_false(temp_dir_has(test->dir, "cache/staging/" OTHER_ID ".data"));
}

static void what_somebody_else_sends_is_shown_so_and_not_dropped(void **state)
{
    const struct uploads_test *test = *state;
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    CLEANUP(program_run_free) struct program_run *run = NULL;
    CLEANUP(program_run_free) struct program_run *list = NULL;
    CLEANUP(fd_close) int fd = -1;

    seal(test, IMAGE_ID);
    fd = openat(temp_dir_fd(test->dir), "cache/staging/" IMAGE_ID ".data", O_RDWR | O_CLOEXEC);
    assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
    run = RUN_UPLOADS(test, "drop", IMAGE_ID);
    assert_exit(run, EXIT_CODE_FAILED);
    assert_non_null(strstr(run->errors, "in use"));
    list = RUN_UPLOADS(test, "list");
    assert_non_null(strstr(list->output, IMAGE_ID "  uploading "));
    assert_true(temp_dir_has(test->dir, "cache/staging/" IMAGE_ID ".json"));
}

/* --- wait --- */

static void wait_returns_at_once_for_an_active_image(void **state)
{
    const struct uploads_test *test = *state;
    CLEANUP(program_run_free) struct program_run *run = NULL;

    seal(test, IMAGE_ID);
    write_image(test, IMAGE_ID, "");
    program_run_free(RUN_UPLOADS(test, "retry", IMAGE_ID));
    run = RUN_UPLOADS(test, "wait", IMAGE_ID);
    assert_exit(run, EXIT_CODE_OK);
    assert_string_equal(run->output, "");
}

static void wait_gives_up_in_time(void **state)
{
    const struct uploads_test *test = *state;
    CLEANUP(program_run_free) struct program_run *run = NULL;

    seal(test, IMAGE_ID);
    write_image(test, IMAGE_ID, "");
    run = RUN_UPLOADS(test, "wait", "--timeout", "1", IMAGE_ID);
    assert_exit(run, EXIT_CODE_UNAVAILABLE);
    assert_non_null(strstr(run->errors, "not done after 1 seconds"));
}

static void wait_reports_a_failed_upload_as_it_failed(void **state)
{
    const struct uploads_test *test = *state;
    CLEANUP(program_run_free) struct program_run *run = NULL;

    seal(test, IMAGE_ID);
    program_run_free(RUN_UPLOADS(test, "retry", IMAGE_ID));
    run = RUN_UPLOADS(test, "wait", "--timeout", "20", IMAGE_ID);
    assert_exit(run, EXIT_CODE_NOT_FOUND);
    assert_non_null(strstr(run->errors, IMAGE_ID));
}

static void wait_sees_what_another_process_completes(void **state)
{
    const struct uploads_test *test = *state;
    const char *const arguments[] = {"uploads",   "wait",    IMAGE_ID,    "--cloud",
                                     test->cloud, "--cache", test->cache, NULL};
    CLEANUP(program_run_free) struct program_run *run = NULL;
    pid_t child;

    seal(test, IMAGE_ID);
    write_image(test, IMAGE_ID, "");
    child = program_start(test->dir, NULL, arguments);
    pause_milliseconds(300);
    program_run_free(RUN_UPLOADS(test, "retry", IMAGE_ID));
    run = program_finish(test->dir, child);
    assert_active(test, IMAGE_ID);
    assert_int_equal(run->exit_code, EXIT_CODE_OK);
}

/* --- arguments --- */

static void bad_arguments_are_usage_errors(void **state)
{
    static const char *const bad[][6] = {
        {"uploads", NULL},
        {"uploads", "send", NULL},
        {"uploads", "list", IMAGE_ID, NULL},
        {"uploads", "retry", NULL},
        {"uploads", "retry", IMAGE_ID, OTHER_ID, NULL},
        {"uploads", "retry", "--to", "here", IMAGE_ID, NULL},
        {"uploads", "drop", "--json", IMAGE_ID, NULL},
        {"uploads", "wait", NULL},
        {"uploads", "wait", "--timeout", "soon", IMAGE_ID, NULL},
        {"uploads", "wait", "--timeout", "0", IMAGE_ID, NULL},
        {"uploads", "wait", "--timeout", "-1", IMAGE_ID, NULL},
    };
    const struct uploads_test *test = *state;

    for (size_t i = 0; i < ELEMENTS_OF(bad); i++) {
        CLEANUP(program_run_free)
        struct program_run *run = program_run(test->dir, NULL, bad[i]);

        assert_exit(run, EXIT_CODE_USAGE);
    }
}

static void a_cache_must_be_named_and_there(void **state)
{
    struct uploads_test *test = *state;
    CLEANUP(program_run_free)
    struct program_run *unnamed = RUN(test->dir, NULL, "uploads", "list", "--cloud", test->cloud);
    CLEANUP(program_run_free) struct program_run *absent = RUN_UPLOADS(test, "list");

    assert_exit(unnamed, EXIT_CODE_USAGE);
    assert_exit(absent, EXIT_CODE_NOT_FOUND);
    assert_false(temp_dir_has(test->dir, "cache"));
}

static void help_explains_the_subcommands(void **state)
{
    const struct uploads_test *test = *state;
    CLEANUP(program_run_free) struct program_run *run = RUN(test->dir, NULL, "uploads", "--help");

    assert_exit(run, EXIT_CODE_OK);
    assert_non_null(strstr(run->output, "retry"));
    assert_non_null(strstr(run->output, "--timeout"));
}

#define uploads_test(name) cmocka_unit_test_setup_teardown(name, begin_test, end_test)

int main(void)
{
    const struct CMUnitTest tests[] = {
        uploads_test(list_shows_each_upload_on_a_line),
        uploads_test(list_gives_json),
        uploads_test(list_shows_a_damaged_journal),
        uploads_test(list_leaves_out_other_clouds),
        uploads_test(another_way_to_write_the_path_names_the_same_cloud),
        uploads_test(retry_sends_it),
        uploads_test(retry_sends_it_to_another_image),
        uploads_test(retry_tells_who_refused),
        uploads_test(retry_says_why_it_takes_long_and_can_be_interrupted),
        uploads_test(drop_deletes_it),
        uploads_test(ids_in_upper_case_are_folded),
        uploads_test(what_somebody_else_sends_is_shown_so_and_not_dropped),
        uploads_test(wait_returns_at_once_for_an_active_image),
        uploads_test(wait_gives_up_in_time),
        uploads_test(wait_reports_a_failed_upload_as_it_failed),
        uploads_test(wait_sees_what_another_process_completes),
        uploads_test(bad_arguments_are_usage_errors),
        uploads_test(a_cache_must_be_named_and_there),
        uploads_test(help_explains_the_subcommands),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
