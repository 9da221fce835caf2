/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One verification pass: an image is fetched (or read from the cache), hashed by the cache and
 * decrypted by the codec, all at once, and nothing is kept but what the codec learned.
 */
#ifndef VIEW_VERIFICATION_H
#define VIEW_VERIFICATION_H

#include "base/worker_pool.h"
#include "glancefs/ciphertext_cache.h"
#include "glancefs/codec.h"
#include "glancefs/image_record.h"
#include "glancefs/secure_buffer.h"
#include "view/image_signature.h"

#include <stdatomic.h>
#include <stdint.h>

/** What a pass works on; everything is borrowed until it returns. */
struct verification {
    struct ciphertext_cache *cache;
    struct secure_arena *arena;
    struct worker_pool *codec_pool; /* must have a thread to spare: the codec runs beside */
    const struct codec *codec;
    struct image_record *record;
    const struct secure_buffer *passphrase;
    const struct signature_policy *signatures;
    atomic_uint_fast64_t *progress; /* bytes of ciphertext seen so far */
};

/**
 * Runs the pass. Gives the verified message and a source of the very bytes it was verified on.
 * Waits long; `cancel` ends it.
 *
 * When both sides fail the cache's error counts: the codec then only saw the data end early. When
 * the codec alone fails, the pass still goes to the end of the image, so that the cache holds it.
 * When a copy in the cache turns out to be damaged, the image is fetched anew.
 */
int verification_run(const struct verification *verification, struct cancel *cancel,
                     struct codec_message **ret_message, struct byte_source **ret_ciphertext,
                     struct error *err);

#endif
