/* SPDX-License-Identifier: Apache-2.0 */
/* Mount option strings, as -o and fstab have them. */
#include "config_checks.h"
#include "fuzz_main.h"
#include "input_texts.h"

void fuzz_one(const uint8_t *data, size_t size)
{
    CLEANUP(config_free) struct config *config = NULL;
    CLEANUP(input_texts) struct input_texts lines = {0};
    struct error err = ERROR_INIT;

    if (config_new(&config, &err) < 0)
        return;
    input_texts_split(&lines, data, size);
    for (size_t i = 0; i < lines.count; i++)
        if (config_set_mount_options(config, lines.texts[i], &err) < 0)
            config_check_refusal(&err, data, size, ",\n");
    config_check_valid(config);
}
