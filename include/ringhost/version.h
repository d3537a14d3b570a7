/* SPDX-License-Identifier: MIT */
/*
 * version - which libringhost this is, and what RH_API means
 *
 * The numbers follow semantic versioning: until 1.0 a new minor number may
 * change the interface, and the SONAME changes with it.
 */
#ifndef RINGHOST_VERSION_H
#define RINGHOST_VERSION_H

#define RH_VERSION_MAJOR 0
#define RH_VERSION_MINOR 1
#define RH_VERSION_PATCH 0

/* Only symbols so marked leave the shared library. */
#define RH_API __attribute__((visibility("default")))

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The version of the library that runs, as "0.1.0"; the macros above are that
 * of the headers. Any thread. Since 0.1.
 */
RH_API const char *rh_version(void);

#ifdef __cplusplus
}
#endif

#endif
