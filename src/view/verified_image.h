/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a verification found out about an image, shared by all its streams and wiped with the last
 * of them: the message (session key and layout) and the passphrase it was verified with. The layout
 * alone is remembered, so that the next open of the same bytes needs the key but no further pass.
 *
 * A verification belongs to nobody: whoever needs one that is under way waits for it, and it ends
 * early only when nobody waits any more. A failed one is forgotten; the next open tries again.
 */
#ifndef VIEW_VERIFIED_IMAGE_H
#define VIEW_VERIFIED_IMAGE_H

#include "base/uuid.h"
#include "glancefs/cancel.h"
#include "glancefs/ciphertext_cache.h"
#include "glancefs/cleanup.h"
#include "glancefs/codec.h"
#include "glancefs/image_record.h"
#include "glancefs/secure_buffer.h"
#include "view/image_signature.h"
#include "view/view_counters.h"

#include <stdbool.h>
#include <stdint.h>

struct verified_image;

/** A secret that the key manager gave, and when. */
struct given_key {
    char id[UUID_TEXT_BYTES];
    uint64_t given_ns; /* clock_monotonic_ns() when its answer came */
};

/** All verified images of one index, and the verifications under way. */
struct verified_images;

/** What a set works with; borrowed. */
struct verified_images_parts {
    struct ciphertext_cache *cache;
    struct secure_arena *arena;
    struct view_counters *counters;
    const struct signature_policy *signatures;
    unsigned max_verifications;     /* at a time; as many threads twice */
    unsigned authorise_ttl_seconds; /* see verified_images_find_authorised */
};

int verified_images_new(const struct verified_images_parts *parts, struct verified_images **ret,
                        struct error *err);

/** All images must have been released. Waits for cancelled verifications. NULL is allowed. */
void verified_images_free(struct verified_images *images);
DEFINE_CLEANUP(struct verified_images, verified_images_free)

/**
 * The verified image that `record` describes, verified with `passphrase`, which this takes: of an
 * open stream, of a verification under way, or of a new one. `key` is where the passphrase is from,
 * borrowed. Waits; ERROR_CANCELLED once `cancel` is cancelled, while the verification
 * goes on for the others. Release *ret.
 */
int verified_images_acquire(struct verified_images *images, struct image_record *record,
                            const struct codec *codec, const struct given_key *key,
                            struct secure_buffer *passphrase, struct cancel *cancel,
                            struct verified_image **ret, struct error *err);

/** The same, but only one that is verified already; else NULL. Never waits. Release the result. */
struct verified_image *verified_images_find(struct verified_images *images,
                                            const struct image_record *record,
                                            const struct given_key *key,
                                            const struct secure_buffer *passphrase);

/** True when verified_images_acquire needs no pass over the image to verify it: layout and tags are
 *  remembered from an earlier one. Never waits long. */
bool verified_images_can_recall(struct verified_images *images, const struct image_record *record);

/**
 * Takes in an image that somebody else verified on the bytes of `record`: `message`, borrowed, with
 * `passphrase`, which this takes. NULL without memory: then nobody will find it. Release the result.
 */
struct verified_image *verified_images_adopt(struct verified_images *images,
                                             struct image_record *record, const struct codec *codec,
                                             const struct given_key *key,
                                             struct secure_buffer *passphrase,
                                             struct codec_message *message);

/**
 * An image without asking the key manager: one that is open now, whose secret `key_id` the
 * key manager gave less than `authorise_ttl` ago; else NULL. Release the result.
 */
struct verified_image *verified_images_find_authorised(struct verified_images *images,
                                                       const struct image_record *record,
                                                       const char *key_id);

/** Gives it back; the last one wipes the key. NULL is allowed. */
void verified_image_release(struct verified_image *image);
DEFINE_CLEANUP(struct verified_image, verified_image_release)

/** Borrowed from `image`. */
struct codec_message *verified_image_message(const struct verified_image *image);

/** A source of the verified ciphertext for one reader; caller frees. May wait. */
int verified_image_open_ciphertext(struct verified_image *image, struct cancel *cancel,
                                   struct byte_source **ret, struct error *err);

/** The same without waiting; ERROR_BUSY when that cannot be done. */
int verified_image_open_ciphertext_now(struct verified_image *image, struct byte_source **ret,
                                       struct error *err);

/** Calls `visit` for each verification under way, with the set locked: it must not call back. */
void verified_images_each_verification(struct verified_images *images,
                                       void (*visit)(void *context, const char *id,
                                                     uint64_t done_bytes, uint64_t total_bytes),
                                       void *context);

#endif
