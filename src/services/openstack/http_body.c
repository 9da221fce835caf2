/* SPDX-License-Identifier: Apache-2.0 */
#include "services/openstack/http_body.h"

#include "glancefs/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of a refusal that are read; a sentence is looked for in them. */
#define REFUSAL_BYTES (16 * KIB)
/* What a write callback gives to end the transfer. */
#define STOP CURL_WRITEFUNC_ERROR

bool http_request_has_secret(const struct http_request *request)
{
    return request->secret_body != NULL || request->has_secret_answer;
}

struct http_body http_body_of(const struct http_request *request, struct http_response *response,
                              struct secure_arena *arena, struct cancel *cancel)
{
    response->is_quiet = request->secret_body != NULL;
    return (struct http_body){
        .request = request, .response = response, .arena = arena, .cancel = cancel};
}

void http_body_clear(struct http_body *body)
{
    free(body->gathered);
    body->gathered = NULL;
}

bool http_body_has_failed(const struct http_body *body)
{
    return error_is_set(&body->error);
}

const struct error *http_body_error(const struct http_body *body)
{
    return &body->error;
}

bool http_body_was_stopped(const struct http_body *body)
{
    return body->was_stopped;
}

bool http_body_has_answer(const struct http_body *body, bool has_ended)
{
    return body->head.is_whole && (has_ended || body->response->status >= 400);
}

/* --- answers --- */

static bool is_success(const struct http_body *body)
{
    return body->response->status >= 200 && body->response->status <= 299;
}

static bool is_download(const struct http_body *body)
{
    return body->request->download != NULL &&
           (body->response->status == 200 || body->response->status == 206);
}

static size_t answer_limit(const struct http_body *body)
{
    if (!is_success(body))
        return REFUSAL_BYTES;
    return body->request->answer_limit == 0 ? LIMIT_RECORD_BYTES : body->request->answer_limit;
}

static int give_to_sink(struct http_body *body, const void *bytes, size_t size)
{
    body->was_stopped =
        byte_sink_write(body->request->download, bytes, size, body->cancel, &body->error) < 0;
    if (body->was_stopped)
        return -1;
    body->response->downloaded += size;
    return 0;
}

static int flush(struct http_body *body)
{
    const size_t size = body->gathered_size;

    body->gathered_size = 0;
    return size == 0 ? 0 : give_to_sink(body, body->gathered, size);
}

void http_body_flush(struct http_body *body)
{
    if (!http_body_has_failed(body))
        (void)flush(body);
}

/* Without memory for it the sink takes each piece as it comes. */
static int gather(struct http_body *body, const char *bytes, size_t size)
{
    if (body->gathered == NULL)
        body->gathered = malloc(HTTP_GATHERED_BYTES);
    if (body->gathered_size + size > HTTP_GATHERED_BYTES && flush(body) < 0)
        return -1;
    if (body->gathered == NULL || size > HTTP_GATHERED_BYTES)
        return give_to_sink(body, bytes, size);
    memcpy(body->gathered + body->gathered_size, bytes, size);
    body->gathered_size += size;
    return body->gathered_size == HTTP_GATHERED_BYTES ? flush(body) : 0;
}

static int deliver(struct http_body *body, const char *bytes, size_t size)
{
    if (body->response->status == 200 && body->skipped < body->request->offset) {
        const uint64_t rest = body->request->offset - body->skipped;
        const size_t skip = rest < size ? (size_t)rest : size;

        body->skipped += skip;
        bytes += skip;
        size -= skip;
    }
    return cancel_check(body->cancel, &body->error) < 0 ? -1 : gather(body, bytes, size);
}

static int too_large(struct http_body *body)
{
    return error_set(&body->error, ERROR_TOO_LARGE, "answered with more than %zu bytes",
                     answer_limit(body));
}

static int keep_secret(struct http_body *body, const char *bytes, size_t size)
{
    struct http_response *response = body->response;

    if (size > answer_limit(body) - secure_buffer_size(response->secret))
        return too_large(body);
    return secure_buffer_append(response->secret, bytes, size, &body->error);
}

static int reserve(struct http_body *body, size_t size)
{
    size_t capacity = body->capacity == 0 ? 4096 : body->capacity;
    char *larger;

    if (size < body->capacity)
        return 0;
    while (capacity <= size)
        capacity *= 2;
    larger = realloc(body->response->body, capacity);
    if (larger == NULL)
        return error_set(&body->error, ERROR_EXHAUSTED, "out of memory");
    body->response->body = larger;
    body->capacity = capacity;
    return 0;
}

static int keep(struct http_body *body, const char *bytes, size_t size)
{
    struct http_response *response = body->response;
    const size_t room = answer_limit(body) - response->body_size;

    if (size > room) {
        body->dropped += size - room;
        if (is_success(body) || body->dropped > LIMIT_RECORD_BYTES)
            return too_large(body);
        /* libcurl tells where a redirect leads only when it has come to its end. */
        body->has_enough = body->response->status >= 400;
        size = room;
    }
    if (reserve(body, response->body_size + size) < 0)
        return -1;
    memcpy(response->body + response->body_size, bytes, size);
    response->body_size += size;
    response->body[response->body_size] = '\0';
    return 0;
}

static size_t take_body(char *bytes, size_t one, size_t size, void *context)
{
    struct http_body *body = context;
    int result;

    (void)one;
    if (is_download(body))
        result = deliver(body, bytes, size);
    else if (body->request->has_secret_answer && is_success(body))
        result = keep_secret(body, bytes, size);
    else
        result = keep(body, bytes, size);
    return result < 0 || body->has_enough ? STOP : size;
}

/* The whole head is there: does the body that follows start where we asked it to? */
static int check_head(struct http_body *body)
{
    if (body->response->status == 206 && is_download(body) &&
        (!body->head.has_range || body->head.range_start != body->request->offset))
        return error_set(&body->error, ERROR_INVALID, "answered with another range than asked for");
    if (body->request->has_secret_answer && is_success(body) && body->response->secret == NULL)
        return secure_buffer_new(body->arena, answer_limit(body), &body->response->secret,
                                 &body->error);
    return 0;
}

/* Whatever begins like the empty line ends the head for libcurl: what comes next is the body. */
static size_t take_head(char *line, size_t one, size_t size, void *context)
{
    struct http_body *body = context;
    const bool is_end = size > 0 && (line[0] == '\r' || line[0] == '\n');

    (void)one;
    if (is_end) {
        body->head.is_whole = true;
        return check_head(body) < 0 ? STOP : size;
    }
    return http_response_take_line(body->response, &body->head, body->arena, line, size,
                                   &body->error) < 0
               ? STOP
               : size;
}

/* --- uploads --- */

static size_t give_body(char *buffer, size_t one, size_t size, void *context)
{
    struct http_body *body = context;
    const uint64_t total = byte_source_size(body->request->upload);
    const uint64_t left = total - body->upload_position;
    const size_t wanted = left < size ? (size_t)left : size;
    size_t got = 0;

    (void)one;
    if (wanted == 0)
        return 0;
    body->was_stopped =
        byte_source_pread(body->request->upload, buffer, wanted, body->upload_position,
                          body->cancel, &got, &body->error) < 0;
    if (body->was_stopped)
        return CURL_READFUNC_ABORT;
    if (got < wanted) {
        (void)error_set(&body->error, ERROR_CORRUPT, "what is uploaded ends at byte %llu of %llu",
                        (unsigned long long)(body->upload_position + got),
                        (unsigned long long)total);
        return CURL_READFUNC_ABORT;
    }
    body->upload_position += got;
    return got;
}

/* libcurl starts over on a new connection when a kept one turned out to be closed. */
static int seek_body(void *context, curl_off_t offset, int origin)
{
    struct http_body *body = context;

    if (origin != SEEK_SET || offset < 0)
        return CURL_SEEKFUNC_FAIL;
    body->upload_position = (uint64_t)offset;
    return CURL_SEEKFUNC_OK;
}

bool http_body_attach(struct http_body *body, CURL *easy)
{
    return curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEDATA, body) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_head) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HEADERDATA, body) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_READFUNCTION, give_body) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_READDATA, body) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, seek_body) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SEEKDATA, body) == CURLE_OK;
}
