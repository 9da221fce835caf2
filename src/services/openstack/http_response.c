/* SPDX-License-Identifier: Apache-2.0 */
#include "services/openstack/http_response.h"

#include "glancefs/limits.h"
#include "services/http_status.h"
#include "services/json_document.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define REASON_BYTES 140

void http_response_clear(struct http_response *response)
{
    free(response->body);
    secure_buffer_free(response->secret);
    secure_buffer_free(response->subject_token);
    *response = (struct http_response)HTTP_RESPONSE_INIT;
}

/* --- head --- */

/* The value of the header `name` in `line`, without white space around it; NULL for another one. */
static const char *header_value(const char *name, const char *line, size_t size, size_t *ret_size)
{
    const size_t length = strlen(name);
    size_t start = length + 1;

    if (size < start || line[length] != ':' || strncasecmp(line, name, length) != 0)
        return NULL;
    while (start < size && (line[start] == ' ' || line[start] == '\t'))
        start++;
    while (size > start && strchr(" \t\r\n", line[size - 1]) != NULL)
        size--;
    *ret_size = size - start;
    return line + start;
}

static bool is_visible(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (text[i] <= ' ' || text[i] > '~')
            return false;
    return true;
}

/* Keeps a value for messages or comparison; one that does not fit, or is no plain text, is not. */
static void keep_text(char *out, size_t capacity, const char *value, size_t size)
{
    if (size < capacity && is_visible(value, size))
        (void)snprintf(out, capacity, "%.*s", (int)size, value);
}

static int keep_token(struct http_response *response, struct secure_arena *arena, const char *value,
                      size_t size, struct error *err)
{
    if (size == 0 || size > LIMIT_TOKEN_BYTES || !is_visible(value, size))
        return error_set(err, ERROR_INVALID, "a token that is none");
    secure_buffer_free(steal(&response->subject_token));
    return secure_buffer_copy_of(arena, value, size, &response->subject_token, err);
}

static bool take_number(const char **text, uint64_t *ret)
{
    char *end;

    if (**text < '0' || **text > '9')
        return false;
    errno = 0;
    *ret = strtoull(*text, &end, 10);
    *text = end;
    return errno == 0;
}

/* "bytes 100-199/1000", or with a star for the size (RFC 9110 section 14.4). */
static void keep_range(struct http_head *head, const char *value, size_t size)
{
    static const char unit[] = "bytes ";
    char text[80];
    const char *rest = text + sizeof unit - 1;
    uint64_t first, last;

    if (size >= sizeof text)
        return;
    (void)snprintf(text, sizeof text, "%.*s", (int)size, value);
    if (strncasecmp(text, unit, sizeof unit - 1) != 0 || !take_number(&rest, &first) ||
        *rest++ != '-' || !take_number(&rest, &last) || *rest != '/' || last < first)
        return;
    head->has_range = true;
    head->range_start = first;
}

/* "HTTP/1.1 200 OK": 200; 0 for a line that libcurl takes, but that has no such number. */
static int status_of(const char *line, size_t size)
{
    const char *space = memchr(line, ' ', size);
    int status = 0;

    if (space == NULL)
        return 0;
    for (const char *digit = space + 1; digit < line + size && digit < space + 4; digit++) {
        if (*digit < '0' || *digit > '9')
            return 0;
        status = status * 10 + (*digit - '0');
    }
    return status >= 100 ? status : 0;
}

static int start_anew(struct http_response *response, struct http_head *head, const char *line,
                      size_t size, struct error *err)
{
    *head = (struct http_head){.bytes = head->bytes};
    secure_buffer_free(steal(&response->subject_token));
    response->request_id[0] = response->content_type[0] = '\0';
    response->status = status_of(line, size);
    return response->status > 0 ? 0 : error_set(err, ERROR_INVALID, "answered without a status");
}

static size_t length_without_parameters(const char *value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (value[i] == ';' || value[i] == ' ')
            return i;
    return size;
}

int http_response_take_line(struct http_response *response, struct http_head *head,
                            struct secure_arena *arena, const char *line, size_t size,
                            struct error *err)
{
    const char *value;
    size_t length;

    head->bytes += size;
    if (head->bytes > HTTP_HEAD_LIMIT_BYTES)
        return error_set(err, ERROR_TOO_LARGE, "answered with endless headers");
    if (size > 5 && strncasecmp(line, "HTTP/", 5) == 0) /* in any case, as libcurl has it */
        return start_anew(response, head, line, size, err);
    if ((value = header_value("X-Subject-Token", line, size, &length)) != NULL)
        return keep_token(response, arena, value, length, err);
    if ((value = header_value("x-openstack-request-id", line, size, &length)) != NULL)
        keep_text(response->request_id, sizeof response->request_id, value, length);
    else if ((value = header_value("Content-Range", line, size, &length)) != NULL)
        keep_range(head, value, length);
    else if ((value = header_value("Content-Type", line, size, &length)) != NULL)
        keep_text(response->content_type, sizeof response->content_type, value,
                  length_without_parameters(value, length));
    return 0;
}

/* --- refusals --- */

/* Keystone and its middleware: error.message; Glance: message; Barbican: description, else title. */
static const char *find_reason(struct json_object *document)
{
    static const char *const names[] = {"message", "description", "title"};
    struct json_object *inner = json_object_object_get(document, "error");
    const char *reason = json_document_find_text(inner, "message");

    for (size_t i = 0; reason == NULL && i < sizeof names / sizeof names[0]; i++)
        reason = json_document_find_text(document, names[i]);
    return reason;
}

/* One line of plain text: Glance puts <br /> into its JSON. Cut between characters. */
static void copy_reason(char out[REASON_BYTES], const char *reason)
{
    size_t length = 0;

    while (*reason != '\0' && length < REASON_BYTES - 1) {
        if (strncmp(reason, "<br />", 6) == 0)
            reason += 6;
        else if ((unsigned char)*reason <= ' ' || *reason == 0x7f) {
            if (length > 0 && out[length - 1] != ' ')
                out[length++] = ' ';
            reason++;
        } else
            out[length++] = *reason++;
    }
    if (*reason != '\0')
        while (length > 0 && ((unsigned char)out[length - 1] & 0x80) != 0)
            length--;
    while (length > 0 && out[length - 1] == ' ')
        length--;
    out[length] = '\0';
}

/* What the service says about its refusal; empty when it may not be quoted or says nothing. */
static void read_reason(const struct http_response *response, char out[REASON_BYTES])
{
    CLEANUP(json_object_put) struct json_object *document = NULL;
    struct error ignored = ERROR_INIT;
    const char *reason;

    out[0] = '\0';
    if (response->is_quiet || response->body == NULL ||
        json_document_parse(response->body, response->body_size, &document, &ignored) < 0)
        return;
    reason = find_reason(document);
    if (reason != NULL)
        copy_reason(out, reason);
}

int http_response_error(const struct http_response *response, const char *service,
                        struct error *err)
{
    const bool has_id = response->request_id[0] != '\0';
    char reason[REASON_BYTES];

    read_reason(response, reason);
    /* The reason comes last: where a message is too long, that is what is cut. */
    return error_set(err, http_status_error_kind(response->status), "%s answered %d%s%s%s%s%s",
                     service, response->status, has_id ? " (request " : "", response->request_id,
                     has_id ? ")" : "", *reason == '\0' ? "" : ": ", reason);
}

int http_response_name(const struct http_response *response, struct error *err)
{
    return http_error_name_request(err, response->request_id);
}

int http_error_name_request(struct error *err, const char *request_id)
{
    char suffix[HTTP_NAMED_REQUEST_BYTES + sizeof " (request )"];
    size_t length = strlen(err->message);
    size_t size;

    if (*request_id == '\0' || strstr(err->message, request_id) != NULL)
        return -1;
    size = (size_t)snprintf(suffix, sizeof suffix, " (request %s)", request_id);
    if (length + size >= sizeof err->message)
        length = sizeof err->message - size - 1;
    while (length > 0 && ((unsigned char)err->message[length] & 0xc0) == 0x80)
        length--;
    (void)memcpy(err->message + length, suffix, size + 1);
    return -1;
}

int http_response_check(const struct http_response *response, const char *service,
                        struct error *err)
{
    if (response->status >= 200 && response->status <= 299)
        return 0;
    return http_response_error(response, service, err);
}
