/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cloud_staging.h"

#include "base/log.h"

#include <errno.h>
#include <string.h>

#define LOCAL_PREFIX "local:"

/* "local:cloud", "local:./cloud/" and "local:/srv/cloud" may be one directory. */
static int name_cloud(const char *cloud, char **ret, struct error *err)
{
    const char *path = cloud + strlen(LOCAL_PREFIX);
    CLEANUP(memory_free) char *resolved = NULL;

    if (strncmp(cloud, LOCAL_PREFIX, strlen(LOCAL_PREFIX)) != 0) {
        *ret = strdup(cloud);
    } else {
        resolved = realpath(path, NULL);
        if (resolved == NULL)
            return error_set_errno(err, errno, "%s", cloud);
        if (asprintf(ret, LOCAL_PREFIX "%s", resolved) < 0)
            *ret = NULL;
    }
    return *ret == NULL ? error_set(err, ERROR_EXHAUSTED, "out of memory") : 0;
}

static void log_end(void *context, const char *image_id, const struct error *err)
{
    (void)context;
    if (err == NULL)
        log_info("image %s: uploaded, it is active", image_id);
    else
        log_error("image %s: not uploaded: %s", image_id, err->message);
}

int cloud_staging_open(const struct config *config, const char *cache, struct cloud *cloud,
                       struct cloud_staging **ret, struct error *err)
{
    CLEANUP(cloud_staging_free) struct cloud_staging *staging = calloc(1, sizeof *staging);
    struct upload_staging_parts parts = {.cache_path = cache,
                                         .images = cloud->images,
                                         .first_retry_ms = CLOUD_STAGING_FIRST_RETRY_MS,
                                         .last_retry_ms = CLOUD_STAGING_LAST_RETRY_MS,
                                         .on_end = log_end};

    if (staging == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    if (name_cloud(config->cloud, &staging->cloud_name, err) < 0 ||
        identity_service_identify(cloud->identity, NULL, &staging->identity, err) < 0)
        return -1;
    parts.cloud = staging->cloud_name;
    parts.project_id = staging->identity.project_id;
    if (upload_staging_new(&parts, &staging->staging, err) < 0)
        return -1;
    *ret = steal(&staging);
    return 0;
}

void cloud_staging_free(struct cloud_staging *staging)
{
    if (staging == NULL)
        return;
    upload_staging_free(staging->staging);
    free(staging->cloud_name);
    free(staging);
}
