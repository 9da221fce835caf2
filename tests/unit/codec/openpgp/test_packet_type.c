/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/packet_type.h"

#include "support/testing.h"

static void ignores_marker_padding_and_the_non_critical_range_only(void **state)
{
    (void)state;
    for (uint8_t type = 0; type < 64; type++)
        assert_int_equal(packet_type_is_ignorable(type), type == 10 || type == 21 || type >= 40);
}

static void allows_open_lengths_for_data_packets_only(void **state)
{
    (void)state;
    for (uint8_t type = 0; type < 64; type++)
        assert_int_equal(packet_type_is_data(type),
                         type == 8 || type == 9 || type == 11 || type == 18 || type == 20);
}

static void encrypted_data_has_integrity_protection(void **state)
{
    (void)state;
    for (uint8_t type = 0; type < 64; type++)
        assert_int_equal(packet_type_is_encrypted_data(type), type == 18 || type == 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ignores_marker_padding_and_the_non_critical_range_only),
        cmocka_unit_test(allows_open_lengths_for_data_packets_only),
        cmocka_unit_test(encrypted_data_has_integrity_protection),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
