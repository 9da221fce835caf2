/* SPDX-License-Identifier: Apache-2.0 */
#include "base/audit.h"
#include "base/log.h"
#include "cli/cache_cloud.h"
#include "cli/cloud_staging.h"
#include "cli/command.h"
#include "cli/mount_daemon.h"
#include "cli/mount_options.h"
#include "cli/mount_privileges.h"
#include "cli/mount_sandbox.h"
#include "cli/session.h"
#include "fuse/mount.h"
#include "glancefs/ciphertext_cache.h"
#include "glancefs/image_view.h"
#include "glancefs/stream_limit.h"
#include "glancefs/write_index.h"

#define COMMAND "mount"

/* All that a mount stands on, built bottom-up and torn down top-down. */
struct layers {
    struct session *session;
    struct ciphertext_cache *cache;
    struct cloud_staging *staging;
    struct stream_limit *streams;
    struct write_index *writes;
    struct image_index *index;
    struct mount_access *access;
    struct sandbox_state sandbox;
    struct mount *mount;
};

/* Nobody is there to be told of a seal that goes on in the background but the log. */
static void log_seal(void *context, const char *image_id, const struct error *err)
{
    const struct config *config = context;
    const struct audit_event event = {.event = "seal",
                                      .view = "encrypt",
                                      .image = image_id,
                                      .errnum = err != NULL ? err->errnum : 0};

    if (config->audit)
        audit_write(&event);
    if (err == NULL)
        log_info("image %s: sealed", image_id);
    else
        log_warning("image %s: not sealed: %s", image_id, err->message);
}

static void log_notice(void *context, const char *text)
{
    (void)context;
    log_warning("%s", text);
}

/* A request's time is also what a download may wait for its turn: callers are prepared for it. */
static uint64_t download_wait_ms(const struct config *config)
{
    return (uint64_t)config->openstack.request_timeout_seconds * 1000;
}

static int build_layers(const struct mount_options *options, struct layers *layers,
                        struct error *err)
{
    const struct config *config = options->config;

    if (session_open(options->config, config->max_memory_bytes, &layers->session, err) < 0)
        return -1;
    struct cloud *cloud = layers->session->cloud;
    const struct ciphertext_cache_parts cache = {.path = config->cache,
                                                 .role = CACHE_DAEMON,
                                                 .images = cloud->images,
                                                 .arena = layers->session->arena,
                                                 .require_hash = config->require_hash,
                                                 .limits = config->cache_limits,
                                                 .max_downloads = config->max_downloads,
                                                 .download_wait_ms = download_wait_ms(config),
                                                 .notice = log_notice};
    if (ciphertext_cache_new(&cache, &layers->cache, err) < 0 ||
        cloud_staging_open(config, config->cache, layers->cache, layers->session, &layers->staging,
                           err) < 0 ||
        stream_limit_new(config->max_streams, &layers->streams, err) < 0)
        return -1;
    cache_cloud_take_over(layers->cache, config, &layers->staging->identity);
    const struct write_index_parts writes = {.config = config,
                                             .cloud = cloud,
                                             .codecs = layers->session->codecs,
                                             .identity = &layers->staging->identity,
                                             .staging = layers->staging->staging,
                                             .arena = layers->session->arena,
                                             .streams = layers->streams,
                                             .on_seal = log_seal,
                                             .on_seal_context = options->config};
    if (write_index_new(&writes, &layers->writes, err) < 0)
        return -1;
    const struct image_index_parts parts = {.config = config,
                                            .version = GLANCEFS_VERSION,
                                            .cloud = cloud,
                                            .codecs = layers->session->codecs,
                                            .identity = &layers->staging->identity,
                                            .cache = layers->cache,
                                            .arena = layers->session->arena,
                                            .streams = layers->streams,
                                            .consumers = layers->staging->consumers,
                                            .writes = layers->writes,
                                            .uploads = layers->staging->staging,
                                            .sandbox = &layers->sandbox};

    return image_index_new(&parts, &layers->index, err);
}

/* Mounts, and answers from then on. */
static int start_mount(const struct mount_options *options, struct layers *layers,
                       struct error *err)
{
    const struct mount_parts parts = {.config = options->config,
                                      .index = layers->index,
                                      .writes = layers->writes,
                                      .arena = layers->session->arena};
    int device_fd;

    if (mount_open(&parts, &layers->mount, err) < 0 ||
        mount_access_get_device(layers->access, &device_fd, err) < 0 ||
        mount_attach(layers->mount, device_fd, err) < 0)
        return -1;
    mount_sandbox_tell(&layers->sandbox);
    return mount_start(layers->mount, err);
}

/* Nothing has run on a second thread so far: those that start now are born into the sandbox. */
static int start(const struct mount_options *options, struct layers *layers, struct error *err)
{
    if (mount_sandbox_enter(options->config, layers->session->cloud, layers->session->codecs,
                            &layers->sandbox, err) < 0 ||
        ciphertext_cache_start(layers->cache, err) < 0 ||
        upload_staging_start(layers->staging->staging, err) < 0)
        return -1;
    return start_mount(options, layers, err);
}

static void tear_down_layers(struct layers *layers)
{
    const bool is_gone = layers->mount != NULL && mount_is_gone(layers->mount);

    mount_close(layers->mount);
    if (!is_gone)
        mount_access_unmount(layers->access);
    mount_access_free(layers->access);
    image_index_free(layers->index);
    write_index_free(layers->writes);
    stream_limit_free(layers->streams);
    cloud_staging_free(layers->staging);
    ciphertext_cache_free(layers->cache);
    session_free(layers->session);
}

/* Mounts and serves until the mount is gone. The exit code. */
static int serve(const struct mount_options *options, struct mount_daemon *daemon)
{
    struct layers layers = {0};
    struct error err = ERROR_INIT;
    int result = mount_access_new(options, &layers.access, &err);

    if (result == 0)
        result = mount_privileges_become(options->config, &err);
    if (result == 0)
        result = build_layers(options, &layers, &err);
    if (result == 0)
        result = start(options, &layers, &err);
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
    /* In the background a terminal or pipe is left, and only a file can still be logged to. */
    log_setup(options.is_foreground || mount_daemon_has_log_file() ? options.config->log
                                                                   : LOG_JOURNAL,
              (enum log_level)options.config->log_level);
    return serve(&options, &daemon);
}
