/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verify pass as a stream: decrypts a message while it is read, and vouches for it at its end.
 *
 * What an error may tell. Anything inside the encryption fails with the uniform error
 * (message_damaged.h). Two kinds are worth telling the owner of a sound message, though: content
 * that is not supported, and content over a limit. When one of them is met, the rest of the message
 * is decrypted and verified first: only an authentic message gets the clear text, so that altering
 * one never yields anything but the uniform error.
 *
 * A session key may be the wrong one and look right. When the message turns out unsound with it, the
 * next candidate is tried, if the ciphertext can be read again and nobody has seen plaintext yet. Of
 * a source that can only be read once, the first ARMOR_KEPT_BYTES are kept while there is a choice:
 * enough to see the first chunk of AEAD data, whose tag tells the right key.
 */
#ifndef CODEC_OPENPGP_OPENPGP_STREAM_H
#define CODEC_OPENPGP_OPENPGP_STREAM_H

#include "codec/openpgp/openpgp_message.h"
#include "codec/openpgp/session_key_search.h"
#include "glancefs/codec.h"

struct openpgp_stream;

/**
 * Opens the message in `ciphertext` (borrowed), up to the beginning of its plaintext. Arena: 784 KiB,
 * with compression up to 1.5 MiB, with BZip2 up to 5 MiB; AEAD data need 512 KiB less and a chunk, of
 * up to 4 MiB, more. With `discards` nobody
 * uses the plaintext that reads give: other candidates may be tried up to the end, and `means` are
 * borrowed until then, else for this call. Errors as codec_decrypt.
 */
int openpgp_stream_new(struct byte_source *ciphertext, const struct session_key_means *means,
                       bool discards, struct cancel *cancel, struct openpgp_stream **ret,
                       struct error *err);

/** Wipes and frees; NULL is allowed. */
void openpgp_stream_free(struct openpgp_stream *stream);
DEFINE_CLEANUP(struct openpgp_stream, openpgp_stream_free)

/** As codec_stream_read. */
int openpgp_stream_read(struct openpgp_stream *stream, void *buffer, size_t size,
                        struct cancel *cancel, size_t *ret_size, struct error *err);

/** As codec_stream_message. */
struct codec_message *openpgp_stream_message(struct openpgp_stream *stream);

/** The same as a codec_stream, which frees it and takes over the `ciphertext` it was made with. */
struct codec_stream *openpgp_stream_as_codec_stream(struct openpgp_stream *stream);

#endif
