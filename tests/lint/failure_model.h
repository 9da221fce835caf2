/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For clang-tidy only, included in front of every file but src/base/error.c: tells the analyzer
 * what a prototype cannot, that reporting an error always gives -1. Without it every caller that
 * checks for a failure looks as if it could go on with what the failed function never set.
 */
#ifndef LINT_FAILURE_MODEL_H
#define LINT_FAILURE_MODEL_H

#include "glancefs/error.h"

#define error_set(...) ((void)error_set(__VA_ARGS__), -1)
#define error_set_errno(...) ((void)error_set_errno(__VA_ARGS__), -1)
#define error_prefix(...) ((void)error_prefix(__VA_ARGS__), -1)

#endif
