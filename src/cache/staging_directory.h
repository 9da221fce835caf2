/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CACHE/staging on disk: the steps that seal an upload, change its journal and remove it, each in
 * an order that a kill or a power cut at any moment leaves sound. The argument stands at the top of
 * staging_directory.c.
 *
 * All functions may be called by any thread. What they change, the caller holds the lock on
 * (staged_file.h), unless said otherwise.
 */
#ifndef CACHE_STAGING_DIRECTORY_H
#define CACHE_STAGING_DIRECTORY_H

#include "cache/upload_journal.h"
#include "crypto/signature_key.h"
#include "glancefs/consumer_registry.h"

/** One identity's place in the staging directory, and what its uploads need; all is borrowed. */
struct staging_owner {
    int dir_fd;
    const char *cloud;
    const char *former_cloud; /* what earlier versions called it; NULL: the same */
    const char *project_id;
    struct consumer_registry *consumers;     /* NULL: the key manager is not told */
    const struct signature_key *signing_key; /* NULL: images are not signed */
    const char *signing_certificate;         /* id of the key's certificate */
};

/** True when the journal names the same cloud and project. */
bool staging_owner_owns(const struct staging_owner *owner, const struct upload_journal *journal);

/**
 * Opens (makes, mode 0700) CACHE/staging and removes what nobody holds and no journal vouches for,
 * as far as that is possible. The caller owns *ret_fd.
 */
int staging_directory_open(const char *cache_path, int *ret_fd, struct error *err);

/**
 * Begins an upload of image `id`: an empty .part, locked. The caller owns *ret_fd. ERROR_BUSY when
 * one is being written, ERROR_EXISTS when one is sealed.
 */
int staging_directory_begin(int dir_fd, const char *id, int *ret_fd, struct error *err);

/**
 * Seals what was written to `part_fd`, the locked .part of the journal's image: when this returns
 * 0 it survives everything. On failure it is not sealed.
 */
int staging_directory_seal(int dir_fd, int part_fd, const struct upload_journal *journal,
                           struct error *err);

/** Replaces the journal of a sealed upload, durably; on failure there is the old one or this. */
int staging_directory_write_journal(int dir_fd, const struct upload_journal *journal,
                                    struct error *err);

/** Reads a journal. No lock needed. ERROR_NOT_FOUND, else as upload_journal_parse. */
int staging_directory_read_journal(int dir_fd, const char *id, struct upload_journal **ret,
                                   struct error *err);

/** Removes an upload: its journal, durably, then its data. */
int staging_directory_remove(int dir_fd, const char *id, struct error *err);

/** Ids of all images that have a journal, in no order; caller frees *ret with free(3). No lock. */
int staging_directory_list(int dir_fd, char (**ret)[UUID_TEXT_BYTES], size_t *ret_count,
                           struct error *err);

#endif
