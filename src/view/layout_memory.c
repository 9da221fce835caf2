/* SPDX-License-Identifier: Apache-2.0 */
#include "view/layout_memory.h"

#include "glancefs/limits.h"
#include "view/image_content.h"

#include <pthread.h>
#include <stdlib.h>

struct remembered_layout {
    struct image_record *record;
    struct codec_layout *layout;
    struct remembered_layout *next;
};

struct layout_memory {
    const struct signature_policy *signatures;
    pthread_mutex_t mutex;           /* guards what follows; nothing else is locked inside */
    struct remembered_layout *first; /* the most recently used one */
    unsigned count;
};

int layout_memory_new(const struct signature_policy *signatures, struct layout_memory **ret,
                      struct error *err)
{
    struct layout_memory *memory = calloc(1, sizeof *memory);

    if (memory == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    memory->signatures = signatures;
    (void)pthread_mutex_init(&memory->mutex, NULL);
    *ret = memory;
    return 0;
}

static void free_remembered(struct remembered_layout *remembered)
{
    image_record_unref(remembered->record);
    codec_layout_unref(remembered->layout);
    free(remembered);
}

void layout_memory_free(struct layout_memory *memory)
{
    if (memory == NULL)
        return;
    while (memory->first != NULL) {
        struct remembered_layout *remembered = memory->first;

        memory->first = remembered->next;
        free_remembered(remembered);
    }
    (void)pthread_mutex_destroy(&memory->mutex);
    free(memory);
}

/* Takes the layout of these bytes off the list; NULL when there is none. Locked. */
static struct remembered_layout *take_out(struct layout_memory *memory,
                                          const struct image_record *record)
{
    struct remembered_layout **link = &memory->first;
    struct remembered_layout *remembered;

    while (*link != NULL && !image_content_is_same(memory->signatures, (*link)->record, record))
        link = &(*link)->next;
    remembered = *link;
    if (remembered != NULL) {
        *link = remembered->next;
        memory->count--;
    }
    return remembered;
}

/* Puts it in front. Gives the oldest when it is one too many, else NULL. Locked. */
static struct remembered_layout *put_first(struct layout_memory *memory,
                                           struct remembered_layout *remembered)
{
    struct remembered_layout **link = &memory->first;

    remembered->next = memory->first;
    memory->first = remembered;
    if (++memory->count <= CACHE_REMEMBERED_OBJECTS)
        return NULL;
    while ((*link)->next != NULL)
        link = &(*link)->next;
    remembered = steal(link);
    memory->count--;
    return remembered;
}

void layout_memory_put(struct layout_memory *memory, struct image_record *record,
                       const struct codec_message *message)
{
    struct remembered_layout *remembered = calloc(1, sizeof *remembered);
    struct remembered_layout *old;
    struct remembered_layout *oldest;

    if (remembered == NULL)
        return;
    remembered->record = image_record_ref(record);
    remembered->layout = codec_message_layout(message);
    if (remembered->layout == NULL) {
        free_remembered(remembered);
        return;
    }
    (void)pthread_mutex_lock(&memory->mutex);
    old = take_out(memory, record);
    oldest = put_first(memory, remembered);
    (void)pthread_mutex_unlock(&memory->mutex);
    if (old != NULL)
        free_remembered(old);
    if (oldest != NULL)
        free_remembered(oldest);
}

struct codec_layout *layout_memory_find(struct layout_memory *memory,
                                        const struct image_record *record)
{
    struct remembered_layout *remembered;
    struct codec_layout *layout = NULL;

    (void)pthread_mutex_lock(&memory->mutex);
    remembered = take_out(memory, record);
    if (remembered != NULL) {
        layout = codec_layout_ref(remembered->layout);
        (void)put_first(memory, remembered);
    }
    (void)pthread_mutex_unlock(&memory->mutex);
    return layout;
}
