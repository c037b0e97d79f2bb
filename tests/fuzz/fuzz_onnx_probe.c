/*
 * fuzz_onnx_probe.c - fuzz target: bytes as an ONNX file.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "engine/onnx_probe.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static struct onnx_summary summary;
    struct serin_error error = {.code = SERIN_OK};
    enum serin_errc rc = onnx_probe(bytes, size, &summary, &error);
    uint64_t weights = 0;
    int i;

    if (rc != error.code || (rc != SERIN_OK && error.message[0] == '\0'))
        abort();
    if (rc != SERIN_OK)
        return 0;
    for (i = 0; i <= TENSOR_OTHER; i++)
        weights += summary.bytes_by_type[i];
    /* A number that is packed as a varint takes one byte of the file and stands for at most eight. */
    if (weights > 8 * (uint64_t)size || summary.node_count > size || summary.interface.output_count < 1 ||
        summary.interface.output_count > ENGINE_MAX_TENSORS || summary.interface.input_count > ENGINE_MAX_TENSORS)
        abort();
    for (i = 0; i < summary.interface.input_count; i++)
        if (strlen(summary.interface.inputs[i].name) >= ENGINE_MAX_NAME ||
            summary.interface.inputs[i].rank > ENGINE_MAX_RANK)
            abort();
    for (i = 0; i < summary.metadata_count; i++)
        if (onnx_summary_find(&summary, summary.metadata[i].key) != summary.metadata[i].value)
            abort();
    onnx_summary_done(&summary);
    return 0;
}
