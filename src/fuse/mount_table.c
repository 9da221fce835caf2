/* SPDX-License-Identifier: Apache-2.0 */
#include "fuse/mount_table.h"

#include "glancefs/cleanup.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TABLE "/proc/self/mountinfo"
/* An escaped character: a backslash and three octal digits. */
#define ESCAPE_LENGTH 4

struct entry {
    int id;
    int parent; /* the id of the mount that it lies on */
    const char *path;
    const char *type;
};

static bool is_octal(char digit)
{
    return digit >= '0' && digit <= '7';
}

/* Blanks, line feeds and backslashes of a path are octal in the table. */
static void unescape(char *path)
{
    char *end = path;

    for (const char *next = path; *next != '\0'; end++) {
        if (next[0] == '\\' && is_octal(next[1]) && is_octal(next[2]) && is_octal(next[3])) {
            *end = (char)((next[1] - '0') * 64 + (next[2] - '0') * 8 + (next[3] - '0'));
            next += ESCAPE_LENGTH;
        } else {
            *end = *next++;
        }
    }
    *end = '\0';
}

static bool take_number(char **next, int *ret)
{
    const char *field = strsep(next, " ");
    char *end;
    long number;

    if (field == NULL)
        return false;
    number = strtol(field, &end, 10);
    *ret = (int)number;
    return end != field && *end == '\0' && number >= 0 && number <= INT_MAX;
}

/* Of "ID PARENT DEVICE ROOT PATH OPTIONS [TAG]... - TYPE SOURCE OPTIONS", which is cut into pieces. */
static bool parse(char *line, struct entry *ret)
{
    char *path;
    char *field;

    if (!take_number(&line, &ret->id) || !take_number(&line, &ret->parent) ||
        strsep(&line, " ") == NULL || strsep(&line, " ") == NULL)
        return false;
    path = strsep(&line, " ");
    do
        field = strsep(&line, " ");
    while (field != NULL && strcmp(field, "-") != 0);
    ret->path = path;
    ret->type = field != NULL ? strsep(&line, " ") : NULL;
    if (ret->type == NULL)
        return false;
    unescape(path);
    return true;
}

/* Shows `visit` one mount after the other until it is content; whether it was. */
static bool each_mount(bool (*visit)(void *context, const struct entry *entry), void *context)
{
    CLEANUP(file_close) FILE *table = fopen(TABLE, "re");
    CLEANUP(memory_free) char *line = NULL;
    size_t line_size = 0;
    struct entry entry;

    while (table != NULL && getline(&line, &line_size, table) > 0)
        if (parse(line, &entry) && visit(context, &entry))
            return true;
    return false;
}

static bool is_ours(const struct entry *entry)
{
    return strcmp(entry->type, MOUNT_TABLE_TYPE) == 0;
}

struct search {
    int id;
    const char *path;
};

/* Later mounts come later. */
static bool visit_path(void *context, const struct entry *entry)
{
    struct search *search = context;

    if (is_ours(entry) && strcmp(entry->path, search->path) == 0)
        search->id = entry->id;
    return false;
}

int mount_table_find(const char *path)
{
    struct search search = {.id = MOUNT_TABLE_NONE, .path = path};

    (void)each_mount(visit_path, &search);
    return search.id;
}

struct location {
    int id;
    char *path; /* NULL: not found */
};

static bool visit_id(void *context, const struct entry *entry)
{
    struct location *location = context;

    if (entry->id != location->id || !is_ours(entry))
        return false;
    location->path = strdup(entry->path);
    return true;
}

static bool visit_cover(void *context, const struct entry *entry)
{
    const struct location *location = context;

    return entry->parent == location->id && strcmp(entry->path, location->path) == 0;
}

int mount_table_locate(int id, char **ret, struct error *err)
{
    struct location location = {.id = id};

    if (!each_mount(visit_id, &location))
        return error_set(err, ERROR_NOT_FOUND, "it is not mounted any more");
    if (location.path == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    if (each_mount(visit_cover, &location)) {
        (void)error_set(err, ERROR_BUSY, "%s: something else is mounted on top of it",
                        location.path);
        free(location.path);
        return -1;
    }
    *ret = location.path;
    return 0;
}
