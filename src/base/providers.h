/*
 * providers.h - the names of what can run a network, for options, bundles and engines alike.  Depends on nothing.
 * SPDX-License-Identifier: Apache-2.0
 *
 * ONNX Runtime on the CPU (cpu) or an NVIDIA GPU (cuda, tensorrt); the engine on oneDNN, on the CPU (onednn in fp32,
 * onednn-bf16); auto: the fastest of tensorrt, cuda, onednn and cpu that can. A bundle keeps the name, so that one that
 * is here stays what it is.
 */
#ifndef BASE_PROVIDERS_H
#define BASE_PROVIDERS_H

#define PROVIDERS          "cpu|cuda|tensorrt|auto|onednn|onednn-bf16" /* a list for text_choice_find */
#define PROVIDER_DEFAULT   "cpu"
#define PROVIDER_MAX_BYTES 16 /* of a name, with its NUL */

#endif
