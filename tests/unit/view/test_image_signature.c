/* SPDX-License-Identifier: Apache-2.0 */
#include "view/image_signature.h"

#include "../crypto/signature_vectors.h"
#include "crypto/encoding.h"
#include "crypto/signature_key.h"
#include "glancefs/limits.h"
#include "stream_reader.h"
#include "support/crypto_arena.h"
#include "view_bed.h"

#include <stdio.h>
#include <stdlib.h>

#define CERTIFICATE_ID "cccccccc-bbbb-4ccc-8ddd-eeeeeeeeeeee"
#define ROOT_ID "dddddddd-bbbb-4ccc-8ddd-eeeeeeeeeeee"
#define ISSUER_ID "eeeeeeee-bbbb-4ccc-8ddd-eeeeeeeeeeee"
#define BUNDLE TEST_VECTORS "/signatures/bundle.pem"

/* What a record claims of its signature; NULL leaves a property out. */
struct claim {
    const char *signature, *hash, *key_type, *certificate;
};

static void put_secret(struct view_bed *bed, const char *id, const char *file)
{
    size_t size;
    CLEANUP(memory_free) char *text = signature_vector_read(file, &size);

    fake_cloud_set_secret(bed->cloud, id, text);
}

/* The base64 of what rsa.key signs; caller frees. */
static char *sign(struct view_bed *bed, const void *bytes, size_t size)
{
    size_t pem_size;
    CLEANUP(memory_free) char *text = signature_vector_read("rsa.key", &pem_size);
    CLEANUP(signature_key_free) struct signature_key *key = NULL;
    CLEANUP(hash_free) struct hash *hash = NULL;
    struct secure_buffer *pem = NULL;
    uint8_t digest[HASH_MAXIMUM_BYTES];
    uint8_t signature[SIGNATURE_MAXIMUM_BYTES];
    char *base64 = calloc(1, 2 * sizeof signature);
    size_t signature_size;
    struct error err;

    assert_non_null(base64);
    assert_succeeds(secure_buffer_copy_of(bed->arena, text, pem_size, &pem, &err));
    assert_succeeds(signature_key_new(pem, &key, &err));
    assert_succeeds(hash_new(HASH_SHA256, &hash, &err));
    hash_update(hash, bytes, size);
    hash_finish(hash, digest);
    assert_succeeds(signature_key_sign(key, HASH_SHA256, digest, signature, &signature_size, &err));
    encode_base64(signature, signature_size, base64);
    return base64;
}

static void print_member(FILE *out, const char *name, const char *value)
{
    if (value != NULL)
        (void)fprintf(out, ", \"%s\": \"%s\"", name, value);
}

static void put_claim(struct view_bed *bed, const struct claim *claim)
{
    CLEANUP(memory_free) char *members = NULL;
    size_t size;
    FILE *out = open_memstream(&members, &size);

    assert_non_null(out);
    (void)fputs(GPG_MEMBERS, out);
    print_member(out, "img_signature", claim->signature);
    print_member(out, "img_signature_hash_method", claim->hash);
    print_member(out, "img_signature_key_type", claim->key_type);
    print_member(out, "img_signature_certificate_uuid", claim->certificate);
    (void)fclose(out);
    view_bed_put(bed, IMAGE_ID, members);
}

/* The image's own signature; caller frees. */
static char *sign_image(struct view_bed *bed)
{
    return sign(bed, bed->message, bed->message_size);
}

/* That it was made with rsa.key, whose certificate the key manager gets. */
static struct claim claim_of(struct view_bed *bed, const char *signature)
{
    put_secret(bed, CERTIFICATE_ID, "rsa.pem");
    return (struct claim){.signature = signature,
                          .hash = "SHA-256",
                          .key_type = "RSA-PSS",
                          .certificate = CERTIFICATE_ID};
}

static void a_right_signature_opens_the_image(void **state)
{
    struct view_bed *bed = *state;
    CLEANUP(memory_free) char *signature = sign_image(bed);
    struct claim claim = claim_of(bed, signature);

    put_claim(bed, &claim);
    view_bed_configure(bed, "signature", "if-present");
    assert_image_sound(bed, IMAGE_ID);
    view_bed_configure(bed, "trusted_certificates", BUNDLE);
    assert_image_sound(bed, IMAGE_ID);
    view_bed_configure(bed, "signature", "required");
    assert_image_sound(bed, IMAGE_ID);
}

static void issuers_may_stand_in_the_key_manager(void **state)
{
    struct view_bed *bed = *state;
    CLEANUP(memory_free) char *signature = sign_image(bed);
    struct claim claim = claim_of(bed, signature);

    put_claim(bed, &claim);
    put_secret(bed, ROOT_ID, "root.pem");
    put_secret(bed, ISSUER_ID, "issuer.pem");
    view_bed_configure(bed, "trusted_certificates", ROOT_ID ":" ISSUER_ID);
    view_bed_configure(bed, "signature", "required");
    assert_image_sound(bed, IMAGE_ID);
}

static void other_bytes_are_refused_and_not_kept(void **state)
{
    struct view_bed *bed = *state;
    CLEANUP(memory_free) char *right = sign_image(bed);
    struct claim claim = claim_of(bed, right);
    CLEANUP(memory_free) char *wrong = sign(bed, "other bytes", 11);
    struct ciphertext_cache_usage usage;
    struct error err;

    claim.signature = wrong;
    put_claim(bed, &claim);
    view_bed_configure(bed, "signature", "if-present");
    for (int i = 0; i < 2; i++) {
        assert_fails(ERROR_CORRUPT, view_bed_try(bed, IMAGE_ID, &err));
        assert_message_has("signature does not match");
    }
    assert_int_equal(fake_cloud_calls(bed->cloud).downloads, 2);
    assert_succeeds(ciphertext_cache_usage(bed->cache, &usage, &err));
    assert_int_equal(usage.objects, 0);
}

static void what_is_proven_for_one_claim_is_not_for_another(void **state)
{
    struct view_bed *bed = *state;
    CLEANUP(memory_free) char *right = sign_image(bed);
    struct claim claim = claim_of(bed, right);
    CLEANUP(memory_free) char *wrong = sign(bed, "other bytes", 11);
    struct read_stream *stream;
    struct error err;

    put_claim(bed, &claim);
    view_bed_configure(bed, "signature", "if-present");
    stream = view_bed_stream(bed, IMAGE_ID);
    claim.signature = wrong;
    put_claim(bed, &claim);
    assert_fails(ERROR_CORRUPT, view_bed_try(bed, IMAGE_ID, &err));
    read_stream_close(stream);
}

/* Opens the image with the claim `second` while it arrives for one that found `first`. How reading
 * it to the end ends. */
static enum error_kind join_with(struct view_bed *bed, const struct claim *first,
                                 const struct claim *second)
{
    CLEANUP(read_stream_close) struct read_stream *held = NULL;
    CLEANUP(read_stream_close) struct read_stream *joiner = NULL;
    CLEANUP(memory_free) uint8_t *bytes = malloc(PLAINTEXT_BYTES);
    struct error err = ERROR_INIT;
    size_t got;

    assert_non_null(bytes);
    put_claim(bed, first);
    view_bed_configure(bed, "verify", "stream");
    view_bed_configure(bed, "signature", "if-present");
    fake_cloud_set_delays(bed->cloud, (struct fake_cloud_delays){.download_ms = 20});
    held = view_bed_stream(bed, IMAGE_ID);
    put_claim(bed, second);
    joiner = view_bed_stream(bed, IMAGE_ID);
    return stream_read(joiner, bytes, PLAINTEXT_BYTES, 0, NULL, &got, &err) < 0 ? err.kind
                                                                                : ERROR_NONE;
}

static void a_claim_that_nobody_checked_does_not_join_a_stream(void **state)
{
    struct view_bed *bed = *state;
    CLEANUP(memory_free) char *wrong = sign(bed, "other bytes", 11);
    const struct claim unsound = claim_of(bed, wrong);
    const struct claim unsigned_image = {0};
    struct error err = ERROR_INIT;

    assert_int_equal(join_with(bed, &unsigned_image, &unsound), ERROR_CORRUPT);
    view_bed_configure(bed, "verify", "first");
    assert_fails(ERROR_CORRUPT, view_bed_try(bed, IMAGE_ID, &err));
}

static void a_sound_claim_does_not_join_a_stream_with_an_unsound_one(void **state)
{
    struct view_bed *bed = *state;
    CLEANUP(memory_free) char *right = sign_image(bed);
    CLEANUP(memory_free) char *wrong = sign(bed, "other bytes", 11);
    const struct claim sound = claim_of(bed, right);
    const struct claim unsound = claim_of(bed, wrong);

    assert_int_equal(join_with(bed, &unsound, &sound), ERROR_NONE);
}

static void without_all_four_properties_an_image_is_unsigned(void **state)
{
    struct view_bed *bed = *state;
    CLEANUP(memory_free) char *signature = sign_image(bed);
    const struct claim whole = claim_of(bed, signature);
    const struct claim claims[] = {
        {NULL, whole.hash, whole.key_type, whole.certificate},
        {whole.signature, NULL, whole.key_type, whole.certificate},
        {whole.signature, whole.hash, NULL, whole.certificate},
        {whole.signature, whole.hash, whole.key_type, NULL},
    };
    struct error err;

    view_bed_configure(bed, "trusted_certificates", BUNDLE);
    for (size_t i = 0; i < ELEMENTS_OF(claims); i++) {
        put_claim(bed, &claims[i]);
        view_bed_configure(bed, "signature", "if-present");
        assert_image_sound(bed, IMAGE_ID);
        view_bed_configure(bed, "signature", "required");
        assert_fails(ERROR_DENIED, view_bed_try(bed, IMAGE_ID, &err));
        assert_message_has("img_signature");
    }
}

static void a_claim_that_cannot_be_judged_is_refused(void **state)
{
    struct view_bed *bed = *state;
    CLEANUP(memory_free) char *signature = sign_image(bed);
    const struct claim whole = claim_of(bed, signature);
    const struct {
        struct claim claim;
        enum error_kind kind;
        const char *text;
    } claims[] = {
        {{whole.signature, "SHA-1", whole.key_type, whole.certificate}, ERROR_UNSUPPORTED, "SHA-1"},
        {{whole.signature, whole.hash, "RSA", whole.certificate}, ERROR_UNSUPPORTED, "RSA"},
        {{"not base64!", whole.hash, whole.key_type, whole.certificate}, ERROR_CORRUPT, "base64"},
        {{whole.signature, whole.hash, whole.key_type, "x"}, ERROR_NO_KEY, "UUID"},
        {{whole.signature, whole.hash, whole.key_type, OTHER_ID}, ERROR_NO_KEY, "certificate"},
        {{whole.signature, whole.hash, whole.key_type, KEY_ID}, ERROR_KEY_REJECTED, "X.509"},
        {{whole.signature, whole.hash, "DSA", whole.certificate}, ERROR_CORRUPT, "DSA"},
    };
    struct error err;

    view_bed_configure(bed, "signature", "if-present");
    for (size_t i = 0; i < ELEMENTS_OF(claims); i++) {
        put_claim(bed, &claims[i].claim);
        assert_fails(claims[i].kind, view_bed_try(bed, IMAGE_ID, &err));
        assert_message_has(claims[i].text);
    }
}

static void a_certificate_of_a_stranger_is_not_trusted(void **state)
{
    struct view_bed *bed = *state;
    CLEANUP(memory_free) char *signature = sign_image(bed);
    struct claim claim = claim_of(bed, signature);
    struct error err;

    put_claim(bed, &claim);
    view_bed_configure(bed, "trusted_certificates", TEST_VECTORS "/signatures/stranger.pem");
    view_bed_configure(bed, "signature", "if-present");
    assert_fails(ERROR_DENIED, view_bed_try(bed, IMAGE_ID, &err));
    assert_message_has("not trusted");
    put_secret(bed, CERTIFICATE_ID, "expired.pem");
    view_bed_configure(bed, "trusted_certificates", BUNDLE);
    assert_fails(ERROR_DENIED, view_bed_try(bed, IMAGE_ID, &err));
    assert_message_has("expired");
    assert_int_equal(fake_cloud_calls(bed->cloud).downloads, 0);
}

static int make_policy(struct view_bed *bed, const char *mode, const char *trusted,
                       struct error *err)
{
    CLEANUP(signature_policy_free) struct signature_policy *policy = NULL;

    assert_int_equal(config_set(bed->config, "signature", mode, "test", err), 0);
    if (trusted != NULL)
        assert_int_equal(config_set(bed->config, "trusted_certificates", trusted, "test", err), 0);
    return signature_policy_new(bed->config, fake_cloud_services(bed->cloud)->keys, &policy, err);
}

static void a_policy_that_trusts_nobody_is_told_at_the_start(void **state)
{
    struct view_bed *bed = *state;
    struct error err;

    put_secret(bed, CERTIFICATE_ID, "rsa.pem");
    assert_fails(ERROR_INVALID, make_policy(bed, "required", NULL, &err));
    assert_fails(ERROR_NOT_FOUND, make_policy(bed, "required", "/nonexistent/ca.pem", &err));
    assert_message_has("trusted_certificates");
    assert_fails(ERROR_INVALID,
                 make_policy(bed, "required", TEST_VECTORS "/signatures/rsa.key", &err));
    assert_fails(ERROR_INVALID, make_policy(bed, "if-present", CERTIFICATE_ID, &err));
    assert_message_has("may not issue");
    assert_fails(ERROR_NO_KEY, make_policy(bed, "if-present", ROOT_ID, &err));
    assert_fails(ERROR_NO_KEY, make_policy(bed, "if-present", ROOT_ID " junk", &err));
    assert_succeeds(make_policy(bed, "off", "/nonexistent/ca.pem", &err));
}

#define signature_test(name) cmocka_unit_test_setup_teardown(name, view_bed_open, view_bed_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        signature_test(a_right_signature_opens_the_image),
        signature_test(issuers_may_stand_in_the_key_manager),
        signature_test(other_bytes_are_refused_and_not_kept),
        signature_test(what_is_proven_for_one_claim_is_not_for_another),
        signature_test(a_claim_that_nobody_checked_does_not_join_a_stream),
        signature_test(a_sound_claim_does_not_join_a_stream_with_an_unsound_one),
        signature_test(without_all_four_properties_an_image_is_unsigned),
        signature_test(a_claim_that_cannot_be_judged_is_refused),
        signature_test(a_certificate_of_a_stranger_is_not_trusted),
        signature_test(a_policy_that_trusts_nobody_is_told_at_the_start),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
