/* SPDX-License-Identifier: Apache-2.0 */
#include "config_checks.h"

#include "fuzz_main.h"
#include "glancefs/limits.h"
#include "glancefs/secure_arena.h"
#include "planted_secret.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static void assert_limits(const struct config *config)
{
    const struct openstack_options *openstack = &config->openstack;

    FUZZ_ASSERT(config->threads >= 1 && config->threads <= 4);
    FUZZ_ASSERT(config->max_streams >= 1);
    FUZZ_ASSERT(config->write_window_bytes >= MIB && config->write_window_bytes <= 64 * MIB);
    FUZZ_ASSERT(config->max_memory_bytes >= SECURE_ARENA_MINIMUM_BYTES);
    FUZZ_ASSERT(config->mode == 0400 || config->mode == 0440);
    FUZZ_ASSERT(!config->allow_other || config->uid_set || config->gid_set);
    FUZZ_ASSERT(config->signature != SIGNATURE_REQUIRED || config->trusted_certificates != NULL);
    FUZZ_ASSERT(openstack->connect_timeout_seconds >= 1 && openstack->retries <= 10);
    FUZZ_ASSERT(!openstack->allow_http || openstack->proxy == NULL);
}

void config_check_valid(struct config *config)
{
    struct error err = ERROR_INIT;

    if (config_validate(config, &err) < 0)
        fuzz_assert_plain(&err);
    else
        assert_limits(config);
    config_wipe_secrets(config);
    FUZZ_ASSERT(config->openstack.password == NULL &&
                config->openstack.application_credential_secret == NULL);
}

static bool has_value(const char *text, size_t size)
{
    size_t spaces = 0;

    while (spaces < size && (text[spaces] == ' ' || text[spaces] == '\t'))
        spaces++;
    return spaces < size && (text[spaces] == '=' || text[spaces] == ':');
}

/* True for an option "os_password = x", "OS_PASSWORD=x" and the like: all behind the name is secret. */
static bool is_secret_option(const char *option, size_t size)
{
    static const char *const names[] = {"os_password", "os_application_credential_secret",
                                        "glancefs_os_password",
                                        "glancefs_os_application_credential_secret"};

    while (size > 0 && (*option == ' ' || *option == '\t')) {
        option++;
        size--;
    }
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        const size_t length = strlen(names[i]);

        if (size > length && strncasecmp(option, names[i], length) == 0)
            return has_value(option + length, size - length);
    }
    return false;
}

static size_t option_size(const char *text, size_t size, const char *separators)
{
    size_t length = 0;

    while (length < size && strchr(separators, text[length]) == NULL)
        length++;
    return length;
}

/* How often PLANTED_SECRET stands where nothing says that it is secret. */
static size_t count_public(const char *text, size_t size, const char *separators)
{
    size_t count = planted_secret_count(text, size);

    for (size_t next = 0; next < size;) {
        const size_t length = option_size(text + next, size - next, separators);

        if (is_secret_option(text + next, length))
            count -= planted_secret_count(text + next, length);
        next += length + 1;
    }
    return count;
}

void config_check_refusal(const struct error *err, const uint8_t *text, size_t size,
                          const char *separators)
{
    FUZZ_ASSERT(error_is_set(err));
    fuzz_assert_plain(err);
    if (planted_secret_is_told(err))
        FUZZ_ASSERT(count_public((const char *)text, size, separators) > 0);
}
