/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What commands that work with a cloud share: configuration, locked memory, crypto libraries and
 * the cloud itself, set up in that order. Nothing here knows about getopt or daemons: a command
 * that forks loads the configuration before and opens the session after.
 */
#ifndef CLI_SESSION_H
#define CLI_SESSION_H

#include "glancefs/cleanup.h"
#include "glancefs/cloud.h"
#include "glancefs/codec.h"
#include "glancefs/config.h"
#include "glancefs/error.h"
#include "glancefs/secure_arena.h"

#include <stddef.h>

/** Locked memory for a command that handles one key at a time, in bytes. */
#define SESSION_COMMAND_ARENA_BYTES SECURE_ARENA_MINIMUM_BYTES

/** Lines for --help about the options below. */
#define SESSION_OPTIONS_HELP                                                                       \
    "  --cloud CLOUD   local:DIR or openstack[:NAME]; else GLANCEFS_CLOUD or the configuration\n"  \
    "  --os-cloud NAME an entry of clouds.yaml; the same as --cloud openstack:NAME\n"              \
    "  --config FILE   configuration file, by default " CONFIG_DEFAULT_PATH " when it exists\n"

/** The command-line options that choose a cloud; NULL where not given. */
struct session_options {
    const char *cloud;
    const char *os_cloud; /* an entry of clouds.yaml: the same as cloud "openstack:NAME" */
    const char *config_path;
};

/**
 * Defaults, then the file `path` (NULL: CONFIG_DEFAULT_PATH if there is one), then the environment.
 * The caller sets its command-line options on top and validates. ERROR_NOT_FOUND when a file that
 * was named is absent.
 */
int session_load_config(const char *path, struct config **ret, struct error *err);

/** The same with `options` set on top, validated. Nobody may have named a cloud: config->cloud is NULL
 *  then, for commands that can do without. */
int session_load_settings(const struct session_options *options, struct config **ret,
                          struct error *err);

/** The same, but ERROR_INVALID when no cloud is named. */
int session_load_options(const struct session_options *options, struct config **ret,
                         struct error *err);

/**
 * Maps an arena of `arena_bytes` and sets up the crypto libraries on it. They hold on to it, so
 * nobody frees it: it ends, unswapped, with the process. Once per process, before threads.
 */
int session_setup_arena(size_t arena_bytes, struct secure_arena **ret, struct error *err);

/** The codecs that `config` asks for. */
int session_make_codecs(const struct config *config, struct codecs **ret, struct error *err);

/** A process at work with one cloud. */
struct session {
    struct secure_arena *arena; /* see session_setup_arena */
    struct cloud *cloud;
    struct codecs *codecs;
};

/** Sets up arena and crypto libraries and opens the cloud that `config` names. Once per process.
 *  Passwords move from `config` into locked memory: config_wipe_secrets. */
int session_open(struct config *config, size_t arena_bytes, struct session **ret,
                 struct error *err);

/** Closes the cloud; NULL is allowed. */
void session_free(struct session *session);
DEFINE_CLEANUP(struct session, session_free)

/**
 * Makes the directory (mode 0700) of a `local:DIR` cloud when it is absent, and says so on standard
 * error in one line that begins with "glancefs <command>". Any other cloud is left alone.
 */
int session_make_local_cloud(const struct config *config, const char *command, struct error *err);

#endif
