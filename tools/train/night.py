"""Turn a daylight frame into a night frame: less light, a darker curve, a noisy sensor.
SPDX-License-Identifier: Apache-2.0

The same function darkens training frames and held-out frames; only seeds differ. All values are of 8-bit display levels:

    dark  = 255 * gain * (frame / 255) ^ gamma            gain in 0.15..0.25, gamma in 1.0..1.25, drawn per frame
    noise = normal(0, sqrt(read^2 + shot * dark))         read 2.5 levels, shot 0.35: 2.5 in the shadows, about 5 in what is left
                                                          of the lights; a third of it is common to the three channels (luma grain)
The JPEG step that follows is the caller's, as a camera would do it.
"""
import numpy as np

GAIN = (0.15, 0.25)
GAMMA = (1.0, 1.25)
READ = 2.5
SHOT = 0.35


def darken(frame, seed):
    """The night version of an 8-bit BGR frame; seed is an int or a list of ints."""
    rng = np.random.default_rng(seed)
    gain, gamma = rng.uniform(*GAIN), rng.uniform(*GAMMA)
    dark = 255 * gain * (frame.astype(np.float32) / 255) ** gamma
    sigma = np.sqrt(READ ** 2 + SHOT * dark)
    grain = np.sqrt(1 / 3) * rng.standard_normal(frame.shape[:2] + (1,)) + np.sqrt(2 / 3) * rng.standard_normal(frame.shape)
    return np.clip(np.round(dark + sigma * grain), 0, 255).astype(np.uint8)
