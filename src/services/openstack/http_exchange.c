/* SPDX-License-Identifier: Apache-2.0 */
#include "services/openstack/http_exchange.h"

#include "base/clock.h"
#include "services/openstack/http_body.h"
#include "services/openstack/http_response.h"
#include "services/openstack/http_url.h"

#include <stdio.h>
#include <string.h>

/* Fewer bytes in a second are a stall. */
#define STALL_BYTES_PER_SECOND 512L
#define POLL_MILLISECONDS 1000
/* Larger than libcurl's defaults: image data comes and goes by the MiB. */
#define TRANSFER_BUFFER_BYTES (256 * 1024L)

DEFINE_CLEANUP(struct curl_slist, curl_slist_free_all)

/* --- what is sent --- */

static bool is_header_text(const char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return false;
    return true;
}

static int append_line(struct curl_slist **list, const char *line, struct error *err)
{
    struct curl_slist *longer = curl_slist_append(*list, line);

    if (longer == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    *list = longer;
    return 0;
}

static int append_header(struct curl_slist **list, const char *name, const char *value,
                         struct error *err)
{
    CLEANUP(memory_free) char *line = NULL;

    if (!is_header_text(value))
        return error_set(err, ERROR_INVALID, "a header %s with control characters", name);
    if (asprintf(&line, "%s: %s", name, value) < 0)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    return append_line(list, line, err);
}

/* libcurl copies the line into its heap, which is wiped. */
static int append_token(struct curl_slist **list, const struct secure_buffer *token,
                        struct secure_arena *arena, struct error *err)
{
    static const char name[] = "X-Auth-Token: ";
    CLEANUP(secure_buffer_free) struct secure_buffer *line = NULL;
    const size_t size = secure_buffer_size(token);

    if (memchr(secure_buffer_bytes(token), '\0', size) != NULL)
        return error_set(err, ERROR_INVALID, "a token with a NUL in it");
    if (secure_buffer_new(arena, sizeof name + size, &line, err) < 0 ||
        secure_buffer_append(line, name, sizeof name - 1, err) < 0 ||
        secure_buffer_append(line, secure_buffer_bytes(token), size, err) < 0 ||
        secure_buffer_append(line, "", 1, err) < 0)
        return -1;
    if (!is_header_text((const char *)secure_buffer_bytes(line)))
        return error_set(err, ERROR_INVALID, "a token with control characters");
    return append_line(list, (const char *)secure_buffer_bytes(line), err);
}

static bool has_body(const struct http_request *request)
{
    return request->body != NULL || request->secret_body != NULL || request->upload != NULL;
}

static int build_headers(const struct http_attempt *attempt, struct curl_slist **ret,
                         struct error *err)
{
    CLEANUP(curl_slist_free_all) struct curl_slist *list = NULL;
    const struct http_request *request = attempt->request;
    const char *type = request->content_type;

    if (type == NULL && has_body(request))
        type = "application/json";
    /* uwsgi never answers Expect: libcurl would wait a second for nothing. */
    if (append_line(&list, "Expect:", err) < 0 ||
        append_header(&list, "Accept",
                      request->accept == NULL ? "application/json" : request->accept, err) < 0)
        return -1;
    if (type == NULL ? append_line(&list, "Content-Type:", err) < 0
                     : append_header(&list, "Content-Type", type, err) < 0)
        return -1;
    for (size_t i = 0; i < request->header_count; i++)
        if (append_header(&list, request->headers[i].name, request->headers[i].value, err) < 0)
            return -1;
    if (*attempt->request_id != '\0' &&
        append_header(&list, "X-OpenStack-Request-ID", attempt->request_id, err) < 0)
        return -1;
    if (request->token != NULL && append_token(&list, request->token, attempt->arena, err) < 0)
        return -1;
    *ret = steal(&list);
    return 0;
}

/* --- options of the handle --- */

/* libcurl's setters fail for want of memory or of a feature; one answer covers all. */
#define set_option(ok, easy, option, value)                                                        \
    ((ok) = (ok) && curl_easy_setopt((easy), (option), (value)) == CURLE_OK)

/* The environment has no say in who is asked through a proxy: not http_proxy, not no_proxy. */
static bool set_proxy(CURL *easy, const struct http_attempt *attempt)
{
    const char *proxy = attempt->options->proxy;
    bool ok = true;

    set_option(ok, easy, CURLOPT_PROXY,
               proxy != NULL && http_url_is_for_proxy(attempt->url) ? proxy : "");
    set_option(ok, easy, CURLOPT_NOPROXY, "");
    /* A refusal by the proxy is none by the service. */
    set_option(ok, easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    return ok;
}

static bool set_security(CURL *easy, const struct http_options *options)
{
    bool ok = true;

    set_option(ok, easy, CURLOPT_PROTOCOLS_STR, "http,https");
    set_option(ok, easy, CURLOPT_FOLLOWLOCATION, 0L);
    set_option(ok, easy, CURLOPT_SSL_VERIFYPEER, 1L);
    set_option(ok, easy, CURLOPT_SSL_VERIFYHOST, 2L);
    set_option(ok, easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (options->cafile != NULL) {
        set_option(ok, easy, CURLOPT_CAINFO, options->cafile);
        set_option(ok, easy, CURLOPT_CAPATH, NULL);
    }
    return ok;
}

static bool set_limits(CURL *easy, const struct http_attempt *attempt)
{
    const struct http_options *options = attempt->options;
    bool ok = true;

    set_option(ok, easy, CURLOPT_NOSIGNAL, 1L);
    set_option(ok, easy, CURLOPT_QUICK_EXIT,
               1L); /* a cancelled one does not wait for the resolver */
    set_option(ok, easy, CURLOPT_CONNECTTIMEOUT_MS, (long)options->connect_timeout_seconds * 1000);
    set_option(ok, easy, CURLOPT_LOW_SPEED_LIMIT, STALL_BYTES_PER_SECOND);
    set_option(ok, easy, CURLOPT_LOW_SPEED_TIME, (long)options->stall_timeout_seconds);
    if (attempt->timeout_ns > 0)
        set_option(ok, easy, CURLOPT_TIMEOUT_MS,
                   (long)(attempt->timeout_ns / NANOSECONDS_PER_MILLISECOND) + 1);
    set_option(ok, easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    set_option(ok, easy, CURLOPT_BUFFERSIZE, TRANSFER_BUFFER_BYTES);
    set_option(ok, easy, CURLOPT_UPLOAD_BUFFERSIZE, TRANSFER_BUFFER_BYTES);
    set_option(ok, easy, CURLOPT_USERAGENT, "glancefs");
    return ok;
}

static const char *method_name(enum http_method method)
{
    static const char *const names[] = {
        [HTTP_GET] = "GET",     [HTTP_POST] = "POST",     [HTTP_PUT] = "PUT",
        [HTTP_PATCH] = "PATCH", [HTTP_DELETE] = "DELETE",
    };

    return names[method];
}

static bool set_body(CURL *easy, const struct http_request *request)
{
    const char *bytes = request->body;
    size_t size = bytes == NULL ? 0 : strlen(bytes);
    bool ok = true;

    if (request->secret_body != NULL) {
        bytes = (const char *)secure_buffer_bytes(request->secret_body);
        size = secure_buffer_size(request->secret_body);
    }
    if (request->upload != NULL) {
        set_option(ok, easy, CURLOPT_UPLOAD, 1L);
        set_option(ok, easy, CURLOPT_INFILESIZE_LARGE,
                   (curl_off_t)byte_source_size(request->upload));
    } else if (request->method != HTTP_GET && (bytes != NULL || request->method != HTTP_DELETE)) {
        set_option(ok, easy, CURLOPT_POST, 1L);
        set_option(ok, easy, CURLOPT_POSTFIELDS, bytes == NULL ? "" : bytes);
        set_option(ok, easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)size);
    }
    set_option(ok, easy, CURLOPT_CUSTOMREQUEST, method_name(request->method));
    return ok;
}

/* A connection that is used again may turn out to be closed, and libcurl then repeats the request by
 * itself; whoever must not send twice gets a new one. */
static bool set_connection(CURL *easy, const struct http_request *request)
{
    bool ok = true;

    set_option(ok, easy, CURLOPT_FRESH_CONNECT, request->is_repeatable ? 0L : 1L);
    set_option(ok, easy, CURLOPT_FORBID_REUSE, http_request_has_secret(request) ? 1L : 0L);
    return ok;
}

static bool set_range(CURL *easy, const struct http_request *request)
{
    char range[32];
    bool ok = true;

    if (request->download == NULL || request->offset == 0 || request->skips_to_offset)
        return true;
    (void)snprintf(range, sizeof range, "%llu-", (unsigned long long)request->offset);
    set_option(ok, easy, CURLOPT_RANGE, range);
    return ok;
}

static int prepare(CURL *easy, const struct http_attempt *attempt, struct http_body *body,
                   struct curl_slist *headers, char *details, struct error *err)
{
    bool ok = set_security(easy, attempt->options) && set_proxy(easy, attempt) &&
              set_limits(easy, attempt) && set_body(easy, attempt->request) &&
              set_connection(easy, attempt->request) && set_range(easy, attempt->request) &&
              http_body_attach(body, easy);

    set_option(ok, easy, CURLOPT_URL, attempt->url);
    set_option(ok, easy, CURLOPT_HTTPHEADER, headers);
    set_option(ok, easy, CURLOPT_ERRORBUFFER, details);
    return ok ? 0 : error_set(err, ERROR_EXHAUSTED, "an HTTP request cannot be prepared");
}

/* --- the transfer --- */

static void wake(void *context)
{
    (void)curl_multi_wakeup(context);
}

/* Until the transfer ended or the caller gave up. */
static CURLMcode drive(CURLM *multi, struct http_body *body)
{
    int running = 1;
    CURLMcode code = curl_multi_perform(multi, &running);

    while (code == CURLM_OK && running > 0 && !cancel_is_requested(body->cancel)) {
        http_body_flush(body);
        if (http_body_has_failed(body))
            break;
        code = curl_multi_poll(multi, NULL, 0, POLL_MILLISECONDS, NULL);
        if (code == CURLM_OK)
            code = curl_multi_perform(multi, &running);
    }
    http_body_flush(body);
    return code;
}

/* CURLE_ABORTED_BY_CALLBACK when it did not end by itself. */
static CURLcode transfer(struct http_handle *handle, struct http_body *body)
{
    struct cancel_listener listener = {.wake = wake, .context = handle->multi};
    CURLcode result = CURLE_ABORTED_BY_CALLBACK;
    const CURLMsg *message;
    int left;

    if (curl_multi_add_handle(handle->multi, handle->easy) != CURLM_OK)
        return CURLE_OUT_OF_MEMORY;
    cancel_listen(body->cancel, &listener);
    (void)drive(handle->multi, body);
    cancel_unlisten(body->cancel, &listener);
    message = curl_multi_info_read(handle->multi, &left);
    if (message != NULL && message->msg == CURLMSG_DONE)
        result = message->data.result;
    (void)curl_multi_remove_handle(handle->multi, handle->easy);
    return result;
}

/* --- what became of it --- */

static enum error_kind kind_of(CURLcode code)
{
    if (code == CURLE_OPERATION_TIMEDOUT)
        return ERROR_TIMEOUT;
    if (code == CURLE_OUT_OF_MEMORY)
        return ERROR_EXHAUSTED;
    if (code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_URL_MALFORMAT ||
        code == CURLE_WEIRD_SERVER_REPLY)
        return ERROR_INVALID;
    return ERROR_UNAVAILABLE;
}

/* A certificate does not become right by asking again; nor does an address. */
static bool may_pass(CURLcode code)
{
    switch ((int)code) {
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_CIPHER:
    case CURLE_OUT_OF_MEMORY:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
    case CURLE_WEIRD_SERVER_REPLY:
        return false;
    default:
        return true;
    }
}

static enum http_outcome judge(CURLcode code, const struct http_attempt *attempt,
                               const struct http_body *body, const char *details, struct error *err)
{
    if (http_body_has_failed(body)) {
        *err = *http_body_error(body);
        return http_body_was_stopped(body) ? HTTP_STOPPED : HTTP_FAILED;
    }
    if (http_body_has_answer(body, code == CURLE_OK))
        return HTTP_ANSWERED;
    if (cancel_check(attempt->cancel, err) < 0)
        return HTTP_STOPPED;
    if (code == CURLE_OK) {
        (void)error_set(err, ERROR_UNAVAILABLE, "the answer ended within its headers");
        return HTTP_BROKEN;
    }
    (void)error_set(err, kind_of(code), "%s",
                    *details != '\0' ? details : curl_easy_strerror(code));
    return may_pass(code) ? HTTP_BROKEN : HTTP_FAILED;
}

static void take_advice(CURL *easy, struct http_advice *advice)
{
    curl_off_t retry_after = 0;
    const char *url = NULL;

    *advice = (struct http_advice){0};
    if (curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &retry_after) == CURLE_OK && retry_after > 0)
        advice->retry_after_seconds = (uint64_t)retry_after;
    if (curl_easy_getinfo(easy, CURLINFO_REDIRECT_URL, &url) == CURLE_OK && url != NULL &&
        strlen(url) < sizeof advice->redirect_url)
        (void)snprintf(advice->redirect_url, sizeof advice->redirect_url, "%s", url);
}

enum http_outcome http_exchange(struct http_pool *pool, const struct http_attempt *attempt,
                                struct http_response *response, struct http_advice *ret,
                                struct error *err)
{
    CLEANUP(curl_slist_free_all) struct curl_slist *headers = NULL;
    CLEANUP(http_body_clear)
    struct http_body body =
        http_body_of(attempt->request, response, attempt->arena, attempt->cancel);
    char details[CURL_ERROR_SIZE] = "";
    enum http_outcome outcome = HTTP_FAILED;
    struct http_handle *handle;

    if (build_headers(attempt, &headers, err) < 0 || http_pool_take(pool, &handle, err) < 0)
        return HTTP_FAILED;
    if (prepare(handle->easy, attempt, &body, headers, details, err) == 0) {
        const CURLcode code = transfer(handle, &body);

        take_advice(handle->easy, ret);
        outcome = judge(code, attempt, &body, details, err);
    }
    http_pool_give(pool, handle, http_request_has_secret(attempt->request));
    return outcome;
}
