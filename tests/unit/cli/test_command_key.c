/* SPDX-License-Identifier: Apache-2.0 */
#include "base/uuid.h"
#include "cli/command.h"
#include "glancefs/limits.h"
#include "program.h"
#include "support/testing.h"

#include <stdio.h>
#include <sys/stat.h>

/* A directory for one test; the cloud in it is made by the program. */
struct key_test {
    struct temp_dir *dir;
    char cloud[4096]; /* "local:DIR/cloud" */
};

static void begin_test(struct key_test *test)
{
    test->dir = temp_dir_new();
    (void)snprintf(test->cloud, sizeof test->cloud, "local:%s/cloud", temp_dir_path(test->dir));
}

/* The id that stands alone on standard output. */
static void take_id(const struct program_run *run, char ret[UUID_TEXT_BYTES])
{
    if (run->exit_code != EXIT_CODE_OK)
        fail_msg("exit code %d: %s", run->exit_code, run->errors);
    assert_int_equal(strlen(run->output), UUID_TEXT_BYTES);
    assert_int_equal(run->output[UUID_TEXT_BYTES - 1], '\n');
    memcpy(ret, run->output, UUID_TEXT_BYTES - 1);
    ret[UUID_TEXT_BYTES - 1] = '\0';
    assert_true(uuid_is_valid(ret));
}

static uint8_t *read_secret(const struct key_test *test, const char *id, const char *suffix,
                            size_t *ret_size)
{
    char name[128];

    (void)snprintf(name, sizeof name, "cloud/secrets/%s%s", id, suffix);
    return temp_dir_read(test->dir, name, ret_size);
}

static void create_makes_a_passphrase_and_the_cloud(void **state)
{
    CLEANUP(program_run_free) struct program_run *run = NULL;
    CLEANUP(memory_free) uint8_t *metadata = NULL;
    CLEANUP(memory_free) uint8_t *payload = NULL;
    struct key_test test;
    struct stat status;
    char id[UUID_TEXT_BYTES];
    size_t size;

    (void)state;
    begin_test(&test);
    run = RUN(test.dir, NULL, "key", "create", "--cloud", test.cloud, "--name", "disk");
    take_id(run, id);
    assert_non_null(strstr(run->errors, "made the local cloud directory"));
    assert_int_equal(fstatat(temp_dir_fd(test.dir), "cloud", &status, 0), 0);
    assert_int_equal(status.st_mode & 07777, 0700);
    metadata = read_secret(&test, id, ".json", NULL);
    assert_non_null(strstr((const char *)metadata, "\"secret_type\":\"passphrase\""));
    assert_non_null(strstr((const char *)metadata, "\"name\":\"disk\""));
    payload = read_secret(&test, id, ".payload", &size);
    assert_int_equal(size, 44);
    assert_int_equal(payload[43], '=');
    assert_null(strpbrk((const char *)payload, "\n\r "));
    temp_dir_free(test.dir);
}

static void create_makes_a_symmetric_key(void **state)
{
    CLEANUP(program_run_free) struct program_run *first = NULL;
    CLEANUP(program_run_free) struct program_run *second = NULL;
    CLEANUP(memory_free) uint8_t *first_key = NULL;
    CLEANUP(memory_free) uint8_t *second_key = NULL;
    struct key_test test;
    char id[UUID_TEXT_BYTES];
    size_t size;

    (void)state;
    begin_test(&test);
    first = RUN(test.dir, NULL, "key", "create", "--cloud", test.cloud, "--type", "symmetric");
    take_id(first, id);
    first_key = read_secret(&test, id, ".payload", &size);
    assert_int_equal(size, 32);
    second = RUN(test.dir, NULL, "key", "create", "--cloud", test.cloud, "--type=symmetric");
    take_id(second, id);
    assert_string_equal(second->errors, "");
    second_key = read_secret(&test, id, ".payload", &size);
    assert_int_equal(size, 32);
    assert_memory_not_equal(first_key, second_key, 32);
    temp_dir_free(test.dir);
}

static void import_keeps_the_exact_bytes(void **state)
{
    static const char bytes[] = {'a', '\0', '\n', '\xff', ' '};
    struct key_test test;

    (void)state;
    begin_test(&test);
    temp_dir_write(test.dir, "key", bytes, sizeof bytes);
    for (int from_file = 0; from_file < 2; from_file++) {
        CLEANUP(memory_free) char *path = temp_dir_join(test.dir, "key");
        CLEANUP(program_run_free) struct program_run *run = NULL;
        CLEANUP(memory_free) uint8_t *payload = NULL;
        char id[UUID_TEXT_BYTES];
        size_t size;

        run = RUN(test.dir, from_file ? NULL : "key", "key", "import", "--cloud", test.cloud,
                  "--type", "opaque", from_file ? path : "-");
        take_id(run, id);
        payload = read_secret(&test, id, ".payload", &size);
        assert_int_equal(size, sizeof bytes);
        assert_memory_equal(payload, bytes, sizeof bytes);
    }
    temp_dir_free(test.dir);
}

static void import_notes_a_final_line_feed(void **state)
{
    CLEANUP(program_run_free) struct program_run *first = NULL;
    CLEANUP(program_run_free) struct program_run *run = NULL;
    CLEANUP(memory_free) uint8_t *payload = NULL;
    struct key_test test;
    char id[UUID_TEXT_BYTES];
    size_t size;

    (void)state;
    begin_test(&test);
    temp_dir_write(test.dir, "key", "secret\n", 7);
    first = RUN(test.dir, "key", "key", "import", "--cloud", test.cloud, "-");
    take_id(first, id);
    assert_non_null(strstr(first->errors, "line feed"));
    assert_null(strstr(first->errors, "secret\n"));
    payload = read_secret(&test, id, ".payload", &size);
    assert_int_equal(size, 7);
    assert_memory_equal(payload, "secret\n", 7);
    run = RUN(test.dir, "key", "key", "import", "--cloud", test.cloud, "--type", "opaque", "-");
    take_id(run, id);
    assert_string_equal(run->errors, "");
    temp_dir_free(test.dir);
}

/* Every refusal: arguments after "key", the exit code and a word of the message. */
static void bad_uses_have_their_exit_codes(void **state)
{
    CLEANUP(temp_dir_free) struct temp_dir *dir = temp_dir_new();
    CLEANUP(memory_free) char *large = temp_dir_join(dir, "large");
    CLEANUP(memory_free) char *empty = temp_dir_join(dir, "empty");
    CLEANUP(memory_free) char *absent = temp_dir_join(dir, "absent");
    CLEANUP(memory_free) char *cloud_path = temp_dir_join(dir, "cloud");
    CLEANUP(memory_free) char *deep_path = temp_dir_join(dir, "no/such/cloud");
    static const char bytes[LIMIT_SECRET_BYTES + 1];
    char cloud[4096];
    char deep[4096];
    const struct {
        const char *arguments[8];
        enum exit_code code;
        const char *message;
    } uses[] = {
        {{"key"}, EXIT_CODE_USAGE, "create or import"},
        {{"key", "destroy"}, EXIT_CODE_USAGE, "create or import"},
        {{"key", "create"}, EXIT_CODE_USAGE, "no cloud"},
        {{"key", "create", "--cloud", "nebula"}, EXIT_CODE_USAGE, "nebula"},
        {{"key", "create", "--cloud", "openstack"}, EXIT_CODE_USAGE, "there are none"},
        {{"key", "create", "--cloud", deep}, EXIT_CODE_NOT_FOUND, "no/such/cloud"},
        {{"key", "create", "--cloud", cloud, "extra"}, EXIT_CODE_USAGE, "no argument"},
        {{"key", "create", "--cloud", cloud, "--colour"}, EXIT_CODE_USAGE, "--colour"},
        {{"key", "create", "--cloud", cloud, "--type", "opaque"}, EXIT_CODE_USAGE, "opaque"},
        {{"key", "import", "--cloud", cloud}, EXIT_CODE_USAGE, "one FILE"},
        {{"key", "import", "--cloud", cloud, absent}, EXIT_CODE_NOT_FOUND, "absent"},
        {{"key", "import", "--cloud", cloud, empty}, EXIT_CODE_DENIED, "empty"},
        {{"key", "import", "--cloud", cloud, large}, EXIT_CODE_FAILED, "large"},
        {{"key", "import", "--cloud", cloud, "--type", "sort", large}, EXIT_CODE_FAILED, "large"},
        {{"key", "create", "--config", absent}, EXIT_CODE_NOT_FOUND, "absent"},
    };

    (void)state;
    (void)snprintf(cloud, sizeof cloud, "local:%s", cloud_path);
    (void)snprintf(deep, sizeof deep, "local:%s", deep_path);
    temp_dir_write(dir, "large", bytes, sizeof bytes);
    temp_dir_write(dir, "empty", "", 0);
    for (size_t i = 0; i < ELEMENTS_OF(uses); i++) {
        CLEANUP(program_run_free)
        struct program_run *run = program_run(dir, NULL, uses[i].arguments);

        if (run->exit_code != (int)uses[i].code || strstr(run->errors, uses[i].message) == NULL)
            fail_msg("use %zu: exit code %d: %s", i, run->exit_code, run->errors);
        assert_string_equal(run->output, "");
        assert_int_equal(strncmp(run->errors, "glancefs key: ", 14), 0);
    }
}

static void help_says_what_a_key_is(void **state)
{
    static const char *const forms[][3] = {
        {"key", "--help"}, {"key", "create", "--help"}, {"key", "import", "-h"}};
    CLEANUP(temp_dir_free) struct temp_dir *dir = temp_dir_new();

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(forms); i++) {
        const char *const arguments[] = {forms[i][0], forms[i][1], forms[i][2], NULL};
        CLEANUP(program_run_free) struct program_run *run = program_run(dir, NULL, arguments);

        assert_int_equal(run->exit_code, EXIT_CODE_OK);
        assert_non_null(strstr(run->output, "base64"));
        assert_non_null(strstr(run->output, "--cloud"));
        assert_string_equal(run->errors, "");
    }
}

static void a_configuration_file_names_the_cloud(void **state)
{
    CLEANUP(program_run_free) struct program_run *run = NULL;
    CLEANUP(memory_free) char *path = NULL;
    struct key_test test;
    char text[8192];
    char id[UUID_TEXT_BYTES];

    (void)state;
    begin_test(&test);
    path = temp_dir_join(test.dir, "glancefs.conf");
    (void)snprintf(text, sizeof text, "cloud = %s\n", test.cloud);
    temp_dir_write(test.dir, "glancefs.conf", text, strlen(text));
    run = RUN(test.dir, NULL, "key", "create", "--config", path);
    take_id(run, id);
    assert_true(temp_dir_has(test.dir, "cloud/secrets"));
    temp_dir_free(test.dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(create_makes_a_passphrase_and_the_cloud),
        cmocka_unit_test(create_makes_a_symmetric_key),
        cmocka_unit_test(import_keeps_the_exact_bytes),
        cmocka_unit_test(import_notes_a_final_line_feed),
        cmocka_unit_test(bad_uses_have_their_exit_codes),
        cmocka_unit_test(help_says_what_a_key_is),
        cmocka_unit_test(a_configuration_file_names_the_cloud),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
