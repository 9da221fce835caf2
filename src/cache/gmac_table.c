/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/gmac_table.h"

#include "crypto/constant_time.h"
#include "crypto/gmac.h"

#include <stdlib.h>

#define FIRST_CAPACITY 64

struct gmac_table {
    struct gmac_key *key;
    uint8_t (*tags)[GMAC_TAG_BYTES];
    size_t count;
    size_t capacity;
};

int gmac_table_new(struct secure_arena *arena, struct gmac_table **ret, struct error *err)
{
    CLEANUP(gmac_table_free) struct gmac_table *table = calloc(1, sizeof *table);

    if (table == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    if (gmac_key_new(arena, &table->key, err) < 0)
        return -1;
    *ret = steal(&table);
    return 0;
}

void gmac_table_free(struct gmac_table *table)
{
    if (table == NULL)
        return;
    gmac_key_free(table->key);
    free(table->tags);
    free(table);
}

static int grow(struct gmac_table *table, struct error *err)
{
    const size_t capacity = table->capacity == 0 ? FIRST_CAPACITY : 2 * table->capacity;
    void *tags = reallocarray(table->tags, capacity, sizeof *table->tags);

    if (tags == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    table->tags = tags;
    table->capacity = capacity;
    return 0;
}

int gmac_table_append(struct gmac_table *table, const void *bytes, size_t size, struct error *err)
{
    if (table->count == table->capacity && grow(table, err) < 0)
        return -1;
    if (gmac_compute(table->key, table->count, bytes, size, table->tags[table->count], err) < 0)
        return -1;
    table->count++;
    return 0;
}

int gmac_table_check(const struct gmac_table *table, uint64_t block, const void *bytes, size_t size,
                     struct error *err)
{
    uint8_t tag[GMAC_TAG_BYTES];

    if (block < table->count) {
        if (gmac_compute(table->key, block, bytes, size, tag, err) < 0)
            return -1;
        if (constant_time_equal(tag, table->tags[block], sizeof tag))
            return 0;
    }
    return error_set(err, ERROR_CORRUPT, "the cached copy changed after it was verified");
}
