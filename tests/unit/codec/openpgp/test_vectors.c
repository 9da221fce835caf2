/* SPDX-License-Identifier: Apache-2.0 */
/* Messages that other people published or we crafted, and what this version does with each: see
 * tests/vectors/openpgp/expectations.tsv. */
#include "codec_bed.h"
#include "crypto/encoding.h"
#include "crypto/hash.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#define FOLDER TEST_VECTORS "/openpgp/"
#define SHA256_BYTES 32
#define MOST_VECTORS 200

struct expectation {
    char file[128];
    char passphrase[128]; /* decoded */
    char result[32];
    char detail[ERROR_MESSAGE_BYTES];
};

static size_t read_expectations(struct expectation *expectations)
{
    CLEANUP(file_close) FILE *table = fopen(FOLDER "expectations.tsv", "r");
    char line[1024], hex[128];
    size_t count = 0;

    assert_non_null(table);
    while (fgets(line, sizeof line, table) != NULL) {
        struct expectation *next = &expectations[count];

        if (line[0] == '#')
            continue;
        assert_in_range(++count, 1, MOST_VECTORS);
        assert_int_equal(sscanf(line, "%127[^\t]\t%127[^\t]\t%31[^\t]\t%255[^\n]", next->file, hex,
                                next->result, next->detail),
                         4);
        memset(next->passphrase, 0, sizeof next->passphrase);
        assert_true(decode_hex(hex, strlen(hex) / 2, (uint8_t *)next->passphrase));
    }
    return count;
}

static void read_file(const char *name, struct octets *ret)
{
    CLEANUP(file_close) FILE *file = NULL;
    char path[512];
    uint8_t buffer[4096];
    size_t got;

    (void)snprintf(path, sizeof path, FOLDER "%.200s", name);
    file = fopen(path, "rb");
    assert_non_null(file);
    while ((got = fread(buffer, 1, sizeof buffer, file)) > 0)
        octets_add(ret, buffer, got);
}

static void assert_sha256(const uint8_t *bytes, size_t size, const struct expectation *expectation)
{
    CLEANUP(hash_free) struct hash *sha256 = NULL;
    uint8_t digest[SHA256_BYTES], expected[SHA256_BYTES];
    struct error err = ERROR_INIT;

    assert_succeeds(hash_new(HASH_SHA256, &sha256, &err));
    hash_update(sha256, bytes, size);
    hash_finish(sha256, digest);
    assert_int_equal(strlen(expectation->detail), 2 * SHA256_BYTES);
    assert_true(decode_hex(expectation->detail, SHA256_BYTES, expected));
    if (memcmp(digest, expected, SHA256_BYTES) != 0)
        fail_msg("%s gives other plaintext", expectation->file);
}

static void check_open(const struct expectation *expectation, const struct octets *message)
{
    CLEANUP(memory_sink_record) struct memory_sink_record plaintext = {0};
    struct error err = ERROR_INIT;

    if (bed_decrypt(message->data, message->size, expectation->passphrase, &plaintext, NULL, &err) <
        0)
        fail_msg("%s: %s", expectation->file, err.message);
    assert_sha256(plaintext.bytes, plaintext.size, expectation);
    assert_opens(message->data, message->size, expectation->passphrase, plaintext.bytes,
                 plaintext.size);
}

static enum error_kind kind_of(const char *result)
{
    static const struct {
        const char *result;
        enum error_kind kind;
    } kinds[] = {{"corrupt", ERROR_CORRUPT},
                 {"unsupported", ERROR_UNSUPPORTED},
                 {"too-large", ERROR_TOO_LARGE}};

    for (size_t i = 0; i < ELEMENTS_OF(kinds); i++)
        if (strcmp(kinds[i].result, result) == 0)
            return kinds[i].kind;
    fail_msg("\"%s\" is no result", result);
    return ERROR_NONE;
}

static void check(const struct expectation *expectation)
{
    CLEANUP(octets_clear) struct octets message = {0};

    read_file(expectation->file, &message);
    if (strcmp(expectation->result, "open") == 0)
        check_open(expectation, &message);
    else
        assert_refused(message.data, message.size, expectation->passphrase,
                       kind_of(expectation->result), expectation->detail);
}

static void every_message_does_as_expected(void **state)
{
    struct expectation expectations[MOST_VECTORS];
    size_t count = read_expectations(expectations);

    (void)state;
    assert_in_range(count, 50, MOST_VECTORS);
    for (size_t i = 0; i < count; i++)
        check(&expectations[i]);
}

static void every_message_in_the_folders_is_expected(void **state)
{
    static const char *const folders[] = {"published", "dearmored", "crafted"};
    struct expectation expectations[MOST_VECTORS];
    const size_t count = read_expectations(expectations);

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(folders); i++) {
        char path[512];
        DIR *folder;

        (void)snprintf(path, sizeof path, FOLDER "%s", folders[i]);
        folder = opendir(path);
        assert_non_null(folder);
        for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
            size_t match = 0;

            if (entry->d_name[0] == '.')
                continue;
            (void)snprintf(path, sizeof path, "%s/%s", folders[i], entry->d_name);
            while (match < count && strcmp(expectations[match].file, path) != 0)
                match++;
            if (match == count)
                fail_msg("%s stands in no row of expectations.tsv", path);
        }
        (void)closedir(folder);
    }
}

/* The uniform groups of the manifest: one error for each way to be wrong about the content. */
static void wrong_keys_and_malformed_content_are_not_told_apart(void **state)
{
    static const char *const names[] = {
        "published/rnp-enc-password-wrong.pgp", "published/rnp-3key-2p-wrong.pgp",
        "dearmored/go-long-length.pgp", "dearmored/go-invalid-sig.pgp"};

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(names); i++) {
        CLEANUP(octets_clear) struct octets message = {0};

        read_file(names[i], &message);
        assert_damaged(message.data, message.size, i < 2 ? "no such passphrase" : "password");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bed_test(every_message_does_as_expected),
        bed_test(every_message_in_the_folders_is_expected),
        bed_test(wrong_keys_and_malformed_content_are_not_told_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
