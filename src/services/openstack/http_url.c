/* SPDX-License-Identifier: Apache-2.0 */
#include "services/openstack/http_url.h"

#include "glancefs/cleanup.h"
#include "glancefs/limits.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* The parts that make an origin, as libcurl reads them: it is libcurl that will connect. */
struct origin {
    CURLU *url;
    char *scheme;
    char *host;
    char *port;
};

static void origin_clear(struct origin *origin)
{
    curl_free(origin->scheme);
    curl_free(origin->host);
    curl_free(origin->port);
    curl_url_cleanup(origin->url);
}

static void origin_clear_cleanup(struct origin *origin)
{
    origin_clear(origin);
}

static bool origin_parse(const char *url, struct origin *origin)
{
    origin->url = curl_url();
    return origin->url != NULL &&
           curl_url_set(origin->url, CURLUPART_URL, url, CURLU_DISALLOW_USER) == CURLUE_OK &&
           curl_url_get(origin->url, CURLUPART_SCHEME, &origin->scheme, 0) == CURLUE_OK &&
           curl_url_get(origin->url, CURLUPART_HOST, &origin->host, 0) == CURLUE_OK &&
           curl_url_get(origin->url, CURLUPART_PORT, &origin->port, CURLU_DEFAULT_PORT) ==
               CURLUE_OK;
}

static bool is_loopback(const char *host)
{
    struct in_addr address;

    if (strcasecmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0)
        return true;
    return inet_pton(AF_INET, host, &address) == 1 && ntohl(address.s_addr) >> 24 == 127;
}

static bool has_control_character(const char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text <= ' ' || *text == 0x7f)
            return true;
    return false;
}

int http_url_check(const char *url, bool allow_http, struct error *err)
{
    CLEANUP(origin_clear) struct origin origin = {0};

    if (strlen(url) > LIMIT_URL_BYTES)
        return error_set(err, ERROR_INVALID, "a URL is over %d bytes", LIMIT_URL_BYTES);
    if (has_control_character(url) || !origin_parse(url, &origin))
        return error_set(err, ERROR_INVALID, "a URL that cannot be read, or has a user in it");
    if (strcmp(origin.scheme, "https") == 0)
        return 0;
    if (strcmp(origin.scheme, "http") != 0)
        return error_set(err, ERROR_INVALID, "a URL that is neither https nor http");
    if (allow_http || is_loopback(origin.host))
        return 0;
    return error_set(err, ERROR_INVALID,
                     "http://%.100s:%.5s is not encrypted: refused unless allow_http is set",
                     origin.host, origin.port);
}

bool http_url_is_for_proxy(const char *url)
{
    CLEANUP(origin_clear) struct origin origin = {0};

    return origin_parse(url, &origin) && strcmp(origin.scheme, "https") == 0 &&
           !is_loopback(origin.host);
}

void http_url_origin(const char *url, char ret[HTTP_ORIGIN_BYTES])
{
    CLEANUP(origin_clear) struct origin origin = {0};

    if (origin_parse(url, &origin))
        (void)snprintf(ret, HTTP_ORIGIN_BYTES, "%.16s://%.255s:%.5s", origin.scheme, origin.host,
                       origin.port);
    else
        (void)snprintf(ret, HTTP_ORIGIN_BYTES, "an unreadable URL");
}

bool http_url_same_origin(const char *one, const char *other)
{
    CLEANUP(origin_clear) struct origin a = {0};
    CLEANUP(origin_clear) struct origin b = {0};

    return origin_parse(one, &a) && origin_parse(other, &b) && strcmp(a.scheme, b.scheme) == 0 &&
           strcasecmp(a.host, b.host) == 0 && strcmp(a.port, b.port) == 0;
}

size_t http_url_length_without_query(const char *url)
{
    return strcspn(url, "?#");
}
