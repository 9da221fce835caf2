/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One subdirectory of a local cloud (`images`, `secrets`): opened once, its files named relative to
 * the descriptor and no link followed. It may be absent until something is stored. Thread-safe.
 */
#ifndef SERVICES_LOCAL_LOCAL_DIRECTORY_H
#define SERVICES_LOCAL_LOCAL_DIRECTORY_H

#include "glancefs/cleanup.h"
#include "glancefs/error.h"
#include "services/json_document.h"

#include <dirent.h>
#include <stdbool.h>

DEFINE_CLEANUP(DIR, closedir)

struct local_directory;

/**
 * Opens subdirectory `name` (borrowed for the object's life) of the local cloud at `path`.
 * ERROR_NOT_FOUND when `path` itself is absent, ERROR_INVALID when it is no directory.
 */
int local_directory_new(const char *path, const char *name, struct local_directory **ret,
                        struct error *err);

/** Closes; NULL is allowed. */
void local_directory_free(struct local_directory *directory);
DEFINE_CLEANUP(struct local_directory, local_directory_free)

/** The cloud's own directory; borrowed. */
int local_directory_root(const struct local_directory *directory);

/**
 * The subdirectory's descriptor, borrowed. ERROR_NOT_FOUND while it is absent, unless `create`
 * makes it (mode 0700, durable).
 */
int local_directory_open(struct local_directory *directory, bool create, int *ret_fd,
                         struct error *err);

enum local_lock {
    LOCAL_LOCK_SHARED,
    LOCAL_LOCK_EXCLUSIVE,
    LOCAL_LOCK_IF_FREE, /* exclusive, without waiting: ERROR_BUSY */
};

/**
 * Locks the whole subdirectory for one short change (or look) across all threads and processes;
 * closing *ret_fd, which the caller owns, unlocks. Held for the write of one record at most, never
 * while image data moves. No lock is waited for while it is held. Documents are written under an
 * exclusive lock only: who gets one removes those that a killed writer left unfinished.
 */
int local_directory_lock(int fd, enum local_lock lock, int *ret_fd, struct error *err);

/** A stream of its own over directory `fd`, from its start; NULL with errno set when there is none.
 *  The caller closes it. */
DIR *local_directory_stream(int fd);

/**
 * Reads file `name` below descriptor `fd` as a JSON document (json_document_parse), following no
 * link. ERROR_NOT_FOUND when absent.
 */
int local_document_read(int fd, const char *name, struct json_object **ret, struct error *err);

/** Publishes `document` as file `name`, mode 0600, whole and durable (base/file_sink.h). The caller
 *  holds an exclusive lock of the subdirectory. */
int local_document_write(int fd, const char *name, struct json_object *document, struct error *err);

#endif
