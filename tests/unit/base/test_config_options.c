/* SPDX-License-Identifier: Apache-2.0 */
#include "base/config_options.h"

#include "support/testing.h"

#include <ctype.h>
#include <stdio.h>

static const char *const names[] = {
    "cloud",
    "cache",
    "max_size",
    "min_free",
    "max_age",
    "verify",
    "key_encoding",
    "uid",
    "gid",
    "mode",
    "allow_other",
    "ro",
    "commit",
    "write_window",
    "staging_ttl",
    "max_memory",
    "max_streams",
    "max_downloads",
    "max_uploads",
    "authorise_ttl",
    "record_ttl",
    "stale",
    "foreign_owners",
    "require_hash",
    "signature",
    "trusted_certificates",
    "signing_key",
    "signing_certificate",
    "container_format",
    "consumers",
    "allow_http",
    "cafile",
    "proxy",
    "connect_timeout",
    "stall_timeout",
    "request_timeout",
    "retries",
    "os_cloud",
    "os_auth_url",
    "os_username",
    "os_user_id",
    "os_password",
    "os_user_domain_name",
    "os_user_domain_id",
    "os_project_name",
    "os_project_id",
    "os_project_domain_name",
    "os_project_domain_id",
    "os_application_credential_id",
    "os_application_credential_name",
    "os_application_credential_secret",
    "os_region_name",
    "os_interface",
    "os_image_endpoint_override",
    "os_key_manager_endpoint_override",
    "engine",
    "keyring",
    "runtime",
    "aead",
    "threads",
    "setuid",
    "drop_privileges",
    "sandbox",
    "log",
    "log_level",
    "audit",
};

static int make_config(void **state)
{
    struct error err = ERROR_INIT;

    return config_new((struct config **)state, &err);
}

static int drop_config(void **state)
{
    config_free(*state);
    return 0;
}

static size_t option_count(void)
{
    size_t count = 0;

    while (config_option_at(count) != NULL)
        count++;
    return count;
}

static void the_table_has_exactly_the_options_of_the_configuration(void **state)
{
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(names); i++) {
        const struct option_row *row = option_row_find(names[i]);

        if (row == NULL) {
            fail_msg("%s is not in the table", names[i]);
            return;
        }
        assert_string_equal(row->option.name, names[i]);
    }
    assert_int_equal(option_count(), ELEMENTS_OF(names));
}

static void every_row_documents_itself_in_one_line(void **state)
{
    const struct config_option *option;

    (void)state;
    for (size_t i = 0; (option = config_option_at(i)) != NULL; i++) {
        assert_non_null(option->initial);
        assert_true(option->values[0] != '\0');
        assert_true(option->help[0] != '\0');
        assert_null(strchr(option->help, '\n'));
        for (const char *c = option->name; *c != '\0'; c++)
            assert_true(islower((unsigned char)*c) || *c == '_');
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(option->name, config_option_at(j)->name);
    }
}

static void past_the_last_row_there_is_none(void **state)
{
    const size_t count = option_count();

    (void)state;
    assert_null(config_option_at(count + 1));
    assert_null(config_option_at(SIZE_MAX));
    assert_null(option_row_at(count));
    assert_null(option_row_at(SIZE_MAX));
}

static void a_name_is_found_only_as_it_is_written(void **state)
{
    static const char *const wrong[] = {"",       "Cache",  "CACHE",      "cach",     "caches",
                                        " cache", "cache ", "max-memory", "glancefs", "cache="};

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(wrong); i++)
        assert_null(option_row_find(wrong[i]));
    for (size_t i = 0; i < option_count(); i++)
        assert_ptr_equal(option_row_find(option_row_at(i)->option.name), option_row_at(i));
}

static void every_default_is_a_value_the_option_takes(void **state)
{
    const struct config_option *option;
    struct error err = ERROR_INIT;

    for (size_t i = 0; (option = config_option_at(i)) != NULL; i++) {
        if (option->initial[0] != '\0')
            assert_succeeds(config_set(*state, option->name, option->initial, "test", &err));
    }
}

static bool is_literal(const char *word)
{
    for (; *word != '\0'; word++)
        if (!islower((unsigned char)*word) && !isdigit((unsigned char)*word) && *word != '-')
            return false;
    return true;
}

/* "first|stream": what --help offers is taken, and nothing that merely looks like it. */
static void every_word_offered_is_taken_and_no_other(void **state)
{
    const struct config_option *option;
    struct error err = ERROR_INIT;

    for (size_t i = 0; (option = config_option_at(i)) != NULL; i++) {
        CLEANUP(memory_free) char *copy = strdup(option->values);
        char *rest = copy;
        const char *word;
        char near[64];

        if (strchr(option->values, '|') == NULL)
            continue;
        while ((word = strsep(&rest, "|")) != NULL) {
            if (!is_literal(word))
                continue;
            assert_succeeds(config_set(*state, option->name, word, "test", &err));
            (void)snprintf(near, sizeof near, "%sx", word);
            assert_fails(ERROR_INVALID, config_set(*state, option->name, near, "test", &err));
            (void)snprintf(near, sizeof near, " %s", word);
            assert_fails(ERROR_INVALID, config_set(*state, option->name, near, "test", &err));
        }
        if (strcmp(option->name, "cloud") != 0) {
            assert_fails(ERROR_INVALID, config_set(*state, option->name, "", "test", &err));
            assert_fails(ERROR_INVALID, config_set(*state, option->name, "|", "test", &err));
            assert_fails(ERROR_INVALID,
                         config_set(*state, option->name, option->values, "test", &err));
        }
    }
}

#define with_config(test) cmocka_unit_test_setup_teardown(test, make_config, drop_config)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_has_exactly_the_options_of_the_configuration),
        cmocka_unit_test(every_row_documents_itself_in_one_line),
        cmocka_unit_test(past_the_last_row_there_is_none),
        cmocka_unit_test(a_name_is_found_only_as_it_is_written),
        with_config(every_default_is_a_value_the_option_takes),
        with_config(every_word_offered_is_taken_and_no_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
