/* SPDX-License-Identifier: Apache-2.0 */
#include "glancefs/byte_sink.h"

static int check_open(const struct byte_sink *sink, struct error *err)
{
    if (sink->state != BYTE_SINK_OPEN)
        return error_set(err, ERROR_INVALID, "already %s",
                         sink->state == BYTE_SINK_COMMITTED ? "committed" : "aborted");
    return 0;
}

int byte_sink_write(struct byte_sink *sink, const void *bytes, size_t size, struct cancel *cancel,
                    struct error *err)
{
    if (check_open(sink, err) < 0)
        return -1;
    if (size == 0 || sink->ops->write(sink, bytes, size, cancel, err) == 0)
        return 0;
    byte_sink_abort(sink);
    return -1;
}

int byte_sink_commit(struct byte_sink *sink, struct cancel *cancel, struct error *err)
{
    if (check_open(sink, err) < 0)
        return -1;
    if (sink->ops->commit(sink, cancel, err) == 0) {
        sink->state = BYTE_SINK_COMMITTED;
        return 0;
    }
    byte_sink_abort(sink);
    return -1;
}

void byte_sink_abort(struct byte_sink *sink)
{
    if (sink->state != BYTE_SINK_OPEN)
        return;
    sink->state = BYTE_SINK_ABORTED;
    sink->ops->abort(sink);
}

void byte_sink_free(struct byte_sink *sink)
{
    if (sink == NULL)
        return;
    byte_sink_abort(sink);
    sink->ops->free(sink);
}
