/*
 * syscall_filter.h - the seccomp filter of a worker, compiled beforehand.  Depends on base, libseccomp.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef RUNTIME_SYSCALL_FILTER_H
#define RUNTIME_SYSCALL_FILTER_H

#include "base/error.h"

#include <linux/filter.h>
#include <stdbool.h>

/* A BPF program that a child can load by itself between fork and exec. *ret and its filter are one allocation: free()
 * it. may_connect: to unix sockets, which CUDA's services have; a worker without a GPU only listens. SERIN_UNSUPPORTED
 * where libseccomp cannot build it here, SERIN_NOMEM, SERIN_IO. */
MUST_USE enum serin_errc syscall_filter_new(bool may_connect, struct sock_fprog **ret, struct serin_error *error);

#endif
