/* SPDX-License-Identifier: Apache-2.0 */
#include "fuse/open_handle.h"

#include "support/testing.h"

#include <stdlib.h>
#include <string.h>

/* A handle over a text of its own. */
static struct open_handle *add(struct open_handles *handles)
{
    const struct open_handle content = {.text = strdup("text"), .text_size = 4};
    struct open_handle *handle = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(open_handles_add(handles, &content, &handle, &err));
    return handle;
}

static void a_handle_survives_as_a_number(void **state)
{
    struct open_handles handles;
    struct open_handle *handle;

    (void)state;
    open_handles_init(&handles);
    handle = add(&handles);
    assert_ptr_equal(open_handle_from_number(open_handle_number(handle)), handle);
    assert_string_equal(handle->text, "text");
    assert_null(open_handle_from_number(0));
    open_handles_close(&handles, handle);
    open_handles_close(&handles, NULL);
    open_handles_destroy(&handles);
}

static void handles_close_in_any_order_and_the_rest_at_the_end(void **state)
{
    struct open_handles handles;
    struct open_handle *all[5];

    (void)state;
    open_handles_init(&handles);
    for (size_t i = 0; i < ELEMENTS_OF(all); i++)
        all[i] = add(&handles);
    open_handles_close(&handles, all[2]);
    open_handles_close(&handles, all[0]);
    open_handles_close(&handles, all[4]);
    open_handles_destroy(&handles); /* a leak checker sees whether it closed the others */
}

static void only_images_count_as_streams(void **state)
{
    struct open_handles handles;

    (void)state;
    open_handles_init(&handles);
    (void)add(&handles);
    assert_int_equal(open_handles_streams(&handles), 0);
    open_handles_destroy(&handles);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_handle_survives_as_a_number),
        cmocka_unit_test(handles_close_in_any_order_and_the_rest_at_the_end),
        cmocka_unit_test(only_images_count_as_streams),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
