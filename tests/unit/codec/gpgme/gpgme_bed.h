/* SPDX-License-Identifier: Apache-2.0 */
/* What tests that run gpg stand on: a runtime directory of their own, and a look at who uses it. */
#ifndef UNIT_CODEC_GPGME_GPGME_BED_H
#define UNIT_CODEC_GPGME_GPGME_BED_H

#include "codec_bed.h"
#include "support/temp_dir.h"

#include <sys/types.h>

struct gpgme_bed {
    struct temp_dir *dir;
    char *runtime; /* "run" in `dir`; not made yet */
    struct codecs *codecs;
    const struct codec *codec; /* GPG; NULL until gpgme_bed_open_codec */
};

/** A directory, and nothing in it. */
void gpgme_bed_open(struct gpgme_bed *bed);

/** The codec of an engine; `keyring` may be NULL. */
void gpgme_bed_open_codec(struct gpgme_bed *bed, enum codec_engine engine, const char *keyring);

/** Frees what was opened, and checks that no process and no file is left. */
void gpgme_bed_close(struct gpgme_bed *bed);

/** Processes that have `text` in their environment or command line, but this one; the first of them
 *  goes to *ret, which may be NULL. */
unsigned processes_with(const char *text, pid_t *ret);

/** The same, when it gets to be `expected` within some seconds. */
bool processes_with_become(const char *text, unsigned expected);

/** True when no gpg works on `home` any more, at the latest after some seconds; its agent may live. */
bool gpg_leaves(const char *home);

/** Runs gpg on `home` with what stands in `arguments`, up to NULL; asserts that it succeeds. */
void run_gpg(const char *home, const char *const *arguments);

/** Makes a GNUPGHOME with a key for `name` without passphrase, and stops its agent. The caller frees
 *  its path. */
char *make_keyring(struct gpgme_bed *bed, const char *name);

#endif
