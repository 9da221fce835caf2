/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as what a server sends, through libcurl. The first octet picks the request; what follows
 * goes to one connection after another.
 */
#include "counting_sink.h"
#include "fuzz_main.h"
#include "glancefs/limits.h"
#include "http_transport.h"
#include "planted_secret.h"
#include "services/openstack/http.h"
#include "support/memory_source.h"

#include <string.h>

#define RETRIES 1
#define SECRET_LIMIT 64
#define OFFSET 5
#define MOST_CONNECTIONS ((1 + RETRIES) * (1 + LIMIT_HTTP_REDIRECTS))

/* Letters, so that seeds can be read. */
enum call {
    CALL_GET = 'g',
    CALL_GET_SECRET = 's',
    CALL_DOWNLOAD = 'd',
    CALL_DOWNLOAD_REST = 'r',
    CALL_DOWNLOAD_SKIPPING = 'k',
    CALL_POST_SECRET = 'p',
    CALL_UPLOAD = 'u'
};

/* A request with what it borrows. */
struct exchange {
    struct http_client *client;
    struct secure_buffer *secret;
    struct counting_sink sink;
    struct byte_source *source;
    struct http_request request;
};

static void exchange_clear(struct exchange *exchange)
{
    http_client_free(exchange->client);
    secure_buffer_free(exchange->secret);
    byte_source_free(exchange->source);
}

static void exchange_clear_cleanup(struct exchange *exchange)
{
    exchange_clear(exchange);
}

static void choose(struct exchange *exchange, enum call call)
{
    struct http_request *request = &exchange->request;

    *request = (struct http_request){.method = HTTP_GET,
                                     .url = HTTP_TRANSPORT_URL "/v2/images",
                                     .service = "Glance",
                                     .token = exchange->secret,
                                     .is_repeatable = true};
    switch (call) {
    case CALL_GET_SECRET:
        request->has_secret_answer = true;
        request->answer_limit = SECRET_LIMIT;
        break;
    case CALL_DOWNLOAD_SKIPPING:
    case CALL_DOWNLOAD_REST:
        request->skips_to_offset = call == CALL_DOWNLOAD_SKIPPING;
        request->offset = OFFSET;
        request->download = &exchange->sink.sink;
        break;
    case CALL_DOWNLOAD:
        request->download = &exchange->sink.sink;
        break;
    case CALL_POST_SECRET:
        request->method = HTTP_POST;
        request->secret_body = exchange->secret;
        break;
    case CALL_UPLOAD:
        request->method = HTTP_PUT;
        request->upload = exchange->source;
        break;
    case CALL_GET:
    default:
        break;
    }
}

static int open_exchange(struct exchange *exchange, enum call call)
{
    const struct http_options options = {.connect_timeout_seconds = 1,
                                         .stall_timeout_seconds = 5,
                                         .request_timeout_seconds = 60,
                                         .retries = RETRIES};
    struct error err = ERROR_INIT;

    exchange->sink = counting_sink_of();
    exchange->secret = fuzz_passphrase(PLANTED_SECRET);
    fuzz_allocations_succeed();
    exchange->source = memory_source_new("uploaded", 8, NULL);
    fuzz_allocations_may_fail();
    choose(exchange, call);
    return http_client_new(&options, fuzz_arena(), &exchange->client, &err);
}

static void assert_visible(const char *text, size_t capacity)
{
    FUZZ_ASSERT(memchr(text, '\0', capacity) != NULL);
    for (; *text != '\0'; text++)
        FUZZ_ASSERT(*text > ' ' && *text <= '~');
}

static void assert_response(const struct exchange *exchange, const struct http_response *response)
{
    const size_t limit = exchange->request.answer_limit;
    struct error err = ERROR_INIT;

    FUZZ_ASSERT(response->status >= 100 && response->status <= 999);
    assert_visible(response->request_id, sizeof response->request_id);
    assert_visible(response->content_type, sizeof response->content_type);
    FUZZ_ASSERT(response->body == NULL || response->body[response->body_size] == '\0');
    FUZZ_ASSERT(response->body_size <= LIMIT_RECORD_BYTES);
    FUZZ_ASSERT(response->secret == NULL || secure_buffer_size(response->secret) <= limit);
    if (exchange->request.has_secret_answer && response->status >= 200 && response->status <= 299)
        FUZZ_ASSERT(response->body == NULL && response->secret != NULL);
    if (http_response_check(response, "Glance", &err) < 0)
        fuzz_assert_plain(&err);
    FUZZ_ASSERT(!response->is_quiet || !planted_secret_is_told(&err));
}

static void perform(struct exchange *exchange, bool is_discreet)
{
    CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
    struct error err = ERROR_INIT;

    if (http_perform(exchange->client, &exchange->request, NULL, &response, &err) == 0) {
        assert_response(exchange, &response);
    } else {
        FUZZ_ASSERT(error_is_set(&err));
        FUZZ_ASSERT(!is_discreet || !planted_secret_is_told(&err));
        fuzz_assert_plain(&err);
    }
    FUZZ_ASSERT(response.downloaded == exchange->sink.size);
}

void fuzz_one(const uint8_t *data, size_t size)
{
    CLEANUP(exchange_clear) struct exchange exchange = {0};

    if (size == 0 || open_exchange(&exchange, (enum call)data[0]) < 0)
        return;
    http_transport_begin(data + 1, size - 1);
    perform(&exchange, planted_secret_count(data, size) == 0);
    FUZZ_ASSERT(http_transport_end() <= MOST_CONNECTIONS);
}
