/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inode numbers that the kernel knows, and what they stand for. Each reply that names an inode
 * adds one to its lookup count; the kernel's FORGET takes them back, and at zero the inode leaves
 * the table. Bounded; thread-safe; no function waits.
 *
 * A number is made from the image's id, so that it is the same each time the image is looked up.
 */
#ifndef FUSE_INODE_TABLE_H
#define FUSE_INODE_TABLE_H

#include "base/uuid.h"
#include "glancefs/cleanup.h"
#include "glancefs/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Numbers below are for the mount's own directories and files; the table gives none of them. */
#define INODE_TABLE_FIRST_NUMBER 16

struct inode_table;

/** An empty table for at most `limit` inodes. */
int inode_table_new(size_t limit, struct inode_table **ret, struct error *err);

/** Frees it with whatever the kernel has not forgotten. NULL is allowed. */
void inode_table_free(struct inode_table *table);
DEFINE_CLEANUP(struct inode_table, inode_table_free)

/**
 * The number of image `image_id` in directory `parent`, whose lookup count rises by one.
 * ERROR_EXHAUSTED with ENFILE when the table is full.
 */
int inode_table_look_up(struct inode_table *table, uint64_t parent, const char *image_id,
                        uint64_t *ret_number, struct error *err);

/** Takes `count` lookups back. A number that is not in the table is let be. */
void inode_table_forget(struct inode_table *table, uint64_t number, uint64_t count);

/** The image behind `number`; false when the table does not hold it. */
bool inode_table_find(struct inode_table *table, uint64_t number,
                      char ret_image_id[UUID_TEXT_BYTES]);

/** The number that look_up would give an image that is not in the table yet; for d_ino. */
uint64_t inode_table_number_of(uint64_t parent, const char *image_id);

/** Inodes in the table. */
size_t inode_table_count(struct inode_table *table);

#endif
