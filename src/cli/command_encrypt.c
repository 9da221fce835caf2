/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"
#include "cli/stream_command.h"
#include "glancefs/codec.h"
#include "glancefs/limits.h"

#define PIECE_BYTES (256 * KIB)

static const char help[] =
    "Usage: glancefs encrypt [--key-file FILE] [--output FILE] [--aead MODE] [--engine NAME] "
    "FILE|-\n"
    "Encrypts a file as an OpenPGP message with a passphrase (AES-256, integrity protected, not\n"
    "compressed), which glancefs and other OpenPGP programs can decrypt; - is standard input.\n"
    "\n"
    "  --key-file FILE   the passphrase is the exact bytes of FILE; without this option it is\n"
    "                    asked for on the terminal, twice\n"
    "  --output FILE     write to FILE, which appears only when it is complete; without this\n"
    "                    option ciphertext goes to standard output\n"
    "  --aead MODE       none: with a modification detection code, as every gpg reads it (the\n"
    "                    default); ocb or gcm: authenticated by chunk, as RFC 9580 has it;\n"
    "                    librepgp-ocb: the same as GnuPG since 2.2.21 and rnp read it\n"
    "  --engine NAME     native (the default), or gpgme: have GnuPG do the work\n"
    "  --help            this text\n";

static int copy(const struct stream_job *job, struct byte_sink *sink, struct secure_buffer *piece,
                struct error *err)
{
    uint64_t position = 0;
    size_t size;

    do {
        if (byte_source_pread(job->input, secure_buffer_data(piece), PIECE_BYTES, position,
                              job->cancel, &size, err) < 0 ||
            byte_sink_write(sink, secure_buffer_bytes(piece), size, job->cancel, err) < 0)
            return -1;
        position += size;
    } while (size == PIECE_BYTES);
    return byte_sink_commit(sink, job->cancel, err);
}

static int encrypt(const struct stream_job *job, struct error *err)
{
    CLEANUP(byte_sink_free) struct byte_sink *sink = NULL;
    CLEANUP(secure_buffer_free) struct secure_buffer *piece = NULL;
    const struct codec *codec;

    if (codecs_find(job->codecs, "GPG", &codec, err) < 0 ||
        codec_open_sink(codec, job->arena, job->passphrase, byte_source_size(job->input),
                        job->output, &sink, err) < 0 ||
        secure_buffer_new(job->arena, PIECE_BYTES, &piece, err) < 0)
        return -1;
    return copy(job, sink, piece, err);
}

int command_encrypt(int argc, char **argv)
{
    static const struct stream_command command = {
        .name = "encrypt", .help = help, .encrypts = true, .run = encrypt};

    return stream_command_run(&command, argc, argv);
}
