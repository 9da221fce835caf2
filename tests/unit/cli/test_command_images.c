/* SPDX-License-Identifier: Apache-2.0 */
#include "base/uuid.h"
#include "cli/command.h"
#include "program.h"
#include "support/testing.h"

#include <json-c/json_object.h>
#include <json-c/json_tokener.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#define IMAGE_ID "7b97a3a7-3d5c-4b6f-9f4e-2f1f3a5d9c10"
#define KEY_ID "c2fb7546-e548-4e8b-9a3b-78ee2a3dd3d1"
/* SHA-512 of "abc" (FIPS 180-4). */
#define ABC_SHA512                                                                                 \
    "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"                             \
    "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
#define OBJECT_NAME IMAGE_ID "." ABC_SHA512

DEFINE_CLEANUP(struct json_object, json_object_put)

/* A directory with a file "abc"; the cloud beside it is made by the program. */
struct images_test {
    struct temp_dir *dir;
    char cloud[4096]; /* "local:DIR/cloud" */
    char *file;
};

static void begin_test(struct images_test *test)
{
    test->dir = temp_dir_new();
    (void)snprintf(test->cloud, sizeof test->cloud, "local:%s/cloud", temp_dir_path(test->dir));
    temp_dir_write(test->dir, "abc", "abc", 3);
    test->file = temp_dir_join(test->dir, "abc");
}

static void end_test(struct images_test *test)
{
    temp_dir_free(test->dir);
    free(test->file);
}

static void assert_runs(const struct program_run *run)
{
    if (run->exit_code != EXIT_CODE_OK)
        fail_msg("exit code %d: %s", run->exit_code, run->errors);
}

static struct json_object *parse_output(const struct program_run *run)
{
    struct json_object *object = json_tokener_parse(run->output);

    assert_runs(run);
    assert_non_null(object);
    return object;
}

static const char *text_of(struct json_object *object, const char *name)
{
    return json_object_get_string(json_object_object_get(object, name));
}

/* Runs `images show --json IMAGE_ID`. */
static struct json_object *show(const struct images_test *test)
{
    CLEANUP(program_run_free)
    struct program_run *run =
        RUN(test->dir, NULL, "images", "show", "--json", "--cloud", test->cloud, IMAGE_ID);

    return parse_output(run);
}

static void add_registers_an_active_gpg_image(void **state)
{
    CLEANUP(program_run_free) struct program_run *run = NULL;
    CLEANUP(json_object_put) struct json_object *image = NULL;
    struct images_test test;

    (void)state;
    begin_test(&test);
    run = RUN(test.dir, NULL, "images", "add", "--cloud", test.cloud, "--id", IMAGE_ID, "--name",
              "disk", "--key", KEY_ID, "--decrypt-size", "3", "--property", "a=b=c", test.file);
    assert_runs(run);
    assert_string_equal(run->output, IMAGE_ID "\n");
    image = show(&test);
    assert_string_equal(text_of(image, "status"), "active");
    assert_string_equal(text_of(image, "name"), "disk");
    assert_string_equal(text_of(image, "os_encrypt_format"), "GPG");
    assert_string_equal(text_of(image, "os_encrypt_type"), "symmetric");
    assert_string_equal(text_of(image, "os_encrypt_cipher"), "AES256");
    assert_string_equal(text_of(image, "os_encrypt_key_id"), KEY_ID);
    assert_string_equal(text_of(image, "os_decrypt_container_format"), "bare");
    assert_string_equal(text_of(image, "os_decrypt_size"), "3");
    assert_string_equal(text_of(image, "container_format"), "encrypted");
    assert_string_equal(text_of(image, "disk_format"), "raw");
    assert_string_equal(text_of(image, "a"), "b=c");
    assert_string_equal(text_of(image, "os_hash_algo"), "sha512");
    assert_string_equal(text_of(image, "os_hash_value"), ABC_SHA512);
    assert_true(json_object_is_type(json_object_object_get(image, "size"), json_type_int));
    assert_int_equal(json_object_get_int(json_object_object_get(image, "size")), 3);
    assert_true(temp_dir_has(test.dir, "cloud/images/" IMAGE_ID ".data"));
    end_test(&test);
}

static void add_registers_a_plain_image(void **state)
{
    CLEANUP(program_run_free) struct program_run *run = NULL;
    CLEANUP(json_object_put) struct json_object *image = NULL;
    struct images_test test;

    (void)state;
    begin_test(&test);
    run = RUN(test.dir, NULL, "images", "add", "--cloud", test.cloud, "--id", IMAGE_ID, "--format",
              "none", "--disk-format", "qcow2", test.file);
    assert_runs(run);
    image = show(&test);
    assert_string_equal(text_of(image, "container_format"), "bare");
    assert_string_equal(text_of(image, "disk_format"), "qcow2");
    assert_null(text_of(image, "os_encrypt_format"));
    assert_null(text_of(image, "name"));
    assert_true(json_object_object_get_ex(image, "name", NULL));
    end_test(&test);
}

static void a_property_overrides_what_add_sets(void **state)
{
    CLEANUP(program_run_free) struct program_run *run = NULL;
    CLEANUP(json_object_put) struct json_object *image = NULL;
    struct images_test test;

    (void)state;
    begin_test(&test);
    run =
        RUN(test.dir, NULL, "images", "add", "--cloud", test.cloud, "--id", IMAGE_ID, "--property",
            "os_encrypt_format=LUKS", "--property", "container_format=bare", test.file);
    assert_runs(run);
    image = show(&test);
    assert_string_equal(text_of(image, "os_encrypt_format"), "LUKS");
    assert_string_equal(text_of(image, "container_format"), "bare");
    end_test(&test);
}

static void a_new_image_gets_a_new_id(void **state)
{
    CLEANUP(program_run_free) struct program_run *run = NULL;
    struct images_test test;

    (void)state;
    begin_test(&test);
    run = RUN(test.dir, NULL, "images", "add", "--cloud", test.cloud, test.file);
    assert_runs(run);
    assert_int_equal(strlen(run->output), UUID_TEXT_BYTES);
    run->output[UUID_TEXT_BYTES - 1] = '\0';
    assert_true(uuid_is_valid(run->output));
    end_test(&test);
}

static void a_symbolic_link_names_a_file(void **state)
{
    CLEANUP(program_run_free) struct program_run *run = NULL;
    CLEANUP(memory_free) char *link = NULL;
    struct images_test test;

    (void)state;
    begin_test(&test);
    assert_int_equal(symlinkat("abc", temp_dir_fd(test.dir), "link"), 0);
    link = temp_dir_join(test.dir, "link");
    run = RUN(test.dir, NULL, "images", "add", "--cloud", test.cloud, link);
    assert_runs(run);
    end_test(&test);
}

static void write_record(const struct images_test *test, const char *text)
{
    (void)mkdirat(temp_dir_fd(test->dir), "cloud", 0700);
    (void)mkdirat(temp_dir_fd(test->dir), "cloud/images", 0700);
    temp_dir_write(test->dir, "cloud/images/" IMAGE_ID ".json", text, strlen(text));
}

static void the_table_shows_records_written_by_hand(void **state)
{
    CLEANUP(program_run_free) struct program_run *run = NULL;
    struct images_test test;

    (void)state;
    begin_test(&test);
    write_record(&test, "{\"status\":\"active\",\"size\":4096,\"os_encrypt_format\":\"GPG\","
                        "\"os_encrypt_key_id\":\"https://host/v1/secrets/" KEY_ID "\","
                        "\"name\":\"tricky\\u001b[31m\\u009b\\n\\u007f name\"}");
    run = RUN(test.dir, NULL, "images", "list", "--cloud", test.cloud);
    assert_runs(run);
    assert_non_null(strstr(run->output, "ID "));
    assert_non_null(strstr(run->output, IMAGE_ID "  active "));
    assert_non_null(strstr(run->output, " 4096  GPG     " KEY_ID "  tricky?[31m??? name\n"));
    end_test(&test);
}

static void the_table_shows_what_is_absent_or_unsupported(void **state)
{
    CLEANUP(program_run_free) struct program_run *run = NULL;
    struct images_test test;

    (void)state;
    begin_test(&test);
    write_record(&test, "{\"os_encrypt_format\":\"LUKS\"}");
    run = RUN(test.dir, NULL, "images", "list", "--cloud", test.cloud);
    assert_runs(run);
    assert_non_null(strstr(run->output, "  queued "));
    assert_non_null(strstr(run->output, " -  other   -  "));
    end_test(&test);
}

static void the_json_list_is_an_array_of_entities(void **state)
{
    CLEANUP(program_run_free) struct program_run *empty = NULL;
    CLEANUP(program_run_free) struct program_run *run = NULL;
    CLEANUP(json_object_put) struct json_object *array = NULL;
    struct json_object *image;
    struct images_test test;

    (void)state;
    begin_test(&test);
    assert_int_equal(mkdirat(temp_dir_fd(test.dir), "cloud", 0700), 0);
    empty = RUN(test.dir, NULL, "images", "list", "--json", "--cloud", test.cloud);
    assert_runs(empty);
    assert_string_equal(empty->output, "[]\n");
    write_record(&test, "{\"status\":\"queued\",\"protected\":true,\"min_disk\":1,\"count\":7}");
    run = RUN(test.dir, NULL, "images", "list", "--json", "--cloud", test.cloud);
    array = parse_output(run);
    assert_int_equal(json_object_array_length(array), 1);
    image = json_object_array_get_idx(array, 0);
    assert_string_equal(text_of(image, "id"), IMAGE_ID);
    assert_true(json_object_object_get_ex(image, "size", NULL));
    assert_null(json_object_object_get(image, "size"));
    assert_true(json_object_is_type(json_object_object_get(image, "protected"), json_type_boolean));
    assert_true(json_object_is_type(json_object_object_get(image, "min_disk"), json_type_int));
    assert_true(json_object_is_type(json_object_object_get(image, "count"), json_type_string));
    end_test(&test);
}

/* Runs `images --json`. */
static struct json_object *overview(const struct images_test *test)
{
    CLEANUP(memory_free) char *cache = temp_dir_join(test->dir, "cache");
    CLEANUP(program_run_free)
    struct program_run *run =
        RUN(test->dir, NULL, "images", "--json", "--cache", cache, "--cloud", test->cloud);

    return parse_output(run);
}

/* A cache in which the image is complete (contrib/doc/cache-format.md). */
static void write_cached_object(const struct images_test *test)
{
    static const char *const directories[] = {"cache",         "cache/objects",
                                              "cache/partial", "cache/quarantine",
                                              "cache/trash",   "cache/objects/" OBJECT_NAME};

    for (size_t i = 0; i < ELEMENTS_OF(directories); i++)
        assert_int_equal(mkdirat(temp_dir_fd(test->dir), directories[i], 0700), 0);
    temp_dir_write(test->dir, "cache/format", "glancefs-cache 1\n", 17);
    temp_dir_write(test->dir, "cache/objects/" OBJECT_NAME "/data", "abc", 3);
    temp_dir_write(test->dir, "cache/objects/" OBJECT_NAME "/meta.json", "{}", 2);
}

static void the_overview_tells_of_key_and_cache(void **state)
{
    CLEANUP(program_run_free) struct program_run *gpg = NULL;
    CLEANUP(program_run_free) struct program_run *plain = NULL;
    CLEANUP(program_run_free) struct program_run *table = NULL;
    CLEANUP(json_object_put) struct json_object *before = NULL;
    CLEANUP(json_object_put) struct json_object *after = NULL;
    struct json_object *image;
    struct images_test test;

    (void)state;
    begin_test(&test);
    gpg = RUN(test.dir, NULL, "images", "add", "--cloud", test.cloud, "--id", IMAGE_ID, "--key",
              KEY_ID, "--decrypt-size", "2", test.file);
    assert_runs(gpg);
    plain =
        RUN(test.dir, NULL, "images", "add", "--cloud", test.cloud, "--format", "none", test.file);
    assert_runs(plain);
    before = overview(&test);
    assert_int_equal(json_object_array_length(before), 1);
    image = json_object_array_get_idx(before, 0);
    assert_string_equal(text_of(image, "id"), IMAGE_ID);
    assert_string_equal(text_of(image, "status"), "active");
    assert_string_equal(text_of(image, "size"), "3");
    assert_string_equal(text_of(image, "plaintext_size"), "2");
    assert_string_equal(text_of(image, "key_id"), KEY_ID);
    assert_string_equal(text_of(image, "key"), "gone");
    assert_string_equal(text_of(image, "cached"), "false");

    (void)mkdirat(temp_dir_fd(test.dir), "cloud/secrets", 0700);
    temp_dir_write(test.dir, "cloud/secrets/" KEY_ID ".payload", "key", 3);
    write_cached_object(&test);
    after = overview(&test);
    image = json_object_array_get_idx(after, 0);
    assert_string_equal(text_of(image, "key"), "ok");
    assert_string_equal(text_of(image, "cached"), "true");
    table = RUN(test.dir, NULL, "images", "--cloud", test.cloud);
    assert_runs(table);
    assert_non_null(strstr(table->output, "PLAINTEXT"));
    assert_non_null(strstr(table->output, IMAGE_ID "  active"));
    end_test(&test);
}

static void show_prints_every_property(void **state)
{
    CLEANUP(program_run_free) struct program_run *run = NULL;
    struct images_test test;

    (void)state;
    begin_test(&test);
    write_record(&test, "{\"status\":\"queued\",\"os_decrypt_size\":\"12\"}");
    run = RUN(test.dir, NULL, "images", "show", "--cloud", test.cloud, IMAGE_ID);
    assert_runs(run);
    assert_non_null(strstr(run->output, "status                       queued\n"));
    assert_non_null(strstr(run->output, "os_decrypt_size              12\n"));
    assert_non_null(strstr(run->output, "id                           " IMAGE_ID "\n"));
    end_test(&test);
}

static size_t count_images(const struct images_test *test)
{
    CLEANUP(program_run_free)
    struct program_run *run =
        RUN(test->dir, NULL, "images", "list", "--json", "--cloud", test->cloud);
    CLEANUP(json_object_put) struct json_object *array = parse_output(run);

    return json_object_array_length(array);
}

static void what_cannot_be_uploaded_is_not_left_behind(void **state)
{
    static const char *const properties[] = {"glancefs_test_status=503", "os_decrypt_size=many"};
    static const int codes[] = {EXIT_CODE_UNAVAILABLE, EXIT_CODE_USAGE};
    struct images_test test;

    (void)state;
    begin_test(&test);
    for (size_t i = 0; i < ELEMENTS_OF(properties); i++) {
        CLEANUP(program_run_free)
        struct program_run *run = RUN(test.dir, NULL, "images", "add", "--cloud", test.cloud,
                                      "--property", properties[i], test.file);

        assert_int_equal(run->exit_code, codes[i]);
        assert_string_equal(run->output, "");
        assert_int_equal(count_images(&test), 0);
    }
    end_test(&test);
}

static void ids_in_upper_case_are_folded(void **state)
{
    static const char upper[] = "7B97A3A7-3D5C-4B6F-9F4E-2F1F3A5D9C10";
    CLEANUP(program_run_free) struct program_run *added = NULL;
    CLEANUP(program_run_free) struct program_run *shown = NULL;
    struct images_test test;

    (void)state;
    begin_test(&test);
    added = RUN(test.dir, NULL, "images", "add", "--cloud", test.cloud, "--id", upper, test.file);
    assert_runs(added);
    assert_string_equal(added->output, IMAGE_ID "\n");
    shown = RUN(test.dir, NULL, "images", "show", "--cloud", test.cloud, upper);
    assert_runs(shown);
    assert_non_null(strstr(shown->output, IMAGE_ID));
    end_test(&test);
}

/* Until the record of the image that is being added shows. */
static void wait_for_record(const struct images_test *test)
{
    const struct timespec pause = {.tv_nsec = 5000000};

    for (unsigned i = 0; i < 4000; i++) {
        if (temp_dir_has(test->dir, "cloud/images/" IMAGE_ID ".json"))
            return;
        (void)nanosleep(&pause, NULL);
    }
    fail_msg("no record appeared");
}

static void an_interrupted_add_tidies_up(void **state)
{
    static const int signals[] = {SIGINT, SIGTERM};
    struct images_test test;

    (void)state;
    begin_test(&test);
    for (size_t i = 0; i < ELEMENTS_OF(signals); i++) {
        const char *const arguments[] = {
            "images",  "add",    "--cloud",    test.cloud,
            "--id",    IMAGE_ID, "--property", "glancefs_test_delay_ms=600000",
            test.file, NULL};
        CLEANUP(program_run_free) struct program_run *run = NULL;
        pid_t child = program_start(test.dir, NULL, arguments);

        wait_for_record(&test);
        assert_int_equal(kill(child, signals[i]), 0);
        run = program_finish(test.dir, child);
        assert_int_equal(run->exit_code, EXIT_CODE_INTERRUPTED);
        assert_int_equal(count_images(&test), 0);
    }
    end_test(&test);
}

static void bad_uses_have_their_exit_codes(void **state)
{
    struct images_test test;
    CLEANUP(memory_free) char *absent = NULL;
    CLEANUP(program_run_free) struct program_run *first = NULL;
    char absent_cloud[4096];

    (void)state;
    begin_test(&test);
    absent = temp_dir_join(test.dir, "absent");
    (void)snprintf(absent_cloud, sizeof absent_cloud, "local:%s", absent);
    first =
        RUN(test.dir, NULL, "images", "add", "--cloud", test.cloud, "--id", IMAGE_ID, test.file);
    assert_runs(first);
    const struct {
        const char *arguments[8];
        enum exit_code code;
        const char *message;
    } uses[] = {
        {{"images"}, EXIT_CODE_USAGE, "no cloud"},
        {{"images", "--colour"}, EXIT_CODE_USAGE, "--colour"},
        {{"images", "--json", "x"}, EXIT_CODE_USAGE, "no argument"},
        {{"images", "drop"}, EXIT_CODE_USAGE, "list, show or add"},
        {{"images", "list"}, EXIT_CODE_USAGE, "no cloud"},
        {{"images", "list", "--cloud", absent_cloud}, EXIT_CODE_NOT_FOUND, "does not exist"},
        {{"images", "list", "--cloud", test.cloud, "x"}, EXIT_CODE_USAGE, "no argument"},
        {{"images", "list", "--name", "x"}, EXIT_CODE_USAGE, "--name"},
        {{"images", "list", "--cloud"}, EXIT_CODE_USAGE, "--cloud"},
        {{"images", "show", "--cloud", test.cloud}, EXIT_CODE_USAGE, "one image ID"},
        {{"images", "show", "--cloud", test.cloud, KEY_ID}, EXIT_CODE_NOT_FOUND, KEY_ID},
        {{"images", "show", "--cloud", test.cloud, "../x"}, EXIT_CODE_NOT_FOUND, "UUID"},
        {{"images", "add", "--cloud", test.cloud}, EXIT_CODE_USAGE, "one FILE"},
        {{"images", "add", "--cloud", test.cloud, absent}, EXIT_CODE_NOT_FOUND, "absent"},
        {{"images", "add", "--cloud", test.cloud, "/"}, EXIT_CODE_FAILED, "/"},
        {{"images", "add", "--cloud", test.cloud, "/dev/null"}, EXIT_CODE_USAGE, "regular"},
        {{"images", "add", "--cloud", test.cloud, "--id", IMAGE_ID, test.file},
         EXIT_CODE_EXISTS,
         IMAGE_ID},
        {{"images", "add", "--cloud", test.cloud, "--id", "7", test.file}, EXIT_CODE_USAGE, "UUID"},
        {{"images", "add", "--cloud", test.cloud, "--key", "k", test.file}, EXIT_CODE_USAGE, "'k'"},
        {{"images", "add", "--cloud", test.cloud, "--format", "LUKS", test.file},
         EXIT_CODE_USAGE,
         "LUKS"},
        {{"images", "add", "--cloud", test.cloud, "--property", "x", test.file},
         EXIT_CODE_USAGE,
         "NAME=VALUE"},
        {{"images", "add", "--cloud", test.cloud, "--property", "status=active", test.file},
         EXIT_CODE_DENIED,
         "status"},
    };

    for (size_t i = 0; i < ELEMENTS_OF(uses); i++) {
        CLEANUP(program_run_free)
        struct program_run *run = program_run(test.dir, NULL, uses[i].arguments);

        if (run->exit_code != (int)uses[i].code || strstr(run->errors, uses[i].message) == NULL)
            fail_msg("use %zu: exit code %d: %s", i, run->exit_code, run->errors);
        assert_string_equal(run->output, "");
        assert_int_equal(strncmp(run->errors, "glancefs images: ", 17), 0);
        assert_ptr_equal(strchr(run->errors, '\n'), run->errors + strlen(run->errors) - 1);
    }
    assert_int_equal(count_images(&test), 1);
    end_test(&test);
}

/* The cloud is not asked: there is no entry of that name, which is told. */
static void every_subcommand_takes_what_help_lists(void **state)
{
    static const char *const uses[][5] = {{"images", "--os-cloud", "nowhere"},
                                          {"images", "list", "--os-cloud", "nowhere"},
                                          {"images", "show", "--os-cloud", "nowhere", IMAGE_ID}};
    struct images_test test;

    (void)state;
    begin_test(&test);
    for (size_t i = 0; i < ELEMENTS_OF(uses); i++) {
        const char *const *use = uses[i];
        CLEANUP(program_run_free)
        struct program_run *run = RUN(test.dir, NULL, use[0], use[1], use[2], use[3], use[4]);

        assert_null(strstr(run->errors, "bad option"));
        assert_non_null(strstr(run->errors, "nowhere"));
    }
    end_test(&test);
}

static void help_lists_every_option(void **state)
{
    static const char *const options[] = {
        "--id",           "--name",     "--key",  "--format", "--disk-format",
        "--decrypt-size", "--property", "--json", "--cloud",  "--config"};
    static const char *const forms[][3] = {
        {"images", "--help"}, {"images", "list", "--help"}, {"images", "add", "--help"}};
    CLEANUP(temp_dir_free) struct temp_dir *dir = temp_dir_new();

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(forms); i++) {
        const char *const arguments[] = {forms[i][0], forms[i][1], forms[i][2], NULL};
        CLEANUP(program_run_free) struct program_run *run = program_run(dir, NULL, arguments);

        assert_runs(run);
        for (size_t j = 0; j < ELEMENTS_OF(options); j++)
            assert_non_null(strstr(run->output, options[j]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(add_registers_an_active_gpg_image),
        cmocka_unit_test(add_registers_a_plain_image),
        cmocka_unit_test(a_property_overrides_what_add_sets),
        cmocka_unit_test(a_new_image_gets_a_new_id),
        cmocka_unit_test(a_symbolic_link_names_a_file),
        cmocka_unit_test(the_table_shows_records_written_by_hand),
        cmocka_unit_test(the_table_shows_what_is_absent_or_unsupported),
        cmocka_unit_test(the_json_list_is_an_array_of_entities),
        cmocka_unit_test(the_overview_tells_of_key_and_cache),
        cmocka_unit_test(show_prints_every_property),
        cmocka_unit_test(ids_in_upper_case_are_folded),
        cmocka_unit_test(what_cannot_be_uploaded_is_not_left_behind),
        cmocka_unit_test(an_interrupted_add_tidies_up),
        cmocka_unit_test(bad_uses_have_their_exit_codes),
        cmocka_unit_test(every_subcommand_takes_what_help_lists),
        cmocka_unit_test(help_lists_every_option),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
