/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/packet_header.h"

#include "codec/openpgp/ciphertext_stream.h"
#include "codec_bed.h"

struct good_header {
    const char *octets;
    size_t size;
    struct packet_header header;
};

static void parses_every_form_of_length(void **state)
{
    static const struct good_header headers[] = {
        {"\xcb\x00", 2, {11, PACKET_LENGTH_DEFINITE, 0}},
        {"\xcb\xbf", 2, {11, PACKET_LENGTH_DEFINITE, 191}},
        {"\xcb\xc0\x00", 3, {11, PACKET_LENGTH_DEFINITE, 192}},
        {"\xcb\xdf\xff", 3, {11, PACKET_LENGTH_DEFINITE, 8383}},
        {"\xcb\xff\x00\x00\x00\x01", 6, {11, PACKET_LENGTH_DEFINITE, 1}},
        {"\xcb\xff\xff\xff\xff\xff", 6, {11, PACKET_LENGTH_DEFINITE, 0xffffffff}},
        {"\xd2\xe9", 2, {18, PACKET_LENGTH_PARTIAL, 512}},
        {"\xd2\xfe", 2, {18, PACKET_LENGTH_PARTIAL, UINT64_C(1) << 30}},
        {"\xac\x07", 2, {11, PACKET_LENGTH_DEFINITE, 7}},
        {"\xad\x01\x02", 3, {11, PACKET_LENGTH_DEFINITE, 258}},
        {"\xae\x01\x02\x03\x04", 5, {11, PACKET_LENGTH_DEFINITE, 0x01020304}},
        {"\xaf", 1, {11, PACKET_LENGTH_INDETERMINATE, 0}},
        {"\xa3", 1, {8, PACKET_LENGTH_INDETERMINATE, 0}},
        {"\x8c\x0d", 2, {3, PACKET_LENGTH_DEFINITE, 13}},
    };
    struct error err = ERROR_INIT;

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(headers); i++) {
        struct byte_cursor cursor = byte_cursor_over(headers[i].octets, headers[i].size);
        struct packet_header header;

        assert_succeeds(packet_header_parse(&cursor, &header, &err));
        assert_int_equal(header.type, headers[i].header.type);
        assert_int_equal(header.form, headers[i].header.form);
        assert_int_equal(header.length, headers[i].header.length);
        assert_succeeds(byte_cursor_finish(&cursor, &err));
    }
}

static void a_header_that_is_cut_off_is_damage(void **state)
{
    static const char *const octets[] = {"\xcb\xff\x01\x01\x01\x01", "\xae\x01\x01\x01\x01",
                                         "\xad\x01\x01", "\xcb\xc1\x01", "\xcb\x01"};
    struct error err = ERROR_INIT;

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(octets); i++) {
        for (size_t size = 0; size < strlen(octets[i]); size++) {
            struct byte_cursor cursor = byte_cursor_over(octets[i], size);
            struct packet_header header;

            assert_fails(ERROR_CORRUPT, packet_header_parse(&cursor, &header, &err));
            assert_string_equal(err.message, DAMAGED_MESSAGE);
        }
    }
}

static void refuses_what_is_no_header(void **state)
{
    static const struct {
        const char *octets;
        size_t size;
    } headers[] = {
        {"\x4b\x01", 2}, /* bit 7 is clear */
        {"\xc0\x01", 2}, /* type 0 */
        {"\x80\x01", 2}, /* type 0, legacy */
        {"\xc3\xe9", 2}, /* an SKESK of partial length */
        {"\x8f", 1},     /* an SKESK of indeterminate length */
        {"\xd3\xe9", 2}, /* an MDC of partial length */
        {"\xcb\xe8", 2}, /* a first partial length of 256 */
        {"\xcb\xe0", 2}, /* a first partial length of 1 */
    };
    struct error err = ERROR_INIT;

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(headers); i++) {
        struct byte_cursor cursor = byte_cursor_over(headers[i].octets, headers[i].size);
        struct packet_header header;

        assert_fails(ERROR_CORRUPT, packet_header_parse(&cursor, &header, &err));
        assert_string_equal(err.message, DAMAGED_MESSAGE);
    }
}

static void later_partial_lengths_may_be_small(void **state)
{
    struct byte_cursor cursor = byte_cursor_over("\xe0", 1);
    enum packet_length_form form;
    struct error err = ERROR_INIT;
    uint64_t length;

    (void)state;
    assert_succeeds(packet_length_parse(&cursor, &form, &length, &err));
    assert_int_equal(form, PACKET_LENGTH_PARTIAL);
    assert_int_equal(length, 1);
}

static void reads_headers_until_the_end(void **state)
{
    CLEANUP(byte_source_free) struct byte_source *source = memory_source_new("\xca\x00", 2, NULL);
    CLEANUP(lookahead_free) struct lookahead *packets = NULL;
    struct ciphertext_stream *below = &(struct ciphertext_stream){.position = 0};
    struct packet_header header;
    struct error err = ERROR_INIT;
    bool at_end;

    (void)state;
    ciphertext_stream_init(below, source, 0);
    assert_succeeds(lookahead_new(&below->stream, NULL, 16, &packets, &err));
    assert_succeeds(packet_header_read(packets, NULL, &at_end, &header, &err));
    assert_false(at_end);
    assert_int_equal(header.type, 10);
    assert_succeeds(packet_header_read(packets, NULL, &at_end, &header, &err));
    assert_true(at_end);
}

static void writes_what_it_parses(void **state)
{
    uint8_t octets[PACKET_HEADER_MAXIMUM_BYTES];
    struct byte_cursor cursor;
    struct packet_header header;
    struct error err = ERROR_INIT;

    (void)state;
    assert_int_equal(packet_header_write(18, 0x01020304, octets), sizeof octets);
    cursor = byte_cursor_over(octets, sizeof octets);
    assert_succeeds(packet_header_parse(&cursor, &header, &err));
    assert_int_equal(header.type, 18);
    assert_int_equal(header.form, PACKET_LENGTH_DEFINITE);
    assert_int_equal(header.length, 0x01020304);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bed_test(parses_every_form_of_length), bed_test(a_header_that_is_cut_off_is_damage),
        bed_test(refuses_what_is_no_header),   bed_test(later_partial_lengths_may_be_small),
        bed_test(reads_headers_until_the_end), bed_test(writes_what_it_parses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
