/* SPDX-License-Identifier: MIT */
/*
 * object_path - objects as the commands qom-get and qom-set name them
 *
 * The path of an object is "/objects/" and its id, or that alone. Ids may have
 * slashes. Any thread.
 */
#ifndef SERVER_QMP_OBJECT_PATH_H
#define SERVER_QMP_OBJECT_PATH_H

#include <string.h>

static inline const char *object_path_id(const char *path)
{
	static const char objects[] = "/objects/";

	return strncmp(path, objects, strlen(objects)) ? path :
							 path + strlen(objects);
}

#endif
