/* SPDX-License-Identifier: Apache-2.0 */
/* The rows behind config_option_at(): each knows how its value's text becomes a setting. */
#ifndef BASE_CONFIG_OPTIONS_H
#define BASE_CONFIG_OPTIONS_H

#include "glancefs/config.h"

struct option_row {
    struct config_option option;
    /** Stores `value` at `setting`; false when it is not one of option.values. */
    bool (*parse)(const char *value, void *setting);
    size_t offset; /* of the setting in struct config */
};

/** The row of option `name`, or NULL. Static storage; any thread. */
const struct option_row *option_row_find(const char *name);

/** The i-th row, NULL past the last. */
const struct option_row *option_row_at(size_t index);

#endif
