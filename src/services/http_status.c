/* SPDX-License-Identifier: Apache-2.0 */
#include "services/http_status.h"

enum error_kind http_status_error_kind(int status)
{
    switch (status) {
    case 401:
        return ERROR_LOGIN;
    case 403:
        return ERROR_DENIED;
    case 404:
    case 410:
        return ERROR_NOT_FOUND;
    case 408:
        return ERROR_TIMEOUT;
    case 409:
        return ERROR_EXISTS;
    case 413:
        return ERROR_TOO_LARGE;
    case 429:
        return ERROR_UNAVAILABLE;
    default:
        return status >= 500 ? ERROR_UNAVAILABLE : ERROR_INVALID;
    }
}
