/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz_codec.h"

#include "fuzz_main.h"
#include "glancefs/codec.h"
#include "glancefs/limits.h"
#include "support/memory_source.h"
#include "support/test_codecs.h"

#include <stdlib.h>
#include <string.h>

/* Larger plaintexts (bombs) are verified, but not compared. */
#define COMPARED_BYTES (4 * MIB)

#define RANDOM_READS 8

/* Opened and read in pieces of an odd size, up to the end or an error. */
struct reading {
    uint8_t *bytes; /* COMPARED_BYTES */
    size_t size;
    bool is_sound;
    bool is_too_large;
};

static struct byte_source *source_of(const uint8_t *message, size_t size, bool is_forward_only)
{
    const struct memory_source_options options = {.is_forward_only = is_forward_only,
                                                  .can_be_visited = size % 2 == 1};
    struct byte_source *source;

    fuzz_allocations_succeed();
    source = memory_source_new(message, size, &options);
    fuzz_allocations_may_fail();
    return source;
}

static const struct codec *codec_of_all(void)
{
    const struct codec *codec;

    fuzz_allocations_succeed();
    codec = test_gpg_codec();
    fuzz_allocations_may_fail();
    return codec;
}

static struct codec_message *verify(const uint8_t *message, size_t size)
{
    CLEANUP(secure_buffer_free) struct secure_buffer *passphrase = fuzz_passphrase(FUZZ_PASSPHRASE);
    CLEANUP(byte_source_free) struct byte_source *source = source_of(message, size, true);
    struct codec_message *verified = NULL;
    struct error err = ERROR_INIT;

    if (codec_decrypt(codec_of_all(), fuzz_arena(), source, passphrase, NULL, NULL, &verified,
                      &err) == 0)
        return verified;
    FUZZ_ASSERT(error_is_set(&err));
    return NULL;
}

static void read_stream(const uint8_t *message, size_t size, struct reading *reading)
{
    CLEANUP(secure_buffer_free) struct secure_buffer *passphrase = fuzz_passphrase(FUZZ_PASSPHRASE);
    CLEANUP(codec_stream_free) struct codec_stream *stream = NULL;
    struct byte_source *source = source_of(message, size, true);
    struct error err = ERROR_INIT;
    size_t got = 1;

    *reading = (struct reading){.bytes = reading->bytes};
    if (codec_open_stream(codec_of_all(), fuzz_arena(), source, passphrase, NULL, &stream, &err) <
        0) {
        byte_source_free(source);
        return;
    }
    while (got > 0) {
        reading->is_too_large = reading->size == COMPARED_BYTES;
        if (reading->is_too_large)
            return;
        if (codec_stream_read(stream, reading->bytes + reading->size,
                              COMPARED_BYTES - reading->size, NULL, &got, &err) < 0)
            return;
        reading->size += got;
    }
    reading->is_sound = true;
}

/* From front to back, in pieces of 8191 bytes. */
static void assert_reads_again(struct byte_source *plaintext, const struct reading *expected)
{
    static uint8_t piece[8191];
    size_t position = 0;
    size_t got = sizeof piece;
    struct error err = ERROR_INIT;

    while (got == sizeof piece) {
        if (byte_source_pread(plaintext, piece, sizeof piece, position, NULL, &got, &err) < 0) {
            FUZZ_ASSERT(fuzz_allocations_fail() && err.kind == ERROR_EXHAUSTED);
            return;
        }
        FUZZ_ASSERT(got <= expected->size - position);
        FUZZ_ASSERT(memcmp(piece, expected->bytes + position, got) == 0);
        position += got;
    }
    FUZZ_ASSERT(position == expected->size);
}

static void assert_reads_anywhere(struct byte_source *plaintext, const struct reading *expected,
                                  uint32_t choice)
{
    static uint8_t piece[8191];
    struct error err = ERROR_INIT;

    for (unsigned i = 0; i < RANDOM_READS; i++) {
        const size_t offset = choice % (expected->size + 1);
        const size_t wanted = 1 + (choice >> 7) % (sizeof piece - 1);
        size_t got = 0;

        choice = choice * UINT32_C(1664525) + UINT32_C(1013904223);
        if (byte_source_pread(plaintext, piece, wanted, offset, NULL, &got, &err) < 0) {
            FUZZ_ASSERT(fuzz_allocations_fail() && err.kind == ERROR_EXHAUSTED);
            return;
        }
        FUZZ_ASSERT(got <= expected->size - offset);
        FUZZ_ASSERT(got == wanted || offset + got == expected->size);
        FUZZ_ASSERT(memcmp(piece, expected->bytes + offset, got) == 0);
    }
}

static void read_verified(struct codec_message *verified, const uint8_t *message, size_t size,
                          const struct reading *expected, uint32_t choice)
{
    CLEANUP(byte_source_free) struct byte_source *plaintext = NULL;
    struct byte_source *source = source_of(message, size, false);
    struct error err = ERROR_INIT;

    if (codec_message_open(verified, source, NULL, &plaintext, &err) < 0) {
        FUZZ_ASSERT(fuzz_allocations_fail());
        byte_source_free(source);
        return;
    }
    assert_reads_again(plaintext, expected);
    if (!byte_source_is_forward_only(plaintext))
        assert_reads_anywhere(plaintext, expected, choice);
}

void fuzz_read_message(const uint8_t *message, size_t size, uint32_t choice,
                       const uint8_t *expected, size_t expected_size)
{
    static uint8_t bytes[COMPARED_BYTES];
    CLEANUP(codec_message_unref) struct codec_message *verified = verify(message, size);
    struct reading reading = {.bytes = bytes};

    read_stream(message, size, &reading);
    if (reading.is_too_large)
        return;
    FUZZ_ASSERT(fuzz_allocations_fail() || reading.is_sound == (verified != NULL));
    if (!reading.is_sound || verified == NULL)
        return;
    FUZZ_ASSERT(codec_message_plaintext_size(verified) == reading.size);
    FUZZ_ASSERT(expected == NULL || (reading.size == expected_size &&
                                     memcmp(reading.bytes, expected, expected_size) == 0));
    read_verified(verified, message, size, &reading, choice);
}
