/* SPDX-License-Identifier: Apache-2.0 */
#include "services/local/local_images.h"

#include "base/uuid.h"
#include "glancefs/limits.h"
#include "local_cloud_fixture.h"
#include "support/crypto_arena.h"
#include "support/memory_sink.h"
#include "support/memory_source.h"
#include "support/pseudo_random.h"
#include "support/testing.h"

#include <stdio.h>
#include <sys/stat.h>

static struct image_record *get_image(struct local_cloud_fixture *fixture, const char *id)
{
    struct image_record *record = NULL;
    struct error err;

    assert_succeeds(image_service_get(fixture->cloud->images, id, NULL, &record, &err));
    return record;
}

/* Of the ten bytes "ciphertext". */
#define CIPHERTEXT_SHA512                                                                          \
    "75530a613e35a6e5be303fc09c02db6da00dcb4920e1e3b1af8cb59733fe8d12"                             \
    "485586d05a4aab9bdf913111c142dc5133e41590fde9eff14d01473d0a777724"

/* --- records written by hand --- */

static void a_minimal_record_written_by_hand_works(void **state)
{
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);
    CLEANUP(memory_sink_record) struct memory_sink_record stored = {0};
    CLEANUP(byte_sink_free) struct byte_sink *sink = memory_sink_new(&stored, NULL);
    CLEANUP(image_record_unref) struct image_record *record = NULL;
    struct error err;
    char key_id[37];
    uint64_t size;

    write_image_file(fixture, IMAGE_ID, ".json",
                     "{\"id\":\"" IMAGE_ID "\",\"status\":\"active\",\"os_encrypt_format\":\"GPG\","
                     "\"os_encrypt_key_id\":\"" KEY_ID "\"}");
    write_image_file(fixture, IMAGE_ID, ".data", "ciphertext");
    record = get_image(fixture, IMAGE_ID);
    assert_int_equal(image_record_encryption(record, NULL), IMAGE_ENCRYPTION_GPG);
    assert_succeeds(image_record_encrypt_key_id(record, key_id, &err));
    assert_true(image_record_size(record, &size));
    assert_int_equal(size, strlen("ciphertext"));
    /* What Glance would have made of the bytes: their SHA-512. */
    assert_string_equal(image_record_hash_algo(record), "sha512");
    assert_string_equal(image_record_hash_value(record), CIPHERTEXT_SHA512);
    assert_succeeds(image_service_download(fixture->cloud->images, record, 0, sink, NULL, &err));
    assert_int_equal(stored.size, strlen("ciphertext"));
    assert_memory_equal(stored.bytes, "ciphertext", stored.size);
}

static void the_file_name_stands_for_a_missing_id(void **state)
{
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);
    CLEANUP(image_record_unref) struct image_record *record = NULL;

    write_image_file(fixture, IMAGE_ID, ".json", "{\"status\":\"queued\"}\n");
    record = get_image(fixture, IMAGE_ID);
    assert_string_equal(image_record_id(record), IMAGE_ID);
    assert_int_equal(image_record_status(record), IMAGE_STATUS_QUEUED);
}

static void data_stands_for_a_missing_status(void **state)
{
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);

    write_image_file(fixture, IMAGE_ID, ".json", "{}");
    assert_int_equal(status_of(fixture, IMAGE_ID), IMAGE_STATUS_QUEUED);
    write_image_file(fixture, IMAGE_ID, ".data", "");
    assert_int_equal(status_of(fixture, IMAGE_ID), IMAGE_STATUS_ACTIVE);
}

static void a_record_with_another_id_is_refused(void **state)
{
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);
    struct image_record *record = NULL;
    struct error err;

    write_image_file(fixture, IMAGE_ID, ".json", "{\"id\":\"" OTHER_ID "\",\"status\":\"queued\"}");
    assert_fails(ERROR_INVALID,
                 image_service_get(fixture->cloud->images, IMAGE_ID, NULL, &record, &err));
    assert_message_has(IMAGE_ID);
    assert_message_has("another id, " OTHER_ID);
}

static void a_size_in_the_record_is_not_corrected(void **state)
{
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);
    CLEANUP(image_record_unref) struct image_record *record = NULL;
    uint64_t size;

    write_image_file(fixture, IMAGE_ID, ".json", "{\"status\":\"active\",\"size\":99}");
    write_image_file(fixture, IMAGE_ID, ".data", "abc");
    record = get_image(fixture, IMAGE_ID);
    assert_true(image_record_size(record, &size));
    assert_int_equal(size, 99);
}

static void a_bad_record_says_which_and_why(void **state)
{
    static const char *const texts[] = {"",
                                        "not JSON",
                                        "[]",
                                        "{\"status\":\"odd\"}",
                                        "{\"id\":7}",
                                        "{\"status\":{}}",
                                        "{\"size\":\"1\"}"};
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);
    struct image_record *record = NULL;
    struct error err;

    for (size_t i = 0; i < ELEMENTS_OF(texts); i++) {
        write_image_file(fixture, IMAGE_ID, ".json", texts[i]);
        assert_fails(ERROR_INVALID,
                     image_service_get(fixture->cloud->images, IMAGE_ID, NULL, &record, &err));
        assert_message_has("image " IMAGE_ID);
    }
}

static void an_over_large_record_is_refused(void **state)
{
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);
    char *text = malloc(LIMIT_RECORD_BYTES + 2);
    struct image_record *record = NULL;
    struct error err;

    assert_non_null(text);
    memset(text, ' ', LIMIT_RECORD_BYTES + 1);
    memcpy(text, "{}", 2);
    text[LIMIT_RECORD_BYTES + 1] = '\0';
    write_image_file(fixture, IMAGE_ID, ".json", text);
    assert_fails(ERROR_TOO_LARGE,
                 image_service_get(fixture->cloud->images, IMAGE_ID, NULL, &record, &err));
    free(text);
}

static void a_record_that_is_no_plain_file_is_refused(void **state)
{
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);
    struct image_record *record = NULL;
    struct error err;

    write_image_file(fixture, OTHER_ID, ".json", "{}");
    assert_int_equal(
        symlinkat(OTHER_ID ".json", temp_dir_fd(fixture->dir), "images/" IMAGE_ID ".json"), 0);
    assert_fails(ERROR_SYSTEM,
                 image_service_get(fixture->cloud->images, IMAGE_ID, NULL, &record, &err));
    assert_int_equal(unlinkat(temp_dir_fd(fixture->dir), "images/" IMAGE_ID ".json", 0), 0);
    assert_int_equal(mkfifoat(temp_dir_fd(fixture->dir), "images/" IMAGE_ID ".json", 0600), 0);
    assert_fails(ERROR_INVALID,
                 image_service_get(fixture->cloud->images, IMAGE_ID, NULL, &record, &err));
}

/* --- get, list --- */

static void an_absent_image_is_not_found(void **state)
{
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);
    struct image_record *record = NULL;
    struct error err;

    /* without the directory, and with it */
    for (int i = 0; i < 2; i++) {
        assert_fails(ERROR_NOT_FOUND,
                     image_service_get(fixture->cloud->images, IMAGE_ID, NULL, &record, &err));
        assert_message_has(IMAGE_ID);
        write_image_file(fixture, OTHER_ID, ".json", "{}");
    }
    assert_fails(ERROR_NOT_FOUND,
                 image_service_update(fixture->cloud->images, IMAGE_ID, NULL, 0, NULL, &err));
    assert_fails(ERROR_NOT_FOUND,
                 image_service_remove(fixture->cloud->images, IMAGE_ID, NULL, &err));
}

static struct image_list *list_images(struct local_cloud_fixture *fixture)
{
    struct image_list *list = NULL;
    struct error err;

    assert_succeeds(image_service_list(fixture->cloud->images, NULL, &list, &err));
    return list;
}

static void an_empty_cloud_lists_nothing(void **state)
{
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);
    CLEANUP(image_list_free) struct image_list *list = list_images(fixture);

    assert_int_equal(list->count, 0);
    assert_int_equal(temp_dir_count(fixture->dir), 0);
}

static void the_list_is_sorted_and_leaves_out_what_is_no_record(void **state)
{
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);
    CLEANUP(image_list_free) struct image_list *list = NULL;

    write_image_file(fixture, IMAGE_ID, ".json", "{\"status\":\"active\"}");
    write_image_file(fixture, OTHER_ID, ".json", "{}");
    write_image_file(fixture, "99999999-2222-4333-8444-555555555555", ".json", "broken");
    write_image_file(fixture, "88888888-2222-4333-8444-555555555555", ".json",
                     "{\"id\":\"" OTHER_ID "\"}");
    write_image_file(fixture, "README", ".json", "{}");
    write_image_file(fixture, "AAAAAAAA-2222-4333-8444-555555555555", ".json", "{}");
    write_image_file(fixture, IMAGE_ID, ".data", "x");
    write_image_file(fixture, ".glancefs-tmp-" OTHER_ID, "", "{}");
    list = list_images(fixture);
    assert_int_equal(list->count, 2);
    assert_string_equal(image_record_id(list->records[0]), OTHER_ID);
    assert_string_equal(image_record_id(list->records[1]), IMAGE_ID);
}

static void a_long_list_is_whole(void **state)
{
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);
    CLEANUP(image_list_free) struct image_list *list = NULL;
    char id[UUID_TEXT_BYTES];

    for (unsigned i = 0; i < 200; i++) {
        (void)snprintf(id, sizeof id, "%08x-2222-4333-8444-555555555555", i);
        write_image_file(fixture, id, ".json", "{}");
    }
    list = list_images(fixture);
    assert_int_equal(list->count, 200);
    for (unsigned i = 0; i < 200; i++) {
        (void)snprintf(id, sizeof id, "%08x-2222-4333-8444-555555555555", i);
        assert_string_equal(image_record_id(list->records[i]), id);
    }
}

/* --- create, update, remove --- */

static void a_new_image_is_queued_and_durable(void **state)
{
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);
    const struct image_property properties[] = {{"name", "one"}, {"os_encrypt_key_id", KEY_ID}};
    CLEANUP(image_record_unref) struct image_record *created = NULL;
    CLEANUP(image_record_unref) struct image_record *read = NULL;
    struct stat status;
    struct error err;
    uint64_t size;

    assert_succeeds(
        image_service_create(fixture->cloud->images, properties, 2, NULL, &created, &err));
    read = get_image(fixture, image_record_id(created));
    assert_int_equal(image_record_status(read), IMAGE_STATUS_QUEUED);
    assert_string_equal(image_record_name(read), "one");
    assert_string_equal(image_record_property(read, "os_encrypt_key_id"), KEY_ID);
    assert_null(image_record_owner(read));
    assert_false(image_record_size(read, &size));
    assert_true(image_record_updated_at(read) > 0);
    assert_int_equal(fstatat(temp_dir_fd(fixture->dir), "images", &status, 0), 0);
    assert_int_equal(status.st_mode & 07777, 0700);
}

static void a_new_image_belongs_to_the_tenant(void **state)
{
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);
    CLEANUP(image_record_unref) struct image_record *created = NULL;
    static const char identity[] = "{\"project_id\":\"b2a6cfbb\"}";
    struct error err;

    temp_dir_write(fixture->dir, "identity.json", identity, strlen(identity));
    assert_succeeds(image_service_create(fixture->cloud->images, NULL, 0, NULL, &created, &err));
    assert_string_equal(image_record_owner(created), "b2a6cfbb");
}

static void an_id_is_taken_once(void **state)
{
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);
    const struct image_property id = {"id", IMAGE_ID};
    struct image_record *record = NULL;
    struct error err;

    create_image(fixture, IMAGE_ID);
    assert_fails(ERROR_EXISTS,
                 image_service_create(fixture->cloud->images, &id, 1, NULL, &record, &err));
    assert_message_has(IMAGE_ID);
}

static void what_belongs_to_the_service_cannot_be_set(void **state)
{
    static const char *const names[] = {"status",
                                        "size",
                                        "virtual_size",
                                        "checksum",
                                        "os_hash_algo",
                                        "os_hash_value",
                                        "owner",
                                        "created_at",
                                        "updated_at",
                                        "self",
                                        "file",
                                        "schema",
                                        "os_glance_encrypt_format"};
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);
    CLEANUP(image_list_free) struct image_list *list = NULL;
    struct image_record *record = NULL;
    struct error err;

    create_image(fixture, IMAGE_ID);
    for (size_t i = 0; i < ELEMENTS_OF(names); i++) {
        const struct image_property property = {names[i], "1"};

        assert_fails(ERROR_DENIED, image_service_create(fixture->cloud->images, &property, 1, NULL,
                                                        &record, &err));
        assert_message_has(names[i]);
        assert_fails(ERROR_DENIED, image_service_update(fixture->cloud->images, IMAGE_ID, &property,
                                                        1, NULL, &err));
    }
    list = list_images(fixture);
    assert_int_equal(list->count, 1);
}

static void text_that_is_no_utf8_is_not_written(void **state)
{
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);
    const struct image_property name = {"name", "\xff\xfe"};
    struct image_record *record = NULL;
    struct error err;

    assert_fails(ERROR_INVALID,
                 image_service_create(fixture->cloud->images, &name, 1, NULL, &record, &err));
    create_image(fixture, IMAGE_ID);
    assert_fails(ERROR_INVALID,
                 image_service_update(fixture->cloud->images, IMAGE_ID, &name, 1, NULL, &err));
    assert_int_equal(status_of(fixture, IMAGE_ID), IMAGE_STATUS_QUEUED);
}

static void update_adds_and_replaces(void **state)
{
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);
    const struct image_property first[] = {{"a", "1"}, {"b", "2"}};
    const struct image_property second[] = {{"b", "3"}, {"disk_format", "qcow2"}};
    CLEANUP(image_record_unref) struct image_record *record = NULL;
    struct error err;

    create_image(fixture, IMAGE_ID);
    assert_succeeds(image_service_update(fixture->cloud->images, IMAGE_ID, first, 2, NULL, &err));
    assert_succeeds(image_service_update(fixture->cloud->images, IMAGE_ID, second, 2, NULL, &err));
    record = get_image(fixture, IMAGE_ID);
    assert_string_equal(image_record_property(record, "a"), "1");
    assert_string_equal(image_record_property(record, "b"), "3");
    assert_string_equal(image_record_property(record, "disk_format"), "qcow2");
}

static void an_id_never_changes_and_formats_only_while_queued(void **state)
{
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);
    const struct image_property id = {"id", OTHER_ID};
    const struct image_property format = {"container_format", "bare"};
    const struct image_property size = {"os_decrypt_size", "12"};
    struct error err;

    create_active_image(fixture, IMAGE_ID, "abc", 3);
    assert_fails(ERROR_DENIED,
                 image_service_update(fixture->cloud->images, IMAGE_ID, &id, 1, NULL, &err));
    assert_fails(ERROR_DENIED,
                 image_service_update(fixture->cloud->images, IMAGE_ID, &format, 1, NULL, &err));
    assert_succeeds(image_service_update(fixture->cloud->images, IMAGE_ID, &size, 1, NULL, &err));
}

static void remove_deletes_record_and_data(void **state)
{
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);
    CLEANUP(image_list_free) struct image_list *list = NULL;
    struct error err;

    create_active_image(fixture, IMAGE_ID, "abc", 3);
    assert_succeeds(image_service_remove(fixture->cloud->images, IMAGE_ID, NULL, &err));
    list = list_images(fixture);
    assert_int_equal(list->count, 0);
    assert_false(temp_dir_has(fixture->dir, "images/" IMAGE_ID ".json"));
    assert_false(temp_dir_has(fixture->dir, "images/" IMAGE_ID ".data"));
    assert_fails(ERROR_NOT_FOUND,
                 image_service_remove(fixture->cloud->images, IMAGE_ID, NULL, &err));
}

static void a_protected_image_stays(void **state)
{
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);
    struct error err;

    write_image_file(fixture, IMAGE_ID, ".json", "{\"protected\":true}");
    write_image_file(fixture, OTHER_ID, ".json", "{\"protected\":\"false\"}");
    assert_fails(ERROR_DENIED, image_service_remove(fixture->cloud->images, IMAGE_ID, NULL, &err));
    assert_succeeds(image_service_remove(fixture->cloud->images, OTHER_ID, NULL, &err));
    assert_int_equal(status_of(fixture, IMAGE_ID), IMAGE_STATUS_QUEUED);
}

/* --- download --- */

static int download(struct local_cloud_fixture *fixture, const struct image_record *record,
                    uint64_t offset, struct memory_sink_record *stored, struct error *err)
{
    CLEANUP(byte_sink_free) struct byte_sink *sink = memory_sink_new(stored, NULL);

    return image_service_download(fixture->cloud->images, record, offset, sink, NULL, err);
}

static void download_delivers_from_any_offset_in_pieces(void **state)
{
    static const uint64_t offsets[] = {0, 1, MIB - 1, MIB, 2 * MIB + 5, 3 * MIB + 16, 3 * MIB + 17};
    const size_t size = 3 * MIB + 17;
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);
    CLEANUP(memory_free) uint8_t *bytes = pseudo_random_bytes(1, size);
    CLEANUP(image_record_unref) struct image_record *record = NULL;
    struct error err;

    create_active_image(fixture, IMAGE_ID, bytes, size);
    record = get_image(fixture, IMAGE_ID);
    for (size_t i = 0; i < ELEMENTS_OF(offsets); i++) {
        CLEANUP(memory_sink_record) struct memory_sink_record stored = {0};

        assert_succeeds(download(fixture, record, offsets[i], &stored, &err));
        assert_int_equal(stored.size, size - offsets[i]);
        if (stored.size > 0)
            assert_memory_equal(stored.bytes, bytes + offsets[i], stored.size);
        assert_int_equal(stored.commits, 0);
        assert_int_equal(stored.writes, (size - offsets[i] + MIB - 1) / MIB);
    }
}

static void an_offset_past_the_end_is_refused(void **state)
{
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);
    CLEANUP(memory_sink_record) struct memory_sink_record stored = {0};
    CLEANUP(image_record_unref) struct image_record *record = NULL;
    struct error err;

    create_active_image(fixture, IMAGE_ID, "abc", 3);
    record = get_image(fixture, IMAGE_ID);
    assert_fails(ERROR_INVALID, download(fixture, record, 4, &stored, &err));
    assert_fails(ERROR_INVALID, download(fixture, record, UINT64_MAX, &stored, &err));
}

static void only_an_active_image_has_data(void **state)
{
    static const struct {
        const char *status;
        enum error_kind kind;
    } refusals[] = {
        {"queued", ERROR_BUSY},       {"uploading", ERROR_BUSY},
        {"importing", ERROR_BUSY},    {"killed", ERROR_NOT_FOUND},
        {"deleted", ERROR_NOT_FOUND}, {"pending_delete", ERROR_NOT_FOUND},
        {"saving", ERROR_BUSY},       {"deactivated", ERROR_DENIED},
    };
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);
    struct error err;

    for (size_t i = 0; i < ELEMENTS_OF(refusals); i++) {
        CLEANUP(memory_sink_record) struct memory_sink_record stored = {0};
        CLEANUP(image_record_unref) struct image_record *record = NULL;
        char text[128];

        (void)snprintf(text, sizeof text, "{\"status\":\"%s\"}", refusals[i].status);
        write_image_file(fixture, IMAGE_ID, ".json", text);
        write_image_file(fixture, IMAGE_ID, ".data", "abc");
        record = get_image(fixture, IMAGE_ID);
        assert_fails(refusals[i].kind, download(fixture, record, 0, &stored, &err));
        assert_message_has(IMAGE_ID);
        assert_int_equal(stored.writes, 0);
    }
}

static void the_state_at_download_counts_not_the_snapshot(void **state)
{
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);
    CLEANUP(memory_sink_record) struct memory_sink_record stored = {0};
    CLEANUP(image_record_unref) struct image_record *record = NULL;
    struct error err;

    create_active_image(fixture, IMAGE_ID, "abc", 3);
    record = get_image(fixture, IMAGE_ID);
    write_image_file(fixture, IMAGE_ID, ".json", "{\"status\":\"deactivated\"}");
    assert_fails(ERROR_DENIED, download(fixture, record, 0, &stored, &err));
    assert_succeeds(image_service_remove(fixture->cloud->images, IMAGE_ID, NULL, &err));
    assert_fails(ERROR_NOT_FOUND, download(fixture, record, 0, &stored, &err));
}

/* Asking for it needs no look at its data. */
#define WITH_HASH                                                                                  \
    "{\"status\":\"active\",\"os_hash_algo\":\"sha512\",\"os_hash_value\":\"" CIPHERTEXT_SHA512    \
    "\"}"

static void assert_no_hash_to_be_had(struct local_cloud_fixture *fixture, const char *reason)
{
    CLEANUP(image_list_free) struct image_list *list = list_images(fixture);
    struct image_record *record = NULL;
    struct error err;
    uint64_t size;

    assert_fails(ERROR_UNAVAILABLE,
                 image_service_get(fixture->cloud->images, IMAGE_ID, NULL, &record, &err));
    assert_message_has("the data of image " IMAGE_ID);
    assert_message_has(reason);
    assert_int_equal(list->count, 1);
    assert_false(image_record_size(list->records[0], &size));
}

static void an_image_without_a_hash_says_what_is_wrong_with_its_data(void **state)
{
    static const char name[] = "images/" IMAGE_ID ".data";
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);
    const int dir_fd = temp_dir_fd(fixture->dir);

    write_image_file(fixture, IMAGE_ID, ".json", "{\"status\":\"active\"}");
    assert_no_hash_to_be_had(fixture, "is missing");
    temp_dir_write(fixture->dir, "elsewhere", "abc", 3);
    assert_int_equal(symlinkat("../elsewhere", dir_fd, name), 0);
    assert_no_hash_to_be_had(fixture, "is not a regular file");
    assert_int_equal(unlinkat(dir_fd, name, 0), 0);
    assert_int_equal(mkfifoat(dir_fd, name, 0600), 0);
    assert_no_hash_to_be_had(fixture, "is not a regular file");
    assert_int_equal(unlinkat(dir_fd, name, 0), 0);
    assert_int_equal(mkdirat(dir_fd, name, 0700), 0);
    assert_no_hash_to_be_had(fixture, "is not a regular file");
}

static void missing_data_is_unavailable(void **state)
{
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);
    CLEANUP(memory_sink_record) struct memory_sink_record stored = {0};
    CLEANUP(image_record_unref) struct image_record *record = NULL;
    struct error err;

    write_image_file(fixture, IMAGE_ID, ".json", WITH_HASH);
    record = get_image(fixture, IMAGE_ID);
    assert_fails(ERROR_UNAVAILABLE, download(fixture, record, 0, &stored, &err));
    assert_message_has("missing");
}

static void data_behind_a_link_is_refused(void **state)
{
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);
    CLEANUP(memory_sink_record) struct memory_sink_record stored = {0};
    CLEANUP(image_record_unref) struct image_record *record = NULL;
    struct error err;

    temp_dir_write(fixture->dir, "elsewhere", "abc", 3);
    write_image_file(fixture, IMAGE_ID, ".json", WITH_HASH);
    assert_int_equal(
        symlinkat("../elsewhere", temp_dir_fd(fixture->dir), "images/" IMAGE_ID ".data"), 0);
    record = get_image(fixture, IMAGE_ID);
    assert_fails(ERROR_SYSTEM, download(fixture, record, 0, &stored, &err));
    assert_int_equal(stored.writes, 0);
}

static void a_directory_behind_a_link_is_refused(void **state)
{
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);
    struct image_list *list = NULL;
    struct error err;

    assert_int_equal(mkdirat(temp_dir_fd(fixture->dir), "elsewhere", 0700), 0);
    assert_int_equal(symlinkat("elsewhere", temp_dir_fd(fixture->dir), "images"), 0);
    assert_fails(ERROR_SYSTEM, image_service_list(fixture->cloud->images, NULL, &list, &err));
}

static void a_failing_sink_ends_the_download(void **state)
{
    const struct memory_sink_options full = {.fails = true, .fail_at = MIB};
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);
    CLEANUP(memory_free) uint8_t *bytes = pseudo_random_bytes(2, 3 * MIB);
    CLEANUP(memory_sink_record) struct memory_sink_record stored = {0};
    CLEANUP(byte_sink_free) struct byte_sink *sink = memory_sink_new(&stored, &full);
    CLEANUP(image_record_unref) struct image_record *record = NULL;
    struct error err;

    create_active_image(fixture, IMAGE_ID, bytes, 3 * MIB);
    record = get_image(fixture, IMAGE_ID);
    assert_fails(ERROR_NO_SPACE,
                 image_service_download(fixture->cloud->images, record, 0, sink, NULL, &err));
    assert_int_equal(stored.writes, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_minimal_record_written_by_hand_works),
        cmocka_unit_test(the_file_name_stands_for_a_missing_id),
        cmocka_unit_test(data_stands_for_a_missing_status),
        cmocka_unit_test(a_record_with_another_id_is_refused),
        cmocka_unit_test(a_size_in_the_record_is_not_corrected),
        cmocka_unit_test(a_bad_record_says_which_and_why),
        cmocka_unit_test(an_over_large_record_is_refused),
        cmocka_unit_test(a_record_that_is_no_plain_file_is_refused),
        cmocka_unit_test(an_absent_image_is_not_found),
        cmocka_unit_test(an_empty_cloud_lists_nothing),
        cmocka_unit_test(the_list_is_sorted_and_leaves_out_what_is_no_record),
        cmocka_unit_test(a_long_list_is_whole),
        cmocka_unit_test(a_new_image_is_queued_and_durable),
        cmocka_unit_test(a_new_image_belongs_to_the_tenant),
        cmocka_unit_test(an_id_is_taken_once),
        cmocka_unit_test(what_belongs_to_the_service_cannot_be_set),
        cmocka_unit_test(text_that_is_no_utf8_is_not_written),
        cmocka_unit_test(update_adds_and_replaces),
        cmocka_unit_test(an_id_never_changes_and_formats_only_while_queued),
        cmocka_unit_test(remove_deletes_record_and_data),
        cmocka_unit_test(a_protected_image_stays),
        cmocka_unit_test(download_delivers_from_any_offset_in_pieces),
        cmocka_unit_test(an_offset_past_the_end_is_refused),
        cmocka_unit_test(only_an_active_image_has_data),
        cmocka_unit_test(the_state_at_download_counts_not_the_snapshot),
        cmocka_unit_test(an_image_without_a_hash_says_what_is_wrong_with_its_data),
        cmocka_unit_test(missing_data_is_unavailable),
        cmocka_unit_test(data_behind_a_link_is_refused),
        cmocka_unit_test(a_directory_behind_a_link_is_refused),
        cmocka_unit_test(a_failing_sink_ends_the_download),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
