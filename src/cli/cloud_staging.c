/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cloud_staging.h"

#include "base/log.h"
#include "base/uuid.h"
#include "cli/key_file.h"
#include "crypto/certificate.h"

#include <errno.h>
#include <string.h>

#define LOCAL_PREFIX "local:"

/* "local:cloud", "local:./cloud/" and "local:/srv/cloud" may be one directory, and "openstack" many
 * places: an image of one region does not exist in another. */
static int name_cloud(const char *cloud, const char *place, char **ret, struct error *err)
{
    const char *path = cloud + strlen(LOCAL_PREFIX);
    CLEANUP(memory_free) char *resolved = NULL;

    if (strncmp(cloud, LOCAL_PREFIX, strlen(LOCAL_PREFIX)) != 0) {
        if (asprintf(ret, "%s%s%s", cloud, *place == '\0' ? "" : "@", place) < 0)
            *ret = NULL;
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

/* Found out now rather than when the image service refuses what was signed. */
static int check_certificate(const struct config *config, const struct session *session,
                             const struct signature_key *key, struct error *err)
{
    CLEANUP(secure_buffer_free) struct secure_buffer *payload = NULL;
    CLEANUP(certificate_free) struct certificate *certificate = NULL;

    if (!uuid_is_valid(config->signing_certificate))
        return error_set(err, ERROR_INVALID, "signing_certificate is no UUID");
    if (key_manager_get_payload(session->cloud->keys, config->signing_certificate, NULL, &payload,
                                err) < 0 ||
        certificate_parse(secure_buffer_bytes(payload), secure_buffer_size(payload), &certificate,
                          err) < 0 ||
        certificate_check_signer(certificate, err) < 0)
        return error_prefix(err, "signing_certificate");
    if (!signature_key_matches(key, certificate))
        return error_set(err, ERROR_INVALID,
                         "signing_key %s is not the key of signing_certificate %s",
                         config->signing_key, config->signing_certificate);
    return 0;
}

static int load_signing_key(const struct config *config, const struct session *session,
                            struct signature_key **ret, struct error *err)
{
    struct secure_buffer *pem = NULL;

    if (config->signing_key == NULL)
        return 0;
    if (key_file_read(config->signing_key, session->arena, &pem, err) < 0 ||
        signature_key_new(pem, ret, err) < 0)
        return error_prefix(err, "signing_key");
    return check_certificate(config, session, *ret, err);
}

static bool is_cached(void *context, const char *image_id)
{
    return ciphertext_cache_has_image(context, image_id);
}

static int open_consumers(const struct cloud_staging *staging, const char *cache,
                          struct ciphertext_cache *images, struct cloud *cloud,
                          struct consumer_registry **ret, struct error *err)
{
    const struct consumer_registry_parts parts = {.cache_path = cache,
                                                  .cloud = staging->cloud_name,
                                                  .project_id = staging->identity.project_id,
                                                  .images = cloud->images,
                                                  .keys = cloud->keys,
                                                  .is_cached = images == NULL ? NULL : is_cached,
                                                  .is_cached_context = images};

    return consumer_registry_new(&parts, ret, err);
}

int cloud_staging_open(const struct config *config, const char *cache,
                       struct ciphertext_cache *images, const struct session *session,
                       struct cloud_staging **ret, struct error *err)
{
    struct cloud *cloud = session->cloud;
    CLEANUP(cloud_staging_free) struct cloud_staging *staging = calloc(1, sizeof *staging);
    struct upload_staging_parts parts = {.cache_path = cache,
                                         .images = cloud->images,
                                         .first_retry_ms = CLOUD_STAGING_FIRST_RETRY_MS,
                                         .last_retry_ms = CLOUD_STAGING_LAST_RETRY_MS,
                                         .max_uploads = config->max_uploads,
                                         .on_end = log_end};

    if (staging == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    if (identity_service_identify(cloud->identity, NULL, &staging->identity, err) < 0 ||
        name_cloud(config->cloud, staging->identity.place, &staging->cloud_name, err) < 0 ||
        load_signing_key(config, session, &staging->signing_key, err) < 0 ||
        open_consumers(staging, cache, images, cloud, &staging->consumers, err) < 0)
        return -1;
    parts.consumers = staging->consumers;
    parts.signing_key = staging->signing_key;
    parts.signing_certificate = config->signing_certificate;
    parts.cloud = staging->cloud_name;
    parts.former_cloud = staging->identity.place[0] == '\0' ? NULL : config->cloud;
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
    consumer_registry_free(staging->consumers);
    signature_key_free(staging->signing_key);
    free(staging->cloud_name);
    free(staging);
}
