/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/ignorable_packet.h"

#include "packet_fixture.h"

static int skip_packet(unsigned type, const void *body, size_t size, size_t stored,
                       struct error *err)
{
    CLEANUP(octets_clear) struct octets packet = {0};
    struct packet_fixture fixture;
    int result;

    build_packet(&packet, type, FRAMING_SHORTEST, body, size);
    packet.size -= size - stored;
    packet_fixture_start(&fixture, &packet, NULL);
    result = ignorable_packet_skip(&fixture.body, fixture.header.type, NULL, err);
    packet_fixture_stop(&fixture);
    return result;
}

static void steps_over_marker_padding_and_unknown_packets(void **state)
{
    static const uint8_t body[1000];
    struct error err = ERROR_INIT;

    (void)state;
    assert_succeeds(skip_packet(10, "PGP", 3, 3, &err));
    assert_succeeds(skip_packet(21, body, 0, 0, &err));
    assert_succeeds(skip_packet(21, body, sizeof body, sizeof body, &err));
    assert_succeeds(skip_packet(40, body, sizeof body, sizeof body, &err));
    assert_succeeds(skip_packet(63, body, 1, 1, &err));
}

static void a_marker_says_pgp(void **state)
{
    static const char *const bodies[] = {"", "PG", "PGG", "PGPP", "pgp"};
    struct error err = ERROR_INIT;

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(bodies); i++)
        assert_fails(ERROR_CORRUPT,
                     skip_packet(10, bodies[i], strlen(bodies[i]), strlen(bodies[i]), &err));
}

static void one_that_is_cut_off_is_damage(void **state)
{
    static const uint8_t body[1000];
    struct error err = ERROR_INIT;

    (void)state;
    assert_fails(ERROR_CORRUPT, skip_packet(21, body, sizeof body, sizeof body - 1, &err));
    assert_fails(ERROR_CORRUPT, skip_packet(60, body, sizeof body, 0, &err));
    assert_fails(ERROR_CORRUPT, skip_packet(10, "PGP", 3, 2, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bed_test(steps_over_marker_padding_and_unknown_packets),
        bed_test(a_marker_says_pgp),
        bed_test(one_that_is_cut_off_is_damage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
