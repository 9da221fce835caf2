/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/packet_type.h"

bool packet_type_is_ignorable(uint8_t type)
{
    return type == PACKET_MARKER || type == PACKET_PADDING || type >= PACKET_FIRST_NON_CRITICAL;
}

bool packet_type_is_encrypted_data(uint8_t type)
{
    return type == PACKET_SEIPD || type == PACKET_AEAD_ENCRYPTED_DATA;
}

bool packet_type_is_data(uint8_t type)
{
    return type == PACKET_COMPRESSED_DATA || type == PACKET_SED || type == PACKET_LITERAL_DATA ||
           type == PACKET_SEIPD || type == PACKET_AEAD_ENCRYPTED_DATA;
}
