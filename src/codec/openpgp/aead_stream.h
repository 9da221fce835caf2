/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plaintext of AEAD encrypted data. A chunk's bytes come out once its tag is known to be right,
 * and the end once the final tag is: it vouches for the number of chunks and octets. Until then
 * they stay in the arena.
 */
#ifndef CODEC_OPENPGP_AEAD_STREAM_H
#define CODEC_OPENPGP_AEAD_STREAM_H

#include "codec/openpgp/aead_chunks.h"
#include "codec/openpgp/byte_stream.h"
#include "glancefs/secure_arena.h"

struct aead_stream;

/**
 * Decrypts `body` (borrowed), which stands after the header, and takes over what `chunks` holds, on
 * success. Needs as much of `arena` as a chunk, or as the body when that is shorter.
 */
int aead_stream_new(struct byte_stream *body, struct aead_chunks *chunks,
                    struct secure_arena *arena, struct aead_stream **ret, struct error *err);

/** Wipes and frees; NULL is allowed. */
void aead_stream_free(struct aead_stream *stream);
DEFINE_CLEANUP(struct aead_stream, aead_stream_free)

/**
 * The plaintext. Reads fail with the uniform error, and go on to, when a tag is wrong, the body is
 * cut or goes on behind the final tag, or a chunk has no bytes. ERROR_TOO_LARGE: a chunk of more
 * than LIMIT_AEAD_CHUNK_BYTES, which would have to be held.
 */
struct byte_stream *aead_stream_plaintext(struct aead_stream *stream);

/** Bytes that came out so far: what decompression has to compare its output with. */
const uint64_t *aead_stream_decrypted_bytes(const struct aead_stream *stream);

/** The uniform error unless the stream was read to its end. */
int aead_stream_finish(const struct aead_stream *stream, struct error *err);

#endif
