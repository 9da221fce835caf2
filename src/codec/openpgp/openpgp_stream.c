/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/openpgp_stream.h"

#include "codec/openpgp/armor.h"
#include "codec/openpgp/encrypted_message.h"
#include "codec/openpgp/message_damaged.h"
#include "glancefs/limits.h"

#include <inttypes.h>
#include <stdlib.h>

struct openpgp_stream {
    struct codec_stream stream;
    struct secure_arena *arena;
    struct byte_source *original;   /* what the stream was made with */
    struct byte_source *ciphertext; /* the same, without armor */
    bool owns_original;
    struct session_key_search *search;   /* NULL when it has to be this candidate */
    struct session_key *key;             /* the candidate */
    struct openpgp_layout *layout;       /* as far as it is known */
    struct encrypted_message *encrypted; /* NULL when it has to be opened again */
    bool is_decrypting;                  /* `encrypted` has its key */
    uint64_t promised;                   /* plaintext bytes, by the literal's length */
    bool is_compressed;
    bool content_has_ended;
    struct error refusal;          /* of content, told once the rest is verified */
    struct error failure;          /* for good */
    struct codec_message *message; /* at the end */
};

/* --- opening --- */

/* Reads up to the encrypted data and learns what session keys there are. */
static int begin(struct openpgp_stream *stream, const struct session_key_means *means,
                 struct cancel *cancel, struct error *err)
{
    CLEANUP(esk_sequence_free) struct esk_sequence *sequence = NULL;
    struct packet_header header;

    if (armor_open(stream->original, cancel, &stream->ciphertext, &stream->layout->is_armored,
                   err) < 0)
        return -1;
    armor_keep(stream->ciphertext);
    if (encrypted_message_new(stream->ciphertext, 0, &stream->encrypted, err) < 0 ||
        esk_sequence_read(stream->encrypted->packets, cancel, &sequence,
                          &stream->layout->data_offset, &header, err) < 0 ||
        encrypted_message_enter(stream->encrypted, &header, &stream->layout->body, cancel, err) < 0)
        return -1;
    return session_key_search_new(&sequence, &stream->encrypted->data, means, &stream->search, err);
}

static void leave(struct openpgp_stream *stream)
{
    encrypted_message_free(steal(&stream->encrypted));
    packet_index_clear(&stream->layout->body);
    packet_index_clear(&stream->layout->content);
    stream->layout->plaintext_size = 0;
    stream->is_decrypting = false;
    stream->content_has_ended = false;
    stream->refusal = (struct error)ERROR_INIT;
}

static bool is_refusal(const struct error *err)
{
    return err->kind == ERROR_UNSUPPORTED || err->kind == ERROR_TOO_LARGE;
}

/* Enters the encryption with the candidate at hand; content that is refused is no failure yet. */
static int decrypt(struct openpgp_stream *stream, struct cancel *cancel, struct error *err)
{
    struct openpgp_layout *layout = stream->layout;

    if (stream->is_decrypting)
        return 0;
    if (stream->encrypted == NULL &&
        encrypted_message_reenter(stream->ciphertext, layout->data_offset, &layout->body, cancel,
                                  &stream->encrypted, err) < 0)
        return -1;
    if (encrypted_message_decrypt(stream->encrypted, stream->key, true, cancel, err) == 0) {
        literal_message_note(stream->encrypted->inside, &layout->content);
        stream->promised = literal_message_remaining(stream->encrypted->inside);
        stream->is_compressed = literal_message_is_compressed(stream->encrypted->inside);
    } else if (is_refusal(err) && encrypted_message_packets(stream->encrypted) != NULL) {
        stream->refusal = *err;
    } else {
        leave(stream);
        return -1;
    }
    stream->is_decrypting = true;
    return 0;
}

/* Verifies the rest of a message whose content is refused: then it may be told. */
static int confirm_refusal(struct openpgp_stream *stream, struct cancel *cancel, struct error *err)
{
    CLEANUP(secure_buffer_free) struct secure_buffer *piece = NULL;
    size_t got;

    if (secure_buffer_new(stream->arena, LITERAL_MESSAGE_PIECE_BYTES, &piece, err) < 0)
        return -1;
    do {
        if (byte_stream_read(encrypted_message_packets(stream->encrypted),
                             secure_buffer_data(piece), secure_buffer_capacity(piece), cancel, &got,
                             err) < 0)
            return -1;
    } while (got > 0);
    if (encrypted_message_finish(stream->encrypted, cancel, err) < 0)
        return -1;
    *err = stream->refusal;
    return -1;
}

/* Comes to the content, or stays there. */
static int enter(struct openpgp_stream *stream, struct cancel *cancel, struct error *err)
{
    if (decrypt(stream, cancel, err) < 0)
        return -1;
    return error_is_set(&stream->refusal) ? confirm_refusal(stream, cancel, err) : 0;
}

/* Makes another candidate the one to try after *err, which is unset then; false, with *err as it was
 * or the failure that keeps from knowing, when that is not possible. */
static bool has_another_key(struct openpgp_stream *stream, struct cancel *cancel, struct error *err)
{
    struct error search_err = ERROR_INIT;
    struct session_key *key = NULL;

    if (err->kind != ERROR_CORRUPT || stream->search == NULL ||
        !armor_can_be_read_again(stream->ciphertext))
        return false;
    if (session_key_search_next(stream->search, cancel, &key, &search_err) < 0) {
        if (search_err.kind != ERROR_CORRUPT)
            *err = search_err;
        return false;
    }
    session_key_free(stream->key);
    stream->key = key;
    leave(stream);
    *err = (struct error)ERROR_INIT;
    return true;
}

/* It has to be this candidate from here on. */
static void end_search(struct openpgp_stream *stream)
{
    session_key_search_free(steal(&stream->search));
    armor_keep_no_more(stream->ciphertext);
}

/* Tries candidates until one leads to the content. */
static int find_key(struct openpgp_stream *stream, struct cancel *cancel, struct error *err)
{
    if (!session_key_search_has_choice(stream->search))
        armor_keep_no_more(stream->ciphertext);
    if (session_key_search_next(stream->search, cancel, &stream->key, err) < 0)
        return -1;
    while (enter(stream, cancel, err) < 0)
        if (!has_another_key(stream, cancel, err))
            return -1;
    return 0;
}

/* --- reading --- */

/* The message is sound: what was learnt about it becomes immutable. */
static int complete(struct openpgp_stream *stream, struct error *err)
{
    const struct encrypted_message *encrypted = stream->encrypted;
    struct openpgp_layout *layout = stream->layout;

    layout->kind = encrypted->data.kind;
    layout->aead = encrypted->aead_header;
    layout->decrypted_size = encrypted_message_decrypted_bytes(encrypted);
    layout->is_compressed = stream->is_compressed;
    if (openpgp_layout_set_key(layout, stream->key, err) < 0)
        return -1;
    return openpgp_message_new(&stream->key, layout, &stream->message, err);
}

static int read_content(struct openpgp_stream *stream, void *buffer, size_t size,
                        struct cancel *cancel, size_t *ret_size, struct error *err)
{
    struct openpgp_layout *layout = stream->layout;

    if (stream->content_has_ended)
        return 0;
    if (byte_stream_read(literal_message_content(stream->encrypted->inside), buffer, size, cancel,
                         ret_size, err) < 0)
        return -1;
    if (*ret_size > LIMIT_PLAINTEXT_BYTES - layout->plaintext_size)
        return error_set(err, ERROR_TOO_LARGE, "the plaintext is over %" PRIu64 " bytes",
                         LIMIT_PLAINTEXT_BYTES);
    layout->plaintext_size += *ret_size;
    stream->content_has_ended = *ret_size == 0;
    return 0;
}

/* Verifies what is behind the content. */
static int finish(struct openpgp_stream *stream, struct cancel *cancel, struct error *err)
{
    if (literal_message_finish(stream->encrypted->inside, cancel, err) < 0 ||
        encrypted_message_finish(stream->encrypted, cancel, err) < 0)
        return -1;
    return complete(stream, err);
}

static int try_read(struct openpgp_stream *stream, void *buffer, size_t size, struct cancel *cancel,
                    size_t *ret_size, struct error *err)
{
    if (cancel_check(cancel, err) < 0 || enter(stream, cancel, err) < 0)
        return -1;
    if (read_content(stream, buffer, size, cancel, ret_size, err) == 0 &&
        (!stream->content_has_ended || finish(stream, cancel, err) == 0))
        return 0;
    if (!is_refusal(err))
        return -1;
    stream->refusal = *err;
    return confirm_refusal(stream, cancel, err);
}

static bool is_final(const struct error *err)
{
    return err->kind == ERROR_CORRUPT || is_refusal(err);
}

int openpgp_stream_read(struct openpgp_stream *stream, void *buffer, size_t size,
                        struct cancel *cancel, size_t *ret_size, struct error *err)
{
    *ret_size = 0;
    if (stream->message != NULL)
        return 0;
    if (error_is_set(&stream->failure)) {
        *err = stream->failure;
        return -1;
    }
    do {
        if (try_read(stream, buffer, size, cancel, ret_size, err) == 0)
            return 0;
        *ret_size = 0;
    } while (has_another_key(stream, cancel, err));
    if (is_final(err))
        stream->failure = *err;
    return -1;
}

/* --- the object --- */

int openpgp_stream_new(struct byte_source *ciphertext, const struct session_key_means *means,
                       bool discards, struct cancel *cancel, struct openpgp_stream **ret,
                       struct error *err)
{
    CLEANUP(openpgp_stream_free) struct openpgp_stream *stream = calloc(1, sizeof *stream);

    if (stream == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    stream->arena = means->arena;
    stream->original = ciphertext;
    stream->promised = BYTE_SOURCE_SIZE_UNKNOWN;
    if (openpgp_layout_new(&stream->layout, err) < 0 || begin(stream, means, cancel, err) < 0 ||
        find_key(stream, cancel, err) < 0)
        return -1;
    if (!discards)
        end_search(stream);
    *ret = steal(&stream);
    return 0;
}

void openpgp_stream_free(struct openpgp_stream *stream)
{
    if (stream == NULL)
        return;
    codec_message_unref(stream->message);
    encrypted_message_free(stream->encrypted);
    session_key_free(stream->key);
    session_key_search_free(stream->search);
    if (stream->layout != NULL)
        codec_layout_unref(&stream->layout->layout);
    if (stream->owns_original)
        byte_source_free(stream->ciphertext);
    else
        armor_close(stream->ciphertext, stream->original);
    free(stream);
}

struct codec_message *openpgp_stream_message(struct openpgp_stream *stream)
{
    return stream->message == NULL ? NULL : codec_message_ref(stream->message);
}

static int read_base(struct codec_stream *base, void *buffer, size_t size, struct cancel *cancel,
                     size_t *ret_size, struct error *err)
{
    return openpgp_stream_read((struct openpgp_stream *)base, buffer, size, cancel, ret_size, err);
}

static uint64_t plaintext_size_of_base(const struct codec_stream *base)
{
    return ((const struct openpgp_stream *)base)->promised;
}

static bool base_is_compressed(const struct codec_stream *base)
{
    return ((const struct openpgp_stream *)base)->is_compressed;
}

static struct codec_message *message_of_base(struct codec_stream *base)
{
    return openpgp_stream_message((struct openpgp_stream *)base);
}

static void free_base(struct codec_stream *base)
{
    openpgp_stream_free((struct openpgp_stream *)base);
}

struct codec_stream *openpgp_stream_as_codec_stream(struct openpgp_stream *stream)
{
    static const struct codec_stream_ops ops = {.read = read_base,
                                                .plaintext_size = plaintext_size_of_base,
                                                .is_compressed = base_is_compressed,
                                                .message = message_of_base,
                                                .free = free_base};

    stream->stream.ops = &ops;
    armor_own(stream->ciphertext, stream->original);
    stream->owns_original = true;
    return &stream->stream;
}
