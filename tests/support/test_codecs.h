/* SPDX-License-Identifier: Apache-2.0 */
/* The codecs of tests that need no particular ones. */
#ifndef SUPPORT_TEST_CODECS_H
#define SUPPORT_TEST_CODECS_H

#include "glancefs/codec.h"

/** Codecs with default options; shared, never freed. */
struct codecs *test_codecs(void);

/** Their codec of os_encrypt_format GPG. */
const struct codec *test_gpg_codec(void);

#endif
