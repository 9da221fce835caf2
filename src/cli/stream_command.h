/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `glancefs decrypt` and `glancefs encrypt` share: options, input and output, the passphrase,
 * progress, and ending cleanly when interrupted. Neither needs a cloud, a mount or a configuration.
 */
#ifndef CLI_STREAM_COMMAND_H
#define CLI_STREAM_COMMAND_H

#include "glancefs/byte_sink.h"
#include "glancefs/byte_source.h"
#include "glancefs/codec.h"
#include "glancefs/secure_buffer.h"

/** One run; all borrowed. */
struct stream_job {
    struct secure_arena *arena;
    struct codecs *codecs;
    struct byte_source *input; /* forward-only */
    struct byte_sink *output;  /* the job commits it */
    const struct secure_buffer *passphrase;
    struct cancel *cancel;
};

struct stream_command {
    const char *name; /* as in command.h */
    const char *help;
    bool encrypts; /* takes --aead, and asks for a passphrase twice */
    int (*run)(const struct stream_job *job, struct error *err);
};

/** Parses the arguments, runs the command and gives the exit code. */
int stream_command_run(const struct stream_command *command, int argc, char **argv);

#endif
