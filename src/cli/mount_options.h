/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of `glancefs mount`, made into a configuration. */
#ifndef CLI_MOUNT_OPTIONS_H
#define CLI_MOUNT_OPTIONS_H

#include "glancefs/cleanup.h"
#include "glancefs/config.h"

#include <stdbool.h>

struct mount_options {
    struct config *config; /* complete and valid; its paths are absolute */
    char *mount_point;     /* absolute */
    int given_fd;          /* what a mount point /dev/fd/N names; else -1 */
    bool is_foreground;
    bool shows_help; /* nothing else is set then */
};

/**
 * Reads the arguments: configuration file, environment, then options in their order. A wrong use is
 * told on standard error. 0, or the exit code.
 */
int mount_options_parse(int argc, char **argv, struct mount_options *ret);

/** Whether `word` is the name of a cloud, as fstab has it in its first field: local:DIR or
 *  openstack[:NAME]. */
bool mount_options_is_source(const char *word);

/** Frees what it holds. */
void mount_options_clear(struct mount_options *options);

/** `CLEANUP(mount_options) struct mount_options options = {0};` clears at the scope's end. */
__attribute__((unused)) static inline void mount_options_cleanup(struct mount_options *options)
{
    mount_options_clear(options);
}

/** Prints how the command is used, with every option of the configuration. */
void mount_options_print_help(void);

#endif
