/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists the images that can be read. Each listing is asked for anew, but once there was one, an image
 * service that is slow or out makes nobody wait: the last listing is shown again, and the next one is
 * asked for in the background (record_refresh.h). Thread-safe.
 */
#ifndef VIEW_IMAGE_LISTER_H
#define VIEW_IMAGE_LISTER_H

#include "glancefs/cancel.h"
#include "glancefs/cleanup.h"
#include "glancefs/error.h"
#include "glancefs/image_service.h"
#include "glancefs/image_view.h"
#include "view/attribute_cache.h"

struct image_lister;

/** Both are borrowed; what is listed is put into `attributes`. */
int image_lister_new(struct image_service *images, struct attribute_cache *attributes,
                     struct image_lister **ret, struct error *err);

/** Cancels what is being asked, and waits for that to end. NULL is allowed. */
void image_lister_free(struct image_lister *lister);
DEFINE_CLEANUP(struct image_lister, image_lister_free)

/** See image_index_list. Waits for the image service before the first listing, afterwards for as long
 *  as it takes in good order. */
int image_lister_list(struct image_lister *lister, struct cancel *cancel,
                      struct image_listing **ret, struct error *err);

#endif
