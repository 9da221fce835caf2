/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration file: what is taken, and how every mistake is named. */
#include "glancefs/config.h"

#include "glancefs/limits.h"
#include "support/temp_dir.h"
#include "support/testing.h"

#include <stdio.h>
#include <stdlib.h>

struct fixture {
    struct temp_dir *dir;
    char *path; /* of the configuration file */
    struct config *config;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    struct error err = ERROR_INIT;

    if (fixture == NULL)
        return -1;
    fixture->dir = temp_dir_new();
    fixture->path = temp_dir_join(fixture->dir, "glancefs.conf");
    *state = fixture;
    return config_new(&fixture->config, &err);
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    config_free(fixture->config);
    temp_dir_free(fixture->dir);
    free(fixture->path);
    free(fixture);
    return 0;
}

static void write_text(const struct fixture *fixture, const char *text)
{
    temp_dir_write(fixture->dir, "glancefs.conf", text, strlen(text));
}

static void a_file_sets_options_before_any_section_and_in_its_own(void **state)
{
    struct fixture *fixture = *state;
    struct error err = ERROR_INIT;

    write_text(fixture, "cache = /var/cache/glancefs\n"
                        "\n"
                        "[glancefs]\n"
                        "cloud = local:/srv/images\n"
                        "verify = stream\n"
                        "max_memory = 1G\n"
                        "allow_http = yes\n");
    assert_succeeds(config_load_file(fixture->config, fixture->path, &err));
    assert_string_equal(fixture->config->cache, "/var/cache/glancefs");
    assert_string_equal(fixture->config->cloud, "local:/srv/images");
    assert_int_equal(fixture->config->verify, VERIFY_STREAM);
    assert_int_equal(fixture->config->max_memory_bytes, UINT64_C(1) << 30);
    assert_true(fixture->config->openstack.allow_http);
}

static void white_space_around_names_and_values_means_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct error err = ERROR_INIT;

    write_text(fixture, "  cache\t=   /a b/c  \n"
                        "\t[glancefs]  \n"
                        "    verify=stream\t\n"
                        "\n   \n\t\n"
                        "mode =0440");
    assert_succeeds(config_load_file(fixture->config, fixture->path, &err));
    assert_string_equal(fixture->config->cache, "/a b/c");
    assert_int_equal(fixture->config->verify, VERIFY_STREAM);
    assert_int_equal(fixture->config->mode, 0440);
}

static void comments_are_passed_over(void **state)
{
    struct fixture *fixture = *state;
    struct error err = ERROR_INIT;

    write_text(fixture, "# cache = /wrong\n"
                        "; cache = /wrong\n"
                        "   # [other]\n"
                        "[glancefs]\n"
                        "#\n;\n"
                        "cache = /right\n"
                        "# the end");
    assert_succeeds(config_load_file(fixture->config, fixture->path, &err));
    assert_string_equal(fixture->config->cache, "/right");
}

static void values_keep_signs_that_mean_something_elsewhere(void **state)
{
    struct fixture *fixture = *state;
    struct error err = ERROR_INIT;

    write_text(fixture, "cache = /a=b/c#d/e:f/[g]/\"h\"\n"
                        "cloud = local:/srv/x:y\n");
    assert_succeeds(config_load_file(fixture->config, fixture->path, &err));
    assert_string_equal(fixture->config->cache, "/a=b/c#d/e:f/[g]/\"h\"");
    assert_string_equal(fixture->config->cloud, "local:/srv/x:y");
}

static void an_empty_file_changes_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct error err = ERROR_INIT;

    write_text(fixture, "");
    assert_succeeds(config_load_file(fixture->config, fixture->path, &err));
    write_text(fixture, "[glancefs]\n");
    assert_succeeds(config_load_file(fixture->config, fixture->path, &err));
    assert_null(fixture->config->cache);
    assert_null(fixture->config->cloud);
    assert_int_equal(fixture->config->mode, 0400);
}

static void a_missing_file_is_not_found(void **state)
{
    struct fixture *fixture = *state;
    struct error err = ERROR_INIT;

    assert_fails(ERROR_NOT_FOUND, config_load_file(fixture->config, fixture->path, &err));
    assert_message_has("glancefs.conf");
}

static void a_directory_is_no_configuration_file(void **state)
{
    struct fixture *fixture = *state;
    struct error err = ERROR_INIT;

    assert_int_equal(config_load_file(fixture->config, temp_dir_path(fixture->dir), &err), -1);
    assert_true(error_is_set(&err));
}

/* Every mistake, with the line that must be named. */
static void mistakes_are_named_with_file_and_line(void **state)
{
    static const struct {
        const char *text;
        const char *place;
        const char *culprit;
    } mistakes[] = {
        {"colour = red\n", "glancefs.conf:1:", "colour"},
        {"\n# comment\n\ncolour = red\n", "glancefs.conf:4:", "colour"},
        {"cache = /a\n[glancefs]\nverify = never\n", "glancefs.conf:3:", "never"},
        {"cache = /a\n[glancefs]\n  verify = never", "glancefs.conf:3:", "verify"},
        {"cache = /a\nmode = 0644\n", "glancefs.conf:2:", "0644"},
        {"cache = /a\n[glance]\ncache = /b\n", "glancefs.conf:3:", "glance"},
        {"cache = /a\nthis is no option\n", "glancefs.conf:2:", ""},
        {"[glancefs\ncache = /a\n", "glancefs.conf:1:", ""},
        {"cache = /a\nCache = /b\n", "glancefs.conf:2:", "Cache"},
        {"cache = /a\n= /b\n", "glancefs.conf:2:", ""},
        {"first = 1\nsecond = 2\n", "glancefs.conf:1:", "first"},
        {"cache = /a\n   /b\n", "glancefs.conf:2:", ""}, /* no continuation lines */
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < ELEMENTS_OF(mistakes); i++) {
        struct error err = ERROR_INIT;

        write_text(fixture, mistakes[i].text);
        assert_fails(ERROR_INVALID, config_load_file(fixture->config, fixture->path, &err));
        assert_message_has(mistakes[i].place);
        assert_message_has(mistakes[i].culprit);
    }
}

/* Project ids are 32 digits: a list of a hundred is long, and legitimate where lines have no end. */
static void a_value_of_thousands_of_bytes_is_taken(void **state)
{
    struct fixture *fixture = *state;
    char owners[LIMIT_OPTION_BYTES + 1];
    struct error err = ERROR_INIT;

    memset(owners, 'a', LIMIT_OPTION_BYTES);
    owners[LIMIT_OPTION_BYTES] = '\0';
    for (size_t i = 32; i < LIMIT_OPTION_BYTES - 1; i += 33)
        owners[i] = ',';
    assert_succeeds(config_set(fixture->config, "foreign_owners", owners, "-o", &err));
    assert_string_equal(fixture->config->foreign_owners, owners);
}

static void a_line_that_is_too_long_is_named(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(memory_free) char *text = NULL;
    char value[LIMIT_OPTION_BYTES + 2];
    struct error err = ERROR_INIT;

    memset(value, 'x', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    assert_true(asprintf(&text, "mode = 0440\ncache = %s\n", value) > 0);
    write_text(fixture, text);
    assert_fails(ERROR_INVALID, config_load_file(fixture->config, fixture->path, &err));
    assert_message_has("glancefs.conf:2:");
    assert_null(fixture->config->cache);
}

static void a_nul_byte_is_refused(void **state)
{
    static const char text[] = "cache = /a\0b\nmode = 0440\n";
    struct fixture *fixture = *state;
    struct error err = ERROR_INIT;

    temp_dir_write(fixture->dir, "glancefs.conf", text, sizeof text - 1);
    assert_fails(ERROR_INVALID, config_load_file(fixture->config, fixture->path, &err));
    assert_message_has("glancefs.conf");
    temp_dir_write(fixture->dir, "glancefs.conf", "\0", 1);
    assert_fails(ERROR_INVALID, config_load_file(fixture->config, fixture->path, &err));
}

static void a_file_may_be_as_large_as_the_limit_and_no_larger(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(memory_free) char *text = malloc(LIMIT_CONFIG_BYTES + 1);
    struct error err = ERROR_INIT;

    assert_non_null(text);
    for (size_t i = 0; i <= LIMIT_CONFIG_BYTES; i++)
        text[i] = (i < 10 ? "mode=0440\n" : "# comment\n")[i % 10];
    temp_dir_write(fixture->dir, "glancefs.conf", text, LIMIT_CONFIG_BYTES);
    assert_succeeds(config_load_file(fixture->config, fixture->path, &err));
    assert_int_equal(fixture->config->mode, 0440);
    temp_dir_write(fixture->dir, "glancefs.conf", text, LIMIT_CONFIG_BYTES + 1);
    assert_fails(ERROR_TOO_LARGE, config_load_file(fixture->config, fixture->path, &err));
    assert_message_has("glancefs.conf");
}

#define with_fixture(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_fixture(a_file_sets_options_before_any_section_and_in_its_own),
        with_fixture(white_space_around_names_and_values_means_nothing),
        with_fixture(comments_are_passed_over),
        with_fixture(values_keep_signs_that_mean_something_elsewhere),
        with_fixture(an_empty_file_changes_nothing),
        with_fixture(a_missing_file_is_not_found),
        with_fixture(a_directory_is_no_configuration_file),
        with_fixture(mistakes_are_named_with_file_and_line),
        with_fixture(a_value_of_thousands_of_bytes_is_taken),
        with_fixture(a_line_that_is_too_long_is_named),
        with_fixture(a_nul_byte_is_refused),
        with_fixture(a_file_may_be_as_large_as_the_limit_and_no_larger),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
