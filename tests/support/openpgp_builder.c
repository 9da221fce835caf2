/* SPDX-License-Identifier: Apache-2.0 */
#include "support/openpgp_builder.h"

#include "crypto/hkdf.h"
#include "glancefs/cleanup.h"

#include <stdlib.h>
#include <string.h>

#include <bzlib.h>
#include <zlib.h>

#define TYPE_SKESK 3
#define TYPE_COMPRESSED 8
#define TYPE_LITERAL 11
#define TYPE_SEIPD 18
#define SHA1_BYTES 20
#define CHUNK_512 0xe9
#define CHUNK_256 0xe8

#define SALT_BYTES 8
#define ARGON2_SALT_BYTES 16
#define ARGON2_PASSES 2
#define ARGON2_LANES 2

static const uint8_t salt[ARGON2_SALT_BYTES] = {1, 2,  3,  4,  5,  6,  7,  8,
                                                9, 10, 11, 12, 13, 14, 15, 16};

static void must(int result)
{
    if (result < 0)
        abort();
}

static void add_big_endian(struct octets *out, size_t value, unsigned octets)
{
    while (octets-- > 0)
        octets_add_u8(out, (unsigned)(value >> (8 * octets)) & 0xff);
}

static void add_length(struct octets *out, enum framing framing, size_t size)
{
    if (framing == FRAMING_FIVE_OCTETS || size >= 8384) {
        octets_add_u8(out, 255);
        add_big_endian(out, size, 4);
    } else if (size >= 192) {
        add_big_endian(out, size - 192 + (192U << 8), 2);
    } else {
        octets_add_u8(out, (unsigned)size);
    }
}

static void add_chunks(struct octets *out, enum framing framing, const uint8_t *body, size_t size)
{
    const size_t chunk = framing == FRAMING_PARTIAL_256 ? 256 : 512;

    while (size >= chunk) {
        octets_add_u8(out, framing == FRAMING_PARTIAL_256 ? CHUNK_256 : CHUNK_512);
        octets_add(out, body, chunk);
        body += chunk;
        size -= chunk;
    }
    if (framing == FRAMING_PARTIAL_UNENDED)
        return;
    add_length(out, FRAMING_SHORTEST, size);
    octets_add(out, body, size);
}

static void add_legacy(struct octets *out, unsigned type, const uint8_t *body, size_t size)
{
    const unsigned form = size > 0xffff ? 2 : size > 0xff ? 1 : 0;

    octets_add_u8(out, 0x80 | type << 2 | form);
    add_big_endian(out, size, 1U << form);
    octets_add(out, body, size);
}

void build_packet(struct octets *out, unsigned type, enum framing framing, const void *body,
                  size_t size)
{
    switch (framing) {
    case FRAMING_LEGACY:
        add_legacy(out, type, body, size);
        return;
    case FRAMING_INDETERMINATE:
        octets_add_u8(out, 0x83 | type << 2);
        octets_add(out, body, size);
        return;
    case FRAMING_SHORTEST:
    case FRAMING_FIVE_OCTETS:
        octets_add_u8(out, 0xc0 | type);
        add_length(out, framing, size);
        octets_add(out, body, size);
        return;
    case FRAMING_PARTIAL_512:
    case FRAMING_PARTIAL_256:
    case FRAMING_PARTIAL_UNENDED:
        octets_add_u8(out, 0xc0 | type);
        add_chunks(out, framing, body, size);
        return;
    }
}

void build_literal_body(struct octets *out, const void *content, size_t size)
{
    octets_add(out, "b\0\0\0\0\0", 6);
    octets_add(out, content, size);
}

void build_literal(struct octets *out, enum framing framing, const void *content, size_t size)
{
    CLEANUP(octets_clear) struct octets body = {0};

    build_literal_body(&body, content, size);
    build_packet(out, TYPE_LITERAL, framing, body.data, body.size);
}

void build_deflate(struct octets *out, bool has_wrapper, const void *content, size_t size)
{
    z_stream zlib = {0};
    size_t bound;
    uint8_t *packed;

    if (deflateInit2(&zlib, Z_BEST_COMPRESSION, Z_DEFLATED, has_wrapper ? 15 : -15, 9,
                     Z_DEFAULT_STRATEGY) != Z_OK)
        abort();
    bound = deflateBound(&zlib, size) + 16;
    packed = malloc(bound);
    if (packed == NULL)
        abort();
    zlib.next_in = (unsigned char *)(uintptr_t)content;
    zlib.avail_in = (unsigned)size;
    zlib.next_out = packed;
    zlib.avail_out = (unsigned)bound;
    if (deflate(&zlib, Z_FINISH) != Z_STREAM_END)
        abort();
    octets_add(out, packed, zlib.total_out);
    free(packed);
    (void)deflateEnd(&zlib);
}

void build_bzip2(struct octets *out, const void *content, size_t size)
{
    unsigned room = (unsigned)(size + size / 100 + 600);
    CLEANUP(memory_free) char *compressed = malloc(room);

    /* libbz2 does not write to its input. */
    if (compressed == NULL ||
        BZ2_bzBuffToBuffCompress(compressed, &room, size == 0 ? "" : (char *)(uintptr_t)content,
                                 (unsigned)size, 9, 0, 0) != BZ_OK)
        abort();
    octets_add(out, compressed, room);
}

void build_compressed(struct octets *out, enum framing framing, unsigned algorithm,
                      const void *packets, size_t size)
{
    CLEANUP(octets_clear) struct octets body = {0};

    octets_add_u8(&body, algorithm);
    if (algorithm == 1 || algorithm == 2)
        build_deflate(&body, algorithm == 2, packets, size);
    else if (algorithm == 3)
        build_bzip2(&body, packets, size);
    else
        octets_add(&body, packets, size);
    build_packet(out, TYPE_COMPRESSED, framing, body.data, body.size);
}

static unsigned cipher_id(enum cipher_algorithm cipher)
{
    static const unsigned ids[] = {
        [CIPHER_TRIPLE_DES] = 2,   [CIPHER_CAST5] = 3,        [CIPHER_BLOWFISH] = 4,
        [CIPHER_AES128] = 7,       [CIPHER_AES192] = 8,       [CIPHER_AES256] = 9,
        [CIPHER_TWOFISH] = 10,     [CIPHER_CAMELLIA128] = 11, [CIPHER_CAMELLIA192] = 12,
        [CIPHER_CAMELLIA256] = 13,
    };

    return ids[cipher];
}

static unsigned hash_id(enum hash_algorithm hash)
{
    static const unsigned ids[] = {
        [HASH_MD5] = 1,     [HASH_SHA1] = 2,      [HASH_RIPEMD160] = 3,
        [HASH_SHA224] = 11, [HASH_SHA256] = 8,    [HASH_SHA384] = 9,
        [HASH_SHA512] = 10, [HASH_SHA3_256] = 12, [HASH_SHA3_512] = 14,
    };

    return ids[hash];
}

static void hash_one_context(const struct skesk_plan *plan, size_t zeros, uint8_t *digest)
{
    const size_t salt_size = plan->s2k_type == 0 ? 0 : SALT_BYTES;
    const size_t unit = salt_size + strlen(plan->passphrase);
    size_t count = (size_t)(16 + (plan->coded_count & 15)) << ((plan->coded_count >> 4) + 6);
    CLEANUP(hash_free) struct hash *hash = NULL;
    struct error err = ERROR_INIT;

    must(hash_new(plan->hash, &hash, &err));
    for (size_t i = 0; i < zeros; i++)
        hash_update(hash, "", 1);
    if (plan->s2k_type != 3 || count < unit)
        count = unit;
    for (size_t i = 0; i < count; i++) {
        const size_t place = i % unit;

        hash_update(hash,
                    place < salt_size ? (const void *)(salt + place)
                                      : plan->passphrase + (place - salt_size),
                    1);
    }
    hash_finish(hash, digest);
}

static void argon2(const struct skesk_plan *plan, uint8_t *ret_key, size_t size)
{
    const struct argon2_cost cost = {ARGON2_PASSES, ARGON2_LANES, UINT32_C(1) << plan->coded_count};
    struct error err = ERROR_INIT;

    must(argon2id_derive(&cost, plan->passphrase, strlen(plan->passphrase), salt, sizeof salt, NULL,
                         NULL, ret_key, size, &err));
}

void build_s2k(const struct skesk_plan *plan, uint8_t *ret_key, size_t size)
{
    uint8_t digest[HASH_MAXIMUM_BYTES];
    size_t done = 0;

    if (plan->s2k_type == 4) {
        argon2(plan, ret_key, size);
        return;
    }
    for (size_t zeros = 0; done < size; zeros++) {
        size_t piece = hash_size(plan->hash) < size - done ? hash_size(plan->hash) : size - done;

        hash_one_context(plan, zeros, digest);
        memcpy(ret_key + done, digest, piece);
        done += piece;
    }
}

struct skesk_plan usual_skesk(const char *passphrase)
{
    return (struct skesk_plan){.passphrase = passphrase,
                               .cipher = CIPHER_AES256,
                               .hash = HASH_SHA256,
                               .s2k_type = 3,
                               .coded_count = 0};
}

static void encrypt_whole(enum cipher_algorithm cipher, const uint8_t *key, uint8_t *bytes,
                          size_t size)
{
    CLEANUP(cfb_cipher_free) struct cfb_cipher *stream = NULL;
    struct error err = ERROR_INIT;

    must(cfb_cipher_new(cipher, key, NULL, &stream, &err));
    cfb_cipher_encrypt(stream, bytes, bytes, size);
}

static void add_s2k(struct octets *out, const struct skesk_plan *plan)
{
    octets_add_u8(out, plan->s2k_type);
    if (plan->s2k_type == 4) {
        octets_add(out, salt, sizeof salt);
        octets_add_u8(out, ARGON2_PASSES);
        octets_add_u8(out, ARGON2_LANES);
        octets_add_u8(out, plan->coded_count);
        return;
    }
    octets_add_u8(out, hash_id(plan->hash));
    if (plan->s2k_type != 0)
        octets_add(out, salt, SALT_BYTES);
    if (plan->s2k_type == 3)
        octets_add_u8(out, plan->coded_count);
}

/* Version 4 from behind the version octet. */
static void add_v4(struct octets *out, const struct skesk_plan *plan, const uint8_t *derived)
{
    uint8_t encrypted[1 + CIPHER_MAXIMUM_KEY_BYTES];

    octets_add_u8(out, cipher_id(plan->cipher));
    add_s2k(out, plan);
    if (!plan->has_encrypted_key)
        return;
    encrypted[0] = (uint8_t)cipher_id(plan->session_cipher);
    memcpy(encrypted + 1, plan->session_key, cipher_key_size(plan->session_cipher));
    encrypt_whole(plan->cipher, derived, encrypted, 1 + cipher_key_size(plan->session_cipher));
    octets_add(out, encrypted, 1 + cipher_key_size(plan->session_cipher));
}

static void add_sealed_key(struct octets *out, const struct skesk_plan *plan, const uint8_t *key,
                           const uint8_t *header, size_t header_size)
{
    static const uint8_t nonce[AEAD_MAXIMUM_NONCE_BYTES] = "nonce nonce nonc";
    CLEANUP(aead_cipher_free) struct aead_cipher *cipher = NULL;
    uint8_t sealed[CIPHER_MAXIMUM_KEY_BYTES], tag[AEAD_TAG_BYTES];
    const size_t size = cipher_key_size(plan->session_cipher);
    struct error err = ERROR_INIT;

    must(aead_cipher_new(plan->aead, plan->cipher, key, &cipher, &err));
    aead_cipher_begin(cipher, nonce, header, header_size);
    aead_cipher_encrypt(cipher, sealed, plan->session_key, size, true);
    aead_cipher_tag(cipher, tag);
    octets_add(out, nonce, aead_nonce_size(plan->aead));
    octets_add(out, sealed, size);
    octets_add(out, tag, sizeof tag);
}

/* Versions 5 and 6 from behind the version octet. */
static void add_aead(struct octets *out, const struct skesk_plan *plan, const uint8_t *derived)
{
    const uint8_t header[] = {0xc3, (uint8_t)plan->version, (uint8_t)cipher_id(plan->cipher),
                              (uint8_t)(plan->aead + 1)};
    CLEANUP(octets_clear) struct octets s2k = {0};
    uint8_t expanded[CIPHER_MAXIMUM_KEY_BYTES];
    const size_t key_size = cipher_key_size(plan->cipher);
    struct error err = ERROR_INIT;

    add_s2k(&s2k, plan);
    memcpy(expanded, derived, key_size);
    if (plan->version == 6) {
        must(hkdf_derive(HASH_SHA256, derived, key_size, NULL, 0, header, sizeof header, expanded,
                         key_size, &err));
        octets_add_u8(out, (unsigned)(3 + s2k.size + aead_nonce_size(plan->aead)));
    }
    octets_add(out, header + 2, 2);
    if (plan->version == 6)
        octets_add_u8(out, (unsigned)s2k.size);
    octets_add(out, s2k.data, s2k.size);
    add_sealed_key(out, plan, expanded, header, sizeof header);
}

void build_skesk(struct octets *out, const struct skesk_plan *plan,
                 uint8_t ret_key[CIPHER_MAXIMUM_KEY_BYTES], enum cipher_algorithm *ret_cipher)
{
    CLEANUP(octets_clear) struct octets body = {0};
    const bool is_aead = plan->version >= 5;
    const bool is_derived = !is_aead && !plan->has_encrypted_key;
    uint8_t derived[CIPHER_MAXIMUM_KEY_BYTES];

    octets_add_u8(&body, plan->version == 0 ? 4 : plan->version);
    build_s2k(plan, derived, cipher_key_size(plan->cipher));
    if (is_aead)
        add_aead(&body, plan, derived);
    else
        add_v4(&body, plan, derived);
    *ret_cipher = is_derived ? plan->cipher : plan->session_cipher;
    memcpy(ret_key, is_derived ? derived : plan->session_key, cipher_key_size(*ret_cipher));
    build_packet(out, TYPE_SKESK, FRAMING_SHORTEST, body.data, body.size);
}

static void add_mdc(struct octets *plain, enum mdc_plan mdc, size_t hashed_from)
{
    CLEANUP(hash_free) struct hash *sha1 = NULL;
    struct error err = ERROR_INIT;
    uint8_t digest[SHA1_BYTES];

    octets_add_u8(plain, mdc == MDC_LEGACY_HEADER ? 0xcc : 0xd3);
    octets_add_u8(plain, mdc == MDC_WRONG_HEADER ? 0x15 : 0x14);
    must(hash_new(HASH_SHA1, &sha1, &err));
    hash_update(sha1, plain->data + hashed_from, plain->size - hashed_from);
    hash_finish(sha1, digest);
    digest[0] ^= mdc == MDC_WRONG_DIGEST ? 1 : 0;
    octets_add(plain, digest, sizeof digest);
}

void build_seipd(struct octets *out, const struct seipd_plan *plan, enum cipher_algorithm cipher,
                 const uint8_t *key, const void *packets, size_t size)
{
    static const struct seipd_plan sound = {0};
    CLEANUP(octets_clear) struct octets plain = {0};
    CLEANUP(octets_clear) struct octets body = {0};
    const size_t block = cipher_block_size(cipher);

    if (plan == NULL)
        plan = &sound;
    for (size_t i = 0; i < block + 2; i++)
        octets_add_u8(&plain, (unsigned)(0x40 + (i < block ? i : i - 2)));
    plain.data[block] ^= plan->breaks_quick_check ? 1 : 0;
    if (plan->mdc == MDC_FIRST)
        add_mdc(&plain, plan->mdc, 0);
    octets_add(&plain, packets, size);
    if (plan->mdc != MDC_MISSING && plan->mdc != MDC_FIRST)
        add_mdc(&plain, plan->mdc, plan->mdc == MDC_WITHOUT_PREFIX ? block + 2 : 0);
    encrypt_whole(cipher, key, plain.data, plain.size);
    octets_add_u8(&body, plan->version == 0 ? 1 : plan->version);
    octets_add(&body, plain.data, plain.size);
    build_packet(out, TYPE_SEIPD, plan->framing, body.data, body.size);
}

void build_message_around(struct octets *out, const char *passphrase, const void *packets,
                          size_t size)
{
    const struct skesk_plan plan = usual_skesk(passphrase);
    uint8_t key[CIPHER_MAXIMUM_KEY_BYTES];
    enum cipher_algorithm cipher;

    build_skesk(out, &plan, key, &cipher);
    build_seipd(out, NULL, cipher, key, packets, size);
}

void build_message(struct octets *out, const char *passphrase, const void *content, size_t size)
{
    CLEANUP(octets_clear) struct octets packets = {0};

    build_literal(&packets, FRAMING_SHORTEST, content, size);
    build_message_around(out, passphrase, packets.data, packets.size);
}
