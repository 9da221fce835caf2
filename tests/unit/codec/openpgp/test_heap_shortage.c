/* SPDX-License-Identifier: Apache-2.0 */
/* Every allocation of an object on the heap fails once: it is told, and nothing leaks. */
#include "codec_bed.h"

#include <stdlib.h>

#define PASSPHRASE "correct horse"
#define NEVER (-1)

/* How many calls of calloc succeed before one fails, once. */
static int calls_left = NEVER;

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

void *__wrap_calloc(size_t count, size_t size)
{
    if (calls_left != NEVER && calls_left-- == 0)
        return NULL;
    return __real_calloc(count, size);
}

/* Runs `function` with the first, the second, ... allocation failing, until it needs no more. */
static void assert_every_shortage_is_told(int (*function)(void *context, struct error *err),
                                          void *context)
{
    int failures = 0, result = -1;

    while (result < 0) {
        struct error err = ERROR_INIT;

        calls_left = failures;
        result = function(context, &err);
        calls_left = NEVER;
        if (result < 0 && err.kind != ERROR_EXHAUSTED)
            fail_msg("allocation number %d: %s", failures, err.message);
        assert_in_range(++failures, 1, 200);
    }
    assert_in_range(failures, 5, 200);
}

struct decryption {
    const struct codec *codec;
    struct byte_source *source;
    struct secure_buffer *passphrase;
    struct codec_message *message; /* what to read, for read_message */
};

static int decrypt(void *context, struct error *err)
{
    const struct decryption *decryption = context;
    CLEANUP(codec_message_unref) struct codec_message *message = NULL;

    return codec_decrypt(decryption->codec, bed_arena(), decryption->source, decryption->passphrase,
                         NULL, NULL, &message, err);
}

/* The source below stays the test's, whatever happens to the one above. */
struct borrowed_source {
    struct byte_source base;
    struct byte_source *inner;
};

static int borrowed_pread(struct byte_source *source, void *buffer, size_t size, uint64_t offset,
                          struct cancel *cancel, size_t *ret_size, struct error *err)
{
    return byte_source_pread(((struct borrowed_source *)source)->inner, buffer, size, offset,
                             cancel, ret_size, err);
}

static void borrowed_free(struct byte_source *source)
{
    (void)source;
}

static int read_message(void *context, struct error *err)
{
    static const struct byte_source_ops ops = {.pread = borrowed_pread, .free = borrowed_free};
    const struct decryption *decryption = context;
    struct borrowed_source borrowed = {{&ops}, decryption->source};
    CLEANUP(byte_source_free) struct byte_source *plaintext = NULL;
    uint8_t buffer[100];
    size_t got;

    if (codec_message_open(decryption->message, &borrowed.base, NULL, &plaintext, err) < 0)
        return -1;
    return byte_source_pread(plaintext, buffer, sizeof buffer, 0, NULL, &got, err);
}

static void each_shortage_of_a_reader_is_told(void **state)
{
    CLEANUP(octets_clear) struct octets literal = {0};
    CLEANUP(octets_clear) struct octets packets = {0};
    CLEANUP(octets_clear) struct octets message = {0};
    struct decryption decryption = {.codec = NULL};
    struct error err = ERROR_INIT;

    (void)state;
    build_literal(&literal, FRAMING_SHORTEST, "content", 7);
    build_compressed(&packets, FRAMING_SHORTEST, 1, literal.data, literal.size);
    build_message_around(&message, PASSPHRASE, packets.data, packets.size);
    decryption.codec = test_gpg_codec();
    decryption.source = memory_source_new(message.data, message.size, NULL);
    decryption.passphrase = bed_passphrase(PASSPHRASE);
    assert_every_shortage_is_told(decrypt, &decryption);
    assert_succeeds(
        bed_decrypt(message.data, message.size, PASSPHRASE, NULL, &decryption.message, &err));
    assert_every_shortage_is_told(read_message, &decryption);
    codec_message_unref(decryption.message);
    secure_buffer_free(decryption.passphrase);
    byte_source_free(decryption.source);
}

struct encryption {
    const struct codec *codec;
    struct byte_sink *ciphertext;
    struct secure_buffer *passphrase;
};

static int open_sink(void *context, struct error *err)
{
    const struct encryption *encryption = context;
    struct byte_sink *sink = NULL;

    if (codec_open_sink(encryption->codec, bed_arena(), encryption->passphrase,
                        BYTE_SOURCE_SIZE_UNKNOWN, encryption->ciphertext, &sink, err) < 0)
        return -1;
    byte_sink_free(sink);
    return 0;
}

static void each_shortage_of_a_writer_is_told(void **state)
{
    CLEANUP(memory_sink_record) struct memory_sink_record record = {0};
    CLEANUP(byte_sink_free) struct byte_sink *ciphertext = memory_sink_new(&record, NULL);
    struct encryption encryption = {.ciphertext = ciphertext};

    (void)state;
    encryption.codec = test_gpg_codec();
    encryption.passphrase = bed_passphrase(PASSPHRASE);
    assert_every_shortage_is_told(open_sink, &encryption);
    secure_buffer_free(encryption.passphrase);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bed_test(each_shortage_of_a_reader_is_told),
        bed_test(each_shortage_of_a_writer_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
