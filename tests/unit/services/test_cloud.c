/* SPDX-License-Identifier: Apache-2.0 */
#include "glancefs/cloud.h"

#include "support/crypto_arena.h"
#include "support/temp_dir.h"
#include "support/testing.h"

#include <stdio.h>

static void other_words_are_refused(void **state)
{
    static const char *const names[] = {"",           "local",      "locale:/tmp", "local:", "aws",
                                        "openstack:", "openstacks", "/tmp",        "LOCAL:/"};
    struct cloud *cloud = NULL;
    struct error err;

    for (size_t i = 0; i < ELEMENTS_OF(names); i++)
        assert_fails(ERROR_INVALID, cloud_open(names[i], NULL, *state, &cloud, &err));
    assert_null(cloud);
}

static void an_openstack_cloud_has_an_identity_before_anything_is_asked(void **state)
{
    static const char *const environment[] = {"OS_AUTH_URL=http://127.0.0.1:1/v3",
                                              "OS_USERNAME=demo", "OS_PASSWORD=secret",
                                              "OS_PROJECT_NAME=demo", NULL};
    CLEANUP(config_free) struct config *config = NULL;
    CLEANUP(cloud_free) struct cloud *cloud = NULL;
    struct error err;

    assert_succeeds(config_new(&config, &err));
    const struct cloud_options options = {.openstack = &config->openstack,
                                          .environment = (char *const *)environment};
    assert_succeeds(cloud_open("openstack", &options, *state, &cloud, &err));
    assert_non_null(cloud->identity);
}

static void an_openstack_cloud_needs_credentials(void **state)
{
    char *const environment[] = {NULL};
    CLEANUP(config_free) struct config *config = NULL;
    struct cloud *cloud = NULL;
    struct error err;

    assert_succeeds(config_new(&config, &err));
    const struct cloud_options options = {.openstack = &config->openstack,
                                          .environment = environment};
    assert_fails(ERROR_INVALID, cloud_open("openstack", &options, *state, &cloud, &err));
    assert_message_has("OS_AUTH_URL");
    assert_null(cloud);
}

static void a_local_cloud_needs_its_directory(void **state)
{
    CLEANUP(temp_dir_free) struct temp_dir *dir = temp_dir_new();
    struct cloud *cloud = NULL;
    struct error err;
    char name[4096];

    (void)snprintf(name, sizeof name, "local:%s/absent", temp_dir_path(dir));
    assert_fails(ERROR_NOT_FOUND, cloud_open(name, NULL, *state, &cloud, &err));
    assert_message_has("absent does not exist");
    temp_dir_write(dir, "file", "", 0);
    (void)snprintf(name, sizeof name, "local:%s/file", temp_dir_path(dir));
    assert_fails(ERROR_INVALID, cloud_open(name, NULL, *state, &cloud, &err));
    assert_message_has("not a directory");
    assert_null(cloud);
}

static void a_local_cloud_has_all_three_services(void **state)
{
    CLEANUP(temp_dir_free) struct temp_dir *dir = temp_dir_new();
    CLEANUP(cloud_free) struct cloud *cloud = NULL;
    struct identity identity;
    struct error err;
    char name[4096];

    (void)snprintf(name, sizeof name, "local:%s", temp_dir_path(dir));
    assert_succeeds(cloud_open(name, NULL, *state, &cloud, &err));
    assert_succeeds(identity_service_identify(cloud->identity, NULL, &identity, &err));
    assert_non_null(cloud->images);
    assert_non_null(cloud->keys);
    assert_int_equal(temp_dir_count(dir), 0);
    cloud_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(other_words_are_refused),
        cmocka_unit_test(an_openstack_cloud_has_an_identity_before_anything_is_asked),
        cmocka_unit_test(an_openstack_cloud_needs_credentials),
        cmocka_unit_test(a_local_cloud_needs_its_directory),
        cmocka_unit_test(a_local_cloud_has_all_three_services),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
