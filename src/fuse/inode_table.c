/* SPDX-License-Identifier: Apache-2.0 */
#include "fuse/inode_table.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS 4096

struct inode {
    struct inode *next_number; /* of its bucket by number */
    struct inode *next_name;   /* of its bucket by name, when it has one */
    uint64_t number;
    uint64_t lookups;
    struct inode_name name;
};

struct inode_table {
    size_t limit;
    pthread_mutex_t mutex; /* guards everything below; nothing else is locked inside */
    size_t count;
    struct inode *by_number[BUCKETS];
    struct inode *by_name[BUCKETS];
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
        while (table->by_number[i] != NULL) {
            struct inode *inode = table->by_number[i];

            table->by_number[i] = inode->next_number;
            free(inode);
        }
    }
    (void)pthread_mutex_destroy(&table->mutex);
    free(table);
}

/* --- both indexes; locked --- */

static uint64_t hash_of(uint64_t directory, const char *name)
{
    uint64_t hash = UINT64_C(14695981039346656037) ^ directory; /* FNV-1a */

    for (; *name != '\0'; name++)
        hash = (hash ^ (uint8_t)*name) * UINT64_C(1099511628211);
    return hash;
}

/* The place of `number`: what it points to is the inode, or NULL. */
static struct inode **place_of_number(struct inode_table *table, uint64_t number)
{
    struct inode **place = &table->by_number[number % BUCKETS];

    while (*place != NULL && (*place)->number != number)
        place = &(*place)->next_number;
    return place;
}

/* The same of a name. */
static struct inode **place_of_name(struct inode_table *table, uint64_t directory, const char *name)
{
    struct inode **place = &table->by_name[hash_of(directory, name) % BUCKETS];

    while (*place != NULL &&
           ((*place)->name.directory != directory || strcmp((*place)->name.name, name) != 0))
        place = &(*place)->next_name;
    return place;
}

/* Gives a name, which no inode has, to an inode that has none. */
static void put_name(struct inode_table *table, struct inode *inode, uint64_t directory,
                     const char *name)
{
    struct inode **place = place_of_name(table, directory, name);

    inode->name.directory = directory;
    (void)snprintf(inode->name.name, sizeof inode->name.name, "%s", name);
    inode->next_name = NULL;
    *place = inode;
}

/* Takes a name from its inode; NULL when nobody has it. */
static struct inode *take_name(struct inode_table *table, uint64_t directory, const char *name)
{
    struct inode **place = place_of_name(table, directory, name);
    struct inode *inode = *place;

    if (inode == NULL)
        return NULL;
    *place = inode->next_name;
    inode->name.name[0] = '\0';
    return inode;
}

/* The first free number from the name's own on. */
static uint64_t free_number(struct inode_table *table, uint64_t directory, const char *name)
{
    uint64_t number = hash_of(directory, name);

    if (number < INODE_TABLE_FIRST_NUMBER)
        number += INODE_TABLE_FIRST_NUMBER;
    while (*place_of_number(table, number) != NULL)
        number = number == UINT64_MAX ? INODE_TABLE_FIRST_NUMBER : number + 1;
    return number;
}

static struct inode *add(struct inode_table *table, uint64_t directory, const char *name)
{
    struct inode *inode = table->count < table->limit ? calloc(1, sizeof *inode) : NULL;

    if (inode == NULL)
        return NULL;
    inode->number = free_number(table, directory, name);
    *place_of_number(table, inode->number) = inode;
    put_name(table, inode, directory, name);
    table->count++;
    return inode;
}

/* --- calls --- */

int inode_table_look_up(struct inode_table *table, uint64_t directory, const char *name,
                        uint64_t *ret_number, struct error *err)
{
    struct inode *inode;

    (void)pthread_mutex_lock(&table->mutex);
    inode = *place_of_name(table, directory, name);
    if (inode == NULL)
        inode = add(table, directory, name);
    if (inode != NULL) {
        inode->lookups++;
        *ret_number = inode->number;
    }
    (void)pthread_mutex_unlock(&table->mutex);
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
    place = place_of_number(table, number);
    inode = *place;
    if (inode != NULL && inode->lookups > count) {
        inode->lookups -= count;
    } else if (inode != NULL) {
        *place = inode->next_number;
        if (inode->name.name[0] != '\0')
            (void)take_name(table, inode->name.directory, inode->name.name);
        table->count--;
        free(inode);
    }
    (void)pthread_mutex_unlock(&table->mutex);
}

bool inode_table_find(struct inode_table *table, uint64_t number, struct inode_name *ret)
{
    const struct inode *inode;

    (void)pthread_mutex_lock(&table->mutex);
    inode = *place_of_number(table, number);
    if (inode != NULL)
        *ret = inode->name;
    (void)pthread_mutex_unlock(&table->mutex);
    return inode != NULL;
}

void inode_table_remove(struct inode_table *table, uint64_t directory, const char *name)
{
    (void)pthread_mutex_lock(&table->mutex);
    (void)take_name(table, directory, name);
    (void)pthread_mutex_unlock(&table->mutex);
}

void inode_table_rename(struct inode_table *table, uint64_t directory, const char *from,
                        const char *to)
{
    struct inode *inode;

    (void)pthread_mutex_lock(&table->mutex);
    inode = take_name(table, directory, from);
    (void)take_name(table, directory, to);
    if (inode != NULL)
        put_name(table, inode, directory, to);
    (void)pthread_mutex_unlock(&table->mutex);
}

uint64_t inode_table_number_of(struct inode_table *table, uint64_t directory, const char *name)
{
    const struct inode *inode;
    uint64_t number;

    (void)pthread_mutex_lock(&table->mutex);
    inode = *place_of_name(table, directory, name);
    number = inode != NULL ? inode->number : free_number(table, directory, name);
    (void)pthread_mutex_unlock(&table->mutex);
    return number;
}

size_t inode_table_count(struct inode_table *table)
{
    size_t count;

    (void)pthread_mutex_lock(&table->mutex);
    count = table->count;
    (void)pthread_mutex_unlock(&table->mutex);
    return count;
}
