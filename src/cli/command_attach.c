/* SPDX-License-Identifier: Apache-2.0 */
#include "base/process.h"
#include "cli/command.h"
#include "cli/mount_options.h"
#include "fuse/mount_keeper.h"

#include <stdio.h>

#define COMMAND "attach"

static void print_help(void)
{
    (void)printf(
        "Usage: glancefs attach [OPTION]... MOUNT\n"
        "\n"
        "Mounts on MOUNT for a daemon that may not, and hands it the device: the root half of a\n"
        "mount. systemd starts it when the daemon, `glancefs mount [OPTION]... SOCKET`, connects\n"
        "to the socket that it listens at (ListenSequentialPacket=). It ends after one mount, and\n"
        "never unmounts. Who may connect is told by the socket's owner and mode.\n"
        "\n"
        "Takes the options of glancefs mount; those that shape the mount count: cloud, ro and\n"
        "allow_other.\n");
}

static int attach(const struct mount_options *options, struct error *err)
{
    CLEANUP(fd_close) int listener = -1;

    if (process_take_listener(&listener, err) < 0)
        return -1;
    return mount_keeper_serve(listener, options->config, options->mount_point, err);
}

int command_attach(int argc, char **argv)
{
    CLEANUP(mount_options) struct mount_options options = {0};
    struct error err = ERROR_INIT;
    const int exit_code = mount_options_parse(argc, argv, &options);

    if (exit_code != 0)
        return exit_code;
    if (options.shows_help) {
        print_help();
        return EXIT_CODE_OK;
    }
    config_wipe_secrets(options.config);
    if (attach(&options, &err) < 0)
        return command_fail(COMMAND, &err);
    return EXIT_CODE_OK;
}
