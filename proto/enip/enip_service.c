/*
 * What services mean: the general ones (CIP appendix A), and those of single classes. A row
 * gives the name that the class has for it and the two bodies; without a body it stays hex.
 */
#include "proto/enip/enip.h"

/* The inside of these two is read by enip_cip.c, behind the message itself. */
static void
read_inside(struct enip_pdu *pdu, struct enip_node *node, struct cursor *body)
{
	(void)pdu;
	(void)node;
	cursor_skip(body, cursor_left(body));
}

static void
read_unconnected(struct enip_pdu *pdu, struct enip_node *node, struct cursor *body)
{
	uint16_t len;

	(void)pdu;
	(void)node;
	cursor_skip(body, 2);
	len = cursor_le16(body);
	cursor_skip(body, (size_t)len + len % 2);
	len = cursor_u8(body);
	cursor_skip(body, 1 + (size_t)len * 2);
}

enum {
	CLASS_PARAMETER = 0x0f,
	CLASS_FILE = 0x37,
	CLASS_SAFETY_SUPERVISOR = 0x39,
	CLASS_SAFETY_VALIDATOR = 0x3a,
	CLASS_DLR = 0x47,
	CLASS_CIP_SECURITY = 0x5d,
	CLASS_ENIP_SECURITY = 0x5e,
	CLASS_CERTIFICATE = 0x5f,
	CLASS_TAG = ENIP_CLASS_SYMBOL,
	CLASS_MANAGER = ENIP_CLASS_CONNECTION_MANAGER,
	CLASS_LINK = 0xf6,
};

#define ANY ENIP_CLASS_ANY

const struct enip_service enip_service_table[] = {
	{ ANY, ENIP_GET_ATTRIBUTES_ALL, NULL, NULL, enip_read_attributes_all },
	{ ANY, ENIP_SET_ATTRIBUTES_ALL, NULL, enip_read_attributes_set_all, NULL },
	{ ANY, ENIP_GET_ATTRIBUTE_LIST, NULL, enip_read_attribute_ids, enip_read_attribute_list },
	{ ANY, ENIP_SET_ATTRIBUTE_LIST, NULL, enip_read_attribute_list_set, enip_read_attribute_statuses },
	{ ANY, ENIP_MULTIPLE_SERVICE, NULL, read_inside, read_inside },
	{ ANY, ENIP_GET_ATTRIBUTE_SINGLE, NULL, NULL, enip_read_attribute_single },
	{ ANY, ENIP_SET_ATTRIBUTE_SINGLE, NULL, enip_read_attribute_set, NULL },
	{ ENIP_CLASS_IDENTITY, 0x4b, "Flash LEDs", NULL, NULL },
	{ CLASS_PARAMETER, 0x4b, "Get Enum String", NULL, NULL },
	{ CLASS_FILE, 0x4b, "Initiate Upload", NULL, NULL },
	{ CLASS_SAFETY_VALIDATOR, 0x4b, "Reset Error", NULL, NULL },
	{ CLASS_DLR, 0x4b, "Verify Fault Location", NULL, NULL },
	{ CLASS_CIP_SECURITY, 0x4b, "Begin Config", NULL, NULL },
	{ CLASS_ENIP_SECURITY, 0x4b, "Begin Config", NULL, NULL },
	{ CLASS_CERTIFICATE, 0x4b, "Create CSR", NULL, NULL },
	{ ENIP_CLASS_PCCC, 0x4b, "Execute PCCC", enip_pccc_request, enip_pccc_reply },
	{ CLASS_FILE, 0x4c, "Initiate Download", NULL, NULL },
	{ CLASS_DLR, 0x4c, "Clear Rapid Faults", NULL, NULL },
	{ CLASS_CIP_SECURITY, 0x4c, "Kick Timer", NULL, NULL },
	{ CLASS_ENIP_SECURITY, 0x4c, "Kick Timer", NULL, NULL },
	{ CLASS_CERTIFICATE, 0x4c, "Verify Certificate", NULL, NULL },
	{ CLASS_TAG, 0x4c, "Read Tag", enip_tag_read_request, enip_tag_read_reply },
	{ ENIP_CLASS_TEMPLATE, 0x4c, "Read Template", enip_template_read_request, NULL },
	{ CLASS_LINK, 0x4c, "Get And Clear", NULL, enip_read_attribute_single },
	{ CLASS_FILE, 0x4d, "Initiate Partial Read", NULL, NULL },
	{ CLASS_DLR, 0x4d, "Restart Sign On", NULL, NULL },
	{ CLASS_CIP_SECURITY, 0x4d, "End Config", NULL, NULL },
	{ CLASS_ENIP_SECURITY, 0x4d, "Apply Config", NULL, NULL },
	{ CLASS_TAG, 0x4d, "Write Tag", enip_tag_write_request, NULL },
	{ CLASS_MANAGER, ENIP_FORWARD_CLOSE, "Forward Close", enip_forward_close_request, enip_forward_close_reply },
	{ CLASS_FILE, 0x4e, "Initiate Partial Write", NULL, NULL },
	{ CLASS_SAFETY_SUPERVISOR, 0x4e, "Recover", NULL, NULL },
	{ CLASS_CIP_SECURITY, 0x4e, "Object Cleanup", NULL, NULL },
	{ CLASS_ENIP_SECURITY, 0x4e, "Abort Config", NULL, NULL },
	{ CLASS_TAG, 0x4e, "Read Modify Write Tag", enip_tag_modify_request, NULL },
	{ CLASS_FILE, 0x4f, "Upload Transfer", NULL, NULL },
	{ CLASS_SAFETY_SUPERVISOR, 0x4f, "Perform Diagnostics", NULL, NULL },
	{ CLASS_FILE, 0x50, "Download Transfer", NULL, NULL },
	{ CLASS_SAFETY_SUPERVISOR, 0x50, "Configure Request", NULL, NULL },
	{ CLASS_FILE, 0x51, "Clear File", NULL, NULL },
	{ CLASS_SAFETY_SUPERVISOR, 0x51, "Validate Configuration", NULL, NULL },
	{ CLASS_MANAGER, ENIP_UNCONNECTED_SEND, "Unconnected Send", read_unconnected, NULL },
	{ CLASS_SAFETY_SUPERVISOR, 0x52, "Set Password", NULL, NULL },
	{ CLASS_TAG, 0x52, "Read Tag Fragmented", enip_tag_read_fragment_request, enip_tag_read_reply },
	{ CLASS_SAFETY_SUPERVISOR, 0x53, "Configuration Lock", NULL, NULL },
	{ CLASS_TAG, 0x53, "Write Tag Fragmented", enip_tag_write_fragment_request, NULL },
	{ CLASS_MANAGER, ENIP_FORWARD_OPEN, "Forward Open", enip_forward_open_request, enip_forward_open_reply },
	{ CLASS_SAFETY_SUPERVISOR, 0x54, "Mode Change", NULL, NULL },
	{ CLASS_SAFETY_SUPERVISOR, 0x55, "Safety Reset", NULL, NULL },
	{ CLASS_TAG, 0x55, "Get Instance Attribute List", enip_read_attribute_ids, enip_tag_list_reply },
	{ CLASS_MANAGER, 0x56, "Get Connection Data", NULL, NULL },
	{ CLASS_SAFETY_SUPERVISOR, 0x56, "Reset Password", NULL, NULL },
	{ CLASS_MANAGER, 0x57, "Search Connection Data", NULL, NULL },
	{ CLASS_SAFETY_SUPERVISOR, 0x57, "Propose TUNID", NULL, NULL },
	{ CLASS_SAFETY_SUPERVISOR, 0x58, "Apply TUNID", NULL, NULL },
	{ CLASS_SAFETY_SUPERVISOR, 0x59, "Propose TUNID List", NULL, NULL },
	{ CLASS_MANAGER, 0x5a, "Get Connection Owner", NULL, NULL },
	{ CLASS_SAFETY_SUPERVISOR, 0x5a, "Apply TUNID List", NULL, NULL },
	{ CLASS_MANAGER, ENIP_LARGE_FORWARD_OPEN, "Large Forward Open", enip_large_forward_open_request,
		enip_forward_open_reply },
};
const unsigned int enip_service_count = sizeof(enip_service_table) / sizeof(enip_service_table[0]);
