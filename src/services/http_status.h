/* SPDX-License-Identifier: Apache-2.0 */
/* What an HTTP status of a service means to us (RFC 9110 section 15). */
#ifndef SERVICES_HTTP_STATUS_H
#define SERVICES_HTTP_STATUS_H

#include "glancefs/error.h"

/**
 * The error kind of a status from 400 on: 401 ERROR_LOGIN, 403 ERROR_DENIED, 404 and 410
 * ERROR_NOT_FOUND, 408 ERROR_TIMEOUT, 409 ERROR_EXISTS, 413 ERROR_TOO_LARGE, 429 and all from 500 on
 * ERROR_UNAVAILABLE, every other 4xx ERROR_INVALID.
 */
enum error_kind http_status_error_kind(int status);

#endif
