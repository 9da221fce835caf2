/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An image that is verified by the stream that reads it (verify=stream): its ciphertext is followed
 * while it arrives, and when the last byte turned out right the image becomes a verified one, of
 * which later streams read without another pass.
 */
#ifndef VIEW_ARRIVING_IMAGE_H
#define VIEW_ARRIVING_IMAGE_H

#include "base/uuid.h"
#include "glancefs/cancel.h"
#include "glancefs/ciphertext_cache.h"
#include "glancefs/cleanup.h"
#include "glancefs/codec.h"
#include "glancefs/error.h"
#include "glancefs/image_record.h"
#include "glancefs/secure_arena.h"
#include "glancefs/secure_buffer.h"
#include "view/attribute_cache.h"
#include "view/image_signature.h"
#include "view/plaintext.h"
#include "view/verified_image.h"
#include "view/view_counters.h"

struct arriving_image;

/** What one is opened with; all borrowed, and, but for `record` and `key`, until it is freed. */
struct arriving_image_parts {
    struct ciphertext_cache *cache;
    struct secure_arena *arena;
    struct verified_images *verified;
    struct attribute_cache *attributes;
    struct view_counters *counters;
    const struct signature_policy *signatures;
    const struct codec *codec;
    struct image_record *record;
    const struct given_key *key; /* what `passphrase` is */
};

/**
 * Waits for key and beginning of the plaintext only. Takes `passphrase`. *ret_plaintext is to be
 * freed before *ret. Its size is os_decrypt_size, or what the packet lengths promise, as far as there
 * is either.
 *
 * Errors of ciphertext_cache_follow, signature_sink_new and codec_open_stream; ERROR_CORRUPT: the two
 * sizes differ; ERROR_UNSUPPORTED: compressed and of unknown size, of which nothing could be shown
 * that is known to be less than all.
 */
int arriving_image_open(const struct arriving_image_parts *parts, struct secure_buffer *passphrase,
                        struct cancel *cancel, struct arriving_image **ret,
                        struct plaintext **ret_plaintext, struct error *err);

/** Gives back what the verification left, if it came that far. NULL is allowed. */
void arriving_image_free(struct arriving_image *arriving);
DEFINE_CLEANUP(struct arriving_image, arriving_image_free)

#endif
