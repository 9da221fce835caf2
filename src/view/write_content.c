/* SPDX-License-Identifier: Apache-2.0 */
#include "view/write_content.h"

#include "base/clock.h"
#include "base/uuid.h"
#include "glancefs/limits.h"
#include "view/write_window.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Encrypted at a time; a cancelled caller waits for no more than this. */
#define STEP_BYTES (1 * MIB)

struct write_content {
    struct write_content_parts parts;
    char image_id[UUID_TEXT_BYTES];
    char key_id[UUID_TEXT_BYTES];
    struct secure_buffer *passphrase;
    struct write_window *window;
    struct staged_upload *upload;
    struct byte_sink
        *sink; /* of plaintext; writes to the upload's. NULL once it could not be made */
    uint64_t size;
};

/* --- life --- */

static void close_sink(struct write_content *content)
{
    byte_sink_free(steal(&content->sink));
    staged_upload_free(steal(&content->upload));
}

/* A new staged upload, with a new session key. */
static int open_sink(struct write_content *content, struct error *err)
{
    const struct write_content_parts *parts = &content->parts;

    close_sink(content);
    if (staged_upload_new(parts->staging, content->image_id, &content->upload, err) < 0)
        return -1;
    return codec_open_sink(parts->codec, parts->arena, content->passphrase, parts->declared_size,
                           staged_upload_sink(content->upload), &content->sink, err);
}

int write_content_new(const struct write_content_parts *parts, struct secure_buffer *passphrase,
                      struct write_content **ret, struct error *err)
{
    CLEANUP(write_content_free) struct write_content *content = calloc(1, sizeof *content);

    if (content == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    content->parts = *parts;
    (void)snprintf(content->image_id, sizeof content->image_id, "%s", parts->image_id);
    content->parts.image_id = content->image_id;
    (void)snprintf(content->key_id, sizeof content->key_id, "%s", parts->key_id);
    content->parts.key_id = content->key_id;
    content->passphrase = passphrase;
    if (write_window_new(parts->arena, parts->window_bytes, &content->window, err) < 0 ||
        open_sink(content, err) < 0) {
        content->passphrase = NULL; /* stays the caller's */
        return -1;
    }
    *ret = steal(&content);
    return 0;
}

void write_content_free(struct write_content *content)
{
    if (content == NULL)
        return;
    close_sink(content);
    write_window_free(content->window);
    secure_buffer_free(content->passphrase);
    free(content);
}

uint64_t write_content_size(const struct write_content *content)
{
    return content->size;
}

/* --- encrypting --- */

/* Encrypts one piece of what the window begins with. Not cancelled half way: that would end the
 * staged upload. */
static int encrypt_step(struct write_content *content, uint64_t limit, struct error *err)
{
    const uint64_t started_ns = clock_monotonic_ns();
    size_t piece;
    const uint8_t *bytes =
        write_window_oldest(content->window, limit < STEP_BYTES ? limit : STEP_BYTES, &piece);

    if (byte_sink_write(content->sink, bytes, piece, NULL, err) < 0)
        return -1;
    write_window_consume(content->window, piece);
    stage_counter_add(content->parts.encryption, piece, started_ns);
    return 0;
}

/* Encrypts on until the window begins at `target` or later. What it did stays done when it is
 * cancelled: bytes that nobody wrote are zeros in any case. */
static int encrypt_up_to(struct write_content *content, uint64_t target, struct cancel *cancel,
                         struct error *err)
{
    while (write_window_consumed(content->window) < target)
        if (cancel_check(cancel, err) < 0 ||
            encrypt_step(content, target - write_window_consumed(content->window), err) < 0)
            return -1;
    return 0;
}

/* --- changes --- */

static int refuse_consumed(const struct write_content *content, const char *what, uint64_t offset,
                           struct error *err)
{
    return error_set(err, ERROR_UNSUPPORTED,
                     "%s at %" PRIu64 ", but everything before %" PRIu64
                     " is encrypted already (a larger write_window may help)",
                     what, offset, write_window_consumed(content->window));
}

/* The end of a range that will belong to the file. */
static int end_of(const struct write_content *content, uint64_t offset, uint64_t size,
                  uint64_t *ret_end, struct error *err)
{
    const uint64_t declared = content->parts.declared_size;

    if (__builtin_add_overflow(offset, size, ret_end) || *ret_end > LIMIT_PLAINTEXT_BYTES)
        return error_set(err, ERROR_TOO_LARGE, "%" PRIu64 " bytes at %" PRIu64 " pass %" PRIu64,
                         size, offset, LIMIT_PLAINTEXT_BYTES);
    if (declared != BYTE_SOURCE_SIZE_UNKNOWN && *ret_end > declared)
        return error_set(err, ERROR_TOO_LARGE,
                         "%" PRIu64 " bytes at %" PRIu64 " pass the declared size %" PRIu64, size,
                         offset, declared);
    return 0;
}

static void extend(struct write_content *content, uint64_t end)
{
    if (end > content->size)
        content->size = end;
}

int write_content_write(struct write_content *content, const void *bytes, size_t size,
                        uint64_t offset, struct cancel *cancel, struct error *err)
{
    const size_t capacity = write_window_capacity(content->window);
    const uint8_t *next = bytes;
    uint64_t end;

    if (end_of(content, offset, size, &end, err) < 0)
        return -1;
    if (size > 0 && offset < write_window_consumed(content->window))
        return refuse_consumed(content, "write", offset, err);
    while (size > 0) {
        const size_t piece = size < capacity ? size : capacity;

        if (offset + piece > write_window_end(content->window) &&
            encrypt_up_to(content, offset + piece - capacity, cancel, err) < 0)
            return -1;
        write_window_put(content->window, next, piece, offset);
        cancel = NULL; /* from here on it is all, not nothing */
        next += piece;
        size -= piece;
        offset += piece;
    }
    extend(content, end);
    return 0;
}

int write_content_read(const struct write_content *content, void *buffer, size_t size,
                       uint64_t offset, size_t *ret_size, struct error *err)
{
    uint64_t end = write_window_end(content->window);

    *ret_size = 0;
    if (offset >= content->size)
        return 0;
    if (offset < write_window_consumed(content->window) || offset >= end)
        return error_set(err, ERROR_UNSUPPORTED,
                         "read at %" PRIu64 ", but only bytes %" PRIu64 " to %" PRIu64
                         " can be read while the file is written",
                         offset, write_window_consumed(content->window), end);
    if (end > content->size)
        end = content->size;
    *ret_size = size < end - offset ? size : (size_t)(end - offset);
    write_window_get(content->window, buffer, *ret_size, offset);
    return 0;
}

static int restart(struct write_content *content, struct error *err)
{
    const bool must_renew = write_window_consumed(content->window) > 0;

    write_window_reset(content->window);
    content->size = 0;
    return must_renew ? open_sink(content, err) : 0;
}

int write_content_truncate(struct write_content *content, uint64_t size, struct error *err)
{
    uint64_t end;

    if (size == 0)
        return restart(content, err);
    if (end_of(content, 0, size, &end, err) < 0)
        return -1;
    if (size < write_window_consumed(content->window))
        return refuse_consumed(content, "truncate", size, err);
    write_window_zero(content->window, size, content->size);
    content->size = size;
    return 0;
}

bool write_content_has_mode(int mode)
{
    return mode == 0 || mode == FALLOC_FL_KEEP_SIZE ||
           mode == (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE) || mode == FALLOC_FL_ZERO_RANGE ||
           mode == (FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE);
}

int write_content_allocate(struct write_content *content, int mode, uint64_t offset,
                           uint64_t length, struct error *err)
{
    const bool makes_zeros = (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) != 0;
    const bool keeps_size = (mode & FALLOC_FL_KEEP_SIZE) != 0;
    uint64_t end;

    if (keeps_size) {
        if (__builtin_add_overflow(offset, length, &end))
            end = UINT64_MAX;
    } else if (end_of(content, offset, length, &end, err) < 0) {
        return -1;
    }
    if (makes_zeros && offset < write_window_consumed(content->window))
        return refuse_consumed(content, "hole", offset, err);
    if (makes_zeros)
        write_window_zero(content->window, offset, end);
    if (!keeps_size)
        extend(content, end);
    return 0;
}

bool write_content_may_declare(const struct write_content *content, uint64_t size)
{
    const uint64_t declared = content->parts.declared_size;

    return size >= content->size && (write_window_consumed(content->window) == 0 ||
                                     declared == BYTE_SOURCE_SIZE_UNKNOWN || declared == size);
}

int write_content_declare(struct write_content *content, uint64_t size, struct error *err)
{
    if (content->parts.declared_size == size)
        return 0;
    content->parts.declared_size = size;
    /* The message has begun: it stays one of unknown length. */
    if (write_window_consumed(content->window) > 0)
        return 0;
    return open_sink(content, err);
}

/* --- the seal --- */

/* The key's id too: the upload may be sent to another image than the one it was written for. */
static int set_properties(struct write_content *content, struct error *err)
{
    char size[32];

    (void)snprintf(size, sizeof size, "%" PRIu64, content->size);
    staged_upload_set_plaintext_size(content->upload, content->size);
    if (staged_upload_set_property(content->upload, "os_decrypt_size", size, err) < 0 ||
        staged_upload_set_property(content->upload, "os_encrypt_key_id", content->key_id, err) < 0)
        return -1;
    if (!content->parts.sets_container_format)
        return 0;
    return staged_upload_set_property(content->upload, "os_decrypt_container_format", "bare", err);
}

int write_content_seal(struct write_content *content, struct cancel *cancel, struct error *err)
{
    const uint64_t end = write_window_end(content->window);

    if (content->sink == NULL)
        return error_set(err, ERROR_INVALID, "cannot be sealed after a failure");
    if (write_window_consumed(content->window) > content->size)
        return error_set(err, ERROR_UNSUPPORTED,
                         "a write behind a gap was interrupted and not repeated: %" PRIu64
                         " bytes are encrypted, but the file has %" PRIu64,
                         write_window_consumed(content->window), content->size);
    if (encrypt_up_to(content, end < content->size ? end : content->size, NULL, err) < 0 ||
        encrypt_up_to(content, content->size, cancel, err) < 0 || set_properties(content, err) < 0)
        return -1;
    return byte_sink_commit(content->sink, NULL, err);
}
