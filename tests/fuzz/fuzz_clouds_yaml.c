/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clouds.yaml and, behind an octet 0xff, secure.yaml: entry `demo` of both becomes credentials. What
 * stands where a password does is never told.
 */
#include "fuzz_main.h"
#include "planted_secret.h"
#include "services/openstack/clouds_yaml.h"
#include "services/openstack/credentials.h"

#include <string.h>

#define CLOUD "demo"
#define PATH "/etc/openstack/clouds.yaml"

struct target {
    struct credentials *credentials;
    bool has_secret_elsewhere; /* PLANTED_SECRET is the value of what is no secret */
};

static bool is_secret(const char *key)
{
    return strcmp(key, "password") == 0 || strcmp(key, "application_credential_secret") == 0;
}

static int take(void *context, const char *key, const char *value, struct error *err)
{
    struct target *target = context;

    if (!is_secret(key) && strstr(value, PLANTED_SECRET) != NULL)
        target->has_secret_elsewhere = true;
    return credentials_set(target->credentials, key, value, fuzz_arena(), err);
}

static int parse(struct target *target, const void *text, size_t size, bool *ret_found)
{
    struct error err = ERROR_INIT;
    const int result = clouds_yaml_parse(PATH, text, size, CLOUD, take, target, ret_found, &err);

    FUZZ_ASSERT(result == 0 || error_is_set(&err));
    FUZZ_ASSERT(target->has_secret_elsewhere || !planted_secret_is_told(&err));
    fuzz_assert_plain(&err);
    return result;
}

void fuzz_one(const uint8_t *data, size_t size)
{
    CLEANUP(credentials_free) struct credentials *credentials = NULL;
    const uint8_t *end = size == 0 ? NULL : memchr(data, 0xff, size);
    const size_t clouds_size = end == NULL ? size : (size_t)(end - data);
    struct target target = {0};
    struct error err = ERROR_INIT;
    bool found = false;

    if (credentials_new(&credentials, &err) < 0)
        return;
    target.credentials = credentials;
    if (parse(&target, data, clouds_size, &found) == 0 && found && end != NULL)
        (void)parse(&target, end + 1, size - clouds_size - 1, &found);
    FUZZ_ASSERT(credentials->auth_type == NULL || strlen(credentials->auth_type) > 0);
}
