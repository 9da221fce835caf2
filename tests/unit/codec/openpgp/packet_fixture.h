/* SPDX-License-Identifier: Apache-2.0 */
/* Packets in memory as the layers read them: a source, a stream over it, a look-ahead. */
#ifndef UNIT_CODEC_PACKET_FIXTURE_H
#define UNIT_CODEC_PACKET_FIXTURE_H

#include "codec/openpgp/ciphertext_stream.h"
#include "codec/openpgp/packet_body.h"
#include "codec_bed.h"

struct packet_fixture {
    struct byte_source *source;
    struct ciphertext_stream ciphertext;
    struct lookahead *packets;
    struct packet_header header; /* of the first packet */
    struct packet_body body;     /* the same */
};

/** Reads the first header of `octets` (borrowed); `options` as memory_source_new. */
void packet_fixture_start(struct packet_fixture *fixture, const struct octets *octets,
                          const struct memory_source_options *options);
void packet_fixture_stop(struct packet_fixture *fixture);

/** Reads `stream` to its end in reads of `step` bytes. 0, or -1 with the error of the read. */
int read_to_end(struct byte_stream *stream, size_t step, struct octets *ret, struct error *err);

#endif
