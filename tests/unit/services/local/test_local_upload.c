/* SPDX-License-Identifier: Apache-2.0 */
#include "services/local/local_upload.h"

#include "glancefs/limits.h"
#include "local_cloud_fixture.h"
#include "support/child_process.h"
#include "support/crypto_arena.h"
#include "support/memory_sink.h"
#include "support/memory_source.h"
#include "support/pseudo_random.h"
#include "support/testing.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>

#define DATA_BYTES (3 * MIB + 17)
#define DATA_NAME "images/" IMAGE_ID ".data"
#define PART_NAME "images/." IMAGE_ID ".part"

static const struct image_property some_property = {"a", "b"};

/* A source of DATA_BYTES that calls `hook` before its second piece: an upload is under way then. */
struct hooked_source {
    struct byte_source source;
    const uint8_t *bytes;
    uint64_t declared_size;
    void (*hook)(struct hooked_source *source);
    struct local_cloud_fixture *fixture;
    struct cancel *cancel;
};

static int hooked_pread(struct byte_source *source, void *buffer, size_t size, uint64_t offset,
                        struct cancel *cancel, size_t *ret_size, struct error *err)
{
    struct hooked_source *hooked = (struct hooked_source *)source;
    size_t rest = offset < DATA_BYTES ? DATA_BYTES - (size_t)offset : 0;

    (void)cancel, (void)err;
    if (offset == MIB && hooked->hook != NULL)
        hooked->hook(hooked);
    *ret_size = size < rest ? size : rest;
    memcpy(buffer, hooked->bytes + offset, *ret_size);
    return 0;
}

static uint64_t hooked_size(struct byte_source *source)
{
    return ((struct hooked_source *)source)->declared_size;
}

static const struct byte_source_ops hooked_ops = {.pread = hooked_pread, .size = hooked_size};

/* An empty cloud with one queued image, and data for it. */
struct upload_test {
    struct local_cloud_fixture *fixture;
    uint8_t *bytes;
    struct hooked_source source;
};

static void begin_test(struct upload_test *test, void **state,
                       void (*hook)(struct hooked_source *source))
{
    test->fixture = local_cloud_fixture_new(*state);
    test->bytes = pseudo_random_bytes(7, DATA_BYTES);
    test->source = (struct hooked_source){.source.ops = &hooked_ops,
                                          .bytes = test->bytes,
                                          .declared_size = DATA_BYTES,
                                          .hook = hook,
                                          .fixture = test->fixture};
    create_image(test->fixture, IMAGE_ID);
}

static void end_test(struct upload_test *test)
{
    local_cloud_fixture_free(test->fixture);
    free(test->bytes);
}

static int upload(struct upload_test *test, struct error *err)
{
    return image_service_upload(test->fixture->cloud->images, IMAGE_ID, &test->source.source,
                                test->source.cancel, err);
}

/* As before the upload, and the next one works. */
static void assert_queued_again(struct upload_test *test)
{
    struct error err;

    assert_int_equal(status_of(test->fixture, IMAGE_ID), IMAGE_STATUS_QUEUED);
    assert_false(temp_dir_has(test->fixture->dir, PART_NAME));
    assert_false(temp_dir_has(test->fixture->dir, DATA_NAME));
    test->source.hook = NULL;
    test->source.cancel = NULL;
    test->source.declared_size = DATA_BYTES;
    assert_succeeds(upload(test, &err));
    assert_int_equal(status_of(test->fixture, IMAGE_ID), IMAGE_STATUS_ACTIVE);
}

static void assert_data(struct local_cloud_fixture *fixture, const uint8_t *bytes)
{
    CLEANUP(memory_free) uint8_t *stored = NULL;
    size_t size;

    stored = temp_dir_read(fixture->dir, DATA_NAME, &size);
    assert_int_equal(size, DATA_BYTES);
    assert_memory_equal(stored, bytes, DATA_BYTES);
}

/* --- what an upload makes of an image --- */

static void an_uploaded_image_is_active_with_size_and_hashes(void **state)
{
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);
    CLEANUP(image_record_unref) struct image_record *record = NULL;
    struct error err;
    uint64_t size;

    create_active_image(fixture, IMAGE_ID, "abc", 3);
    assert_succeeds(image_service_get(fixture->cloud->images, IMAGE_ID, NULL, &record, &err));
    assert_int_equal(image_record_status(record), IMAGE_STATUS_ACTIVE);
    assert_true(image_record_size(record, &size));
    assert_int_equal(size, 3);
    assert_string_equal(image_record_checksum(record), "900150983cd24fb0d6963f7d28e17f72");
    assert_string_equal(image_record_hash_algo(record), "sha512");
    assert_string_equal(image_record_hash_value(record),
                        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
                        "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
}

static void an_image_may_be_empty(void **state)
{
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);
    CLEANUP(image_record_unref) struct image_record *record = NULL;
    struct error err;
    uint64_t size;

    create_active_image(fixture, IMAGE_ID, "", 0);
    assert_succeeds(image_service_get(fixture->cloud->images, IMAGE_ID, NULL, &record, &err));
    assert_true(image_record_size(record, &size));
    assert_int_equal(size, 0);
    assert_string_equal(image_record_checksum(record), "d41d8cd98f00b204e9800998ecf8427e");
}

static void all_pieces_are_stored(void **state)
{
    struct upload_test test;
    struct error err;

    begin_test(&test, state, NULL);
    assert_succeeds(upload(&test, &err));
    assert_data(test.fixture, test.bytes);
    assert_false(temp_dir_has(test.fixture->dir, PART_NAME));
    end_test(&test);
}

/* --- states --- */

static void an_active_image_keeps_its_data(void **state)
{
    struct upload_test test;
    CLEANUP(byte_source_free) struct byte_source *other = memory_source_new("other", 5, NULL);
    struct error err;

    begin_test(&test, state, NULL);
    assert_succeeds(upload(&test, &err));
    assert_fails(ERROR_EXISTS,
                 image_service_upload(test.fixture->cloud->images, IMAGE_ID, other, NULL, &err));
    assert_message_has("active");
    assert_data(test.fixture, test.bytes);
    end_test(&test);
}

static void only_a_queued_image_takes_data(void **state)
{
    static const struct {
        const char *status;
        enum error_kind kind;
    } refusals[] = {
        {"uploading", ERROR_BUSY}, {"importing", ERROR_BUSY},        {"deactivated", ERROR_DENIED},
        {"killed", ERROR_DENIED},  {"pending_delete", ERROR_DENIED}, {"deleted", ERROR_DENIED},
        {"active", ERROR_EXISTS},
    };
    struct upload_test test;
    struct error err;

    begin_test(&test, state, NULL);
    for (size_t i = 0; i < ELEMENTS_OF(refusals); i++) {
        char text[128];

        (void)snprintf(text, sizeof text,
                       "{\"status\":\"%s\",\"disk_format\":\"raw\",\"container_format\":\"bare\"}",
                       refusals[i].status);
        write_image_file(test.fixture, IMAGE_ID, ".json", text);
        assert_fails(refusals[i].kind, upload(&test, &err));
        assert_message_has(IMAGE_ID);
        assert_false(temp_dir_has(test.fixture->dir, PART_NAME));
    }
    end_test(&test);
}

static void formats_must_be_set_before(void **state)
{
    struct upload_test test;
    struct error err;

    begin_test(&test, state, NULL);
    write_image_file(test.fixture, IMAGE_ID, ".json",
                     "{\"status\":\"queued\",\"disk_format\":\"raw\",\"container_format\":null}");
    assert_fails(ERROR_INVALID, upload(&test, &err));
    assert_message_has("container_format");
    /* A record written by hand need not have them. */
    write_image_file(test.fixture, IMAGE_ID, ".json", "{\"status\":\"queued\"}");
    assert_succeeds(upload(&test, &err));
    end_test(&test);
}

static void an_absent_image_takes_no_data(void **state)
{
    struct upload_test test;
    struct error err;

    begin_test(&test, state, NULL);
    assert_fails(ERROR_NOT_FOUND, image_service_upload(test.fixture->cloud->images, OTHER_ID,
                                                       &test.source.source, NULL, &err));
    end_test(&test);
}

static void expect_saving_to_everybody(struct hooked_source *source)
{
    CLEANUP(byte_source_free) struct byte_source *other = memory_source_new("other", 5, NULL);
    CLEANUP(memory_sink_record) struct memory_sink_record stored = {0};
    CLEANUP(byte_sink_free) struct byte_sink *sink = memory_sink_new(&stored, NULL);
    CLEANUP(image_record_unref) struct image_record *record = NULL;
    CLEANUP(image_list_free) struct image_list *list = NULL;
    struct image_service *images = source->fixture->cloud->images;
    struct error err;

    assert_succeeds(image_service_get(images, IMAGE_ID, NULL, &record, &err));
    assert_int_equal(image_record_status(record), IMAGE_STATUS_SAVING);
    assert_succeeds(image_service_list(images, NULL, &list, &err));
    assert_int_equal(image_record_status(list->records[0]), IMAGE_STATUS_SAVING);
    assert_fails(ERROR_BUSY, image_service_upload(images, IMAGE_ID, other, NULL, &err));
    assert_fails(ERROR_BUSY, image_service_update(images, IMAGE_ID, &some_property, 1, NULL, &err));
    assert_fails(ERROR_BUSY, image_service_download(images, record, 0, sink, NULL, &err));
}

static void an_upload_under_way_is_saving(void **state)
{
    struct upload_test test;
    struct error err;

    begin_test(&test, state, expect_saving_to_everybody);
    assert_succeeds(upload(&test, &err));
    assert_data(test.fixture, test.bytes);
    end_test(&test);
}

static int try_to_upload(void *context)
{
    CLEANUP(byte_source_free) struct byte_source *other = memory_source_new("other", 5, NULL);
    const struct local_cloud_fixture *fixture = context;
    CLEANUP(cloud_free) struct cloud *cloud = NULL;
    struct error err = ERROR_INIT;

    if (cloud_open(fixture->name, NULL, NULL, &cloud, &err) == 0)
        (void)image_service_upload(cloud->images, IMAGE_ID, other, NULL, &err);
    return (int)err.kind;
}

static void upload_from_another_process(struct hooked_source *source)
{
    assert_int_equal(run_in_child(try_to_upload, source->fixture), ERROR_BUSY);
}

static void another_process_must_wait(void **state)
{
    struct upload_test test;
    struct error err;

    begin_test(&test, state, upload_from_another_process);
    assert_succeeds(upload(&test, &err));
    assert_data(test.fixture, test.bytes);
    assert_int_equal(run_in_child(try_to_upload, test.fixture), ERROR_EXISTS);
    end_test(&test);
}

/* --- failures --- */

static void a_failing_source_leaves_the_image_queued(void **state)
{
    const struct memory_source_options broken = {.fails = true, .fail_at = 2 * MIB};
    struct upload_test test;
    struct byte_source *source;
    struct error err;

    begin_test(&test, state, NULL);
    source = memory_source_new(test.bytes, DATA_BYTES, &broken);
    assert_fails(ERROR_UNAVAILABLE,
                 image_service_upload(test.fixture->cloud->images, IMAGE_ID, source, NULL, &err));
    byte_source_free(source);
    assert_queued_again(&test);
    end_test(&test);
}

static void data_of_another_size_than_declared_is_refused(void **state)
{
    static const uint64_t sizes[] = {DATA_BYTES - 1, DATA_BYTES + 1, 0};
    struct error err;

    for (size_t i = 0; i < ELEMENTS_OF(sizes); i++) {
        struct upload_test test;

        begin_test(&test, state, NULL);
        test.source.declared_size = sizes[i];
        assert_fails(ERROR_INVALID, upload(&test, &err));
        assert_message_has("ended at byte");
        assert_queued_again(&test);
        end_test(&test);
    }
}

static void request_cancel(struct hooked_source *source)
{
    cancel_request(source->cancel);
}

static void a_cancelled_upload_leaves_the_image_queued(void **state)
{
    struct upload_test test;
    struct cancel *cancel = NULL;
    struct error err;

    begin_test(&test, state, request_cancel);
    assert_succeeds(cancel_new(&cancel, &err));
    test.source.cancel = cancel;
    assert_fails(ERROR_CANCELLED, upload(&test, &err));
    assert_queued_again(&test);
    cancel_unref(cancel);
    end_test(&test);
}

/* Files may not grow past 2 MiB in this process. */
static int upload_with_little_room(void *context)
{
    const struct rlimit limit = {.rlim_cur = 2 * MIB, .rlim_max = 2 * MIB};
    struct error err = ERROR_INIT;

    (void)signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &limit) < 0)
        return 99;
    return upload(context, &err) < 0 && err.kind == ERROR_SYSTEM ? 0 : 1;
}

static void a_failing_disk_leaves_the_image_queued(void **state)
{
    struct upload_test test;

    begin_test(&test, state, NULL);
    assert_int_equal(run_in_child(upload_with_little_room, &test), 0);
    assert_queued_again(&test);
    end_test(&test);
}

/* --- deletion meanwhile --- */

static void delete_the_image(struct hooked_source *source)
{
    struct error err;

    assert_succeeds(image_service_remove(source->fixture->cloud->images, IMAGE_ID, NULL, &err));
}

static void a_deleted_image_does_not_come_back(void **state)
{
    struct upload_test test;
    struct error err;

    begin_test(&test, state, delete_the_image);
    assert_fails(ERROR_NOT_FOUND, upload(&test, &err));
    assert_message_has("deleted");
    assert_false(temp_dir_has(test.fixture->dir, "images/" IMAGE_ID ".json"));
    assert_false(temp_dir_has(test.fixture->dir, DATA_NAME));
    assert_false(temp_dir_has(test.fixture->dir, PART_NAME));
    end_test(&test);
}

static void delete_and_create_again(struct hooked_source *source)
{
    delete_the_image(source);
    create_active_image(source->fixture, IMAGE_ID, "abc", 3);
}

static void the_successor_of_a_deleted_image_is_left_alone(void **state)
{
    CLEANUP(memory_free) uint8_t *stored = NULL;
    struct upload_test test;
    struct error err;
    size_t size;

    begin_test(&test, state, delete_and_create_again);
    assert_fails(ERROR_NOT_FOUND, upload(&test, &err));
    assert_int_equal(status_of(test.fixture, IMAGE_ID), IMAGE_STATUS_ACTIVE);
    stored = temp_dir_read(test.fixture->dir, DATA_NAME, &size);
    assert_int_equal(size, 3);
    assert_memory_equal(stored, "abc", 3);
    end_test(&test);
}

/* --- a killed uploader --- */

static void die(struct hooked_source *source)
{
    (void)source;
    (void)raise(SIGKILL);
}

static int upload_and_die(void *context)
{
    struct error err = ERROR_INIT;

    return upload(context, &err);
}

static void a_killed_upload_blocks_nobody(void **state)
{
    CLEANUP(memory_free) uint8_t *left = NULL;
    struct upload_test test;
    struct error err;

    begin_test(&test, state, die);
    assert_int_equal(run_in_child(upload_and_die, &test), 256 + SIGKILL);
    left = temp_dir_read(test.fixture->dir, "images/" IMAGE_ID ".json", NULL);
    assert_non_null(strstr((const char *)left, "\"saving\""));
    assert_true(temp_dir_has(test.fixture->dir, PART_NAME));
    assert_int_equal(status_of(test.fixture, IMAGE_ID), IMAGE_STATUS_QUEUED);
    assert_succeeds(
        image_service_update(test.fixture->cloud->images, IMAGE_ID, &some_property, 1, NULL, &err));
    test.source.hook = NULL;
    assert_succeeds(upload(&test, &err));
    assert_data(test.fixture, test.bytes);
    assert_false(temp_dir_has(test.fixture->dir, PART_NAME));
    end_test(&test);
}

static void data_without_an_active_record_counts_for_nothing(void **state)
{
    struct upload_test test;
    struct error err;

    begin_test(&test, state, NULL);
    write_image_file(
        test.fixture, IMAGE_ID, ".json",
        "{\"status\":\"saving\",\"disk_format\":\"raw\",\"container_format\":\"encrypted\"}");
    write_image_file(test.fixture, IMAGE_ID, ".data", "the data of a killed upload");
    assert_int_equal(status_of(test.fixture, IMAGE_ID), IMAGE_STATUS_QUEUED);
    assert_succeeds(upload(&test, &err));
    assert_data(test.fixture, test.bytes);
    end_test(&test);
}

static void a_link_in_the_place_of_the_part_file_is_not_followed(void **state)
{
    CLEANUP(memory_free) uint8_t *victim = NULL;
    struct upload_test test;
    struct error err;
    size_t size;

    begin_test(&test, state, NULL);
    temp_dir_write(test.fixture->dir, "victim", "mine", 4);
    assert_int_equal(symlinkat("../victim", temp_dir_fd(test.fixture->dir), PART_NAME), 0);
    assert_succeeds(upload(&test, &err));
    victim = temp_dir_read(test.fixture->dir, "victim", &size);
    assert_int_equal(size, 4);
    assert_memory_equal(victim, "mine", 4);
    assert_data(test.fixture, test.bytes);
    end_test(&test);
}

static bool part_is_left_after_a_start(struct local_cloud_fixture *fixture)
{
    CLEANUP(cloud_free) struct cloud *another = NULL;
    struct error err;

    assert_succeeds(cloud_open(fixture->name, NULL, NULL, &another, &err));
    return temp_dir_has(fixture->dir, PART_NAME);
}

static void the_part_file_of_a_killed_upload_is_removed_at_the_next_start(void **state)
{
    struct upload_test test;

    begin_test(&test, state, die);
    assert_int_equal(run_in_child(upload_and_die, &test), 256 + SIGKILL);
    assert_false(part_is_left_after_a_start(test.fixture));
    assert_queued_again(&test);
    end_test(&test);
}

static void the_part_file_of_a_killed_upload_is_removed_by_the_next_upload(void **state)
{
    struct upload_test test;

    begin_test(&test, state, die);
    assert_int_equal(run_in_child(upload_and_die, &test), 256 + SIGKILL);
    create_active_image(test.fixture, OTHER_ID, "abc", 3);
    assert_false(temp_dir_has(test.fixture->dir, PART_NAME));
    end_test(&test);
}

static int start_another(void *context)
{
    const struct local_cloud_fixture *fixture = context;
    CLEANUP(cloud_free) struct cloud *cloud = NULL;
    struct error err = ERROR_INIT;

    return cloud_open(fixture->name, NULL, NULL, &cloud, &err);
}

static void start_and_upload_meanwhile(struct hooked_source *source)
{
    assert_int_equal(run_in_child(start_another, source->fixture), 0);
    assert_true(part_is_left_after_a_start(source->fixture));
    create_active_image(source->fixture, OTHER_ID, "abc", 3);
    assert_true(temp_dir_has(source->fixture->dir, PART_NAME));
}

static void the_part_file_of_an_upload_under_way_is_let_be(void **state)
{
    struct upload_test test;
    struct error err;

    begin_test(&test, state, start_and_upload_meanwhile);
    assert_succeeds(upload(&test, &err));
    assert_data(test.fixture, test.bytes);
    end_test(&test);
}

static void what_only_looks_like_a_part_file_is_let_be(void **state)
{
    static const struct {
        const char *begin;
        const char *end;
    } names[] = {{"." IMAGE_ID, ".part.part"},
                 {IMAGE_ID, ".part"},
                 {".x", ".part"},
                 {"." IMAGE_ID, ".parts"},
                 {"." IMAGE_ID, ""}};
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);
    char name[128];

    for (size_t i = 0; i < ELEMENTS_OF(names); i++)
        write_image_file(fixture, names[i].begin, names[i].end, "mine");
    create_active_image(fixture, OTHER_ID, "abc", 3);
    for (size_t i = 0; i < ELEMENTS_OF(names); i++) {
        (void)snprintf(name, sizeof name, "images/%s%s", names[i].begin, names[i].end);
        assert_true(temp_dir_has(fixture->dir, name));
    }
}

/* --- concurrency --- */

struct uploader {
    pthread_t thread;
    struct image_service *images;
    uint8_t *bytes;
    int result;
    struct error err;
};

static void *run_uploader(void *context)
{
    const struct memory_source_options slow = {.delay_ms = 2};
    struct uploader *uploader = context;
    struct byte_source *source = memory_source_new(uploader->bytes, DATA_BYTES, &slow);

    uploader->result =
        image_service_upload(uploader->images, IMAGE_ID, source, NULL, &uploader->err);
    byte_source_free(source);
    return NULL;
}

static void of_two_uploads_at_once_one_wins(void **state)
{
    for (unsigned round = 0; round < 10; round++) {
        struct uploader uploaders[2] = {0};
        struct uploader *winner;
        struct upload_test test;

        begin_test(&test, state, NULL);
        for (size_t i = 0; i < ELEMENTS_OF(uploaders); i++) {
            uploaders[i].images = test.fixture->cloud->images;
            uploaders[i].bytes = pseudo_random_bytes(100 + i, DATA_BYTES);
            assert_int_equal(
                pthread_create(&uploaders[i].thread, NULL, run_uploader, &uploaders[i]), 0);
        }
        for (size_t i = 0; i < ELEMENTS_OF(uploaders); i++)
            assert_int_equal(pthread_join(uploaders[i].thread, NULL), 0);
        assert_int_equal(uploaders[0].result + uploaders[1].result, -1);
        winner = &uploaders[uploaders[0].result == 0 ? 0 : 1];
        assert_data(test.fixture, winner->bytes);
        winner = &uploaders[uploaders[0].result == 0 ? 1 : 0];
        assert_true(winner->err.kind == ERROR_BUSY || winner->err.kind == ERROR_EXISTS);
        free(uploaders[0].bytes);
        free(uploaders[1].bytes);
        end_test(&test);
    }
}

/* Looks at one image over and over while it is uploaded. */
struct watcher {
    pthread_t thread;
    struct image_service *images;
    unsigned backward_steps; /* saving → queued, active → anything else, or an error */
};

static void *watch(void *context)
{
    struct watcher *watcher = context;
    enum image_status last = IMAGE_STATUS_QUEUED;

    while (last != IMAGE_STATUS_ACTIVE && watcher->backward_steps == 0) {
        struct image_record *record = NULL;
        struct error err = ERROR_INIT;

        if (image_service_get(watcher->images, IMAGE_ID, NULL, &record, &err) < 0) {
            watcher->backward_steps++;
            break;
        }
        if (image_record_status(record) < last)
            watcher->backward_steps++;
        last = image_record_status(record);
        image_record_unref(record);
    }
    return NULL;
}

static void watchers_never_see_a_step_back(void **state)
{
    for (unsigned round = 0; round < 5; round++) {
        struct watcher watchers[2] = {0};
        struct upload_test test;
        struct error err;

        begin_test(&test, state, NULL);
        for (size_t i = 0; i < ELEMENTS_OF(watchers); i++) {
            watchers[i].images = test.fixture->cloud->images;
            assert_int_equal(pthread_create(&watchers[i].thread, NULL, watch, &watchers[i]), 0);
        }
        assert_succeeds(upload(&test, &err));
        for (size_t i = 0; i < ELEMENTS_OF(watchers); i++) {
            assert_int_equal(pthread_join(watchers[i].thread, NULL), 0);
            assert_int_equal(watchers[i].backward_steps, 0);
        }
        end_test(&test);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_uploaded_image_is_active_with_size_and_hashes),
        cmocka_unit_test(an_image_may_be_empty),
        cmocka_unit_test(all_pieces_are_stored),
        cmocka_unit_test(an_active_image_keeps_its_data),
        cmocka_unit_test(only_a_queued_image_takes_data),
        cmocka_unit_test(formats_must_be_set_before),
        cmocka_unit_test(an_absent_image_takes_no_data),
        cmocka_unit_test(an_upload_under_way_is_saving),
        cmocka_unit_test(another_process_must_wait),
        cmocka_unit_test(a_failing_source_leaves_the_image_queued),
        cmocka_unit_test(data_of_another_size_than_declared_is_refused),
        cmocka_unit_test(a_cancelled_upload_leaves_the_image_queued),
        cmocka_unit_test(a_failing_disk_leaves_the_image_queued),
        cmocka_unit_test(a_deleted_image_does_not_come_back),
        cmocka_unit_test(the_successor_of_a_deleted_image_is_left_alone),
        cmocka_unit_test(a_killed_upload_blocks_nobody),
        cmocka_unit_test(the_part_file_of_a_killed_upload_is_removed_at_the_next_start),
        cmocka_unit_test(the_part_file_of_a_killed_upload_is_removed_by_the_next_upload),
        cmocka_unit_test(the_part_file_of_an_upload_under_way_is_let_be),
        cmocka_unit_test(what_only_looks_like_a_part_file_is_let_be),
        cmocka_unit_test(data_without_an_active_record_counts_for_nothing),
        cmocka_unit_test(a_link_in_the_place_of_the_part_file_is_not_followed),
        cmocka_unit_test(of_two_uploads_at_once_one_wins),
        cmocka_unit_test(watchers_never_see_a_step_back),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
