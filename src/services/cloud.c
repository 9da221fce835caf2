/* SPDX-License-Identifier: Apache-2.0 */
#include "glancefs/cloud.h"

#include "services/local/local_identity.h"
#include "services/local/local_images.h"
#include "services/local/local_keys.h"
#include "services/openstack/openstack_cloud.h"

#include <string.h>

#define LOCAL_PREFIX "local:"
#define OPENSTACK_NAME "openstack"

static int open_local(const char *path, struct secure_arena *arena, struct cloud *cloud,
                      struct error *err)
{
    if (*path == '\0')
        return error_set(err, ERROR_INVALID, "cloud local: names no directory");
    if (local_identity_new(path, &cloud->identity, err) < 0 ||
        local_images_new(path, &cloud->images, err) < 0)
        return -1;
    return local_keys_new(path, arena, &cloud->keys, err);
}

static bool is_openstack(const char *name)
{
    size_t length = strlen(OPENSTACK_NAME);

    return strncmp(name, OPENSTACK_NAME, length) == 0 &&
           (name[length] == '\0' || (name[length] == ':' && name[length + 1] != '\0'));
}

static int open_by_name(const char *name, const struct cloud_options *options,
                        struct secure_arena *arena, struct cloud *cloud, struct error *err)
{
    const char *colon = strchr(name, ':');

    if (is_openstack(name))
        return openstack_cloud_open(colon == NULL ? NULL : colon + 1, options, arena, cloud, err);
    if (strncmp(name, LOCAL_PREFIX, strlen(LOCAL_PREFIX)) == 0)
        return open_local(name + strlen(LOCAL_PREFIX), arena, cloud, err);
    return error_set(err, ERROR_INVALID,
                     "cloud '%s' is neither local:DIR nor openstack[:CLOUD_NAME]", name);
}

int cloud_open(const char *name, const struct cloud_options *options, struct secure_arena *arena,
               struct cloud **ret, struct error *err)
{
    CLEANUP(cloud_free) struct cloud *cloud = calloc(1, sizeof *cloud);

    if (cloud == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    if (open_by_name(name, options, arena, cloud, err) < 0)
        return -1;
    cloud->images->counters = &cloud->counters;
    *ret = steal(&cloud);
    return 0;
}

void cloud_free(struct cloud *cloud)
{
    if (cloud == NULL)
        return;
    key_manager_free(cloud->keys);
    image_service_free(cloud->images);
    identity_service_free(cloud->identity);
    free(cloud->cafile);
    free(cloud);
}
