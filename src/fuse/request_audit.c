/* SPDX-License-Identifier: Apache-2.0 */
#include "fuse/request_audit.h"

#include "base/audit.h"
#include "fuse/filesystem.h"

/* Adds the caller, and writes the line if lines are wanted. */
static void write_event(fuse_req_t req, struct audit_event event)
{
    const struct fuse_ctx *caller = fuse_req_ctx(req);

    if (!filesystem_of(req)->config->audit)
        return;
    event.has_caller = true;
    event.uid = caller->uid;
    event.pid = caller->pid;
    audit_write(&event);
}

/* --- decrypt/ --- */

void audit_open_at_once(fuse_req_t req, const char *id, const struct read_stream *stream,
                        int errnum)
{
    char key_id[37];

    image_index_key_id(filesystem_of(req)->index, id, key_id);
    write_event(req, (struct audit_event){
                         .event = "open",
                         .view = "decrypt",
                         .image = id,
                         .key_id = key_id,
                         .verified = stream != NULL ? read_stream_verification(stream) : NULL,
                         .errnum = errnum});
}

void audit_open_to_read(const struct request *request, int errnum)
{
    audit_open_at_once(request->req, request->name,
                       errnum == 0 ? request->found.handle->stream : NULL, errnum);
}

/* --- encrypt/ --- */

static void write_written(const struct request *request, const char *event, const char *key_id,
                          int errnum)
{
    char image_id[37];
    char current_key_id[37];
    const bool is_ours =
        write_index_identify(request->filesystem->writes, request->name, image_id, current_key_id);

    write_event(request->req,
                (struct audit_event){.event = event,
                                     .view = "encrypt",
                                     .image = is_ours ? image_id : request->name,
                                     .key_id = key_id != NULL ? key_id : current_key_id,
                                     .errnum = errnum});
}

void audit_open_to_write(const struct request *request, int errnum)
{
    write_written(request, "open", NULL, errnum);
}

void audit_note_key(struct request *request)
{
    char image_id[37];

    (void)write_index_identify(request->filesystem->writes, request->name, image_id,
                               request->key_id);
}

void audit_seal(const struct request *request, int errnum)
{
    write_written(request, "seal", request->key_id, errnum);
}
