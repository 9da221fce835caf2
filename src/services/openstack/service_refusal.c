/* SPDX-License-Identifier: Apache-2.0 */
#include "services/openstack/service_refusal.h"

#include "services/json_document.h"

#include <json-c/json_object.h>

bool service_refusal_is_genuine(const struct http_response *response)
{
    CLEANUP(json_object_put) struct json_object *document = NULL;
    struct error ignored = ERROR_INIT;

    if (response->request_id[0] != '\0')
        return true;
    return response->body != NULL &&
           json_document_parse(response->body, response->body_size, &document, &ignored) == 0 &&
           json_object_object_get_ex(document, "code", NULL);
}

static bool is_anybodys(int status)
{
    return status == 401 || status == 408 || status == 413 || status == 429 || status >= 500;
}

int service_refusal(const struct http_response *response, const char *service, struct error *err)
{
    (void)http_response_error(response, service, err);
    if (is_anybodys(response->status) || service_refusal_is_genuine(response))
        return -1;
    return error_set(err, ERROR_UNAVAILABLE,
                     "something before %s answered %d: these are not the words of %s", service,
                     response->status, service);
}
