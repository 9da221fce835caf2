/* SPDX-License-Identifier: Apache-2.0 */
/* Messages to public keys, opened by a keyring. */
#include "codec/gpgme/gpgme_keys.h"

#include "codec/gpgme/gpg_agent.h"
#include "codec/gpgme/gpg_helper.h"
#include "gpgme_bed.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define NAME "somebody@example.org"
#define CONTENT "content for somebody"

struct fixture {
    struct gpgme_bed bed;
    char *keyring;
    uint8_t *message; /* to NAME, by gpg: one PKESK, then an SEIPD */
    size_t size;
};

static int setup(void **state)
{
    static struct fixture fixture;
    CLEANUP(memory_free) char *plain = NULL;
    CLEANUP(memory_free) char *output = NULL;

    memset(&fixture, 0, sizeof fixture);
    gpgme_bed_open(&fixture.bed);
    fixture.keyring = make_keyring(&fixture.bed, NAME);
    temp_dir_write(fixture.bed.dir, "plain", CONTENT, sizeof CONTENT - 1);
    plain = temp_dir_join(fixture.bed.dir, "plain");
    output = temp_dir_join(fixture.bed.dir, "message");
    run_gpg(fixture.keyring, (const char *const[]){"--trust-model", "always", "--recipient", NAME,
                                                   "--output", output, "--encrypt", plain, NULL});
    fixture.message = temp_dir_read(fixture.bed.dir, "message", &fixture.size);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    gpgme_bed_close(&fixture->bed);
    free(fixture->message);
    free(fixture->keyring);
    return secure_arena_used(bed_arena()) == 0 ? 0 : -1;
}

/* The PKESK in front, whose header gpg writes in the legacy format, with one of ours. */
static void pkesk_of(const struct fixture *fixture, struct octets *ret)
{
    const uint8_t *message = fixture->message;
    const size_t header = message[0] == 0x84 ? 2 : 3;
    const size_t size = header == 2 ? message[1] : (size_t)message[1] << 8 | message[2];

    assert_int_equal(message[0] & 0xfc, 0x84);
    build_packet(ret, 1, FRAMING_FIVE_OCTETS, message + header, size);
}

static int start_helper(const char *keyring, struct gpg_helper **ret, struct error *err)
{
    return gpg_helper_start(&(const struct gpg_helper_options){.keyring = keyring}, ret, err);
}

static int resolve(const struct fixture *fixture, const char *keyring, struct session_key **ret,
                   struct error *err)
{
    CLEANUP(gpg_helper_free) struct gpg_helper *helper = NULL;
    CLEANUP(session_key_resolver_free) struct session_key_resolver *keys = NULL;
    CLEANUP(octets_clear) struct octets packets = {0};

    pkesk_of(fixture, &packets);
    if (start_helper(keyring, &helper, err) < 0 || gpgme_keys_new(helper, &keys, err) < 0)
        return -1;
    return session_key_resolver_resolve(keys, ENCRYPTED_DATA_SEIPD_V1, packets.data, packets.size,
                                        bed_arena(), NULL, ret, err);
}

static void the_keyring_gives_the_session_key(void **state)
{
    const struct fixture *fixture = *state;
    CLEANUP(session_key_free) struct session_key *key = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(resolve(fixture, fixture->keyring, &key, &err));
    assert_non_null(key);
    assert_true(secure_arena_contains(bed_arena(), key));
    assert_int_equal(key->algorithm, CIPHER_AES256);
    assert_int_equal(key->size, 32);
    assert_ptr_equal(key->arena, bed_arena());
}

static void its_agent_is_stopped_when_it_was_not_there(void **state)
{
    const struct fixture *fixture = *state;
    CLEANUP(session_key_free) struct session_key *key = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(resolve(fixture, fixture->keyring, &key, &err));
    assert_false(gpg_agent_is_running(fixture->keyring));
}

static void an_agent_that_was_there_stays(void **state)
{
    const struct fixture *fixture = *state;
    CLEANUP(session_key_free) struct session_key *key = NULL;
    struct error err = ERROR_INIT;

    run_gpg(fixture->keyring,
            (const char *const[]){"--output", "/dev/null", "--export-secret-keys", NULL});
    assert_true(gpg_agent_is_running(fixture->keyring));
    assert_succeeds(resolve(fixture, fixture->keyring, &key, &err));
    assert_true(gpg_agent_is_running(fixture->keyring));
    gpg_agent_stop(fixture->keyring);
    assert_false(gpg_agent_is_running(fixture->keyring));
}

static void a_keyring_without_the_key_gives_none(void **state)
{
    const struct fixture *fixture = *state;
    CLEANUP(memory_free) char *empty = temp_dir_join(fixture->bed.dir, "empty");
    struct session_key *key = NULL;
    struct error err = ERROR_INIT;

    assert_int_equal(rename(fixture->keyring, empty), 0);
    assert_int_equal(mkdir(fixture->keyring, 0700), 0);
    assert_succeeds(resolve(fixture, fixture->keyring, &key, &err));
    assert_null(key);
}

/* Not the same as no key at all: that is what session_key_resolver.h asks for. */
static void damaged_packets_are_damage(void **state)
{
    const struct fixture *fixture = *state;
    CLEANUP(gpg_helper_free) struct gpg_helper *helper = NULL;
    CLEANUP(session_key_resolver_free) struct session_key_resolver *keys = NULL;
    CLEANUP(octets_clear) struct octets packets = {0};
    struct error err = ERROR_INIT;

    pkesk_of(fixture, &packets);
    packets.data[packets.size - 3] ^= 1;
    assert_succeeds(start_helper(fixture->keyring, &helper, &err));
    assert_succeeds(gpgme_keys_new(helper, &keys, &err));
    for (unsigned i = 0; i < 2; i++) {
        struct session_key *key = NULL;

        assert_fails(ERROR_CORRUPT,
                     session_key_resolver_resolve(keys, ENCRYPTED_DATA_SEIPD_V1, packets.data,
                                                  packets.size, bed_arena(), NULL, &key, &err));
        assert_string_equal(err.message, DAMAGED_MESSAGE);
        /* Then one that is cut inside, with a header that says so. */
        packets.data[5]--;
        packets.size--;
    }
}

static int decrypt(const struct fixture *fixture, struct memory_sink_record *record,
                   struct codec_message **ret, struct error *err)
{
    CLEANUP(byte_source_free)
    struct byte_source *source = memory_source_new(fixture->message, fixture->size, NULL);
    CLEANUP(secure_buffer_free) struct secure_buffer *secret = bed_passphrase("any");
    CLEANUP(byte_sink_free) struct byte_sink *sink = memory_sink_new(record, NULL);

    return codec_decrypt(fixture->bed.codec, bed_arena(), source, secret, sink, NULL, ret, err);
}

/* The packet of somebody whose key is not there, before ours. */
static void somebody_elses_packet_beside_ours_does_no_harm(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(octets_clear) struct octets message = {0};
    struct error err = ERROR_INIT;

    pkesk_of(fixture, &message);
    message.data[8] ^= 1; /* of the key's id */
    octets_add(&message, fixture->message, fixture->size);
    free(fixture->message);
    fixture->message = steal(&message.data);
    fixture->size = message.size;
    for (unsigned i = 0; i < 2; i++) {
        CLEANUP(memory_sink_record) struct memory_sink_record plain = {0};

        gpgme_bed_open_codec(&fixture->bed, i == 0 ? CODEC_ENGINE_GPGME : CODEC_ENGINE_NATIVE,
                             fixture->keyring);
        assert_succeeds(decrypt(fixture, &plain, NULL, &err));
        assert_int_equal(plain.size, sizeof CONTENT - 1);
        codecs_free(steal(&fixture->bed.codecs));
    }
}

static void version_6_is_unsupported(void **state)
{
    const struct fixture *fixture = *state;
    CLEANUP(gpg_helper_free) struct gpg_helper *helper = NULL;
    CLEANUP(session_key_resolver_free) struct session_key_resolver *keys = NULL;
    CLEANUP(octets_clear) struct octets packets = {0};
    struct session_key *key = NULL;
    struct error err = ERROR_INIT;

    pkesk_of(fixture, &packets);
    assert_succeeds(start_helper(fixture->keyring, &helper, &err));
    assert_succeeds(gpgme_keys_new(helper, &keys, &err));
    assert_fails(ERROR_UNSUPPORTED,
                 session_key_resolver_resolve(keys, ENCRYPTED_DATA_SEIPD_V2, packets.data,
                                              packets.size, bed_arena(), NULL, &key, &err));
}

static void a_keyring_is_an_absolute_directory(void **state)
{
    struct gpg_helper *helper = NULL;
    struct error err = ERROR_INIT;

    (void)state;
    assert_fails(ERROR_INVALID, start_helper("keys", &helper, &err));
    assert_fails(ERROR_INVALID, start_helper("/nowhere/keys", &helper, &err));
    assert_fails(ERROR_INVALID, start_helper("/proc/self/status", &helper, &err));
}

static void the_gpgme_engine_opens_it_with_the_keyring(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(memory_sink_record) struct memory_sink_record plain = {0};
    struct error err = ERROR_INIT;

    gpgme_bed_open_codec(&fixture->bed, CODEC_ENGINE_GPGME, fixture->keyring);
    assert_succeeds(decrypt(fixture, &plain, NULL, &err));
    assert_int_equal(plain.size, sizeof CONTENT - 1);
    assert_memory_equal(plain.bytes, CONTENT, plain.size);
}

/* gpg sees the session key packet only. */
static void the_native_engine_opens_it_with_the_keyring(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(memory_sink_record) struct memory_sink_record plain = {0};
    struct error err = ERROR_INIT;

    gpgme_bed_open_codec(&fixture->bed, CODEC_ENGINE_NATIVE, fixture->keyring);
    assert_succeeds(decrypt(fixture, &plain, NULL, &err));
    assert_int_equal(plain.size, sizeof CONTENT - 1);
    assert_memory_equal(plain.bytes, CONTENT, plain.size);
}

/* In the session key packet's cryptogram; in the prefix that repeats, the first packet's header and
 * its content, and in the MDC. An attacker who sees which of them it was has an oracle. */
static void the_native_engine_tells_no_flip_from_another(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(octets_clear) struct octets pkesk = {0};
    size_t data;

    gpgme_bed_open_codec(&fixture->bed, CODEC_ENGINE_NATIVE, fixture->keyring);
    pkesk_of(fixture, &pkesk);
    /* behind the PKESK, whose header is shorter than ours, a header of two octets and a version */
    data = pkesk.size - 6 + (fixture->message[0] == 0x84 ? 2 : 3) + 3;
    const size_t flips[] = {data - 6,  data - 40, data + 14,        data + 16,
                            data + 18, data + 30, fixture->size - 1};

    for (size_t i = 0; i < ELEMENTS_OF(flips); i++) {
        CLEANUP(memory_sink_record) struct memory_sink_record plain = {0};
        struct error err = ERROR_INIT;

        fixture->message[flips[i]] ^= 1;
        assert_fails(ERROR_CORRUPT, decrypt(fixture, &plain, NULL, &err));
        assert_string_equal(err.message, DAMAGED_MESSAGE);
        fixture->message[flips[i]] ^= 1;
    }
}

static void the_gpgme_engine_says_that_it_has_no_keyring(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(memory_sink_record) struct memory_sink_record plain = {0};
    struct error err = ERROR_INIT;

    gpgme_bed_open_codec(&fixture->bed, CODEC_ENGINE_GPGME, NULL);
    assert_fails(ERROR_UNSUPPORTED, decrypt(fixture, &plain, NULL, &err));
    assert_message_has("keyring");
}

#define keys_test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        keys_test(the_keyring_gives_the_session_key),
        keys_test(its_agent_is_stopped_when_it_was_not_there),
        keys_test(an_agent_that_was_there_stays),
        keys_test(a_keyring_without_the_key_gives_none),
        keys_test(damaged_packets_are_damage),
        keys_test(somebody_elses_packet_beside_ours_does_no_harm),
        keys_test(version_6_is_unsupported),
        keys_test(a_keyring_is_an_absolute_directory),
        keys_test(the_gpgme_engine_opens_it_with_the_keyring),
        keys_test(the_native_engine_opens_it_with_the_keyring),
        keys_test(the_native_engine_tells_no_flip_from_another),
        keys_test(the_gpgme_engine_says_that_it_has_no_keyring),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
