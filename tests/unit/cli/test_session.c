/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/session.h"

#include "support/temp_dir.h"
#include "support/testing.h"

#include <stdio.h>
#include <sys/stat.h>

static int load(const char *path, const char *cloud, struct config **ret, struct error *err)
{
    const struct session_options options = {.cloud = cloud, .config_path = path};

    return session_load_options(&options, ret, err);
}

static void later_places_win(void **state)
{
    CLEANUP(temp_dir_free) struct temp_dir *dir = temp_dir_new();
    CLEANUP(memory_free) char *path = temp_dir_join(dir, "glancefs.conf");
    static const char text[] = "cloud = local:/file\nmax_streams = 7\n";
    struct error err;

    (void)state;
    temp_dir_write(dir, "glancefs.conf", text, strlen(text));
    assert_int_equal(unsetenv("GLANCEFS_CLOUD"), 0);
    for (unsigned i = 0; i < 3; i++) {
        static const char *const expected[] = {"local:/file", "local:/environment",
                                               "local:/command-line"};
        CLEANUP(config_free) struct config *config = NULL;

        if (i == 1)
            assert_int_equal(setenv("GLANCEFS_CLOUD", "local:/environment", 1), 0);
        assert_succeeds(load(path, i == 2 ? "local:/command-line" : NULL, &config, &err));
        assert_string_equal(config->cloud, expected[i]);
        assert_int_equal(config->max_streams, 7);
    }
    assert_int_equal(unsetenv("GLANCEFS_CLOUD"), 0);
}

static void a_named_file_must_exist_and_be_sound(void **state)
{
    CLEANUP(temp_dir_free) struct temp_dir *dir = temp_dir_new();
    CLEANUP(memory_free) char *path = temp_dir_join(dir, "glancefs.conf");
    static const char text[] = "cloud = local:/file\ncolour = blue\n";
    struct config *config = NULL;
    struct error err;

    (void)state;
    assert_fails(ERROR_NOT_FOUND, load(path, "local:/x", &config, &err));
    temp_dir_write(dir, "glancefs.conf", text, strlen(text));
    assert_fails(ERROR_INVALID, load(path, "local:/x", &config, &err));
    assert_message_has("glancefs.conf:2");
    assert_null(config);
}

static void a_cloud_must_be_named(void **state)
{
    CLEANUP(temp_dir_free) struct temp_dir *dir = temp_dir_new();
    CLEANUP(memory_free) char *path = temp_dir_join(dir, "glancefs.conf");
    struct config *config = NULL;
    struct error err;

    (void)state;
    temp_dir_write(dir, "glancefs.conf", "", 0);
    assert_fails(ERROR_INVALID, load(path, NULL, &config, &err));
    assert_message_has("--cloud");
    assert_fails(ERROR_INVALID, load(path, "cumulus", &config, &err));
    assert_message_has("cumulus");
}

static void who_can_do_without_needs_no_cloud(void **state)
{
    CLEANUP(temp_dir_free) struct temp_dir *dir = temp_dir_new();
    CLEANUP(memory_free) char *path = temp_dir_join(dir, "glancefs.conf");
    CLEANUP(config_free) struct config *config = NULL;
    struct session_options options = {.config_path = path};
    struct error err;

    (void)state;
    temp_dir_write(dir, "glancefs.conf", "cache = /c\n", 11);
    assert_succeeds(session_load_settings(&options, &config, &err));
    assert_null(config->cloud);
    assert_string_equal(config->cache, "/c");
    config_free(steal(&config));
    options.cloud = "cumulus";
    assert_fails(ERROR_INVALID, session_load_settings(&options, &config, &err));
}

static void an_entry_of_clouds_yaml_chooses_openstack(void **state)
{
    CLEANUP(temp_dir_free) struct temp_dir *dir = temp_dir_new();
    CLEANUP(memory_free) char *path = temp_dir_join(dir, "glancefs.conf");
    CLEANUP(memory_free) char *directory = getcwd(NULL, 0);
    CLEANUP(config_free) struct config *config = NULL;
    struct session_options options = {.os_cloud = "prod", .config_path = path};
    struct error err;

    (void)state;
    temp_dir_write(dir, "glancefs.conf", "", 0);
    assert_succeeds(session_load_options(&options, &config, &err));
    assert_string_equal(config->cloud, "openstack");
    assert_string_equal(config->openstack.cloud, "prod");
    assert_string_equal(config->openstack.working_directory, directory);
    config_free(steal(&config));
    options.cloud = "local:/srv";
    assert_fails(ERROR_INVALID, session_load_options(&options, &config, &err));
    assert_message_has("contradicts");
}

static void a_local_cloud_is_made_once(void **state)
{
    CLEANUP(temp_dir_free) struct temp_dir *dir = temp_dir_new();
    struct config config = {0};
    struct stat status;
    struct error err;
    char cloud[4096];

    (void)state;
    (void)snprintf(cloud, sizeof cloud, "local:%s/cloud", temp_dir_path(dir));
    config.cloud = cloud;
    assert_succeeds(session_make_local_cloud(&config, "test", &err));
    assert_int_equal(fstatat(temp_dir_fd(dir), "cloud", &status, 0), 0);
    assert_int_equal(status.st_mode & 07777, 0700);
    assert_succeeds(session_make_local_cloud(&config, "test", &err));
    (void)snprintf(cloud, sizeof cloud, "local:%s/no/such", temp_dir_path(dir));
    assert_fails(ERROR_NOT_FOUND, session_make_local_cloud(&config, "test", &err));
    (void)snprintf(cloud, sizeof cloud, "openstack");
    assert_succeeds(session_make_local_cloud(&config, "test", &err));
    assert_int_equal(temp_dir_count(dir), 1);
}

static void a_session_has_an_arena_and_a_cloud_and_leaves_no_password(void **state)
{
    CLEANUP(temp_dir_free) struct temp_dir *dir = temp_dir_new();
    CLEANUP(session_free) struct session *session = NULL;
    struct config config = {0};
    struct identity identity;
    struct error err;
    char cloud[4096];

    (void)state;
    (void)snprintf(cloud, sizeof cloud, "local:%s", temp_dir_path(dir));
    config.cloud = cloud;
    config.openstack.password = strdup("secret");
    assert_succeeds(session_open(&config, SESSION_COMMAND_ARENA_BYTES, &session, &err));
    assert_null(config.openstack.password);
    assert_true(secure_arena_capacity(session->arena) >= SESSION_COMMAND_ARENA_BYTES);
    assert_succeeds(identity_service_identify(session->cloud->identity, NULL, &identity, &err));
    session_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(later_places_win),
        cmocka_unit_test(a_named_file_must_exist_and_be_sound),
        cmocka_unit_test(a_cloud_must_be_named),
        cmocka_unit_test(who_can_do_without_needs_no_cloud),
        cmocka_unit_test(an_entry_of_clouds_yaml_chooses_openstack),
        cmocka_unit_test(a_local_cloud_is_made_once),
        cmocka_unit_test(a_session_has_an_arena_and_a_cloud_and_leaves_no_password),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
