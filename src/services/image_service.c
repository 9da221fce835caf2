/* SPDX-License-Identifier: Apache-2.0 */
#include "glancefs/image_service.h"

#include "base/clock.h"
#include "base/uuid.h"
#include "glancefs/limits.h"

#include <string.h>

void image_list_free(struct image_list *list)
{
    if (list == NULL)
        return;
    for (size_t i = 0; i < list->count; i++)
        image_record_unref(list->records[i]);
    free(list->records);
    free(list);
}

/* Nothing but a UUID ever becomes part of a path or an address. */
static int check_id(const char *id, struct cancel *cancel, struct error *err)
{
    if (!uuid_is_valid(id))
        return error_set(err, ERROR_NOT_FOUND, "no image has an id that is no UUID");
    return cancel_check(cancel, err);
}

static int check_properties(const struct image_property *properties, size_t count,
                            struct error *err)
{
    if (count > LIMIT_IMAGE_PROPERTIES)
        return error_set(err, ERROR_TOO_LARGE, "%zu properties, over the limit of %d", count,
                         LIMIT_IMAGE_PROPERTIES);
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(properties[i].name);

        if (length == 0 || properties[i].value == NULL)
            return error_set(err, ERROR_INVALID, "a property without a name or a value");
        if (length > LIMIT_PROPERTY_NAME_BYTES)
            return error_set(err, ERROR_TOO_LARGE, "a property name longer than %d bytes",
                             LIMIT_PROPERTY_NAME_BYTES);
    }
    return 0;
}

int image_service_list(struct image_service *service, struct cancel *cancel,
                       struct image_list **ret, struct error *err)
{
    if (cancel_check(cancel, err) < 0)
        return -1;
    return service->ops->list(service, cancel, ret, err);
}

int image_service_get(struct image_service *service, const char *id, struct cancel *cancel,
                      struct image_record **ret, struct error *err)
{
    if (check_id(id, cancel, err) < 0)
        return -1;
    return service->ops->get(service, id, cancel, ret, err);
}

int image_service_create(struct image_service *service, const struct image_property *properties,
                         size_t count, struct cancel *cancel, struct image_record **ret,
                         struct error *err)
{
    if (check_properties(properties, count, err) < 0 || cancel_check(cancel, err) < 0)
        return -1;
    for (size_t i = 0; i < count; i++)
        if (strcmp(properties[i].name, "id") == 0 && !uuid_is_valid(properties[i].value))
            return error_set(err, ERROR_INVALID, "the id of a new image must be a UUID");
    return service->ops->create(service, properties, count, cancel, ret, err);
}

int image_service_update(struct image_service *service, const char *id,
                         const struct image_property *properties, size_t count,
                         struct cancel *cancel, struct error *err)
{
    if (check_id(id, cancel, err) < 0 || check_properties(properties, count, err) < 0)
        return -1;
    return service->ops->update(service, id, properties, count, cancel, err);
}

/* --- image data, counted --- */

/* Counts what a download delivers; the caller's sink is his to commit. */
struct counting_sink {
    struct byte_sink sink;
    struct byte_sink *target;
    uint64_t bytes;
};

static int counting_sink_write(struct byte_sink *sink, const void *bytes, size_t size,
                               struct cancel *cancel, struct error *err)
{
    struct counting_sink *counting = (struct counting_sink *)sink;

    if (byte_sink_write(counting->target, bytes, size, cancel, err) < 0)
        return -1;
    counting->bytes += size;
    return 0;
}

static void counting_sink_abort(struct byte_sink *sink)
{
    byte_sink_abort(((struct counting_sink *)sink)->target);
}

static const struct byte_sink_ops counting_sink_ops = {.write = counting_sink_write,
                                                       .abort = counting_sink_abort};

static int download_counted(struct image_service *service, const struct image_record *record,
                            uint64_t offset, struct byte_sink *sink, struct cancel *cancel,
                            struct error *err)
{
    struct counting_sink counting = {.sink.ops = &counting_sink_ops, .target = sink};
    const uint64_t started_ns = clock_monotonic_ns();
    const int result = service->ops->download(service, record, offset, &counting.sink, cancel, err);

    stage_counter_add(&service->counters->download, counting.bytes, started_ns);
    return result;
}

int image_service_download(struct image_service *service, const struct image_record *record,
                           uint64_t offset, struct byte_sink *sink, struct cancel *cancel,
                           struct error *err)
{
    if (cancel_check(cancel, err) < 0)
        return -1;
    if (service->counters != NULL)
        return download_counted(service, record, offset, sink, cancel, err);
    return service->ops->download(service, record, offset, sink, cancel, err);
}

int image_service_upload(struct image_service *service, const char *id, struct byte_source *data,
                         struct cancel *cancel, struct error *err)
{
    const uint64_t started_ns = clock_monotonic_ns();

    if (check_id(id, cancel, err) < 0)
        return -1;
    if (byte_source_size(data) == BYTE_SOURCE_SIZE_UNKNOWN)
        return error_set(err, ERROR_INVALID, "image %s: the size of its data is not known", id);
    if (service->ops->upload(service, id, data, cancel, err) < 0)
        return -1;
    if (service->counters != NULL)
        stage_counter_add(&service->counters->upload, byte_source_size(data), started_ns);
    return 0;
}

int image_service_remove(struct image_service *service, const char *id, struct cancel *cancel,
                         struct error *err)
{
    if (check_id(id, cancel, err) < 0)
        return -1;
    return service->ops->remove(service, id, cancel, err);
}

void image_service_free(struct image_service *service)
{
    if (service != NULL)
        service->ops->free(service);
}
