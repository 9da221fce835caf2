/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slow_disk BACKING MOUNTPOINT: shows the file BACKING as MOUNTPOINT/disk, to be used as a loop
 * device. As long as a file BACKING.stalled exists, reads of it wait: a disk that hangs.
 */
#define FUSE_USE_VERSION 314
#include <errno.h>
#include <fcntl.h>
#include <fuse3/fuse.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DISK "/disk"
#define LOOK_MICROSECONDS 2000

/* What the program was told; constant while it runs. */
struct disk {
    int fd;
    char stalled[4096];
};

static const struct disk *disk_of_request(void)
{
    return fuse_get_context()->private_data;
}

static int show_attributes(const char *path, struct stat *ret, struct fuse_file_info *file)
{
    (void)file;
    if (strcmp(path, DISK) == 0)
        return fstat(disk_of_request()->fd, ret) == 0 ? 0 : -errno;
    *ret = (struct stat){.st_mode = S_IFDIR | 0700, .st_nlink = 2};
    return strcmp(path, "/") == 0 ? 0 : -ENOENT;
}

/* Past the page cache, so that every read of the device comes here. */
static int open_disk(const char *path, struct fuse_file_info *file)
{
    file->direct_io = 1;
    return strcmp(path, DISK) == 0 ? 0 : -ENOENT;
}

static int read_disk(const char *path, char *buffer, size_t size, off_t offset,
                     struct fuse_file_info *file)
{
    const struct disk *disk = disk_of_request();
    ssize_t result;

    (void)path;
    (void)file;
    while (access(disk->stalled, F_OK) == 0)
        (void)usleep(LOOK_MICROSECONDS);
    result = pread(disk->fd, buffer, size, offset);
    return result < 0 ? -errno : (int)result;
}

static int write_disk(const char *path, const char *buffer, size_t size, off_t offset,
                      struct fuse_file_info *file)
{
    const ssize_t result = pwrite(disk_of_request()->fd, buffer, size, offset);

    (void)path;
    (void)file;
    return result < 0 ? -errno : (int)result;
}

static int sync_disk(const char *path, int only_data, struct fuse_file_info *file)
{
    (void)path;
    (void)only_data;
    (void)file;
    return 0;
}

int main(int argc, char **argv)
{
    static const struct fuse_operations operations = {.getattr = show_attributes,
                                                      .open = open_disk,
                                                      .read = read_disk,
                                                      .write = write_disk,
                                                      .fsync = sync_disk};
    struct disk disk;
    char *arguments[] = {argv[0], "-f", "-o", "max_threads=64", argv[2], NULL};

    if (argc != 3)
        return 2;
    (void)snprintf(disk.stalled, sizeof disk.stalled, "%s.stalled", argv[1]);
    disk.fd = open(argv[1], O_RDWR | O_CLOEXEC);
    if (disk.fd < 0) {
        perror(argv[1]);
        return 1;
    }
    return fuse_main(5, arguments, &operations, &disk);
}
