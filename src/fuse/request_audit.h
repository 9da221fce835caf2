/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Audit lines (base/audit.h) of what callers of the mount ask for: one for each open of an image, be
 * it to read or to write, and each seal, before the caller has its answer. What the kernel refuses by
 * the files' permissions never comes here. None where the configuration says audit=off.
 */
#ifndef FUSE_REQUEST_AUDIT_H
#define FUSE_REQUEST_AUDIT_H

#include "fuse/request.h"

/** For the kinds of requests: `errnum` is what the caller gets, 0 when `work` succeeded. */
void audit_open_to_read(const struct request *request, int errnum);
void audit_open_to_write(const struct request *request, int errnum);
void audit_seal(const struct request *request, int errnum);

/** Notes which key the file to be sealed is encrypted with: afterwards nobody knows. */
void audit_note_key(struct request *request);

/** An open of image `id` without a request; `stream` is NULL when it was refused. */
void audit_open_at_once(fuse_req_t req, const char *id, const struct read_stream *stream,
                        int errnum);

#endif
