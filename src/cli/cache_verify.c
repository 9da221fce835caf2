/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cache_verify.h"

#include "cli/cache_fetch.h"
#include "cli/command.h"
#include "cli/image_work.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* --- one object --- */

/* It is in quarantine, by us or by whoever met the damage. */
static int repair(void *context, struct image_task *task, struct cancel *cancel, struct error *err)
{
    struct error cause = ERROR_INIT;

    atomic_store(&task->done_bytes, 0);
    if (cache_fetch_image(context, task, cancel, &cause) == 0) {
        task->result = "repaired";
        return 0;
    }
    if (cause.kind == ERROR_CANCELLED) {
        *err = cause;
        return -1;
    }
    task->result = "damaged";
    return error_set(err, ERROR_CORRUPT, "image %s does not match, and is not fetched again: %s",
                     task->image_id, cause.message);
}

/* The hashes of one object are the work of one thread; more than one at a time would only make a
 * disk seek beside a running mount. */
static int verify_object(struct cache_access *access, struct image_task *task,
                         struct cancel *cancel, struct error *err)
{
    const struct cached_object *object = task->subject;

    atomic_store(&task->total_bytes, object->total_bytes);
    if (ciphertext_cache_verify(access->cache, object, &task->done_bytes, cancel, err) == 0) {
        task->result = "sound";
        return 0;
    }
    if (err->kind == ERROR_NOT_FOUND) {
        task->result = "gone";
        return 0;
    }
    if (err->kind == ERROR_CORRUPT)
        task->result = "damaged";
    return command_prefix_image(err, object->image_id);
}

static int verify(void *context, struct image_task *task, struct cancel *cancel, struct error *err)
{
    return task->subject == NULL
               ? error_set(err, ERROR_NOT_FOUND, "image %s is not in the cache", task->image_id)
               : verify_object(context, task, cancel, err);
}

static int verify_and_repair(void *context, struct image_task *task, struct cancel *cancel,
                             struct error *err)
{
    const struct cached_object *object = task->subject;

    if (object == NULL || object->state == CACHED_OBJECT_READY) {
        if (verify(context, task, cancel, err) == 0)
            return 0;
        if (err->kind != ERROR_CORRUPT)
            return -1;
    }
    return repair(context, task, cancel, err);
}

/* --- which objects --- */

static bool is_wanted(const struct cache_verification *verification, const char *image_id)
{
    for (size_t i = 0; i < verification->id_count; i++)
        if (strcmp(verification->ids[i], image_id) == 0)
            return true;
    return verification->id_count == 0;
}

static bool has_complete(const struct cached_object_list *list, const char *image_id)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->objects[i].state == CACHED_OBJECT_READY &&
            strcmp(list->objects[i].image_id, image_id) == 0)
            return true;
    return false;
}

/* Of an image one object in quarantine is enough to fetch it anew. */
static bool is_first_set_aside(const struct cached_object_list *list, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (list->objects[i].state == CACHED_OBJECT_QUARANTINED &&
            strcmp(list->objects[i].image_id, list->objects[index].image_id) == 0)
            return false;
    return true;
}

static bool is_chosen(const struct cache_verification *verification,
                      const struct cached_object_list *list, size_t index)
{
    const struct cached_object *object = &list->objects[index];

    if (!is_wanted(verification, object->image_id))
        return false;
    if (object->state == CACHED_OBJECT_READY)
        return true;
    return verification->repairs && object->state == CACHED_OBJECT_QUARANTINED &&
           !has_complete(list, object->image_id) && is_first_set_aside(list, index);
}

static void add_task(struct image_work *work, const char *image_id,
                     const struct cached_object *object)
{
    work->tasks[work->count++] = (struct image_task){.image_id = image_id, .subject = object};
}

/* One task per object, and one for each id that was named in vain. */
static void choose(const struct cache_verification *verification,
                   const struct cached_object_list *list, struct image_work *work)
{
    for (size_t i = 0; i < list->count; i++)
        if (is_chosen(verification, list, i))
            add_task(work, list->objects[i].image_id, &list->objects[i]);
    for (size_t i = 0; i < verification->id_count; i++) {
        bool is_found = false;

        for (size_t j = 0; j < work->count && !is_found; j++)
            is_found = strcmp(work->tasks[j].image_id, verification->ids[i]) == 0;
        if (!is_found)
            add_task(work, verification->ids[i], NULL);
    }
}

int cache_verify(const struct cache_verification *verification)
{
    CLEANUP(cached_object_list_free) struct cached_object_list *list = NULL;
    CLEANUP(memory_free) struct image_task *tasks = NULL;
    struct image_work work = {.command = verification->command,
                              .verb = "verify",
                              .jobs = 1,
                              .as_json = verification->as_json,
                              .cancel = verification->cancel,
                              .context = verification->access,
                              .run = verification->repairs ? verify_and_repair : verify};
    struct error err = ERROR_INIT;

    if (ciphertext_cache_list(verification->access->cache, &list, &err) < 0)
        return command_fail(verification->command, &err);
    tasks = calloc(list->count + verification->id_count + 1, sizeof *tasks);
    if (tasks == NULL) {
        (void)error_set(&err, ERROR_EXHAUSTED, "out of memory");
        return command_fail(verification->command, &err);
    }
    work.tasks = tasks;
    choose(verification, list, &work);
    return image_work_run(&work);
}
