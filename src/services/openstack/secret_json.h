/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON (RFC 8259) with a secret in it, written straight into locked memory: a JSON library would
 * keep copies in its heap.
 */
#ifndef SERVICES_OPENSTACK_SECRET_JSON_H
#define SERVICES_OPENSTACK_SECRET_JSON_H

#include "glancefs/error.h"
#include "glancefs/secure_buffer.h"

#include <stddef.h>

/** Appends JSON text as it is: braces, commas, names. ERROR_TOO_LARGE over the buffer's capacity. */
int secret_json_append(struct secure_buffer *json, const char *text, struct error *err);

/** Appends a string in quotes, escaped. The bytes should be UTF-8; they are not checked. */
int secret_json_append_string(struct secure_buffer *json, const void *bytes, size_t size,
                              struct error *err);

/** Bytes that hold any string of `size` bytes, quoted and escaped. */
size_t secret_json_string_size(size_t size);

#endif
