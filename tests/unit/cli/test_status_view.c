/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/status_view.h"

#include "glancefs/cleanup.h"
#include "support/testing.h"

#include <stdlib.h>
#include <string.h>

#define MEMBERS                                                                                    \
    "\"version\": \"1.2.3\", \"cloud\": \"local:/x\", \"uptime_seconds\": 3725,"                   \
    "\"cache\": {\"objects\": 2, \"stored_bytes\": 3145728, \"max_size_bytes\": null,"             \
    "  \"downloads\": [{\"image\": \"a\", \"done_bytes\": 1048576, \"total_bytes\": 4194304},"     \
    "                  {\"image\": \"b\", \"done_bytes\": 1024, \"total_bytes\": null}]},"         \
    "\"streams\": [{\"image\": \"c\", \"position\": 10, \"size\": null}],"                         \
    "\"verifications\": [{\"image\": \"a\", \"done_bytes\": 4194304, \"total_bytes\": 4194304}],"  \
    "\"uploads\": ["                                                                               \
    "  {\"image_id\": \"d\", \"state\": \"uploading\", \"stored_bytes\": 2048,"                    \
    "   \"sent_bytes\": 1024, \"attempts\": 2, \"error\": \"\"},"                                  \
    "  {\"image_id\": \"e\", \"state\": \"staging\", \"stored_bytes\": 0,"                         \
    "   \"plaintext_bytes\": 512, \"error\": \"\"},"                                               \
    "  {\"image_id\": \"f\", \"state\": \"failed\", \"stored_bytes\": 1024, \"sent_bytes\": 0,"    \
    "   \"error\": \"no\\u001b[2Jquota\"}]"

static char *shown(const char *json, void (*show)(struct json_object *status, FILE *stream))
{
    struct json_object *status = json_tokener_parse(json);
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);

    assert_non_null(stream);
    assert_non_null(status);
    show(status, stream);
    assert_int_equal(fclose(stream), 0);
    (void)json_object_put(status);
    return text;
}

static void with_bars(struct json_object *status, FILE *stream)
{
    status_view_show(status, true, stream);
}

static void without_bars(struct json_object *status, FILE *stream)
{
    status_view_show(status, false, stream);
}

static void assert_holds(const char *text, const char *line)
{
    if (strstr(text, line) == NULL)
        fail_msg("no '%s' in:\n%s", line, text);
}

static void running_work_has_bars(void **state)
{
    CLEANUP(memory_free) char *text = shown("{" MEMBERS "}", with_bars);

    (void)state;
    assert_holds(text, "glancefs  1.2.3, up 1 h 2 min 5 s\n");
    assert_holds(text, "fetching  2\n  a  [###.........]  25 %  1.0 MiB of 4.0 MiB\n");
    assert_holds(text, "  b  1.0 KiB\n");
    assert_holds(text, "verifying 1\n  a  [############] 100 %  4.0 MiB of 4.0 MiB\n");
    assert_holds(text, "  d  uploading  [######......]  50 %  1.0 KiB of 2.0 KiB, attempt 2\n");
    assert_holds(text, "  e  staging  512 B written\n");
    assert_holds(text, "open      1\n  c  10 B\n");
}

static void without_a_terminal_there_are_none(void **state)
{
    CLEANUP(memory_free) char *text = shown("{" MEMBERS "}", without_bars);

    (void)state;
    assert_holds(text, "  a   25 %  1.0 MiB of 4.0 MiB\n");
    assert_null(strchr(text, '#'));
}

static void a_message_cannot_steer_the_terminal(void **state)
{
    CLEANUP(memory_free) char *text = shown("{" MEMBERS "}", with_bars);

    (void)state;
    assert_holds(text, "  f  failed  [............]   0 %  0 B of 1.0 KiB: no?[2Jquota\n");
    assert_null(strchr(text, '\033'));
}

static void lines_tell_what_runs(void **state)
{
    CLEANUP(memory_free) char *text = shown("{" MEMBERS "}", status_view_show_running);

    (void)state;
    assert_string_equal(text, "fetching a   25 %  1.0 MiB of 4.0 MiB\n"
                              "fetching b  1.0 KiB\n"
                              "verifying a  100 %  4.0 MiB of 4.0 MiB\n"
                              "upload d  uploading   50 %  1.0 KiB of 2.0 KiB, attempt 2\n"
                              "upload e  staging  512 B written\n"
                              "upload f  failed    0 %  0 B of 1.0 KiB: no?[2Jquota\n"
                              "1 open, 2 fetching, 1 verifying, 3 uploads\n");
}

static void members_that_are_missing_do_no_harm(void **state)
{
    static const char *const statuses[] = {"{}", "{\"cache\": null, \"uploads\": null}",
                                           "{\"streams\": [null, 7], \"uploads\": [\"x\"]}"};

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(statuses); i++) {
        CLEANUP(memory_free) char *all = shown(statuses[i], with_bars);
        CLEANUP(memory_free) char *lines = shown(statuses[i], status_view_show_running);

        assert_holds(all, "fetching  0\n");
        assert_holds(lines, " 0 fetching, ");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(running_work_has_bars),
        cmocka_unit_test(without_a_terminal_there_are_none),
        cmocka_unit_test(a_message_cannot_steer_the_terminal),
        cmocka_unit_test(lines_tell_what_runs),
        cmocka_unit_test(members_that_are_missing_do_no_harm),
    };

    return cmocka_run_group_tests_name("cli/status_view", tests, NULL, NULL);
}
