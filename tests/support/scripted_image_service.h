/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An image service in memory whose uploads go as a script says: replies get lost, data are cut off,
 * an image stays in "saving", or somebody else was faster. Thread-safe. Needs the crypto libraries
 * set up (support/crypto_arena.h): records carry real hashes.
 */
#ifndef SUPPORT_SCRIPTED_IMAGE_SERVICE_H
#define SUPPORT_SCRIPTED_IMAGE_SERVICE_H

#include "glancefs/image_service.h"

/** The most images one service holds, and the most steps of one script. */
#define SCRIPTED_IMAGES 8
#define SCRIPTED_STEPS 16

/** What one call of upload does. */
enum scripted_action {
    SCRIPT_ACCEPTED = 0,   /* takes the data, the image is active: also what follows the script */
    SCRIPT_REPLY_LOST,     /* the same, but the caller gets an error */
    SCRIPT_SAVED_LATER,    /* the same, but the image is "saving" for the next `looks` looks */
    SCRIPT_REFUSED,        /* an error before any byte; the image stays as it is */
    SCRIPT_CUT_OFF,        /* half of the data, then an error; queued again */
    SCRIPT_STUCK,          /* half of the data, then an error; "saving" for good */
    SCRIPT_FORGOTTEN,      /* takes the data and says so, but the image is still queued */
    SCRIPT_OVERTAKEN,      /* an error; the image is active with other data of the same size */
    SCRIPT_DELETED,        /* half of the data, then an error; the image is gone */
    SCRIPT_READ_TWICE,     /* half of the data, then all of them from the start */
    SCRIPT_READ_AT_RANDOM, /* reads at an offset it was not at */
    SCRIPT_HANGS,          /* takes no byte and waits until it is cancelled */
};

struct scripted_upload {
    enum scripted_action action;
    enum error_kind kind; /* of the error; ERROR_NONE stands for ERROR_UNAVAILABLE */
    unsigned looks;       /* of SCRIPT_SAVED_LATER */
    unsigned blind_looks; /* so many looks after the call fail as ERROR_UNAVAILABLE */
};

/** An empty service; image_service_free releases it. Aborts without memory. */
struct image_service *scripted_image_service_new(void);

/** Adds a queued image, with a script of `count` steps for its uploads. */
void scripted_image_service_add(struct image_service *service, const char *id,
                                const struct scripted_upload *script, size_t count);

/** Makes the image `status`, by Glance's word; "gone" removes it. */
void scripted_image_service_set_status(struct image_service *service, const char *id,
                                       const char *status);

/** Records name `hash_algo` with its hash (NULL: neither), and MD5 only when `has_checksum`. */
void scripted_image_service_set_hash(struct image_service *service, const char *hash_algo,
                                     bool has_checksum);

/** The next `count` looks at any image fail so. */
void scripted_image_service_fail_looks(struct image_service *service, enum error_kind kind,
                                       unsigned count);

/** The next `count` updates of any image fail so. */
void scripted_image_service_fail_updates(struct image_service *service, enum error_kind kind,
                                         unsigned count);

/** Calls so far, failed ones included. */
unsigned scripted_image_service_looks(struct image_service *service);
unsigned scripted_image_service_updates(struct image_service *service);
unsigned scripted_image_service_uploads(struct image_service *service);

/** The most uploads that ever ran at the same time. */
unsigned scripted_image_service_most_at_once(struct image_service *service);

/** True when the image is active with exactly these bytes. */
bool scripted_image_service_holds(struct image_service *service, const char *id, const void *bytes,
                                  size_t size);

/** True when the image has this additional property. */
bool scripted_image_service_has_property(struct image_service *service, const char *id,
                                         const char *name, const char *value);

#endif
