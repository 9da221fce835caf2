/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/slot_table.h"

#include "crypto/constant_time.h"
#include "glancefs/limits.h"

#include <stdlib.h>
#include <string.h>

struct slot {
    char id[UUID_TEXT_BYTES];
    bool busy;                      /* somebody has the turn; the others wait */
    bool is_refused;                /* the present turn's */
    unsigned users;                 /* those who have or wait for the turn */
    struct cache_object *object;    /* verified by this process, or NULL */
    struct slot_transfer *transfer; /* that newcomers may follow, or NULL */
    struct slot *next;
};

void slot_table_init(struct slot_table *table)
{
    monitor_init(&table->monitor);
    table->slots = NULL;
}

void slot_table_clear(struct slot_table *table)
{
    while (table->slots != NULL) {
        struct slot *slot = table->slots;

        table->slots = slot->next;
        cache_object_unref(slot->object);
        free(slot);
    }
    monitor_destroy(&table->monitor);
}

/* The link that points to the slot of image `id`, or to the end. Locked. */
static struct slot **find_slot(struct slot_table *table, const char *id)
{
    struct slot **link = &table->slots;

    while (*link != NULL && strcmp((*link)->id, id) != 0)
        link = &(*link)->next;
    return link;
}

/* The slot of image `id`, made when absent and first in the list from now on; NULL when out of
 * memory. Locked. */
static struct slot *use_slot(struct slot_table *table, const char *id)
{
    struct slot **link = find_slot(table, id);
    struct slot *slot = *link;

    if (slot != NULL) {
        *link = slot->next;
    } else {
        slot = calloc(1, sizeof *slot);
        if (slot == NULL)
            return NULL;
        memcpy(slot->id, id, sizeof slot->id);
    }
    slot->next = table->slots;
    table->slots = slot;
    slot->users++;
    return slot;
}

/* Frees the slot when nothing is left in it. Locked. */
static void unuse_slot(struct slot_table *table, struct slot *slot)
{
    struct slot **link;

    if (--slot->users > 0 || slot->object != NULL)
        return;
    link = find_slot(table, slot->id);
    *link = slot->next;
    free(slot);
}

/* Forgets the least recently used object when there are too many. Its readers go on. Locked. */
static void forget_oldest(struct slot_table *table)
{
    struct slot *oldest = NULL;
    size_t objects = 0;

    for (struct slot *slot = table->slots; slot != NULL; slot = slot->next) {
        objects += slot->object != NULL;
        if (slot->object != NULL && slot->users == 0)
            oldest = slot;
    }
    if (objects <= CACHE_REMEMBERED_OBJECTS || oldest == NULL)
        return;
    cache_object_unref(steal(&oldest->object));
    oldest->users++;
    unuse_slot(table, oldest);
}

/* --- transfers --- */

/* Newcomers no longer find the slot's transfer, if it has one. Locked. */
static void unlink_transfer(struct slot *slot)
{
    if (slot->transfer != NULL)
        slot->transfer->slot = NULL;
    slot->transfer = NULL;
}

/*
 * When nobody needs the slot's transfer any more, gives its token, for the caller to cancel without
 * a lock; else NULL. Locked.
 */
static struct cancel *give_up_transfer(struct slot *slot)
{
    struct slot_transfer *transfer = slot->transfer;

    if (transfer == NULL || transfer->references > 1 || slot->users > 1)
        return NULL;
    unlink_transfer(slot);
    return cancel_ref(transfer->cancel);
}

static void cancel_if_any(struct cancel *cancel)
{
    if (cancel != NULL)
        cancel_request(cancel);
    cancel_unref(cancel);
}

static bool is_same_pass(const struct slot_pass *a, const struct slot_pass *b)
{
    return strcmp(a->name, b->name) == 0 && constant_time_equal(&a->key, &b->key, sizeof a->key);
}

/* The slot's transfer, if it makes `pass`; NULL for no pass. Locked. */
static struct slot_transfer *transfer_of(const struct slot *slot, const struct slot_pass *pass)
{
    struct slot_transfer *transfer = slot->transfer;

    return transfer != NULL && pass != NULL && is_same_pass(&transfer->pass, pass) ? transfer
                                                                                   : NULL;
}

void slot_table_hand_over(struct slot_table *table, struct slot *slot,
                          struct slot_transfer *transfer)
{
    monitor_lock(&table->monitor);
    transfer->references = 2;
    transfer->slot = slot;
    slot->transfer = transfer;
    monitor_changed(&table->monitor);
    monitor_unlock(&table->monitor);
}

bool slot_table_leave(struct slot_table *table, struct slot_transfer *transfer)
{
    struct cancel *unneeded = NULL;
    bool last;

    monitor_lock(&table->monitor);
    last = --transfer->references == 0;
    if (transfer->slot != NULL)
        unneeded = give_up_transfer(transfer->slot);
    monitor_unlock(&table->monitor);
    cancel_if_any(unneeded);
    return last;
}

/* --- turns --- */

int slot_table_join(struct slot_table *table, const char *id, const struct slot_pass *pass,
                    struct cancel *cancel, struct slot **ret, struct slot_transfer **ret_transfer,
                    struct error *err)
{
    struct slot_transfer *transfer = NULL;
    struct cancel *unneeded = NULL;
    struct monitor_waiter waiter;
    struct slot *slot;
    int result = 0;

    monitor_enter(&table->monitor, cancel, &waiter);
    slot = use_slot(table, id);
    while (slot != NULL && slot->busy && !cancel_is_requested(cancel) &&
           transfer_of(slot, pass) == NULL)
        monitor_wait(&table->monitor);
    if (slot == NULL) {
        result = error_set(err, ERROR_EXHAUSTED, "out of memory");
    } else if (cancel_check(cancel, err) < 0) {
        slot->users--;
        unneeded = give_up_transfer(slot);
        slot->users++;
        unuse_slot(table, slot);
        result = -1;
    } else if ((transfer = transfer_of(slot, pass)) != NULL) {
        transfer->references++;
        unuse_slot(table, slot);
    } else {
        slot->busy = true;
    }
    monitor_leave(&table->monitor, cancel, &waiter);
    cancel_if_any(unneeded);
    *ret = slot;
    *ret_transfer = transfer;
    return result;
}

int slot_table_acquire(struct slot_table *table, const char *id, struct cancel *cancel,
                       struct slot **ret, struct error *err)
{
    struct slot_transfer *none;

    return slot_table_join(table, id, NULL, cancel, ret, &none, err);
}

void slot_table_release(struct slot_table *table, struct slot *slot, struct cache_object *object)
{
    struct cache_object *old = NULL;

    monitor_lock(&table->monitor);
    if (object != NULL) {
        old = slot->object;
        slot->object = cache_object_ref(object);
    }
    slot->busy = false;
    slot->is_refused = false;
    unlink_transfer(slot);
    unuse_slot(table, slot);
    forget_oldest(table);
    monitor_changed(&table->monitor);
    monitor_unlock(&table->monitor);
    cache_object_unref(old);
}

bool slot_table_refuse(struct slot_table *table, const char *id)
{
    struct slot *slot;
    bool is_busy;

    monitor_lock(&table->monitor);
    slot = *find_slot(table, id);
    is_busy = slot != NULL && slot->busy;
    if (is_busy)
        slot->is_refused = true;
    monitor_unlock(&table->monitor);
    return is_busy;
}

bool slot_table_is_refused(struct slot_table *table, const struct slot *slot)
{
    bool result;

    monitor_lock(&table->monitor);
    result = slot->is_refused;
    monitor_unlock(&table->monitor);
    return result;
}

/* --- remembered objects --- */

struct cache_object *slot_table_object(struct slot_table *table, const char *id, const char *name)
{
    struct cache_object *object = NULL;
    const struct slot *slot;

    monitor_lock(&table->monitor);
    slot = *find_slot(table, id);
    if (slot != NULL && slot->object != NULL && strcmp(slot->object->name, name) == 0)
        object = cache_object_ref(slot->object);
    monitor_unlock(&table->monitor);
    return object;
}

void slot_table_forget(struct slot_table *table, const struct cache_object *object)
{
    struct cache_object *forgotten = NULL;
    struct slot *slot;

    monitor_lock(&table->monitor);
    for (slot = table->slots; slot != NULL && slot->object != object;)
        slot = slot->next;
    if (slot != NULL) {
        forgotten = steal(&slot->object);
        slot->users++;
        unuse_slot(table, slot);
    }
    monitor_unlock(&table->monitor);
    cache_object_unref(forgotten);
}
