/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose refusal an answer is. What stands before a service (a load balancer that lost its backend, a
 * firewall, a catalog that leads elsewhere) answers 404 or 403 as well, of which the image or the
 * secret knows nothing. A service signs its answers: by x-openstack-request-id, or in JSON with a
 * "code", as Glance and Barbican write it.
 */
#ifndef SERVICES_OPENSTACK_SERVICE_REFUSAL_H
#define SERVICES_OPENSTACK_SERVICE_REFUSAL_H

#include "services/openstack/http.h"

/** True when the answer bears the mark of an OpenStack service. Any thread. */
bool service_refusal_is_genuine(const struct http_response *response);

/**
 * Fills *err for an answer that is no success, and returns -1: as http_response_error, but
 * ERROR_UNAVAILABLE for one that is not the service's own. The statuses that mean the same from
 * whomever they come keep their kinds: 401, 408, 413, 429 and all from 500 on.
 */
int service_refusal(const struct http_response *response, const char *service, struct error *err);

#endif
