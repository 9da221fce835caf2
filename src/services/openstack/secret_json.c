/* SPDX-License-Identifier: Apache-2.0 */
#include "services/openstack/secret_json.h"

#include <string.h>

/* "\u001f": the longest an octet becomes. */
#define ESCAPED_BYTES 6U

int secret_json_append(struct secure_buffer *json, const char *text, struct error *err)
{
    return secure_buffer_append(json, text, strlen(text), err);
}

static int append_octet(struct secure_buffer *json, uint8_t octet, struct error *err)
{
    static const char digits[] = "0123456789abcdef";
    const char escaped[ESCAPED_BYTES] = {
        '\\', 'u', '0', '0', digits[octet >> 4], digits[octet & 0xf]};

    if (octet < ' ')
        return secure_buffer_append(json, escaped, sizeof escaped, err);
    if ((octet == '"' || octet == '\\') && secure_buffer_append(json, "\\", 1, err) < 0)
        return -1;
    return secure_buffer_append(json, &octet, 1, err);
}

int secret_json_append_string(struct secure_buffer *json, const void *bytes, size_t size,
                              struct error *err)
{
    const uint8_t *octets = bytes;

    if (secure_buffer_append(json, "\"", 1, err) < 0)
        return -1;
    for (size_t i = 0; i < size; i++)
        if (append_octet(json, octets[i], err) < 0)
            return -1;
    return secure_buffer_append(json, "\"", 1, err);
}

size_t secret_json_string_size(size_t size)
{
    return size * ESCAPED_BYTES + 2;
}
