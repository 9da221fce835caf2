/* SPDX-License-Identifier: Apache-2.0 */
#include "fuse/inode_table.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS 4096

struct inode {
    struct inode *next; /* of its bucket */
    uint64_t number;
    uint64_t parent;
    uint64_t lookups;
    char image_id[UUID_TEXT_BYTES];
};

struct inode_table {
    size_t limit;
    pthread_mutex_t mutex; /* guards everything below; nothing else is locked inside */
    size_t count;
    struct inode *buckets[BUCKETS];
};

int inode_table_new(size_t limit, struct inode_table **ret, struct error *err)
{
    struct inode_table *table = calloc(1, sizeof *table);

    if (table == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    table->limit = limit;
    (void)pthread_mutex_init(&table->mutex, NULL);
    *ret = table;
    return 0;
}

void inode_table_free(struct inode_table *table)
{
    if (table == NULL)
        return;
    for (size_t i = 0; i < BUCKETS; i++) {
        while (table->buckets[i] != NULL) {
            struct inode *inode = table->buckets[i];

            table->buckets[i] = inode->next;
            free(inode);
        }
    }
    (void)pthread_mutex_destroy(&table->mutex);
    free(table);
}

uint64_t inode_table_number_of(uint64_t parent, const char *image_id)
{
    uint64_t hash = UINT64_C(14695981039346656037) ^ parent; /* FNV-1a */

    for (; *image_id != '\0'; image_id++)
        hash = (hash ^ (uint8_t)*image_id) * UINT64_C(1099511628211);
    return hash < INODE_TABLE_FIRST_NUMBER ? hash + INODE_TABLE_FIRST_NUMBER : hash;
}

/* The place of `number`: what it points to is the inode, or NULL. Locked. */
static struct inode **place_of(struct inode_table *table, uint64_t number)
{
    struct inode **place = &table->buckets[number % BUCKETS];

    while (*place != NULL && (*place)->number != number)
        place = &(*place)->next;
    return place;
}

static bool stands_for(const struct inode *inode, uint64_t parent, const char *image_id)
{
    return inode->parent == parent && strcmp(inode->image_id, image_id) == 0;
}

/* A new inode at the free place of its number. Locked. */
static struct inode *add(struct inode_table *table, struct inode **place, uint64_t number,
                         uint64_t parent, const char *image_id)
{
    struct inode *inode = table->count < table->limit ? calloc(1, sizeof *inode) : NULL;

    if (inode == NULL)
        return NULL;
    inode->number = number;
    inode->parent = parent;
    (void)snprintf(inode->image_id, sizeof inode->image_id, "%s", image_id);
    *place = inode;
    table->count++;
    return inode;
}

int inode_table_look_up(struct inode_table *table, uint64_t parent, const char *image_id,
                        uint64_t *ret_number, struct error *err)
{
    uint64_t number = inode_table_number_of(parent, image_id);
    struct inode **place;
    struct inode *inode;

    (void)pthread_mutex_lock(&table->mutex);
    place = place_of(table, number);
    while (*place != NULL && !stands_for(*place, parent, image_id)) {
        number = number == UINT64_MAX ? INODE_TABLE_FIRST_NUMBER : number + 1;
        place = place_of(table, number);
    }
    inode = *place != NULL ? *place : add(table, place, number, parent, image_id);
    if (inode != NULL)
        inode->lookups++;
    (void)pthread_mutex_unlock(&table->mutex);
    *ret_number = number;
    if (inode != NULL)
        return 0;
    (void)error_set(err, ERROR_EXHAUSTED, "too many images are known to the kernel");
    err->errnum = ENFILE;
    return -1;
}

void inode_table_forget(struct inode_table *table, uint64_t number, uint64_t count)
{
    struct inode **place;
    struct inode *inode;

    (void)pthread_mutex_lock(&table->mutex);
    place = place_of(table, number);
    inode = *place;
    if (inode != NULL && inode->lookups > count) {
        inode->lookups -= count;
    } else if (inode != NULL) {
        *place = inode->next;
        table->count--;
        free(inode);
    }
    (void)pthread_mutex_unlock(&table->mutex);
}

bool inode_table_find(struct inode_table *table, uint64_t number,
                      char ret_image_id[UUID_TEXT_BYTES])
{
    const struct inode *inode;

    (void)pthread_mutex_lock(&table->mutex);
    inode = *place_of(table, number);
    if (inode != NULL)
        memcpy(ret_image_id, inode->image_id, UUID_TEXT_BYTES);
    (void)pthread_mutex_unlock(&table->mutex);
    return inode != NULL;
}

size_t inode_table_count(struct inode_table *table)
{
    size_t count;

    (void)pthread_mutex_lock(&table->mutex);
    count = table->count;
    (void)pthread_mutex_unlock(&table->mutex);
    return count;
}
