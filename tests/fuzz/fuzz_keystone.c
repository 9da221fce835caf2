/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers of Keystone: tokens with their catalogs, and refusals. The first octet picks the interface,
 * the region and whether endpoints are overridden.
 */
#include "base/clock.h"
#include "fuzz_main.h"
#include "http_answers.h"
#include "planted_secret.h"
#include "services/openstack/keystone.h"

#include <string.h>

/* Bits of the first octet. */
#define HAS_REGION 1
#define HAS_OVERRIDES 2
#define IS_INTERNAL 4
#define IS_APPLICATION_CREDENTIAL 8

static int set(struct credentials *credentials, const char *key, const char *value)
{
    struct error err = ERROR_INIT;

    return credentials_set(credentials, key, value, fuzz_arena(), &err);
}

static struct credentials *choose(uint8_t choice)
{
    CLEANUP(credentials_free) struct credentials *credentials = NULL;
    struct error err = ERROR_INIT;

    if (credentials_new(&credentials, &err) < 0 ||
        set(credentials, "auth_url", "https://keystone/v3/") < 0 ||
        set(credentials, "interface", choice & IS_INTERNAL ? "internal" : "public") < 0 ||
        (choice & HAS_REGION && set(credentials, "region_name", "RegionOne") < 0) ||
        (choice & HAS_OVERRIDES &&
         set(credentials, "image_endpoint_override", "https://glance/v2") < 0))
        return NULL;
    if (choice & IS_APPLICATION_CREDENTIAL
            ? set(credentials, "application_credential_id", "cdc0ec63") < 0 ||
                  set(credentials, "application_credential_secret", PLANTED_SECRET) < 0
            : set(credentials, "username", "demo") < 0 ||
                  set(credentials, "project_name", "demo") < 0 ||
                  set(credentials, "password", PLANTED_SECRET) < 0)
        return NULL;
    return steal(&credentials);
}

/* A base URL, to which a path will be put. */
static void assert_endpoint(const char *url)
{
    FUZZ_ASSERT(url == NULL || *url == '\0' || url[strlen(url) - 1] != '/');
}

static void assert_token(const struct token *token)
{
    const uint64_t now = clock_monotonic_ns();

    FUZZ_ASSERT(secure_buffer_size(token->value) > 0);
    FUZZ_ASSERT(token->renew_at_ns <= now + TOKEN_LONGEST_SECONDS * NANOSECONDS_PER_SECOND);
    FUZZ_ASSERT(strlen(token->identity.project_id) < sizeof token->identity.project_id);
    FUZZ_ASSERT(strlen(token->identity.user) < sizeof token->identity.user);
    FUZZ_ASSERT(strlen(token->identity.place) < sizeof token->identity.place);
    assert_endpoint(token->image_url);
    assert_endpoint(token->key_manager_url);
}

void fuzz_one(const uint8_t *data, size_t size)
{
    CLEANUP(credentials_free) struct credentials *credentials = size == 0 ? NULL : choose(data[0]);
    CLEANUP(keystone_free) struct keystone *keystone = NULL;
    CLEANUP(token_unref) struct token *token = NULL;
    struct error err = ERROR_INIT;

    if (credentials == NULL || keystone_new(NULL, fuzz_arena(), credentials, &keystone, &err) < 0)
        return;
    (void)steal(&credentials);
    http_answers_begin(data + 1, size - 1, NULL);
    if (keystone_token(keystone, NULL, NULL, &token, &err) == 0) {
        assert_token(token);
        return;
    }
    FUZZ_ASSERT(error_is_set(&err));
    FUZZ_ASSERT(!http_answers_are_discreet() || !planted_secret_is_told(&err));
    FUZZ_ASSERT(err.kind != ERROR_EXHAUSTED || fuzz_allocations_fail());
    fuzz_assert_plain(&err);
}
