#!/usr/bin/env python3
"""Writes images/ and images/images.json: one small file of every kind that decoders must read, and what OpenCV makes of it.

SPDX-License-Identifier: Apache-2.0

Needs numpy, Pillow, OpenCV 4.14 (its imdecode is the oracle) and cjpeg of libjpeg-turbo. Each row of the JSON: the file, the shape, and the SHA-256
of the RGB bytes. Run it again only to add a kind: encoders of other versions write other bytes.
"""
import hashlib
import io
import json
import os
import pathlib
import struct
import subprocess
import zlib

import cv2
import numpy
from PIL import Image

FOLDER = pathlib.Path(__file__).parent / "images"
ROOT = FOLDER.parent.parent.parent
DATA = pathlib.Path(os.environ.get("SERIN_TEST_DATA", ROOT.parent / "shared" / "data"))
WIDTH, HEIGHT = 61, 43  # odd, and no multiple of any block


def picture(width=WIDTH, height=HEIGHT, seed=1):
    """Slopes, edges, saturated colours and noise: RGB."""
    random = numpy.random.default_rng(seed)
    y, x = numpy.mgrid[0:height, 0:width]
    rgb = numpy.stack([x * 255 // width, y * 255 // height, (x * 7 + y * 3) % 256], axis=2)
    rgb[height // 4 : height // 2, width // 4 : width // 2] = (255, 0, 16)
    rgb[height // 2 :, width // 2 :] += random.integers(-40, 40, rgb[height // 2 :, width // 2 :].shape)
    return rgb.clip(0, 255).astype(numpy.uint8)


def directory(entries, little=False, mark=None, tail=b""):
    """A TIFF header and one directory of (tag, type, count, four bytes of value), right or wrong."""
    order = "<" if little else ">"
    block = (mark or (b"II" if little else b"MM")) + struct.pack(order + "HIH", 42, 8, len(entries))
    for tag, kind, count, value in entries:
        block += struct.pack(order + "HHI", tag, kind, count) + (value if isinstance(value, bytes) else struct.pack(order + "I", value))
    return block + bytes(4) + tail


TURN = (0x0112, 3, 1, b"\0\6\0\0")  # Orientation 6


def damaged_notes():
    """EXIF blocks in which OpenCV finds Orientation 6, or gives up at a tag before it."""
    yield "text-outside", directory([(0x010F, 2, 20, 999), TURN])
    yield "text-inside", directory([(0x010F, 2, 20, 8), TURN])
    yield "text-too-long", directory([(0x0110, 2, 0xFFFFFFFF, 8), TURN])
    yield "text-short", directory([(0x010E, 2, 4, 0xFFFFFFFF), TURN])
    yield "rational-outside", directory([(0x011A, 5, 1, 999), TURN])
    yield "rationals-over-the-end", directory([(0x0214, 5, 6, 38), TURN], tail=bytes(47 - 4))
    yield "rationals-to-the-end", directory([(0x0214, 5, 6, 38), TURN], tail=bytes(48 - 4))
    yield "unknown-tag-outside", directory([(0x0100, 5, 99, 999), TURN])
    yield "other-type", directory([(0x0112, 99, 77, b"\0\6\0\0")])
    yield "little-value-in-long", directory([(0x0112, 4, 1, 6)], True)
    yield "tag-twice", directory([(0x0112, 3, 1, b"\0\3\0\0"), TURN])
    yield "mixed-mark", directory([TURN], mark=b"IM")


def exif(orientation, little=False, before=()):
    """A TIFF header and one directory with the Orientation tag (and SHORT tags before it)."""
    mark = "<" if little else ">"
    entries = [*before, (0x0112, orientation)]
    block = (b"II" if little else b"MM") + struct.pack(mark + "HIH", 42, 8, len(entries))
    for tag, value in entries:
        block += struct.pack(mark + "HHIHH", tag, 3, 1, value, 0)
    return block + bytes(4)


# ---- JPEG ----


def jpeg(image=None, **options):
    out = io.BytesIO()
    (image or Image.fromarray(picture())).save(out, "JPEG", **{"quality": 80, **options})
    return out.getvalue()


def jpeg_segments(data):
    """Splits into (marker, bytes) up to SOS, and the rest."""
    at, segments = 2, []
    while data[at + 1] != 0xDA:
        length = struct.unpack(">H", data[at + 2 : at + 4])[0]
        segments.append((data[at + 1], data[at : at + 2 + length]))
        at += 2 + length
    return segments, data[at:]


def jpeg_without(data, *markers):
    segments, rest = jpeg_segments(data)
    return data[:2] + b"".join(body for marker, body in segments if marker not in markers) + rest


def jpeg_with_app1(data, *bodies):
    return data[:2] + b"".join(b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body for body in bodies) + data[2:]


def jpeg_arithmetic(rgb, *options):
    """Arithmetic coding, which Pillow does not write: cjpeg of libjpeg-turbo does ($CJPEG, or the one on the path)."""
    source = b"P6\n%d %d\n255\n" % (rgb.shape[1], rgb.shape[0]) + rgb.tobytes()
    command = [os.environ.get("CJPEG", "cjpeg"), "-arithmetic", "-quality", "75", *options]
    return subprocess.run(command, input=source, stdout=subprocess.PIPE, check=True).stdout


def jpegs():
    photo = picture()
    yield "jpeg-444", jpeg(subsampling=0)
    yield "jpeg-422", jpeg(subsampling=1)
    yield "jpeg-420", jpeg(subsampling=2)
    for name, factor in (("440", cv2.IMWRITE_JPEG_SAMPLING_FACTOR_440), ("411", cv2.IMWRITE_JPEG_SAMPLING_FACTOR_411)):
        done, data = cv2.imencode(".jpg", photo, [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, factor])
        assert done
        yield "jpeg-" + name, data.tobytes()
    yield "jpeg-best", jpeg(quality=100, subsampling=0)
    yield "jpeg-poor", jpeg(quality=3)
    yield "jpeg-optimized", jpeg(optimize=True)
    yield "jpeg-progressive", jpeg(progressive=True)
    yield "jpeg-progressive-444", jpeg(progressive=True, subsampling=0)
    yield "jpeg-restart", jpeg(restart_marker_blocks=2)
    yield "jpeg-progressive-restart", jpeg(progressive=True, restart_marker_rows=1)
    grey = Image.fromarray(photo[:, :, 1])
    yield "jpeg-grey", jpeg(grey)
    yield "jpeg-grey-progressive", jpeg(grey, progressive=True)
    cmyk = Image.fromarray(numpy.dstack([photo, photo[::-1, :, 0]]), "CMYK")
    adobe = jpeg(cmyk)
    yield "jpeg-cmyk-adobe", adobe
    yield "jpeg-cmyk", jpeg_without(adobe, 0xEE)
    yield "jpeg-ycck-adobe", adobe.replace(b"Adobe\0\x64\0\0\0\0\0", b"Adobe\0\x64\0\0\0\0\2", 1)
    yield "jpeg-rgb-adobe", jpeg(keep_rgb=True)
    yield "jpeg-without-jfif", jpeg_without(jpeg(), 0xE0)
    yield "jpeg-without-tables", jpeg_without(jpeg(), 0xC4)
    yield "jpeg-icc-comment", jpeg(icc_profile=bytes(range(256)) * 300, comment=b"a comment")
    yield "jpeg-trailing-garbage", jpeg() + b"\0garbage\xff\xd8\xff" * 9
    yield "jpeg-padding", jpeg().replace(b"\xff\xdb", b"\xff\xff\xff\xdb", 1)
    yield "jpeg-zeros-in-scan-header", jpeg(subsampling=0).replace(b"\3\x11\0\x3f\0", b"\3\x11\0\0\0", 1)
    for tail, options in (("", []), ("-progressive", ["-progressive"]), ("-restart", ["-restart", "1"])):
        yield "jpeg-arithmetic" + tail, jpeg_arithmetic(photo, *options)
    yield "jpeg-1x1", jpeg(Image.fromarray(picture(1, 1)))
    yield "jpeg-1x200", jpeg(Image.fromarray(picture(1, 200)))
    yield "jpeg-200x1", jpeg(Image.fromarray(picture(200, 1)))
    yield "jpeg-33x17-progressive", jpeg(Image.fromarray(picture(33, 17)), progressive=True)
    yield "jpeg-320x240", jpeg(Image.fromarray(picture(320, 240)))
    for orientation in range(1, 9):
        yield f"jpeg-exif-{orientation}", jpeg_with_app1(jpeg(), b"Exif\0\0" + exif(orientation, orientation % 2 == 0))
    plain = jpeg()
    yield "jpeg-exif-0", jpeg_with_app1(plain, b"Exif\0\0" + exif(0))
    yield "jpeg-exif-9", jpeg_with_app1(plain, b"Exif\0\0" + exif(9))
    yield "jpeg-exif-late-tag", jpeg_with_app1(plain, b"Exif\0\0" + exif(6, before=[(0x0100, 5), (0x0101, 7)]))
    yield "jpeg-exif-twice", jpeg_with_app1(plain, b"Exif\0\0" + exif(6), b"Exif\0\0" + exif(3))
    yield "jpeg-exif-0-then-6", jpeg_with_app1(plain, b"Exif\0\0" + exif(0), b"Exif\0\0" + exif(6))
    for name, block in damaged_notes():
        yield "jpeg-exif-" + name, jpeg_with_app1(plain, b"Exif\0\0" + block)
    yield "jpeg-exif-after-xmp", jpeg_with_app1(
        plain, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta/>", b"Exif\0\0" + exif(8))
    yield "jpeg-exif-cut", jpeg_with_app1(plain, b"Exif\0\0" + exif(6)[:20])
    yield "jpeg-exif-grey-5", jpeg_with_app1(jpeg(grey), b"Exif\0\0" + exif(5))
    yield "jpeg-exif-100x70-7", jpeg_with_app1(jpeg(Image.fromarray(picture(100, 70))), b"Exif\0\0" + exif(7))


# ---- PNG: a writer of our own, because no library writes every kind ----


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def pack_rows(samples, depth, filter_kind):
    """samples: height x width x channels, of `depth` bits. Filtered (None or Sub) rows."""
    rows = b""
    for row in samples:
        flat = row.reshape(-1)
        if depth == 16:
            line = flat.astype(">u2").tobytes()
        elif depth == 8:
            line = flat.astype(numpy.uint8).tobytes()
        else:
            bits = "".join(format(int(value), f"0{depth}b") for value in flat)
            bits += "0" * (-len(bits) % 8)
            line = bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))
        if filter_kind == 1:
            step = max(1, row.shape[1] * depth // 8)
            line = bytes((value - (line[i - step] if i >= step else 0)) & 255 for i, value in enumerate(line))
        rows += bytes([filter_kind]) + line
    return rows


def png(samples, colour, depth, interlaced=False, before=(), after=(), filter_kind=1, split=None):
    height, width = samples.shape[:2]
    if samples.ndim == 2:
        samples = samples[:, :, None]
    if interlaced:
        data = b""
        for x, y, dx, dy in ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)):
            part = samples[y::dy, x::dx]
            if part.size:
                data += pack_rows(part, depth, filter_kind)
    else:
        data = pack_rows(samples, depth, filter_kind)
    data = zlib.compress(data, 9)
    pieces = [data[i : i + split] for i in range(0, len(data), split)] if split else [data]
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced))
            + b"".join(chunk(*c) for c in before) + b"".join(chunk(b"IDAT", piece) for piece in pieces)
            + b"".join(chunk(*c) for c in after) + chunk(b"IEND", b""))


def pngs():
    random = numpy.random.default_rng(2)
    photo = picture()
    grey = photo[:, :, 1].astype(int)
    alpha = numpy.mgrid[0:HEIGHT, 0:WIDTH][1] * 255 // WIDTH
    wide = photo.astype(int) * 256 + random.integers(0, 256, photo.shape)
    wide_alpha = alpha * 257
    palette = random.integers(0, 256, (256, 3)).astype(numpy.uint8).tobytes()
    for interlaced in (False, True):
        tail = "-interlaced" if interlaced else ""
        for depth in (1, 2, 4, 8):
            yield f"png-grey-{depth}{tail}", png(grey >> (8 - depth), 0, depth, interlaced)
            yield f"png-palette-{depth}{tail}", png(
                grey >> (8 - depth), 3, depth, interlaced, [(b"PLTE", palette[: 3 << depth])])
        yield f"png-grey-16{tail}", png(wide[:, :, 0], 0, 16, interlaced)
        yield f"png-grey-alpha-8{tail}", png(numpy.dstack([grey, alpha]), 4, 8, interlaced)
        yield f"png-grey-alpha-16{tail}", png(numpy.dstack([wide[:, :, 0], wide_alpha]), 4, 16, interlaced)
        yield f"png-rgb-8{tail}", png(photo, 2, 8, interlaced)
        yield f"png-rgb-16{tail}", png(wide, 2, 16, interlaced)
        yield f"png-rgba-8{tail}", png(numpy.dstack([photo, alpha]), 6, 8, interlaced)
        yield f"png-rgba-16{tail}", png(numpy.dstack([wide, wide_alpha]), 6, 16, interlaced)
    yield "png-palette-trns", png(grey >> 4, 3, 4, before=[(b"PLTE", palette[:48]), (b"tRNS", bytes(range(0, 160, 10)))])
    yield "png-rgb-trns", png(photo, 2, 8, before=[(b"tRNS", struct.pack(">HHH", 255, 0, 16))])
    yield "png-grey-trns", png(grey >> 4, 0, 4, before=[(b"tRNS", struct.pack(">H", 3))])
    yield "png-rgb-16-trns", png(wide, 2, 16, before=[(b"tRNS", struct.pack(">HHH", *wide[0, 0]))])
    yield "png-gamma-srgb", png(photo, 2, 8, before=[(b"gAMA", struct.pack(">I", 100000)), (b"sRGB", b"\0")])
    yield "png-sbit", png(photo, 2, 8, before=[(b"sBIT", b"\5\6\5")])
    yield "png-background", png(numpy.dstack([photo, alpha]), 6, 8, before=[(b"bKGD", struct.pack(">HHH", 9, 99, 199))])
    yield "png-many-idat", png(photo, 2, 8, split=37)
    yield "png-unfiltered", png(photo, 2, 8, filter_kind=0)
    yield "png-text", png(photo, 2, 8, before=[(b"tEXt", b"Comment\0x"), (b"zTXt", b"More\0\0" + zlib.compress(b"y" * 999))])
    yield "png-trailing-garbage", png(photo, 2, 8) + b"garbage"
    yield "png-1x1", png(picture(1, 1), 2, 8)
    yield "png-1x1-interlaced", png(picture(1, 1), 2, 8, True)
    for orientation in (1, 2, 6):
        yield f"png-exif-{orientation}", png(photo, 2, 8, before=[(b"eXIf", exif(orientation))])
    yield "png-exif-late-8", png(photo, 2, 8, after=[(b"eXIf", exif(8, True))])
    damaged = bytearray(png(photo, 2, 8, before=[(b"eXIf", exif(6))]))
    damaged[damaged.index(b"eXIf") + 4 + len(exif(6))] ^= 1  # its CRC
    yield "png-exif-bad-crc", bytes(damaged)
    yield "png-exif-invalid-then-3", png(photo, 2, 8, before=[(b"eXIf", b"Exif\0\0" + exif(6)), (b"eXIf", exif(3))])
    yield "png-exif-half-a-mark-then-3", png(photo, 2, 8, before=[(b"eXIf", b"MM\0+" + exif(6)[4:]), (b"eXIf", exif(3))])
    yield "png-exif-twice", png(photo, 2, 8, before=[(b"eXIf", exif(8))], after=[(b"eXIf", exif(3))])
    yield "png-exif-late-animation", png(photo, 2, 8, before=[(b"eXIf", exif(6))], after=[(b"acTL", struct.pack(">II", 2, 0))])


# ---- WebP ----


def webp(images, **options):
    out = io.BytesIO()
    first, *rest = images
    if rest:
        options.update(save_all=True, append_images=rest, duration=100)
    first.save(out, "WEBP", **options)
    return out.getvalue()


def riff(*chunks):
    body = b"WEBP" + b"".join(k + struct.pack("<I", len(b)) + b + bytes(len(b) & 1) for k, b in chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def webp_chunks(data):
    at, chunks = 12, []
    while at < len(data):
        size = struct.unpack("<I", data[at + 4 : at + 8])[0]
        chunks.append((data[at : at + 4], data[at + 8 : at + 8 + size]))
        at += 8 + size + (size & 1)
    return chunks


def webps():
    photo = Image.fromarray(picture())
    alpha = Image.fromarray(numpy.dstack([picture(), numpy.mgrid[0:HEIGHT, 0:WIDTH][1].astype(numpy.uint8) * 4]))
    yield "webp-lossy", webp([photo], quality=75)
    yield "webp-lossy-poor", webp([photo], quality=1)
    yield "webp-lossless", webp([photo], lossless=True)
    yield "webp-lossy-alpha", webp([alpha], quality=75)
    yield "webp-lossless-alpha", webp([alpha], lossless=True, exact=True)
    yield "webp-lossless-palette", webp([photo.quantize(8).convert("RGB")], lossless=True)
    yield "webp-1x1", webp([Image.fromarray(picture(1, 1))], quality=75)
    yield "webp-200x150", webp([Image.fromarray(picture(200, 150))], quality=60)
    for orientation in (1, 3, 6):
        yield f"webp-exif-{orientation}", webp([photo], quality=75, exif=b"Exif\0\0" + exif(orientation))
    chunks = webp_chunks(webp([photo], quality=75, exif=b"Exif\0\0" + exif(6)))
    canvas = bytearray(chunks[0][1])
    canvas[0] &= ~8
    yield "webp-exif-unannounced", riff((b"VP8X", bytes(canvas)), *chunks[1:])
    prefixed = [(k, b"Exif\0\0" + b if k == b"EXIF" else b) for k, b in chunks]
    yield "webp-exif-prefixed", riff(*prefixed)
    whole = riff(*chunks)
    yield "webp-exif-before-half-a-chunk", whole[:4] + struct.pack("<I", len(whole) - 8 + 2) + whole[8:] + b"\0\0"
    mirrored = Image.fromarray(picture()[:, ::-1].copy())
    yield "webp-animated", webp([photo, mirrored], quality=75)
    yield "webp-animated-alpha", webp([alpha, mirrored.convert("RGBA")], quality=75)
    yield "webp-animated-lossless", webp([alpha, mirrored.convert("RGBA")], lossless=True)
    part = webp_chunks(webp([alpha.crop((0, 0, 31, 21))], quality=75))[1:]
    frame = b"".join(k + struct.pack("<I", len(b)) + b + bytes(len(b) & 1) for k, b in part)
    place = b"".join(struct.pack("<I", v)[:3] for v in (4, 6, 30, 20, 100))
    canvas = b"\x12\0\0\0" + struct.pack("<I", WIDTH - 1)[:3] + struct.pack("<I", HEIGHT - 1)[:3]
    yield "webp-animated-partial", riff((b"VP8X", canvas), (b"ANIM", b"\x10\x80\xf0\xff\0\0"), (b"ANMF", place + b"\0" + frame),
                                        (b"ANMF", place + b"\0" + frame))


# ---- BMP ----


def bmp(width, height, bits, body, compression=0, palette=b"", masks=b"", header=40, colours=0, gap=0):
    if header == 12:
        info = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        info = struct.pack("<IiiHHIIiiII", header, width, height, 1, bits, compression, len(body), 2835, 2835, colours, 0)
        info = (info + masks + bytes(header))[:header] if header > 40 else info + masks
    offset = 14 + len(info) + len(palette) + gap
    return struct.pack("<2sIHHI", b"BM", offset + len(body), 0, 0, offset) + info + palette + bytes(gap) + body


def bmp_rows(samples, bits):
    rows = b""
    for row in samples:
        if bits >= 8:
            line = row.tobytes()
        else:
            text = "".join(format(int(value), f"0{bits}b") for value in row)
            text += "0" * (-len(text) % 8)
            line = bytes(int(text[i : i + 8], 2) for i in range(0, len(text), 8))
        rows += line + bytes(-len(line) % 4)
    return rows


def runs(samples, wide, ends_rows=True, literal_every=3):
    """RLE8 (wide) or RLE4: a mix of runs and literals, row by row, from the bottom."""
    out = b""
    for y, row in enumerate(samples):
        x, turn = 0, 0
        while x < len(row):
            count = 1
            while x + count < len(row) and count < 255 and row[x + count] == row[x]:
                count += 1
            turn += 1
            if turn % literal_every == 0 and len(row) - x >= 5:
                part = row[x : x + 5]
                line = bytes(int(v) for v in part) if wide else bytes(
                    int(v) << 4 | (int(part[i + 1]) if i + 1 < 5 else 0) for i, v in enumerate(part) if i % 2 == 0)
                out += b"\0\5" + line + bytes(len(line) & 1)
                x += 5
            else:
                out += bytes([count, int(row[x]) if wide else int(row[x]) * 17])
                x += count
        if ends_rows and y + 1 < len(samples):
            out += b"\0\0"
    return out + b"\0\1"


def bmps():
    photo = picture()
    grey = photo[:, :, 1] // 1
    bgr = photo[::-1, :, ::-1].copy()
    random = numpy.random.default_rng(3)
    palette = random.integers(0, 256, (256, 4)).astype(numpy.uint8)
    ramp = numpy.repeat(numpy.arange(256, dtype=numpy.uint8)[:, None], 4, axis=1)
    for bits in (1, 4, 8):
        indices = grey[::-1] >> (8 - bits)
        count = 1 << bits
        yield f"bmp-{bits}", bmp(WIDTH, HEIGHT, bits, bmp_rows(indices, bits), palette=palette[:count].tobytes())
        yield f"bmp-{bits}-grey-palette", bmp(
            WIDTH, HEIGHT, bits, bmp_rows(indices, bits), palette=ramp[:: 256 // count].tobytes())
        yield f"bmp-{bits}-os2", bmp(
            WIDTH, HEIGHT, bits, bmp_rows(indices, bits), palette=palette[:count, :3].tobytes(), header=12)
    yield "bmp-8-few-colours", bmp(
        WIDTH, HEIGHT, 8, bmp_rows(grey[::-1] >> 4, 8), palette=palette[:10].tobytes(), colours=10)
    yield "bmp-24", bmp(WIDTH, HEIGHT, 24, bmp_rows(bgr, 24))
    yield "bmp-24-top-down", bmp(WIDTH, -HEIGHT, 24, bmp_rows(bgr[::-1], 24))
    yield "bmp-24-gap", bmp(WIDTH, HEIGHT, 24, bmp_rows(bgr, 24), gap=37)
    yield "bmp-24-os2", bmp(WIDTH, HEIGHT, 24, bmp_rows(bgr, 24), header=12)
    yield "bmp-24-v5", bmp(WIDTH, HEIGHT, 24, bmp_rows(bgr, 24), header=124)
    four = numpy.dstack([bgr, random.integers(0, 256, bgr.shape[:2]).astype(numpy.uint8)])
    yield "bmp-32", bmp(WIDTH, HEIGHT, 32, bmp_rows(four, 32))
    yield "bmp-32-top-down", bmp(WIDTH, -HEIGHT, 32, bmp_rows(four[::-1], 32))
    yield "bmp-32-masks", bmp(WIDTH, HEIGHT, 32, bmp_rows(four, 32), 3, masks=struct.pack("<III", 0xFF0000, 0xFF00, 0xFF))
    yield "bmp-32-v5-masks", bmp(WIDTH, HEIGHT, 32, bmp_rows(four, 32), 3, header=124,
                                 masks=struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000))
    yield "bmp-32-other-masks", bmp(
        WIDTH, HEIGHT, 32, bmp_rows(four, 32), 3, masks=struct.pack("<III", 0xFF, 0xFF00, 0xFF0000))
    noise = numpy.random.default_rng(5).integers(0, 256, four.shape).astype(numpy.uint8)
    for name, header, masks in (
        ("v5-swapped", 124, (0xFF, 0xFF00, 0xFF0000, 0xFF000000)), ("v4-10-bits", 108, (0x3FF00000, 0xFFC00, 0x3FF, 0xC0000000)),
        ("v3-odd", 56, (0x80000001, 0x7F000, 0xFFFFFFFF, 0)), ("v3-565", 57, (0xF800, 0x7E0, 0x1F, 0)),
        ("v2-ignored", 52, (0xFF, 0xFF00, 0xFF0000, 0)), ("v5-empty-mask", 124, (0xFF, 0, 0xFF0000, 0))):
        yield f"bmp-32-{name}", bmp(
            WIDTH, HEIGHT, 32, bmp_rows(noise, 32), 3, header=header, masks=struct.pack("<IIII", *masks))
    wide = random.integers(0, 65536, (HEIGHT, WIDTH)).astype("<u2")
    yield "bmp-16", bmp(WIDTH, HEIGHT, 16, bmp_rows(wide, 16))
    yield "bmp-16-555", bmp(WIDTH, HEIGHT, 16, bmp_rows(wide, 16), 3, masks=struct.pack("<III", 0x7C00, 0x3E0, 0x1F))
    yield "bmp-16-565", bmp(WIDTH, HEIGHT, 16, bmp_rows(wide, 16), 3, masks=struct.pack("<III", 0xF800, 0x7E0, 0x1F))
    yield "bmp-rle8", bmp(WIDTH, HEIGHT, 8, runs(grey[::-1] >> 4, True), 1, palette=palette.tobytes())
    yield "bmp-rle4", bmp(WIDTH, HEIGHT, 4, runs(grey[::-1] >> 4, False), 2, palette=palette[:16].tobytes())
    yield "bmp-rle8-top-down", bmp(WIDTH, -HEIGHT, 8, runs(grey >> 4, True), 1, palette=palette.tobytes())
    yield "bmp-rle8-early-end", bmp(WIDTH, HEIGHT, 8, b"\x09\x05\0\0\x07\x03\0\1", 1, palette=palette.tobytes())
    yield "bmp-rle8-jump", bmp(WIDTH, HEIGHT, 8, b"\x09\x05\0\2\x04\x03\x07\x03\0\0\x03\x01\0\1", 1, palette=palette.tobytes())
    yield "bmp-rle4-short-rows", bmp(
        WIDTH, HEIGHT, 4, b"\x09\x53\0\0" * HEIGHT + b"\0\1", 2, palette=palette[:16].tobytes())
    rest = b"\x03\x21\0\0" * HEIGHT + b"\0\1"  # OpenCV does not jump to other rows here, nor ends the picture early
    yield "bmp-rle4-jump", bmp(WIDTH, HEIGHT, 4, b"\x09\x53\0\2\x04\x03\x07\x31\0\0" + rest, 2, palette=palette[:16].tobytes())
    yield "bmp-rle4-early-end", bmp(WIDTH, HEIGHT, 4, b"\x09\x53\0\1" + rest, 2, palette=palette[:16].tobytes())
    yield "bmp-1x1", bmp(1, 1, 24, b"\1\2\3\0")


def expectation(data, file):
    """What OpenCV makes of it, or None."""
    bgr = cv2.imdecode(numpy.frombuffer(data, numpy.uint8), cv2.IMREAD_COLOR)
    if bgr is None:
        print(f"OpenCV does not read {file}")
        return None
    rgb = numpy.ascontiguousarray(bgr[:, :, ::-1])
    return {"file": str(file), "width": rgb.shape[1], "height": rgb.shape[0],
            "rgb_sha256": hashlib.sha256(rgb.tobytes()).hexdigest()}


def photographs():
    """A few of the test data's pictures: only their hashes are kept."""
    files = sorted((DATA / "photos").iterdir())
    files += sorted((DATA / "coco128").rglob("*.jpg"))[:8] + sorted((DATA / "neu-det").rglob("*.jpg"))[:2]
    return [row for file in files if (row := expectation(file.read_bytes(), file.relative_to(DATA)))]


def main():
    FOLDER.mkdir(exist_ok=True)
    rows, total = [], 0
    endings = {"jpeg": "jpg"}
    for make in (jpegs, pngs, webps, bmps):
        for name, data in make():
            kind = name.split("-")[0]
            file = f"{name}.{endings.get(kind, kind)}"
            row = expectation(data, file)
            if row:
                (FOLDER / file).write_bytes(data)
                rows.append(row)
                total += len(data)
    tables = [f'"oracle": "OpenCV {cv2.__version__} imdecode(IMREAD_COLOR)"']
    for name, table in (("images", rows), ("photographs", photographs())):
        tables.append(f'"{name}": [\n' + ",\n".join("  " + json.dumps(row) for row in table) + "\n]")
    (FOLDER / "images.json").write_text("{" + ",\n".join(tables) + "}\n")
    print(f"{len(rows)} files, {total} bytes")


if __name__ == "__main__":
    main()
