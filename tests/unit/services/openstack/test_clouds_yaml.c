/* SPDX-License-Identifier: Apache-2.0 */
/* tests/vectors/clouds_yaml: the entry `prod` of sound and of hostile files. */
#include "services/openstack/clouds_yaml.h"

#include "base/file_source.h"
#include "glancefs/limits.h"
#include "services/openstack/credentials.h"
#include "support/crypto_arena.h"
#include "support/temp_dir.h"
#include "support/testing.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

/* Collects "key=value;" in order. */
struct collected {
    char text[4096];
};

static int collect(void *context, const char *key, const char *value, struct error *err)
{
    struct collected *collected = context;
    const size_t length = strlen(collected->text);

    (void)err;
    (void)snprintf(collected->text + length, sizeof collected->text - length, "%s=%s;", key, value);
    return 0;
}

static char *vector(const char *name, size_t *ret_size)
{
    char path[512];
    char *text = NULL;
    struct error err = ERROR_INIT;

    (void)snprintf(path, sizeof path, TEST_VECTORS "/clouds_yaml/%s", name);
    assert_succeeds(file_read_all(AT_FDCWD, path, 1 << 20, &text, ret_size, &err));
    return text;
}

static int parse(const char *name, const char *cloud, struct collected *collected, bool *ret_found,
                 struct error *err)
{
    size_t size;
    CLEANUP(memory_free) char *text = vector(name, &size);

    collected->text[0] = '\0';
    return clouds_yaml_parse(name, text, size, cloud, collect, collected, ret_found, err);
}

/* --- one text --- */

static void the_entry_and_nothing_else_is_taken(void **state)
{
    struct collected collected;
    struct error err = ERROR_INIT;
    bool found;

    (void)state;
    assert_succeeds(parse("sound.yaml", "prod", &collected, &found, &err));
    assert_true(found);
    assert_string_equal(
        collected.text,
        "auth_type=v3password;auth_url=https://keystone.example.org/v3;username=demo;"
        "password=0123;project_name=it's;user_domain_name=;project_domain_id=default;"
        "region_name=RegionOne;interface=internal;verify=true;cacert=ca.pem;"
        "identity_api_version=3;image_endpoint_override=https://glance.example.org;"
        "key_manager_endpoint_override=https://barbican.example.org;");
}

static void the_first_of_the_regions_counts(void **state)
{
    struct collected collected;
    struct error err = ERROR_INIT;
    bool found;

    (void)state;
    assert_succeeds(parse("application_credential.yaml", "prod", &collected, &found, &err));
    assert_non_null(strstr(collected.text, "region_name=RegionTwo;"));
    assert_null(strstr(collected.text, "RegionThree"));
}

static void a_cloud_that_is_not_there_is_not_found(void **state)
{
    static const char *const names[] = {"sound.yaml", "empty.yaml", "comment.yaml"};
    struct collected collected;
    struct error err = ERROR_INIT;
    bool found = true;

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(names); i++) {
        assert_succeeds(parse(names[i], "staging", &collected, &found, &err));
        assert_false(found);
        assert_string_equal(collected.text, "");
    }
}

static void bombs_that_are_not_lit_do_no_harm(void **state)
{
    struct collected collected;
    struct error err = ERROR_INIT;
    bool found;

    (void)state;
    assert_succeeds(parse("alias_bomb.yaml", "prod", &collected, &found, &err));
    assert_string_equal(collected.text, "region_name=One;");
}

static void what_is_no_sound_entry_is_refused_with_its_line(void **state)
{
    static const struct {
        const char *name, *message;
    } cases[] = {
        {"cloud_twice.yaml", "cloud_twice.yaml:3: the cloud is there twice"},
        {"clouds_twice.yaml", "'clouds' is there twice"},
        {"alias.yaml", "alias.yaml:4: aliases"},
        {"merge_key.yaml", "merge_key.yaml:4: aliases"},
        {"alias_cloud.yaml", "no mapping"},
        {"cloud_is_text.yaml", "no mapping"},
        {"nul_in_value.yaml", "NUL"},
        {"unclosed.yaml", "unclosed.yaml:"},
        {"tab.yaml", "tab.yaml:2:"},
        {"list.yaml", "no mapping with 'clouds'"},
        {"text.yaml", "no mapping with 'clouds'"},
        {"not_utf8.yaml", "not_utf8.yaml:"},
    };
    struct collected collected;
    struct error err = ERROR_INIT;
    bool found;

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        assert_fails(ERROR_INVALID, parse(cases[i].name, "prod", &collected, &found, &err));
        assert_message_has(cases[i].message);
    }
}

static void depth_and_size_have_caps(void **state)
{
    static const char *const names[] = {"deep.yaml", "deep_keys.yaml"};
    CLEANUP(memory_free) char *large = malloc(LIMIT_CLOUDS_YAML_BYTES + 1);
    struct collected collected = {.text = ""};
    struct error err = ERROR_INIT;
    bool found;

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(names); i++) {
        assert_fails(ERROR_TOO_LARGE, parse(names[i], "prod", &collected, &found, &err));
        assert_message_has("nested too deeply");
    }
    assert_non_null(large);
    memset(large, '#', LIMIT_CLOUDS_YAML_BYTES + 1);
    assert_fails(ERROR_TOO_LARGE, clouds_yaml_parse("large", large, LIMIT_CLOUDS_YAML_BYTES + 1,
                                                    "prod", collect, &collected, &found, &err));
    assert_succeeds(clouds_yaml_parse("large", large, LIMIT_CLOUDS_YAML_BYTES, "prod", collect,
                                      &collected, &found, &err));
}

/* --- files --- */

struct places {
    struct secure_arena *arena;
    struct temp_dir *dir;
    char *cwd, *home, *config_home, *site;
    struct clouds_yaml_places places;
};

static int open_places(void **state)
{
    struct places *places = calloc(1, sizeof *places);

    if (places == NULL)
        return -1;
    places->arena = *state;
    places->dir = temp_dir_new();
    places->cwd = temp_dir_join(places->dir, "cwd");
    places->home = temp_dir_join(places->dir, "home");
    places->config_home = temp_dir_join(places->dir, "xdg");
    places->site = temp_dir_join(places->dir, "etc");
    for (size_t i = 0; i < 7; i++) {
        static const char *const names[] = {
            "cwd", "home", "home/.config", "home/.config/openstack", "xdg", "xdg/openstack", "etc"};

        assert_int_equal(mkdirat(temp_dir_fd(places->dir), names[i], 0700), 0);
    }
    places->places = (struct clouds_yaml_places){
        .working_directory = places->cwd, .home = places->home, .site = places->site};
    *state = places;
    return 0;
}

static int close_places(void **state)
{
    struct places *places = *state;

    temp_dir_free(places->dir);
    free(places->cwd);
    free(places->home);
    free(places->config_home);
    free(places->site);
    free(places);
    return 0;
}

/* A clouds.yaml whose entry says where it stands. */
static void put(struct places *places, const char *name)
{
    char text[256];
    const int length = snprintf(text, sizeof text, "clouds: {prod: {region_name: '%s'}}\n", name);

    temp_dir_write(places->dir, name, text, (size_t)length);
}

static int read_entry(struct places *places, struct collected *collected, struct error *err)
{
    collected->text[0] = '\0';
    return clouds_yaml_read_entry(&places->places, "prod", places->arena, collect, collected, err);
}

static void the_first_place_that_has_the_file_counts(void **state)
{
    static const char *const names[] = {
        "etc/clouds.yaml",          "home/.config/openstack/clouds.yaml",
        "xdg/openstack/clouds.yml", "cwd/clouds.yml",
        "cwd/clouds.yaml",          "named.yaml"};
    struct places *places = *state;
    CLEANUP(memory_free) char *named = temp_dir_join(places->dir, "named.yaml");
    struct collected collected;
    struct error err = ERROR_INIT;

    for (size_t i = 0; i < ELEMENTS_OF(names); i++) {
        char expected[128];

        put(places, names[i]);
        if (strncmp(names[i], "xdg", 3) == 0)
            places->places.config_home = places->config_home;
        if (i + 1 == ELEMENTS_OF(names))
            places->places.config_file = named;
        assert_succeeds(read_entry(places, &collected, &err));
        (void)snprintf(expected, sizeof expected, "region_name=%s;", names[i]);
        assert_string_equal(collected.text, expected);
    }
    places->places.config_file = "../named.yaml";
    assert_succeeds(read_entry(places, &collected, &err));
    assert_string_equal(collected.text, "region_name=named.yaml;");
}

static void secure_yaml_is_added_behind(void **state)
{
    static const char secure[] = "clouds: {prod: {auth: {password: s3cret}}}\n";
    struct places *places = *state;
    struct collected collected;
    struct error err = ERROR_INIT;

    put(places, "cwd/clouds.yaml");
    temp_dir_write(places->dir, "home/.config/openstack/secure.yaml", secure, sizeof secure - 1);
    assert_succeeds(read_entry(places, &collected, &err));
    assert_string_equal(collected.text, "region_name=cwd/clouds.yaml;password=s3cret;");
}

static void what_is_missing_says_where_it_was_looked_for(void **state)
{
    struct places *places = *state;
    struct collected collected;
    struct error err = ERROR_INIT;

    assert_fails(ERROR_NOT_FOUND, read_entry(places, &collected, &err));
    assert_message_has("OS_CLIENT_CONFIG_FILE");
    put(places, "cwd/clouds.yaml");
    assert_fails(ERROR_NOT_FOUND, clouds_yaml_read_entry(&places->places, "staging", places->arena,
                                                         collect, &collected, &err));
    assert_message_has("cwd/clouds.yaml has no cloud staging");
    places->places.config_file = "absent.yaml";
    assert_fails(ERROR_NOT_FOUND, read_entry(places, &collected, &err));
    assert_message_has("absent.yaml does not exist");
}

static void a_file_that_is_none_is_refused(void **state)
{
    struct places *places = *state;
    struct collected collected;
    struct error err = ERROR_INIT;

    assert_int_equal(mkfifoat(temp_dir_fd(places->dir), "cwd/clouds.yaml", 0600), 0);
    assert_fails(ERROR_INVALID, read_entry(places, &collected, &err));
    assert_message_has("not a regular file");
}

#define with_places(test) cmocka_unit_test_setup_teardown(test, open_places, close_places)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_entry_and_nothing_else_is_taken),
        cmocka_unit_test(the_first_of_the_regions_counts),
        cmocka_unit_test(a_cloud_that_is_not_there_is_not_found),
        cmocka_unit_test(bombs_that_are_not_lit_do_no_harm),
        cmocka_unit_test(what_is_no_sound_entry_is_refused_with_its_line),
        cmocka_unit_test(depth_and_size_have_caps),
        with_places(the_first_place_that_has_the_file_counts),
        with_places(secure_yaml_is_added_behind),
        with_places(what_is_missing_says_where_it_was_looked_for),
        with_places(a_file_that_is_none_is_refused),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
