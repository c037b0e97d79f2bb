#!/bin/sh
# setup.sh - everything that a build of Serin needs: Debian's packages, and ONNX Runtime from the npm registry.
# SPDX-License-Identifier: Apache-2.0
#
# Runs as often as you like: what is there already is left alone, and then it needs no network.
#   tools/setup.sh [build|test|lint]     which packages (default: build)
# ONNX Runtime lies in $SERIN_CACHE (default: ${XDG_CACHE_HOME:-~/.cache}/serin); its path is the last line printed.
set -eu

ORT_PACKAGE=com.github.asus4.onnxruntime
ORT_VERSION=0.4.9
ORT_SHA256=e59788788818fdde1b2e522e766a21ba0f7d8391de55737abf81e32cc801785d

BUILD='gcc libc6-dev make meson ninja-build pkg-config libjpeg-dev libspng-dev libwebp-dev libjansson-dev libyaml-dev
libssl-dev libcairo2-dev fonts-dejavu-core'
TEST='libcmocka-dev python3 python3-pytest python3-numpy mandoc'
LINT='clang clang-format clang-tidy cppcheck libclang-rt-dev llvm'

say() { printf 'setup: %s\n' "$*" >&2; }

packages=$BUILD
case ${1:-build} in
build) ;;
test) packages="$BUILD $TEST" ;;
lint) packages="$BUILD $TEST $LINT" ;;
*) say "unknown set '$1': build, test or lint"; exit 2 ;;
esac

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

cache=${SERIN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/serin}
ort=$cache/onnxruntime-$ORT_VERSION

missing=
for package in $packages; do
    installed "$package" || missing="$missing $package"
done
# npm fetches ONNX Runtime; one that did not come from Debian is as good.
[ -f "$ort/complete" ] || command -v npm >/dev/null 2>&1 || missing="$missing npm"
if [ -n "$missing" ]; then
    say "installing$missing"
    sudo=
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null 2>&1 || { say "not root and no sudo: install these packages first:$missing"; exit 1; }
        sudo=sudo
    fi
    $sudo apt-get update -qq >&2
    # shellcheck disable=SC2086  # the list is meant to be split
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >&2
fi

if [ ! -f "$ort/complete" ]; then
    [ "$(uname -m)" = x86_64 ] || { say "the pinned ONNX Runtime is for x86_64, this is $(uname -m)"; exit 1; }
    mkdir -p "$cache"
    work=$(mktemp -d "$cache/fetch.XXXXXX")
    trap 'rm -rf "$work"' EXIT INT TERM
    say "fetching $ORT_PACKAGE@$ORT_VERSION (150 MB) with npm"
    (cd "$work" && npm pack --silent "$ORT_PACKAGE@$ORT_VERSION" >/dev/null)
    archive=$work/$ORT_PACKAGE-$ORT_VERSION.tgz
    [ "$(sha256sum "$archive" | cut -d' ' -f1)" = "$ORT_SHA256" ] || {
        say "$ORT_PACKAGE@$ORT_VERSION has another sha256 than the pinned $ORT_SHA256: refused"
        exit 1
    }
    headers='package/Plugins/iOS~/onnxruntime.xcframework/ios-arm64/onnxruntime.framework/Headers'
    tar -xzf "$archive" -C "$work" package/Plugins/Linux/x64/libonnxruntime.so \
        package/Plugins/Linux/x64/libonnxruntime_providers_shared.so package/LICENSE package/ThirdPartyNotices.txt "$headers"
    mkdir "$work/ort" "$work/ort/lib"
    # The C headers are the same for every platform; the package carries them in its iOS folder.
    mv "$work/$headers" "$work/ort/include"
    mv "$work"/package/Plugins/Linux/x64/libonnxruntime*.so "$work/ort/lib/"
    mv "$work/package/LICENSE" "$work/package/ThirdPartyNotices.txt" "$work/ort/"
    # The library calls itself libonnxruntime.so.1; the loader looks for that name.
    ln -s libonnxruntime.so "$work/ort/lib/libonnxruntime.so.1"
    : >"$work/ort/complete"
    rm -rf "$ort"
    mv "$work/ort" "$ort"
fi
printf '%s\n' "$ort"
