/* SPDX-License-Identifier: Apache-2.0 */
#include "view/read_turns.h"

#include "base/uuid.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct image_turns {
    struct read_turns *turns;
    struct image_turns *next;
    char image_id[UUID_TEXT_BYTES];
    unsigned streams;
    unsigned taken; /* more than one when nobody else read as they were taken */
    struct turn_waiter *first;
    struct turn_waiter **last;
};

struct read_turns {
    pthread_mutex_t mutex; /* guards what follows, and the images; nothing else is locked inside */
    struct image_turns *images;
    const struct image_turns *last_read; /* the image that was read last; only compared */
    uint64_t last_read_ns;               /* when that was */
    uint64_t other_read_ns;              /* when an image other than this one was read last */
};

int read_turns_new(struct read_turns **ret, struct error *err)
{
    struct read_turns *turns = calloc(1, sizeof *turns);

    if (turns == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    (void)pthread_mutex_init(&turns->mutex, NULL);
    *ret = turns;
    return 0;
}

void read_turns_free(struct read_turns *turns)
{
    if (turns == NULL)
        return;
    (void)pthread_mutex_destroy(&turns->mutex);
    free(turns);
}

/* --- images --- */

/* NULL without memory. Locked. */
static struct image_turns *find_or_add(struct read_turns *turns, const char *image_id)
{
    struct image_turns *image = turns->images;

    while (image != NULL && strcmp(image->image_id, image_id) != 0)
        image = image->next;
    if (image != NULL)
        return image;
    image = calloc(1, sizeof *image);
    if (image == NULL)
        return NULL;
    (void)snprintf(image->image_id, sizeof image->image_id, "%s", image_id);
    image->turns = turns;
    image->last = &image->first;
    image->next = turns->images;
    turns->images = image;
    return image;
}

int read_turns_join(struct read_turns *turns, const char *image_id, struct image_turns **ret,
                    struct error *err)
{
    struct image_turns *image;

    (void)pthread_mutex_lock(&turns->mutex);
    image = find_or_add(turns, image_id);
    if (image != NULL)
        image->streams++;
    (void)pthread_mutex_unlock(&turns->mutex);
    *ret = image;
    return image != NULL ? 0 : error_set(err, ERROR_EXHAUSTED, "out of memory");
}

/* Forgets an image that nobody needs any more. Locked. */
static void tidy(struct read_turns *turns, struct image_turns *image)
{
    struct image_turns **link = &turns->images;

    if (image->streams > 0 || image->taken > 0)
        return;
    while (*link != image)
        link = &(*link)->next;
    *link = image->next;
    free(image);
}

void image_turns_leave(struct image_turns *image)
{
    struct read_turns *turns;

    if (image == NULL)
        return;
    turns = image->turns;
    (void)pthread_mutex_lock(&turns->mutex);
    image->streams--;
    tidy(turns, image);
    (void)pthread_mutex_unlock(&turns->mutex);
}

/* --- turns --- */

/* Notes a read of the image; whether another image is being read, too. Locked. */
static bool others_are_read(struct read_turns *turns, const struct image_turns *image,
                            uint64_t now_ns)
{
    if (turns->last_read != image) {
        turns->other_read_ns = turns->last_read_ns;
        turns->last_read = image;
    }
    turns->last_read_ns = now_ns;
    return turns->other_read_ns != 0 && now_ns < turns->other_read_ns + READ_TURNS_MEMORY_NS;
}

bool image_turns_take(struct image_turns *image, struct turn_waiter *waiter, uint64_t now_ns)
{
    struct read_turns *turns = image->turns;
    bool is_taken;

    (void)pthread_mutex_lock(&turns->mutex);
    is_taken = !others_are_read(turns, image, now_ns) || image->taken == 0;
    if (is_taken) {
        image->taken++;
    } else {
        waiter->next = NULL;
        *image->last = waiter;
        image->last = &waiter->next;
    }
    (void)pthread_mutex_unlock(&turns->mutex);
    return is_taken;
}

/* No other image has been read for a while: turns are for everybody. Locked. */
static bool is_alone(const struct read_turns *turns, const struct image_turns *image,
                     uint64_t now_ns)
{
    const uint64_t other_ns =
        turns->last_read == image ? turns->other_read_ns : turns->last_read_ns;

    return other_ns == 0 || now_ns >= other_ns + READ_TURNS_MEMORY_NS;
}

/* Whose turn it is after one was given back; the turn is his then. Once nobody reads another image,
 * those who come take turns beside each other, and whoever waits must not wait for their last. Locked. */
static struct turn_waiter *next_waiter(struct image_turns *image, uint64_t now_ns)
{
    const bool is_next = image->taken == 1 || is_alone(image->turns, image, now_ns);
    struct turn_waiter *waiter = is_next ? image->first : NULL;

    if (waiter == NULL) {
        image->taken--;
        return NULL;
    }
    image->first = waiter->next;
    if (image->first == NULL)
        image->last = &image->first;
    return waiter;
}

struct turn_waiter *image_turns_give(struct image_turns *image, uint64_t now_ns)
{
    struct read_turns *turns = image->turns;
    struct turn_waiter *waiter;

    (void)pthread_mutex_lock(&turns->mutex);
    waiter = next_waiter(image, now_ns);
    tidy(turns, image);
    (void)pthread_mutex_unlock(&turns->mutex);
    return waiter;
}
