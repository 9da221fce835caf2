/* SPDX-License-Identifier: Apache-2.0 */
#include "services/openstack/barbican.h"

#include "glancefs/limits.h"
#include "service_bed.h"
#include "support/crypto_arena.h"
#include "support/testing.h"

#include <stdio.h>
#include <stdlib.h>

#define METADATA(more)                                                                             \
    "{\"created\": \"2026-11-23T08:36:54\", \"status\": \"ACTIVE\", \"name\": \"disk\", "          \
    "\"secret_type\": \"symmetric\", \"expiration\": null, \"algorithm\": \"aes\"" more "}"
#define NOT_FOUND                                                                                  \
    ANSWER("404 Not Found", "{\"code\": 404, \"title\": \"Not Found\", \"description\": "          \
                            "\"Secret not found.\"}")

static void metadata_say_type_and_name(void **state)
{
    struct service_bed *bed = *state;
    struct secret_metadata metadata;
    struct error err;

    SCRIPT(bed, ANSWER("200 OK", METADATA("")));
    assert_succeeds(key_manager_get_metadata(bed->keys, KEY_ID, NULL, &metadata, &err));
    assert_string_equal(metadata.secret_type, "symmetric");
    assert_string_equal(metadata.name, "disk");
    assert_asked(bed, 0, "GET /v1/secrets/" KEY_ID " HTTP");
    assert_asked_with(bed, 0, "Accept: application/json\r\n");
}

static void a_payload_is_octets_in_locked_memory(void **state)
{
    struct service_bed *bed = *state;
    CLEANUP(secure_buffer_free) struct secure_buffer *payload = NULL;
    struct error err;

    SCRIPT(bed, "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
                "Connection: close\r\n\r\n the key\n");
    assert_succeeds(key_manager_get_payload(bed->keys, KEY_ID, NULL, &payload, &err));
    assert_int_equal(secure_buffer_size(payload), 9);
    assert_memory_equal(secure_buffer_bytes(payload), " the key\n", 9);
    assert_true(secure_arena_contains(bed->http->arena, secure_buffer_bytes(payload)));
    assert_asked(bed, 0, "GET /v1/secrets/" KEY_ID "/payload HTTP");
    assert_asked_with(bed, 0, "Accept: application/octet-stream\r\n");
}

static void refusals_have_their_kinds(void **state)
{
    static const struct {
        const char *answer;
        enum error_kind kind;
    } refusals[] = {
        {NOT_FOUND, ERROR_NO_KEY},
        {ANSWER("404 Not Found", "{\"code\": 404, \"description\": \"Not Found. Sorry but your "
                                 "secret has no payload.\"}"),
         ERROR_KEY_REJECTED},
        {NO_CONTENT, ERROR_KEY_REJECTED},
        {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", ERROR_KEY_REJECTED},
        {ANSWER("403 Forbidden", "{\"code\": 403, \"description\": \"Secret retrieval attempt "
                                 "not allowed\"}"),
         ERROR_DENIED},
        {REFUSAL("406 Not Acceptable"), ERROR_INVALID},
    };
    struct service_bed *bed = *state;
    struct secure_buffer *payload = NULL;
    struct error err;

    for (size_t i = 0; i < ELEMENTS_OF(refusals); i++) {
        SCRIPT(bed, refusals[i].answer);
        assert_fails(refusals[i].kind,
                     key_manager_get_payload(bed->keys, KEY_ID, NULL, &payload, &err));
        assert_message_has(KEY_ID);
    }
    assert_null(payload);
}

static void a_payload_over_the_limit_is_rejected(void **state)
{
    struct service_bed *bed = *state;
    CLEANUP(memory_free) char *large = NULL;
    struct secure_buffer *payload = NULL;
    struct error err;

    assert_true(asprintf(&large, ANSWER("200 OK", "%*s"), (int)LIMIT_SECRET_BYTES + 1, "x") > 0);
    SCRIPT(bed, large);
    assert_fails(ERROR_KEY_REJECTED,
                 key_manager_get_payload(bed->keys, KEY_ID, NULL, &payload, &err));
    assert_message_has("limit");
}

static void an_outage_is_asked_again_and_then_told(void **state)
{
    struct service_bed *bed = *state;
    struct secure_buffer *payload = NULL;
    struct error err;

    SCRIPT(bed, ANSWER("500 Oops", "{}"), ANSWER("503 Away", "{}"), ANSWER("503 Away", "{}"));
    assert_fails(ERROR_UNAVAILABLE,
                 key_manager_get_payload(bed->keys, KEY_ID, NULL, &payload, &err));
    assert_request_count(bed, 3);
}

/* --- store --- */

static int store(struct service_bed *bed, const char *type, char ret_id[37], struct error *err)
{
    struct secret_metadata metadata = {.name = "a \"name\""};
    CLEANUP(secure_buffer_free) struct secure_buffer *payload = NULL;

    (void)snprintf(metadata.secret_type, sizeof metadata.secret_type, "%s", type);
    if (secure_buffer_copy_of(bed->http->arena, " key\n", 5, &payload, err) < 0)
        return -1;
    return key_manager_store(bed->keys, &metadata, payload, NULL, ret_id, err);
}

static void a_payload_is_stored_as_base64_octets(void **state)
{
    struct service_bed *bed = *state;
    struct error err;
    char id[37];

    SCRIPT(
        bed,
        ANSWER("201 Created", "{\"secret_ref\": \"http://127.0.0.1:9311/v1/secrets/" KEY_ID "\"}"),
        ANSWER("201 Created", "{\"secret_ref\": \"http://x/v1/secrets/" KEY_ID "\"}"));
    assert_succeeds(store(bed, "passphrase", id, &err));
    assert_string_equal(id, KEY_ID);
    assert_asked(bed, 0, "POST /v1/secrets HTTP");
    assert_asked_with(bed, 0,
                      "\r\n\r\n{\"name\":\"a \\\"name\\\"\",\"secret_type\":\"passphrase\","
                      "\"payload_content_type\":\"application/octet-stream\","
                      "\"payload_content_encoding\":\"base64\",\"payload\":\"IGtleQo=\"}");
    assert_succeeds(store(bed, "symmetric", id, &err));
    assert_asked_with(bed, 1, "\"algorithm\":\"aes\",\"bit_length\":40,\"payload\":");
}

static void a_secret_is_sent_once(void **state)
{
    static const struct {
        const char *answer;
        enum error_kind kind;
    } refusals[] = {
        {"", ERROR_UNAVAILABLE},
        {ANSWER("500 Oops", "{}"), ERROR_UNAVAILABLE},
        {REFUSAL("403 Forbidden"), ERROR_DENIED},
        {REFUSAL("413 Too Large"), ERROR_TOO_LARGE},
        {ANSWER("201 Created", "{}"), ERROR_INVALID},
        {ANSWER("201 Created", "{\"secret_ref\": \"http://x/v1/secrets/../y\"}"), ERROR_INVALID},
        {ANSWER("400 Bad Request", "{\"description\": \"IGtleQo=\"}"), ERROR_INVALID},
    };
    struct service_bed *bed = *state;
    struct error err;
    char id[37];

    for (size_t i = 0; i < ELEMENTS_OF(refusals); i++) {
        SCRIPT(bed, refusals[i].answer);
        assert_fails(refusals[i].kind, store(bed, "passphrase", id, &err));
        assert_null(strstr(err.message, "IGtleQo"));
    }
    assert_request_count(bed, ELEMENTS_OF(refusals));
}

/* --- consumers --- */

static const struct secret_consumer consumer = {"image", "image", IMAGE_ID};

static void consumers_are_added_and_removed(void **state)
{
    static const char body[] = "{\"service\":\"image\",\"resource_type\":\"image\","
                               "\"resource_id\":\"" IMAGE_ID "\"}";
    struct service_bed *bed = *state;
    struct error err;

    SCRIPT(bed, ANSWER("200 OK", METADATA("")), ANSWER("200 OK", METADATA("")), NOT_FOUND);
    assert_succeeds(key_manager_add_consumer(bed->keys, KEY_ID, &consumer, NULL, &err));
    assert_asked(bed, 0, "POST /v1/secrets/" KEY_ID "/consumers HTTP");
    assert_asked_with(bed, 0, "Content-Type: application/json\r\n");
    assert_asked_with(bed, 0, body);
    assert_succeeds(key_manager_remove_consumer(bed->keys, KEY_ID, &consumer, NULL, &err));
    assert_asked(bed, 1, "DELETE /v1/secrets/" KEY_ID "/consumers HTTP");
    assert_asked_with(bed, 1, body);
    assert_succeeds(key_manager_remove_consumer(bed->keys, KEY_ID, &consumer, NULL, &err));
}

/* The path of the key manager leads elsewhere: no secret is gone, and no consumer withdrawn. */
static void the_words_of_others_are_an_outage(void **state)
{
    static const char elsewhere[] = ANSWER("404 Not Found", "<html>default backend - 404</html>");
    struct service_bed *bed = *state;
    struct secret_metadata metadata;
    struct error err;

    SCRIPT(bed, elsewhere, elsewhere, elsewhere, elsewhere, elsewhere);
    assert_fails(ERROR_UNAVAILABLE,
                 key_manager_get_metadata(bed->keys, KEY_ID, NULL, &metadata, &err));
    assert_fails(ERROR_UNAVAILABLE,
                 key_manager_add_consumer(bed->keys, KEY_ID, &consumer, NULL, &err));
    assert_fails(ERROR_UNAVAILABLE,
                 key_manager_remove_consumer(bed->keys, KEY_ID, &consumer, NULL, &err));
    assert_request_count(bed, 5);
}

static void a_proxy_that_lets_no_consumer_through_is_no_outage(void **state)
{
    struct service_bed *bed = *state;
    struct error err;

    SCRIPT(bed, ANSWER("405 Method Not Allowed", "<html>"), ANSWER("200 OK", METADATA("")),
           ANSWER("403 Forbidden", "<html>"), NOT_FOUND);
    assert_fails(ERROR_UNSUPPORTED,
                 key_manager_add_consumer(bed->keys, KEY_ID, &consumer, NULL, &err));
    assert_fails(ERROR_NO_KEY, key_manager_add_consumer(bed->keys, KEY_ID, &consumer, NULL, &err));
}

static void where_no_consumers_are_kept_none_is_left(void **state)
{
    struct service_bed *bed = *state;
    struct error err;

    SCRIPT(bed, ANSWER("404 Not Found", "<html>"), ANSWER("200 OK", METADATA("")));
    assert_succeeds(key_manager_remove_consumer(bed->keys, KEY_ID, &consumer, NULL, &err));
}

static void a_barbican_without_consumers_is_not_a_missing_key(void **state)
{
    struct service_bed *bed = *state;
    struct error err;

    SCRIPT(bed, ANSWER("404 Not Found", "<html>"), ANSWER("200 OK", METADATA("")), NOT_FOUND,
           NOT_FOUND, REFUSAL("403 Forbidden"));
    assert_fails(ERROR_UNSUPPORTED,
                 key_manager_add_consumer(bed->keys, KEY_ID, &consumer, NULL, &err));
    assert_fails(ERROR_NO_KEY, key_manager_add_consumer(bed->keys, KEY_ID, &consumer, NULL, &err));
    assert_fails(ERROR_DENIED, key_manager_add_consumer(bed->keys, KEY_ID, &consumer, NULL, &err));
}

#define barbican_test(name)                                                                        \
    cmocka_unit_test_setup_teardown(name, service_bed_open, service_bed_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        barbican_test(metadata_say_type_and_name),
        barbican_test(a_payload_is_octets_in_locked_memory),
        barbican_test(refusals_have_their_kinds),
        barbican_test(a_payload_over_the_limit_is_rejected),
        barbican_test(an_outage_is_asked_again_and_then_told),
        barbican_test(a_payload_is_stored_as_base64_octets),
        barbican_test(a_secret_is_sent_once),
        barbican_test(consumers_are_added_and_removed),
        barbican_test(the_words_of_others_are_an_outage),
        barbican_test(a_proxy_that_lets_no_consumer_through_is_no_outage),
        barbican_test(where_no_consumers_are_kept_none_is_left),
        barbican_test(a_barbican_without_consumers_is_not_a_missing_key),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
