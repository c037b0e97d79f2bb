/*
 * kernel_convolution.c - which of our own convolutions takes a layer.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "engine/kernel_convolution.h"

#include "engine/kernel_vectors.h"

const struct kernel_convolution *kernel_convolution_for(const struct onednn_convolution *convolution)
{
#ifdef KERNEL_VECTORS
    const enum onednn_type dst = convolution->dst.type;
    static const struct kernel_convolution *const all[] = {
        &kernel_stem_bytes,       &kernel_stem,  &kernel_pointwise, &kernel_winograd, &kernel_winograd_int16,
        &kernel_winograd_stride2, &kernel_direct};
    size_t i;

    if (convolution->quantized.scales)
        return kernel_winograd_int16.pays(convolution) ? &kernel_winograd_int16 : NULL;
    if (dst == ONEDNN_U8) /* of floats */
        return kernel_stem_bytes.pays(convolution) ? &kernel_stem_bytes : NULL;
    if (dst != ONEDNN_F32 && dst != ONEDNN_BF16)
        return NULL;
    for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (all[i]->pays(convolution))
            return all[i];
#endif
    (void)convolution;
    return NULL;
}
