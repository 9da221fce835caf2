/* SPDX-License-Identifier: Apache-2.0 */
/* Where services are: the catalog in a token (Identity API v3, "Service catalog and endpoints"). */
#ifndef SERVICES_OPENSTACK_SERVICE_CATALOG_H
#define SERVICES_OPENSTACK_SERVICE_CATALOG_H

#include "glancefs/error.h"

#include <json-c/json_object.h>

/**
 * The URL of the service with this type ("image"), interface ("public") and region (NULL: the first
 * that fits), without a version or slash at its end; the caller frees it. NULL when the catalog has
 * none or makes no sense. ERROR_EXHAUSTED when memory is short.
 */
int service_catalog_find(struct json_object *catalog, const char *type, const char *interface,
                         const char *region, char **ret, struct error *err);

/** The region of the endpoint that service_catalog_find finds; NULL when it names none, or there is no
 *  such endpoint. Borrowed from `catalog`. */
const char *service_catalog_region(struct json_object *catalog, const char *type,
                                   const char *interface, const char *region);

/** A copy of `url` without what stands for its version ("/v2", "/v1/", "/v3", "/v2.0") and without
 *  slashes at its end; NULL when memory is short. */
char *service_catalog_base_url(const char *url);

#endif
