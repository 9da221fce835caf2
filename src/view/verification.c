/* SPDX-License-Identifier: Apache-2.0 */
#include "view/verification.h"

#include "base/byte_pipe.h"
#include "base/monitor.h"
#include "glancefs/limits.h"

/* Ciphertext on its way from the cache to the codec; enough that neither waits for each block. */
#define PIPE_BYTES (512 * KIB)

/* The codec's half of a pass, on a thread of its own. */
struct codec_job {
    struct job job;
    const struct verification *verification;
    struct byte_source *ciphertext; /* owned: freed as soon as the codec is through */
    struct cancel *cancel;          /* of the whole verification */
    struct cancel *fetch; /* of the cache's half; NULL when that is to go on in any case */
    struct codec_message *message;
    int result;             /* of codec_decrypt */
    struct error error;     /* set when that failed */
    struct monitor monitor; /* guards `done` */
    bool done;
};

/* Counts what passes on its way into the pipe; its commit is the codec's verdict. */
struct progress_sink {
    struct byte_sink sink;
    struct byte_sink *pipe;
    struct codec_job *codec;
    atomic_uint_fast64_t *progress;
};

static int progress_sink_write(struct byte_sink *sink, const void *bytes, size_t size,
                               struct cancel *cancel, struct error *err)
{
    struct progress_sink *counter = (struct progress_sink *)sink;

    atomic_fetch_add(counter->progress, size);
    return byte_sink_write(counter->pipe, bytes, size, cancel, err);
}

/* The codec ends by itself once its input has ended, or when cancelled. */
static void wait_for_codec(struct codec_job *codec)
{
    monitor_lock(&codec->monitor);
    while (!codec->done)
        monitor_wait(&codec->monitor);
    monitor_unlock(&codec->monitor);
}

static int progress_sink_commit(struct byte_sink *sink, struct cancel *cancel, struct error *err)
{
    struct progress_sink *observer = (struct progress_sink *)sink;

    if (byte_sink_commit(observer->pipe, cancel, err) < 0)
        return -1;
    wait_for_codec(observer->codec);
    if (observer->codec->result == 0)
        return 0;
    *err = observer->codec->error;
    return -1;
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

    self->result =
        codec_decrypt(verification->codec, verification->arena, self->ciphertext,
                      verification->passphrase, NULL, self->cancel, &self->message, &self->error);
    byte_source_free(self->ciphertext);
    if (self->result < 0 && self->fetch != NULL)
        cancel_request(self->fetch);
    monitor_lock(&self->monitor);
    self->done = true;
    monitor_changed(&self->monitor);
    monitor_unlock(&self->monitor);
}

/* Runs both halves; *codec tells afterwards how the codec fared. */
static int run_both(const struct verification *verification, struct codec_job *codec,
                    struct byte_source **ret_ciphertext, struct error *err)
{
    struct progress_sink observer = {
        .sink.ops = &progress_sink_ops, .codec = codec, .progress = verification->progress};
    CLEANUP(byte_sink_free) struct byte_sink *signed_bytes = NULL;
    int result;

    if (byte_pipe_new(PIPE_BYTES, &observer.pipe, &codec->ciphertext, err) < 0)
        return -1;
    if (signature_sink_new(verification->signatures, verification->record, &observer.sink,
                           codec->cancel, &signed_bytes, err) < 0 ||
        worker_pool_submit(verification->codec_pool, &codec->job, err) < 0) {
        byte_sink_free(steal(&signed_bytes));
        byte_source_free(codec->ciphertext);
        byte_sink_free(&observer.sink);
        return -1;
    }
    result = ciphertext_cache_open(verification->cache, verification->record, signed_bytes,
                                   codec->fetch != NULL ? codec->fetch : codec->cancel,
                                   ret_ciphertext, err);
    byte_sink_free(steal(&signed_bytes));
    byte_sink_free(&observer.sink);
    wait_for_codec(codec);
    return result;
}

static void pass_on(void *fetch)
{
    cancel_request(fetch);
}

/* True when it was the codec that had enough of a download, which is not worth keeping then. */
static bool is_refusal(const struct codec_job *codec, const struct cancel *cancel,
                       const struct error *err)
{
    return err->kind == ERROR_CANCELLED && !cancel_is_requested(cancel) && codec->result < 0 &&
           (codec->error.kind == ERROR_CORRUPT || codec->error.kind == ERROR_UNSUPPORTED ||
            codec->error.kind == ERROR_TOO_LARGE);
}

/* One pass. A codec that refuses ends the cache's half through `fetch` (NULL: it goes on). */
static int run_once(const struct verification *verification, struct cancel *cancel,
                    struct cancel *fetch, struct codec_message **ret_message,
                    struct byte_source **ret_ciphertext, struct error *err)
{
    struct codec_job codec = {.job.run = run_codec,
                              .verification = verification,
                              .cancel = cancel,
                              .fetch = fetch,
                              .error = ERROR_INIT};
    struct cancel_listener listener = {.wake = pass_on, .context = fetch};
    int result;

    monitor_init(&codec.monitor);
    if (fetch != NULL)
        cancel_listen(cancel, &listener);
    result = run_both(verification, &codec, ret_ciphertext, err);
    if (fetch != NULL)
        cancel_unlisten(cancel, &listener);
    monitor_destroy(&codec.monitor);
    *ret_message = codec.message;
    if (result == 0)
        return 0;
    codec_message_unref(steal(ret_message));
    if (is_refusal(&codec, cancel, err))
        ciphertext_cache_refuse(verification->cache, verification->record);
    if (err->kind == ERROR_CANCELLED && codec.result < 0)
        *err = codec.error;
    return -1;
}

static int run_download(const struct verification *verification, struct cancel *cancel,
                        struct codec_message **ret_message, struct byte_source **ret_ciphertext,
                        struct error *err)
{
    CLEANUP(cancel_unref) struct cancel *fetch = NULL;

    if (cancel_new(&fetch, err) < 0)
        return -1;
    return run_once(verification, cancel, fetch, ret_message, ret_ciphertext, err);
}

int verification_run(const struct verification *verification, struct cancel *cancel,
                     struct codec_message **ret_message, struct byte_source **ret_ciphertext,
                     struct error *err)
{
    const char *id = image_record_id(verification->record);
    bool had_rest;

    /* A copy on disk is read to its end whatever the codec says: it may be the copy that is bad,
     * which only the hash tells. Then the cache sets it aside, and the image itself may be sound. */
    if (ciphertext_cache_has(verification->cache, verification->record)) {
        if (run_once(verification, cancel, NULL, ret_message, ret_ciphertext, err) == 0)
            return 0;
        if (err->kind != ERROR_CORRUPT ||
            ciphertext_cache_has(verification->cache, verification->record))
            return -1;
        atomic_store(verification->progress, 0);
    }
    had_rest = ciphertext_cache_has_image(verification->cache, id);
    if (run_download(verification, cancel, ret_message, ret_ciphertext, err) == 0)
        return 0;
    /* So may what an earlier download left, which is gone now. */
    if (!had_rest || err->kind != ERROR_CORRUPT ||
        ciphertext_cache_has_image(verification->cache, id))
        return -1;
    atomic_store(verification->progress, 0);
    return run_download(verification, cancel, ret_message, ret_ciphertext, err);
}
