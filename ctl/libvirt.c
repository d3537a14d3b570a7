/* SPDX-License-Identifier: MIT */
/*
 * libvirt - a disk as a libvirt domain has it
 */
#include <errno.h>
#include <stdio.h>

#include "common/base.h"
#include "common/log.h"
#include "ctl/commands.h"
#include "ctl/disks.h"
#include "ctl/reply.h"
#include "ctl/text.h"

#define TAG	      "ringhost"
#define USUAL_NR_CPUS 4 /* a queue for each; more than the disk has: refused */

static void print_xml(FILE *file, json_t *disk)
{
	uint64_t nr_queues = reply_number(disk, "queues");

	fprintf(file, "<!-- The domain needs shared memory:\n"
		      "<memoryBacking>\n"
		      "  <source type='memfd'/>\n"
		      "  <access mode='shared'/>\n"
		      "</memoryBacking>\n"
		      "-->\n");
	fprintf(file,
		"<!-- queues: one for each virtual CPU, at most %u -->\n"
		"<disk type='vhostuser' device='disk'>\n"
		"  <driver name='qemu' type='raw' queues='%u'/>\n"
		"  <source type='unix' path='",
		(unsigned int)nr_queues,
		(unsigned int)MAX(MIN(nr_queues, (uint64_t)USUAL_NR_CPUS),
				  UINT64_C(1)));
	text_print_xml(file, reply_text(disk, "socket"));
	fputs("'>\n"
	      "    <reconnect enabled='yes' timeout='1'/>\n"
	      "  </source>\n"
	      "  <target dev='vda' bus='virtio'/>\n"
	      "</disk>\n",
	      file);
}

/* The element as a string, for programs that put it into a domain. */
static int print_json(json_t *disk)
{
	cleanup_free char *xml = NULL;
	size_t nr_bytes;
	FILE *file = open_memstream(&xml, &nr_bytes);

	if (!file)
		return -ENOMEM;
	print_xml(file, disk);
	if (fclose(file) != 0)
		return -ENOMEM;
	return ctl_print_json(json_pack("{s:s,s:s}", "id",
					reply_text(disk, "id"), "xml", xml));
}

int ctl_libvirt_xml(struct ctl *ctl)
{
	json_t *disk = disks_get_one(&ctl->link, ctl->options->args[0]);
	cleanup_free char *socket = NULL;
	int error = 0;

	if (!disk)
		return -ENOENT;
	socket = text_escape(reply_text(disk, "socket"));
	if (!socket || *socket != '/') {
		rh_log(RH_LOG_ERROR, TAG,
		       "libvirt needs a socket with an absolute path, and this "
		       "disk has %s%s",
		       socket && *socket ? "the relative one " :
					   "an inherited one",
		       socket ? socket : "");
		error = -EINVAL;
	} else if (ctl->options->json) {
		error = print_json(disk);
	} else {
		print_xml(stdout, disk);
	}
	json_decref(disk);
	return error == -EINVAL ? -EIO : error;
}
