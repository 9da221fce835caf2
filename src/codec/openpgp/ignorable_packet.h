/* SPDX-License-Identifier: Apache-2.0 */
/* Packets that readers step over: marker, padding and unknown non-critical ones (RFC 9580 sections
 * 5.8, 5.14 and 4.3). */
#ifndef CODEC_OPENPGP_IGNORABLE_PACKET_H
#define CODEC_OPENPGP_IGNORABLE_PACKET_H

#include "codec/openpgp/packet_body.h"

/** Steps over the whole body of a packet for which packet_type_is_ignorable. The uniform error when
 *  it is cut off, or a marker that does not say "PGP". */
int ignorable_packet_skip(struct packet_body *body, uint8_t type, struct cancel *cancel,
                          struct error *err);

#endif
