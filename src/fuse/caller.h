/* SPDX-License-Identifier: Apache-2.0 */
/* Who makes a request: whether he may, whether he is being killed, whether a signal came. */
#ifndef FUSE_CALLER_H
#define FUSE_CALLER_H

#include "fuse/libfuse.h"
#include "glancefs/config.h"
#include "glancefs/error.h"

#include <stdbool.h>
#include <sys/types.h>

/*
 * The kernel checks permissions too (default_permissions); the two checks hold even where the
 * mount's options were changed behind our back. ERROR_DENIED.
 */

/** The caller may read images: root, the owner, or the group where `mode` says so. May wait. */
int caller_check_reader(fuse_req_t req, const struct config *config, struct error *err);

/** The caller is root or the owner, who may do all there is to do. Never waits. */
bool caller_is_root_or_owner(fuse_req_t req, const struct config *config);

/** The caller may write images: root or the owner. */
int caller_check_writer(fuse_req_t req, const struct config *config, struct error *err);

/**
 * True when the thread `pid`, which closes a file, is being ended by a signal: proc(5), flags
 * PF_EXITING and PF_SIGNALED of /proc/<pid>/stat. False when that cannot be told: a pid of 0 means
 * a caller outside our pid namespace. Never waits.
 */
bool caller_is_killed(pid_t pid);

/** The same from the NUL-terminated text of such a file. */
bool caller_stat_tells_kill(const char *stat);

/**
 * True when a signal that thread `pid` does not block waits for it: proc(5), SigPnd, ShdPnd and
 * SigBlk of /proc/<pid>/status. Also when that cannot be told. Never waits.
 */
bool caller_has_signal(pid_t pid);

/** The same from the NUL-terminated text of such a file. */
bool caller_status_tells_signal(const char *status);

#endif
