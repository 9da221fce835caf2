/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/session_key.h"

#include "codec/openpgp/algorithm.h"
#include "codec/openpgp/literal.h"
#include "codec/openpgp/packet_header.h"
#include "codec/openpgp/packet_type.h"
#include "codec/openpgp/seipd_v1.h"
#include "crypto/constant_time.h"

#include <assert.h>
#include <string.h>

int session_key_new(struct secure_arena *arena, struct session_key **ret, struct error *err)
{
    struct session_key *key = secure_arena_allocate(arena, sizeof *key);

    if (key == NULL)
        return secure_arena_refuse(arena, err);
    key->arena = arena;
    *ret = key;
    return 0;
}

void session_key_free(struct session_key *key)
{
    if (key != NULL)
        secure_arena_release(key->arena, key);
}

/* A compressed body starts with the algorithm; a zlib stream with CMF and FLG (RFC 1950), whose
 * method is 8 and which together are a multiple of 31; DEFLATE has no block type 3 (RFC 1951). */
static bool compressed_start_is_plausible(struct byte_cursor *cursor)
{
    struct error ignored = ERROR_INIT;
    uint8_t algorithm, first, second;

    if (byte_cursor_u8(cursor, &algorithm, &ignored) < 0 ||
        byte_cursor_u8(cursor, &first, &ignored) < 0 ||
        byte_cursor_u8(cursor, &second, &ignored) < 0)
        return false;
    switch (algorithm) {
    case COMPRESSION_ID_UNCOMPRESSED:
        return (first & 0x80) != 0;
    case COMPRESSION_ID_ZIP:
        return (first & 0x06) != 0x06;
    case COMPRESSION_ID_ZLIB:
        return (first & 0x0f) == 8 && ((unsigned)first << 8 | second) % 31 == 0;
    case COMPRESSION_ID_BZIP2:
        return first == 'B' && second == 'Z';
    default:
        return false;
    }
}

static bool marker_is_plausible(struct byte_cursor *cursor, const struct packet_header *header)
{
    struct error ignored = ERROR_INIT;
    uint8_t first;

    return header->length == 3 && byte_cursor_u8(cursor, &first, &ignored) == 0 && first == 'P';
}

static bool version_is_plausible(struct byte_cursor *cursor)
{
    struct error ignored = ERROR_INIT;
    uint8_t version;

    return byte_cursor_u8(cursor, &version, &ignored) == 0 && version >= 2 && version <= 6;
}

static bool literal_is_plausible(struct byte_cursor *cursor)
{
    struct error ignored = ERROR_INIT;
    uint8_t mode;

    return byte_cursor_u8(cursor, &mode, &ignored) == 0 && literal_mode_is_valid(mode);
}

static bool first_packet_is_plausible(const uint8_t *bytes, size_t size, bool *ret_is_doubtful)
{
    struct byte_cursor cursor = byte_cursor_over(bytes, size);
    struct error ignored = ERROR_INIT;
    struct packet_header header;

    *ret_is_doubtful = false;
    if (packet_header_parse(&cursor, &header, &ignored) < 0)
        return false;
    switch (header.type) {
    case PACKET_LITERAL_DATA:
        return literal_is_plausible(&cursor);
    case PACKET_COMPRESSED_DATA:
        return compressed_start_is_plausible(&cursor);
    case PACKET_MARKER:
        return marker_is_plausible(&cursor, &header);
    case PACKET_PKESK:
    case PACKET_SKESK:
    case PACKET_SIGNATURE:
    case PACKET_ONE_PASS_SIGNATURE:
        return version_is_plausible(&cursor);
    default:
        *ret_is_doubtful = true;
        return packet_type_is_ignorable(header.type);
    }
}

int session_key_fits(struct session_key *key, const uint8_t *sample, size_t sample_size, bool *ret,
                     struct error *err)
{
    size_t block = cipher_block_size(key->algorithm);
    CLEANUP(cfb_cipher_free) struct cfb_cipher *cipher = NULL;
    uint8_t *plain;

    *ret = false;
    if (sample_size < block + SEIPD_V1_PREFIX_REPEAT_BYTES + SEIPD_V1_MDC_PACKET_BYTES)
        return 0;
    assert(sample_size <= SESSION_KEY_SAMPLE_BYTES);
    if (cfb_cipher_new(key->algorithm, key->key, NULL, &cipher, err) < 0)
        return -1;
    plain = secure_arena_allocate(key->arena, SESSION_KEY_SAMPLE_BYTES);
    if (plain == NULL)
        return secure_arena_refuse(key->arena, err);
    cfb_cipher_decrypt(cipher, plain, sample, sample_size);
    *ret = constant_time_equal(plain + block - SEIPD_V1_PREFIX_REPEAT_BYTES, plain + block,
                               SEIPD_V1_PREFIX_REPEAT_BYTES) &&
           first_packet_is_plausible(plain + block + SEIPD_V1_PREFIX_REPEAT_BYTES,
                                     sample_size - block - SEIPD_V1_PREFIX_REPEAT_BYTES,
                                     &key->is_doubtful);
    secure_arena_release(key->arena, plain);
    return 0;
}
