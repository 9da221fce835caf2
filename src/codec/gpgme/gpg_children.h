/* SPDX-License-Identifier: Apache-2.0 */
/* The end of child processes: what is left of the process group of one that ended is killed. */
#ifndef CODEC_GPGME_GPG_CHILDREN_H
#define CODEC_GPGME_GPG_CHILDREN_H

#include <sys/types.h>

/** Takes every child that has ended. Waits for none. */
void gpg_children_reap(void);

/** Takes children as they end, up to and with `child`; forked and not yet waited for. */
void gpg_children_wait_for(pid_t child);

/** Takes children as they end until there is none left, for so many milliseconds at most. */
void gpg_children_wait_for_all(unsigned milliseconds);

#endif
