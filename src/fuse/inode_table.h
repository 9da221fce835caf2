/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inode numbers that the kernel knows, and the names they stand for. Each reply that names an inode
 * adds one to its lookup count; the kernel's FORGET takes them back, and at zero the inode leaves
 * the table. A rename moves the name to the other inode's place, a removal takes it away; the inode
 * itself lives on as long as the kernel knows it. Bounded; thread-safe; no function waits.
 *
 * A number is made from the first name of its inode, so that a file has the same one each time it
 * is looked up.
 */
#ifndef FUSE_INODE_TABLE_H
#define FUSE_INODE_TABLE_H

#include "glancefs/cleanup.h"
#include "glancefs/error.h"
#include "glancefs/write_index.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Numbers below are for the mount's own directories and files; the table gives none of them. */
#define INODE_TABLE_FIRST_NUMBER 16

/** Bytes of the longest name with its NUL; those of files to write are the longest. */
#define INODE_NAME_BYTES WRITE_NAME_BYTES

struct inode_table;

/** What a number stands for. */
struct inode_name {
    uint64_t directory;          /* the directory's number */
    char name[INODE_NAME_BYTES]; /* empty when it was removed or replaced */
};

/** An empty table for at most `limit` inodes. */
int inode_table_new(size_t limit, struct inode_table **ret, struct error *err);

/** Frees it with whatever the kernel has not forgotten. NULL is allowed. */
void inode_table_free(struct inode_table *table);
DEFINE_CLEANUP(struct inode_table, inode_table_free)

/**
 * The number of file `name` (shorter than INODE_NAME_BYTES) in `directory`, whose lookup count
 * rises by one. ERROR_EXHAUSTED with ENFILE when the table is full.
 */
int inode_table_look_up(struct inode_table *table, uint64_t directory, const char *name,
                        uint64_t *ret_number, struct error *err);

/** Takes `count` lookups back. A number that is not in the table is let be. */
void inode_table_forget(struct inode_table *table, uint64_t number, uint64_t count);

/** What `number` stands for; false when the table does not hold it. */
bool inode_table_find(struct inode_table *table, uint64_t number, struct inode_name *ret);

/** Takes the name from its inode, if it has one: the next look-up finds another inode. */
void inode_table_remove(struct inode_table *table, uint64_t directory, const char *name);

/** Gives the inode of name `from` the name `to`, which another inode may lose by that. */
void inode_table_rename(struct inode_table *table, uint64_t directory, const char *from,
                        const char *to);

/** The number that look_up gives, or would give were the name not in the table yet; for d_ino. */
uint64_t inode_table_number_of(struct inode_table *table, uint64_t directory, const char *name);

/** Inodes in the table. */
size_t inode_table_count(struct inode_table *table);

#endif
