/* SPDX-License-Identifier: Apache-2.0 */
#include "services/openstack/glance.h"

#include "services/openstack/glance_download.h"
#include "services/openstack/glance_list.h"
#include "services/openstack/glance_request.h"
#include "services/openstack/glance_upload.h"

#include <stdlib.h>

struct glance {
    struct image_service service;
    struct openstack_session *session;
};

static struct openstack_session *session_of(struct image_service *service)
{
    return ((struct glance *)service)->session;
}

static int list(struct image_service *service, struct cancel *cancel, struct image_list **ret,
                struct error *err)
{
    return glance_list(session_of(service), cancel, ret, err);
}

static int get(struct image_service *service, const char *id, struct cancel *cancel,
               struct image_record **ret, struct error *err)
{
    return glance_get(session_of(service), id, cancel, ret, err);
}

static int create(struct image_service *service, const struct image_property *properties,
                  size_t count, struct cancel *cancel, struct image_record **ret, struct error *err)
{
    return glance_create(session_of(service), properties, count, cancel, ret, err);
}

static int update(struct image_service *service, const char *id,
                  const struct image_property *properties, size_t count, struct cancel *cancel,
                  struct error *err)
{
    return glance_update(session_of(service), id, properties, count, cancel, err);
}

static int download(struct image_service *service, const struct image_record *record,
                    uint64_t offset, struct byte_sink *sink, struct cancel *cancel,
                    struct error *err)
{
    return glance_download(session_of(service), record, offset, sink, cancel, err);
}

static int upload(struct image_service *service, const char *id, struct byte_source *data,
                  struct cancel *cancel, struct error *err)
{
    return glance_upload(session_of(service), id, data, cancel, err);
}

/* A repetition after a lost answer finds nothing any more: ERROR_NOT_FOUND, as for any such image. */
static int remove_image(struct image_service *service, const char *id, struct cancel *cancel,
                        struct error *err)
{
    const struct http_request request = {.method = HTTP_DELETE, .is_repeatable = true};
    CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
    char path[GLANCE_PATH_BYTES];

    glance_image_path(id, "", path);
    if (openstack_session_request(session_of(service), OPENSTACK_IMAGE, path, &request, cancel,
                                  &response, err) < 0)
        return -1;
    return glance_check(&response, id, err);
}

static void free_glance(struct image_service *service)
{
    free(service);
}

static const struct image_service_ops ops = {
    .list = list,
    .get = get,
    .create = create,
    .update = update,
    .download = download,
    .upload = upload,
    .remove = remove_image,
    .free = free_glance,
};

int glance_new(struct openstack_session *session, struct image_service **ret, struct error *err)
{
    struct glance *glance = calloc(1, sizeof *glance);

    if (glance == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    glance->service.ops = &ops;
    glance->session = session;
    *ret = &glance->service;
    return 0;
}
