/* SPDX-License-Identifier: Apache-2.0 */
#include "packet_fixture.h"

#include <stdlib.h>

/* Small, so that refills happen in small tests. */
#define LOOKAHEAD_BYTES 64

void packet_fixture_start(struct packet_fixture *fixture, const struct octets *octets,
                          const struct memory_source_options *options)
{
    struct error err = ERROR_INIT;
    bool at_end;

    fixture->source = memory_source_new(octets->data, octets->size, options);
    ciphertext_stream_init(&fixture->ciphertext, fixture->source, 0);
    assert_succeeds(
        lookahead_new(&fixture->ciphertext.stream, NULL, LOOKAHEAD_BYTES, &fixture->packets, &err));
    assert_succeeds(packet_header_read(fixture->packets, NULL, &at_end, &fixture->header, &err));
    assert_false(at_end);
    packet_body_init(&fixture->body, fixture->packets, &fixture->header);
}

void packet_fixture_stop(struct packet_fixture *fixture)
{
    lookahead_free(fixture->packets);
    byte_source_free(fixture->source);
}

int read_to_end(struct byte_stream *stream, size_t step, struct octets *ret, struct error *err)
{
    CLEANUP(memory_free) uint8_t *buffer = malloc(step);
    size_t got;

    assert_non_null(buffer);
    do {
        if (byte_stream_read(stream, buffer, step, NULL, &got, err) < 0)
            return -1;
        assert_in_range(got, 0, step);
        octets_add(ret, buffer, got);
    } while (got > 0);
    return 0;
}
