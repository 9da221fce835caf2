/* SPDX-License-Identifier: Apache-2.0 */
/* The cloud behind `openstack[:NAME]`: one session, and the clients that stand on it. */
#ifndef SERVICES_OPENSTACK_OPENSTACK_CLOUD_H
#define SERVICES_OPENSTACK_OPENSTACK_CLOUD_H

#include "glancefs/cloud.h"

/**
 * Fills the services of `cloud`; what is there on failure is freed by its owner. `name` is an entry
 * of clouds.yaml or NULL. Nothing is asked of the services yet. Errors of credentials_find.
 */
int openstack_cloud_open(const char *name, const struct cloud_options *options,
                         struct secure_arena *arena, struct cloud *cloud, struct error *err);

#endif
