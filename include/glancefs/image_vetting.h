/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a mount asks of an image before it looks at its bytes, and of these bytes before it decrypts them,
 * for whoever puts images into the cache ahead of it: that the image is ours to read, and the image
 * signature, as the options `foreign_owners`, `signature` and `trusted_certificates` want it.
 */
#ifndef GLANCEFS_IMAGE_VETTING_H
#define GLANCEFS_IMAGE_VETTING_H

#include "glancefs/byte_sink.h"
#include "glancefs/cancel.h"
#include "glancefs/cleanup.h"
#include "glancefs/config.h"
#include "glancefs/error.h"
#include "glancefs/identity_service.h"
#include "glancefs/image_record.h"
#include "glancefs/key_manager.h"

struct image_vetting;

/**
 * As `config` wants it, for who we are. All are borrowed and must outlive it. Reads trusted
 * certificates, be it from a file or from `keys`: may wait, and fails when one of them cannot be had.
 */
int image_vetting_new(const struct config *config, const struct identity *identity,
                      struct key_manager *keys, struct image_vetting **ret, struct error *err);

/** NULL is allowed. */
void image_vetting_free(struct image_vetting *vetting);
DEFINE_CLEANUP(struct image_vetting, image_vetting_free)

/** ERROR_DENIED for an image of another project that `foreign_owners` does not name. Any thread. */
int image_vetting_check_owner(const struct image_vetting *vetting,
                              const struct image_record *record, struct error *err);

/**
 * A sink for the image's stored bytes, whose commit proves its signature: ERROR_CORRUPT when it does not
 * match. NULL where nothing is asked for. Fetches the certificate, so it may wait; fails as an open of
 * the image would. The caller frees *ret. Any thread.
 */
int image_vetting_observe(const struct image_vetting *vetting, const struct image_record *record,
                          struct cancel *cancel, struct byte_sink **ret, struct error *err);

#endif
