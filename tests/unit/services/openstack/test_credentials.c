/* SPDX-License-Identifier: Apache-2.0 */
#include "services/openstack/credentials.h"

#include "support/crypto_arena.h"
#include "support/temp_dir.h"
#include "support/testing.h"

#include <stdio.h>

/* One case's four sources. */
struct sources {
    struct temp_dir *dir;
    struct config *config;
    struct secure_arena *arena;
    char *environment[16];
    size_t variables;
};

static int open_sources(void **state)
{
    struct sources *sources = calloc(1, sizeof *sources);
    struct error err = ERROR_INIT;

    if (sources == NULL)
        return -1;
    sources->arena = *state;
    sources->dir = temp_dir_new();
    *state = sources;
    if (config_new(&sources->config, &err) < 0)
        return -1;
    sources->config->openstack.working_directory = strdup(temp_dir_path(sources->dir));
    return 0;
}

static int close_sources(void **state)
{
    struct sources *sources = *state;

    for (size_t i = 0; i < sources->variables; i++)
        free(sources->environment[i]);
    config_free(sources->config);
    temp_dir_free(sources->dir);
    free(sources);
    return 0;
}

static void set_variable(struct sources *sources, const char *text)
{
    assert_true(sources->variables + 1 < ELEMENTS_OF(sources->environment));
    sources->environment[sources->variables++] = strdup(text);
}

static void set_option(struct sources *sources, const char *name, const char *value)
{
    struct error err = ERROR_INIT;

    assert_succeeds(config_set(sources->config, name, value, "test", &err));
}

static void set_environment(struct sources *sources)
{
    set_variable(sources, "OS_AUTH_URL=https://environment.example.org/v3");
    set_variable(sources, "OS_USERNAME=environment");
    set_variable(sources, "OS_PASSWORD=env-secret");
    set_variable(sources, "OS_PROJECT_NAME=environment");
}

static void set_options(struct sources *sources)
{
    set_option(sources, "os_auth_url", "https://options.example.org/v3");
    set_option(sources, "os_username", "options");
    set_option(sources, "os_password", "opt-secret");
    set_option(sources, "os_project_id", "options");
}

static void set_clouds(struct sources *sources)
{
    static const char text[] =
        "clouds:\n"
        "  one: {auth: {auth_url: https://one.example.org, username: one, password: one-secret,"
        " project_name: one}, region_name: One, interface: internalURL, cacert: ca.pem}\n"
        "  two: {auth: {auth_url: https://two.example.org, username: two, password: two-secret,"
        " project_name: two}}\n";

    temp_dir_write(sources->dir, "clouds.yaml", text, sizeof text - 1);
}

static int find(struct sources *sources, const char *cloud, struct credentials **ret,
                struct error *err)
{
    return credentials_find(&sources->config->openstack, cloud, sources->environment,
                            sources->arena, ret, err);
}

static void assert_is(const struct secure_buffer *secret, const char *expected)
{
    assert_non_null(secret);
    assert_int_equal(secure_buffer_size(secret), strlen(expected));
    assert_memory_equal(secure_buffer_bytes(secret), expected, strlen(expected));
}

/* The user that is found, with his own password. */
static void assert_user(struct sources *sources, const char *cloud, const char *user,
                        const char *password)
{
    CLEANUP(credentials_free) struct credentials *credentials = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(find(sources, cloud, &credentials, &err));
    assert_string_equal(credentials->username, user);
    assert_is(credentials->password, password);
    assert_true(secure_arena_contains(sources->arena, secure_buffer_bytes(credentials->password)));
}

/* --- which source --- */

static void one_source_counts_as_a_whole_in_the_documented_order(void **state)
{
    struct sources *sources = *state;
    struct credentials *credentials = NULL;
    struct error err = ERROR_INIT;

    set_clouds(sources);
    assert_fails(ERROR_INVALID, find(sources, NULL, &credentials, &err));
    assert_message_has("OS_CLOUD");
    set_environment(sources);
    assert_user(sources, NULL, "environment", "env-secret");
    set_variable(sources, "OS_CLOUD=two");
    assert_user(sources, NULL, "two", "two-secret");
    set_options(sources);
    assert_user(sources, NULL, "options", "opt-secret");
    set_option(sources, "os_cloud", "one");
    assert_user(sources, NULL, "one", "one-secret");
    assert_user(sources, "two", "two", "two-secret");
}

static void a_source_that_is_incomplete_is_not_filled_from_another(void **state)
{
    struct sources *sources = *state;
    struct credentials *credentials = NULL;
    struct error err = ERROR_INIT;

    set_environment(sources);
    set_option(sources, "os_auth_url", "https://options.example.org/v3");
    set_option(sources, "os_username", "options");
    assert_fails(ERROR_INVALID, find(sources, NULL, &credentials, &err));
    assert_message_has("password is missing");
    assert_null(credentials);
}

static void empty_variables_are_unset(void **state)
{
    struct sources *sources = *state;
    struct credentials *credentials = NULL;
    struct error err = ERROR_INIT;

    set_variable(sources, "OS_CLOUD=");
    set_variable(sources, "OS_AUTH_URL=");
    assert_fails(ERROR_INVALID, find(sources, NULL, &credentials, &err));
    set_environment(sources);
    set_variable(sources, "OS_PROJECT_ID=");
    assert_user(sources, NULL, "environment", "env-secret");
}

static void places_of_the_options_win_over_every_source(void **state)
{
    struct sources *sources = *state;
    CLEANUP(credentials_free) struct credentials *own = NULL;
    CLEANUP(credentials_free) struct credentials *overruled = NULL;
    CLEANUP(memory_free) char *cafile = temp_dir_join(sources->dir, "ca.pem");
    struct error err = ERROR_INIT;

    set_clouds(sources);
    assert_succeeds(find(sources, "one", &own, &err));
    assert_string_equal(own->region_name, "One");
    assert_string_equal(own->interface, "internal");
    assert_string_equal(own->cafile, cafile);
    set_option(sources, "os_region_name", "Two");
    set_option(sources, "os_interface", "admin");
    set_option(sources, "cafile", "/etc/ca.pem");
    set_option(sources, "os_image_endpoint_override", "https://glance");
    set_option(sources, "os_key_manager_endpoint_override", "https://barbican");
    assert_succeeds(find(sources, "one", &overruled, &err));
    assert_string_equal(overruled->region_name, "Two");
    assert_string_equal(overruled->interface, "admin");
    assert_string_equal(overruled->cafile, "/etc/ca.pem");
    assert_string_equal(overruled->image_endpoint_override, "https://glance");
    assert_string_equal(overruled->key_manager_endpoint_override, "https://barbican");
}

static void a_home_directory_is_written_as_a_tilde(void **state)
{
    struct sources *sources = *state;
    CLEANUP(credentials_free) struct credentials *credentials = NULL;
    struct error err = ERROR_INIT;

    set_environment(sources);
    set_variable(sources, "HOME=/srv/demo");
    set_variable(sources, "OS_CACERT=~/ca.pem");
    assert_succeeds(find(sources, NULL, &credentials, &err));
    assert_string_equal(credentials->cafile, "/srv/demo/ca.pem");
    assert_string_equal(credentials->interface, "public");
}

/* --- what is complete --- */

static void an_application_credential_needs_id_and_secret(void **state)
{
    struct sources *sources = *state;
    struct credentials *credentials = NULL;
    struct error err = ERROR_INIT;

    set_variable(sources, "OS_AUTH_URL=https://environment.example.org/v3");
    set_variable(sources, "OS_AUTH_TYPE=v3applicationcredential");
    assert_fails(ERROR_INVALID, find(sources, NULL, &credentials, &err));
    assert_message_has("application_credential_secret is missing");
    set_variable(sources, "OS_APPLICATION_CREDENTIAL_SECRET=s3cret");
    set_variable(sources, "OS_APPLICATION_CREDENTIAL_NAME=glancefs");
    assert_fails(ERROR_INVALID, find(sources, NULL, &credentials, &err));
    assert_message_has("application_credential_id is missing");
    set_variable(sources, "OS_USER_ID=7");
    assert_succeeds(find(sources, NULL, &credentials, &err));
    assert_true(credentials_are_application_credential(credentials));
    assert_is(credentials->application_credential_secret, "s3cret");
    credentials_free(credentials);
}

static void secure_yaml_completes_clouds_yaml(void **state)
{
    static const char *const names[][2] = {{"application_credential.yaml", "clouds.yaml"},
                                           {"application_credential_secure.yaml", "secure.yaml"}};
    struct sources *sources = *state;
    CLEANUP(credentials_free) struct credentials *credentials = NULL;
    struct error err = ERROR_INIT;

    for (size_t i = 0; i < ELEMENTS_OF(names); i++) {
        CLEANUP(memory_free) char *link = temp_dir_join(sources->dir, names[i][1]);
        char target[512];

        (void)snprintf(target, sizeof target, TEST_VECTORS "/clouds_yaml/%s", names[i][0]);
        assert_int_equal(symlink(target, link), 0);
    }
    assert_succeeds(find(sources, "prod", &credentials, &err));
    assert_true(credentials_are_application_credential(credentials));
    assert_string_equal(credentials->application_credential_id, "0123456789abcdef");
    assert_string_equal(credentials->region_name, "RegionTwo");
    assert_is(credentials->application_credential_secret, "s3cret");
}

static void what_is_missing_is_named(void **state)
{
    static const char *const lines[][2] = {
        {"OS_AUTH_URL=https://environment.example.org", "username is missing"},
        {"OS_USERNAME=demo", "password is missing"},
        {"OS_PASSWORD=s3cret", "project_name is missing"},
    };
    struct sources *sources = *state;
    struct credentials *credentials = NULL;
    struct error err = ERROR_INIT;

    for (size_t i = 0; i < ELEMENTS_OF(lines); i++) {
        set_variable(sources, lines[i][0]);
        assert_fails(ERROR_INVALID, find(sources, NULL, &credentials, &err));
        assert_message_has(lines[i][1]);
        assert_null(strstr(err.message, "s3cret"));
    }
}

static void verification_cannot_be_turned_off(void **state)
{
    static const struct {
        enum error_kind kind;
        const char *name, *message;
    } cases[] = {
        {ERROR_INVALID, "verify_false.yaml", "verify: false is refused"},
        {ERROR_INVALID, "verify_no.yaml", "verify: No is refused"},
        {ERROR_INVALID, "insecure.yaml", "insecure: true is refused"},
        {ERROR_UNSUPPORTED, "oidc.yaml", "auth_type v3oidcpassword"},
    };
    struct sources *sources = *state;
    struct credentials *credentials = NULL;
    struct error err = ERROR_INIT;

    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        char variable[512];

        (void)snprintf(variable, sizeof variable,
                       "OS_CLIENT_CONFIG_FILE=" TEST_VECTORS "/clouds_yaml/%s", cases[i].name);
        set_variable(sources, variable);
        assert_fails(cases[i].kind, find(sources, "prod", &credentials, &err));
        assert_message_has(cases[i].message);
        free(sources->environment[--sources->variables]);
        sources->environment[sources->variables] = NULL;
    }
    set_environment(sources);
    set_variable(sources, "OS_INSECURE=1");
    assert_fails(ERROR_INVALID, find(sources, NULL, &credentials, &err));
    assert_message_has("TLS is always verified");
}

static void an_interface_is_one_of_three(void **state)
{
    static const char *const cases[][2] = {
        {"OS_INTERFACE=public", "public"},
        {"OS_INTERFACE=publicURL", "public"},
        {"OS_ENDPOINT_TYPE=adminURL", "admin"},
        {"OS_INTERFACE=publicly", NULL},
        {"OS_INTERFACE=", "public"},
        {"OS_INTERFACE=Public", NULL},
    };
    struct sources *sources = *state;
    struct error err = ERROR_INIT;

    set_environment(sources);
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        CLEANUP(credentials_free) struct credentials *credentials = NULL;

        set_variable(sources, cases[i][0]);
        if (cases[i][1] == NULL) {
            assert_fails(ERROR_INVALID, find(sources, NULL, &credentials, &err));
        } else {
            assert_succeeds(find(sources, NULL, &credentials, &err));
            assert_string_equal(credentials->interface, cases[i][1]);
        }
        free(sources->environment[--sources->variables]);
        sources->environment[sources->variables] = NULL;
    }
}

#define with_sources(test) cmocka_unit_test_setup_teardown(test, open_sources, close_sources)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_sources(one_source_counts_as_a_whole_in_the_documented_order),
        with_sources(a_source_that_is_incomplete_is_not_filled_from_another),
        with_sources(empty_variables_are_unset),
        with_sources(places_of_the_options_win_over_every_source),
        with_sources(a_home_directory_is_written_as_a_tilde),
        with_sources(an_application_credential_needs_id_and_secret),
        with_sources(secure_yaml_completes_clouds_yaml),
        with_sources(what_is_missing_is_named),
        with_sources(verification_cannot_be_turned_off),
        with_sources(an_interface_is_one_of_three),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
