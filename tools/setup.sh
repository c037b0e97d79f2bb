#!/bin/sh
# setup.sh - everything that a build of Serin needs: Debian's packages, and ONNX Runtime from the npm registry.
# SPDX-License-Identifier: Apache-2.0
#
# Runs as often as you like: what is there already is left alone, and then it needs no network.
#   tools/setup.sh [build|test|peers|lint|gpu|uplot]   which packages (default: build); peers adds other people's servers and clients
#                                                that tests meet, gpu the CUDA and TensorRT providers
# ONNX Runtime and uPlot lie in $SERIN_CACHE (default: ${XDG_CACHE_HOME:-~/.cache}/serin); the path of ONNX Runtime is the last line
# printed, or with uplot that of uPlot.
set -eu

ORT_PACKAGE=com.github.asus4.onnxruntime
ORT_VERSION=0.4.9
NODE_PACKAGE=onnxruntime-node # the same version of the library, built with the GPU providers
NODE_VERSION=1.29.0
NODE_SHA256=cfdfb45ec4044b1fdca43e5d2e180fb6817e649ff8ad1e0dfc90e18e51b67037
GPU_PACKAGE=$ORT_PACKAGE.linux-x64-gpu
GPU_SHA256=2b459e0c17f340c92970c10ed86de4f37a3009f93c14053e6ad4334cbb6be412
ORT_SHA256=e59788788818fdde1b2e522e766a21ba0f7d8391de55737abf81e32cc801785d
UPLOT_VERSION=1.6.32 # the console's charts
UPLOT_SHA256=4b8a8191e425658e3ea8c8c1314b0fc679c861ee3a1af2b20c7b16ba50b5133d
PLAYWRIGHT_VERSION=1.60.0 # leads a browser through the console, for tests
PLAYWRIGHT_SHA256=8b1df81ba75e90a41eb5c996350ea7ecc1c915ea643ec55138f91c949c5a25bf
AXE_VERSION=4.14.1 # finds what people with a screen reader or without a mouse cannot use
AXE_SHA256=e6b0ce02b84d892e2e33e403485e7f3d6c29e2be6df65daf44d89ba564139745

BUILD='gcc libc6-dev make meson ninja-build pkg-config libjpeg-dev libspng-dev libwebp-dev libjansson-dev libyaml-dev
libssl-dev libcairo2-dev fonts-dejavu-core libuv1-dev libseccomp-dev libsqlite3-dev libcurl4-openssl-dev libdnnl-dev'
TEST='libcmocka-dev python3 python3-pytest python3-numpy python3-yaml python3-jsonschema mandoc prometheus groff-base curl sqlite3 tzdata'
PEERS='nginx-light apache2-bin lighttpd haproxy python3-h11 python3-waitress python3-gunicorn python3-tornado
python3-werkzeug python3-cheroot python3-aiohttp libmicrohttpd-dev curl wrk chromium'
LINT='clang clang-format clang-tidy cppcheck libclang-rt-dev llvm'

say() { printf 'setup: %s\n' "$*" >&2; }

packages=$BUILD
case ${1:-build} in
build | gpu | uplot) ;;
test) packages="$BUILD $TEST" ;;
peers) packages="$BUILD $TEST $PEERS" ;;
lint) packages="$BUILD $TEST $LINT" ;;
*) say "unknown set '$1': build, test, peers, lint, gpu or uplot"; exit 2 ;;
esac

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

cache=${SERIN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/serin}
ort=$cache/onnxruntime-$ORT_VERSION
uplot=$cache/uplot-$UPLOT_VERSION

missing=
for package in $packages; do
    installed "$package" || missing="$missing $package"
done
# npm fetches what is not here yet; one that did not come from Debian is as good.
{ [ -f "$ort/complete" ] && [ -f "$uplot/complete" ] && [ "${1:-build}" != peers ]; } || command -v npm >/dev/null 2>&1 || missing="$missing npm"
if [ -n "$missing" ]; then
    command -v apt-get >/dev/null 2>&1 || { say "no apt-get here: install what these Debian packages hold:$missing"; exit 1; }
    sudo=
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null 2>&1 || {
            say "not root and no sudo; have root do this first: apt-get install --no-install-recommends$missing"
            exit 1
        }
        sudo=sudo
    fi
    say "installing$missing"
    # A fresh machine may be at its own first updates: wait for their lock. What apt says matters only where it fails.
    # RUNLEVEL: no server is started as a service.
    apt='env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -qq -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0'
    log=$(mktemp)
    # shellcheck disable=SC2086  # the lists are meant to be split
    { $sudo $apt update && $sudo $apt install -y --no-install-recommends $missing; } >"$log" 2>&1 </dev/null || {
        cat "$log" >&2
        rm -f "$log"
        say "could not install$missing"
        exit 1
    }
    rm -f "$log"
fi

# fetch PACKAGE VERSION SHA256: the archive, checked; its path is printed.
fetch() {
    say "fetching $1@$2 with npm"
    # npm's own cache would keep a second copy in the home folder for good.
    (cd "$work" && npm pack --loglevel=error --no-progress --no-update-notifier --cache "$work/npm" "$1@$2" >/dev/null) || {
        say "npm could not fetch $1@$2"
        exit 1
    }
    [ "$(sha256sum "$work/$1-$2.tgz" | cut -d' ' -f1)" = "$3" ] || {
        say "$1@$2 has another sha256 than the pinned $3: refused"
        exit 1
    }
    printf '%s\n' "$work/$1-$2.tgz"
}

if [ ! -f "$ort/complete" ]; then
    [ "$(uname -m)" = x86_64 ] || { say "the pinned ONNX Runtime is for x86_64, this is $(uname -m)"; exit 1; }
    mkdir -p "$cache"
    work=$(mktemp -d "$cache/fetch.XXXXXX")
    trap 'rm -rf "$work"' EXIT INT TERM
    archive=$(fetch "$ORT_PACKAGE" "$ORT_VERSION" "$ORT_SHA256")
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
# For a GPU: ONNX Runtime's build that knows CUDA and TensorRT takes the place of the plain one, with the providers beside it,
# where it looks for them. NVIDIA's driver, CUDA 13, cuDNN 9 (and TensorRT 10) are the machine's own.
if [ "${1:-build}" = gpu ] && [ ! -f "$ort/lib/libonnxruntime_providers_cuda.so" ]; then
    work=$(mktemp -d "$cache/fetch.XXXXXX")
    trap 'rm -rf "$work"' EXIT INT TERM
    archive=$(fetch "$NODE_PACKAGE" "$NODE_VERSION" "$NODE_SHA256")
    tar -xzf "$archive" -C "$work" package/bin/napi-v6/linux/x64/libonnxruntime.so.1
    archive=$(fetch "$GPU_PACKAGE" "$ORT_VERSION" "$GPU_SHA256")
    tar -xzf "$archive" -C "$work" --wildcards 'package/Plugins/Linux/x64/libonnxruntime_providers_*.so'
    mv "$work"/package/bin/napi-v6/linux/x64/libonnxruntime.so.1 "$work/libonnxruntime.so"
    mv "$work"/libonnxruntime.so "$work"/package/Plugins/Linux/x64/libonnxruntime_providers_*.so "$ort/lib/"
fi
if [ ! -f "$uplot/complete" ]; then
    mkdir -p "$cache"
    work=$(mktemp -d "$cache/fetch.XXXXXX")
    trap 'rm -rf "$work"' EXIT INT TERM
    archive=$(fetch uplot "$UPLOT_VERSION" "$UPLOT_SHA256")
    mkdir "$work/uplot"
    tar -xzf "$archive" -C "$work/uplot" --strip-components=1 package/LICENSE
    tar -xzf "$archive" -C "$work/uplot" --strip-components=2 package/dist/uPlot.esm.js package/dist/uPlot.min.css
    : >"$work/uplot/complete"
    rm -rf "$uplot"
    mv "$work/uplot" "$uplot"
fi
browser=$cache/browser-$PLAYWRIGHT_VERSION
if [ "${1:-build}" = peers ] && [ ! -f "$browser/complete" ]; then
    work=$(mktemp -d "$cache/fetch.XXXXXX")
    trap 'rm -rf "$work"' EXIT INT TERM
    modules=$work/browser/node_modules
    mkdir -p "$modules/playwright-core" "$modules/axe-core"
    archive=$(fetch playwright-core "$PLAYWRIGHT_VERSION" "$PLAYWRIGHT_SHA256")
    tar -xzf "$archive" -C "$modules/playwright-core" --strip-components=1
    archive=$(fetch axe-core "$AXE_VERSION" "$AXE_SHA256")
    tar -xzf "$archive" -C "$modules/axe-core" --strip-components=1
    : >"$work/browser/complete"
    rm -rf "$browser"
    mv "$work/browser" "$browser"
fi
if [ "${1:-build}" = uplot ]; then printf '%s\n' "$uplot"; else printf '%s\n' "$ort"; fi
