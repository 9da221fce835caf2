/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/armor.h"

#include "codec_bed.h"
#include "crypto/encoding.h"
#include "glancefs/limits.h"

#include <stdlib.h>

#define BEGIN "-----BEGIN PGP MESSAGE-----\n"
#define END "-----END PGP MESSAGE-----"

/* RFC 4648's "foobar" with its CRC-24. */
#define DATA "Zm9vYmFy\n"
#define CHECKSUM "=czTe\n"

static int decode(const char *text, struct octets *ret, struct error *err)
{
    CLEANUP(memory_free) uint8_t *bytes = NULL;
    size_t size;

    if (armor_decode((const uint8_t *)text, strlen(text), &bytes, &size, err) < 0)
        return -1;
    octets_add(ret, bytes, size);
    return 0;
}

static void reads_every_form_of_armor(void **state)
{
    static const char *const texts[] = {
        BEGIN "\n" DATA CHECKSUM END "\n",
        BEGIN "\n" DATA CHECKSUM END,
        BEGIN "\n" DATA END "\n",
        BEGIN "\n" DATA END "\n\n \t\r\n",
        BEGIN "Version: 1\nComment: two: words\nHash:\n\n" DATA END,
        "-----BEGIN PGP MESSAGE-----\r\nComment: x\r\n\r\nZm9v\r\nYmFy\r\n=czTe\r\n" END "\r\n",
        BEGIN " \t\nZm9v  \nYmFy\t\n" END,
        BEGIN "\nZ\nm9vY\nmFy\n" END,
        BEGIN "\n" DATA "=czTf\n" END, /* wrong or malformed checksums: RFC 9580 section 6.1 */
        BEGIN "\n" DATA "=czT=\n" END,
        BEGIN "\n" DATA "=czTeczTe\n" END,
        BEGIN "\n" DATA "=c!T\n" END,
        BEGIN "\n" DATA "=\n" END,
    };
    struct error err = ERROR_INIT;

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(texts); i++) {
        CLEANUP(octets_clear) struct octets bytes = {0};

        if (decode(texts[i], &bytes, &err) < 0)
            fail_msg("text number %zu: %s", i, err.message);
        assert_int_equal(bytes.size, 6);
        assert_memory_equal(bytes.data, "foobar", 6);
    }
}

static void malformed_armor_is_damage(void **state)
{
    static const char *const texts[] = {
        BEGIN,
        BEGIN "\n",
        BEGIN "\n" DATA,
        BEGIN DATA END,               /* no empty line */
        BEGIN "Comment\n\n" DATA END, /* headers that are none */
        BEGIN ": x\n\n" DATA END,
        BEGIN "Comment:x\n\n" DATA END,
        BEGIN "\n" END, /* no data */
        BEGIN "\n" CHECKSUM END,
        BEGIN "\n" DATA "\n" END,  /* an empty line in the data */
        BEGIN "\nZm9v YmFy\n" END, /* a space in it */
        BEGIN "\nZm9v!mFy\n" END,
        BEGIN "\nZm9v\x80mFy\n" END,
        BEGIN "\nZm9vYmF\n" END, /* digits that are no whole octets */
        BEGIN "\nZm9=YmFy\n" END,
        BEGIN "\n" DATA CHECKSUM DATA END, /* data behind it */
        BEGIN "\n" DATA CHECKSUM CHECKSUM END,
        BEGIN "\n" DATA "-----END PGP MESSAGE----\n",
        BEGIN "\n" DATA "-----END PGP SIGNATURE-----\n",
        BEGIN "\n" DATA END "\nand more",
        BEGIN "\n" DATA END "\n" BEGIN "\n" DATA END,
    };
    struct error err = ERROR_INIT;

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(texts); i++) {
        CLEANUP(octets_clear) struct octets bytes = {0};

        if (decode(texts[i], &bytes, &err) == 0)
            fail_msg("text number %zu is read", i);
        assert_int_equal(err.kind, ERROR_CORRUPT);
        assert_string_equal(err.message, DAMAGED_MESSAGE);
    }
}

static void armor_of_something_else_is_named(void **state)
{
    static const char *const texts[] = {
        "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n" DATA "-----END PGP PUBLIC KEY BLOCK-----\n",
        "-----BEGIN PGP SIGNED MESSAGE-----\n\nhello\n",
        "-----BEGIN PGP MESSAGE, PART 1/2-----\n\n" DATA END,
    };
    CLEANUP(octets_clear) struct octets bytes = {0};
    struct error err = ERROR_INIT;

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(texts); i++) {
        assert_fails(ERROR_CORRUPT, decode(texts[i], &bytes, &err));
        assert_message_has("not that of a message");
    }
}

/* Appends base64 of a message in lines of 64 digits. */
static void add_armored(struct octets *out, const struct octets *message)
{
    const size_t digits_size = encode_base64_size(message->size);
    CLEANUP(memory_free) char *digits = malloc(digits_size);

    assert_non_null(digits);
    encode_base64(message->data, message->size, digits);
    octets_add(out, BEGIN "\n", sizeof BEGIN);
    for (size_t done = 0; done < digits_size; done += 64) {
        octets_add(out, digits + done, digits_size - done < 64 ? digits_size - done : 64);
        octets_add_u8(out, '\n');
    }
    octets_add(out, END "\n", sizeof END);
}

static void armored_messages_open_like_binary_ones(void **state)
{
    static const size_t sizes[] = {0, 1, 100, 40 * KIB};

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(sizes); i++) {
        CLEANUP(memory_free) uint8_t *content = pseudo_random_bytes(i, sizes[i] + 1);
        CLEANUP(octets_clear) struct octets message = {0};
        CLEANUP(octets_clear) struct octets text = {0};

        build_message(&message, "secret", content, sizes[i]);
        add_armored(&text, &message);
        assert_opens(text.data, text.size, "secret", content, sizes[i]);
        assert_damaged(text.data, text.size, "wrong");
    }
}

/* Its text may lie behind a slow disk, or a network. */
static void opening_an_armored_message_can_be_cancelled(void **state)
{
    CLEANUP(octets_clear) struct octets message = {0};
    CLEANUP(octets_clear) struct octets text = {0};
    CLEANUP(codec_message_unref) struct codec_message *opened = NULL;
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    CLEANUP(byte_source_free) struct byte_source *ciphertext = NULL;
    const struct memory_source_options slow = {.delay_ms = 60000};
    struct byte_source *plaintext = NULL;
    struct error err = ERROR_INIT;

    (void)state;
    build_message(&message, "secret", "content", 7);
    add_armored(&text, &message);
    assert_succeeds(bed_decrypt(text.data, text.size, "secret", NULL, &opened, &err));
    ciphertext = memory_source_new(text.data, text.size, &slow);
    assert_succeeds(cancel_new(&cancel, &err));
    cancel_request(cancel);
    assert_fails(ERROR_CANCELLED, codec_message_open(opened, ciphertext, cancel, &plaintext, &err));
}

static void an_armored_message_that_is_cut_off_is_damage(void **state)
{
    CLEANUP(octets_clear) struct octets message = {0};
    CLEANUP(octets_clear) struct octets text = {0};

    (void)state;
    build_message(&message, "secret", "content", 7);
    add_armored(&text, &message);
    for (size_t size = 0; size < text.size - 1; size++) {
        if (size < 15)
            assert_refused(text.data, size, "secret", ERROR_CORRUPT, "not an OpenPGP message");
        else if (size < strlen(BEGIN) - 1)
            assert_refused(text.data, size, "secret", ERROR_CORRUPT, "not that of a message");
        else
            assert_damaged(text.data, size, "secret");
    }
}

static void more_armor_than_the_limit_is_not_supported(void **state)
{
    CLEANUP(memory_free) uint8_t *content = pseudo_random_bytes(1, LIMIT_ARMOR_BYTES);
    CLEANUP(octets_clear) struct octets message = {0};
    CLEANUP(octets_clear) struct octets text = {0};

    (void)state;
    build_message(&message, "secret", content, LIMIT_ARMOR_BYTES / 4 * 3);
    add_armored(&text, &message);
    assert_refused(text.data, text.size, "secret", ERROR_UNSUPPORTED,
                   "ASCII armor of over 64 KiB is not supported");
}

static void a_text_of_exactly_the_limit_is_read(void **state)
{
    CLEANUP(octets_clear) struct octets message = {0};
    CLEANUP(octets_clear) struct octets text = {0};

    (void)state;
    build_message(&message, "secret", "content", 7);
    add_armored(&text, &message);
    octets_add_run(&text, '\n', LIMIT_ARMOR_BYTES - text.size);
    assert_opens(text.data, text.size, "secret", "content", 7);
    octets_add_u8(&text, '\n');
    assert_refused(text.data, text.size, "secret", ERROR_UNSUPPORTED, "ASCII armor");
}

static void assert_gives(struct byte_source *source, const char *expected, size_t step)
{
    const size_t size = strlen(expected);
    struct error err = ERROR_INIT;
    char buffer[64];
    size_t got;

    for (size_t done = 0; done < size; done += got) {
        assert_succeeds(byte_source_pread(source, buffer, step, done, NULL, &got, &err));
        assert_true(got == step || done + got == size);
        assert_memory_equal(buffer, expected + done, got);
    }
    assert_succeeds(byte_source_pread(source, buffer, step, size, NULL, &got, &err));
    assert_int_equal(got, 0);
}

/* The look at the first bytes costs nothing where they cannot be read again. */
static void a_forward_only_source_is_read_from_its_start(void **state)
{
    static const char *const contents[] = {"", "x", "fourteen bytes", "-----BEGIN PGP",
                                           "a text of more than fifteen bytes, for sure"};

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(contents); i++) {
        for (size_t step = 1; step <= 64; step++) {
            const struct memory_source_options options = {.is_forward_only = true};
            struct byte_source *source =
                memory_source_new(contents[i], strlen(contents[i]), &options);
            struct byte_source *opened = NULL;
            struct error err = ERROR_INIT;
            bool is_armored;

            assert_succeeds(armor_open(source, NULL, &opened, &is_armored, &err));
            assert_false(is_armored);
            assert_true(byte_source_is_forward_only(opened));
            assert_gives(opened, contents[i], step);
            if (step % 2 == 0) {
                armor_own(opened, source);
                byte_source_free(opened);
            } else {
                armor_close(opened, source);
                byte_source_free(source);
            }
        }
    }
}

static void what_was_read_once_is_kept_on_request(void **state)
{
    const struct memory_source_options options = {.is_forward_only = true};
    const char *content = "a text of more than fifteen bytes, for sure";

    (void)state;
    for (size_t step = 1; step <= 64; step++) {
        CLEANUP(byte_source_free)
        struct byte_source *source = memory_source_new(content, strlen(content), &options);
        struct byte_source *opened = NULL;
        struct error err = ERROR_INIT;
        char first;
        size_t got;
        bool is_armored;

        assert_succeeds(armor_open(source, NULL, &opened, &is_armored, &err));
        assert_false(armor_can_be_read_again(opened));
        armor_keep(opened);
        assert_gives(opened, content, step);
        assert_true(armor_can_be_read_again(opened));
        assert_gives(opened, content, step);
        armor_keep_no_more(opened);
        assert_false(armor_can_be_read_again(opened));
        assert_gives(opened, content, step);
        assert_fails(ERROR_SYSTEM, byte_source_pread(opened, &first, 1, 0, NULL, &got, &err));
        armor_close(opened, source);
    }
}

static void no_more_than_the_limit_is_kept(void **state)
{
    static const struct memory_source_options options = {.is_forward_only = true};
    static uint8_t content[ARMOR_KEPT_BYTES + 1], got_content[sizeof content];

    (void)state;
    for (size_t beyond = 0; beyond <= 1; beyond++) {
        const size_t size = ARMOR_KEPT_BYTES + beyond;
        CLEANUP(byte_source_free)
        struct byte_source *source = memory_source_new(content, size, &options);
        struct byte_source *opened = NULL;
        struct error err = ERROR_INIT;
        size_t got;
        bool is_armored;

        assert_succeeds(armor_open(source, NULL, &opened, &is_armored, &err));
        armor_keep(opened);
        assert_succeeds(byte_source_pread(opened, got_content, 1000, 0, NULL, &got, &err));
        assert_succeeds(byte_source_pread(opened, got_content, size, 1000, NULL, &got, &err));
        assert_int_equal(got, size - 1000);
        assert_int_equal(armor_can_be_read_again(opened), beyond == 0);
        armor_close(opened, source);
    }
}

static void a_binary_source_stays_what_it_is(void **state)
{
    struct byte_source *source = memory_source_new("\xc3\x01 binary bytes here", 20, NULL);
    struct byte_source *opened = NULL;
    struct error err = ERROR_INIT;
    bool is_armored;

    (void)state;
    assert_succeeds(armor_open(source, NULL, &opened, &is_armored, &err));
    assert_ptr_equal(opened, source);
    assert_false(is_armored);
    armor_own(opened, source);
    armor_close(opened, source);
    byte_source_free(source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bed_test(reads_every_form_of_armor),
        bed_test(malformed_armor_is_damage),
        bed_test(armor_of_something_else_is_named),
        bed_test(armored_messages_open_like_binary_ones),
        bed_test(opening_an_armored_message_can_be_cancelled),
        bed_test(an_armored_message_that_is_cut_off_is_damage),
        bed_test(more_armor_than_the_limit_is_not_supported),
        bed_test(a_text_of_exactly_the_limit_is_read),
        bed_test(a_forward_only_source_is_read_from_its_start),
        bed_test(what_was_read_once_is_kept_on_request),
        bed_test(no_more_than_the_limit_is_kept),
        bed_test(a_binary_source_stays_what_it_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
