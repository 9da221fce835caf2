/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/byte_output.h"

int byte_output_write(struct byte_output *output, const void *bytes, size_t size,
                      struct cancel *cancel, struct error *err)
{
    return output->write(output, bytes, size, cancel, err);
}

static int sink_output_write(struct byte_output *output, const void *bytes, size_t size,
                             struct cancel *cancel, struct error *err)
{
    return byte_sink_write(((struct sink_output *)output)->sink, bytes, size, cancel, err);
}

void sink_output_init(struct sink_output *output, struct byte_sink *sink)
{
    output->output.write = sink_output_write;
    output->sink = sink;
}
