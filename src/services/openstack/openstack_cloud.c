/* SPDX-License-Identifier: Apache-2.0 */
#include "services/openstack/openstack_cloud.h"

#include "services/openstack/barbican.h"
#include "services/openstack/credentials.h"
#include "services/openstack/glance.h"
#include "services/openstack/openstack_session.h"

#include <string.h>
#include <unistd.h>

static int open_session(const char *name, const struct cloud_options *options,
                        struct secure_arena *arena, struct cloud *cloud,
                        struct openstack_session **ret, struct error *err)
{
    const struct openstack_options *openstack = options->openstack;
    CLEANUP(credentials_free) struct credentials *credentials = NULL;
    char *const *environment = options->environment == NULL ? environ : options->environment;

    if (credentials_find(openstack, name, environment, arena, &credentials, err) < 0)
        return -1;
    if (credentials->cafile != NULL && (cloud->cafile = strdup(credentials->cafile)) == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    const struct http_options http = {.cafile = credentials->cafile,
                                      .proxy = openstack->proxy,
                                      .allow_http = openstack->allow_http,
                                      .connect_timeout_seconds = openstack->connect_timeout_seconds,
                                      .stall_timeout_seconds = openstack->stall_timeout_seconds,
                                      .request_timeout_seconds = openstack->request_timeout_seconds,
                                      .retries = openstack->retries,
                                      .counters = &cloud->counters};
    if (openstack_session_new(credentials, &http, arena, ret, err) < 0)
        return -1;
    (void)steal(&credentials);
    return 0;
}

int openstack_cloud_open(const char *name, const struct cloud_options *options,
                         struct secure_arena *arena, struct cloud *cloud, struct error *err)
{
    struct openstack_session *session = NULL;

    if (open_session(name, options, arena, cloud, &session, err) < 0)
        return -1;
    cloud->identity = openstack_session_identity(session);
    if (glance_new(session, &cloud->images, err) < 0)
        return -1;
    return barbican_new(session, arena, &cloud->keys, err);
}
