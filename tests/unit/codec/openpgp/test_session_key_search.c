/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/session_key_search.h"

#include "codec_bed.h"

#include <stdlib.h>

/* A resolver that answers as the test says. */
struct scripted_resolver {
    struct session_key_resolver resolver;
    const struct session_key *answer; /* NULL: no key at hand */
    enum error_kind failure;          /* or ERROR_NONE */
    unsigned calls;
    struct octets packets; /* of the last call */
};

static int resolve(struct session_key_resolver *resolver, enum encrypted_data_kind kind,
                   const uint8_t *packets, size_t size, struct secure_arena *arena,
                   struct cancel *cancel, struct session_key **ret, struct error *err)
{
    struct scripted_resolver *scripted = (struct scripted_resolver *)resolver;

    (void)kind;
    (void)cancel;
    scripted->calls++;
    octets_clear(&scripted->packets);
    octets_add(&scripted->packets, packets, size);
    if (scripted->failure != ERROR_NONE)
        return error_set(err, scripted->failure, "the keyring is out of order");
    if (scripted->answer == NULL)
        return 0;
    if (session_key_new(arena, ret, err) < 0)
        return -1;
    **ret = *scripted->answer;
    (*ret)->arena = arena;
    return 0;
}

static void free_resolver(struct session_key_resolver *resolver)
{
    octets_clear(&((struct scripted_resolver *)resolver)->packets);
}

static const struct session_key_resolver_ops scripted_ops = {.resolve = resolve,
                                                             .free = free_resolver};

/* A search over session key packets that a test adds one by one. */
struct search_bed {
    struct esk_sequence *sequence;
    struct secure_buffer *passphrase;
    struct octets data; /* the SEIPD packet */
    struct session_key_search *search;
};

static void bed_start(struct search_bed *bed, const char *passphrase)
{
    *bed = (struct search_bed){.sequence = calloc(1, sizeof *bed->sequence),
                               .passphrase = bed_passphrase(passphrase)};
    assert_non_null(bed->sequence);
}

static void bed_stop(struct search_bed *bed)
{
    session_key_search_free(bed->search);
    esk_sequence_free(bed->sequence);
    secure_buffer_free(bed->passphrase);
    octets_clear(&bed->data);
}

static void add_skesk(struct search_bed *bed, const struct skesk_plan *plan)
{
    CLEANUP(octets_clear) struct octets packet = {0};
    uint8_t key[CIPHER_MAXIMUM_KEY_BYTES];
    enum cipher_algorithm cipher;
    struct byte_cursor cursor;
    struct error err = ERROR_INIT;

    build_skesk(&packet, plan, key, &cipher);
    cursor = byte_cursor_over(packet.data + 2, packet.size - 2);
    assert_succeeds(skesk_parse(&cursor, &bed->sequence->skesks[bed->sequence->count++], &err));
}

static void add_pkesk(struct search_bed *bed, uint8_t version)
{
    const uint8_t body[12] = {version};
    struct error err = ERROR_INIT;

    assert_succeeds(pkesk_packets_add(version == PKESK_VERSION ? &bed->sequence->pkesk_v3
                                                               : &bed->sequence->pkesk_v6,
                                      body, sizeof body, &err));
}

/* An SKESK that encrypts the key of AES-256 that is filled with `fill`. */
static struct skesk_plan plan_of(const char *passphrase, unsigned version, int fill)
{
    struct skesk_plan plan = usual_skesk(passphrase);

    plan.version = version;
    plan.aead = AEAD_ALGORITHM_OCB;
    plan.has_encrypted_key = true;
    plan.session_cipher = CIPHER_AES256;
    memset(plan.session_key, fill, sizeof plan.session_key);
    return plan;
}

/* SEIPD version 1 data under the key filled with `fill`, which holds `packets`. */
static void search_v1_data(struct search_bed *bed, int fill, const struct octets *packets,
                           struct session_key_resolver *resolver)
{
    uint8_t key[CIPHER_MAXIMUM_KEY_BYTES];
    const struct session_key_means means = {
        .arena = bed_arena(), .passphrase = bed->passphrase, .resolver = resolver};
    struct encrypted_data data = {.kind = ENCRYPTED_DATA_SEIPD_V1,
                                  .sample_size = SESSION_KEY_SAMPLE_BYTES};
    struct error err = ERROR_INIT;

    memset(key, fill, sizeof key);
    build_seipd(&bed->data, NULL, CIPHER_AES256, key, packets->data, packets->size);
    data.sample = bed->data.data + 3;
    assert_succeeds(session_key_search_new(&bed->sequence, &data, &means, &bed->search, &err));
    assert_null(bed->sequence);
}

static void search_v1(struct search_bed *bed, int fill, struct session_key_resolver *resolver)
{
    CLEANUP(octets_clear) struct octets literal = {0};

    build_literal(&literal, FRAMING_SHORTEST, "some content", 12);
    search_v1_data(bed, fill, &literal, resolver);
}

static void search_aead(struct search_bed *bed, enum encrypted_data_kind kind,
                        enum cipher_algorithm cipher, struct session_key_resolver *resolver)
{
    const struct session_key_means means = {
        .arena = bed_arena(), .passphrase = bed->passphrase, .resolver = resolver};
    const struct encrypted_data data = {.kind = kind, .cipher = cipher};
    struct error err = ERROR_INIT;

    assert_succeeds(session_key_search_new(&bed->sequence, &data, &means, &bed->search, &err));
}

static void assert_next(struct search_bed *bed, enum cipher_algorithm cipher, int fill)
{
    CLEANUP(session_key_free) struct session_key *key = NULL;
    uint8_t expected[CIPHER_MAXIMUM_KEY_BYTES];
    struct error err = ERROR_INIT;

    memset(expected, fill, sizeof expected);
    assert_succeeds(session_key_search_next(bed->search, NULL, &key, &err));
    assert_int_equal(key->algorithm, cipher);
    assert_int_equal(key->size, cipher_key_size(cipher));
    assert_memory_equal(key->key, expected, key->size);
}

static void assert_none(struct search_bed *bed, enum error_kind kind, const char *text)
{
    struct session_key *key = NULL;
    struct error err = ERROR_INIT;

    assert_fails(kind, session_key_search_next(bed->search, NULL, &key, &err));
    assert_message_has(text);
    assert_null(key);
}

static void every_packet_is_tried_in_order(void **state)
{
    static const char *const passphrases[] = {"first", "second", "third"};

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(passphrases); i++) {
        struct search_bed bed;

        bed_start(&bed, passphrases[i]);
        for (size_t other = 0; other < ELEMENTS_OF(passphrases); other++)
            add_skesk(&bed, &(struct skesk_plan[]){plan_of(passphrases[other], 4, 7)}[0]);
        search_v1(&bed, 7, NULL);
        assert_next(&bed, CIPHER_AES256, 7);
        assert_none(&bed, ERROR_CORRUPT, DAMAGED_MESSAGE);
        assert_none(&bed, ERROR_CORRUPT, DAMAGED_MESSAGE);
        bed_stop(&bed);
    }
}

static void a_passphrase_of_no_packet_is_the_uniform_error(void **state)
{
    const struct skesk_plan plan = plan_of("right", 4, 7);
    struct search_bed bed;

    (void)state;
    bed_start(&bed, "wrong");
    add_skesk(&bed, &plan);
    search_v1(&bed, 7, NULL);
    assert_none(&bed, ERROR_CORRUPT, DAMAGED_MESSAGE);
    bed_stop(&bed);
}

/* Under LibrePGP's data every key for its cipher is a candidate: they come one by one, and at most
 * LIMIT_SESSION_KEY_CANDIDATES of them. */
static void candidates_come_one_by_one_up_to_a_limit(void **state)
{
    struct search_bed bed;

    (void)state;
    bed_start(&bed, "secret");
    for (int i = 0; i < LIMIT_SESSION_KEY_CANDIDATES + 2; i++) {
        const struct skesk_plan plan = plan_of("secret", 4, i + 1);

        add_skesk(&bed, &plan);
    }
    search_aead(&bed, ENCRYPTED_DATA_LIBREPGP_AEAD, CIPHER_AES256, NULL);
    for (int i = 0; i < LIMIT_SESSION_KEY_CANDIDATES; i++)
        assert_next(&bed, CIPHER_AES256, i + 1);
    assert_none(&bed, ERROR_CORRUPT, DAMAGED_MESSAGE);
    bed_stop(&bed);
}

static void an_authentic_key_leaves_nothing_to_search(void **state)
{
    static const unsigned versions[] = {5, 6};

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(versions); i++) {
        const struct skesk_plan wrong = plan_of("other", versions[i], 1);
        const struct skesk_plan right = plan_of("secret", versions[i], 2);
        const struct skesk_plan again = plan_of("secret", versions[i], 3);
        struct search_bed bed;

        bed_start(&bed, "secret");
        add_skesk(&bed, &wrong);
        add_skesk(&bed, &right);
        add_skesk(&bed, &again);
        search_aead(&bed, i == 0 ? ENCRYPTED_DATA_LIBREPGP_AEAD : ENCRYPTED_DATA_SEIPD_V2,
                    CIPHER_CAMELLIA256, NULL);
        assert_next(&bed, CIPHER_CAMELLIA256, 2);
        assert_none(&bed, ERROR_CORRUPT, DAMAGED_MESSAGE);
        bed_stop(&bed);
    }
}

static void a_packet_that_does_not_go_with_the_data_is_not_there(void **state)
{
    static const struct {
        unsigned version;
        enum encrypted_data_kind kind;
    } pairs[] = {
        {5, ENCRYPTED_DATA_SEIPD_V1},      {6, ENCRYPTED_DATA_SEIPD_V1},
        {4, ENCRYPTED_DATA_SEIPD_V2},      {5, ENCRYPTED_DATA_SEIPD_V2},
        {6, ENCRYPTED_DATA_LIBREPGP_AEAD},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(pairs); i++) {
        const struct skesk_plan plan = plan_of("secret", pairs[i].version, 9);
        struct search_bed bed;

        bed_start(&bed, "secret");
        add_skesk(&bed, &plan);
        if (pairs[i].kind == ENCRYPTED_DATA_SEIPD_V1)
            search_v1(&bed, 9, NULL);
        else
            search_aead(&bed, pairs[i].kind, CIPHER_AES256, NULL);
        assert_none(&bed, ERROR_CORRUPT, "no session key packet for its encrypted data");
        bed_stop(&bed);
    }
}

static void a_key_for_another_cipher_than_the_data_names_is_none(void **state)
{
    struct skesk_plan plan = plan_of("secret", 4, 9);
    struct search_bed bed;

    (void)state;
    bed_start(&bed, "secret");
    add_skesk(&bed, &plan);
    plan = plan_of("secret", 5, 9);
    plan.session_cipher = CIPHER_AES128;
    add_skesk(&bed, &plan);
    search_aead(&bed, ENCRYPTED_DATA_LIBREPGP_AEAD, CIPHER_TWOFISH, NULL);
    assert_none(&bed, ERROR_CORRUPT, DAMAGED_MESSAGE);
    bed_stop(&bed);
}

static void says_why_no_packet_can_be_used(void **state)
{
    struct search_bed bed;

    (void)state;
    bed_start(&bed, "x");
    add_pkesk(&bed, PKESK_VERSION);
    search_v1(&bed, 1, NULL);
    assert_none(&bed, ERROR_UNSUPPORTED, "encrypted to a public key; set keyring");
    bed_stop(&bed);
    bed_start(&bed, "x");
    add_pkesk(&bed, PKESK_VERSION);
    (void)error_set(&bed.sequence->unusable, ERROR_TOO_LARGE, "the first reason");
    search_v1(&bed, 1, NULL);
    assert_none(&bed, ERROR_TOO_LARGE, "the first reason");
    bed_stop(&bed);
    bed_start(&bed, "x");
    bed.sequence->pkesk_v3.is_cut = true;
    search_v1(&bed, 1, NULL);
    assert_none(&bed, ERROR_TOO_LARGE, "public-key session key packets");
    bed_stop(&bed);
}

static struct session_key resolved_key(int fill)
{
    struct session_key key = {.algorithm = CIPHER_AES256, .size = 32};

    memset(key.key, fill, sizeof key.key);
    return key;
}

static void the_resolver_is_asked_when_no_passphrase_opens(void **state)
{
    const struct session_key key = resolved_key(7);
    const struct skesk_plan plan = plan_of("other", 4, 7);
    struct scripted_resolver scripted = {.resolver = {&scripted_ops}, .answer = &key};
    struct search_bed bed;

    (void)state;
    bed_start(&bed, "secret");
    add_skesk(&bed, &plan);
    add_pkesk(&bed, PKESK_VERSION);
    add_pkesk(&bed, PKESK_VERSION_FINGERPRINT);
    add_pkesk(&bed, PKESK_VERSION);
    search_v1(&bed, 7, &scripted.resolver);
    assert_next(&bed, CIPHER_AES256, 7);
    assert_int_equal(scripted.packets.size, 2 * (6 + 12));
    assert_int_equal(scripted.packets.data[6], PKESK_VERSION);
    assert_int_equal(scripted.packets.data[18 + 6], PKESK_VERSION);
    assert_none(&bed, ERROR_CORRUPT, DAMAGED_MESSAGE);
    assert_int_equal(scripted.calls, 1);
    bed_stop(&bed);
    session_key_resolver_free(&scripted.resolver);
}

static void the_resolver_is_not_asked_when_a_passphrase_opens(void **state)
{
    const struct skesk_plan plan = plan_of("secret", 6, 7);
    struct scripted_resolver scripted = {.resolver = {&scripted_ops}};
    struct search_bed bed;

    (void)state;
    bed_start(&bed, "secret");
    add_pkesk(&bed, PKESK_VERSION_FINGERPRINT);
    add_skesk(&bed, &plan);
    search_aead(&bed, ENCRYPTED_DATA_SEIPD_V2, CIPHER_AES256, &scripted.resolver);
    assert_next(&bed, CIPHER_AES256, 7);
    assert_none(&bed, ERROR_CORRUPT, DAMAGED_MESSAGE);
    assert_int_equal(scripted.calls, 0);
    bed_stop(&bed);
}

/* The message begins with a padding packet: its key is right, and yet the last that is given. */
static void a_doubtful_key_is_given_when_there_is_no_other(void **state)
{
    const struct skesk_plan plan = plan_of("secret", 4, 7);
    struct scripted_resolver scripted = {.resolver = {&scripted_ops}};
    CLEANUP(octets_clear) struct octets packets = {0};
    struct search_bed bed;

    (void)state;
    build_packet(&packets, 21, FRAMING_SHORTEST, "padding of some size", 20);
    for (int given = 0; given < 3; given++) {
        bed_start(&bed, "secret");
        add_pkesk(&bed, PKESK_VERSION);
        add_skesk(&bed, &plan);
        add_skesk(&bed, &plan);
        search_v1_data(&bed, 7, &packets, &scripted.resolver);
        for (int i = 0; i < given; i++)
            assert_next(&bed, CIPHER_AES256, 7);
        if (given == 2)
            assert_none(&bed, ERROR_CORRUPT, DAMAGED_MESSAGE);
        bed_stop(&bed);
        octets_clear(&bed.data);
    }
    assert_int_equal(scripted.calls, 2);
    session_key_resolver_free(&scripted.resolver);
}

/* Else flips in the encrypted data could be told from flips behind its start. */
static void a_resolved_key_that_does_not_fit_is_the_uniform_error(void **state)
{
    const struct session_key wrong = resolved_key(8);
    struct session_key short_key = resolved_key(7);
    struct scripted_resolver scripted = {.resolver = {&scripted_ops}, .answer = &wrong};
    struct search_bed bed;

    (void)state;
    bed_start(&bed, "x");
    add_pkesk(&bed, PKESK_VERSION);
    search_v1(&bed, 7, &scripted.resolver);
    assert_none(&bed, ERROR_CORRUPT, DAMAGED_MESSAGE);
    bed_stop(&bed);
    short_key.size = 16;
    scripted.answer = &short_key;
    bed_start(&bed, "x");
    add_pkesk(&bed, PKESK_VERSION);
    search_v1(&bed, 7, &scripted.resolver);
    assert_none(&bed, ERROR_CORRUPT, DAMAGED_MESSAGE);
    bed_stop(&bed);
    session_key_resolver_free(&scripted.resolver);
}

static void a_packet_that_a_key_at_hand_does_not_open_is_the_uniform_error(void **state)
{
    struct scripted_resolver scripted = {.resolver = {&scripted_ops}, .failure = ERROR_CORRUPT};
    struct search_bed bed;

    (void)state;
    bed_start(&bed, "x");
    add_pkesk(&bed, PKESK_VERSION);
    search_v1(&bed, 7, &scripted.resolver);
    assert_none(&bed, ERROR_CORRUPT, DAMAGED_MESSAGE);
    assert_none(&bed, ERROR_CORRUPT, DAMAGED_MESSAGE);
    assert_int_equal(scripted.calls, 1);
    bed_stop(&bed);
    session_key_resolver_free(&scripted.resolver);
}

static void a_keyring_without_the_key_is_named(void **state)
{
    struct scripted_resolver scripted = {.resolver = {&scripted_ops}};
    struct search_bed bed;

    (void)state;
    bed_start(&bed, "x");
    add_pkesk(&bed, PKESK_VERSION);
    search_v1(&bed, 7, &scripted.resolver);
    assert_none(&bed, ERROR_NO_KEY, "keyring");
    bed_stop(&bed);
    session_key_resolver_free(&scripted.resolver);
}

/* What the keyring says must not tell a wrong passphrase from damage. */
static void a_failing_resolver_is_heard_only_where_there_is_no_passphrase(void **state)
{
    const struct skesk_plan plan = plan_of("other", 4, 7);
    struct scripted_resolver scripted = {.resolver = {&scripted_ops}, .failure = ERROR_UNAVAILABLE};
    struct search_bed bed;

    (void)state;
    bed_start(&bed, "secret");
    add_pkesk(&bed, PKESK_VERSION);
    search_v1(&bed, 7, &scripted.resolver);
    assert_none(&bed, ERROR_UNAVAILABLE, "out of order");
    bed_stop(&bed);
    bed_start(&bed, "secret");
    add_pkesk(&bed, PKESK_VERSION);
    add_skesk(&bed, &plan);
    search_v1(&bed, 7, &scripted.resolver);
    assert_none(&bed, ERROR_CORRUPT, DAMAGED_MESSAGE);
    bed_stop(&bed);
    bed_start(&bed, "secret");
    add_pkesk(&bed, PKESK_VERSION);
    add_skesk(&bed, &plan);
    scripted.failure = ERROR_CANCELLED;
    search_v1(&bed, 7, &scripted.resolver);
    assert_none(&bed, ERROR_CANCELLED, "out of order");
    bed_stop(&bed);
    session_key_resolver_free(&scripted.resolver);
}

/* Sixteen derivations of the strongest kind, over the slowest hash and with two passes each: far
 * beyond the limit on any processor. */
static void all_derivations_together_have_bounded_time(void **state)
{
    struct search_bed bed;

    (void)state;
    bed_start(&bed, "x");
    bed.sequence->count = LIMIT_SKESK_PACKETS;
    for (int i = 0; i < LIMIT_SKESK_PACKETS; i++)
        bed.sequence->skesks[i] = (struct skesk){
            .version = SKESK_VERSION,
            .cipher = CIPHER_AES256,
            .s2k = {.type = S2K_ITERATED_AND_SALTED, .hash = HASH_RIPEMD160, .count = 65011712}};
    search_v1(&bed, 1, NULL);
    assert_none(&bed, ERROR_TOO_LARGE, "CPU");
    bed_stop(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bed_test(every_packet_is_tried_in_order),
        bed_test(a_passphrase_of_no_packet_is_the_uniform_error),
        bed_test(candidates_come_one_by_one_up_to_a_limit),
        bed_test(an_authentic_key_leaves_nothing_to_search),
        bed_test(a_packet_that_does_not_go_with_the_data_is_not_there),
        bed_test(a_key_for_another_cipher_than_the_data_names_is_none),
        bed_test(says_why_no_packet_can_be_used),
        bed_test(the_resolver_is_asked_when_no_passphrase_opens),
        bed_test(the_resolver_is_not_asked_when_a_passphrase_opens),
        bed_test(a_doubtful_key_is_given_when_there_is_no_other),
        bed_test(a_resolved_key_that_does_not_fit_is_the_uniform_error),
        bed_test(a_packet_that_a_key_at_hand_does_not_open_is_the_uniform_error),
        bed_test(a_keyring_without_the_key_is_named),
        bed_test(a_failing_resolver_is_heard_only_where_there_is_no_passphrase),
        bed_test(all_derivations_together_have_bounded_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
