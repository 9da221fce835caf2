/* SPDX-License-Identifier: Apache-2.0 */
/* glancefs decrypt and glancefs encrypt as scripts use them. What needs a terminal, a pipe or a
 * signal stands in tests/interop/commands.py. */
#include "cli/command.h"
#include "program.h"
#include "support/pseudo_random.h"
#include "support/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define PLAIN_BYTES 300000

/* A directory with a key, a plaintext and its ciphertext. */
struct stream_test {
    struct temp_dir *dir;
    uint8_t *plain;
    char *key, *plain_path, *message;
};

static void begin_test(struct stream_test *test)
{
    CLEANUP(program_run_free) struct program_run *run = NULL;

    test->dir = temp_dir_new();
    test->plain = pseudo_random_bytes(70, PLAIN_BYTES);
    test->key = temp_dir_join(test->dir, "key");
    test->plain_path = temp_dir_join(test->dir, "plain");
    test->message = temp_dir_join(test->dir, "message");
    temp_dir_write(test->dir, "key", "a passphrase\n with \0 anything", 28);
    temp_dir_write(test->dir, "plain", test->plain, PLAIN_BYTES);
    run = RUN(test->dir, NULL, "encrypt", "--key-file", test->key, "--output", test->message,
              test->plain_path);
    if (run->exit_code != EXIT_CODE_OK)
        fail_msg("exit code %d: %s", run->exit_code, run->errors);
}

static void end_test(struct stream_test *test)
{
    free(test->plain);
    free(test->key);
    free(test->plain_path);
    free(test->message);
    temp_dir_free(test->dir);
}

static void assert_file_is_plain(const struct stream_test *test, const char *name)
{
    size_t size;
    CLEANUP(memory_free) uint8_t *bytes = temp_dir_read(test->dir, name, &size);

    assert_int_equal(size, PLAIN_BYTES);
    assert_memory_equal(bytes, test->plain, PLAIN_BYTES);
}

/* One line on standard error that begins with the command and holds `text`; nothing else. */
static void assert_fails_with(const struct program_run *run, int exit_code, const char *text)
{
    const char *line_end = strchr(run->errors, '\n');

    if (run->exit_code != exit_code || strstr(run->errors, text) == NULL)
        fail_msg("exit code %d, not %d (%s): %s", run->exit_code, exit_code, text, run->errors);
    assert_int_equal(strncmp(run->errors, "glancefs ", 9), 0);
    assert_non_null(line_end);
    assert_string_equal(line_end, "\n");
}

static void decrypts_to_standard_output_and_to_a_file(void **state)
{
    CLEANUP(program_run_free) struct program_run *to_output = NULL;
    CLEANUP(program_run_free) struct program_run *to_file = NULL;
    CLEANUP(memory_free) char *path = NULL;
    struct stream_test test;
    struct stat status;

    (void)state;
    begin_test(&test);
    path = temp_dir_join(test.dir, "decrypted");
    to_output = RUN(test.dir, NULL, "decrypt", "--key-file", test.key, test.message);
    assert_int_equal(to_output->exit_code, EXIT_CODE_OK);
    assert_string_equal(to_output->errors, "");
    assert_memory_equal(to_output->output, test.plain, PLAIN_BYTES);
    to_file =
        RUN(test.dir, NULL, "decrypt", "--key-file", test.key, "--output", path, test.message);
    assert_int_equal(to_file->exit_code, EXIT_CODE_OK);
    assert_file_is_plain(&test, "decrypted");
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    end_test(&test);
}

static void reads_standard_input(void **state)
{
    CLEANUP(program_run_free) struct program_run *run = NULL;
    struct stream_test test;

    (void)state;
    begin_test(&test);
    run = RUN(test.dir, "message", "decrypt", "--key-file", test.key, "-");
    assert_int_equal(run->exit_code, EXIT_CODE_OK);
    assert_memory_equal(run->output, test.plain, PLAIN_BYTES);
    end_test(&test);
}

static void the_key_may_come_from_standard_input(void **state)
{
    CLEANUP(program_run_free) struct program_run *run = NULL;
    CLEANUP(program_run_free) struct program_run *both = NULL;
    struct stream_test test;

    (void)state;
    begin_test(&test);
    run = RUN(test.dir, "key", "decrypt", "--key-file", "-", test.message);
    assert_int_equal(run->exit_code, EXIT_CODE_OK);
    assert_memory_equal(run->output, test.plain, PLAIN_BYTES);
    both = RUN(test.dir, "key", "decrypt", "--key-file", "-", "-");
    assert_fails_with(both, EXIT_CODE_USAGE, "cannot be both");
    end_test(&test);
}

static void links_are_followed(void **state)
{
    CLEANUP(program_run_free) struct program_run *run = NULL;
    CLEANUP(memory_free) char *link = NULL;
    struct stream_test test;

    (void)state;
    begin_test(&test);
    link = temp_dir_join(test.dir, "link");
    assert_int_equal(symlink(test.message, link), 0);
    run = RUN(test.dir, NULL, "decrypt", "--key-file", test.key, link);
    assert_int_equal(run->exit_code, EXIT_CODE_OK);
    end_test(&test);
}

static void encrypts_in_every_mode(void **state)
{
    static const char *const modes[] = {"none", "ocb", "gcm", "librepgp-ocb"};
    /* After the SKESK: type 18 or 20, a length of five octets, the version. */
    static const uint8_t types[] = {0xd2, 0xd2, 0xd2, 0xd4};
    static const uint8_t versions[] = {1, 2, 2, 1};
    struct stream_test test;

    (void)state;
    begin_test(&test);
    for (size_t i = 0; i < ELEMENTS_OF(modes); i++) {
        CLEANUP(program_run_free) struct program_run *made = NULL;
        CLEANUP(program_run_free) struct program_run *run = NULL;
        CLEANUP(memory_free) uint8_t *message = NULL;
        size_t size, skesk_size;

        made = RUN(test.dir, NULL, "encrypt", "--aead", modes[i], "--engine", "native",
                   "--key-file", test.key, "--output", test.message, test.plain_path);
        assert_int_equal(made->exit_code, EXIT_CODE_OK);
        message = temp_dir_read(test.dir, "message", &size);
        skesk_size = (size_t)6 + message[5];
        assert_int_equal(message[skesk_size], types[i]);
        assert_int_equal(message[skesk_size + 6], versions[i]);
        run = RUN(test.dir, NULL, "decrypt", "--engine", "native", "--key-file", test.key,
                  test.message);
        assert_int_equal(run->exit_code, EXIT_CODE_OK);
        assert_memory_equal(run->output, test.plain, PLAIN_BYTES);
    }
    end_test(&test);
}

static void unknown_modes_and_engines_are_usage_errors(void **state)
{
    CLEANUP(program_run_free) struct program_run *mode = NULL;
    CLEANUP(program_run_free) struct program_run *engine = NULL;
    CLEANUP(program_run_free) struct program_run *of_decrypt = NULL;
    struct stream_test test;

    (void)state;
    begin_test(&test);
    mode = RUN(test.dir, NULL, "encrypt", "--aead", "cbc", "--key-file", test.key, test.plain_path);
    assert_fails_with(mode, EXIT_CODE_USAGE, "--aead");
    engine =
        RUN(test.dir, NULL, "decrypt", "--engine", "steam", "--key-file", test.key, test.message);
    assert_fails_with(engine, EXIT_CODE_USAGE, "--engine");
    of_decrypt =
        RUN(test.dir, NULL, "decrypt", "--aead", "ocb", "--key-file", test.key, test.message);
    assert_fails_with(of_decrypt, EXIT_CODE_USAGE, "bad option");
    end_test(&test);
}

static void damage_leaves_no_output_file_and_an_old_one_alone(void **state)
{
    CLEANUP(program_run_free) struct program_run *run = NULL;
    CLEANUP(memory_free) uint8_t *bytes = NULL;
    CLEANUP(memory_free) uint8_t *kept = NULL;
    CLEANUP(memory_free) char *path = NULL;
    struct stream_test test;
    size_t size, entries;

    (void)state;
    begin_test(&test);
    path = temp_dir_join(test.dir, "decrypted");
    bytes = temp_dir_read(test.dir, "message", &size);
    bytes[size / 2] ^= 1;
    temp_dir_write(test.dir, "message", bytes, size);
    temp_dir_write(test.dir, "decrypted", "old", 3);
    run = RUN(test.dir, NULL, "decrypt", "--key-file", test.key, "--output", path, test.message);
    assert_fails_with(run, EXIT_CODE_CORRUPT, "message: wrong passphrase or damaged data");
    kept = temp_dir_read(test.dir, "decrypted", &size);
    assert_int_equal(size, 3);
    assert_memory_equal(kept, "old", 3);
    entries = temp_dir_count(test.dir);
    /* key, plain, message, decrypted, and what the run said. */
    assert_int_equal(entries, 6);
    end_test(&test);
}

static void says_what_is_wrong_with_the_input(void **state)
{
    struct stream_test test;
    const struct {
        const char *input;
        int exit_code;
        const char *text;
    } inputs[] = {
        {"/nonexistent/file", EXIT_CODE_NOT_FOUND, "/nonexistent/file"},
        {"/", EXIT_CODE_FAILED, "directory"},
        {"/dev/null", EXIT_CODE_CORRUPT, "not an OpenPGP message"},
        {"/etc/passwd", EXIT_CODE_CORRUPT, "not an OpenPGP message"},
    };

    (void)state;
    begin_test(&test);
    for (size_t i = 0; i < ELEMENTS_OF(inputs); i++) {
        CLEANUP(program_run_free)
        struct program_run *run =
            RUN(test.dir, NULL, "decrypt", "--key-file", test.key, inputs[i].input);

        assert_fails_with(run, inputs[i].exit_code, inputs[i].text);
    }
    end_test(&test);
}

static void says_what_is_wrong_with_the_key(void **state)
{
    CLEANUP(program_run_free) struct program_run *absent = NULL;
    CLEANUP(program_run_free) struct program_run *empty = NULL;
    CLEANUP(program_run_free) struct program_run *wrong = NULL;
    CLEANUP(memory_free) char *empty_path = NULL;
    struct stream_test test;

    (void)state;
    begin_test(&test);
    empty_path = temp_dir_join(test.dir, "empty");
    temp_dir_write(test.dir, "empty", "", 0);
    absent = RUN(test.dir, NULL, "decrypt", "--key-file", "/nonexistent/key", test.message);
    assert_fails_with(absent, EXIT_CODE_NOT_FOUND, "/nonexistent/key");
    empty = RUN(test.dir, NULL, "encrypt", "--key-file", empty_path, test.plain_path);
    assert_fails_with(empty, EXIT_CODE_DENIED, "empty");
    assert_string_equal(empty->output, "");
    wrong = RUN(test.dir, NULL, "decrypt", "--key-file", test.plain_path, test.message);
    assert_int_equal(wrong->exit_code, EXIT_CODE_FAILED);
    end_test(&test);
}

static void an_output_that_is_no_file_is_not_replaced(void **state)
{
    CLEANUP(program_run_free) struct program_run *device = NULL;
    CLEANUP(program_run_free) struct program_run *nowhere = NULL;
    struct stream_test test;
    struct stat status;

    (void)state;
    begin_test(&test);
    device = RUN(test.dir, NULL, "decrypt", "--key-file", test.key, "--output", "/dev/null",
                 test.message);
    assert_fails_with(device, EXIT_CODE_USAGE, "not a regular file");
    assert_int_equal(stat("/dev/null", &status), 0);
    assert_true(S_ISCHR(status.st_mode));
    nowhere = RUN(test.dir, NULL, "decrypt", "--key-file", test.key, "--output",
                  "/nonexistent/folder/file", test.message);
    assert_fails_with(nowhere, EXIT_CODE_NOT_FOUND, "/nonexistent/folder/file");
    end_test(&test);
}

static void refuses_bad_arguments(void **state)
{
    CLEANUP(temp_dir_free) struct temp_dir *dir = temp_dir_new();
    static const char *const commands[] = {"decrypt", "encrypt"};

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(commands); i++) {
        CLEANUP(program_run_free) struct program_run *none = RUN(dir, NULL, commands[i]);
        CLEANUP(program_run_free) struct program_run *two = RUN(dir, NULL, commands[i], "a", "b");
        CLEANUP(program_run_free)
        struct program_run *unknown = RUN(dir, NULL, commands[i], "--keyfile", "a", "b");

        assert_fails_with(none, EXIT_CODE_USAGE, "--help");
        assert_fails_with(two, EXIT_CODE_USAGE, "one FILE");
        assert_fails_with(unknown, EXIT_CODE_USAGE, "--keyfile");
    }
}

static void help_goes_to_standard_output(void **state)
{
    CLEANUP(temp_dir_free) struct temp_dir *dir = temp_dir_new();
    CLEANUP(program_run_free) struct program_run *decrypt = RUN(dir, NULL, "decrypt", "--help");
    CLEANUP(program_run_free) struct program_run *encrypt = RUN(dir, NULL, "encrypt", "--help");

    (void)state;
    assert_int_equal(decrypt->exit_code, EXIT_CODE_OK);
    assert_non_null(strstr(decrypt->output, "Usage: glancefs decrypt [--key-file FILE]"));
    assert_int_equal(encrypt->exit_code, EXIT_CODE_OK);
    assert_non_null(strstr(encrypt->output, "Usage: glancefs encrypt [--key-file FILE]"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decrypts_to_standard_output_and_to_a_file),
        cmocka_unit_test(reads_standard_input),
        cmocka_unit_test(the_key_may_come_from_standard_input),
        cmocka_unit_test(links_are_followed),
        cmocka_unit_test(encrypts_in_every_mode),
        cmocka_unit_test(unknown_modes_and_engines_are_usage_errors),
        cmocka_unit_test(damage_leaves_no_output_file_and_an_old_one_alone),
        cmocka_unit_test(says_what_is_wrong_with_the_input),
        cmocka_unit_test(says_what_is_wrong_with_the_key),
        cmocka_unit_test(an_output_that_is_no_file_is_not_replaced),
        cmocka_unit_test(refuses_bad_arguments),
        cmocka_unit_test(help_goes_to_standard_output),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
