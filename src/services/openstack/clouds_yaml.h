/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clouds.yaml, the file in which OpenStack's clients keep their clouds, and secure.yaml, which adds
 * what not everybody may read. Found where openstackclient finds them; parsed by libyaml, with caps
 * on size and depth. Aliases and merge keys are refused inside the entry that is wanted.
 */
#ifndef SERVICES_OPENSTACK_CLOUDS_YAML_H
#define SERVICES_OPENSTACK_CLOUDS_YAML_H

#include "glancefs/error.h"
#include "glancefs/secure_arena.h"

#include <stdbool.h>
#include <stddef.h>

/** Where to look; all borrowed, NULL where there is none. */
struct clouds_yaml_places {
    const char *config_file;       /* OS_CLIENT_CONFIG_FILE: instead of everything below */
    const char *secure_file;       /* OS_CLIENT_SECURE_FILE */
    const char *working_directory; /* looked into first, and what relative paths are relative to */
    const char *home;              /* HOME/.config/openstack, unless: */
    const char *config_home;       /* XDG_CONFIG_HOME/openstack */
    const char *site;              /* /etc/openstack, looked into last */
};

/** Gets one setting of the entry; a key below `auth` comes without "auth". An error ends reading. */
typedef int clouds_yaml_take(void *context, const char *key, const char *value, struct error *err);

/**
 * Reads entry `cloud` of clouds.yaml, then of secure.yaml if there is one, and gives each setting
 * that is a scalar to `take`; of the list `regions` the first counts as region_name. The text passes
 * through locked memory and libyaml's buffers, which are wiped as far as they can be reached.
 *
 * ERROR_NOT_FOUND when there is no clouds.yaml or no such entry, saying where it was looked for;
 * ERROR_INVALID with file and line for what is no YAML, or names something twice; ERROR_TOO_LARGE
 * over LIMIT_CLOUDS_YAML_BYTES or _DEPTH.
 */
int clouds_yaml_read_entry(const struct clouds_yaml_places *places, const char *cloud,
                           struct secure_arena *arena, clouds_yaml_take *take, void *context,
                           struct error *err);

/** The same for one text, called `path` in messages. *ret_found tells whether the entry was there. */
int clouds_yaml_parse(const char *path, const void *text, size_t size, const char *cloud,
                      clouds_yaml_take *take, void *context, bool *ret_found, struct error *err);

#endif
