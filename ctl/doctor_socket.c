/* SPDX-License-Identifier: MIT */
/*
 * doctor_socket - who may connect to a socket, and who could replace it
 *
 * To connect takes the right to write to the socket, and to search each
 * directory on the way to it. Looked at are the bits of the mode; a directory
 * with an access control list may allow more.
 */
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "ctl/doctor.h"

#define SUBJECT	   "socket"
#define MAX_GROUPS 256
#define SO_ACCEPTS (1u << 16) /* the kernel's __SO_ACCEPTCON */
#define MAY_SEARCH 1u
#define MAY_WRITE  2u

/* That libvirt starts QEMU as, by distribution; those that are here count. */
static const char *const usual_users[] = { "libvirt-qemu", "qemu" };

struct user {
	const char *name;
	uid_t uid;
	gid_t groups[MAX_GROUPS];
	int nr_groups;
};

static bool find_user(const char *name, struct user *ret)
{
	const struct passwd *entry = getpwnam(name);

	if (!entry)
		return false;
	*ret = (struct user){ .name = name,
			      .uid = entry->pw_uid,
			      .nr_groups = MAX_GROUPS };
	if (getgrouplist(name, entry->pw_gid, ret->groups, &ret->nr_groups) < 0)
		ret->nr_groups = MAX_GROUPS;
	return true;
}

static bool is_in(const struct user *user, gid_t gid)
{
	for (int i = 0; i < user->nr_groups; i++) {
		if (user->groups[i] == gid)
			return true;
	}
	return false;
}

static bool may(const struct user *user, const struct stat *status,
		unsigned int right)
{
	unsigned int shift = 0;

	if (!user->uid)
		return true;
	if (user->uid == status->st_uid)
		shift = 6;
	else if (is_in(user, status->st_gid))
		shift = 3;
	return (status->st_mode >> shift & right) == right;
}

static const char *group_name(gid_t gid)
{
	const struct group *entry = getgrgid(gid);

	return entry ? entry->gr_name : "?";
}

static const char *user_name(uid_t uid)
{
	const struct passwd *entry = getpwuid(uid);

	return entry ? entry->pw_name : "?";
}

static bool has_acl(const char *path)
{
	return getxattr(path, "system.posix_acl_access", NULL, 0) > 0;
}

static void say_closed(struct doctor *doctor, const struct user *user,
		       const char *path, const struct stat *status)
{
	bool is_dir = S_ISDIR(status->st_mode);

	doctor_say(doctor, has_acl(path) ? DOCTOR_WARNING : DOCTOR_PROBLEM,
		   SUBJECT,
		   "%s cannot connect: the mode of %s (%04o %s:%s) does not "
		   "let it %s; %s",
		   user->name, path, status->st_mode & 07777U,
		   user_name(status->st_uid), group_name(status->st_gid),
		   is_dir ? "through" : "write",
		   has_acl(path) ? "its access control list may" :
		   is_dir	 ? "chmod o+x it, or give it a group of that "
				   "user" :
				   "give x-socket-group or --socket-group a "
				   "group of that user");
}

/*
 * From the root on. Returns 0 when the user gets to the last one and has this
 * right there, 1 when not (said), or -errno.
 */
static int walk(struct doctor *doctor, const struct user *user,
		const char *path, unsigned int last_right)
{
	char part[PATH_MAX];
	struct stat status;
	const char *end = path;

	for (;;) {
		bool is_last = !*end;
		int nr = end == path ? 1 : (int)(end - path);

		snprintf(part, sizeof(part), "%.*s", nr, path);
		if (stat(part, &status) < 0)
			return -errno;
		if (!may(user, &status, is_last ? last_right : MAY_SEARCH)) {
			say_closed(doctor, user, part, &status);
			return 1;
		}
		if (is_last)
			return 0;
		end = strchr(end + 1, '/');
		if (!end)
			end = path + strlen(path);
	}
}

static void look_for_user(struct doctor *doctor, const char *name,
			  const char *path, const struct stat *status)
{
	bool is_dir = S_ISDIR(status->st_mode);
	struct user user;
	int error;

	if (!find_user(name, &user)) {
		if (doctor->user)
			doctor_say(doctor, DOCTOR_PROBLEM, SUBJECT,
				   "there is no user %s", name);
		return;
	}
	error = walk(doctor, &user, path, is_dir ? MAY_SEARCH : MAY_WRITE);
	if (error < 0)
		doctor_say(doctor, DOCTOR_PROBLEM, SUBJECT, "%s: %s", path,
			   strerror(-error));
	else if (!error)
		doctor_say(doctor, DOCTOR_OK, SUBJECT, "%s can %s %s", name,
			   is_dir ? "get into" : "connect to", path);
}

static void look_at_others(struct doctor *doctor, const char *path,
			   const struct stat *status)
{
	bool is_socket = S_ISSOCK(status->st_mode);
	bool is_open = status->st_mode & S_IWOTH;

	if (is_socket && is_open)
		doctor_say(doctor, DOCTOR_WARNING, SUBJECT,
			   "every user may connect to %s, and so use the disk; "
			   "give it a mode such as 0660",
			   path);
	else if (!is_socket && is_open && !(status->st_mode & S_ISVTX))
		doctor_say(doctor, DOCTOR_PROBLEM, SUBJECT,
			   "every user may replace sockets in %s; chmod o-w it",
			   path);
	else
		doctor_say(doctor, DOCTOR_OK, SUBJECT,
			   "%s is that of %s and of the group %s (%04o)", path,
			   user_name(status->st_uid),
			   group_name(status->st_gid),
			   status->st_mode & 07777U);
}

/*
 * name: as it was given to bind(2), by which the kernel knows the socket; a
 * relative one stands for a directory that is not known.
 */
static bool is_name_of(const char *name, const char *path)
{
	const char *base = strrchr(name, '/');

	if (*name == '/')
		return !strcmp(name, path);
	return !strcmp(base ? base + 1 : name, strrchr(path, '/') + 1);
}

/* True if a socket of this path listens. path: absolute */
static bool somebody_listens(const char *path)
{
	char line[PATH_MAX + 128];
	unsigned int flags;
	bool found = false;
	int at;
	FILE *file = fopen("/proc/net/unix", "re");

	while (file && !found && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		at = 0;
		/* number, references, protocol, flags, type, state, inode */
		if (sscanf(line, "%*x: %*x %*x %x %*x %*x %*u %n", &flags,
			   &at) < 1 ||
		    !at)
			continue;
		found = flags & SO_ACCEPTS && is_name_of(line + at, path);
	}
	if (file)
		fclose(file);
	return found;
}

void doctor_socket(struct doctor *doctor, const char *path)
{
	cleanup_free char *absolute = realpath(path, NULL);
	struct stat status;

	if (!absolute || stat(absolute, &status) < 0) {
		doctor_say(doctor, DOCTOR_PROBLEM, SUBJECT, "%s: %s", path,
			   strerror(errno));
		return;
	}
	if (S_ISSOCK(status.st_mode) && !somebody_listens(absolute))
		doctor_say(doctor, DOCTOR_PROBLEM, SUBJECT,
			   "nobody listens on %s; start what should", path);
	look_at_others(doctor, absolute, &status);
	if (doctor->user) {
		look_for_user(doctor, doctor->user, absolute, &status);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(usual_users); i++)
		look_for_user(doctor, usual_users[i], absolute, &status);
}
