/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The image service of a local cloud: the directory `images` holds what Glance would. The state
 * machine, the hashes and the errors are Glance's; local_record.h tells what a record written by
 * hand may leave out, and local_fault.h what it may ask for.
 */
#ifndef SERVICES_LOCAL_LOCAL_IMAGES_H
#define SERVICES_LOCAL_LOCAL_IMAGES_H

#include "glancefs/image_service.h"

/** The image service of the local cloud at `path`, which must exist; `images` is made when the
 *  first image is created. */
int local_images_new(const char *path, struct image_service **ret, struct error *err);

#endif
