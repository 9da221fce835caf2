/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Codecs: an image's stored bytes to plaintext and back. codec_for_format picks one by
 * `os_encrypt_format`; OpenPGP symmetric messages (RFC 9580) are the first.
 *
 * Reading is two steps. codec_decrypt makes one pass over the whole ciphertext and vouches for it
 * (integrity, structure, one literal, size); the `struct codec_message` it gives knows the session
 * key and the layout. codec_message_open then reads plaintext from the same, unchanged ciphertext
 * as often as wanted, without authenticating it again: its input must be a verified source.
 *
 * A wrong passphrase and damaged data are one error: ERROR_CORRUPT, one message.
 */
#ifndef GLANCEFS_CODEC_H
#define GLANCEFS_CODEC_H

#include "glancefs/byte_sink.h"
#include "glancefs/byte_source.h"
#include "glancefs/cancel.h"
#include "glancefs/cleanup.h"
#include "glancefs/error.h"
#include "glancefs/secure_arena.h"
#include "glancefs/secure_buffer.h"

#include <stdbool.h>
#include <stdint.h>

/** One format. Implementations are constant objects. */
struct codec;

/** A verified message: session key and layout. Immutable, reference-counted, thread-safe. */
struct codec_message;

/** The codec for an `os_encrypt_format` ("GPG", in any case). ERROR_UNSUPPORTED by name. */
int codec_for_format(const char *format, const struct codec **ret, struct error *err);

/**
 * Decrypts and verifies the whole of `ciphertext` (read once, from front to back).
 *
 * `plaintext` (may be NULL) receives bytes as they are decrypted, that is BEFORE they are verified;
 * it is committed only when the message is sound and aborted otherwise, so a caller that must not
 * show unverified bytes gives a sink that publishes on commit, or none. `ret` may be NULL.
 * Secrets and plaintext stay in `arena`. Memory is constant however large the message.
 *
 * ERROR_CORRUPT: wrong passphrase, damage, truncation, trailing bytes, not OpenPGP.
 * ERROR_UNSUPPORTED: a packet, algorithm or version that we name but do not serve.
 * ERROR_TOO_LARGE: a cap of limits.h. ERROR_KEY_REJECTED: empty passphrase.
 */
int codec_decrypt(const struct codec *codec, struct secure_arena *arena,
                  struct byte_source *ciphertext, const struct secure_buffer *passphrase,
                  struct byte_sink *plaintext, struct cancel *cancel, struct codec_message **ret,
                  struct error *err);

/** One more reference. Any thread. */
struct codec_message *codec_message_ref(struct codec_message *message);

/** Gives a reference back; the last one wipes. NULL is allowed. Any thread. */
void codec_message_unref(struct codec_message *message);
DEFINE_CLEANUP(struct codec_message, codec_message_unref)

/** Exact plaintext size in bytes. */
uint64_t codec_message_plaintext_size(const struct codec_message *message);

/** True when the plaintext inside is compressed, so that reading is a forward stream. */
bool codec_message_is_compressed(const struct codec_message *message);

/**
 * Reads plaintext out of the verified `ciphertext`, of which it takes ownership on success. The
 * source is forward-only unless it says otherwise. A read that is cancelled or fails leaves the
 * position where it was.
 */
int codec_message_open(struct codec_message *message, struct byte_source *ciphertext,
                       struct byte_source **ret, struct error *err);

/**
 * A sink that encrypts what is written and passes ciphertext to `ciphertext` (borrowed, must
 * outlive the sink). Its commit completes the message, then commits `ciphertext`; its abort aborts
 * it. `declared_size` is the exact number of plaintext bytes that will come, or
 * BYTE_SOURCE_SIZE_UNKNOWN; a commit with any other number fails with ERROR_INVALID.
 */
int codec_open_sink(const struct codec *codec, struct secure_arena *arena,
                    const struct secure_buffer *passphrase, uint64_t declared_size,
                    struct byte_sink *ciphertext, struct byte_sink **ret, struct error *err);

/* --- what an implementation provides --- */

struct codec {
    const char *format; /* the `os_encrypt_format` it serves */
    int (*decrypt)(struct secure_arena *arena, struct byte_source *ciphertext,
                   const struct secure_buffer *passphrase, struct byte_sink *plaintext,
                   struct cancel *cancel, struct codec_message **ret, struct error *err);
    int (*open_sink)(struct secure_arena *arena, const struct secure_buffer *passphrase,
                     uint64_t declared_size, struct byte_sink *ciphertext, struct byte_sink **ret,
                     struct error *err);
};

struct codec_message_ops {
    uint64_t (*plaintext_size)(const struct codec_message *message);
    bool (*is_compressed)(const struct codec_message *message);
    int (*open)(struct codec_message *message, struct byte_source *ciphertext,
                struct byte_source **ret, struct error *err);
    void (*free)(struct codec_message *message);
};

/** First member of an implementation's message; codec_message_init gives it one reference. */
struct codec_message {
    const struct codec_message_ops *ops;
    unsigned reference_count; /* atomic */
};

void codec_message_init(struct codec_message *message, const struct codec_message_ops *ops);

#endif
