/* SPDX-License-Identifier: Apache-2.0 */
#include "glancefs/identity_service.h"

int identity_service_identify(struct identity_service *service, struct cancel *cancel,
                              struct identity *ret, struct error *err)
{
    if (cancel_check(cancel, err) < 0)
        return -1;
    return service->ops->identify(service, cancel, ret, err);
}

void identity_service_free(struct identity_service *service)
{
    if (service != NULL)
        service->ops->free(service);
}
