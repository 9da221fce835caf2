/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/literal.h"

#include "packet_fixture.h"

#include <stdlib.h>

/* What is left of a literal's body after its header; -1 when that is refused. */
static int content_of(enum framing framing, const struct octets *body, struct octets *ret,
                      struct error *err)
{
    CLEANUP(octets_clear) struct octets packet = {0};
    struct packet_fixture fixture;
    int result;

    build_packet(&packet, 11, framing, body->data, body->size);
    packet_fixture_start(&fixture, &packet, NULL);
    result = literal_read_header(&fixture.body, NULL, err);
    if (result == 0)
        result = read_to_end(&fixture.body.stream, 100, ret, err);
    packet_fixture_stop(&fixture);
    return result;
}

static void takes_every_mode_and_length_of_name(void **state)
{
    static const char modes[] = {'b', 't', 'u', 'm'};

    (void)state;
    for (size_t mode = 0; mode < sizeof modes; mode++) {
        for (unsigned name_size = 0; name_size < 256; name_size++) {
            CLEANUP(octets_clear) struct octets body = {0};
            CLEANUP(octets_clear) struct octets content = {0};
            struct error err = ERROR_INIT;

            octets_add_u8(&body, (unsigned char)modes[mode]);
            octets_add_u8(&body, name_size);
            octets_add_run(&body, '/', name_size);
            octets_add(&body, "\xff\xff\xff\xff", 4);
            octets_add(&body, "line\r\n", 6);
            assert_succeeds(content_of(FRAMING_SHORTEST, &body, &content, &err));
            assert_int_equal(content.size, 6);
            assert_memory_equal(content.data, "line\r\n", 6);
        }
    }
}

static void an_unknown_mode_is_damage(void **state)
{
    (void)state;
    for (unsigned mode = 0; mode < 256; mode++) {
        CLEANUP(octets_clear) struct octets body = {0};
        CLEANUP(octets_clear) struct octets content = {0};
        struct error err = ERROR_INIT;

        if (mode == 'b' || mode == 't' || mode == 'u' || mode == 'm')
            continue;
        octets_add_u8(&body, mode);
        octets_add(&body, "\0\0\0\0\0", 5);
        assert_fails(ERROR_CORRUPT, content_of(FRAMING_SHORTEST, &body, &content, &err));
        assert_string_equal(err.message, DAMAGED_MESSAGE);
    }
}

static void a_header_that_is_cut_off_is_damage(void **state)
{
    static const uint8_t header[] = {'b', 3, 'a', 'b', 'c', 0, 0, 0, 0};
    static const enum framing framings[] = {FRAMING_SHORTEST, FRAMING_INDETERMINATE,
                                            FRAMING_LEGACY};

    (void)state;
    for (size_t i = 0; i < sizeof header * ELEMENTS_OF(framings); i++) {
        CLEANUP(octets_clear) struct octets body = {0};
        CLEANUP(octets_clear) struct octets content = {0};
        struct error err = ERROR_INIT;

        octets_add(&body, header, i / ELEMENTS_OF(framings));
        assert_fails(ERROR_CORRUPT,
                     content_of(framings[i % ELEMENTS_OF(framings)], &body, &content, &err));
        assert_string_equal(err.message, DAMAGED_MESSAGE);
    }
}

static void writes_mode_binary_without_name_or_date(void **state)
{
    uint8_t header[LITERAL_WRITTEN_HEADER_BYTES];

    (void)state;
    literal_write_header(header);
    assert_memory_equal(header, "b\0\0\0\0\0", sizeof header);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bed_test(takes_every_mode_and_length_of_name),
        bed_test(an_unknown_mode_is_damage),
        bed_test(a_header_that_is_cut_off_is_damage),
        bed_test(writes_mode_binary_without_name_or_date),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
