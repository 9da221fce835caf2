/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file_source.h"
#include "cached_images.h"
#include "cli/command.h"
#include "support/delay.h"
#include "support/testing.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define ABSENT_ID "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"

static void assert_cached(const struct cached_images *test, const char *id, const char *data)
{
    CLEANUP(memory_free) char *path = cached_images_find(test, "objects", id);
    CLEANUP(memory_free) char *found = NULL;

    assert_non_null(path);
    found = (char *)temp_dir_read(test->dir, path, NULL);
    assert_string_equal(found, data);
}

/* --- what it does --- */

static void it_puts_the_stored_bytes_into_the_cache(void **state)
{
    const struct cached_images *test = *state;
    CLEANUP(program_run_free) struct program_run *run = NULL;

    cached_images_add(test, IMAGE_ID, DATA, NULL);
    run = RUN_FETCH(test, IMAGE_ID);
    assert_exit(run, EXIT_CODE_OK);
    assert_string_equal(run->output, IMAGE_ID "  fetched     40 B\n");
    assert_string_equal(run->errors, "");
    assert_cached(test, IMAGE_ID, DATA);
    assert_int_equal(cached_images_count(test, "partial"), 0);
}

static void what_is_there_is_not_fetched_again(void **state)
{
    const struct cached_images *test = *state;
    CLEANUP(program_run_free) struct program_run *run = NULL;

    cached_images_add(test, IMAGE_ID, DATA, NULL);
    program_run_free(RUN_FETCH(test, IMAGE_ID));
    temp_dir_write(test->dir, "cloud/images/" IMAGE_ID ".data", "other", 5);
    run = RUN_FETCH(test, IMAGE_ID);
    assert_exit(run, EXIT_CODE_OK);
    assert_string_equal(run->output, IMAGE_ID "  present     40 B\n");
    assert_cached(test, IMAGE_ID, DATA);
}

static void one_that_fails_does_not_stop_the_others(void **state)
{
    const struct cached_images *test = *state;
    CLEANUP(program_run_free) struct program_run *run = NULL;

    cached_images_add(test, IMAGE_ID, DATA, NULL);
    cached_images_add(test, OTHER_ID, OTHER_DATA, NULL);
    run = RUN_FETCH(test, IMAGE_ID, ABSENT_ID, "nonsense", OTHER_ID);
    assert_exit(run, EXIT_CODE_NOT_FOUND);
    assert_non_null(strstr(run->errors, "glancefs fetch: image " ABSENT_ID " does not exist\n"));
    assert_non_null(strstr(run->errors, "nonsense"));
    assert_cached(test, IMAGE_ID, DATA);
    assert_cached(test, OTHER_ID, OTHER_DATA);
}

static void json_gives_an_object_per_image(void **state)
{
    const struct cached_images *test = *state;
    CLEANUP(program_run_free) struct program_run *run = NULL;

    cached_images_add(test, IMAGE_ID, DATA, NULL);
    run = RUN_FETCH(test, "--json", "--jobs", "1", IMAGE_ID, ABSENT_ID);
    assert_exit(run, EXIT_CODE_NOT_FOUND);
    assert_string_equal(run->output,
                        "{\"image_id\":\"" IMAGE_ID
                        "\",\"result\":\"fetched\",\"size\":40,\"error\":null}\n"
                        "{\"image_id\":\"" ABSENT_ID "\",\"result\":\"failed\",\"size\":null,"
                        "\"error\":\"image " ABSENT_ID " does not exist\"}\n");
    assert_string_equal(run->errors, "");
}

static void an_id_in_upper_case_is_folded(void **state)
{
    const struct cached_images *test = *state;
    CLEANUP(program_run_free) struct program_run *run = NULL;

    cached_images_add(test, OTHER_ID, OTHER_DATA, NULL);
    run = RUN_FETCH(test, "99999999-8888-4777-A666-555555555555");
    assert_exit(run, EXIT_CODE_OK);
    assert_cached(test, OTHER_ID, OTHER_DATA);
}

static void an_image_named_twice_is_fetched_once(void **state)
{
    const struct cached_images *test = *state;
    CLEANUP(program_run_free) struct program_run *run = NULL;

    cached_images_add(test, IMAGE_ID, DATA, NULL);
    run = RUN_FETCH(test, IMAGE_ID, IMAGE_ID);
    assert_exit(run, EXIT_CODE_OK);
    assert_non_null(strstr(run->output, "fetched"));
    assert_non_null(strstr(run->output, "present"));
    assert_cached(test, IMAGE_ID, DATA);
}

/* --- what it refuses --- */

static void assert_refused(const struct cached_images *test, int code, const char *reason)
{
    CLEANUP(program_run_free) struct program_run *run = RUN_FETCH(test, IMAGE_ID);

    assert_exit(run, code);
    assert_string_equal(run->output, "");
    if (strstr(run->errors, reason) == NULL || strstr(run->errors, IMAGE_ID) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", reason, run->errors);
    assert_int_equal(cached_images_count(test, "objects"), 0);
}

static void a_plain_image_is_refused(void **state)
{
    const struct cached_images *test = *state;

    cached_images_add(test, IMAGE_ID, DATA, "--format=none");
    assert_refused(test, EXIT_CODE_UNSUPPORTED, "is not encrypted");
}

static void another_format_is_refused_by_name(void **state)
{
    const struct cached_images *test = *state;

    cached_images_add(test, IMAGE_ID, DATA, "--property=os_encrypt_format=LUKSv9");
    assert_refused(test, EXIT_CODE_UNSUPPORTED, "LUKSv9");
}

static void what_is_not_active_is_refused(void **state)
{
    const struct cached_images *test = *state;

    cached_images_add(test, IMAGE_ID, DATA, NULL);
    cached_images_alter(test, IMAGE_ID, "{\"status\":\"deactivated\"}");
    assert_refused(test, EXIT_CODE_DENIED, "deactivated");
    cached_images_alter(test, IMAGE_ID, "{\"status\":\"queued\"}");
    assert_refused(test, EXIT_CODE_FAILED, "queued");
}

static void a_service_in_trouble_is_told(void **state)
{
    const struct cached_images *test = *state;

    cached_images_add(test, IMAGE_ID, DATA, NULL);
    cached_images_alter(test, IMAGE_ID, "{\"glancefs_test_status\":503}");
    assert_refused(test, EXIT_CODE_UNAVAILABLE, "503");
}

static void bytes_that_do_not_match_are_not_kept(void **state)
{
    const struct cached_images *test = *state;

    cached_images_add(test, IMAGE_ID, DATA, NULL);
    temp_dir_write(test->dir, "cloud/images/" IMAGE_ID ".data", OTHER_DATA OTHER_DATA OTHER_DATA,
                   sizeof DATA - 1);
    assert_refused(test, EXIT_CODE_CORRUPT, "");
    assert_int_equal(cached_images_count(test, "partial"), 0);
}

/* --- whose it is, and who signed it --- */

static void run_as(const struct cached_images *test, const char *project)
{
    char identity[64];
    const int size = snprintf(identity, sizeof identity, "{\"project_id\": \"%s\"}", project);

    temp_dir_write(test->dir, "cloud/identity.json", identity, (size_t)size);
}

static struct program_run *fetch_with(const struct cached_images *test, const char *options)
{
    CLEANUP(memory_free) char *config = temp_dir_join(test->dir, "conf");

    temp_dir_write(test->dir, "conf", options, strlen(options));
    return RUN_FETCH(test, "--config", config, IMAGE_ID);
}

static void another_projects_image_is_refused(void **state)
{
    const struct cached_images *test = *state;
    CLEANUP(program_run_free) struct program_run *named = NULL;

    cached_images_add(test, IMAGE_ID, DATA, NULL);
    cached_images_alter(test, IMAGE_ID, "{\"owner\":\"theirs\"}");
    run_as(test, "ours");
    assert_refused(test, EXIT_CODE_DENIED, "belongs to project theirs");
    named = fetch_with(test, "foreign_owners = theirs\n");
    assert_exit(named, EXIT_CODE_OK);
    assert_cached(test, IMAGE_ID, DATA);
}

#define CERTIFICATE_ID "cccccccc-bbbb-4ccc-8ddd-eeeeeeeeeeee"

static char *read_vector(const char *name)
{
    CLEANUP(memory_free) char *path = NULL;
    char *text = NULL;
    struct error err = ERROR_INIT;
    size_t size;

    assert_true(asprintf(&path, TEST_VECTORS "/signatures/%s", name) > 0);
    assert_succeeds(file_read_all(AT_FDCWD, path, 65536, &text, &size, &err));
    return text;
}

/* The image is what the vectors' signatures are of. */
static void add_signed(const struct cached_images *test)
{
    CLEANUP(memory_free) char *certificate = read_vector("rsa.pem");
    CLEANUP(memory_free) char *base64 = read_vector("rsa.sha256.sig");
    CLEANUP(memory_free) char *members = NULL;
    static const char image[] = TEST_VECTORS "/signatures/message.bin";
    CLEANUP(program_run_free)
    struct program_run *run =
        RUN(test->dir, NULL, "images", "add", "--cloud", test->cloud, "--id", IMAGE_ID, image);

    assert_exit(run, EXIT_CODE_OK);
    assert_true(asprintf(&members,
                         "{\"img_signature\":\"%.*s\",\"img_signature_hash_method\":\"SHA-256\","
                         "\"img_signature_key_type\":\"RSA-PSS\","
                         "\"img_signature_certificate_uuid\":\"" CERTIFICATE_ID "\"}",
                         (int)strcspn(base64, "\n"), base64) > 0);
    cached_images_alter(test, IMAGE_ID, members);
    (void)mkdirat(temp_dir_fd(test->dir), "cloud/secrets", 0700);
    temp_dir_write(test->dir, "cloud/secrets/" CERTIFICATE_ID ".payload", certificate,
                   strlen(certificate));
}

static void a_signature_is_proven_where_it_is_asked_for(void **state)
{
    const struct cached_images *test = *state;
    CLEANUP(program_run_free) struct program_run *run = NULL;

    add_signed(test);
    run = fetch_with(test, "signature = required\n"
                           "trusted_certificates = " TEST_VECTORS "/signatures/bundle.pem\n");
    assert_exit(run, EXIT_CODE_OK);
    assert_int_equal(cached_images_count(test, "objects"), 1);
}

static void an_image_with_a_wrong_signature_is_not_kept(void **state)
{
    const struct cached_images *test = *state;
    CLEANUP(program_run_free) struct program_run *run = NULL;
    CLEANUP(program_run_free) struct program_run *unasked = NULL;

    add_signed(test);
    cached_images_alter(test, IMAGE_ID, "{\"img_signature_hash_method\":\"SHA-512\"}");
    run = fetch_with(test, "signature = if-present\n");
    assert_exit(run, EXIT_CODE_CORRUPT);
    assert_non_null(strstr(run->errors, "signature"));
    assert_int_equal(cached_images_count(test, "objects"), 0);
    assert_int_equal(cached_images_count(test, "partial"), 0);
    unasked = fetch_with(test, "");
    assert_exit(unasked, EXIT_CODE_OK);
}

static void an_unsigned_image_is_refused_where_it_must_be_signed(void **state)
{
    const struct cached_images *test = *state;
    CLEANUP(program_run_free) struct program_run *run = NULL;

    cached_images_add(test, IMAGE_ID, DATA, NULL);
    run = fetch_with(test, "signature = required\n"
                           "trusted_certificates = " TEST_VECTORS "/signatures/bundle.pem\n");
    assert_exit(run, EXIT_CODE_DENIED);
    assert_int_equal(cached_images_count(test, "objects"), 0);
}

/* --- interrupted --- */

static void what_came_is_kept_and_resumed(void **state)
{
    const struct cached_images *test = *state;
    const char *const arguments[] = {"fetch",     "--cloud", test->cloud, "--cache",
                                     test->cache, IMAGE_ID,  NULL};
    CLEANUP(program_run_free) struct program_run *interrupted = NULL;
    CLEANUP(program_run_free) struct program_run *resumed = NULL;
    CLEANUP(memory_free) char *partial = NULL;
    struct error err = ERROR_INIT;
    char rest[sizeof DATA];
    size_t size = 0;
    pid_t child;

    cached_images_add(test, IMAGE_ID, DATA, NULL);
    cached_images_alter(test, IMAGE_ID, "{\"glancefs_test_stop_at\":30}");
    child = program_start(test->dir, NULL, arguments);
    for (int i = 0; i < 1000 && size < 30; i++) {
        (void)delay(10, NULL, &err);
        free(partial);
        partial = cached_images_find(test, "partial", IMAGE_ID);
        if (partial != NULL && temp_dir_has(test->dir, partial))
            free(temp_dir_read(test->dir, partial, &size));
    }
    assert_int_equal(size, 30);
    assert_int_equal(kill(child, SIGINT), 0);
    interrupted = program_finish(test->dir, child);
    assert_exit(interrupted, EXIT_CODE_INTERRUPTED);
    assert_string_equal(interrupted->errors, "glancefs fetch: interrupted\n");

    /* What is there already is not asked for again: it would be wrong now. */
    cached_images_alter(test, IMAGE_ID, "{\"glancefs_test_stop_at\":null}");
    memcpy(rest, DATA, sizeof DATA);
    memset(rest, '*', 30);
    temp_dir_write(test->dir, "cloud/images/" IMAGE_ID ".data", rest, sizeof DATA - 1);
    resumed = RUN_FETCH(test, IMAGE_ID);
    assert_exit(resumed, EXIT_CODE_OK);
    assert_cached(test, IMAGE_ID, DATA);
}

/* --- arguments --- */

static void bad_arguments_are_usage_errors(void **state)
{
    static const char *const bad[][5] = {
        {"fetch", NULL},
        {"fetch", "--jobs", "0", IMAGE_ID, NULL},
        {"fetch", "--jobs", "17", IMAGE_ID, NULL},
        {"fetch", "--jobs", "two", IMAGE_ID, NULL},
        {"fetch", "--repair", IMAGE_ID, NULL},
        {"fetch", IMAGE_ID, NULL},                       /* no cloud */
        {"fetch", "--cloud", "local:.", IMAGE_ID, NULL}, /* no cache */
        {"fetch", "--cloud", "elsewhere", IMAGE_ID, NULL},
    };
    const struct cached_images *test = *state;

    for (size_t i = 0; i < ELEMENTS_OF(bad); i++) {
        CLEANUP(program_run_free)
        struct program_run *run = program_run(test->dir, NULL, bad[i]);

        assert_exit(run, EXIT_CODE_USAGE);
        assert_string_equal(run->output, "");
    }
}

static void help_explains_it(void **state)
{
    const struct cached_images *test = *state;
    CLEANUP(program_run_free) struct program_run *run = RUN(test->dir, NULL, "fetch", "--help");

    assert_exit(run, EXIT_CODE_OK);
    assert_non_null(strstr(run->output, "--jobs"));
    assert_non_null(strstr(run->output, "--cache"));
}

#define fetch_test(name)                                                                           \
    cmocka_unit_test_setup_teardown(name, cached_images_begin, cached_images_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        fetch_test(it_puts_the_stored_bytes_into_the_cache),
        fetch_test(what_is_there_is_not_fetched_again),
        fetch_test(one_that_fails_does_not_stop_the_others),
        fetch_test(json_gives_an_object_per_image),
        fetch_test(an_id_in_upper_case_is_folded),
        fetch_test(an_image_named_twice_is_fetched_once),
        fetch_test(a_plain_image_is_refused),
        fetch_test(another_format_is_refused_by_name),
        fetch_test(what_is_not_active_is_refused),
        fetch_test(a_service_in_trouble_is_told),
        fetch_test(bytes_that_do_not_match_are_not_kept),
        fetch_test(another_projects_image_is_refused),
        fetch_test(a_signature_is_proven_where_it_is_asked_for),
        fetch_test(an_image_with_a_wrong_signature_is_not_kept),
        fetch_test(an_unsigned_image_is_refused_where_it_must_be_signed),
        fetch_test(what_came_is_kept_and_resumed),
        fetch_test(bad_arguments_are_usage_errors),
        fetch_test(help_explains_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
