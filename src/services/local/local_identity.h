/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The identity of a local cloud. It has one tenant, whose project id is empty unless the optional
 * file `identity.json` in the cloud's directory names one: {"project_id": "...", "user": "..."}.
 */
#ifndef SERVICES_LOCAL_LOCAL_IDENTITY_H
#define SERVICES_LOCAL_LOCAL_IDENTITY_H

#include "glancefs/identity_service.h"

/** The identity service of the local cloud at `path`. */
int local_identity_new(const char *path, struct identity_service **ret, struct error *err);

/**
 * Reads `identity.json` below descriptor `root_fd`. ERROR_INVALID when it is no JSON, or a member
 * is no string or too long for struct identity. Any thread.
 */
int local_identity_read(int root_fd, struct identity *ret, struct error *err);

#endif
