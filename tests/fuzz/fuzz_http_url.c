/* SPDX-License-Identifier: Apache-2.0 */
/*
 * URLs, of which catalogs and redirects are full: one that may be asked is https or goes nowhere else
 * than to this machine. Two of them stand in the input, a line each.
 */
#include "fuzz_main.h"
#include "glancefs/limits.h"
#include "services/openstack/http_url.h"
#include "services/openstack/service_catalog.h"

#include <stdlib.h>
#include <string.h>

static bool starts_with(const char *text, const char *start)
{
    return strncasecmp(text, start, strlen(start)) == 0;
}

static void assert_may_be_asked(const char *url)
{
    char origin[HTTP_ORIGIN_BYTES];

    http_url_origin(url, origin);
    FUZZ_ASSERT(strlen(url) <= LIMIT_URL_BYTES);
    FUZZ_ASSERT(starts_with(origin, "https://") || starts_with(origin, "http://127.") ||
                starts_with(origin, "http://[::1]:") || starts_with(origin, "http://localhost:"));
    FUZZ_ASSERT(!http_url_is_for_proxy(url) || starts_with(origin, "https://"));
    FUZZ_ASSERT(strchr(origin, '@') == NULL);
}

static void assert_base_is_stable(const char *url)
{
    CLEANUP(memory_free) char *base = service_catalog_base_url(url);

    if (base == NULL) {
        FUZZ_ASSERT(fuzz_allocations_fail());
        return;
    }
    FUZZ_ASSERT(strlen(base) <= strlen(url) && starts_with(url, base));
    FUZZ_ASSERT(*base == '\0' || base[strlen(base) - 1] != '/');
}

static void check(const char *url)
{
    struct error err = ERROR_INIT;

    if (http_url_check(url, false, &err) == 0) {
        assert_may_be_asked(url);
        FUZZ_ASSERT(http_url_same_origin(url, url));
        FUZZ_ASSERT(http_url_check(url, true, &err) == 0);
    } else {
        fuzz_assert_plain(&err);
    }
    FUZZ_ASSERT(http_url_length_without_query(url) <= strlen(url));
    assert_base_is_stable(url);
}

void fuzz_one(const uint8_t *data, size_t size)
{
    CLEANUP(memory_free) char *text = malloc(size + 1);
    char *second;

    FUZZ_ASSERT(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    second = strchrnul(text, '\n');
    if (*second == '\n')
        *second++ = '\0';
    check(text);
    check(second);
    FUZZ_ASSERT(http_url_same_origin(text, second) == http_url_same_origin(second, text));
}
