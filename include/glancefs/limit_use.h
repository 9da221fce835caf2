/* SPDX-License-Identifier: Apache-2.0 */
/* How far one of a mount's limits is used up, for status and metrics. */
#ifndef GLANCEFS_LIMIT_USE_H
#define GLANCEFS_LIMIT_USE_H

/** A snapshot: the three are of one moment. */
struct limit_use {
    unsigned limit;   /* the option's value; 0: there is none */
    unsigned used;    /* now */
    unsigned waiting; /* for their turn; 0 where nobody waits but is refused */
};

#endif
