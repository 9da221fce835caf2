/* SPDX-License-Identifier: Apache-2.0 */
#include "glancefs/byte_source.h"

#include "support/memory_source.h"
#include "support/testing.h"

#include <errno.h>

/* A source that notes what it was asked, to show that the wrappers pass everything on. */
struct noting_source {
    struct byte_source base;
    void *buffer;
    size_t size;
    uint64_t offset;
    struct cancel *cancel;
    unsigned frees;
};

static int noting_pread(struct byte_source *source, void *buffer, size_t size, uint64_t offset,
                        struct cancel *cancel, size_t *ret_size, struct error *err)
{
    struct noting_source *noting = (struct noting_source *)source;

    noting->buffer = buffer;
    noting->size = size;
    noting->offset = offset;
    noting->cancel = cancel;
    if (offset == UINT64_MAX)
        return error_set(err, ERROR_CORRUPT, "noted");
    *ret_size = size / 2;
    return 0;
}

static uint64_t noting_size(struct byte_source *source)
{
    (void)source;
    return BYTE_SOURCE_SIZE_UNKNOWN;
}

static void noting_free(struct byte_source *source)
{
    ((struct noting_source *)source)->frees++;
}

static const struct byte_source_ops noting_ops = {
    .pread = noting_pread, .size = noting_size, .free = noting_free, .is_forward_only = true};

static void the_wrappers_pass_everything_on(void **state)
{
    struct noting_source noting = {.base.ops = &noting_ops};
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    struct error err = ERROR_INIT;
    uint8_t buffer[8];
    size_t size = 0;

    (void)state;
    assert_succeeds(cancel_new(&cancel, &err));
    assert_succeeds(
        byte_source_pread(&noting.base, buffer, 8, UINT64_C(1) << 40, cancel, &size, &err));
    assert_ptr_equal(noting.buffer, buffer);
    assert_int_equal(noting.size, 8);
    assert_int_equal(noting.offset, UINT64_C(1) << 40);
    assert_ptr_equal(noting.cancel, cancel);
    assert_int_equal(size, 4);
    assert_fails(ERROR_CORRUPT,
                 byte_source_pread(&noting.base, buffer, 8, UINT64_MAX, NULL, &size, &err));
    assert_int_equal(byte_source_size(&noting.base), BYTE_SOURCE_SIZE_UNKNOWN);
    assert_true(byte_source_is_forward_only(&noting.base));
    byte_source_free(&noting.base);
    assert_int_equal(noting.frees, 1);
}

static void freeing_null_is_allowed(void **state)
{
    (void)state;
    byte_source_free(NULL);
}

static void leaving_scope_frees_unless_stolen(void **state)
{
    struct noting_source noting = {.base.ops = &noting_ops};
    struct byte_source *kept = NULL;

    (void)state;
    {
        CLEANUP(byte_source_free) struct byte_source *source = &noting.base;

        kept = steal(&source);
        assert_null(source);
    }
    assert_int_equal(noting.frees, 0);
    {
        CLEANUP(byte_source_free) struct byte_source *source = kept;

        assert_non_null(source);
    }
    assert_int_equal(noting.frees, 1);
}

/* The fake that other tests stand on keeps the contract itself. */
static void a_memory_source_is_short_only_at_its_end(void **state)
{
    CLEANUP(byte_source_free) struct byte_source *source = memory_source_new("abcdef", 6, NULL);
    struct error err = ERROR_INIT;
    char buffer[8];
    size_t size;

    (void)state;
    assert_int_equal(byte_source_size(source), 6);
    assert_false(byte_source_is_forward_only(source));
    assert_succeeds(byte_source_pread(source, buffer, 8, 4, NULL, &size, &err));
    assert_int_equal(size, 2);
    assert_memory_equal(buffer, "ef", 2);
    assert_succeeds(byte_source_pread(source, buffer, 8, 6, NULL, &size, &err));
    assert_int_equal(size, 0);
    assert_succeeds(byte_source_pread(source, buffer, 8, UINT64_MAX, NULL, &size, &err));
    assert_int_equal(size, 0);
    assert_int_equal(memory_source_reads(source), 3);
}

static void a_forward_only_memory_source_answers_espipe_off_its_position(void **state)
{
    const struct memory_source_options options = {.is_forward_only = true, .hides_size = true};
    CLEANUP(byte_source_free)
    struct byte_source *source = memory_source_new("abcdef", 6, &options);
    struct error err = ERROR_INIT;
    char buffer[8];
    size_t size;

    (void)state;
    assert_int_equal(byte_source_size(source), BYTE_SOURCE_SIZE_UNKNOWN);
    assert_true(byte_source_is_forward_only(source));
    assert_succeeds(byte_source_pread(source, buffer, 4, 0, NULL, &size, &err));
    assert_fails(ERROR_SYSTEM, byte_source_pread(source, buffer, 1, 3, NULL, &size, &err));
    assert_int_equal(err.errnum, ESPIPE);
    assert_fails(ERROR_SYSTEM, byte_source_pread(source, buffer, 1, 5, NULL, &size, &err));
    assert_int_equal(memory_source_position(source), 4);
    assert_succeeds(byte_source_pread(source, buffer, 8, 4, NULL, &size, &err));
    assert_int_equal(size, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_wrappers_pass_everything_on),
        cmocka_unit_test(freeing_null_is_allowed),
        cmocka_unit_test(leaving_scope_frees_unless_stolen),
        cmocka_unit_test(a_memory_source_is_short_only_at_its_end),
        cmocka_unit_test(a_forward_only_memory_source_answers_espipe_off_its_position),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
