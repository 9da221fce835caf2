/* SPDX-License-Identifier: Apache-2.0 */
/* The sandbox of a mount's daemon: what its configuration makes it need. */
#ifndef CLI_MOUNT_SANDBOX_H
#define CLI_MOUNT_SANDBOX_H

#include "glancefs/cloud.h"
#include "glancefs/codec.h"
#include "glancefs/config.h"
#include "glancefs/error.h"
#include "glancefs/sandbox_state.h"

/**
 * Enters the sandbox that `config` asks for, and has the helper of `codecs` enter its own; *ret tells
 * what the kernel gave. With `sandbox=no` who is not root gives up capabilities, and nothing else.
 * Whatever opens files once (credentials, keys) has done so; before the first thread.
 */
int mount_sandbox_enter(const struct config *config, const struct cloud *cloud,
                        struct codecs *codecs, struct sandbox_state *ret, struct error *err);

/** Warns of what is missing, once there is a mount. */
void mount_sandbox_tell(const struct sandbox_state *state);

#endif
