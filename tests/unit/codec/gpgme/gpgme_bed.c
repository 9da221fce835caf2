/* SPDX-License-Identifier: Apache-2.0 */
#include "gpgme_bed.h"

#include "codec/gpgme/gpg_agent.h"
#include "support/delay.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOOKS 500
#define BETWEEN_LOOKS_MS 10

void gpgme_bed_open(struct gpgme_bed *bed)
{
    memset(bed, 0, sizeof *bed);
    bed->dir = temp_dir_new();
    bed->runtime = temp_dir_join(bed->dir, "run");
    (void)bed_arena();
}

void gpgme_bed_open_codec(struct gpgme_bed *bed, enum codec_engine engine, const char *keyring)
{
    const struct codecs_options options = {
        .engine = engine, .runtime = bed->runtime, .keyring = keyring};
    struct error err = ERROR_INIT;

    assert_succeeds(codecs_new(&options, &bed->codecs, &err));
    assert_succeeds(codecs_find(bed->codecs, "GPG", &bed->codec, &err));
}

static size_t count_entries(const char *path)
{
    DIR *directory = opendir(path);
    size_t count = 0;

    if (directory == NULL)
        return 0;
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory))
        count += entry->d_name[0] != '.' ? 1 : 0;
    (void)closedir(directory);
    return count;
}

/* A helper whose parent was killed takes its time. */
static bool becomes_empty(const char *path)
{
    struct error ignored = ERROR_INIT;

    for (unsigned i = 0; i < LOOKS; i++) {
        if (count_entries(path) == 0)
            return true;
        (void)delay(BETWEEN_LOOKS_MS, NULL, &ignored);
    }
    return false;
}

void gpgme_bed_close(struct gpgme_bed *bed)
{
    codecs_free(bed->codecs);
    assert_true(becomes_empty(bed->runtime));
    assert_true(processes_with_become(temp_dir_path(bed->dir), 0));
    free(bed->runtime);
    temp_dir_free(bed->dir);
}

static bool file_has(const char *pid, const char *name, const char *text)
{
    char path[64], bytes[16384];
    size_t size = 0;
    ssize_t got = 1;
    int fd;

    (void)snprintf(path, sizeof path, "/proc/%s/%s", pid, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    while (got > 0 && size < sizeof bytes) {
        got = read(fd, bytes + size, sizeof bytes - size);
        size += got > 0 ? (size_t)got : 0;
    }
    (void)close(fd);
    return memmem(bytes, size, text, strlen(text)) != NULL;
}

unsigned processes_with(const char *text, pid_t *ret)
{
    DIR *processes = opendir("/proc");
    unsigned count = 0;

    assert_non_null(processes);
    for (struct dirent *entry = readdir(processes); entry != NULL; entry = readdir(processes)) {
        const pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

        if (!isdigit((unsigned char)entry->d_name[0]) || pid == getpid())
            continue;
        if (!file_has(entry->d_name, "environ", text) && !file_has(entry->d_name, "cmdline", text))
            continue;
        if (count++ == 0 && ret != NULL)
            *ret = pid;
    }
    (void)closedir(processes);
    return count;
}

bool processes_with_become(const char *text, unsigned expected)
{
    struct error ignored = ERROR_INIT;

    for (unsigned i = 0; i < LOOKS; i++) {
        if (processes_with(text, NULL) == expected)
            return true;
        (void)delay(BETWEEN_LOOKS_MS, NULL, &ignored);
    }
    return false;
}

static bool is_gpg(pid_t pid)
{
    char name[16];

    (void)snprintf(name, sizeof name, "%d", pid);
    return file_has(name, "comm", "gpg\n");
}

bool gpg_leaves(const char *home)
{
    struct error ignored = ERROR_INIT;

    for (unsigned i = 0; i < LOOKS; i++) {
        pid_t pid = 0;
        const unsigned count = processes_with(home, &pid);

        if (count == 0 || (count == 1 && !is_gpg(pid)))
            return true;
        (void)delay(BETWEEN_LOOKS_MS, NULL, &ignored);
    }
    return false;
}

void run_gpg(const char *home, const char *const *arguments)
{
    const char *argv[32] = {"gpg", "--homedir", home, "--batch", "--yes", "--quiet"};
    size_t count = 6;
    int status = -1;
    pid_t child;

    for (; *arguments != NULL; arguments++) {
        assert_in_range(count, 0, ELEMENTS_OF(argv) - 2);
        argv[count++] = *arguments;
    }
    (void)fflush(NULL);
    child = fork();
    assert_int_not_equal(child, -1);
    if (child == 0) {
        (void)execvp("gpg", (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    assert_int_equal(status, 0);
}

char *make_keyring(struct gpgme_bed *bed, const char *name)
{
    const char *const arguments[] = {
        "--passphrase", "", "--quick-generate-key", name, "future-default", "default", "0", NULL};
    char *home = temp_dir_join(bed->dir, "keys");

    assert_int_equal(mkdir(home, S_IRWXU), 0);
    run_gpg(home, arguments);
    gpg_agent_stop(home);
    return home;
}
