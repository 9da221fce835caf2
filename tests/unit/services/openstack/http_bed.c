/* SPDX-License-Identifier: Apache-2.0 */
#include "http_bed.h"

#include "base/clock.h"
#include "support/testing.h"

#include <stdio.h>

/* The group's arena; each test's state starts as it. */
int http_bed_open(void **state)
{
    static const struct http_options options = HTTP_BED_OPTIONS;
    struct http_bed *bed = calloc(1, sizeof *bed);
    struct error err = ERROR_INIT;

    if (bed == NULL)
        return -1;
    bed->arena = *state;
    bed->server = http_server_new();
    *state = bed;
    return http_client_new(&options, bed->arena, &bed->client, &err);
}

int http_bed_close(void **state)
{
    struct http_bed *bed = *state;

    http_client_free(bed->client);
    http_server_free(bed->server);
    free(bed);
    return 0;
}

const char *http_bed_url(struct http_bed *bed, const char *path)
{
    (void)snprintf(bed->url, sizeof bed->url, "%s%s", http_server_url(bed->server), path);
    return bed->url;
}

void http_bed_script(struct http_bed *bed, const char *const *texts, size_t count)
{
    struct http_server_answer answers[16] = {{.text = NULL}};

    assert_true(count <= ELEMENTS_OF(answers));
    for (size_t i = 0; i < count; i++)
        answers[i].text = texts[i];
    http_server_script(bed->server, answers, count);
}

double http_bed_seconds_since(uint64_t start_ns)
{
    return (double)(clock_monotonic_ns() - start_ns) / 1e9;
}
