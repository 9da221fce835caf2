/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the bytes of a packet's body lie in what contains it. Partial lengths (RFC 9580 section
 * 4.2.1.4) scatter a body over chunks; as writers make nearly all of them equally long, a list of
 * runs is enough to find any byte. Noted while the packet is read, then immutable.
 */
#ifndef CODEC_OPENPGP_PACKET_INDEX_H
#define CODEC_OPENPGP_PACKET_INDEX_H

#include "glancefs/cancel.h"
#include "glancefs/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Most runs of one index; a body that needs more is only read forward. */
#define PACKET_INDEX_MAXIMUM_RUNS 256

/** Chunks of one size, each but the last followed by the one-octet length of the next. */
struct packet_run {
    uint64_t body;       /* where its first byte stands in the body */
    uint64_t container;  /* where it stands in the container */
    uint64_t chunk_size; /* bytes of each chunk */
};

/** Start with all zero: a body of no bytes. */
struct packet_index {
    struct packet_run *runs;
    size_t count;
    size_t capacity;
    uint64_t body_size; /* bytes in all runs */
    bool is_lost;       /* too many runs, or no memory for them */
};

/** Frees the runs and makes everything zero. */
void packet_index_clear(struct packet_index *index);

/** Notes that the next `size` bytes of the body stand at `container`. Never fails: what cannot be
 *  noted makes the index `is_lost`. */
void packet_index_add(struct packet_index *index, uint64_t container, uint64_t size);

/** Where byte `offset` (< body_size) of the body stands in the container. Not of a lost index. */
uint64_t packet_index_position(const struct packet_index *index, uint64_t offset);

/** Reads exactly `size` bytes of a container at `position`, or fails. */
struct packet_container {
    int (*read)(void *context, void *buffer, size_t size, uint64_t position, struct cancel *cancel,
                struct error *err);
    void *context;
};

/**
 * Reads `size` bytes of the body at `offset`, both within body_size, out of the container. Chunks
 * are read together, with the length octets between them, which are then closed up in `buffer`.
 * The index must not be lost. Any number of threads, if the container allows them.
 */
int packet_index_read(const struct packet_index *index, const struct packet_container *container,
                      void *buffer, size_t size, uint64_t offset, struct cancel *cancel,
                      struct error *err);

#endif
