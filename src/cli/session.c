/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/session.h"

#include "crypto/crypto_library.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define LOCAL_PREFIX "local:"

static int load_file(struct config *config, const char *path, struct error *err)
{
    if (path != NULL)
        return config_load_file(config, path, err);
    if (config_load_file(config, CONFIG_DEFAULT_PATH, err) == 0 || err->kind == ERROR_NOT_FOUND) {
        *err = (struct error)ERROR_INIT;
        return 0;
    }
    return -1;
}

int session_load_config(const char *path, struct config **ret, struct error *err)
{
    CLEANUP(config_free) struct config *config = NULL;

    if (config_new(&config, err) < 0 || load_file(config, path, err) < 0 ||
        config_load_environment(config, environ, err) < 0)
        return -1;
    config->openstack.working_directory = getcwd(NULL, 0);
    *ret = steal(&config);
    return 0;
}

int session_load_settings(const struct session_options *options, struct config **ret,
                          struct error *err)
{
    CLEANUP(config_free) struct config *config = NULL;

    if (session_load_config(options->config_path, &config, err) < 0)
        return -1;
    if (options->cloud != NULL && config_set(config, "cloud", options->cloud, "--cloud", err) < 0)
        return -1;
    if (options->os_cloud != NULL &&
        config_set(config, "os_cloud", options->os_cloud, "--os-cloud", err) < 0)
        return -1;
    if (config_validate(config, err) < 0)
        return -1;
    *ret = steal(&config);
    return 0;
}

int session_load_options(const struct session_options *options, struct config **ret,
                         struct error *err)
{
    CLEANUP(config_free) struct config *config = NULL;

    if (session_load_settings(options, &config, err) < 0)
        return -1;
    if (config->cloud == NULL)
        return error_set(err, ERROR_INVALID,
                         "no cloud: give --cloud, GLANCEFS_CLOUD or 'cloud' in a configuration "
                         "file");
    *ret = steal(&config);
    return 0;
}

int session_setup_arena(size_t arena_bytes, struct secure_arena **ret, struct error *err)
{
    if (secure_arena_new(arena_bytes, ret, err) < 0)
        return -1;
    return crypto_library_setup(*ret, err);
}

int session_make_codecs(const struct config *config, struct codecs **ret, struct error *err)
{
    const struct codecs_options options = {.engine = config->engine,
                                           .aead = config->aead,
                                           .keyring = config->keyring,
                                           .runtime = config->runtime};

    return codecs_new(&options, ret, err);
}

/* Passwords are in the cloud's locked memory afterwards, or were of no use. */
static int open_cloud(struct config *config, struct session *session, struct error *err)
{
    const struct cloud_options options = {.openstack = &config->openstack};
    const int result = cloud_open(config->cloud, &options, session->arena, &session->cloud, err);

    config_wipe_secrets(config);
    return result;
}

int session_open(struct config *config, size_t arena_bytes, struct session **ret, struct error *err)
{
    CLEANUP(session_free) struct session *session = calloc(1, sizeof *session);

    if (session == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    /* Codecs may fork: by then no password lies where a child would inherit it. */
    if (session_setup_arena(arena_bytes, &session->arena, err) < 0 ||
        open_cloud(config, session, err) < 0 ||
        session_make_codecs(config, &session->codecs, err) < 0)
        return -1;
    *ret = steal(&session);
    return 0;
}

void session_free(struct session *session)
{
    if (session == NULL)
        return;
    cloud_free(session->cloud);
    codecs_free(session->codecs);
    free(session);
}

int session_make_local_cloud(const struct config *config, const char *command, struct error *err)
{
    const char *path = config->cloud + strlen(LOCAL_PREFIX);

    if (strncmp(config->cloud, LOCAL_PREFIX, strlen(LOCAL_PREFIX)) != 0)
        return 0;
    if (mkdir(path, 0700) == 0) {
        (void)fprintf(stderr, "glancefs %s: made the local cloud directory %s\n", command, path);
        return 0;
    }
    return errno == EEXIST ? 0 : error_set_errno(err, errno, "local cloud directory %s", path);
}
