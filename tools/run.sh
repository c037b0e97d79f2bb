#!/bin/sh
# run.sh - the main job, as far as it goes: predict on the footage in examples/ and show the boxes.
# SPDX-License-Identifier: Apache-2.0
set -eu
build=${1:-build}
model=examples/models/street-person/v1.1.0.onnx
out=$build/run

mkdir -p "$out/day" "$out/dark"
echo "street-person v1.1.0 on held-out footage, by day:"
"$build/serin" predict --model "$model" --save "$out/day" examples/footage/images/day
echo
echo "and on darkened frames:"
"$build/serin" predict --model "$model" --save "$out/dark" examples/footage/images/dark
echo
echo "how good that is, against the labels beside the frames:"
"$build/serin" eval --model "$model" --data examples/footage/data.yaml
echo
echo "The pictures with their boxes drawn lie in $out/day and $out/dark, for example:"
for slice in day dark; do
    for file in "$out/$slice"/*; do
        echo "  $file"
        break
    done
done
