/* SPDX-License-Identifier: Apache-2.0 */
#include "glancefs/config.h"

#include "base/log.h"
#include "glancefs/limits.h"
#include "glancefs/secure_arena.h"
#include "support/temp_dir.h"
#include "support/testing.h"

#include <stdio.h>

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

/* --- defaults --- */

static void the_defaults_are_those_of_the_manual(void **state)
{
    const struct config *config = ((struct fixture *)*state)->config;

    assert_null(config->cloud);
    assert_null(config->cache);
    assert_null(config->foreign_owners);
    assert_int_equal(config->verify, VERIFY_FIRST);
    assert_int_equal(config->key_encoding, KEY_ENCODING_AUTO);
    assert_int_equal(config->uid, getuid());
    assert_int_equal(config->gid, getgid());
    assert_false(config->uid_set);
    assert_false(config->gid_set);
    assert_int_equal(config->mode, 0400);
    assert_false(config->allow_other);
    assert_int_equal(config->commit, COMMIT_SEAL);
    assert_int_equal(config->write_window_bytes, 4 * MIB);
    assert_true(config->max_memory_bytes >= SECURE_ARENA_MINIMUM_BYTES);
    assert_true(config->max_streams > 0);
    assert_int_equal(config->authorise_ttl_seconds, 0);
    assert_int_equal(config->cache_limits.max_size.bytes, 0);
    assert_int_equal(config->cache_limits.max_size.percent, 0);
    assert_int_equal(config->cache_limits.min_free.bytes, 0);
    assert_int_equal(config->cache_limits.min_free.percent, 5);
    assert_int_equal(config->cache_limits.max_age_seconds, 0);
    assert_int_equal(config->stale, STALE_REFUSE);
    assert_true(config->require_hash);
    assert_int_equal(config->signature, SIGNATURE_OFF);
    assert_int_equal(config->consumers, CONSUMERS_OFF);
    assert_false(config->openstack.allow_http);
    assert_int_equal(config->aead, AEAD_NONE);
    assert_int_equal(config->threads, 2);
    assert_int_equal(config->log, LOG_STDERR);
    assert_int_equal(config->log_level, LOG_LEVEL_INFO);
    assert_true(config->audit);
}

static void freeing_null_is_allowed(void **state)
{
    (void)state;
    config_free(NULL);
}

/* --- one option --- */

static void an_unknown_option_names_itself_and_its_origin(void **state)
{
    struct fixture *fixture = *state;
    struct error err = ERROR_INIT;

    assert_fails(ERROR_INVALID, config_set(fixture->config, "colour", "red", "--colour", &err));
    assert_message_has("--colour");
    assert_message_has("'colour'");
}

static void a_bad_value_says_where_it_stands_and_what_is_taken(void **state)
{
    struct fixture *fixture = *state;
    struct error err = ERROR_INIT;

    assert_fails(ERROR_INVALID, config_set(fixture->config, "verify", "never", "-o", &err));
    assert_ptr_equal(strstr(err.message, "-o: "), err.message);
    assert_message_has("verify");
    assert_message_has("first|stream");
    assert_int_equal(fixture->config->verify, VERIFY_FIRST);
}

static void strings_are_copied_and_replaced(void **state)
{
    struct fixture *fixture = *state;
    struct error err = ERROR_INIT;
    char value[] = "/one";

    assert_succeeds(config_set(fixture->config, "cache", value, "test", &err));
    value[1] = 'X';
    assert_string_equal(fixture->config->cache, "/one");
    assert_succeeds(config_set(fixture->config, "cache", "/two", "test", &err));
    assert_string_equal(fixture->config->cache, "/two");
}

static void a_value_may_be_as_long_as_the_limit_and_no_longer(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(memory_free) char *value = calloc(1, LIMIT_OPTION_BYTES + 2);
    struct error err = ERROR_INIT;

    assert_non_null(value);
    memset(value, 'x', LIMIT_OPTION_BYTES);
    assert_succeeds(config_set(fixture->config, "cache", value, "test", &err));
    assert_int_equal(strlen(fixture->config->cache), LIMIT_OPTION_BYTES);
    value[LIMIT_OPTION_BYTES] = 'x';
    assert_fails(ERROR_INVALID, config_set(fixture->config, "cache", value, "test", &err));
    assert_int_equal(strlen(fixture->config->cache), LIMIT_OPTION_BYTES);
}

static void flags_take_the_words_of_every_habit(void **state)
{
    static const char *const yes[] = {"yes", "true", "on", "1"};
    static const char *const no[] = {"no", "false", "off", "0"};
    static const char *const wrong[] = {"", "2", "YES", "y", "yes ", "enable", "-1", "00"};
    struct fixture *fixture = *state;
    struct error err = ERROR_INIT;

    for (size_t i = 0; i < ELEMENTS_OF(yes); i++) {
        assert_succeeds(config_set(fixture->config, "allow_http", yes[i], "test", &err));
        assert_true(fixture->config->openstack.allow_http);
        assert_succeeds(config_set(fixture->config, "allow_http", no[i], "test", &err));
        assert_false(fixture->config->openstack.allow_http);
    }
    for (size_t i = 0; i < ELEMENTS_OF(wrong); i++)
        assert_fails(ERROR_INVALID,
                     config_set(fixture->config, "allow_http", wrong[i], "test", &err));
}

static void sizes_are_numbers_of_bytes_with_binary_units(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } sizes[] = {
        {"0", 0},
        {"65536", 65536},
        {"64K", UINT64_C(64) << 10},
        {"4M", UINT64_C(4) << 20},
        {"3G", UINT64_C(3) << 30},
        {"2T", UINT64_C(2) << 40},
        {"18446744073709551615", UINT64_MAX},
        {"16777215T", UINT64_C(16777215) << 40},
    };
    static const char *const wrong[] = {"",
                                        " 1",
                                        "1 ",
                                        "-1",
                                        "+1",
                                        "0x10",
                                        "1.5G",
                                        "4MB",
                                        "4MiB",
                                        "M",
                                        "1E",
                                        "1M1",
                                        "18446744073709551616",
                                        "16777216T",
                                        "17179869184G",
                                        "99999999999999999999999K"};
    struct fixture *fixture = *state;
    struct error err = ERROR_INIT;

    for (size_t i = 0; i < ELEMENTS_OF(sizes); i++) {
        assert_succeeds(config_set(fixture->config, "max_memory", sizes[i].text, "test", &err));
        assert_int_equal(fixture->config->max_memory_bytes, sizes[i].bytes);
    }
    for (size_t i = 0; i < ELEMENTS_OF(wrong); i++)
        assert_fails(ERROR_INVALID,
                     config_set(fixture->config, "max_memory", wrong[i], "test", &err));
}

static void limits_of_the_cache_are_bytes_or_a_share_of_the_filesystem(void **state)
{
    static const struct {
        const char *text;
        struct cache_limit limit;
    } limits[] = {
        {"10G", {.bytes = UINT64_C(10) << 30}},
        {"80%", {.percent = 80}},
        {"65536", {.bytes = 65536}},
        {"1%", {.percent = 1}},
        {"100%", {.percent = 100}},
        {"0%", {0}},
        {"0", {0}},
        {"18446744073709551615", {.bytes = UINT64_MAX}},
    };
    static const char *const wrong[] = {
        "",     "%",   "101%", "-1%",  "+1%",  " 5%",   "5 %",  "5% ", "5%%",
        "1.5%", "5K%", "5%K",  "none", "4GiB", "0x10%", "5pct", "G",   "18446744073709551616%"};
    static const char *const options[] = {"max_size", "min_free"};
    struct config *config = ((struct fixture *)*state)->config;
    const struct cache_limit *const set[] = {&config->cache_limits.max_size,
                                             &config->cache_limits.min_free};
    struct error err = ERROR_INIT;

    for (size_t i = 0; i < ELEMENTS_OF(options); i++) {
        for (size_t j = 0; j < ELEMENTS_OF(limits); j++) {
            assert_succeeds(config_set(config, options[i], limits[j].text, "test", &err));
            assert_int_equal(set[i]->bytes, limits[j].limit.bytes);
            assert_int_equal(set[i]->percent, limits[j].limit.percent);
        }
        for (size_t j = 0; j < ELEMENTS_OF(wrong); j++)
            assert_fails(ERROR_INVALID, config_set(config, options[i], wrong[j], "test", &err));
        assert_int_equal(set[i]->bytes, UINT64_MAX);
    }
}

static void a_filesystem_that_is_all_to_stay_free_is_refused(void **state)
{
    struct config *config = ((struct fixture *)*state)->config;
    struct error err = ERROR_INIT;

    assert_succeeds(config_set(config, "max_size", "100%", "test", &err));
    assert_succeeds(config_set(config, "min_free", "99%", "test", &err));
    assert_succeeds(config_validate(config, &err));
    assert_succeeds(config_set(config, "min_free", "100%", "test", &err));
    assert_fails(ERROR_INVALID, config_validate(config, &err));
    assert_message_has("min_free");
}

static void counts_and_times_are_plain_decimal_numbers(void **state)
{
    static const char *const wrong[] = {"",
                                        "-1",
                                        "+1",
                                        " 1",
                                        "1 ",
                                        "1s",
                                        "0x1",
                                        "1.0",
                                        "1e3",
                                        "4294967296",
                                        "18446744073709551617",
                                        "99999999999999999999"};
    static const char *const options[] = {"max_streams", "authorise_ttl", "record_ttl", "max_age",
                                          "threads"};
    struct fixture *fixture = *state;
    struct error err = ERROR_INIT;

    for (size_t i = 0; i < ELEMENTS_OF(options); i++)
        for (size_t j = 0; j < ELEMENTS_OF(wrong); j++)
            assert_fails(ERROR_INVALID,
                         config_set(fixture->config, options[i], wrong[j], "test", &err));
    assert_succeeds(config_set(fixture->config, "record_ttl", "4294967295", "test", &err));
    assert_int_equal(fixture->config->record_ttl_seconds, UINT32_MAX);
    assert_succeeds(config_set(fixture->config, "authorise_ttl", "15", "test", &err));
    assert_int_equal(fixture->config->authorise_ttl_seconds, 15);
}

static void only_owner_and_group_may_be_let_read(void **state)
{
    static const char *const wrong[] = {"",     "0",    "0600", "0444", "0404", "0640", "0040",
                                        "0500", "4400", "r",    "-400", "256",  "0x100"};
    struct fixture *fixture = *state;
    struct error err = ERROR_INIT;

    assert_succeeds(config_set(fixture->config, "mode", "0440", "test", &err));
    assert_int_equal(fixture->config->mode, 0440);
    assert_succeeds(config_set(fixture->config, "mode", "0400", "test", &err));
    assert_int_equal(fixture->config->mode, 0400);
    for (size_t i = 0; i < ELEMENTS_OF(wrong); i++)
        assert_fails(ERROR_INVALID, config_set(fixture->config, "mode", wrong[i], "test", &err));
}

static void owners_are_given_by_number_or_name(void **state)
{
    static const char *const wrong[] = {"", "-1", "4294967295", "4294967296", "no such user", "1x"};
    struct fixture *fixture = *state;
    struct error err = ERROR_INIT;

    assert_succeeds(config_set(fixture->config, "uid", "64055", "test", &err));
    assert_int_equal(fixture->config->uid, 64055);
    assert_true(fixture->config->uid_set);
    assert_false(fixture->config->gid_set);
    assert_succeeds(config_set(fixture->config, "uid", "root", "test", &err));
    assert_int_equal(fixture->config->uid, 0);
    assert_succeeds(config_set(fixture->config, "gid", "4294967294", "test", &err));
    assert_int_equal(fixture->config->gid, UINT32_MAX - 1);
    assert_succeeds(config_set(fixture->config, "gid", "root", "test", &err));
    assert_int_equal(fixture->config->gid, 0);
    assert_true(fixture->config->gid_set);
    for (size_t i = 0; i < ELEMENTS_OF(wrong); i++) {
        assert_fails(ERROR_INVALID, config_set(fixture->config, "uid", wrong[i], "test", &err));
        assert_fails(ERROR_INVALID, config_set(fixture->config, "gid", wrong[i], "test", &err));
    }
}

static void a_refused_owner_does_not_count_as_given(void **state)
{
    struct fixture *fixture = *state;
    struct error err = ERROR_INIT;

    assert_fails(ERROR_INVALID, config_set(fixture->config, "uid", "-1", "test", &err));
    assert_fails(ERROR_INVALID, config_set(fixture->config, "gid", "-1", "test", &err));
    assert_false(fixture->config->uid_set);
    assert_false(fixture->config->gid_set);
    assert_int_equal(fixture->config->uid, getuid());
}

/* --- the environment --- */

static void variables_with_the_prefix_set_options_and_others_do_not(void **state)
{
    char *const environment[] = {(char *)"PATH=/bin",
                                 (char *)"GLANCEFS_CACHE=/from/environment",
                                 (char *)"GLANCEFS_MAX_MEMORY=1G",
                                 (char *)"MODE=0440",
                                 (char *)"glancefs_verify=stream",
                                 (char *)"XGLANCEFS_VERIFY=stream",
                                 (char *)"GLANCEFSVERIFY=stream",
                                 (char *)"GLANCEFS_CLOUD=local:/a=b",
                                 (char *)"no equals sign",
                                 NULL};
    struct fixture *fixture = *state;
    struct error err = ERROR_INIT;

    assert_succeeds(config_load_environment(fixture->config, environment, &err));
    assert_string_equal(fixture->config->cache, "/from/environment");
    assert_string_equal(fixture->config->cloud, "local:/a=b");
    assert_int_equal(fixture->config->max_memory_bytes, UINT64_C(1) << 30);
    assert_int_equal(fixture->config->mode, 0400);
    assert_int_equal(fixture->config->verify, VERIFY_FIRST);
}

static void an_empty_environment_changes_nothing(void **state)
{
    char *const environment[] = {NULL};
    struct fixture *fixture = *state;
    struct error err = ERROR_INIT;

    assert_succeeds(config_load_environment(fixture->config, environment, &err));
    the_defaults_are_those_of_the_manual(state);
}

static void mistakes_in_the_environment_name_the_variable(void **state)
{
    static const char *const variables[] = {"GLANCEFS_COLOUR=red", "GLANCEFS_VERIFY=never",
                                            "GLANCEFS_MODE=0777", "GLANCEFS_=x",
                                            "GLANCEFS_verify_=first"};
    struct fixture *fixture = *state;

    for (size_t i = 0; i < ELEMENTS_OF(variables); i++) {
        CLEANUP(memory_free) char *name = strdup(variables[i]);
        char *const environment[] = {(char *)"A=b", (char *)(uintptr_t)variables[i], NULL};
        struct error err = ERROR_INIT;

        assert_fails(ERROR_INVALID, config_load_environment(fixture->config, environment, &err));
        assert_non_null(name);
        name[strcspn(name, "=")] = '\0';
        assert_message_has(name);
    }
}

static void a_variable_with_an_endless_name_is_unknown(void **state)
{
    static const char prefix[] = "GLANCEFS_";
    struct fixture *fixture = *state;
    char variable[5000];
    char *const environment[] = {variable, NULL};
    struct error err = ERROR_INIT;

    memset(variable, 'X', sizeof variable);
    for (size_t i = 0; prefix[i] != '\0'; i++)
        variable[i] = prefix[i];
    variable[sizeof variable - 2] = '=';
    variable[sizeof variable - 1] = '\0';
    assert_fails(ERROR_INVALID, config_load_environment(fixture->config, environment, &err));
}

/* --- mount options --- */

static void a_mount_option_string_sets_values_and_flags(void **state)
{
    struct fixture *fixture = *state;
    struct error err = ERROR_INIT;

    assert_succeeds(
        config_set_mount_options(fixture->config, "mode=0440,allow_other,uid=7,cache=/a=b", &err));
    assert_int_equal(fixture->config->mode, 0440);
    assert_true(fixture->config->allow_other);
    assert_int_equal(fixture->config->uid, 7);
    assert_string_equal(fixture->config->cache, "/a=b");
    assert_succeeds(config_set_mount_options(fixture->config, "allow_other=no", &err));
    assert_false(fixture->config->allow_other);
}

static void empty_mount_options_mean_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct error err = ERROR_INIT;

    assert_succeeds(config_set_mount_options(fixture->config, "", &err));
    assert_succeeds(config_set_mount_options(fixture->config, ",,mode=0440,,", &err));
    assert_int_equal(fixture->config->mode, 0440);
}

static void mistakes_in_mount_options_are_named(void **state)
{
    static const char *const options[] = {
        "colour", "mode=0440,colour=red", "verify",       "mode=0777",
        "=x",     "allow_other=x",        "mode=0440 ,x", " mode=0440"};
    struct fixture *fixture = *state;

    for (size_t i = 0; i < ELEMENTS_OF(options); i++) {
        struct error err = ERROR_INIT;

        if (config_set_mount_options(fixture->config, options[i], &err) == 0)
            fail_msg("\"%s\" was taken", options[i]);
        assert_int_equal(err.kind, ERROR_INVALID);
        assert_message_has("-o");
    }
}

/* --- together --- */

static void later_places_win(void **state)
{
    char *const environment[] = {(char *)"GLANCEFS_CACHE=/environment",
                                 (char *)"GLANCEFS_CLOUD=local:/environment", NULL};
    static const char text[] = "cache = /file\ncloud = local:/file\nmode = 0440\n";
    struct fixture *fixture = *state;
    struct error err = ERROR_INIT;

    temp_dir_write(fixture->dir, "glancefs.conf", text, sizeof text - 1);
    assert_succeeds(config_load_file(fixture->config, fixture->path, &err));
    assert_succeeds(config_load_environment(fixture->config, environment, &err));
    assert_succeeds(config_set_mount_options(fixture->config, "cache=/command-line", &err));
    assert_string_equal(fixture->config->cache, "/command-line");
    assert_string_equal(fixture->config->cloud, "local:/environment");
    assert_int_equal(fixture->config->mode, 0440);
}

struct setting {
    const char *name;
    const char *value;
};

/* Some check, of the value alone or of all together, must refuse. */
static bool is_refused(struct setting first, struct setting second)
{
    CLEANUP(config_free) struct config *config = NULL;
    struct error err = ERROR_INIT;
    bool refused;

    assert_succeeds(config_new(&config, &err));
    refused =
        config_set(config, first.name, first.value, "test", &err) < 0 ||
        (second.name != NULL && config_set(config, second.name, second.value, "test", &err) < 0) ||
        config_validate(config, &err) < 0;
    if (refused)
        assert_int_equal(err.kind, ERROR_INVALID);
    return refused;
}

static void the_defaults_are_valid(void **state)
{
    struct fixture *fixture = *state;
    struct error err = ERROR_INIT;

    assert_succeeds(config_set(fixture->config, "cloud", "local:/srv", "test", &err));
    assert_succeeds(config_set(fixture->config, "cache", "/cache", "test", &err));
    assert_succeeds(config_validate(fixture->config, &err));
}

static void letting_others_in_needs_an_explicit_owner(void **state)
{
    const struct setting allow = {"allow_other", "yes"};

    (void)state;
    assert_true(is_refused(allow, (struct setting){0}));
    assert_true(is_refused(allow, (struct setting){"mode", "0440"}));
    assert_false(is_refused(allow, (struct setting){"uid", "0"}));
    assert_false(is_refused(allow, (struct setting){"gid", "0"}));
    assert_false(is_refused((struct setting){"allow_other", "no"}, (struct setting){0}));
}

static void values_out_of_range_are_refused(void **state)
{
    static const struct setting refused[] = {
        {"threads", "0"},
        {"threads", "5"},
        {"threads", "4294967295"},
        {"write_window", "65M"},
        {"write_window", "0"},
        {"write_window", "67108865"},
        {"max_memory", "0"},
        {"max_memory", "2097151"},
        {"max_streams", "0"},
        {"cloud", "local"},
        {"cloud", "local:"},
        {"cloud", "openstack:"},
        {"cloud", "openstackx"},
        {"cloud", "aws:x"},
        {"cloud", "Local:/srv"},
        {"cloud", " local:/srv"},
        {"cloud", ":"},
        {"cloud", ""},
    };
    static const struct setting taken[] = {
        {"threads", "1"},
        {"threads", "2"},
        {"threads", "3"},
        {"threads", "4"},
        {"write_window", "64M"},
        {"write_window", "4M"},
        {"max_memory", "2M"},
        {"cloud", "local:x"},
        {"cloud", "local:/srv/images"},
        {"cloud", "openstack"},
        {"cloud", "openstack:region-1"},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(refused); i++) {
        if (!is_refused(refused[i], (struct setting){0}))
            fail_msg("%s=%s was taken", refused[i].name, refused[i].value);
    }
    for (size_t i = 0; i < ELEMENTS_OF(taken); i++) {
        if (is_refused(taken[i], (struct setting){0}))
            fail_msg("%s=%s was refused", taken[i].name, taken[i].value);
    }
}

static void numbers_of_transfers_are_bounded(void **state)
{
    static const struct setting refused[] = {
        {"max_downloads", "0"},
        {"max_downloads", "1025"},
        {"max_uploads", "0"},
        {"max_uploads", "65"},
    };
    static const struct setting taken[] = {
        {"max_downloads", "1"},
        {"max_downloads", "1024"},
        {"max_uploads", "1"},
        {"max_uploads", "64"},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(refused); i++)
        assert_true(is_refused(refused[i], (struct setting){0}));
    for (size_t i = 0; i < ELEMENTS_OF(taken); i++)
        assert_false(is_refused(taken[i], (struct setting){0}));
}

#define with_fixture(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

/* --- OpenStack --- */

static void an_entry_of_clouds_yaml_or_an_auth_url_makes_the_cloud_openstack(void **state)
{
    static const char *const names[] = {"os_cloud", "os_auth_url"};
    struct error err = ERROR_INIT;

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(names); i++) {
        CLEANUP(config_free) struct config *config = NULL;

        assert_succeeds(config_new(&config, &err));
        assert_succeeds(config_set(config, names[i], "prod", "test", &err));
        assert_succeeds(config_validate(config, &err));
        assert_string_equal(config->cloud, "openstack");
    }
}

static void signatures_need_those_who_vouch_for_them(void **state)
{
    const struct setting none = {NULL, NULL};
    const struct setting required = {"signature", "required"};
    const struct setting trusted = {"trusted_certificates", "/etc/ca.pem"};
    const struct setting key = {"signing_key", "/etc/key.pem"};
    const struct setting certificate = {"signing_certificate", "some-id"};

    (void)state;
    assert_true(is_refused(required, none));
    assert_false(is_refused(required, trusted));
    assert_false(is_refused((struct setting){"signature", "if-present"}, none));
    assert_true(is_refused(key, none));
    assert_true(is_refused(certificate, none));
    assert_false(is_refused(key, certificate));
}

static void os_cloud_must_not_contradict_the_cloud(void **state)
{
    static const char *const right[] = {"openstack", "openstack:prod"};
    static const char *const wrong[] = {"local:/srv", "openstack:test", "openstack:pro",
                                        "openstack:prod2"};
    struct fixture *fixture = *state;
    struct error err = ERROR_INIT;

    assert_succeeds(config_set(fixture->config, "os_cloud", "prod", "test", &err));
    for (size_t i = 0; i < ELEMENTS_OF(right); i++) {
        assert_succeeds(config_set(fixture->config, "cloud", right[i], "test", &err));
        assert_succeeds(config_validate(fixture->config, &err));
        assert_string_equal(fixture->config->cloud, right[i]);
    }
    for (size_t i = 0; i < ELEMENTS_OF(wrong); i++) {
        assert_succeeds(config_set(fixture->config, "cloud", wrong[i], "test", &err));
        assert_fails(ERROR_INVALID, config_validate(fixture->config, &err));
        assert_message_has("contradicts");
    }
}

/* What goes by http would be read by the proxy. */
static void a_proxy_excludes_http_to_other_machines(void **state)
{
    struct fixture *fixture = *state;
    struct config *config = fixture->config;
    struct error err = ERROR_INIT;

    assert_succeeds(config_set(config, "proxy", "http://proxy:3128", "test", &err));
    assert_succeeds(config_validate(config, &err));
    assert_succeeds(config_set(config, "allow_http", "yes", "test", &err));
    assert_fails(ERROR_INVALID, config_validate(config, &err));
    assert_message_has("proxy");
}

static void time_limits_and_retries_have_bounds(void **state)
{
    static const char *const names[] = {"connect_timeout", "stall_timeout", "request_timeout"};
    struct error err = ERROR_INIT;

    (void)state;
    for (size_t i = 0; i <= ELEMENTS_OF(names); i++) {
        CLEANUP(config_free) struct config *config = NULL;
        const char *name = i < ELEMENTS_OF(names) ? names[i] : "retries";

        assert_succeeds(config_new(&config, &err));
        if (i < ELEMENTS_OF(names)) {
            assert_succeeds(config_set(config, name, "0", "test", &err));
            assert_fails(ERROR_INVALID, config_validate(config, &err));
        }
        assert_succeeds(config_set(config, name, "86401", "test", &err));
        assert_fails(ERROR_INVALID, config_validate(config, &err));
        assert_succeeds(config_set(config, name, "10", "test", &err));
        assert_succeeds(config_validate(config, &err));
    }
}

static void wiped_secrets_are_gone_and_names_stay(void **state)
{
    struct fixture *fixture = *state;
    struct openstack_options *openstack = &fixture->config->openstack;
    struct error err = ERROR_INIT;

    assert_succeeds(config_set(fixture->config, "os_username", "demo", "test", &err));
    assert_succeeds(config_set(fixture->config, "os_password", "one", "test", &err));
    assert_succeeds(config_set(fixture->config, "os_password", "other", "test", &err));
    assert_string_equal(openstack->password, "other");
    assert_succeeds(
        config_set(fixture->config, "os_application_credential_secret", "s3cret", "test", &err));
    config_wipe_secrets(fixture->config);
    assert_null(openstack->password);
    assert_null(openstack->application_credential_secret);
    assert_string_equal(openstack->username, "demo");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_fixture(the_defaults_are_those_of_the_manual),
        cmocka_unit_test(freeing_null_is_allowed),
        with_fixture(an_unknown_option_names_itself_and_its_origin),
        with_fixture(a_bad_value_says_where_it_stands_and_what_is_taken),
        with_fixture(strings_are_copied_and_replaced),
        with_fixture(a_value_may_be_as_long_as_the_limit_and_no_longer),
        with_fixture(flags_take_the_words_of_every_habit),
        with_fixture(sizes_are_numbers_of_bytes_with_binary_units),
        with_fixture(limits_of_the_cache_are_bytes_or_a_share_of_the_filesystem),
        with_fixture(a_filesystem_that_is_all_to_stay_free_is_refused),
        with_fixture(counts_and_times_are_plain_decimal_numbers),
        with_fixture(only_owner_and_group_may_be_let_read),
        with_fixture(owners_are_given_by_number_or_name),
        with_fixture(a_refused_owner_does_not_count_as_given),
        with_fixture(variables_with_the_prefix_set_options_and_others_do_not),
        with_fixture(an_empty_environment_changes_nothing),
        with_fixture(mistakes_in_the_environment_name_the_variable),
        with_fixture(a_variable_with_an_endless_name_is_unknown),
        with_fixture(a_mount_option_string_sets_values_and_flags),
        with_fixture(empty_mount_options_mean_nothing),
        with_fixture(mistakes_in_mount_options_are_named),
        with_fixture(later_places_win),
        with_fixture(the_defaults_are_valid),
        cmocka_unit_test(letting_others_in_needs_an_explicit_owner),
        cmocka_unit_test(values_out_of_range_are_refused),
        cmocka_unit_test(numbers_of_transfers_are_bounded),
        cmocka_unit_test(an_entry_of_clouds_yaml_or_an_auth_url_makes_the_cloud_openstack),
        cmocka_unit_test(signatures_need_those_who_vouch_for_them),
        with_fixture(os_cloud_must_not_contradict_the_cloud),
        with_fixture(a_proxy_excludes_http_to_other_machines),
        cmocka_unit_test(time_limits_and_retries_have_bounds),
        with_fixture(wiped_secrets_are_gone_and_names_stay),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
