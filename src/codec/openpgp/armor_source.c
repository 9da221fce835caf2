/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/armor.h"

#include "glancefs/limits.h"

#include <stdlib.h>
#include <string.h>

/* How every armored block begins. No packet starts with a dash: its bit 7 is clear. */
static const char armor_start[] = "-----BEGIN PGP ";
#define START_BYTES (sizeof armor_start - 1)

/* Room for what is kept grows by this factor. */
#define GROWTH 2

/* Decoded bytes, or the first bytes of `rest`: those that were read to look at them, and those kept
 * to be read again. */
struct armor_source {
    struct byte_source source;
    uint8_t *bytes;
    size_t size;
    size_t capacity;
    struct byte_source *rest; /* NULL when there is none */
    bool owns_rest;
    bool keeps; /* all that was read of `rest` so far stands in `bytes`, and more is added */
};

/* False when there is no room, or that would be too much. */
static bool reserve(struct armor_source *armor, size_t size)
{
    size_t capacity = armor->capacity;
    uint8_t *larger;

    if (size > ARMOR_KEPT_BYTES - armor->size)
        return false;
    while (capacity < armor->size + size)
        capacity *= GROWTH;
    larger = realloc(armor->bytes, capacity);
    if (larger == NULL)
        return false;
    armor->bytes = larger;
    armor->capacity = capacity;
    return true;
}

/* Keeps what was read behind the bytes at hand, or from now on nothing more. */
static void keep(struct armor_source *armor, const uint8_t *bytes, size_t size)
{
    if (!armor->keeps || size == 0)
        return;
    armor->keeps = reserve(armor, size);
    if (!armor->keeps)
        return;
    memcpy(armor->bytes + armor->size, bytes, size);
    armor->size += size;
}

/* What is kept no more is let go once it was read. */
static void drop(struct armor_source *armor)
{
    free(steal(&armor->bytes));
    armor->size = 0;
}

static int armor_pread(struct byte_source *source, void *buffer, size_t size, uint64_t offset,
                       struct cancel *cancel, size_t *ret_size, struct error *err)
{
    struct armor_source *armor = (struct armor_source *)source;
    size_t from_start = 0;

    *ret_size = 0;
    if (armor->rest != NULL && !armor->keeps && offset >= armor->size)
        drop(armor);
    if (offset < armor->size) {
        from_start = armor->size - (size_t)offset;
        from_start = from_start < size ? from_start : size;
        memcpy(buffer, armor->bytes + offset, from_start);
    }
    if (armor->rest != NULL && from_start < size &&
        byte_source_pread(armor->rest, (uint8_t *)buffer + from_start, size - from_start,
                          offset + from_start, cancel, ret_size, err) < 0)
        return -1;
    keep(armor, (const uint8_t *)buffer + from_start, *ret_size);
    *ret_size += from_start;
    return 0;
}

static uint64_t armor_size(struct byte_source *source)
{
    const struct armor_source *armor = (const struct armor_source *)source;

    return armor->rest != NULL ? byte_source_size(armor->rest) : armor->size;
}

static void armor_free(struct byte_source *source)
{
    struct armor_source *armor = (struct armor_source *)source;

    if (armor->owns_rest)
        byte_source_free(armor->rest);
    free(armor->bytes);
    free(armor);
}

static const struct byte_source_ops decoded_ops = {
    .pread = armor_pread, .size = armor_size, .free = armor_free};
static const struct byte_source_ops replay_ops = {
    .pread = armor_pread, .size = armor_size, .free = armor_free, .is_forward_only = true};

/* Takes over `bytes` on success. */
static int source_of(uint8_t *bytes, size_t size, struct byte_source *rest,
                     struct byte_source **ret, struct error *err)
{
    struct armor_source *armor = calloc(1, sizeof *armor);

    if (armor == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    armor->source.ops = rest == NULL ? &decoded_ops : &replay_ops;
    armor->bytes = bytes;
    armor->size = size;
    armor->capacity = size;
    armor->rest = rest;
    *ret = &armor->source;
    return 0;
}

/* The whole text behind its first bytes, which stand in `text` already. */
static int read_text(struct byte_source *ciphertext, struct cancel *cancel, uint8_t *text,
                     size_t *size, struct error *err)
{
    size_t got;

    if (byte_source_pread(ciphertext, text + *size, LIMIT_ARMOR_BYTES + 1 - *size, *size, cancel,
                          &got, err) < 0)
        return -1;
    *size += got;
    if (*size > LIMIT_ARMOR_BYTES)
        return error_set(err, ERROR_UNSUPPORTED, "ASCII armor of over %zu KiB is not supported",
                         LIMIT_ARMOR_BYTES / KIB);
    return 0;
}

static int decode(struct byte_source *ciphertext, const uint8_t start[START_BYTES],
                  struct cancel *cancel, struct byte_source **ret, struct error *err)
{
    CLEANUP(memory_free) uint8_t *text = malloc(LIMIT_ARMOR_BYTES + 1);
    CLEANUP(memory_free) uint8_t *bytes = NULL;
    size_t size = START_BYTES, bytes_size;

    if (text == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    memcpy(text, start, START_BYTES);
    if (read_text(ciphertext, cancel, text, &size, err) < 0 ||
        armor_decode(text, size, &bytes, &bytes_size, err) < 0 ||
        source_of(bytes, bytes_size, NULL, ret, err) < 0)
        return -1;
    (void)steal(&bytes);
    return 0;
}

static int replay(struct byte_source *ciphertext, const uint8_t *start, size_t size,
                  struct byte_source **ret, struct error *err)
{
    CLEANUP(memory_free) uint8_t *bytes = malloc(START_BYTES);

    if (bytes == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    memcpy(bytes, start, size);
    if (source_of(bytes, size, ciphertext, ret, err) < 0)
        return -1;
    ((struct armor_source *)*ret)->capacity = START_BYTES;
    (void)steal(&bytes);
    return 0;
}

int armor_open(struct byte_source *ciphertext, struct cancel *cancel, struct byte_source **ret,
               bool *ret_is_armored, struct error *err)
{
    uint8_t start[START_BYTES];
    size_t size;

    if (byte_source_pread(ciphertext, start, START_BYTES, 0, cancel, &size, err) < 0)
        return -1;
    *ret_is_armored =
        size == START_BYTES && strncmp((const char *)start, armor_start, START_BYTES) == 0;
    if (*ret_is_armored)
        return decode(ciphertext, start, cancel, ret, err);
    if (byte_source_is_forward_only(ciphertext))
        return replay(ciphertext, start, size, ret, err);
    *ret = ciphertext;
    return 0;
}

void armor_keep(struct byte_source *opened)
{
    if (byte_source_is_forward_only(opened))
        ((struct armor_source *)opened)->keeps = true;
}

void armor_keep_no_more(struct byte_source *opened)
{
    if (byte_source_is_forward_only(opened))
        ((struct armor_source *)opened)->keeps = false;
}

bool armor_can_be_read_again(const struct byte_source *opened)
{
    return !byte_source_is_forward_only(opened) || ((const struct armor_source *)opened)->keeps;
}

void armor_close(struct byte_source *opened, struct byte_source *ciphertext)
{
    if (opened != ciphertext)
        byte_source_free(opened);
}

void armor_own(struct byte_source *opened, struct byte_source *ciphertext)
{
    struct armor_source *armor = (struct armor_source *)opened;

    if (opened == ciphertext)
        return;
    armor->owns_rest = true;
    if (armor->rest == NULL)
        byte_source_free(ciphertext);
}
