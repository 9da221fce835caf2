/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cache directory as a command opens it, beside a mount or without one: with what the
 * configuration says of its limits, and with a cloud only where the command needs one. Without a
 * cloud no service is asked and no memory is locked.
 */
#ifndef CLI_CACHE_ACCESS_H
#define CLI_CACHE_ACCESS_H

#include "cli/session.h"
#include "glancefs/ciphertext_cache.h"
#include "glancefs/identity_service.h"
#include "glancefs/image_vetting.h"

/** Lines for --help about the options below. */
#define CACHE_OPTIONS_HELP                                                                         \
    "  --cache DIR     the cache directory, else GLANCEFS_CACHE or the "                           \
    "configuration\n" SESSION_OPTIONS_HELP

/** The command-line options that choose a cache and a cloud; NULL where not given. */
struct cache_options {
    struct session_options session;
    const char *cache;
};

/** Their values for getopt_long. */
enum cache_option {
    CACHE_OPTION_CLOUD = 1000,
    CACHE_OPTION_OS_CLOUD,
    CACHE_OPTION_CONFIG,
    CACHE_OPTION_CACHE,
};

/** Their rows of its table. */
#define CACHE_OPTION_ROWS                                                                          \
    {"cloud", required_argument, NULL, CACHE_OPTION_CLOUD},                                        \
        {"os-cloud", required_argument, NULL, CACHE_OPTION_OS_CLOUD},                              \
        {"config", required_argument, NULL, CACHE_OPTION_CONFIG},                                  \
    {                                                                                              \
        "cache", required_argument, NULL, CACHE_OPTION_CACHE                                       \
    }

/** Takes `option` if it is one of them: false when not. */
bool cache_options_take(struct cache_options *options, int option, char *value);

/** Whether a command asks services. */
enum cloud_need { CLOUD_NOT_ASKED, CLOUD_IF_NAMED, CLOUD_NEEDED };

struct cache_access {
    struct config *config;
    const char *path;        /* of the cache directory */
    struct session *session; /* NULL without a cloud */
    struct ciphertext_cache *cache;
    struct identity identity;      /* these two only after cache_fetch_prepare */
    struct image_vetting *vetting; /* NULL before */
};

/**
 * Opens it in `role`. Only a command that fetches by CACHE_COMMAND makes the directory (`makes`): a
 * mistyped one is told, not made. Once per process.
 */
int cache_access_open(const struct cache_options *options, enum cache_role role,
                      enum cloud_need need, bool makes, struct cache_access **ret,
                      struct error *err);

/** Closes it; NULL is allowed. */
void cache_access_free(struct cache_access *access);
DEFINE_CLEANUP(struct cache_access, cache_access_free)

#endif
