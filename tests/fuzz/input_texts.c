/* SPDX-License-Identifier: Apache-2.0 */
#include "input_texts.h"

#include "fuzz_main.h"

#include <stdlib.h>
#include <string.h>

void input_texts_split(struct input_texts *texts, const uint8_t *data, size_t size)
{
    char *rest = malloc(size + 1);
    char *line;

    FUZZ_ASSERT(rest != NULL);
    memcpy(rest, data, size);
    rest[size] = '\0';
    *texts = (struct input_texts){.storage = rest};
    while (texts->count < INPUT_TEXTS && (line = strsep(&rest, "\n")) != NULL)
        texts->texts[texts->count++] = line;
}

void input_texts_clear(struct input_texts *texts)
{
    free(texts->storage);
    *texts = (struct input_texts){.storage = NULL};
}
