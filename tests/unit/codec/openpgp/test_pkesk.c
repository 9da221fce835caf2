/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/pkesk.h"

#include "codec_bed.h"
#include "glancefs/limits.h"

static int parse(const char *body, size_t size, uint8_t *ret_version, struct error *err)
{
    struct byte_cursor cursor = byte_cursor_over(body, size);

    return pkesk_parse(&cursor, ret_version, err);
}

static void tells_the_versions_apart(void **state)
{
    struct error err = ERROR_INIT;
    uint8_t version;

    (void)state;
    assert_succeeds(parse("\3eight...\1encrypted", 19, &version, &err));
    assert_int_equal(version, PKESK_VERSION);
    assert_succeeds(parse("\6\5\6four\1encrypted", 17, &version, &err));
    assert_int_equal(version, PKESK_VERSION_FINGERPRINT);
    assert_succeeds(parse("\6\0\31encrypted", 12, &version, &err));
    assert_int_equal(version, PKESK_VERSION_FINGERPRINT);
    assert_succeeds(parse("\2", 1, &version, &err));
    assert_int_equal(version, 2);
}

static void a_packet_that_is_cut_off_is_damage(void **state)
{
    struct error err = ERROR_INIT;
    uint8_t version;

    (void)state;
    for (size_t size = 0; size < 10; size++) {
        assert_fails(ERROR_CORRUPT, parse("\3eight...\1", size, &version, &err));
        assert_string_equal(err.message, DAMAGED_MESSAGE);
    }
    for (size_t size = 0; size < 8; size++) {
        assert_fails(ERROR_CORRUPT, parse("\6\5\6four\1", size, &version, &err));
        assert_string_equal(err.message, DAMAGED_MESSAGE);
    }
}

static void each_kind_of_data_has_its_version(void **state)
{
    (void)state;
    for (uint8_t version = 0; version < 12; version++) {
        assert_int_equal(pkesk_version_goes_with(version, ENCRYPTED_DATA_SEIPD_V1), version == 3);
        assert_int_equal(pkesk_version_goes_with(version, ENCRYPTED_DATA_SEIPD_V2), version == 6);
        assert_int_equal(pkesk_version_goes_with(version, ENCRYPTED_DATA_LIBREPGP_AEAD),
                         version == 3);
    }
}

static void only_so_many_are_kept(void **state)
{
    struct pkesk_packets packets = {0};
    struct error err = ERROR_INIT;

    (void)state;
    for (unsigned i = 0; i < LIMIT_PKESK_PACKETS; i++)
        assert_succeeds(pkesk_packets_add(&packets, (const uint8_t *)"\3body", 5, &err));
    assert_false(packets.is_cut);
    assert_succeeds(pkesk_packets_add(&packets, (const uint8_t *)"\3body", 5, &err));
    assert_true(packets.is_cut);
    assert_int_equal(packets.size, LIMIT_PKESK_PACKETS * 11);
    pkesk_packets_clear(&packets);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bed_test(tells_the_versions_apart),
        bed_test(a_packet_that_is_cut_off_is_damage),
        bed_test(each_kind_of_data_has_its_version),
        bed_test(only_so_many_are_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
