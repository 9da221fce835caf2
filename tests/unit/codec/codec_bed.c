/* SPDX-License-Identifier: Apache-2.0 */
#include "codec_bed.h"

#include "crypto/crypto_library.h"
#include "glancefs/limits.h"

#include <errno.h>
#include <stdlib.h>

#define BED_ARENA_BYTES (6 * MIB)

struct secure_arena *bed_arena(void)
{
    static struct secure_arena *arena;
    struct error err = ERROR_INIT;

    if (arena == NULL && (secure_arena_new(BED_ARENA_BYTES, &arena, &err) < 0 ||
                          crypto_library_setup(arena, &err) < 0))
        abort();
    return arena;
}

int bed_setup(void **state)
{
    *state = (void *)(uintptr_t)secure_arena_used(bed_arena());
    return 0;
}

int bed_teardown(void **state)
{
    return secure_arena_used(bed_arena()) == (size_t)(uintptr_t)*state ? 0 : -1;
}

struct secure_buffer *bed_passphrase(const char *text)
{
    struct secure_buffer *passphrase = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(secure_buffer_copy_of(bed_arena(), text, strlen(text), &passphrase, &err));
    return passphrase;
}

void bed_hoard_memory(struct bed_hoard *hoard, size_t left)
{
    struct secure_arena *arena = bed_arena();

    hoard->count = 0;
    while (secure_arena_capacity(arena) - secure_arena_used(arena) > left) {
        size_t available = secure_arena_capacity(arena) - secure_arena_used(arena) - left;
        void *block = NULL;

        for (; block == NULL && available > 0; available /= 2)
            block = secure_arena_allocate(arena, available);
        if (block == NULL)
            break;
        assert_in_range(hoard->count, 0, ELEMENTS_OF(hoard->blocks) - 1);
        hoard->blocks[hoard->count++] = block;
    }
}

void bed_give_back(struct bed_hoard *hoard)
{
    while (hoard->count > 0)
        secure_arena_release(bed_arena(), hoard->blocks[--hoard->count]);
}

int bed_decrypt(const void *message, size_t size, const char *passphrase,
                struct memory_sink_record *plaintext, struct codec_message **ret, struct error *err)
{
    const struct memory_source_options forward = {.is_forward_only = true};
    CLEANUP(byte_source_free)
    struct byte_source *source = memory_source_new(message, size, &forward);
    CLEANUP(secure_buffer_free) struct secure_buffer *secret = bed_passphrase(passphrase);
    CLEANUP(byte_sink_free)
    struct byte_sink *sink = plaintext == NULL ? NULL : memory_sink_new(plaintext, NULL);
    struct error failure = ERROR_INIT;

    if (codec_decrypt(test_gpg_codec(), bed_arena(), source, secret, sink, NULL, ret, &failure) ==
        0) {
        assert_false(error_is_set(&failure));
        return 0;
    }
    *err = failure;
    return -1;
}

static void assert_same(const uint8_t *got, size_t got_size, const void *content, size_t size)
{
    assert_int_equal(got_size, size);
    if (size > 0)
        assert_memory_equal(got, content, size);
}

/* Reads all of a verified message again, by its own source. */
static void assert_reads(struct codec_message *message, const void *stored, size_t stored_size,
                         const void *content, size_t size)
{
    struct byte_source *ciphertext = memory_source_new(stored, stored_size, NULL);
    CLEANUP(byte_source_free) struct byte_source *plaintext = NULL;
    CLEANUP(memory_free) uint8_t *buffer = malloc(size + 1);
    struct error err = ERROR_INIT;
    size_t got;

    assert_non_null(buffer);
    assert_int_equal(codec_message_plaintext_size(message), size);
    assert_succeeds(codec_message_open(message, ciphertext, NULL, &plaintext, &err));
    assert_succeeds(byte_source_pread(plaintext, buffer, size + 1, 0, NULL, &got, &err));
    assert_same(buffer, got, content, size);
}

void assert_opens(const void *message, size_t size, const char *passphrase, const void *content,
                  size_t content_size)
{
    CLEANUP(memory_sink_record) struct memory_sink_record plaintext = {0};
    CLEANUP(codec_message_unref) struct codec_message *opened = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(bed_decrypt(message, size, passphrase, &plaintext, &opened, &err));
    assert_int_equal(plaintext.commits, 1);
    assert_int_equal(plaintext.aborts, 0);
    assert_same(plaintext.bytes, plaintext.size, content, content_size);
    assert_reads(opened, message, size, content, content_size);
}

void assert_refused(const void *message, size_t size, const char *passphrase, enum error_kind kind,
                    const char *text)
{
    CLEANUP(memory_sink_record) struct memory_sink_record plaintext = {0};
    struct error err = ERROR_INIT;

    if (bed_decrypt(message, size, passphrase, &plaintext, NULL, &err) == 0)
        fail_msg("a message that must be refused gave %zu bytes", plaintext.size);
    if (err.kind != kind || strstr(err.message, text) == NULL)
        fail_msg("refused as %s (\"%s\"), not as %s (\"%s\")", error_kind_name(err.kind),
                 err.message, error_kind_name(kind), text);
    assert_int_equal(plaintext.commits, 0);
    assert_int_equal(plaintext.aborts, 1);
}

void assert_damaged(const void *message, size_t size, const char *passphrase)
{
    struct error err = ERROR_INIT;

    assert_refused(message, size, passphrase, ERROR_CORRUPT, DAMAGED_MESSAGE);
    assert_int_equal(bed_decrypt(message, size, passphrase, NULL, NULL, &err), -1);
    assert_string_equal(err.message, DAMAGED_MESSAGE);
    assert_int_equal(err.errnum, EBADMSG);
}
