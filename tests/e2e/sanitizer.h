/* SPDX-License-Identifier: MIT */
/*
 * sanitizer - whether a sanitizer is compiled in, so that sizes and times
 * that it changes can be judged mildly: WITH_SANITIZER is defined then
 */
#ifndef E2E_SANITIZER_H
#define E2E_SANITIZER_H

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define WITH_SANITIZER
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define WITH_SANITIZER
#endif

#endif
