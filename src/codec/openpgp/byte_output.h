/* SPDX-License-Identifier: Apache-2.0 */
/* How the layers of a message push bytes into one another when it is written: the mirror of
 * byte_stream.h. A layer borrows the one below. One thread at a time. */
#ifndef CODEC_OPENPGP_BYTE_OUTPUT_H
#define CODEC_OPENPGP_BYTE_OUTPUT_H

#include "glancefs/byte_sink.h"

struct byte_output {
    /** See byte_output_write. */
    int (*write)(struct byte_output *output, const void *bytes, size_t size, struct cancel *cancel,
                 struct error *err);
};

/** Takes all `size` bytes, or fails for good. */
int byte_output_write(struct byte_output *output, const void *bytes, size_t size,
                      struct cancel *cancel, struct error *err);

/** The lowest layer: a sink. */
struct sink_output {
    struct byte_output output;
    struct byte_sink *sink; /* borrowed */
};

void sink_output_init(struct sink_output *output, struct byte_sink *sink);

#endif
