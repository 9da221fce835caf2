/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each decision is made in passes. A pass looks at the disk under CACHE/lock, moves what has to go
 * into the trash and ends; the trash is emptied without the lock, and the next pass looks again. So
 * nobody waits for the removal of data, and a pass that finds room grants it in the same breath: no
 * two that reserve at a time can both count on it. A pass that removes nothing is the last one.
 */
#include "cache/cache_space.h"

#include "base/clock.h"
#include "base/log.h"
#include "cache/cache_directory.h"
#include "cache/object_directory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define STAGING "staging"
#define STAT_BLOCK_BYTES 512

/* How long a download is kept that nobody resumes. */
#define ABANDONED_NS (86400 * (int64_t)NANOSECONDS_PER_SECOND)

/* Passes that count on the trash, which others empty, too, and fill: after that it is taken to stay. */
#define TRASH_TURNS 16

/* --- what is there --- */

static uint64_t disk_bytes_of_files(int dir_fd)
{
    CLEANUP(closedir) DIR *directory = cache_directory_stream(dir_fd);
    const struct dirent *entry;
    uint64_t bytes = 0;
    struct stat status;

    while (directory != NULL && (entry = readdir(directory)) != NULL)
        if (fstatat(dir_fd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(status.st_mode))
            bytes += (uint64_t)status.st_blocks * STAT_BLOCK_BYTES;
    return bytes;
}

int cache_space_look(const struct cache_layout *layout, struct space_state *ret, struct error *err)
{
    CLEANUP(fd_close)
    int staging = openat(layout->root_fd, STAGING, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct statvfs disk;

    if (fstatvfs(layout->root_fd, &disk) < 0)
        return error_set_errno(err, errno, "cache");
    *ret = (struct space_state){
        .filesystem_bytes = (uint64_t)disk.f_blocks * disk.f_frsize,
        .free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize,
        .block_bytes = disk.f_frsize,
        .staged_bytes = staging < 0 ? 0 : disk_bytes_of_files(staging),
        .trash_bytes = object_store_trash_bytes(layout),
    };
    return 0;
}

/* One look at everything, in the order in which it may go. */
struct survey {
    int lock_fd; /* CACHE/lock, for as long as the survey lasts */
    struct stored_object_list *list;
    struct space_state state;
};

static void survey_end_cleanup(struct survey *survey)
{
    stored_object_list_free(survey->list);
    if (survey->lock_fd >= 0)
        (void)close(survey->lock_fd);
}

#define SURVEY_INIT                                                                                \
    {                                                                                              \
        .lock_fd = -1                                                                              \
    }

static int survey_begin(const struct cache_space *space, int64_t now_ns, struct cancel *cancel,
                        struct survey *ret, struct error *err)
{
    if (cache_layout_lock(space->layout, cancel, &ret->lock_fd, err) < 0 ||
        object_store_list(space->layout, NULL, NULL, &ret->list, err) < 0 ||
        cache_space_look(space->layout, &ret->state, err) < 0)
        return -1;
    space_policy_disbelieve(ret->list, ret->state.filesystem_bytes);
    space_policy_sort(ret->list, now_ns);
    return 0;
}

/* --- what goes; all with the lock of a survey --- */

/* False when it stays: it is in use, gone already, or cannot be moved. */
static bool discard(struct cache_space *space, const struct stored_object *object,
                    struct cache_space_result *removed)
{
    struct error err = ERROR_INIT;

    if (object_store_discard(space->layout, object->place, object->name, &err) < 0) {
        log_debug("cache: %s stays: %s", object->name, err.message);
        return false;
    }
    removed->objects++;
    removed->bytes += object->disk_bytes;
    atomic_fetch_add(&space->evictions, 1);
    atomic_fetch_add(&space->evicted_bytes, object->disk_bytes);
    return true;
}

/* Removes objects in their order until `enough` bytes went, or nothing is left that may go. */
static void evict(struct cache_space *space, const struct survey *survey, uint64_t enough,
                  struct cache_space_result *removed)
{
    uint64_t gained = 0;

    for (size_t i = 0; i < survey->list->count && gained < enough; i++)
        if (discard(space, &survey->list->objects[i], removed))
            gained += survey->list->objects[i].disk_bytes;
}

/* Bytes that could go; no more are looked for than `enough`. */
static uint64_t evictable(const struct cache_space *space, const struct survey *survey,
                          uint64_t enough)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < survey->list->count && bytes < enough; i++) {
        const struct stored_object *object = &survey->list->objects[i];

        if (!object_store_is_in_use(space->layout, object->place, object->name))
            bytes += object->disk_bytes;
    }
    return bytes;
}

/* The part of `excess` that goes with the trash. */
static uint64_t trash_of(const struct survey *survey, uint64_t excess)
{
    return survey->state.trash_bytes < excess ? survey->state.trash_bytes : excess;
}

/* --- reserving --- */

/* What a whole object takes on disk: its data in whole blocks, and one each for its metadata and their
 * directory. */
static uint64_t whole_bytes(const struct object_metadata *metadata, uint64_t block_bytes)
{
    const uint64_t size = metadata->size == OBJECT_SIZE_UNKNOWN ? 0 : metadata->size;
    const uint64_t block = block_bytes > 0 ? block_bytes : 1;
    uint64_t whole;

    if (__builtin_add_overflow(size, 3 * block - 1, &whole))
        return UINT64_MAX;
    return whole - whole % block;
}

/* What a download asks for. */
struct claim {
    struct partial_object *partial;
    const struct object_metadata *metadata; /* all of it; NULL: what follows */
    uint64_t offset;
    uint64_t size;
};

static uint64_t claim_bytes(const struct claim *claim, uint64_t block_bytes)
{
    return claim->metadata != NULL ? whole_bytes(claim->metadata, block_bytes) : claim->size;
}

static int grant(const struct claim *claim, struct error *err)
{
    return claim->metadata != NULL
               ? object_store_grant(claim->partial, claim->metadata, err)
               : object_store_extend(claim->partial, claim->offset, claim->size, err);
}

static int no_room(const struct cache_space *space, const struct survey *survey, uint64_t need,
                   uint64_t could_go, struct error *err)
{
    const uint64_t total = survey->state.filesystem_bytes;
    const uint64_t held =
        space_policy_sum(survey->list) + survey->state.staged_bytes + survey->state.trash_bytes;

    return error_set(
        err, ERROR_NO_SPACE,
        "no room in the cache for %" PRIu64 " bytes: %" PRIu64
        " are in use, being uploaded or being removed, max_size is %" PRIu64 ", %" PRIu64
        " are free on the disk and min_free is %" PRIu64,
        need, held - could_go, space_policy_limit_bytes(&space->limits.max_size, total),
        survey->state.free_bytes, space_policy_limit_bytes(&space->limits.min_free, total));
}

/* One pass. *ret_done: the room is granted; else something went, or is in the trash, which the
 * decision `counts_on_trash`: so there may be room next time. */
static int try_reserve(struct cache_space *space, const struct claim *claim, int64_t now_ns,
                       bool counts_on_trash, struct cancel *cancel, bool *ret_done,
                       struct error *err)
{
    CLEANUP(survey_end) struct survey survey = SURVEY_INIT;
    struct cache_space_result removed = {0};
    uint64_t need, excess, could_go, thrown_away;

    if (survey_begin(space, now_ns, cancel, &survey, err) < 0)
        return -1;
    need = claim_bytes(claim, survey.state.block_bytes);
    excess = space_policy_excess(&space->limits, &survey.state, survey.list, need);
    thrown_away = counts_on_trash ? trash_of(&survey, excess) : 0;
    if (excess > 0 && thrown_away == excess)
        return 0;
    excess -= thrown_away;
    if (excess > 0) {
        could_go = evictable(space, &survey, excess);
        (void)no_room(space, &survey, need, could_go, err);
        if (could_go < excess)
            return -1;
    } else {
        *ret_done = grant(claim, err) == 0;
        if (*ret_done || err->kind != ERROR_NO_SPACE)
            return *ret_done ? 0 : -1;
        /* The filesystem, or a quota, knows better. */
        excess = need > 0 ? need : 1;
    }
    evict(space, &survey, excess, &removed);
    return removed.objects > 0 ? 0 : -1;
}

static int reserve(struct cache_space *space, const struct claim *claim, int64_t now_ns,
                   struct cancel *cancel, struct error *err)
{
    bool is_done = false;

    for (unsigned turn = 0; !is_done; turn++) {
        /* First of all: what others have moved there already need not be evicted again. */
        object_store_empty_trash(space->layout);
        if (try_reserve(space, claim, now_ns, turn < TRASH_TURNS, cancel, &is_done, err) < 0)
            return -1;
    }
    return 0;
}

int cache_space_reserve(struct cache_space *space, struct partial_object *partial,
                        const struct object_metadata *metadata, int64_t now_ns,
                        struct cancel *cancel, struct error *err)
{
    const struct claim claim = {.partial = partial, .metadata = metadata};

    if (!partial->is_granted)
        return reserve(space, &claim, now_ns, cancel, err);
    object_directory_touch(partial->dir_fd, now_ns);
    return 0;
}

int cache_space_extend(struct cache_space *space, struct partial_object *partial, uint64_t offset,
                       uint64_t size, int64_t now_ns, struct cancel *cancel, struct error *err)
{
    const struct claim claim = {.partial = partial, .offset = offset, .size = size};

    return reserve(space, &claim, now_ns, cancel, err);
}

static int make_way(struct cache_space *space, uint64_t need, int64_t now_ns, struct cancel *cancel,
                    struct cache_space_result *removed, struct error *err)
{
    CLEANUP(survey_end) struct survey survey = SURVEY_INIT;

    if (survey_begin(space, now_ns, cancel, &survey, err) < 0)
        return -1;
    evict(space, &survey, need > 0 ? need : 1, removed);
    return 0;
}

/* What became free by that, whoever did it. */
static uint64_t empty_trash(const struct cache_layout *layout)
{
    const uint64_t before = object_store_trash_bytes(layout);
    uint64_t after;

    if (before == 0)
        return 0;
    object_store_empty_trash(layout);
    after = object_store_trash_bytes(layout);
    return before > after ? before - after : 0;
}

int cache_space_make_room(struct cache_space *space, uint64_t need, int64_t now_ns,
                          struct cancel *cancel, struct error *err)
{
    struct cache_space_result removed = {0};
    const uint64_t gained = empty_trash(space->layout);

    if (gained > 0 && gained >= need)
        return 0;
    if (make_way(space, need - gained, now_ns, cancel, &removed, err) < 0)
        return -1;
    object_store_empty_trash(space->layout);
    if (removed.objects == 0 && gained == 0)
        return error_set(err, ERROR_NO_SPACE,
                         "the cache's disk is full, and all that is in the cache is in use");
    return 0;
}

/* --- upkeep --- */

static bool is_abandoned(const struct stored_object *object, int64_t now_ns)
{
    return object->place == CACHE_PLACE_PARTIAL && object->last_used_ns < now_ns - ABANDONED_NS;
}

/* What has to go by its age, however much room there is. */
static int remove_aged(struct cache_space *space, int64_t now_ns, struct cancel *cancel,
                       struct cache_space_result *removed, struct error *err)
{
    CLEANUP(survey_end) struct survey survey = SURVEY_INIT;

    if (survey_begin(space, now_ns, cancel, &survey, err) < 0)
        return -1;
    for (size_t i = 0; i < survey.list->count; i++) {
        const struct stored_object *object = &survey.list->objects[i];

        if (is_abandoned(object, now_ns) || space_policy_is_expired(&space->limits, object, now_ns))
            (void)discard(space, object, removed);
    }
    return 0;
}

/* *ret_done is false when all that is too much is in the trash, which the decision counts on. */
static int remove_excess(struct cache_space *space, int64_t now_ns, bool counts_on_trash,
                         struct cancel *cancel, struct cache_space_result *removed, bool *ret_done,
                         struct error *err)
{
    CLEANUP(survey_end) struct survey survey = SURVEY_INIT;
    uint64_t excess, thrown_away;

    if (survey_begin(space, now_ns, cancel, &survey, err) < 0)
        return -1;
    excess = space_policy_excess(&space->limits, &survey.state, survey.list, 0);
    thrown_away = counts_on_trash ? trash_of(&survey, excess) : 0;
    *ret_done = excess == 0 || thrown_away < excess;
    evict(space, &survey, excess - thrown_away, removed);
    return 0;
}

int cache_space_enforce(struct cache_space *space, int64_t now_ns, struct cancel *cancel,
                        struct cache_space_result *ret_removed, struct error *err)
{
    struct cache_space_result removed = {0};
    int result = remove_aged(space, now_ns, cancel, &removed, err);
    bool is_done = false;

    object_store_empty_trash(space->layout);
    for (unsigned turn = 0; result == 0 && !is_done; turn++) {
        result = remove_excess(space, now_ns, turn < TRASH_TURNS, cancel, &removed, &is_done, err);
        object_store_empty_trash(space->layout);
    }
    if (ret_removed != NULL)
        *ret_removed = removed;
    return result;
}
