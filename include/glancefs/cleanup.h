/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scope-bound cleanup.
 *
 * Every type with a destructor says DEFINE_CLEANUP(struct x, x_free) once, below its
 * prototype. A variable declared `CLEANUP(x_free) struct x *p = NULL;` is then released when
 * it leaves scope. To hand the object on, `steal(&p)` it: the variable becomes NULL.
 * Destructors accept NULL and half-built objects, so no path needs a goto.
 */
#ifndef GLANCEFS_CLEANUP_H
#define GLANCEFS_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/** Declares a variable whose destructor `fn` runs at the end of its scope. */
#define CLEANUP(fn) __attribute__((cleanup(fn##_cleanup)))

/** Makes `fn(type *)` usable with CLEANUP. Write it once, after the prototype of `fn`. */
#define DEFINE_CLEANUP(type, fn)                                                                   \
    __attribute__((unused)) static inline void fn##_cleanup(type **object)                         \
    {                                                                                              \
        if (*object != NULL)                                                                       \
            fn(*object);                                                                           \
    }

/** Value of the pointer variable `*variable`, which becomes NULL: ownership moves on. */
#define steal(variable)                                                                            \
    __extension__({                                                                                \
        __typeof__(variable) steal_variable_ = (variable);                                         \
        __typeof__(*steal_variable_) steal_value_ = *steal_variable_;                              \
        *steal_variable_ = NULL;                                                                   \
        steal_value_;                                                                              \
    })

/** Value of the descriptor variable `*fd`, which becomes -1: ownership moves on. */
static inline int steal_fd(int *fd)
{
    int value = *fd;

    *fd = -1;
    return value;
}

/** `CLEANUP(fd_close) int fd = -1;` closes at the end of the scope. */
__attribute__((unused)) static inline void fd_close_cleanup(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

/** `CLEANUP(memory_free) char *text = NULL;` frees plain heap memory (never a secret). */
__attribute__((unused)) static inline void memory_free_cleanup(void *variable)
{
    free(*(void **)variable);
}

/** `CLEANUP(file_close) FILE *file = NULL;` closes a stdio stream. */
__attribute__((unused)) static inline void file_close_cleanup(FILE **file)
{
    if (*file != NULL)
        (void)fclose(*file);
}

#endif
