/* SPDX-License-Identifier: Apache-2.0 */
/* The gpg-agent of a GNUPGHOME: gpg starts it when it needs one, and it outlives gpg. */
#ifndef CODEC_GPGME_GPG_AGENT_H
#define CODEC_GPGME_GPG_AGENT_H

#include <stdbool.h>

/** How long an agent, or the program that talks to it, may take to do what it is told. */
#define GPG_AGENT_MS 2000

/** True when the agent of `home` runs and answers. */
bool gpg_agent_is_running(const char *home);

/** Ends the agent of `home`, if it runs, waits until it is gone, and in any case removes the directory
 *  of its sockets when that is another one. One that does not go is killed. */
void gpg_agent_stop(const char *home);

#endif
