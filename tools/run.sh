#!/bin/sh
# run.sh - the main job, as far as it goes: predict on the footage in examples/ and show the boxes.
# SPDX-License-Identifier: Apache-2.0
set -eu
build=${1:-build}
model=examples/models/street-person/v1.1.0.onnx
out=$build/run
iou=.45 # the default, .7, leaves second boxes on some people: examples/models/README.md

mkdir -p "$out/day" "$out/dark"
echo "street-person v1.1.0 on held-out footage, by day:"
"$build/serin" predict --model "$model" --iou $iou --save "$out/day" examples/footage/images/day
echo
echo "and on darkened frames:"
"$build/serin" predict --model "$model" --iou $iou --save "$out/dark" examples/footage/images/dark
echo
echo "how good that is, against the labels beside the frames:"
"$build/serin" eval --model "$model" --data examples/footage/data.yaml
echo "A good number here is about .54 for mAP50-95 and .93 for recall, which is what v1.1.0 reaches (v1.0.0: .46 and .91): the"
echo "labels are machine-made, so this compares versions and does not say how good a model is for people."
echo
echo "The pictures with their boxes drawn lie in $out/day and $out/dark, for example:"
for slice in day dark; do
    for file in "$out/$slice"/*; do
        echo "  $file"
        break
    done
done
