/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/upload_sender.h"

#include "base/log.h"
#include "cache/staged_file.h"
#include "cache/upload_match.h"
#include "cache/upload_source.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

/* How long an image may be seen being saved after an attempt of ours, and not be called stuck. */
#define STUCK_SECONDS 900

struct upload_sender {
    const struct staging_owner *owner;
    struct upload_journal *journal;
    int fd; /* .data, locked */
    char target[UUID_TEXT_BYTES];
    int64_t saving_since; /* when the target was first seen being saved; 0: it is not */
};

/* --- taking it in hand --- */

static int lock_data(struct upload_sender *sender, const char *id, struct error *err)
{
    const int dir_fd = sender->owner->dir_fd;

    if (staged_file_lock(dir_fd, id, STAGED_DATA, &sender->fd, err) == 0)
        return 0;
    if (err->kind == ERROR_NOT_FOUND && staged_file_exists(dir_fd, id, STAGED_JOURNAL))
        return error_set(err, ERROR_CORRUPT, "the staged data of image %s are missing", id);
    if (err->kind == ERROR_NOT_FOUND)
        return error_set(err, ERROR_NOT_FOUND, "no upload of image %s is staged", id);
    if (err->kind == ERROR_BUSY)
        return error_set(err, ERROR_BUSY, "the upload of image %s is in use", id);
    return -1;
}

/* The journal is about its own image: what another target answers is not recorded. */
static bool is_own_target(const struct upload_sender *sender)
{
    return strcmp(sender->target, sender->journal->image_id) == 0;
}

static int take_in_hand(struct upload_sender *sender, const char *id, struct error *err)
{
    if (lock_data(sender, id, err) < 0 ||
        staging_directory_read_journal(sender->owner->dir_fd, id, &sender->journal, err) < 0)
        return -1;
    if (!staging_owner_owns(sender->owner, sender->journal))
        return error_set(err, ERROR_DENIED,
                         "the upload of image %s belongs to cloud '%.80s', project '%.64s'", id,
                         sender->journal->cloud, sender->journal->project_id);
    return 0;
}

int upload_sender_new(const struct staging_owner *owner, const char *id, const char *target,
                      struct upload_sender **ret, struct error *err)
{
    CLEANUP(upload_sender_free) struct upload_sender *sender = calloc(1, sizeof *sender);

    if (sender == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    sender->owner = owner;
    sender->fd = -1;
    (void)snprintf(sender->target, sizeof sender->target, "%s", target == NULL ? id : target);
    if (take_in_hand(sender, id, err) < 0)
        return -1;
    if (is_own_target(sender))
        sender->saving_since = sender->journal->saving_since;
    *ret = steal(&sender);
    return 0;
}

void upload_sender_free(struct upload_sender *sender)
{
    if (sender == NULL)
        return;
    upload_journal_free(sender->journal);
    if (sender->fd >= 0)
        (void)close(sender->fd);
    free(sender);
}

bool upload_sender_has_failed(const struct upload_sender *sender)
{
    return sender->journal->failed;
}

const struct upload_journal *upload_sender_journal(const struct upload_sender *sender)
{
    return sender->journal;
}

/* --- what the image's record tells --- */

enum finding {
    FINDING_QUEUED,  /* it waits for its data */
    FINDING_OURS,    /* active with our bytes */
    FINDING_UNSURE,  /* look again later; *err says why */
    FINDING_STUCK,   /* as before, but for so long that people should know */
    FINDING_REFUSED, /* the service does not take it like this; *err says why */
    FINDING_LOST,    /* the image can never become ours; *err says why */
};

/* Kinds that a repetition does not change. */
static bool is_refusal(enum error_kind kind)
{
    switch (kind) {
    case ERROR_NOT_FOUND:
    case ERROR_DENIED:
    case ERROR_NO_KEY:
    case ERROR_KEY_REJECTED:
    case ERROR_CORRUPT:
    case ERROR_UNSUPPORTED:
    case ERROR_TOO_LARGE:
    case ERROR_READ_ONLY:
    case ERROR_INVALID:
        return true;
    case ERROR_NONE:
    case ERROR_LOGIN:
    case ERROR_UNAVAILABLE:
    case ERROR_TIMEOUT:
    case ERROR_EXHAUSTED:
    case ERROR_CANCELLED:
    case ERROR_BUSY:
    case ERROR_NO_SPACE:
    case ERROR_EXISTS:
    case ERROR_SYSTEM:
        break;
    }
    return false;
}

static enum finding finding_of_error(const struct error *err)
{
    return is_refusal(err->kind) ? FINDING_REFUSED : FINDING_UNSURE;
}

/*
 * A service that died during an upload leaves the image "saving" for good, and nothing but time tells
 * it from one that is still busy with what we sent. So it is never given up, only called stuck. Our
 * clock may step: that makes a difference to the words, not to the upload.
 */
static bool is_stuck(struct upload_sender *sender)
{
    const int64_t now = time(NULL);

    if (sender->saving_since == 0 || sender->saving_since > now)
        sender->saving_since = now;
    return now - sender->saving_since > STUCK_SECONDS;
}

static enum finding judge_saving(struct upload_sender *sender, const struct image_record *record,
                                 struct error *err)
{
    const char *status = image_status_name(image_record_status(record));
    const bool is_others = is_own_target(sender) && sender->journal->attempts == 0;

    if (is_others || !is_stuck(sender)) {
        (void)error_set(err, ERROR_BUSY, "image %s is %s", sender->target, status);
        return FINDING_UNSURE;
    }
    (void)error_set(err, ERROR_TIMEOUT,
                    "image %s is stuck in %s: unless it becomes active after all, delete it and "
                    "send this to another one (glancefs uploads retry --to)",
                    sender->target, status);
    return FINDING_STUCK;
}

static enum finding judge_active(const struct upload_sender *sender,
                                 const struct image_record *record, struct cancel *cancel,
                                 struct error *err)
{
    bool is_ours = false;

    if (upload_match(sender->journal, sender->fd, record, cancel, &is_ours, err) < 0)
        return FINDING_UNSURE;
    if (is_ours)
        return FINDING_OURS;
    (void)error_set(err, ERROR_EXISTS, "image %s is active with other data", sender->target);
    return FINDING_LOST;
}

static enum finding judge(struct upload_sender *sender, const struct image_record *record,
                          struct cancel *cancel, struct error *err)
{
    const enum image_status status = image_record_status(record);

    switch (status) {
    case IMAGE_STATUS_QUEUED:
        sender->saving_since = 0;
        return FINDING_QUEUED;
    case IMAGE_STATUS_SAVING:
    case IMAGE_STATUS_UPLOADING:
    case IMAGE_STATUS_IMPORTING:
        return judge_saving(sender, record, err);
    case IMAGE_STATUS_ACTIVE:
        return judge_active(sender, record, cancel, err);
    case IMAGE_STATUS_DEACTIVATED:
    case IMAGE_STATUS_KILLED:
    case IMAGE_STATUS_DELETED:
    case IMAGE_STATUS_PENDING_DELETE:
        break;
    }
    (void)error_set(err, ERROR_DENIED, "image %s is %s", sender->target, image_status_name(status));
    return FINDING_LOST;
}

/* Those that differ. Before the data: what is set while an image is being saved gets lost. */
static int set_properties(const struct upload_sender *sender, struct image_service *images,
                          const struct image_record *record, struct cancel *cancel,
                          struct error *err)
{
    const struct upload_journal *journal = sender->journal;
    CLEANUP(memory_free)
    struct image_property *differing = calloc(journal->property_count + 1, sizeof *differing);
    size_t count = 0;

    if (differing == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    for (size_t i = 0; i < journal->property_count; i++) {
        const struct image_property *ours = &journal->properties[i];
        const char *value = image_record_property(record, ours->name);

        if (value == NULL || strcmp(value, ours->value) != 0)
            differing[count++] = *ours;
    }
    if (count == 0)
        return 0;
    return image_service_update(images, sender->target, differing, count, cancel, err);
}

/* Somebody else who wrote the same image may have set his properties between ours and our data. His
 * data were refused then, and ours must not bear his size. */
static enum finding claim(const struct upload_sender *sender, struct image_service *images,
                          const struct image_record *record, struct cancel *cancel,
                          struct error *err)
{
    return set_properties(sender, images, record, cancel, err) == 0 ? FINDING_OURS
                                                                    : finding_of_error(err);
}

/* An answer that makes no sense says nothing about the image: only "gone" and "forbidden" count. */
static enum finding look(struct upload_sender *sender, struct image_service *images,
                         struct cancel *cancel, struct image_record **ret, struct error *err)
{
    if (image_service_get(images, sender->target, cancel, ret, err) == 0) {
        const enum finding finding = judge(sender, *ret, cancel, err);

        return finding == FINDING_OURS ? claim(sender, images, *ret, cancel, err) : finding;
    }
    if (err->kind == ERROR_NOT_FOUND)
        return FINDING_LOST;
    return err->kind == ERROR_DENIED ? FINDING_REFUSED : FINDING_UNSURE;
}

/* --- sending --- */

/* The secret the data are encrypted with, as the journal or else the record has it. */
static bool find_secret(const struct upload_sender *sender, const struct image_record *record,
                        char ret[UUID_TEXT_BYTES])
{
    const struct upload_journal *journal = sender->journal;
    struct error ignored = ERROR_INIT;

    for (size_t i = 0; i < journal->property_count; i++)
        if (strcmp(journal->properties[i].name, "os_encrypt_key_id") == 0)
            return uuid_from_reference(journal->properties[i].value, ret);
    return image_record_encrypt_key_id(record, ret, &ignored) == 0;
}

/* Consumers only inform: a key manager that does not take ours does not stop an upload, but one that
 * is away might take it later, and where the secret is gone nobody could ever read the image. */
static int register_consumer(const struct upload_sender *sender, const struct image_record *record,
                             struct cancel *cancel, struct error *err)
{
    char secret_id[UUID_TEXT_BYTES];

    if (sender->owner->consumers == NULL || !find_secret(sender, record, secret_id) ||
        consumer_registry_add(sender->owner->consumers, CONSUMER_IMAGE, sender->target, secret_id,
                              cancel, err) == 0)
        return 0;
    if (err->kind == ERROR_NO_KEY || !is_refusal(err->kind))
        return -1;
    log_debug("image %s: not a consumer of its secret: %s", sender->target, err->message);
    return 0;
}

/* Durable before the data go: who finds the image being saved after a crash must know that it was
 * us. Without it, it is taken for somebody else's. */
static void remember_attempt(const struct upload_sender *sender)
{
    struct error ignored = ERROR_INIT;

    sender->journal->last_error = (struct error)ERROR_INIT;
    sender->journal->saving_since = 0;
    if (is_own_target(sender))
        (void)staging_directory_write_journal(sender->owner->dir_fd, sender->journal, &ignored);
}

static int send_data(struct upload_sender *sender, struct image_service *images,
                     _Atomic uint64_t *sent, struct cancel *cancel, struct error *err)
{
    CLEANUP(byte_source_free) struct byte_source *source = NULL;

    if (upload_source_new(sender->journal, sender->fd, sent, &source, err) < 0)
        return -1;
    sender->journal->attempts++;
    remember_attempt(sender);
    return image_service_upload(images, sender->target, source, cancel, err);
}

/* The answer is one thing, what became of the image another: the record has the last word. */
static enum finding look_after(struct upload_sender *sender, struct image_service *images,
                               int result, struct cancel *cancel, struct error *err)
{
    CLEANUP(image_record_unref) struct image_record *record = NULL;
    const struct error answer = *err;
    const enum finding finding = look(sender, images, cancel, &record, err);

    if (finding == FINDING_OURS)
        return FINDING_OURS;
    if (finding == FINDING_LOST) {
        *err = is_refusal(answer.kind) ? answer : *err;
        return FINDING_LOST;
    }
    if (result < 0) {
        *err = answer;
        return finding_of_error(&answer);
    }
    if (finding == FINDING_QUEUED)
        (void)error_set(err, ERROR_UNAVAILABLE,
                        "image %s is still queued after its data were taken", sender->target);
    return FINDING_UNSURE;
}

static enum finding deliver(struct upload_sender *sender, struct image_service *images,
                            const struct image_record *record, _Atomic uint64_t *sent,
                            struct cancel *cancel, struct error *err)
{
    int result;

    if (set_properties(sender, images, record, cancel, err) < 0)
        return finding_of_error(err);
    if (register_consumer(sender, record, cancel, err) < 0)
        return finding_of_error(err);
    *err = (struct error)ERROR_INIT;
    result = send_data(sender, images, sent, cancel, err);
    return look_after(sender, images, result, cancel, err);
}

/* --- conclusions --- */

static bool is_news(const struct upload_sender *sender, unsigned attempts,
                    const struct error *reason)
{
    const struct upload_journal *journal = sender->journal;

    return journal->attempts != attempts || journal->saving_since != sender->saving_since ||
           journal->last_error.kind != reason->kind ||
           strcmp(journal->last_error.message, reason->message) != 0;
}

/* Lets everybody see why it is not done yet, and the next one since when the image is being saved. */
static void record_delay(struct upload_sender *sender, unsigned attempts_before,
                         const struct error *reason)
{
    struct error ignored = ERROR_INIT;

    if (!is_own_target(sender) || !is_news(sender, attempts_before, reason))
        return;
    sender->journal->saving_since = sender->saving_since;
    upload_journal_set_error(sender->journal, reason, sender->journal->failed);
    (void)staging_directory_write_journal(sender->owner->dir_fd, sender->journal, &ignored);
}

/* A refusal that cannot be recorded would be forgotten with this process: rather ask again. */
static enum upload_outcome refuse(struct upload_sender *sender, struct error *err)
{
    struct error problem = ERROR_INIT;

    if (!is_own_target(sender))
        return UPLOAD_OUTCOME_REFUSED;
    upload_journal_set_error(sender->journal, err, true);
    if (staging_directory_write_journal(sender->owner->dir_fd, sender->journal, &problem) == 0)
        return UPLOAD_OUTCOME_REFUSED;
    sender->journal->failed = false;
    *err = problem;
    return UPLOAD_OUTCOME_LATER;
}

static enum upload_outcome complete(struct upload_sender *sender, struct error *err)
{
    if (staging_directory_remove(sender->owner->dir_fd, sender->journal->image_id, err) < 0)
        return UPLOAD_OUTCOME_LATER;
    return UPLOAD_OUTCOME_DONE;
}

enum upload_outcome upload_sender_attempt(struct upload_sender *sender,
                                          struct image_service *images, _Atomic uint64_t *sent,
                                          struct cancel *cancel, struct error *err)
{
    CLEANUP(image_record_unref) struct image_record *record = NULL;
    const unsigned attempts = sender->journal->attempts;
    enum finding finding = look(sender, images, cancel, &record, err);

    if (finding == FINDING_QUEUED)
        finding = deliver(sender, images, record, sent, cancel, err);
    if (finding == FINDING_OURS)
        return complete(sender, err);
    if (cancel_check(cancel, err) < 0)
        return UPLOAD_OUTCOME_CUT_SHORT;
    if (finding == FINDING_REFUSED || finding == FINDING_LOST)
        return refuse(sender, err);
    record_delay(sender, attempts, err);
    return finding == FINDING_STUCK ? UPLOAD_OUTCOME_STUCK : UPLOAD_OUTCOME_LATER;
}
