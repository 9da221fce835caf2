/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every error that an answer leads to names the request id of that answer, whatever the call and
 * whatever the status: it is what the operators of the service can look for.
 */
#include "service_bed.h"

#include "support/crypto_arena.h"
#include "support/memory_sink.h"
#include "support/memory_source.h"
#include "support/testing.h"

#include <stdio.h>
#include <stdlib.h>

#define REQUEST_ID "req-0a1b2c3d-1111-4222-8333-444455556666"

/* --- the calls --- */

static int list_images(struct service_bed *bed, struct error *err)
{
    CLEANUP(image_list_free) struct image_list *list = NULL;

    return image_service_list(bed->images, NULL, &list, err);
}

static int get_image(struct service_bed *bed, struct error *err)
{
    CLEANUP(image_record_unref) struct image_record *record = NULL;

    return image_service_get(bed->images, IMAGE_ID, NULL, &record, err);
}

static int create_image(struct service_bed *bed, struct error *err)
{
    static const struct image_property properties[] = {{"id", IMAGE_ID}};
    CLEANUP(image_record_unref) struct image_record *record = NULL;

    return image_service_create(bed->images, properties, 1, NULL, &record, err);
}

static int update_image(struct service_bed *bed, struct error *err)
{
    static const struct image_property properties[] = {{"a", "b"}};

    return image_service_update(bed->images, IMAGE_ID, properties, 1, NULL, err);
}

static int download_image(struct service_bed *bed, struct error *err)
{
    static const char text[] = RECORD(IMAGE_ID, "active", ", \"size\": 5");
    struct memory_sink_record written = {0};
    CLEANUP(image_record_unref) struct image_record *record = NULL;
    CLEANUP(byte_sink_free) struct byte_sink *sink = memory_sink_new(&written, NULL);
    int result;

    assert_int_equal(image_record_parse(text, strlen(text), &record, err), 0);
    result = image_service_download(bed->images, record, 0, sink, NULL, err);
    free(written.bytes);
    return result;
}

static int upload_image(struct service_bed *bed, struct error *err)
{
    CLEANUP(byte_source_free) struct byte_source *data = memory_source_new("bytes", 5, NULL);

    return image_service_upload(bed->images, IMAGE_ID, data, NULL, err);
}

static int remove_image(struct service_bed *bed, struct error *err)
{
    return image_service_remove(bed->images, IMAGE_ID, NULL, err);
}

static int get_metadata(struct service_bed *bed, struct error *err)
{
    struct secret_metadata metadata;

    return key_manager_get_metadata(bed->keys, KEY_ID, NULL, &metadata, err);
}

static int get_payload(struct service_bed *bed, struct error *err)
{
    CLEANUP(secure_buffer_free) struct secure_buffer *payload = NULL;

    return key_manager_get_payload(bed->keys, KEY_ID, NULL, &payload, err);
}

static int store_secret(struct service_bed *bed, struct error *err)
{
    static const struct secret_metadata metadata = {.secret_type = "passphrase", .name = "n"};
    CLEANUP(secure_buffer_free) struct secure_buffer *payload = NULL;
    char id[37];

    assert_int_equal(secure_buffer_copy_of(bed->http->arena, "p", 1, &payload, err), 0);
    return key_manager_store(bed->keys, &metadata, payload, NULL, id, err);
}

static const struct secret_consumer consumer = {"image", "image", IMAGE_ID};

static int add_consumer(struct service_bed *bed, struct error *err)
{
    return key_manager_add_consumer(bed->keys, KEY_ID, &consumer, NULL, err);
}

static int remove_consumer(struct service_bed *bed, struct error *err)
{
    return key_manager_remove_consumer(bed->keys, KEY_ID, &consumer, NULL, err);
}

static const struct {
    const char *name;
    int (*run)(struct service_bed *bed, struct error *err);
} calls[] = {
    {"list images", list_images},       {"get image", get_image},
    {"create image", create_image},     {"update image", update_image},
    {"download image", download_image}, {"upload image", upload_image},
    {"remove image", remove_image},     {"get metadata", get_metadata},
    {"get payload", get_payload},       {"store secret", store_secret},
    {"add consumer", add_consumer},     {"remove consumer", remove_consumer},
};

/* --- the answers --- */

/* A server of its own for each call, as it keeps every request. */
static void serve(struct service_bed *bed, const char *text)
{
    const struct http_server_answer answer = {.text = text, .requests = 8};

    http_server_free(bed->http->server);
    bed->http->server = http_server_new();
    http_server_script(bed->http->server, &answer, 1);
}

/* Gives `answer` to whatever is asked, and runs call `i`; what fails must name the request. */
static void assert_named(struct service_bed *bed, size_t i, const char *answer)
{
    struct error err = ERROR_INIT;

    serve(bed, answer);
    if (calls[i].run(bed, &err) == 0)
        return;
    if (strstr(err.message, "(request " REQUEST_ID ")") == NULL)
        fail_msg("%s: '%s' does not name the request; the answer was %s", calls[i].name,
                 err.message, answer);
}

/* Repetitions would only take time. */
static int open_bed(void **state)
{
    static const struct http_options options = {
        .connect_timeout_seconds = 5, .stall_timeout_seconds = 5, .request_timeout_seconds = 5};
    struct error err = ERROR_INIT;
    struct service_bed *bed;

    if (service_bed_open(state) < 0)
        return -1;
    bed = *state;
    http_client_free(bed->http->client);
    bed->http->client = NULL;
    return http_client_new(&options, bed->http->arena, &bed->http->client, &err);
}

static void each_refusal_names_its_request(void **state)
{
    static const char *const bodies[] = {"", "{\"code\": \"no\", \"message\": \"No.\"}",
                                         "{\"description\": \"secret has no payload\"}",
                                         "<html>no words</html>"};
    char answer[512];

    for (size_t call = 0; call < ELEMENTS_OF(calls); call++) {
        for (int status = 300; status < 600; status++) {
            (void)snprintf(answer, sizeof answer,
                           "HTTP/1.1 %d Words\r\nx-openstack-request-id: " REQUEST_ID
                           "\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n%s",
                           status, bodies[(size_t)status % ELEMENTS_OF(bodies)]);
            assert_named(*state, call, answer);
        }
    }
}

#define SUCCESS(status, body)                                                                      \
    "HTTP/1.1 " status "\r\nx-openstack-request-id: " REQUEST_ID                                   \
    "\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n" body

static void each_success_that_makes_no_sense_names_its_request(void **state)
{
    static const char *const answers[] = {
        SUCCESS("200 OK", ""),
        SUCCESS("200 OK", "[]"),
        SUCCESS("200 OK", "{}"),
        SUCCESS("200 OK", "{\"images\": 7}"),
        SUCCESS("200 OK", "{\"images\": [], \"next\": \"/v2/images\"}"),
        SUCCESS("200 OK", RECORD(OTHER_ID, "active", "")),
        SUCCESS("200 OK", RECORD(IMAGE_ID, "saving", "")),
        SUCCESS("201 Created", "{\"secret_ref\": \"x\"}"),
        SUCCESS("204 No Content", ""),
    };

    for (size_t call = 0; call < ELEMENTS_OF(calls); call++)
        for (size_t i = 0; i < ELEMENTS_OF(answers); i++)
            assert_named(*state, call, answers[i]);
}

static void an_answer_that_breaks_off_names_its_request(void **state)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nx-openstack-request-id: " REQUEST_ID
                                 "\r\nContent-Length: 100\r\nConnection: close\r\n\r\n{";

    for (size_t call = 0; call < ELEMENTS_OF(calls); call++)
        assert_named(*state, call, answer);
}

/* Then our own id is what the service's log may know. */
static void without_an_answer_our_own_id_is_named(void **state)
{
    struct service_bed *bed = *state;

    for (size_t call = 0; call < ELEMENTS_OF(calls); call++) {
        struct error err = ERROR_INIT;
        char expected[80] = "(request ";
        const char *sent;

        serve(bed, "");
        assert_fails(ERROR_UNAVAILABLE, calls[call].run(bed, &err));
        sent = strstr(http_server_request(bed->http->server, 0), "X-OpenStack-Request-ID: ");
        assert_non_null(sent);
        sent += strlen("X-OpenStack-Request-ID: ");
        (void)strncat(expected, sent, strcspn(sent, "\r"));
        assert_message_has("(request req-");
        if (http_server_request_count(bed->http->server) == 1)
            assert_message_has(expected);
    }
}

static void a_long_message_keeps_the_request(void **state)
{
    struct error err = ERROR_INIT;

    (void)state;
    (void)memset(err.message, 'x', sizeof err.message - 1);
    assert_int_equal(http_error_name_request(&err, REQUEST_ID), -1);
    assert_message_has("x (request " REQUEST_ID ")");
    assert_int_equal(strlen(err.message), sizeof err.message - 1);
    assert_int_equal(http_error_name_request(&err, REQUEST_ID), -1);
    assert_int_equal(strlen(err.message), sizeof err.message - 1);
}

#define test(name) cmocka_unit_test_setup_teardown(name, open_bed, service_bed_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(each_refusal_names_its_request),
        test(each_success_that_makes_no_sense_names_its_request),
        test(an_answer_that_breaks_off_names_its_request),
        test(without_an_answer_our_own_id_is_named),
        cmocka_unit_test(a_long_message_keeps_the_request),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
