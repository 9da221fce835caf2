/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The body of one packet as a stream, whatever the form of its length: chunks of a partial length
 * are joined, as far as they are at hand, an indeterminate length ends with the container. A
 * container that ends before the body does is the uniform error.
 */
#ifndef CODEC_OPENPGP_PACKET_BODY_H
#define CODEC_OPENPGP_PACKET_BODY_H

#include "codec/openpgp/packet_header.h"
#include "codec/openpgp/packet_index.h"

struct packet_body {
    struct byte_stream stream;
    struct lookahead *packets; /* borrowed; the header was read, the body comes next */
    enum packet_length_form form;
    uint64_t remaining;         /* of this chunk; meaningless when indeterminate */
    struct packet_index *index; /* notes the chunks; NULL when nobody wants to know */
};

/** The body that follows `header` in `packets`. */
void packet_body_init(struct packet_body *body, struct lookahead *packets,
                      const struct packet_header *header);

/** Notes in `index` (borrowed, all zero) where the rest of the body lies in its container. Call it
 *  before the first chunk was left. */
void packet_body_note(struct packet_body *body, struct packet_index *index);

/** Bytes that are left, when the packet says so; BYTE_SOURCE_SIZE_UNKNOWN for any other length. */
uint64_t packet_body_remaining(const struct packet_body *body);

/** Shows the next bytes of the body without copying; *ret_size is 0 only at its end. */
int packet_body_peek(struct packet_body *body, struct cancel *cancel, const uint8_t **ret_bytes,
                     size_t *ret_size, struct error *err);

/** Steps over `size` bytes, at most what packet_body_peek has just shown. */
void packet_body_skip(struct packet_body *body, size_t size);

/** Steps over exactly `size` bytes; an end before that is the uniform error. */
int packet_body_skip_exact(struct packet_body *body, uint64_t size, struct cancel *cancel,
                           struct error *err);

/** Steps over what is left of the body. */
int packet_body_skip_rest(struct packet_body *body, struct cancel *cancel, struct error *err);

/** The uniform error unless the whole body was read. */
int packet_body_finish(struct packet_body *body, struct cancel *cancel, struct error *err);

#endif
