/* SPDX-License-Identifier: Apache-2.0 */
#include "services/openstack/glance_download.h"

#include "base/clock.h"
#include "base/log.h"
#include "glancefs/limits.h"
#include "services/openstack/glance_request.h"
#include "services/openstack/http_retry.h"

#include <inttypes.h>
#include <string.h>

/* An attempt that delivers less gets us nowhere; so many of them in a row end the download. */
#define PROGRESS_BYTES (1 * MIB)
#define FRUITLESS_ATTEMPTS 5

struct transfer {
    struct openstack_session *session;
    const struct image_record *record;
    struct byte_sink *sink;
    struct cancel *cancel;
    uint64_t start;    /* where the caller wanted to begin */
    uint64_t position; /* everything before it was delivered */
    unsigned fruitless;
    bool refuses_ranges; /* the store can only be read from its first byte */
};

static bool same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool same_bytes(const struct image_record *a, const struct image_record *b)
{
    uint64_t size_a = 0;
    uint64_t size_b = 0;

    return image_record_size(a, &size_a) == image_record_size(b, &size_b) && size_a == size_b &&
           same_text(image_record_checksum(a), image_record_checksum(b)) &&
           same_text(image_record_hash_algo(a), image_record_hash_algo(b)) &&
           same_text(image_record_hash_value(a), image_record_hash_value(b));
}

/* The second part must be of the same bytes as the first. */
static int check_unchanged(const struct transfer *transfer, struct error *err)
{
    CLEANUP(image_record_unref) struct image_record *now = NULL;
    const char *id = image_record_id(transfer->record);

    if (glance_get(transfer->session, id, transfer->cancel, &now, err) < 0)
        return -1;
    if (same_bytes(transfer->record, now))
        return 0;
    return error_set(err, ERROR_CORRUPT, "image %s was replaced while it was downloaded", id);
}

/* Glance answers 204 for an image without data, be it that none came yet or that it lost them. */
static int explain_no_data(const struct transfer *transfer, struct error *err)
{
    CLEANUP(image_record_unref) struct image_record *now = NULL;
    const char *id = image_record_id(transfer->record);

    if (glance_get(transfer->session, id, transfer->cancel, &now, err) < 0)
        return -1;
    switch (image_record_status(now)) {
    case IMAGE_STATUS_QUEUED:
    case IMAGE_STATUS_SAVING:
    case IMAGE_STATUS_UPLOADING:
    case IMAGE_STATUS_IMPORTING:
        return error_set(err, ERROR_BUSY, "image %s has no data yet, it is %s", id,
                         image_status_name(image_record_status(now)));
    case IMAGE_STATUS_DEACTIVATED:
        return error_set(err, ERROR_DENIED, "image %s is deactivated", id);
    case IMAGE_STATUS_KILLED:
    case IMAGE_STATUS_DELETED:
    case IMAGE_STATUS_PENDING_DELETE:
        return error_set(err, ERROR_NOT_FOUND, "image %s is %s", id,
                         image_status_name(image_record_status(now)));
    case IMAGE_STATUS_ACTIVE:
        break;
    }
    return error_set(err, ERROR_UNAVAILABLE,
                     "image %s is active but " GLANCE_NAME " has no data of it", id);
}

static int judge_answer(struct transfer *transfer, const struct http_response *response,
                        struct error *err)
{
    if (response->status == 204) {
        (void)explain_no_data(transfer, err);
        return http_response_name(response, err);
    }
    if (glance_check(response, image_record_id(transfer->record), err) == 0)
        return 0;
    /* A store that cannot start in the middle, or whose file ends before. */
    if (transfer->position > 0 && (response->status == 400 || response->status == 416)) {
        transfer->refuses_ranges = true;
        (void)error_set(err, ERROR_UNAVAILABLE,
                        "image %s: " GLANCE_NAME " cannot go on at byte %" PRIu64,
                        image_record_id(transfer->record), transfer->position);
        return http_response_name(response, err);
    }
    return -1;
}

static int attempt(struct transfer *transfer, struct error *err)
{
    const struct http_request request = {.method = HTTP_GET,
                                         .download = transfer->sink,
                                         .offset = transfer->position,
                                         .skips_to_offset = transfer->refuses_ranges,
                                         .is_repeatable = true};
    CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
    char path[GLANCE_PATH_BYTES];
    int result;

    if (transfer->position > transfer->start && check_unchanged(transfer, err) < 0)
        return -1;
    glance_image_path(image_record_id(transfer->record), "/file", path);
    result = openstack_session_request(transfer->session, OPENSTACK_IMAGE, path, &request,
                                       transfer->cancel, &response, err);
    transfer->position += response.downloaded;
    return result < 0 ? -1 : judge_answer(transfer, &response, err);
}

/* What another attempt may mend: not what the sink or the service said on purpose. */
static bool may_go_on(struct transfer *transfer, uint64_t before, const struct error *err)
{
    if ((err->kind != ERROR_UNAVAILABLE && err->kind != ERROR_TIMEOUT) ||
        transfer->sink->state != BYTE_SINK_OPEN ||
        (transfer->position == transfer->start && !transfer->refuses_ranges))
        return false;
    if (transfer->position - before >= PROGRESS_BYTES)
        transfer->fruitless = 0;
    return ++transfer->fruitless < FRUITLESS_ATTEMPTS;
}

static int take_breath(const struct transfer *transfer, struct error *err)
{
    const uint64_t now_ns = clock_monotonic_ns();

    return http_retry_wait(now_ns + http_retry_pause_ns(transfer->fruitless, 0, (uint32_t)now_ns),
                           transfer->cancel, err);
}

/* True when nothing is left to be asked for, which Glance would answer with 416. */
static bool has_all(const struct transfer *transfer)
{
    uint64_t size;

    return image_record_size(transfer->record, &size) && transfer->position == size;
}

int glance_download(struct openstack_session *session, const struct image_record *record,
                    uint64_t offset, struct byte_sink *sink, struct cancel *cancel,
                    struct error *err)
{
    struct transfer transfer = {.session = session,
                                .record = record,
                                .sink = sink,
                                .cancel = cancel,
                                .start = offset,
                                .position = offset};

    while (!has_all(&transfer)) {
        const uint64_t before = transfer.position;

        if (attempt(&transfer, err) == 0)
            return 0;
        if (!may_go_on(&transfer, before, err))
            return -1;
        log_debug("image %s: download goes on at byte %" PRIu64 ": %s", image_record_id(record),
                  transfer.position, err->message);
        if (take_breath(&transfer, err) < 0)
            return -1;
    }
    return 0;
}
