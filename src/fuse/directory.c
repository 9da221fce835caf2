/* SPDX-License-Identifier: Apache-2.0 */
/* Names: look-up, and directories as snapshots that were taken when they were opened. */
#include "base/uuid.h"
#include "fuse/attributes.h"
#include "fuse/filesystem.h"
#include "fuse/written_file.h"
#include "glancefs/limits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- lookup --- */

static void reply_no_entry(fuse_req_t req)
{
    const struct fuse_entry_param nothing = {.entry_timeout = NEGATIVE_TIMEOUT_SECONDS};

    (void)fuse_reply_entry(req, &nothing);
}

/* Fills in an image's entry and counts the look-up. */
static int make_image_entry(struct filesystem *filesystem, const struct image_attributes *image,
                            struct fuse_entry_param *ret, struct error *err)
{
    *ret = (struct fuse_entry_param){.entry_timeout = ENTRY_TIMEOUT_SECONDS};
    if (inode_table_look_up(filesystem->inodes, INODE_DECRYPT, image->id, &ret->ino, err) < 0)
        return -1;
    attributes_of_image(filesystem, ret->ino, image, &ret->attr, &ret->attr_timeout);
    return 0;
}

static void reply_image_entry(fuse_req_t req, const struct image_attributes *image)
{
    struct filesystem *filesystem = filesystem_of(req);
    struct fuse_entry_param entry;
    struct error error = ERROR_INIT;

    if (make_image_entry(filesystem, image, &entry, &error) < 0)
        (void)fuse_reply_err(req, error.errnum);
    else if (fuse_reply_entry(req, &entry) == -ENOENT)
        inode_table_forget(filesystem->inodes, entry.ino, 1); /* the caller is gone */
}

static int work_lookup(struct request *request, struct error *err)
{
    return image_index_lookup(request->filesystem->index, request->name, request->cancel,
                              &request->found.attributes, err);
}

static void answer_lookup(struct request *request)
{
    reply_image_entry(request->req, &request->found.attributes);
}

static void answer_failed_lookup(struct request *request, const struct error *err)
{
    if (err->kind == ERROR_NOT_FOUND)
        reply_no_entry(request->req);
    else
        request_answer_error(request, err);
}

static const struct request_kind lookup_kind = {.name = "lookup",
                                                .work = work_lookup,
                                                .answer = answer_lookup,
                                                .answer_failure = answer_failed_lookup};

static void look_up_image(fuse_req_t req, const char *name)
{
    struct image_attributes image;
    struct request *request;

    if (!uuid_is_valid(name)) {
        reply_no_entry(req);
    } else if (image_index_peek(filesystem_of(req)->index, name, &image)) {
        reply_image_entry(req, &image);
    } else if ((request = request_new(req, &lookup_kind, INODE_DECRYPT)) != NULL) {
        request_set_name(request, INODE_DECRYPT, name);
        request_start(request);
    }
}

static void reply_written_entry(fuse_req_t req, const struct write_attributes *file)
{
    struct filesystem *filesystem = filesystem_of(req);
    struct fuse_entry_param entry;
    struct error error = ERROR_INIT;

    if (written_file_make_entry(filesystem, file, &entry, &error) < 0)
        (void)fuse_reply_err(req, error.errnum);
    else if (fuse_reply_entry(req, &entry) == -ENOENT)
        inode_table_forget(filesystem->inodes, entry.ino, 1); /* the caller is gone */
}

static int work_lookup_written(struct request *request, struct error *err)
{
    return write_index_lookup(request->filesystem->writes, request->name, request->cancel,
                              &request->found.written, err);
}

static void answer_lookup_written(struct request *request)
{
    reply_written_entry(request->req, &request->found.written);
}

static const struct request_kind lookup_written_kind = {.name = "lookup",
                                                        .work = work_lookup_written,
                                                        .answer = answer_lookup_written,
                                                        .answer_failure = answer_failed_lookup};

static void look_up_written(fuse_req_t req, const char *name)
{
    struct write_attributes file;
    struct request *request;

    switch (write_index_peek(filesystem_of(req)->writes, name, &file)) {
    case WRITE_ABSENT:
        reply_no_entry(req);
        break;
    case WRITE_PRESENT:
        reply_written_entry(req, &file);
        break;
    case WRITE_UNKNOWN:
        request = request_new(req, &lookup_written_kind, INODE_ENCRYPT);
        if (request != NULL) {
            request_set_name(request, INODE_ENCRYPT, name);
            request_start(request);
        }
        break;
    }
}

static void look_up_node(fuse_req_t req, fuse_ino_t inode)
{
    struct fuse_entry_param entry = {.ino = inode, .entry_timeout = ENTRY_TIMEOUT_SECONDS};

    (void)attributes_of_node(filesystem_of(req), inode, &entry.attr, &entry.attr_timeout);
    (void)fuse_reply_entry(req, &entry);
}

void handle_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    if (parent == INODE_DECRYPT)
        look_up_image(req, name);
    else if (parent == INODE_ENCRYPT)
        look_up_written(req, name);
    else if (parent == FUSE_ROOT_ID && strcmp(name, "decrypt") == 0)
        look_up_node(req, INODE_DECRYPT);
    else if (parent == FUSE_ROOT_ID && strcmp(name, "encrypt") == 0)
        look_up_node(req, INODE_ENCRYPT);
    else if (parent == FUSE_ROOT_ID && strcmp(name, "status") == 0)
        look_up_node(req, INODE_STATUS);
    else if (parent == FUSE_ROOT_ID && strcmp(name, ".metrics") == 0)
        look_up_node(req, INODE_METRICS);
    else
        reply_no_entry(req);
}

void handle_forget(fuse_req_t req, fuse_ino_t inode, uint64_t count)
{
    inode_table_forget(filesystem_of(req)->inodes, inode, count);
    fuse_reply_none(req);
}

void handle_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
    for (size_t i = 0; i < count; i++)
        inode_table_forget(filesystem_of(req)->inodes, forgets[i].ino, forgets[i].nlookup);
    fuse_reply_none(req);
}

/* --- opendir --- */

static int work_opendir(struct request *request, struct error *err)
{
    CLEANUP(image_listing_free) struct image_listing *listing = NULL;
    struct filesystem *filesystem = request->filesystem;

    if (image_index_list(filesystem->index, request->cancel, &listing, err) < 0 ||
        open_handles_add(&filesystem->handles, &(struct open_handle){.listing = listing},
                         &request->found.handle, err) < 0)
        return -1;
    listing = NULL; /* the handle's now */
    return 0;
}

static int work_opendir_written(struct request *request, struct error *err)
{
    CLEANUP(memory_free) struct write_listing *files = NULL;
    struct filesystem *filesystem = request->filesystem;

    if (write_index_list(filesystem->writes, request->cancel, &files, err) < 0 ||
        open_handles_add(&filesystem->handles, &(struct open_handle){.files = files},
                         &request->found.handle, err) < 0)
        return -1;
    files = NULL; /* the handle's now */
    return 0;
}

static void answer_opendir(struct request *request)
{
    request->file.fh = open_handle_number(request->found.handle);
    if (fuse_reply_open(request->req, &request->file) == -ENOENT)
        open_handles_close(&request->filesystem->handles, request->found.handle);
}

static const struct request_kind opendir_kind = {
    .name = "opendir", .work = work_opendir, .answer = answer_opendir};
static const struct request_kind opendir_written_kind = {
    .name = "opendir", .work = work_opendir_written, .answer = answer_opendir};

void handle_opendir(fuse_req_t req, fuse_ino_t inode, struct fuse_file_info *file)
{
    struct request *request;

    if (inode == FUSE_ROOT_ID) {
        file->fh = 0;
        (void)fuse_reply_open(req, file);
    } else if (inode != INODE_DECRYPT && inode != INODE_ENCRYPT) {
        (void)fuse_reply_err(req, ENOTDIR);
    } else if ((request =
                    request_new(req, inode == INODE_DECRYPT ? &opendir_kind : &opendir_written_kind,
                                inode)) != NULL) {
        request->file = *file;
        request_start(request);
    }
}

void handle_releasedir(fuse_req_t req, fuse_ino_t inode, struct fuse_file_info *file)
{
    (void)inode;
    open_handles_close(&filesystem_of(req)->handles, open_handle_from_number(file->fh));
    (void)fuse_reply_err(req, 0);
}

/* --- readdir --- */

/* A page of a directory, as it is filled. */
struct page {
    fuse_req_t req;
    fuse_ino_t directory;
    const struct image_listing *listing; /* of decrypt, else NULL */
    const struct write_listing *files;   /* of encrypt, else NULL */
    bool with_attributes;                /* readdirplus */
    char *bytes;
    size_t capacity, size;
};

/* Adds one entry, whose successor's cookie is `next`; false when the page is full. */
static bool add_to_page(struct page *page, const char *name, const struct fuse_entry_param *entry,
                        off_t next)
{
    char *place = page->bytes + page->size;
    const size_t room = page->capacity - page->size;
    const size_t size = page->with_attributes
                            ? fuse_add_direntry_plus(page->req, place, room, name, entry, next)
                            : fuse_add_direntry(page->req, place, room, name, &entry->attr, next);

    if (size > room)
        return false;
    page->size += size;
    return true;
}

/* A directory or the status file. The kernel looks it up by name when it wants to know more. */
static bool add_node(struct page *page, const char *name, fuse_ino_t inode, off_t next)
{
    struct fuse_entry_param entry = {.ino = 0};
    double timeout;

    (void)attributes_of_node(filesystem_of(page->req), inode, &entry.attr, &timeout);
    return add_to_page(page, name, &entry, next);
}

static fuse_ino_t number_of(const struct page *page, const char *name)
{
    return inode_table_number_of(filesystem_of(page->req)->inodes, page->directory, name);
}

/* Without attributes: the kernel may not keep them anyway. */
static bool add_written(struct page *page, const struct write_attributes *file, off_t next)
{
    struct fuse_entry_param entry = {.ino = 0};

    attributes_of_written(filesystem_of(page->req), number_of(page, file->name), file, &entry.attr);
    return add_to_page(page, file->name, &entry, next);
}

static bool add_image_name(struct page *page, const struct image_attributes *image, off_t next)
{
    struct fuse_entry_param entry = {.ino = 0};
    double timeout;

    attributes_of_image(filesystem_of(page->req), number_of(page, image->id), image, &entry.attr,
                        &timeout);
    return add_to_page(page, image->id, &entry, next);
}

/*
 * Where a look-up of the name is under way the kernel would make the whole listing wait for its
 * answer before it took our attributes. A name without them it takes at once; that also serves
 * where the inode table has no room.
 */
static bool add_image(struct page *page, const struct image_attributes *image, off_t next)
{
    struct filesystem *filesystem = filesystem_of(page->req);
    struct error ignored = ERROR_INIT;
    struct fuse_entry_param entry;

    if (!page->with_attributes ||
        request_list_has(&filesystem->requests, &lookup_kind, image->id) ||
        make_image_entry(filesystem, image, &entry, &ignored) < 0)
        return add_image_name(page, image, next);
    if (add_to_page(page, image->id, &entry, next))
        return true;
    inode_table_forget(filesystem->inodes, entry.ino, 1);
    return false;
}

/* Adds entry number `index`; false when there is none or the page is full. */
static bool add_entry(struct page *page, size_t index)
{
    static const struct {
        const char *name;
        fuse_ino_t inode;
    } root[] = {{"decrypt", INODE_DECRYPT}, {"encrypt", INODE_ENCRYPT}, {"status", INODE_STATUS}};
    const off_t next = (off_t)index + 1;

    if (index == 0)
        return add_node(page, ".", page->directory, next);
    if (index == 1)
        return add_node(page, "..", FUSE_ROOT_ID, next);
    index -= 2;
    if (page->files != NULL)
        return index < page->files->count && add_written(page, &page->files->files[index], next);
    if (page->listing == NULL)
        return index < sizeof root / sizeof root[0] &&
               add_node(page, root[index].name, root[index].inode, next);
    return index < page->listing->count && add_image(page, &page->listing->images[index], next);
}

static void read_directory(fuse_req_t req, fuse_ino_t inode, size_t size, off_t offset,
                           const struct fuse_file_info *file, bool with_attributes)
{
    const struct open_handle *handle = open_handle_from_number(file->fh);
    struct page page = {.req = req,
                        .directory = inode,
                        .listing = handle != NULL ? handle->listing : NULL,
                        .files = handle != NULL ? handle->files : NULL,
                        .with_attributes = with_attributes,
                        .capacity = size < FUSE_REQUEST_BYTES ? size : FUSE_REQUEST_BYTES};

    page.bytes = malloc(page.capacity);
    if (page.bytes == NULL) {
        (void)fuse_reply_err(req, ENOMEM);
        return;
    }
    for (size_t index = (size_t)offset; add_entry(&page, index); index++)
        ;
    (void)fuse_reply_buf(req, page.bytes, page.size);
    free(page.bytes);
}

void handle_readdir(fuse_req_t req, fuse_ino_t inode, size_t size, off_t offset,
                    struct fuse_file_info *file)
{
    read_directory(req, inode, size, offset, file, false);
}

void handle_readdirplus(fuse_req_t req, fuse_ino_t inode, size_t size, off_t offset,
                        struct fuse_file_info *file)
{
    read_directory(req, inode, size, offset, file, true);
}
