/* SPDX-License-Identifier: Apache-2.0 */
#include "services/openstack/http.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/uuid.h"
#include "crypto/random.h"
#include "glancefs/limits.h"
#include "services/openstack/http_exchange.h"
#include "services/openstack/http_library.h"
#include "services/openstack/http_retry.h"
#include "services/openstack/http_url.h"

#include <stdio.h>
#include <string.h>

struct http_client {
    struct http_options options; /* cafile and proxy are ours */
    char *cafile;
    char *proxy;
    struct secure_arena *arena;
    struct http_pool *pool;
};

static int copy_text(const char *text, char **ret, struct error *err)
{
    *ret = text == NULL ? NULL : strdup(text);
    if (text != NULL && *ret == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    return 0;
}

int http_client_new(const struct http_options *options, struct secure_arena *arena,
                    struct http_client **ret, struct error *err)
{
    CLEANUP(http_client_free) struct http_client *client = NULL;

    if (http_library_setup(err) < 0)
        return -1;
    client = calloc(1, sizeof *client);
    if (client == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    client->options = *options;
    client->arena = arena;
    if (copy_text(options->cafile, &client->cafile, err) < 0 ||
        copy_text(options->proxy, &client->proxy, err) < 0 || http_pool_new(&client->pool, err) < 0)
        return -1;
    client->options.cafile = client->cafile;
    client->options.proxy = client->proxy;
    *ret = steal(&client);
    return 0;
}

void http_client_free(struct http_client *client)
{
    if (client == NULL)
        return;
    http_pool_free(client->pool);
    free(client->cafile);
    free(client->proxy);
    free(client);
}

/* A request on its way through attempts and redirects. */
struct performance {
    struct http_client *client;
    const struct http_request *request;
    struct cancel *cancel;
    uint64_t deadline_ns; /* 0: none, because image data may take any time */
    char request_id[HTTP_REQUEST_ID_BYTES];
};

/* --- one attempt, with the redirects it leads to --- */

static bool is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* What is left for an attempt, in nanoseconds; 1 when there is nothing: it then times out. */
static uint64_t time_left(const struct performance *performance)
{
    const uint64_t now = clock_monotonic_ns();

    if (performance->deadline_ns == 0)
        return 0;
    return performance->deadline_ns > now ? performance->deadline_ns - now : 1;
}

static int check_redirect(const struct http_request *request, const char *url, unsigned count,
                          struct error *err)
{
    char origin[HTTP_ORIGIN_BYTES];

    if (count >= LIMIT_HTTP_REDIRECTS)
        return error_set(err, ERROR_INVALID, "redirects more than %d times", LIMIT_HTTP_REDIRECTS);
    if (http_url_same_origin(request->url, url))
        return 0;
    http_url_origin(url, origin);
    return error_set(err, ERROR_INVALID, "redirects to another address, %.150s: not followed",
                     origin);
}

static enum http_outcome attempt_once(const struct performance *performance,
                                      struct http_response *response, struct http_advice *advice,
                                      struct error *err)
{
    const struct http_request *request = performance->request;
    char url[LIMIT_URL_BYTES + 1];
    enum http_outcome outcome;

    (void)snprintf(url, sizeof url, "%s", request->url);
    for (unsigned redirects = 0;; redirects++) {
        const struct http_attempt attempt = {.options = &performance->client->options,
                                             .arena = performance->client->arena,
                                             .request = request,
                                             .request_id = performance->request_id,
                                             .url = url,
                                             .timeout_ns = time_left(performance),
                                             .cancel = performance->cancel};

        http_response_clear(response);
        outcome = http_exchange(performance->client->pool, &attempt, response, advice, err);
        if (outcome != HTTP_ANSWERED || request->method != HTTP_GET ||
            !is_redirect(response->status) || advice->redirect_url[0] == '\0')
            return outcome;
        if (check_redirect(request, advice->redirect_url, redirects, err) < 0)
            return HTTP_FAILED;
        (void)snprintf(url, sizeof url, "%s", advice->redirect_url);
    }
}

/* --- attempts --- */

static bool may_repeat(const struct performance *performance, unsigned attempt,
                       enum http_outcome outcome, const struct http_response *response)
{
    if (!performance->request->is_repeatable || attempt >= performance->client->options.retries ||
        response->downloaded > 0)
        return false;
    return outcome == HTTP_BROKEN ||
           (outcome == HTTP_ANSWERED && http_retry_status(response->status));
}

/* 1 when the pause was made, 0 when there is no time for it, -1 when cancelled. */
static int pause_before(const struct performance *performance, unsigned attempt,
                        const struct http_advice *advice, struct error *err)
{
    uint32_t random;
    uint64_t until;

    random_bytes(&random, sizeof random);
    until =
        clock_monotonic_ns() + http_retry_pause_ns(attempt, advice->retry_after_seconds, random);
    if (performance->deadline_ns != 0 && until >= performance->deadline_ns)
        return 0;
    return http_retry_wait(until, performance->cancel, err) < 0 ? -1 : 1;
}

static void log_answer(const struct performance *performance, unsigned attempt,
                       enum http_outcome outcome, const struct http_response *response,
                       const struct error *err)
{
    const struct http_request *request = performance->request;
    const int length = (int)http_url_length_without_query(request->url);

    if (outcome == HTTP_ANSWERED)
        log_debug("%s: %.*s: %d (request %s), attempt %u", request->service, length, request->url,
                  response->status, response->request_id, attempt + 1);
    else
        log_debug("%s: %.*s: %s (request %s), attempt %u", request->service, length, request->url,
                  err->message, performance->request_id, attempt + 1);
}

static void count_retry(struct service_counters *counters)
{
    if (counters != NULL)
        atomic_fetch_add(&counters->retries, 1);
}

static enum http_outcome perform(const struct performance *performance,
                                 struct http_response *response, struct error *err)
{
    for (unsigned attempt = 0;; attempt++) {
        struct http_advice advice = {0};
        const enum http_outcome outcome = attempt_once(performance, response, &advice, err);
        int paused;

        log_answer(performance, attempt, outcome, response, err);
        paused = may_repeat(performance, attempt, outcome, response)
                     ? pause_before(performance, attempt, &advice, err)
                     : 0;
        if (paused < 0)
            return HTTP_STOPPED;
        if (paused == 0)
            return outcome;
        count_retry(performance->client->options.counters);
        *err = (struct error)ERROR_INIT;
    }
}

/* Without random bytes a request has no name, and nothing else is wrong with it. */
static void name_request(struct performance *performance)
{
    char id[UUID_TEXT_BYTES];

    if (uuid_generate(id))
        (void)snprintf(performance->request_id, sizeof performance->request_id, "req-%s", id);
}

/* Programming errors of the clients, found before anything is sent. */
static int check_request(const struct http_request *request, struct error *err)
{
    if (request->upload == NULL)
        return 0;
    if (byte_source_size(request->upload) == BYTE_SOURCE_SIZE_UNKNOWN ||
        byte_source_size(request->upload) > INT64_MAX)
        return error_set(err, ERROR_INVALID, "an upload whose size is not known");
    if (request->is_repeatable && byte_source_is_forward_only(request->upload))
        return error_set(err, ERROR_INVALID, "an upload that cannot be read twice");
    return 0;
}

/* Not what a sink or a source failed with. */
static bool is_about_answer(const struct error *err)
{
    return err->kind == ERROR_INVALID || err->kind == ERROR_TOO_LARGE;
}

int http_perform(struct http_client *client, const struct http_request *request,
                 struct cancel *cancel, struct http_response *response, struct error *err)
{
    const bool is_streamed = request->download != NULL || request->upload != NULL;
    struct performance performance = {.client = client, .request = request, .cancel = cancel};

    if (!is_streamed)
        performance.deadline_ns =
            clock_monotonic_ns() + client->options.request_timeout_seconds * NANOSECONDS_PER_SECOND;
    name_request(&performance);
    http_response_clear(response);
    if (cancel_check(cancel, err) < 0)
        return -1;
    if (http_url_check(request->url, client->options.allow_http, err) < 0 ||
        check_request(request, err) < 0)
        return error_prefix(err, "%s", request->service);
    switch (perform(&performance, response, err)) {
    case HTTP_ANSWERED:
        return 0;
    case HTTP_STOPPED:
        return -1;
    case HTTP_BROKEN:
        (void)error_prefix(err, "%s", request->service);
        (void)http_response_name(response, err);
        return response->request_id[0] != '\0'
                   ? -1
                   : http_error_name_request(err, performance.request_id);
    case HTTP_FAILED:
    default:
        (void)error_prefix(err, "%s", request->service);
        return is_about_answer(err) ? http_response_name(response, err) : -1;
    }
}
