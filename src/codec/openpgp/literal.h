/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Literal Data packet (RFC 9580 section 5.9). Its content is taken as it stands in every mode: an
 * image is bytes, whatever a writer said about text. The file name and date are never used.
 */
#ifndef CODEC_OPENPGP_LITERAL_H
#define CODEC_OPENPGP_LITERAL_H

#include "codec/openpgp/packet_body.h"

/** The mode that is written; readers take b, t, u and m (MIME, of LibrePGP). */
#define LITERAL_MODE_BINARY 'b'

/** Bytes before the content as literal_write_header makes them: mode, empty name, date 0. */
#define LITERAL_WRITTEN_HEADER_BYTES 6

bool literal_mode_is_valid(uint8_t mode);

/** Steps over mode, name and date: the content is what is left of `body`. The uniform error for
 *  an unknown mode or a body that ends before. */
int literal_read_header(struct packet_body *body, struct cancel *cancel, struct error *err);

/** Writes LITERAL_WRITTEN_HEADER_BYTES to `out`. */
void literal_write_header(uint8_t *out);

#endif
