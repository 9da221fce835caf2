/* SPDX-License-Identifier: Apache-2.0 */
#include "view/metrics.h"

#include "base/clock.h"
#include "glancefs/cleanup.h"
#include "view/metric_text.h"

#include <stddef.h>

static void add_build(struct metric_text *text, const struct status_subject *subject)
{
    metric_text_begin(text, METRIC_GAUGE, "build_info", "", "What runs, always 1");
    metric_text_add(text, "glancefs_build_info{version=\"");
    metric_text_add_value(text, subject->version);
    metric_text_add(text, "\",cloud=\"");
    metric_text_add_value(text, subject->cloud_name);
    metric_text_add(text, "\",verify=\"%s\"} 1\n",
                    subject->verify == VERIFY_STREAM ? "stream" : "first");
}

/* --- stages --- */

struct stage {
    const char *name;
    const struct stage_counter *counter;
};

static void add_stages(struct metric_text *text, const struct status_subject *subject)
{
    const struct stage stages[] = {
        {"download", &subject->services->download},
        {"verify", &subject->counters->verify},
        {"decrypt", &subject->counters->decrypt},
        {"encrypt", subject->writes != NULL ? write_index_encryption(subject->writes) : NULL},
        {"upload", &subject->services->upload},
    };
    const size_t count = sizeof stages / sizeof stages[0];

    metric_text_begin(text, METRIC_COUNTER, "stage_bytes", "bytes",
                      "Bytes that went through a stage");
    for (size_t i = 0; i < count; i++)
        if (stages[i].counter != NULL)
            metric_text_sample(text, "stage_bytes_total", "stage", stages[i].name,
                               atomic_load(&stages[i].counter->bytes));
    metric_text_begin(text, METRIC_COUNTER, "stage_seconds", "seconds",
                      "Time that threads spent in a stage");
    for (size_t i = 0; i < count; i++)
        if (stages[i].counter != NULL)
            metric_text_add(text, "glancefs_stage_seconds_total{stage=\"%s\"} %.6f\n",
                            stages[i].name,
                            (double)atomic_load(&stages[i].counter->nanoseconds) /
                                (double)NANOSECONDS_PER_SECOND);
}

/* --- reading --- */

static void count_stream(void *context, const struct stream_entry *entry)
{
    uint64_t *count = context;

    (void)entry;
    (*count)++;
}

static void count_verification(void *context, const char *id, uint64_t done_bytes,
                               uint64_t total_bytes)
{
    uint64_t *count = context;

    (void)id;
    (void)done_bytes;
    (void)total_bytes;
    (*count)++;
}

static void add_now(struct metric_text *text, const struct status_subject *subject)
{
    uint64_t streams = 0;
    uint64_t verifications = 0;

    stream_registry_each(subject->streams, count_stream, &streams);
    verified_images_each_verification(subject->verified, count_verification, &verifications);
    metric_text_gauge(text, "open_streams", "", "Images that are open for reading", streams);
    metric_text_gauge(text, "running_verifications", "", "Verifications under way", verifications);
}

static void add_counters(struct metric_text *text, const struct status_subject *subject)
{
    struct view_counters *counters = subject->counters;

    metric_text_counter(text, "opens", "", "Opens of images that succeeded",
                        atomic_load(&counters->opens));
    metric_text_counter(text, "failed_opens", "", "Opens of images that were refused",
                        atomic_load(&counters->failed_opens));
    metric_text_counter(text, "cache_hits", "", "Opens of an image that was in the cache",
                        atomic_load(&counters->cache_hits));
    metric_text_counter(text, "cache_misses", "", "Opens of an image that had to be fetched",
                        atomic_load(&counters->cache_misses));
    metric_text_counter(text, "verifications", "", "Verifications that found an image sound",
                        atomic_load(&counters->verifications));
    metric_text_counter(text, "failed_verifications", "", "Verifications that did not",
                        atomic_load(&counters->failed_verifications));
    metric_text_counter(text, "reopens", "", "Opens that an earlier verification was enough for",
                        atomic_load(&counters->reopens));
    metric_text_counter(text, "reads", "", "Reads that were answered",
                        atomic_load(&counters->reads));
    metric_text_counter(text, "failed_reads", "", "Reads that failed",
                        atomic_load(&counters->failed_reads));
    metric_text_counter(text, "read_bytes", "bytes", "Plaintext that was handed out",
                        atomic_load(&counters->read_bytes));
    metric_text_counter(text, "service_retries", "", "Requests to services that were sent again",
                        atomic_load(&subject->services->retries));
}

static void add_memory(struct metric_text *text, const struct secure_arena *arena)
{
    metric_text_gauge(text, "locked_memory_bytes", "bytes", "Locked memory in use",
                      secure_arena_used(arena));
    metric_text_gauge(text, "locked_memory_peak_bytes", "bytes", "Most locked memory ever in use",
                      secure_arena_peak(arena));
    metric_text_gauge(text, "locked_memory_limit_bytes", "bytes", "Locked memory there is",
                      secure_arena_capacity(arena));
}

/* --- limits --- */

static void add_limits(struct metric_text *text, const struct status_subject *subject)
{
    struct status_limits limits;

    status_limits_get(subject, &limits);
    metric_text_begin(text, METRIC_GAUGE, "limit", "", "What a limit allows (max_...)");
    metric_text_sample(text, "limit", "resource", "streams", limits.streams.limit);
    metric_text_sample(text, "limit", "resource", "downloads", limits.downloads.limit);
    metric_text_sample(text, "limit", "resource", "uploads", limits.uploads.limit);
    metric_text_begin(text, METRIC_GAUGE, "limit_used", "", "What is used of it");
    metric_text_sample(text, "limit_used", "resource", "streams", limits.streams.used);
    metric_text_sample(text, "limit_used", "resource", "downloads", limits.downloads.used);
    metric_text_sample(text, "limit_used", "resource", "uploads", limits.uploads.used);
    metric_text_begin(text, METRIC_GAUGE, "limit_waiting", "", "What waits for its turn");
    metric_text_sample(text, "limit_waiting", "resource", "downloads", limits.downloads.waiting);
    metric_text_sample(text, "limit_waiting", "resource", "uploads", limits.uploads.waiting);
}

/* --- the cache --- */

static void add_cache(struct metric_text *text, struct ciphertext_cache *cache)
{
    struct ciphertext_cache_usage usage;
    struct error ignored = ERROR_INIT;

    if (ciphertext_cache_usage(cache, &usage, &ignored) < 0)
        return;
    metric_text_begin(text, METRIC_GAUGE, "cache_objects", "", "Images in the cache");
    metric_text_sample(text, "cache_objects", "state", "complete", usage.objects);
    metric_text_sample(text, "cache_objects", "state", "partial", usage.partial_objects);
    metric_text_sample(text, "cache_objects", "state", "quarantined", usage.quarantined_objects);
    metric_text_begin(text, METRIC_GAUGE, "cache_bytes", "bytes", "Bytes in the cache");
    metric_text_sample(text, "cache_bytes", "state", "complete", usage.stored_bytes);
    metric_text_sample(text, "cache_bytes", "state", "partial", usage.partial_bytes);
    metric_text_sample(text, "cache_bytes", "state", "quarantined", usage.quarantined_bytes);
    metric_text_sample(text, "cache_bytes", "state", "staged", usage.staged_bytes);
    metric_text_sample(text, "cache_bytes", "state", "trash", usage.trash_bytes);
    if (usage.max_size_bytes != UINT64_MAX)
        metric_text_gauge(text, "cache_limit_bytes", "bytes",
                          "Most that the cache may hold (max_size)", usage.max_size_bytes);
    metric_text_gauge(text, "cache_min_free_bytes", "bytes",
                      "What the cache leaves free (min_free)", usage.min_free_bytes);
    metric_text_gauge(text, "cache_filesystem_bytes", "bytes",
                      "Size of the filesystem below the cache", usage.filesystem_bytes);
    metric_text_gauge(text, "cache_filesystem_free_bytes", "bytes", "What is free of it",
                      usage.free_bytes);
    metric_text_counter(text, "cache_evictions", "", "Images that were removed to make room",
                        usage.evictions);
    metric_text_counter(text, "cache_evicted_bytes", "bytes", "Bytes of these",
                        usage.evicted_bytes);
}

/* --- uploads --- */

static bool count_uploads(const struct status_subject *subject, uint64_t counts[WRITE_FAILED + 1])
{
    CLEANUP(memory_free) struct write_listing *files = NULL;
    struct error ignored = ERROR_INIT;

    if (subject->writes == NULL || write_index_list_staged(subject->writes, &files, &ignored) < 0)
        return false;
    for (size_t i = 0; i < files->count; i++)
        counts[files->files[i].state]++;
    return true;
}

static void add_uploads(struct metric_text *text, const struct status_subject *subject)
{
    /* Those that are not over. */
    static const enum write_state states[] = {WRITE_STAGING, WRITE_POISONED, WRITE_SEALED,
                                              WRITE_UPLOADING, WRITE_FAILED};
    uint64_t counts[WRITE_FAILED + 1] = {0};

    if (!count_uploads(subject, counts))
        return;
    metric_text_begin(text, METRIC_GAUGE, "uploads", "", "Images that are written, by state");
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++)
        metric_text_sample(text, "uploads", "state", write_state_name(states[i]),
                           counts[states[i]]);
}

int metrics_text(const struct status_subject *subject, char **ret, struct error *err)
{
    struct metric_text text = {.bytes = NULL};

    add_build(&text, subject);
    metric_text_gauge(&text, "uptime_seconds", "seconds", "Time since the start",
                      subject->uptime_seconds);
    add_now(&text, subject);
    add_counters(&text, subject);
    add_stages(&text, subject);
    add_memory(&text, subject->arena);
    add_limits(&text, subject);
    add_cache(&text, subject->cache);
    add_uploads(&text, subject);
    return metric_text_finish(&text, ret, err);
}
