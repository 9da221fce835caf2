/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who we are to Keystone, and where its services are. Credentials come from one source as a whole,
 * the first of these that is there, so that no user meets another one's password:
 *
 *   1. an entry of clouds.yaml that was asked for by name (openstack:NAME, option os_cloud),
 *   2. the options os_*, when os_auth_url is among them,
 *   3. the entry of clouds.yaml that OS_CLOUD in the environment names,
 *   4. OS_AUTH_URL and the other OS_* variables of the environment.
 *
 * Region, interface, endpoint overrides and cafile come from that source, too, but options win.
 */
#ifndef SERVICES_OPENSTACK_CREDENTIALS_H
#define SERVICES_OPENSTACK_CREDENTIALS_H

#include "glancefs/cleanup.h"
#include "glancefs/config.h"
#include "glancefs/error.h"
#include "glancefs/secure_arena.h"
#include "glancefs/secure_buffer.h"

#include <stdbool.h>

/** One identity. Texts are NULL when not set; read-only once complete. */
struct credentials {
    char *auth_type; /* NULL, password, v3password or v3applicationcredential */
    char *auth_url;
    char *username;
    char *user_id;
    char *user_domain_name;
    char *user_domain_id;
    char *project_name;
    char *project_id;
    char *project_domain_name;
    char *project_domain_id;
    char *application_credential_id;
    char *application_credential_name;
    struct secure_buffer *password;
    struct secure_buffer *application_credential_secret;

    char *region_name;
    char *interface; /* public, internal or admin; set when complete */
    char *image_endpoint_override;
    char *key_manager_endpoint_override;
    char *cafile;
};

/** An empty one. */
int credentials_new(struct credentials **ret, struct error *err);

/** Wipes secrets. NULL is allowed. */
void credentials_free(struct credentials *credentials);
DEFINE_CLEANUP(struct credentials, credentials_free)

/**
 * Sets `key`, named as in clouds.yaml ("username", "cacert", "interface"); secrets go into `arena`.
 * Keys that do not concern us are ignored. An empty value takes the setting away. ERROR_INVALID for
 * `verify` or `insecure` that would turn TLS verification off, ERROR_UNSUPPORTED for an auth_type
 * that we do not know.
 */
int credentials_set(struct credentials *credentials, const char *key, const char *value,
                    struct secure_arena *arena, struct error *err);

/** True when they are an application credential and not a user with a password. */
bool credentials_are_application_credential(const struct credentials *credentials);

/**
 * Finds, completes and checks the credentials. `cloud` is the NAME of openstack:NAME or NULL;
 * `environment` is one as of environ(7). ERROR_INVALID, saying what to set, when something is
 * missing; errors of clouds_yaml.h. Reads files; before the services are asked.
 */
int credentials_find(const struct openstack_options *options, const char *cloud,
                     char *const *environment, struct secure_arena *arena, struct credentials **ret,
                     struct error *err);

#endif
