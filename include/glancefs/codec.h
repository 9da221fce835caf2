/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Codecs: an image's stored bytes to plaintext and back. `struct codecs` holds those of a process,
 * codecs_find picks one by `os_encrypt_format`; OpenPGP messages (RFC 9580) are the first, served by
 * the native engine or, on request, by GnuPG.
 *
 * Reading is two steps. codec_decrypt makes one pass over the whole ciphertext and vouches for it
 * (integrity, structure, one literal, size); the `struct codec_message` it gives knows the session
 * key and the layout. codec_message_open then reads plaintext from the same, unchanged ciphertext
 * as often as wanted, without authenticating it again: its input must be a verified source.
 * codec_open_stream is the first step for those who cannot wait for its end.
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

/** Who does the work of OpenPGP. */
enum codec_engine {
    CODEC_ENGINE_NATIVE, /* our own: everything, at full speed */
    CODEC_ENGINE_GPGME,  /* GnuPG through gpgme: SEIPDv1 only, a process per message */
};

/** How written messages are protected (RFC 9580 section 5.13; LibrePGP section 5.16). */
enum aead_mode {
    AEAD_NONE,         /* SEIPD version 1 with MDC: every gpg reads it */
    AEAD_OCB,          /* SEIPD version 2, OCB */
    AEAD_GCM,          /* SEIPD version 2, GCM */
    AEAD_LIBREPGP_OCB, /* OCB encrypted data packet (20), which GnuPG 2.3 and rnp read */
};

/** What a set of codecs is made from; strings are borrowed until codecs_free. */
struct codecs_options {
    enum codec_engine engine;
    enum aead_mode aead;
    const char *keyring; /* GNUPGHOME whose secret keys open messages to public keys; NULL: none */
    const char *runtime; /* directory for GnuPG's private state, see gpgme; NULL: the default one */
};

/** The codecs of a process. Immutable and thread-safe. */
struct codecs;

/** One format. Owned by its set. */
struct codec;

/** A verified message: session key and layout. Immutable, reference-counted, thread-safe. */
struct codec_message;

/** A message on its way. One thread at a time. */
struct codec_stream;

/** NULL options: the native engine, aead none, no keyring. When GnuPG is needed, a helper is forked
 *  that runs it, which inherits what is in memory but an arena: before threads, and after secrets
 *  were wiped elsewhere. ERROR_UNSUPPORTED when GnuPG cannot be used. */
int codecs_new(const struct codecs_options *options, struct codecs **ret, struct error *err);

/** Everything made by its codecs must have been freed. NULL is allowed. */
void codecs_free(struct codecs *codecs);
DEFINE_CLEANUP(struct codecs, codecs_free)

/** Has the helper, if there is one, give up its capabilities and, with `enters_sandbox`, all that gpg
 *  can do without. Once, before anything is decrypted or encrypted. */
int codecs_confine(struct codecs *codecs, bool enters_sandbox, struct error *err);

/** Of the process that runs gpg. */
enum codecs_helper {
    CODECS_HELPER_NONE, /* none is needed */
    CODECS_HELPER_RUNNING,
    CODECS_HELPER_ENDED, /* what needs gpg fails from now on */
};

/** How the helper is. Any thread. */
enum codecs_helper codecs_helper(const struct codecs *codecs);

/** The codec for an `os_encrypt_format` ("GPG", in any case). ERROR_UNSUPPORTED by name. */
int codecs_find(struct codecs *codecs, const char *format, const struct codec **ret,
                struct error *err);

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
 * source gives random access from any number of threads unless it says otherwise (compressed
 * messages are forward-only). A read that is cancelled or fails leaves the position where it was.
 * The open itself reads the text of an armored message, which `cancel` ends.
 */
int codec_message_open(struct codec_message *message, struct byte_source *ciphertext,
                       struct cancel *cancel, struct byte_source **ret, struct error *err);

/**
 * What is known of a verified message when its key is gone: where things lie, the exact size, and a
 * check value that tells the right key but does not give it. Immutable, reference-counted,
 * thread-safe; holds no secret and nothing of an arena.
 */
struct codec_layout;

/** The layout of `message`, to be kept after it; NULL when the engine keeps none or there is no
 *  memory. Caller unrefs. */
struct codec_layout *codec_message_layout(const struct codec_message *message);

/** One more reference. Any thread. */
struct codec_layout *codec_layout_ref(struct codec_layout *layout);

/** Gives a reference back. NULL is allowed. Any thread. */
void codec_layout_unref(struct codec_layout *layout);
DEFINE_CLEANUP(struct codec_layout, codec_layout_unref)

/**
 * The message of `layout` once more, without a pass over it: derives the session key from
 * `passphrase` and the beginning of `ciphertext` (borrowed), which must be a verified source of the
 * very bytes the layout was found in. ERROR_CORRUPT when the passphrase is not the right one;
 * ERROR_UNSUPPORTED from an engine that cannot: then only codec_decrypt helps.
 */
int codec_reopen(const struct codec *codec, struct secure_arena *arena, struct codec_layout *layout,
                 struct byte_source *ciphertext, const struct secure_buffer *passphrase,
                 struct cancel *cancel, struct codec_message **ret, struct error *err);

/**
 * Decrypts `ciphertext`, of which it takes ownership on success, while it arrives: reads it up to
 * the beginning of the plaintext, and on as codec_stream_read asks for more. Errors as
 * codec_decrypt. ERROR_UNSUPPORTED from an engine that cannot.
 */
int codec_open_stream(const struct codec *codec, struct secure_arena *arena,
                      struct byte_source *ciphertext, const struct secure_buffer *passphrase,
                      struct cancel *cancel, struct codec_stream **ret, struct error *err);

/** Wipes and frees, at any time; NULL is allowed. */
void codec_stream_free(struct codec_stream *stream);
DEFINE_CLEANUP(struct codec_stream, codec_stream_free)

/**
 * Reads the next 1 to `size` (> 0) bytes of plaintext, which are NOT verified yet (of AEAD messages
 * each chunk is). *ret_size is 0 only at the end, and only when the whole message is sound; else
 * the call that meets the end fails. A failure or cancellation consumes nothing.
 */
int codec_stream_read(struct codec_stream *stream, void *buffer, size_t size, struct cancel *cancel,
                      size_t *ret_size, struct error *err);

/** What the packet lengths promise, in bytes; BYTE_SOURCE_SIZE_UNKNOWN for a compressed message or
 *  one in chunks. A sound message keeps it. */
uint64_t codec_stream_plaintext_size(const struct codec_stream *stream);

/** True when the plaintext inside is compressed. */
bool codec_stream_is_compressed(const struct codec_stream *stream);

/** The verified message, once codec_stream_read told the end; NULL before. Caller unrefs. */
struct codec_message *codec_stream_message(struct codec_stream *stream);

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

struct codec_ops {
    int (*decrypt)(const struct codec *codec, struct secure_arena *arena,
                   struct byte_source *ciphertext, const struct secure_buffer *passphrase,
                   struct byte_sink *plaintext, struct cancel *cancel, struct codec_message **ret,
                   struct error *err);
    /** NULL when the engine cannot. */
    int (*open_stream)(const struct codec *codec, struct secure_arena *arena,
                       struct byte_source *ciphertext, const struct secure_buffer *passphrase,
                       struct cancel *cancel, struct codec_stream **ret, struct error *err);
    int (*open_sink)(const struct codec *codec, struct secure_arena *arena,
                     const struct secure_buffer *passphrase, uint64_t declared_size,
                     struct byte_sink *ciphertext, struct byte_sink **ret, struct error *err);
    /** NULL when the engine cannot. */
    int (*reopen)(const struct codec *codec, struct secure_arena *arena,
                  struct codec_layout *layout, struct byte_source *ciphertext,
                  const struct secure_buffer *passphrase, struct cancel *cancel,
                  struct codec_message **ret, struct error *err);
    void (*free)(struct codec *codec);
};

/** First member of an implementation's codec. */
struct codec {
    const struct codec_ops *ops;
    const char *format; /* the `os_encrypt_format` it serves */
};

struct codec_stream_ops {
    int (*read)(struct codec_stream *stream, void *buffer, size_t size, struct cancel *cancel,
                size_t *ret_size, struct error *err);
    uint64_t (*plaintext_size)(const struct codec_stream *stream);
    bool (*is_compressed)(const struct codec_stream *stream);
    struct codec_message *(*message)(struct codec_stream *stream);
    void (*free)(struct codec_stream *stream);
};

/** First member of an implementation's stream. */
struct codec_stream {
    const struct codec_stream_ops *ops;
};

struct codec_message_ops {
    uint64_t (*plaintext_size)(const struct codec_message *message);
    bool (*is_compressed)(const struct codec_message *message);
    int (*open)(struct codec_message *message, struct byte_source *ciphertext,
                struct cancel *cancel, struct byte_source **ret, struct error *err);
    /** NULL when the engine keeps no layouts. */
    struct codec_layout *(*layout)(const struct codec_message *message);
    void (*free)(struct codec_message *message);
};

/** First member of an implementation's message; codec_message_init gives it one reference. */
struct codec_message {
    const struct codec_message_ops *ops;
    unsigned reference_count; /* atomic */
};

void codec_message_init(struct codec_message *message, const struct codec_message_ops *ops);

/** First member of an implementation's layout; codec_layout_init gives it one reference. */
struct codec_layout {
    void (*free)(struct codec_layout *layout);
    unsigned reference_count; /* atomic */
};

void codec_layout_init(struct codec_layout *layout, void (*free)(struct codec_layout *layout));

#endif
