/* SPDX-License-Identifier: Apache-2.0 */
#include "glancefs/image_vetting.h"

#include "view/image_signature.h"
#include "view/ownership.h"

#include <stdlib.h>

struct image_vetting {
    const struct config *config;
    const struct identity *identity;
    struct signature_policy *signatures;
};

int image_vetting_new(const struct config *config, const struct identity *identity,
                      struct key_manager *keys, struct image_vetting **ret, struct error *err)
{
    CLEANUP(image_vetting_free) struct image_vetting *vetting = calloc(1, sizeof *vetting);

    if (vetting == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    vetting->config = config;
    vetting->identity = identity;
    if (signature_policy_new(config, keys, &vetting->signatures, err) < 0)
        return -1;
    *ret = steal(&vetting);
    return 0;
}

void image_vetting_free(struct image_vetting *vetting)
{
    if (vetting == NULL)
        return;
    signature_policy_free(vetting->signatures);
    free(vetting);
}

int image_vetting_check_owner(const struct image_vetting *vetting,
                              const struct image_record *record, struct error *err)
{
    return ownership_check(record, vetting->identity, vetting->config->foreign_owners, err);
}

int image_vetting_observe(const struct image_vetting *vetting, const struct image_record *record,
                          struct cancel *cancel, struct byte_sink **ret, struct error *err)
{
    *ret = NULL;
    if (!signature_policy_asks(vetting->signatures))
        return 0;
    return signature_sink_new(vetting->signatures, record, NULL, cancel, ret, err);
}
