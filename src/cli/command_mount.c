/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include "cli/command.h"
#include "cli/mount_daemon.h"
#include "cli/mount_options.h"
#include "cli/session.h"
#include "fuse/mount.h"
#include "glancefs/ciphertext_cache.h"
#include "glancefs/image_view.h"
#include "glancefs/upload_staging.h"
#include "glancefs/write_index.h"

#define COMMAND "mount"

/* Between the attempts of a background upload: the first delay, and the longest. */
#define FIRST_RETRY_MILLISECONDS 1000
#define LAST_RETRY_MILLISECONDS 60000

/* All that a mount stands on, built bottom-up and torn down top-down. */
struct layers {
    struct session *session;
    struct identity identity;
    struct ciphertext_cache *cache;
    struct upload_staging *staging;
    struct write_index *writes;
    struct image_index *index;
    struct mount *mount;
};

/* Nobody is there to be told of a seal that goes on in the background but the log. */
static void log_seal(void *context, const char *image_id, const struct error *err)
{
    (void)context;
    if (err == NULL)
        log_info("image %s: sealed", image_id);
    else
        log_warning("image %s: not sealed: %s", image_id, err->message);
}

/* What writing images takes. */
static int build_writing(const struct config *config, struct layers *layers, struct error *err)
{
    struct cloud *cloud = layers->session->cloud;
    const struct upload_staging_parts staging = {.cache_path = config->cache,
                                                 .cloud = config->cloud,
                                                 .project_id = layers->identity.project_id,
                                                 .images = cloud->images,
                                                 .first_retry_ms = FIRST_RETRY_MILLISECONDS,
                                                 .last_retry_ms = LAST_RETRY_MILLISECONDS};

    if (upload_staging_new(&staging, &layers->staging, err) < 0)
        return -1;
    const struct write_index_parts writes = {.config = config,
                                             .cloud = cloud,
                                             .identity = &layers->identity,
                                             .staging = layers->staging,
                                             .arena = layers->session->arena,
                                             .on_seal = log_seal};

    return write_index_new(&writes, &layers->writes, err);
}

static int build_layers(const struct mount_options *options, struct layers *layers,
                        struct error *err)
{
    const struct config *config = options->config;

    if (session_open(config, config->max_memory_bytes, &layers->session, err) < 0)
        return -1;
    struct cloud *cloud = layers->session->cloud;
    if (identity_service_identify(cloud->identity, NULL, &layers->identity, err) < 0 ||
        ciphertext_cache_new(config->cache, cloud->images, layers->session->arena,
                             config->require_hash, &layers->cache, err) < 0 ||
        build_writing(config, layers, err) < 0)
        return -1;
    const struct image_index_parts parts = {.config = config,
                                            .version = GLANCEFS_VERSION,
                                            .cloud = cloud,
                                            .identity = &layers->identity,
                                            .cache = layers->cache,
                                            .arena = layers->session->arena,
                                            .writes = layers->writes,
                                            .uploads = layers->staging};
    if (image_index_new(&parts, &layers->index, err) < 0 ||
        upload_staging_start(layers->staging, err) < 0)
        return -1;
    const struct mount_parts mount = {.config = config,
                                      .index = layers->index,
                                      .writes = layers->writes,
                                      .arena = layers->session->arena};

    return mount_open(&mount, options->mount_point, &layers->mount, err);
}

static void tear_down_layers(struct layers *layers)
{
    mount_close(layers->mount);
    image_index_free(layers->index);
    write_index_free(layers->writes);
    upload_staging_free(layers->staging);
    ciphertext_cache_free(layers->cache);
    session_free(layers->session);
}

/* Mounts and serves until the mount is gone. The exit code. */
static int serve(const struct mount_options *options, struct mount_daemon *daemon)
{
    struct layers layers = {0};
    struct error err = ERROR_INIT;
    int result = build_layers(options, &layers, &err);

    if (result == 0)
        result = mount_daemon_ready(daemon, &err);
    if (result == 0)
        mount_wait(layers.mount);
    tear_down_layers(&layers);
    return result == 0 ? EXIT_CODE_OK : command_fail(COMMAND, &err);
}

int command_mount(int argc, char **argv)
{
    CLEANUP(mount_options) struct mount_options options = {0};
    struct mount_daemon daemon = {.ready_fd = -1};
    struct error err = ERROR_INIT;
    const int exit_code = mount_options_parse(argc, argv, &options);

    if (exit_code != 0)
        return exit_code;
    if (options.shows_help) {
        mount_options_print_help();
        return EXIT_CODE_OK;
    }
    if (!options.is_foreground && mount_daemon_fork(&daemon, &err) < 0)
        return command_fail(COMMAND, &err);
    if (daemon.is_parent)
        return daemon.exit_code;
    /* In the background there is no standard error to log to. */
    log_setup(options.is_foreground ? options.config->log : LOG_JOURNAL,
              (enum log_level)options.config->log_level);
    return serve(&options, &daemon);
}
