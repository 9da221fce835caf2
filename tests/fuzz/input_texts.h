/* SPDX-License-Identifier: Apache-2.0 */
/* An input as a list of texts, one a line: an environment, say. */
#ifndef FUZZ_INPUT_TEXTS_H
#define FUZZ_INPUT_TEXTS_H

#include <stddef.h>
#include <stdint.h>

#define INPUT_TEXTS 64

struct input_texts {
    char *storage;
    char *texts[INPUT_TEXTS + 1]; /* ends with NULL */
    size_t count;
};

/** Splits a copy of the input; lines beyond INPUT_TEXTS are left out. Never fails. */
void input_texts_split(struct input_texts *texts, const uint8_t *data, size_t size);

/** Frees the copy. */
void input_texts_clear(struct input_texts *texts);

/** `CLEANUP(input_texts) struct input_texts texts = {0};` clears at the scope's end. */
__attribute__((unused)) static inline void input_texts_cleanup(struct input_texts *texts)
{
    input_texts_clear(texts);
}

#endif
