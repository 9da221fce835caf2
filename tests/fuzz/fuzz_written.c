/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the writer makes, the reader reads: any content, in each mode of `aead`, of declared and of
 * unknown size, written in pieces of any size. Octets: mode and flags, three of size, one of pieces.
 */
#include "fuzz_codec.h"
#include "fuzz_main.h"
#include "glancefs/codec.h"
#include "glancefs/limits.h"
#include "support/memory_sink.h"

#include <stdlib.h>
#include <string.h>

#define CHOICE_OCTETS 5

/* Beyond what hashes and encrypts on two threads. */
#define CONTENT_BYTES (2 * MIB)

struct plan {
    enum aead_mode aead;
    bool is_declared;
    size_t size;
    size_t piece;
};

static struct plan choose(const uint8_t *choice)
{
    const size_t size = (size_t)choice[1] << 16 | (size_t)choice[2] << 8 | choice[3];

    return (struct plan){.aead = (enum aead_mode)(choice[0] % 4),
                         .is_declared = choice[0] / 4 % 2 == 1,
                         .size = size % (choice[0] / 8 % 16 == 0 ? CONTENT_BYTES : 70000),
                         .piece = 1 + (size_t)choice[4] * choice[4] * 3};
}

/* The rest of the input, over and over. */
static void fill(uint8_t *content, size_t size, const uint8_t *data, size_t data_size)
{
    for (size_t i = 0; i < size; i++)
        content[i] = (uint8_t)(data_size == 0 ? i : data[i % data_size] + i / data_size);
}

static int write_pieces(const struct codec *codec, const struct plan *plan, const uint8_t *content,
                        struct byte_sink *below, struct error *err)
{
    CLEANUP(secure_buffer_free) struct secure_buffer *passphrase = fuzz_passphrase(FUZZ_PASSPHRASE);
    CLEANUP(byte_sink_free) struct byte_sink *sink = NULL;

    if (codec_open_sink(codec, fuzz_arena(), passphrase,
                        plan->is_declared ? plan->size : BYTE_SOURCE_SIZE_UNKNOWN, below, &sink,
                        err) < 0)
        return -1;
    for (size_t done = 0; done < plan->size;) {
        const size_t left = plan->size - done;
        const size_t piece = plan->piece < left ? plan->piece : left;

        if (byte_sink_write(sink, content + done, piece, NULL, err) < 0)
            return -1;
        done += piece;
    }
    return byte_sink_commit(sink, NULL, err);
}

/* No allocation fails here: whole messages under failing allocations are fuzz_message's. */
static void write_and_read(const struct plan *plan, const uint8_t *content)
{
    const struct codecs_options options = {.aead = plan->aead};
    CLEANUP(memory_sink_record) struct memory_sink_record record = {0};
    CLEANUP(codecs_free) struct codecs *codecs = NULL;
    CLEANUP(byte_sink_free) struct byte_sink *below = memory_sink_new(&record, NULL);
    const struct codec *codec = NULL;
    struct error err = ERROR_INIT;

    FUZZ_ASSERT(codecs_new(&options, &codecs, &err) == 0);
    FUZZ_ASSERT(codecs_find(codecs, "GPG", &codec, &err) == 0);
    FUZZ_ASSERT(write_pieces(codec, plan, content, below, &err) == 0);
    fuzz_read_message(record.bytes, record.size, (uint32_t)plan->size, content, plan->size);
}

void fuzz_one(const uint8_t *data, size_t size)
{
    static uint8_t content[CONTENT_BYTES];

    if (size < CHOICE_OCTETS || fuzz_allocations_fail())
        return;
    const struct plan plan = choose(data);
    fuzz_allocations_succeed();
    fill(content, plan.size, data + CHOICE_OCTETS, size - CHOICE_OCTETS);
    write_and_read(&plan, content);
    fuzz_allocations_may_fail();
}
