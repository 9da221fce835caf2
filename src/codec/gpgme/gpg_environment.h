/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole environment of GnuPG's programs: its home, a search path, and a language for messages
 * that nobody reads. Ours may hold the credentials of a cloud.
 */
#ifndef CODEC_GPGME_GPG_ENVIRONMENT_H
#define CODEC_GPGME_GPG_ENVIRONMENT_H

#include "glancefs/cleanup.h"
#include "glancefs/error.h"

struct gpg_environment;

/** One with the GNUPGHOME `home` (NULL: none is set). */
int gpg_environment_new(const char *home, struct gpg_environment **ret, struct error *err);

/** NULL is allowed. */
void gpg_environment_free(struct gpg_environment *environment);
DEFINE_CLEANUP(struct gpg_environment, gpg_environment_free)

/** The variables, up to NULL, as execve(2) takes them; owned by the environment. */
char **gpg_environment_variables(struct gpg_environment *environment);

#endif
