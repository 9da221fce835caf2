/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What tests of the write side stand on: an index over a fake cloud and a fake staging, with one
 * queued image, and short ways to use it. The helpers assert, so only the thread of the test may
 * call them.
 */
#ifndef VIEW_WRITE_BED_H
#define VIEW_WRITE_BED_H

#include "fake_upload_staging.h"
#include "glancefs/write_index.h"
#include "support/fake_cloud.h"
#include "support/test_codecs.h"
#include "support/testing.h"

#include <stdatomic.h>

#define IMAGE_ID "11111111-2222-4333-8444-555555555555"
#define IMAGE_PART IMAGE_ID ".part"
#define IMAGE_TEMPORARY "." IMAGE_ID ".aB3_xZ"
#define OTHER_ID "99999999-8888-4777-a666-555555555555"
#define KEY_ID "abcdefab-0000-4000-8000-000000000001"
#define REFUSED_KEY_ID "abcdefab-0000-4000-8000-000000000002"
#define PASSPHRASE "open sesame"
#define PROJECT "our-project"

/** Members of the record of an image that is to be encrypted, that is ours, that is both. */
#define ENCRYPTED "\"os_encrypt_format\": \"GPG\", \"os_encrypt_key_id\": \"" KEY_ID "\""
#define OURS "\"owner\": \"" PROJECT "\""
#define WRITABLE OURS ", " ENCRYPTED
#define FOREIGN "\"owner\": \"them\", " ENCRYPTED

/** The smallest window there is. */
#define WINDOW_BYTES ((size_t)1 << 20)

struct write_bed {
    struct secure_arena *arena;
    size_t arena_used; /* before the index was made */
    struct fake_cloud *cloud;
    struct identity identity;
    struct config *config;
    struct upload_staging *staging;
    struct write_index *index;
    atomic_uint seals;        /* that nobody waited for */
    atomic_uint failed_seals; /* of these */
};

/** Set-up and tear-down of one test in a group opened with crypto_arena_open. The tear-down fails
 *  the test when something secret is left in the arena. */
int write_bed_open(void **state);
int write_bed_close(void **state);

/** A test with that set-up and tear-down. */
#define write_test(function)                                                                       \
    cmocka_unit_test_setup_teardown(function, write_bed_open, write_bed_close)

/** Replaces the image: its status, and more members of its record as JSON text. */
void write_bed_put(struct write_bed *bed, const char *id, const char *status, const char *more);

/** Makes the size of the queued image known from its record. */
void write_bed_declare(struct write_bed *bed, uint64_t size);

/** Opens, which must succeed. */
struct write_stream *write_bed_open_file(struct write_bed *bed, const char *name, int flags);

/** Writes all of it, which must succeed. */
void write_bed_write(struct write_stream *stream, const void *bytes, size_t size, uint64_t offset);

/** Creates IMAGE_PART with these bytes and closes it. */
void write_bed_create(struct write_bed *bed, const void *bytes, size_t size);

/** Decrypts the ciphertext that is staged for the image: it holds exactly these bytes. */
void assert_staged(struct write_bed *bed, const char *id, const void *bytes, size_t size);

/** Waits for the seal; then the image was sealed with exactly these bytes, and says their size. */
void assert_sealed(struct write_bed *bed, const char *id, const void *bytes, size_t size);

/** The file's user.glancefs.state is `state`. */
void assert_state(struct write_bed *bed, const char *name, const char *state);

/** No such file. */
void assert_absent(struct write_bed *bed, const char *name);

/** The size that stat shows. */
void assert_file_size(struct write_bed *bed, const char *name, uint64_t size);

/** The call fails with this errno. */
#define assert_errno(expected_errno, call)                                                         \
    do {                                                                                           \
        err = (struct error)ERROR_INIT;                                                            \
        assert_int_equal((call), -1);                                                              \
        if (err.errnum != (expected_errno))                                                        \
            fail_msg("%s failed with errno %d, not " #expected_errno ": %s", #call, err.errnum,    \
                     err.message);                                                                 \
    } while (0)

/** Waits until the expression is true; the test fails after some seconds. */
#define wait_until(expression)                                                                     \
    do {                                                                                           \
        for (int wait_round_ = 0; !(expression); wait_round_++) {                                  \
            if (wait_round_ == 4000)                                                               \
                fail_msg("%s never came true", #expression);                                       \
            write_bed_pause();                                                                     \
        }                                                                                          \
    } while (0)

/** Five milliseconds. */
void write_bed_pause(void);

#endif
