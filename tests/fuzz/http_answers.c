/* SPDX-License-Identifier: Apache-2.0 */
#include "http_answers.h"

#include "fuzz_main.h"
#include "glancefs/byte_cursor.h"
#include "glancefs/limits.h"
#include "planted_secret.h"

#include <stdio.h>
#include <string.h>

#define END_OF_ANSWER 0xff
#define BREAK 0xfe

int __wrap_http_perform(struct http_client *client, const struct http_request *request,
                        struct cancel *cancel, struct http_response *response, struct error *err);

/* The input, one answer after another. */
static struct {
    struct byte_cursor rest;
    http_answers_watch *watch;
    unsigned count;
    bool is_discreet;
} answers;

void http_answers_begin(const uint8_t *data, size_t size, http_answers_watch *watch)
{
    answers.rest = byte_cursor_over(data, size);
    answers.watch = watch;
    answers.count = 0;
    answers.is_discreet = true;
}

bool http_answers_are_discreet(void)
{
    return answers.is_discreet;
}

unsigned http_answers_count(void)
{
    return answers.count;
}

/* The bytes up to `end`, or all that are left. */
static struct byte_cursor take_until(struct byte_cursor *from, uint8_t end)
{
    const uint8_t *start = from->bytes + from->position;
    const size_t left = byte_cursor_remaining(from);
    const uint8_t *found = left == 0 ? NULL : memchr(start, end, left);
    const size_t size = found == NULL ? left : (size_t)(found - start);

    from->position += size + (found != NULL);
    return byte_cursor_over(start, size);
}

/* "201", "404 req-1". */
static void read_line(const struct byte_cursor *line, struct http_response *response)
{
    char text[128];

    (void)snprintf(text, sizeof text, "%.*s", (int)line->size, (const char *)line->bytes);
    response->status = (int)(strtoul(text, NULL, 10) % 1000);
    if (response->status < 200 || response->status > 599)
        response->status = 200 + response->status % 400;
    if (text[strcspn(text, " ")] == ' ')
        (void)snprintf(response->request_id, sizeof response->request_id, "%.40s",
                       text + strcspn(text, " ") + 1);
    for (char *next = response->request_id; *next != '\0'; next++)
        if (*next <= ' ' || *next > '~')
            *next = '?';
}

static int keep_secret(const struct byte_cursor *body, struct http_response *response,
                       struct error *err)
{
    if (secure_buffer_new(fuzz_arena(), LIMIT_SECRET_BYTES, &response->secret, err) < 0)
        return -1;
    return secure_buffer_append(response->secret, body->bytes, body->size, err);
}

static void keep(const struct byte_cursor *body, struct http_response *response)
{
    if (body->size == 0)
        return;
    response->body = malloc(body->size + 1);
    FUZZ_ASSERT(response->body != NULL);
    memcpy(response->body, body->bytes, body->size);
    response->body[body->size] = '\0';
    response->body_size = body->size;
}

/* Keystone's tokens come in a header. */
static int keep_token(const struct http_request *request, struct http_response *response,
                      struct error *err)
{
    if (request->secret_body == NULL || response->status != 201)
        return 0;
    return secure_buffer_copy_of(fuzz_arena(), PLANTED_SECRET, sizeof PLANTED_SECRET - 1,
                                 &response->subject_token, err);
}

static int deliver(const struct http_request *request, const struct byte_cursor *body,
                   struct http_response *response, struct error *err)
{
    const size_t skipped = response->status == 200 ? request->offset : 0;

    if (body->size <= skipped)
        return 0;
    response->downloaded = body->size - skipped;
    return byte_sink_write(request->download, body->bytes + skipped, body->size - skipped, NULL,
                           err);
}

static int take_body(const struct http_request *request, const struct byte_cursor *body,
                     struct http_response *response, struct error *err)
{
    const size_t limit = request->answer_limit == 0 ? LIMIT_RECORD_BYTES : request->answer_limit;

    if (request->download != NULL && (response->status == 200 || response->status == 206))
        return deliver(request, body, response, err);
    if (body->size > limit)
        return error_set(err, ERROR_TOO_LARGE, "%s: too much", request->service);
    if (request->has_secret_answer && response->status < 300)
        return keep_secret(body, response, err);
    keep(body, response);
    answers.is_discreet =
        answers.is_discreet &&
        (response->is_quiet || planted_secret_count(body->bytes, body->size) == 0);
    return keep_token(request, response, err);
}

/* True when the body ends with BREAK, which goes. */
static bool is_broken(struct byte_cursor *body)
{
    const bool is_broken = body->size > 0 && body->bytes[body->size - 1] == BREAK;

    body->size -= is_broken;
    return is_broken;
}

int __wrap_http_perform(struct http_client *client, const struct http_request *request,
                        struct cancel *cancel, struct http_response *response, struct error *err)
{
    struct byte_cursor line, body;
    bool breaks;

    (void)client, (void)cancel;
    http_response_clear(response);
    if (answers.watch != NULL)
        answers.watch(request);
    if (byte_cursor_remaining(&answers.rest) == 0)
        return error_set(err, ERROR_UNAVAILABLE, "%s: no answer", request->service);
    answers.count++;
    body = take_until(&answers.rest, END_OF_ANSWER);
    line = take_until(&body, '\n');
    body = byte_cursor_over(body.bytes + body.position, byte_cursor_remaining(&body));
    breaks = is_broken(&body);
    read_line(&line, response);
    response->is_quiet = request->secret_body != NULL;
    answers.is_discreet = answers.is_discreet && planted_secret_count(line.bytes, line.size) == 0;
    if (take_body(request, &body, response, err) < 0)
        return -1;
    return breaks ? error_set(err, ERROR_UNAVAILABLE, "%s: it broke", request->service) : 0;
}

static struct credentials *password_credentials(void)
{
    static const char *const settings[][2] = {
        {"auth_url", "https://keystone"},
        {"username", "demo"},
        {"password", PLANTED_SECRET},
        {"project_name", "demo"},
        {"interface", "public"},
        {"image_endpoint_override", "https://glance"},
        {"key_manager_endpoint_override", "https://barbican"},
    };
    CLEANUP(credentials_free) struct credentials *credentials = NULL;
    struct error err = ERROR_INIT;

    if (credentials_new(&credentials, &err) < 0)
        return NULL;
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++)
        if (credentials_set(credentials, settings[i][0], settings[i][1], fuzz_arena(), &err) < 0)
            return NULL;
    return steal(&credentials);
}

struct openstack_session *http_answers_session(void)
{
    const struct http_options options = {
        .connect_timeout_seconds = 1, .stall_timeout_seconds = 1, .request_timeout_seconds = 1};
    CLEANUP(credentials_free) struct credentials *credentials = password_credentials();
    struct openstack_session *session = NULL;
    struct error err = ERROR_INIT;

    if (credentials == NULL ||
        openstack_session_new(credentials, &options, fuzz_arena(), &session, &err) < 0)
        return NULL;
    (void)steal(&credentials);
    return session;
}
