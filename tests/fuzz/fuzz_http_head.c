/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Heads of HTTP answers, line by line, without libcurl before them, and then what is made of a
 * refusal: everything behind the empty line is its body.
 */
#include "fuzz_main.h"
#include "glancefs/limits.h"
#include "services/openstack/http_response.h"
#include "services/openstack/service_refusal.h"

#include <stdlib.h>
#include <string.h>

static void assert_visible(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        FUZZ_ASSERT(text[i] > ' ' && text[i] <= '~');
}

static void assert_response(const struct http_response *response, const struct http_head *head)
{
    const struct secure_buffer *token = response->subject_token;

    FUZZ_ASSERT(response->status >= 0 && response->status <= 999);
    FUZZ_ASSERT(head->bytes <= HTTP_HEAD_LIMIT_BYTES);
    FUZZ_ASSERT(strlen(response->request_id) < sizeof response->request_id);
    FUZZ_ASSERT(strlen(response->content_type) < sizeof response->content_type);
    assert_visible(response->request_id, strlen(response->request_id));
    assert_visible(response->content_type, strlen(response->content_type));
    if (token == NULL)
        return;
    FUZZ_ASSERT(secure_buffer_size(token) <= LIMIT_TOKEN_BYTES && secure_buffer_size(token) > 0);
    assert_visible((const char *)secure_buffer_bytes(token), secure_buffer_size(token));
}

/* The next line with its line feed; 0 at the empty one and at the end. */
static size_t line_size(const uint8_t *data, size_t size)
{
    const uint8_t *end = size == 0 ? NULL : memchr(data, '\n', size);
    const size_t length = end == NULL ? size : (size_t)(end - data) + 1;

    return length <= 2 && (length == 0 || data[0] == '\r' || data[0] == '\n') ? 0 : length;
}

/* Steps over the head. */
static int take_head(struct http_response *response, const uint8_t **data, size_t *size,
                     struct error *err)
{
    struct http_head head = {0};
    size_t length;

    while ((length = line_size(*data, *size)) > 0) {
        if (http_response_take_line(response, &head, fuzz_arena(), (const char *)*data, length,
                                    err) < 0)
            return -1;
        assert_response(response, &head);
        *data += length;
        *size -= length;
    }
    return 0;
}

static void refuse(struct http_response *response, const uint8_t *data, size_t size)
{
    struct error err = ERROR_INIT;

    response->body = malloc(size + 1);
    FUZZ_ASSERT(response->body != NULL);
    memcpy(response->body, data, size);
    response->body[size] = '\0';
    response->body_size = size;
    if (http_response_check(response, "Glance", &err) < 0)
        fuzz_assert_plain(&err);
    (void)service_refusal(response, "Glance", &err);
    FUZZ_ASSERT(error_is_set(&err));
    fuzz_assert_plain(&err);
}

void fuzz_one(const uint8_t *data, size_t size)
{
    CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
    struct error err = ERROR_INIT;

    if (take_head(&response, &data, &size, &err) < 0)
        fuzz_assert_plain(&err);
    else if (size > 0)
        refuse(&response, data, size);
}
