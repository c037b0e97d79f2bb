/*
 * sanitizers.h - whether this is compiled for a sanitizer, asked of gcc and of clang.  Depends on nothing.
 * SPDX-License-Identifier: Apache-2.0
 *
 * For what cannot be there together with one: limits of memory (its shadow takes terabytes of addresses), counts of
 * memory (its quarantine keeps what was freed), sandboxes without ptrace (the leak check needs it).
 */
#ifndef BASE_SANITIZERS_H
#define BASE_SANITIZERS_H

#if defined(__has_feature)
#define SANITIZERS_OF_CLANG(feature) __has_feature(feature)
#else
#define SANITIZERS_OF_CLANG(feature) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || SANITIZERS_OF_CLANG(address_sanitizer)
#define ADDRESS_SANITIZED 1
#else
#define ADDRESS_SANITIZED 0
#endif

#if defined(__SANITIZE_THREAD__) || SANITIZERS_OF_CLANG(thread_sanitizer)
#define THREAD_SANITIZED 1
#else
#define THREAD_SANITIZED 0
#endif

#endif
