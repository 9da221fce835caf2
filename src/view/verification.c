/* SPDX-License-Identifier: Apache-2.0 */
#include "view/verification.h"

#include "base/byte_pipe.h"
#include "base/monitor.h"
#include "glancefs/limits.h"

/* Ciphertext on its way from the cache to the codec; enough that neither waits for each block. */
#define PIPE_BYTES (1 * MIB)

/* The codec's half of a pass, on a thread of its own. */
struct codec_job {
    struct job job;
    const struct verification *verification;
    struct byte_source *ciphertext; /* owned: freed as soon as the codec is through */
    struct cancel *cancel;
    struct codec_message *message;
    struct error error;     /* ERROR_NONE when it succeeded */
    struct monitor monitor; /* guards `done` */
    bool done;
};

/* Counts what passes on its way into the pipe. */
struct progress_sink {
    struct byte_sink sink;
    struct byte_sink *pipe;
    atomic_uint_fast64_t *progress;
};

static int progress_sink_write(struct byte_sink *sink, const void *bytes, size_t size,
                               struct cancel *cancel, struct error *err)
{
    struct progress_sink *counter = (struct progress_sink *)sink;

    atomic_fetch_add(counter->progress, size);
    return byte_sink_write(counter->pipe, bytes, size, cancel, err);
}

static int progress_sink_commit(struct byte_sink *sink, struct cancel *cancel, struct error *err)
{
    return byte_sink_commit(((struct progress_sink *)sink)->pipe, cancel, err);
}

static void progress_sink_abort(struct byte_sink *sink)
{
    byte_sink_abort(((struct progress_sink *)sink)->pipe);
}

static void progress_sink_free(struct byte_sink *sink)
{
    byte_sink_free(((struct progress_sink *)sink)->pipe);
}

static const struct byte_sink_ops progress_sink_ops = {.write = progress_sink_write,
                                                       .commit = progress_sink_commit,
                                                       .abort = progress_sink_abort,
                                                       .free = progress_sink_free};

static void run_codec(struct job *job)
{
    struct codec_job *self = (struct codec_job *)job;
    const struct verification *verification = self->verification;

    (void)codec_decrypt(verification->codec, verification->arena, self->ciphertext,
                        verification->passphrase, NULL, self->cancel, &self->message, &self->error);
    byte_source_free(self->ciphertext);
    monitor_lock(&self->monitor);
    self->done = true;
    monitor_changed(&self->monitor);
    monitor_unlock(&self->monitor);
}

/* The codec ends by itself once its input has ended, or when cancelled. */
static void wait_for_codec(struct codec_job *codec)
{
    monitor_lock(&codec->monitor);
    while (!codec->done)
        monitor_wait(&codec->monitor);
    monitor_unlock(&codec->monitor);
}

/* Runs both halves; *codec tells afterwards how the codec fared. */
static int run_both(const struct verification *verification, struct codec_job *codec,
                    struct byte_source **ret_ciphertext, struct error *err)
{
    struct progress_sink observer = {.sink.ops = &progress_sink_ops,
                                     .progress = verification->progress};
    int result;

    if (byte_pipe_new(PIPE_BYTES, &observer.pipe, &codec->ciphertext, err) < 0)
        return -1;
    if (worker_pool_submit(verification->codec_pool, &codec->job, err) < 0) {
        byte_source_free(codec->ciphertext);
        byte_sink_free(&observer.sink);
        return -1;
    }
    result = ciphertext_cache_open(verification->cache, verification->record, &observer.sink,
                                   codec->cancel, ret_ciphertext, err);
    byte_sink_free(&observer.sink);
    wait_for_codec(codec);
    return result;
}

/* One pass. *ret_codec_failed tells on failure that only the codec did. */
static int run_once(const struct verification *verification, struct cancel *cancel,
                    struct codec_message **ret_message, struct byte_source **ret_ciphertext,
                    bool *ret_codec_failed, struct error *err)
{
    struct codec_job codec = {
        .job.run = run_codec, .verification = verification, .cancel = cancel, .error = ERROR_INIT};
    CLEANUP(byte_source_free) struct byte_source *ciphertext = NULL;
    int result;

    monitor_init(&codec.monitor);
    result = run_both(verification, &codec, &ciphertext, err);
    monitor_destroy(&codec.monitor);
    if (result == 0 && !error_is_set(&codec.error)) {
        *ret_message = codec.message;
        *ret_ciphertext = steal(&ciphertext);
        return 0;
    }
    codec_message_unref(codec.message);
    *ret_codec_failed = result == 0;
    if (result == 0)
        *err = codec.error;
    return -1;
}

int verification_run(const struct verification *verification, struct cancel *cancel,
                     struct codec_message **ret_message, struct byte_source **ret_ciphertext,
                     struct error *err)
{
    const bool was_cached = ciphertext_cache_has(verification->cache, verification->record);
    bool codec_failed = false;
    int result = run_once(verification, cancel, ret_message, ret_ciphertext, &codec_failed, err);

    /* A stored copy that went bad was dropped by the cache; the image itself may be sound. */
    if (result < 0 && was_cached && !codec_failed && err->kind == ERROR_CORRUPT) {
        atomic_store(verification->progress, 0);
        result = run_once(verification, cancel, ret_message, ret_ciphertext, &codec_failed, err);
    }
    return result;
}
