/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The identity service (Keystone v3): who we are. One cloud holds one identity, and an identity
 * is one project; nothing is ever shared between two of them.
 */
#ifndef GLANCEFS_IDENTITY_SERVICE_H
#define GLANCEFS_IDENTITY_SERVICE_H

#include "glancefs/cancel.h"
#include "glancefs/error.h"

#include <stdbool.h>

/** Our identity as the service confirmed it. */
struct identity {
    char project_id[65]; /* empty when the cloud has a single tenant (a local one) */
    char user[129];      /* for log lines */
    char place[256]; /* region of the image service, or its endpoint where that is configured: an
                            image is in one place. Empty when there is only one */
    char image_url[256]; /* where the image service is asked, without a version: no other cloud
                            has that. Empty when it has no address, or too long a one */
};

struct identity_service;

struct identity_service_ops {
    int (*identify)(struct identity_service *service, struct cancel *cancel, struct identity *ret,
                    struct error *err);
    void (*free)(struct identity_service *service);
};

struct identity_service {
    const struct identity_service_ops *ops;
};

/** Asks who we are. Thread-safe; may wait. ERROR_LOGIN when the credentials are refused. */
int identity_service_identify(struct identity_service *service, struct cancel *cancel,
                              struct identity *ret, struct error *err);

/** Releases; NULL is allowed. */
void identity_service_free(struct identity_service *service);
DEFINE_CLEANUP(struct identity_service, identity_service_free)

#endif
