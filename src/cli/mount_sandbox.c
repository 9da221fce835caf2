/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/mount_sandbox.h"

#include "base/log.h"
#include "base/process.h"
#include "base/sandbox.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LOCAL_PREFIX "local:"
#define MAXIMUM_PATHS 24

/*
 * What the C library and libcurl read while the daemon serves. Rules hold for the file that is there
 * now: resolv.conf, hosts and certificates are replaced by renaming new ones over them, so that only
 * a directory's rule goes on holding. Whatever else lies there is kept from an unprivileged user by
 * its permissions.
 */
static const char *const system_paths[] = {
    "/etc", /* resolv.conf, hosts, nsswitch.conf, ssl, localtime */
    "/usr", /* libraries of the name service, ca-certificates, zoneinfo */
    "/lib",
    "/lib64",
    "/proc", /* whether a caller was killed */
    "/sys/devices/system/cpu",
    "/dev/urandom",
    /* where resolv.conf may point */
    "/run/NetworkManager",
    "/run/resolvconf",
    "/run/systemd/resolve",
};

struct path_list {
    struct sandbox_path paths[MAXIMUM_PATHS];
    size_t count;
    char certificates[PATH_MAX]; /* the directory with the cafile */
};

static void add(struct path_list *list, const char *path, enum sandbox_access access)
{
    if (path != NULL && list->count < MAXIMUM_PATHS)
        list->paths[list->count++] = (struct sandbox_path){.path = path, .access = access};
}

/* Certificates are renewed while we run: see system_paths. */
static void add_certificates(struct path_list *list, const char *cafile)
{
    const char *slash = cafile != NULL ? strrchr(cafile, '/') : NULL;

    if (slash == NULL || (size_t)(slash - cafile) + 1 >= sizeof list->certificates)
        return;
    (void)snprintf(list->certificates, sizeof list->certificates, "%.*s/", (int)(slash - cafile),
                   cafile);
    add(list, list->certificates, SANDBOX_READ);
}

static bool is_local(const struct config *config)
{
    return strncmp(config->cloud, LOCAL_PREFIX, strlen(LOCAL_PREFIX)) == 0;
}

static void list_paths(struct path_list *list, const struct config *config,
                       const struct cloud *cloud)
{
    for (size_t i = 0; i < sizeof system_paths / sizeof system_paths[0]; i++)
        add(list, system_paths[i], SANDBOX_READ);
    add(list, "/dev/null", SANDBOX_WRITE);
    add(list, config->cache, SANDBOX_WRITE);
    add_certificates(list, cloud->cafile);
    if (is_local(config))
        add(list, config->cloud + strlen(LOCAL_PREFIX), SANDBOX_WRITE);
}

int mount_sandbox_enter(const struct config *config, const struct cloud *cloud,
                        struct codecs *codecs, struct sandbox_state *ret, struct error *err)
{
    struct path_list list = {.count = 0};
    struct sandbox_needs needs = {.uses_network = !is_local(config)};

    if (codecs_confine(codecs, config->has_sandbox, err) < 0)
        return -1;
    if (!config->has_sandbox)
        return geteuid() == 0 ? 0 : process_drop_capabilities(err);
    list_paths(&list, config, cloud);
    needs.paths = list.paths;
    needs.count = list.count;
    return sandbox_enter(&needs, ret, err);
}

void mount_sandbox_tell(const struct sandbox_state *state)
{
    if (!state->is_entered)
        log_warning("sandbox=no: the daemon keeps what its user may do");
    if (state->has_filter && state->landlock_abi == 0)
        log_warning("this kernel lacks Landlock (it came with Linux 5.13; wanted is 5.19): the "
                    "daemon may open whatever its user may");
    if (geteuid() == 0)
        log_warning("the daemon stays root, %s capabilities: name a user with setuid=",
                    state->is_entered ? "without" : "with");
}
