/* SPDX-License-Identifier: Apache-2.0 */
#include "codec_bed.h"

#include <pthread.h>

static void gives_the_openpgp_codec_for_gpg_in_any_case(void **state)
{
    static const char *const names[] = {"GPG", "gpg", "Gpg"};
    struct error err = ERROR_INIT;

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(names); i++) {
        const struct codec *codec = NULL;

        assert_succeeds(codecs_find(test_codecs(), names[i], &codec, &err));
        assert_string_equal(codec->format, "GPG");
    }
}

static void names_a_format_that_is_not_served(void **state)
{
    const struct codec *codec = NULL;
    struct error err = ERROR_INIT;

    (void)state;
    assert_fails(ERROR_UNSUPPORTED, codecs_find(test_codecs(), "LUKS", &codec, &err));
    assert_message_has("LUKS");
    assert_null(codec);
}

static void repeats_no_strange_format_name(void **state)
{
    static const char *const names[] = {"", "GPG\n", "\033[2J",
                                        "a name of over thirty-two bytes....", "GPG "};
    const struct codec *codec = NULL;
    struct error err = ERROR_INIT;

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(names); i++) {
        assert_fails(ERROR_UNSUPPORTED, codecs_find(test_codecs(), names[i], &codec, &err));
        assert_string_equal(err.message, "the encryption format is not supported");
    }
}

struct fake_message {
    struct codec_message base;
    unsigned frees;
};

static void count_free(struct codec_message *message)
{
    ((struct fake_message *)message)->frees++;
}

static void frees_a_message_with_its_last_reference(void **state)
{
    static const struct codec_message_ops ops = {.free = count_free};
    struct fake_message message = {.frees = 0};

    (void)state;
    codec_message_init(&message.base, &ops);
    assert_ptr_equal(codec_message_ref(&message.base), &message.base);
    codec_message_unref(&message.base);
    assert_int_equal(message.frees, 0);
    codec_message_unref(&message.base);
    assert_int_equal(message.frees, 1);
    codec_message_unref(NULL);
}

static void *take_and_give_references(void *context)
{
    for (int i = 0; i < 10000; i++)
        codec_message_unref(codec_message_ref(context));
    return NULL;
}

static void counts_references_of_many_threads(void **state)
{
    static const struct codec_message_ops ops = {.free = count_free};
    struct fake_message message = {.frees = 0};
    pthread_t threads[4];

    (void)state;
    codec_message_init(&message.base, &ops);
    for (size_t i = 0; i < ELEMENTS_OF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_and_give_references, &message.base),
                         0);
    for (size_t i = 0; i < ELEMENTS_OF(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(message.frees, 0);
    codec_message_unref(&message.base);
    assert_int_equal(message.frees, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_the_openpgp_codec_for_gpg_in_any_case),
        cmocka_unit_test(names_a_format_that_is_not_served),
        cmocka_unit_test(repeats_no_strange_format_name),
        cmocka_unit_test(frees_a_message_with_its_last_reference),
        cmocka_unit_test(counts_references_of_many_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
