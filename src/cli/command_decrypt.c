/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"
#include "cli/stream_command.h"
#include "glancefs/codec.h"

static const char help[] =
    "Usage: glancefs decrypt [--key-file FILE] [--output FILE] [--engine NAME] FILE|-\n"
    "Decrypts an OpenPGP message that is encrypted with a passphrase; - is standard input.\n"
    "\n"
    "  --key-file FILE   the passphrase is the exact bytes of FILE; without this option it is\n"
    "                    asked for on the terminal\n"
    "  --output FILE     write to FILE, which appears only when all of it is verified; without\n"
    "                    this option plaintext goes to standard output as it is decrypted\n"
    "  --engine NAME     native (the default), or gpgme: have GnuPG do the work\n"
    "  --help            this text\n"
    "\n"
    "Exit code 0 vouches for every byte: the message is complete and unaltered. After any other\n"
    "(5: damaged data or a wrong passphrase) throw away what was written.\n";

static int decrypt(const struct stream_job *job, struct error *err)
{
    const struct codec *codec;

    if (codecs_find(job->codecs, "GPG", &codec, err) < 0)
        return -1;
    return codec_decrypt(codec, job->arena, job->input, job->passphrase, job->output, job->cancel,
                         NULL, err);
}

int command_decrypt(int argc, char **argv)
{
    static const struct stream_command command = {.name = "decrypt", .help = help, .run = decrypt};

    return stream_command_run(&command, argc, argv);
}
