/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why no kill -9 and no power cut loses a sealed upload or lets an unsealed one pass for sealed.
 *
 * An upload is sealed exactly while <id>.json exists. Its life is this sequence; a kill between
 * any two lines leaves the state named there, and what happens then:
 *
 *     create <id>.part, lock it, write
 *                                     .part      not sealed: nobody holds it any more, purged
 *     fdatasync .part
 *                                     .part      the same
 *     rename .part to .data
 *                                     .data      not sealed, the seal was not answered: purged
 *     fsync the directory
 *                                     .data      the same
 *     write and fsync .json.new
 *                                     .data .json.new   the same, both purged
 *     rename .json.new to .json
 *                                     .data .json   sealed: resumed, although the seal was not
 *                                                answered; all of its bytes are durable
 *     fsync the directory
 *                                     .data .json   sealed and durable: resumed. The seal is
 *                                                answered only now
 *     (send; write .json anew the same way; kills leave the old journal or the new one)
 *                                     .data .json   resumed: the image is looked at first, so what
 *                                                became active is not sent twice
 *     unlink .json
 *                                     .data      complete at the service, purged; a power cut may
 *                                                bring .json back: resumed, found active
 *     fsync the directory
 *                                     .data      purged
 *     unlink .data
 *
 * The data reach the disk before their final name (fdatasync), the name before the journal that
 * vouches for it (fsync), and the journal leaves before the data (fsync). So a journal never stands
 * over data that are not whole.
 *
 * Two writers, or a writer and a purge, exclude each other by the lock: .part becomes .data with the
 * lock held, and who finds something that looks abandoned removes it only after taking the lock and
 * looking again. Because .data and .json of an image appear only by the hand of the holder of its
 * .part, staging_directory_begin looks for them once more after it holds a .part of its own.
 */
#include "cache/staging_directory.h"

#include "base/file_source.h"
#include "cache/cache_directory.h"
#include "cache/staged_file.h"
#include "glancefs/limits.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define STAGING "staging"

bool staging_owner_owns(const struct staging_owner *owner, const struct upload_journal *journal)
{
    if (strcmp(owner->project_id, journal->project_id) != 0)
        return false;
    return strcmp(owner->cloud, journal->cloud) == 0 ||
           (owner->former_cloud != NULL && strcmp(owner->former_cloud, journal->cloud) == 0);
}

/* --- purge --- */

/* Removes data that no journal vouches for, and a journal that never got its name. */
static int discard_unsealed(int dir_fd, const char *id, struct error *err)
{
    CLEANUP(fd_close) int lock = -1;

    if (staged_file_lock(dir_fd, id, STAGED_DATA, &lock, err) < 0)
        return err->kind == ERROR_NOT_FOUND ? 0 : -1;
    if (staged_file_remove(dir_fd, id, STAGED_NEW_JOURNAL, err) < 0)
        return -1;
    if (staged_file_exists(dir_fd, id, STAGED_JOURNAL))
        return 0;
    return staged_file_remove(dir_fd, id, STAGED_DATA, err);
}

static int discard_part(int dir_fd, const char *id, struct error *err)
{
    CLEANUP(fd_close) int lock = -1;

    if (staged_file_lock(dir_fd, id, STAGED_PART, &lock, err) < 0)
        return -1;
    return staged_file_remove(dir_fd, id, STAGED_PART, err);
}

/* What somebody holds, or what is no file of ours, is left alone. */
static int purge(int dir_fd, struct error *err)
{
    CLEANUP(closedir) DIR *directory = cache_directory_stream(dir_fd);
    struct error ignored = ERROR_INIT;
    const struct dirent *entry;
    char id[UUID_TEXT_BYTES];
    enum staged_file file;

    if (directory == NULL)
        return error_set_errno(err, errno, "staging");
    while ((entry = readdir(directory)) != NULL) {
        if (!staged_file_recognise(entry->d_name, id, &file))
            continue;
        if (file == STAGED_PART)
            (void)discard_part(dir_fd, id, &ignored);
        if (file == STAGED_DATA)
            (void)discard_unsealed(dir_fd, id, &ignored);
    }
    return 0;
}

int staging_directory_open(const char *cache_path, int *ret_fd, struct error *err)
{
    CLEANUP(fd_close) int fd = -1;

    if (cache_directory_open_subdirectory(cache_path, STAGING, &fd, err) < 0 || purge(fd, err) < 0)
        return -1;
    *ret_fd = steal_fd(&fd);
    return 0;
}

/* --- begin and seal --- */

static int sync_directory(int dir_fd, struct error *err)
{
    if (fsync(dir_fd) < 0)
        return error_set_errno(err, errno, "staging: fsync of the directory");
    return 0;
}

/* ERROR_EXISTS when there is a sealed upload; what is neither sealed nor held is removed. */
static int check_not_sealed(int dir_fd, const char *id, struct error *err)
{
    if (!staged_file_exists(dir_fd, id, STAGED_JOURNAL) && discard_unsealed(dir_fd, id, err) < 0)
        return -1;
    if (staged_file_exists(dir_fd, id, STAGED_JOURNAL))
        return error_set(err, ERROR_EXISTS, "an upload of image %s is sealed already", id);
    return 0;
}

int staging_directory_begin(int dir_fd, const char *id, int *ret_fd, struct error *err)
{
    CLEANUP(fd_close) int fd = -1;
    struct error ignored = ERROR_INIT;

    if (check_not_sealed(dir_fd, id, err) < 0 || staged_file_create_part(dir_fd, id, &fd, err) < 0)
        return -1;
    if (check_not_sealed(dir_fd, id, err) < 0) {
        (void)staged_file_remove(dir_fd, id, STAGED_PART, &ignored);
        return -1;
    }
    *ret_fd = steal_fd(&fd);
    return 0;
}

static int rename_file(int dir_fd, const char *id, enum staged_file from, enum staged_file to,
                       struct error *err)
{
    char old_name[STAGED_NAME_BYTES];
    char new_name[STAGED_NAME_BYTES];

    staged_file_name(id, from, old_name);
    staged_file_name(id, to, new_name);
    if (renameat(dir_fd, old_name, dir_fd, new_name) < 0)
        return error_set_errno(err, errno, "staging: rename %s", old_name);
    return 0;
}

/* Once .part was renamed that name may be another writer's: each step undoes only its own. */
int staging_directory_seal(int dir_fd, int part_fd, const struct upload_journal *journal,
                           struct error *err)
{
    const char *id = journal->image_id;
    struct error ignored = ERROR_INIT;
    int result = 0;

    if (fdatasync(part_fd) < 0)
        result = error_set_errno(err, errno, "staging: fdatasync");
    if (result < 0 || rename_file(dir_fd, id, STAGED_PART, STAGED_DATA, err) < 0) {
        (void)staged_file_remove(dir_fd, id, STAGED_PART, &ignored);
        return -1;
    }
    if (sync_directory(dir_fd, err) < 0 ||
        staging_directory_write_journal(dir_fd, journal, err) < 0) {
        (void)staging_directory_remove(dir_fd, id, &ignored);
        return -1;
    }
    return 0;
}

/* --- journals --- */

static int write_all(int fd, const char *bytes, size_t size, struct error *err)
{
    while (size > 0) {
        const ssize_t result = write(fd, bytes, size);

        if (result < 0 && errno != EINTR)
            return error_set_errno(err, errno, "staging: write the journal");
        bytes += result > 0 ? result : 0;
        size -= result > 0 ? (size_t)result : 0;
    }
    if (fsync(fd) < 0)
        return error_set_errno(err, errno, "staging: fsync of the journal");
    return 0;
}

/* Not file_publish, which removes what it could not make durable: an old journal must stay. Under
 * the upload's lock the name is ours, and what lies there a killed process left. */
static int write_new_journal(int dir_fd, const struct upload_journal *journal, struct error *err)
{
    CLEANUP(memory_free) char *text = NULL;
    CLEANUP(fd_close) int fd = -1;
    char name[STAGED_NAME_BYTES];
    size_t size;

    staged_file_name(journal->image_id, STAGED_NEW_JOURNAL, name);
    if (upload_journal_print(journal, &text, &size, err) < 0 ||
        staged_file_remove(dir_fd, journal->image_id, STAGED_NEW_JOURNAL, err) < 0)
        return -1;
    fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                S_IRUSR | S_IWUSR);
    if (fd < 0)
        return error_set_errno(err, errno, "staging: create %s", name);
    return write_all(fd, text, size, err);
}

int staging_directory_write_journal(int dir_fd, const struct upload_journal *journal,
                                    struct error *err)
{
    const char *id = journal->image_id;
    struct error ignored = ERROR_INIT;

    if (write_new_journal(dir_fd, journal, err) < 0 ||
        rename_file(dir_fd, id, STAGED_NEW_JOURNAL, STAGED_JOURNAL, err) < 0) {
        (void)staged_file_remove(dir_fd, id, STAGED_NEW_JOURNAL, &ignored);
        return -1;
    }
    return sync_directory(dir_fd, err);
}

int staging_directory_read_journal(int dir_fd, const char *id, struct upload_journal **ret,
                                   struct error *err)
{
    CLEANUP(memory_free) char *text = NULL;
    char name[STAGED_NAME_BYTES];
    size_t size;

    staged_file_name(id, STAGED_JOURNAL, name);
    if (file_read_all(dir_fd, name, LIMIT_RECORD_BYTES, &text, &size, err) == 0)
        return upload_journal_parse(id, text, size, ret, err);
    if (err->kind == ERROR_NOT_FOUND)
        return error_set(err, ERROR_NOT_FOUND, "no upload of image %s is staged", id);
    if (err->kind == ERROR_TOO_LARGE || err->kind == ERROR_INVALID)
        return error_set(err, ERROR_CORRUPT,
                         "the journal is damaged: not a regular file of at "
                         "most 1 MiB");
    return -1;
}

int staging_directory_remove(int dir_fd, const char *id, struct error *err)
{
    if (staged_file_remove(dir_fd, id, STAGED_NEW_JOURNAL, err) < 0 ||
        staged_file_remove(dir_fd, id, STAGED_JOURNAL, err) < 0 || sync_directory(dir_fd, err) < 0)
        return -1;
    return staged_file_remove(dir_fd, id, STAGED_DATA, err);
}

/* --- list --- */

static int append_id(char (**ids)[UUID_TEXT_BYTES], size_t *count, const char *id,
                     struct error *err)
{
    char(*all)[UUID_TEXT_BYTES] = reallocarray(*ids, *count + 1, sizeof **ids);

    if (all == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    *ids = all;
    memcpy(all[(*count)++], id, sizeof *all);
    return 0;
}

int staging_directory_list(int dir_fd, char (**ret)[UUID_TEXT_BYTES], size_t *ret_count,
                           struct error *err)
{
    CLEANUP(closedir) DIR *directory = cache_directory_stream(dir_fd);
    CLEANUP(memory_free) char(*ids)[UUID_TEXT_BYTES] = NULL;
    const struct dirent *entry;
    char id[UUID_TEXT_BYTES];
    enum staged_file file;
    size_t count = 0;

    if (directory == NULL)
        return error_set_errno(err, errno, "staging");
    while ((entry = readdir(directory)) != NULL)
        if (staged_file_recognise(entry->d_name, id, &file) && file == STAGED_JOURNAL &&
            append_id(&ids, &count, id, err) < 0)
            return -1;
    *ret = steal(&ids);
    *ret_count = count;
    return 0;
}
