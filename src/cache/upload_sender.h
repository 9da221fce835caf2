/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sending one sealed upload, exactly once: the image's record decides before and after each
 * attempt, and only an active image with our size and hash ends it. A reply that is lost, or lies,
 * changes nothing about that.
 */
#ifndef CACHE_UPLOAD_SENDER_H
#define CACHE_UPLOAD_SENDER_H

#include "cache/staging_directory.h"
#include "glancefs/cancel.h"
#include "glancefs/image_service.h"

#include <stdatomic.h>

/** A sealed upload in our hands: its lock is held. */
struct upload_sender;

enum upload_outcome {
    UPLOAD_OUTCOME_DONE,      /* active with our bytes; journal and data are removed */
    UPLOAD_OUTCOME_LATER,     /* try again after a while */
    UPLOAD_OUTCOME_STUCK,     /* as before, but the image has been saved for so long that it may
                                 never end: people should know */
    UPLOAD_OUTCOME_REFUSED,   /* never with this image, durably recorded */
    UPLOAD_OUTCOME_CUT_SHORT, /* cancelled; still sealed */
};

/**
 * Takes the sealed upload of image `id` in hand, to be sent to `target` (NULL for the same image).
 * What another target answers is not recorded in the journal. `owner` is borrowed.
 *
 * ERROR_NOT_FOUND when there is none, ERROR_BUSY when somebody else has it in hand, ERROR_DENIED
 * when it belongs to another cloud or project, ERROR_CORRUPT or ERROR_UNSUPPORTED when it cannot
 * be used.
 */
int upload_sender_new(const struct staging_owner *owner, const char *id, const char *target,
                      struct upload_sender **ret, struct error *err);

/** Lets go of it; NULL is allowed. */
void upload_sender_free(struct upload_sender *sender);
DEFINE_CLEANUP(struct upload_sender, upload_sender_free)

/** True when it was refused for good earlier. */
bool upload_sender_has_failed(const struct upload_sender *sender);

/** What the journal says; borrowed. */
const struct upload_journal *upload_sender_journal(const struct upload_sender *sender);

/**
 * One attempt: looks at the image and, when it waits for its data, sets the properties that differ,
 * tells the key manager that the image uses the secret, and sends. Fills *err but for DONE. `sent`
 * counts the bytes handed over. May wait.
 */
enum upload_outcome upload_sender_attempt(struct upload_sender *sender,
                                          struct image_service *images, _Atomic uint64_t *sent,
                                          struct cancel *cancel, struct error *err);

#endif
