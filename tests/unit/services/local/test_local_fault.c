/* SPDX-License-Identifier: Apache-2.0 */
#include "services/local/local_fault.h"

#include "base/clock.h"
#include "local_cloud_fixture.h"
#include "support/crypto_arena.h"
#include "support/delay.h"
#include "support/memory_sink.h"
#include "support/memory_source.h"
#include "support/testing.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

#define MILLISECOND_NS UINT64_C(1000000)
/* Far more than a cancelled wait may take, far less than the delays that are cancelled. */
#define PROMPT_NS (5 * NANOSECONDS_PER_SECOND)

static const struct {
    int status;
    enum error_kind image_kind;
    enum error_kind secret_kind;
} forced[] = {
    {400, ERROR_INVALID, ERROR_INVALID},         {401, ERROR_LOGIN, ERROR_LOGIN},
    {403, ERROR_DENIED, ERROR_DENIED},           {404, ERROR_NOT_FOUND, ERROR_NO_KEY},
    {408, ERROR_TIMEOUT, ERROR_TIMEOUT},         {409, ERROR_EXISTS, ERROR_EXISTS},
    {410, ERROR_NOT_FOUND, ERROR_NO_KEY},        {413, ERROR_TOO_LARGE, ERROR_TOO_LARGE},
    {415, ERROR_INVALID, ERROR_INVALID},         {429, ERROR_UNAVAILABLE, ERROR_UNAVAILABLE},
    {500, ERROR_UNAVAILABLE, ERROR_UNAVAILABLE}, {502, ERROR_UNAVAILABLE, ERROR_UNAVAILABLE},
    {503, ERROR_UNAVAILABLE, ERROR_UNAVAILABLE}, {504, ERROR_UNAVAILABLE, ERROR_UNAVAILABLE},
};

static struct image_record *parse_active(void)
{
    static const char text[] = "{\"id\":\"" IMAGE_ID "\",\"status\":\"active\"}";
    struct image_record *record = NULL;
    struct error err;

    assert_succeeds(image_record_parse(text, strlen(text), &record, &err));
    return record;
}

static void a_record_forces_the_error_of_a_status(void **state)
{
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);
    CLEANUP(memory_sink_record) struct memory_sink_record stored = {0};
    CLEANUP(byte_sink_free) struct byte_sink *sink = memory_sink_new(&stored, NULL);
    CLEANUP(byte_source_free) struct byte_source *data = memory_source_new("abc", 3, NULL);
    CLEANUP(image_record_unref) struct image_record *snapshot = parse_active();
    struct image_service *images = fixture->cloud->images;
    struct image_record *record = NULL;
    struct error err;

    write_image_file(fixture, IMAGE_ID, ".data", "abc");
    for (size_t i = 0; i < ELEMENTS_OF(forced); i++) {
        char text[128];

        (void)snprintf(text, sizeof text, "{\"status\":\"active\",\"glancefs_test_status\":%s%d%s}",
                       i % 2 ? "\"" : "", forced[i].status, i % 2 ? "\"" : "");
        write_image_file(fixture, IMAGE_ID, ".json", text);
        assert_fails(forced[i].image_kind,
                     image_service_get(images, IMAGE_ID, NULL, &record, &err));
        assert_message_has(IMAGE_ID);
        assert_fails(forced[i].image_kind,
                     image_service_download(images, snapshot, 0, sink, NULL, &err));
        assert_fails(forced[i].image_kind,
                     image_service_upload(images, IMAGE_ID, data, NULL, &err));
    }
    assert_int_equal(stored.writes, 0);
}

static void a_secret_forces_the_error_of_a_status(void **state)
{
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);
    struct secure_buffer *payload = NULL;
    struct secret_metadata metadata;
    struct error err;

    write_secret_file(fixture, KEY_ID, ".payload", "key");
    for (size_t i = 0; i < ELEMENTS_OF(forced); i++) {
        char text[128];

        (void)snprintf(text, sizeof text, "{\"glancefs_test_status\":%d}", forced[i].status);
        write_secret_file(fixture, KEY_ID, ".json", text);
        assert_fails(forced[i].secret_kind,
                     key_manager_get_metadata(fixture->cloud->keys, KEY_ID, NULL, &metadata, &err));
        assert_fails(forced[i].secret_kind,
                     key_manager_get_payload(fixture->cloud->keys, KEY_ID, NULL, &payload, &err));
        assert_message_has(KEY_ID);
    }
}

static void values_out_of_range_are_refused(void **state)
{
    static const char *const members[] = {
        "\"glancefs_test_status\":200",      "\"glancefs_test_status\":600",
        "\"glancefs_test_status\":\"many\"", "\"glancefs_test_status\":99999999999",
        "\"glancefs_test_delay_ms\":-1",     "\"glancefs_test_delay_ms\":99999999999",
    };
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);
    struct image_record *record = NULL;
    struct error err;

    for (size_t i = 0; i < ELEMENTS_OF(members); i++) {
        char text[128];

        (void)snprintf(text, sizeof text, "{%s}", members[i]);
        write_image_file(fixture, IMAGE_ID, ".json", text);
        assert_fails(ERROR_INVALID,
                     image_service_get(fixture->cloud->images, IMAGE_ID, NULL, &record, &err));
        assert_message_has("glancefs_test_");
    }
}

static void *lift_stop(void *argument)
{
    struct local_cloud_fixture *fixture = argument;
    struct error err = ERROR_INIT;

    (void)delay(50, NULL, &err);
    write_image_file(fixture, IMAGE_ID, ".json", "{\"status\":\"active\"}");
    return NULL;
}

static void a_download_stops_as_long_as_the_record_says(void **state)
{
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);
    CLEANUP(image_record_unref) struct image_record *record = parse_active();
    CLEANUP(memory_sink_record) struct memory_sink_record got = {0};
    CLEANUP(byte_sink_free) struct byte_sink *sink = memory_sink_new(&got, NULL);
    struct error err = ERROR_INIT;
    pthread_t lifter;

    write_image_file(fixture, IMAGE_ID, ".data", "0123456789");
    write_image_file(fixture, IMAGE_ID, ".json",
                     "{\"status\":\"active\",\"glancefs_test_stop_at\":4}");
    assert_int_equal(pthread_create(&lifter, NULL, lift_stop, fixture), 0);
    assert_succeeds(image_service_download(fixture->cloud->images, record, 0, sink, NULL, &err));
    assert_int_equal(pthread_join(lifter, NULL), 0);
    assert_int_equal(got.size, 10);
    assert_memory_equal(got.bytes, "0123456789", 10);
    assert_true(got.writes >= 2);
}

static void a_delay_passes_before_the_answer(void **state)
{
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);
    CLEANUP(image_record_unref) struct image_record *record = NULL;
    struct secret_metadata metadata;
    struct error err;
    uint64_t begin;

    write_image_file(fixture, IMAGE_ID, ".json", "{\"glancefs_test_delay_ms\":30}");
    write_secret_file(fixture, KEY_ID, ".json", "{\"glancefs_test_delay_ms\":\"30\"}");
    begin = clock_monotonic_ns();
    assert_succeeds(image_service_get(fixture->cloud->images, IMAGE_ID, NULL, &record, &err));
    assert_true(clock_monotonic_ns() - begin >= 30 * MILLISECOND_NS);
    begin = clock_monotonic_ns();
    assert_succeeds(key_manager_get_metadata(fixture->cloud->keys, KEY_ID, NULL, &metadata, &err));
    assert_true(clock_monotonic_ns() - begin >= 30 * MILLISECOND_NS);
}

static void a_list_does_not_wait_for_a_slow_image(void **state)
{
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);
    CLEANUP(image_list_free) struct image_list *list = NULL;
    struct error err;

    write_image_file(fixture, IMAGE_ID, ".json",
                     "{\"glancefs_test_delay_ms\":600000,\"glancefs_test_status\":500}");
    assert_succeeds(image_service_list(fixture->cloud->images, NULL, &list, &err));
    assert_int_equal(list->count, 1);
}

static void a_list_waits_for_an_image_that_delays_it(void **state)
{
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);
    CLEANUP(image_list_free) struct image_list *list = NULL;
    struct error err;
    uint64_t begin;

    write_image_file(fixture, IMAGE_ID, ".json", "{\"glancefs_test_list_delay_ms\":30}");
    begin = clock_monotonic_ns();
    assert_succeeds(image_service_list(fixture->cloud->images, NULL, &list, &err));
    assert_true(clock_monotonic_ns() - begin >= 30 * MILLISECOND_NS);
    assert_int_equal(list->count, 1);
}

static void *cancel_soon(void *context)
{
    const struct timespec span = {.tv_nsec = 20 * (long)MILLISECOND_NS};

    (void)nanosleep(&span, NULL);
    cancel_request(context);
    return NULL;
}

/* What may wait, each ten minutes long. */
static int delayed_get(struct local_cloud_fixture *fixture, struct cancel *cancel,
                       struct error *err)
{
    struct image_record *record = NULL;

    return image_service_get(fixture->cloud->images, IMAGE_ID, cancel, &record, err);
}

static int delayed_download(struct local_cloud_fixture *fixture, struct cancel *cancel,
                            struct error *err)
{
    CLEANUP(memory_sink_record) struct memory_sink_record stored = {0};
    CLEANUP(byte_sink_free) struct byte_sink *sink = memory_sink_new(&stored, NULL);
    CLEANUP(image_record_unref) struct image_record *snapshot = parse_active();
    int result = image_service_download(fixture->cloud->images, snapshot, 0, sink, cancel, err);

    assert_int_equal(stored.writes, 0);
    return result;
}

static int delayed_upload(struct local_cloud_fixture *fixture, struct cancel *cancel,
                          struct error *err)
{
    CLEANUP(byte_source_free) struct byte_source *data = memory_source_new("abc", 3, NULL);

    return image_service_upload(fixture->cloud->images, IMAGE_ID, data, cancel, err);
}

static int delayed_payload(struct local_cloud_fixture *fixture, struct cancel *cancel,
                           struct error *err)
{
    struct secure_buffer *payload = NULL;

    return key_manager_get_payload(fixture->cloud->keys, KEY_ID, cancel, &payload, err);
}

static int delayed_list(struct local_cloud_fixture *fixture, struct cancel *cancel,
                        struct error *err)
{
    struct image_list *list = NULL;

    return image_service_list(fixture->cloud->images, cancel, &list, err);
}

static void every_wait_ends_when_cancelled(void **state)
{
    static int (*const waits[])(struct local_cloud_fixture * fixture, struct cancel * cancel,
                                struct error * err) = {
        delayed_get, delayed_download, delayed_upload, delayed_payload, delayed_list};
    static const char slow[] =
        "{\"glancefs_test_delay_ms\":600000,\"glancefs_test_list_delay_ms\":600000}";
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);

    write_image_file(fixture, IMAGE_ID, ".json", slow);
    write_image_file(fixture, IMAGE_ID, ".data", "abc");
    write_secret_file(fixture, KEY_ID, ".json", slow);
    write_secret_file(fixture, KEY_ID, ".payload", "key");
    for (size_t i = 0; i < ELEMENTS_OF(waits); i++) {
        CLEANUP(cancel_unref) struct cancel *cancel = NULL;
        uint64_t begin = clock_monotonic_ns();
        pthread_t thread;
        struct error err;

        assert_succeeds(cancel_new(&cancel, &err));
        assert_int_equal(pthread_create(&thread, NULL, cancel_soon, cancel), 0);
        assert_fails(ERROR_CANCELLED, waits[i](fixture, cancel, &err));
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_true(clock_monotonic_ns() - begin < PROMPT_NS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_forces_the_error_of_a_status),
        cmocka_unit_test(a_secret_forces_the_error_of_a_status),
        cmocka_unit_test(values_out_of_range_are_refused),
        cmocka_unit_test(a_download_stops_as_long_as_the_record_says),
        cmocka_unit_test(a_delay_passes_before_the_answer),
        cmocka_unit_test(a_list_does_not_wait_for_a_slow_image),
        cmocka_unit_test(a_list_waits_for_an_image_that_delays_it),
        cmocka_unit_test(every_wait_ends_when_cancelled),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
