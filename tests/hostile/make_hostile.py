#!/usr/bin/env python3
"""Writes images/ and images.tsv: damaged, lying and foreign image files, with the error that each must give.

SPDX-License-Identifier: Apache-2.0

Standard library only and deterministic; whole files to spoil are taken from ../golden/images. The table's columns: file,
name of the error code, and a piece of the sentence. The expectations are written here by hand: they say what must happen.
"""
import pathlib
import struct
import zlib

HERE = pathlib.Path(__file__).parent
GOLDEN = HERE.parent / "golden" / "images"
EARLY = "premature end of file"


def golden(name):
    return (GOLDEN / name).read_bytes()


def patched(data, at, new):
    return data[:at] + new + data[at + len(new) :]


# ---- JPEG ----


def jpeg_segments(data):
    """Offsets of the marker segments: (marker, start, end), entropy-coded data going with its SOS."""
    at, found = 2, []
    while at < len(data) - 1:
        marker = data[at + 1]
        if marker == 0xD9:
            break
        end = at + 2 + struct.unpack(">H", data[at + 2 : at + 4])[0]
        if marker == 0xDA:
            while data[end] != 0xFF or data[end + 1] == 0 or 0xD0 <= data[end + 1] <= 0xD7:
                end += 1
        found.append((marker, at, end))
        at = end
    return found


def jpeg_of_scans(count):
    """8 x 8 grey pixels, progressive: `count` scans that each say that the mean is 0, in one byte."""
    return (b"\xff\xd8\xff\xdb\0\x43\0" + b"\1" * 64 + b"\xff\xc2\0\x0b\x08\0\x08\0\x08\1\1\x11\0"
            + b"\xff\xc4\0\x14\0\1" + bytes(16) + b"\xff\xda\0\x08\1\1\0\0\0\0\x7f" * count + b"\xff\xd9")


def jpegs():
    whole = golden("jpeg-420.jpg")
    where = {}
    for marker, start, end in jpeg_segments(whole):
        where.setdefault(marker, (start, end))
    frame, table, quant, scan = where[0xC0][0], where[0xC4][0], where[0xDB][0], where[0xDA][0]
    for cut in (4, 10, 21, 50, frame + 5, table + 9, scan + 4, scan + 10):
        yield f"jpeg-cut-{cut:04}", whole[:cut], "CORRUPT", f"{EARLY} at byte {cut} of {cut}"
    for part in (30, 60, 90):
        cut = scan + (len(whole) - scan) * part // 100
        yield f"jpeg-cut-{part}-percent", whole[:cut], "CORRUPT", f"{EARLY} at byte {cut} of {cut}"
    yield "jpeg-no-end-marker", whole[:-2], "CORRUPT", EARLY
    yield "jpeg-end-in-the-middle", whole[: scan + 200] + b"\xff\xd9", "CORRUPT", "premature end of data segment"
    yield "jpeg-comment-cut", whole[:-2] + b"\xff\xfe\0\x50this comment is longer", "CORRUPT", EARLY
    slow = golden("jpeg-progressive.jpg")
    yield "jpeg-progressive-cut", slow[: len(slow) * 2 // 3], "CORRUPT", EARLY
    yield "jpeg-progressive-cut-early", slow[: len(slow) // 3], "CORRUPT", EARLY
    yield "jpeg-2000-scans", jpeg_of_scans(2000), "LIMIT", "more than 100 scans"
    yield "jpeg-100-scans", jpeg_of_scans(100), "OK", ""
    refined = [s for s in jpeg_segments(slow) if s[0] == 0xDA][-1]
    yield "jpeg-scans-again", slow[:-2] + slow[refined[1] : refined[2]] * 20 + b"\xff\xd9", "CORRUPT", "premature end of data segment"
    for name, side in (("60000", 60000), ("65500", 65500)):
        yield f"jpeg-claims-{name}", patched(whole, frame + 5, struct.pack(">HH", side, side)), "LIMIT", f"{side} x {side}"
    yield "jpeg-claims-65535", patched(whole, frame + 5, b"\xff\xff\xff\xff"), "LIMIT", "65500"
    yield "jpeg-claims-more-rows", patched(whole, frame + 5, struct.pack(">H", 900)), "CORRUPT", "premature end of data"
    yield "jpeg-zero-width", patched(whole, frame + 7, b"\0\0"), "CORRUPT", "Empty"
    yield "jpeg-zero-height", patched(whole, frame + 5, b"\0\0"), "CORRUPT", "Empty"
    yield "jpeg-zero-components", patched(whole, frame + 9, b"\0"), "CORRUPT", "JPEG"
    yield "jpeg-200-components", patched(whole, frame + 9, b"\xc8"), "CORRUPT", "length"
    yield "jpeg-sampling-0", patched(whole, frame + 11, b"\0"), "CORRUPT", "sampling factors"
    yield "jpeg-sampling-15", patched(whole, frame + 11, b"\xff"), "CORRUPT", "sampling factors"
    yield "jpeg-sampling-3-of-2", patched(patched(whole, frame + 11, b"\x31"), frame + 14, b"\x21"), "UNSUPPORTED", "ampling"
    yield "jpeg-12-bits", patched(whole, frame + 4, b"\x0c"), "UNSUPPORTED", "precision"
    yield "jpeg-lossless", patched(whole, frame + 1, b"\xc3"), "UNSUPPORTED", "SOF"
    yield "jpeg-hierarchical", patched(whole, frame + 1, b"\xc5"), "UNSUPPORTED", "SOF"
    yield "jpeg-two-frames", whole[:scan] + whole[frame : frame + 19] + whole[scan:], "CORRUPT", "two SOF"
    yield "jpeg-no-frame", whole[:frame] + whole[frame + 19 :], "CORRUPT", "SOS before SOF"
    yield "jpeg-no-scan", whole[:scan] + b"\xff\xd9", "CORRUPT", "JPEG"
    yield "jpeg-nothing-within", b"\xff\xd8\xff\xd9", "CORRUPT", "JPEG"
    yield "jpeg-huffman-counts", patched(whole, table + 5, b"\xff" * 16), "CORRUPT", "Huffman"
    yield "jpeg-huffman-number", patched(whole, table + 4, b"\x0f"), "CORRUPT", "DHT"
    yield "jpeg-huffman-crowded", patched(whole, table + 5, b"\x05\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x07"), "CORRUPT", "Huffman"
    yield "jpeg-quant-number", patched(whole, quant + 4, b"\x0f"), "CORRUPT", "DQT"
    yield "jpeg-quant-missing", patched(whole, frame + 12, b"\3"), "CORRUPT", "uantization table"
    yield "jpeg-scan-unknown-component", patched(whole, scan + 5, b"\x77"), "CORRUPT", "JPEG"
    yield "jpeg-scan-huffman-missing", patched(whole, scan + 6, b"\x33"), "CORRUPT", "Huffman table"
    yield "jpeg-ones-in-scan", patched(whole, scan + 100, b"\xff\0" * 60), "CORRUPT", "Huffman code"
    restart = golden("jpeg-restart.jpg")
    yield "jpeg-restart-lost", restart.replace(b"\xff\xd1", b"", 1), "CORRUPT", "JPEG"
    yield "jpeg-restart-wrong", restart.replace(b"\xff\xd1", b"\xff\xd5", 1), "CORRUPT", "JPEG"
    for length in (0, 1):
        yield f"jpeg-app1-length-{length}", whole[:2] + b"\xff\xe1\0" + bytes([length]) + whole[2:], "CORRUPT", "APP1"
    yield "jpeg-app1-beyond-file", whole[:2] + b"\xff\xe1\xff\xff" + whole[2:], "CORRUPT", EARLY
    yield "jpeg-png-body", whole[:4] + golden("png-rgb-8.png")[8:], "CORRUPT", "JPEG"

    def with_exif(block):
        return whole[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 8) + b"Exif\0\0" + block + whole[2:]

    yield "jpeg-exif-points-at-itself", with_exif(b"II*\0\x08\0\0\0\1\0\x69\x87\4\0\1\0\0\0\x08\0\0\0\x08\0\0\0"), "OK", ""
    yield "jpeg-exif-65535-entries", with_exif(b"MM\0*\0\0\0\x08\xff\xff" + b"\1\0\0\3\0\0\0\1\0\0\0\0" * 40), "OK", ""
    yield "jpeg-exif-directory-beyond", with_exif(b"MM\0*\xff\xff\xff\xff\0\1"), "OK", ""
    yield "jpeg-exif-directory-at-end", with_exif(b"MM\0*\0\0\0\x08\0"), "OK", ""
    yield "jpeg-exif-empty", with_exif(b""), "OK", ""


# ---- PNG ----


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


SIGNATURE = b"\x89PNG\r\n\x1a\n"
END = chunk(b"IEND", b"")


def header(width=8, height=8, depth=8, colour=2, compression=0, filtering=0, interlace=0):
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, compression, filtering, interlace))


def pixels(rows=8, row_bytes=24, filtering=0):
    return zlib.compress((bytes([filtering]) + bytes(range(row_bytes))) * rows, 9)


def png(*chunks, ihdr=None, data=None, end=END):
    return SIGNATURE + (ihdr or header()) + b"".join(chunks) + chunk(b"IDAT", pixels() if data is None else data) + end


def bomb(mebibytes):
    squeezer = zlib.compressobj(9)
    return b"".join(squeezer.compress(bytes(1 << 20)) for _ in range(mebibytes)) + squeezer.flush()


def pngs():
    whole = golden("png-rgb-8.png")
    for cut in (8, 12, 20, 32):
        yield f"png-cut-{cut:04}", whole[:cut], "CORRUPT", f"{EARLY} at byte {cut} of {cut}"
    for part in (10, 50, 95):
        cut = len(whole) * part // 100
        yield f"png-cut-{part}-percent", whole[:cut], "CORRUPT", f"{EARLY} at byte {cut} of {cut}"
    yield "png-no-end", whole[:-12], "CORRUPT", EARLY
    yield "png-end-cut", whole[:-3], "CORRUPT", EARLY
    lines = golden("png-rgb-8-interlaced.png")
    yield "png-interlaced-cut", lines[: len(lines) // 2], "CORRUPT", EARLY
    for name, width, height, code, text in (
            ("60000", 60000, 60000, "LIMIT", "60000 x 60000"), ("65536-wide", 65536, 1, "LIMIT", "65535 pixels a side"),
            ("2147483647", 2147483647, 2147483647, "LIMIT", "65535 pixels a side"),
            ("4294967295", 4294967295, 4294967295, "LIMIT", "65535 pixels a side"),
            ("zero-width", 0, 8, "CORRUPT", "holds nothing"), ("zero-height", 8, 0, "CORRUPT", "holds nothing")):
        yield f"png-claims-{name}", png(ihdr=header(width, height)), code, text
    for name, fields in (("depth-3", {"depth": 3}), ("depth-0", {"depth": 0}), ("colour-1", {"colour": 1}),
                         ("rgb-of-4-bits", {"depth": 4}), ("palette-of-16-bits", {"depth": 16, "colour": 3}),
                         ("compression-1", {"compression": 1}), ("filtering-1", {"filtering": 1}),
                         ("interlace-2", {"interlace": 2})):
        yield f"png-{name}", png(ihdr=header(**fields)), "CORRUPT", "PNG"
    first = bytearray(png())
    first[29] ^= 1
    yield "png-header-crc", bytes(first), "CORRUPT", "checksum"
    at = png().index(b"IDAT")
    yield "png-pixels-crc", png()[: at + 10] + b"\x55" + png()[at + 11 :], "CORRUPT", "PNG"
    length = struct.unpack(">I", png()[at - 4 : at])[0]
    yield "png-only-crc", patched(png(), at + 4 + length, b"\0\0\0\0"), "CORRUPT", "PNG"
    yield "png-header-12-bytes", SIGNATURE + chunk(b"IHDR", bytes(12)) + png()[33:], "CORRUPT", "IHDR"
    yield "png-header-not-first", SIGNATURE + chunk(b"tEXt", b"a\0b") + png()[8:], "CORRUPT", "IHDR"
    yield "png-header-twice", png(header()), "CORRUPT", "PNG"
    yield "png-end-first", SIGNATURE + header() + END, "CORRUPT", "PNG"
    yield "png-filter-9", png(data=pixels(filtering=9)), "CORRUPT", "filter"
    yield "png-too-few-rows", png(data=pixels(rows=5)), "CORRUPT", "row 4 of 8"
    yield "png-no-pixels", png(data=b""), "CORRUPT", "PNG"
    yield "png-not-zlib", png(data=b"these bytes were never deflated"), "CORRUPT", "PNG"
    yield "png-zlib-garbage", png(data=pixels()[:8] + b"\xff" * 30), "CORRUPT", "PNG"
    yield "png-zlib-dictionary", png(data=b"\x78\xbb" + bytes(20)), "CORRUPT", "PNG"
    yield "png-palette-missing", png(ihdr=header(colour=3), data=pixels(row_bytes=8)), "CORRUPT", "PNG"
    yield ("png-palette-of-5-bytes", png(chunk(b"PLTE", b"12345"), ihdr=header(colour=3), data=pixels(row_bytes=8)),
           "CORRUPT", "PNG")
    yield ("png-palette-of-300", png(chunk(b"PLTE", bytes(900)), ihdr=header(colour=3), data=pixels(row_bytes=8)), "CORRUPT",
           "PNG")
    for name, size in (("2147483647", 0x7FFFFFFF), ("4294967295", 0xFFFFFFFF), ("1000", 1000)):
        yield f"png-chunk-claims-{name}", patched(png(), at - 4, struct.pack(">I", size)), "CORRUPT", "PNG"
    yield "png-text-claims-all", SIGNATURE + header() + b"\x7f\xff\xff\xf0tEXtabc" + png()[33:], "CORRUPT", EARLY
    yield "png-unknown-critical", png(chunk(b"ABCD", b"x")), "CORRUPT", "critical"
    yield "png-jpeg-body", SIGNATURE + golden("jpeg-420.jpg"), "CORRUPT", "IHDR"
    yield "png-bomb-in-pixels", png(data=bomb(24)), "OK", ""  # what the size does not ask for is never inflated
    yield "png-bomb-in-profile", png(chunk(b"iCCP", b"p\0\0" + bomb(24))), "OK", ""
    yield "png-bomb-in-text", png(chunk(b"zTXt", b"k\0\0" + bomb(24))), "OK", ""
    yield "png-bomb-in-late-text", png(end=chunk(b"iTXt", b"k\0\1\0\0\0" + bomb(24)) + END), "OK", ""
    yield "png-1500-texts", png(chunk(b"tEXt", b"k\0v") * 1500), "OK", ""
    control = chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, 8, 8, 0, 0, 1, 10, 0, 0))
    for frames in (2, 0xFFFFFFFF):
        yield (f"png-animated-{frames}", png(chunk(b"acTL", struct.pack(">II", frames, 0)) + control), "UNSUPPORTED",
               f"animated PNG of {frames} frames")
    yield "png-animated-1", png(chunk(b"acTL", struct.pack(">II", 1, 0)) + control), "OK", ""  # a still picture after all
    yield "png-animation-cut", png(chunk(b"acTL", bytes(4)) + control), "OK", ""
    yield "png-exif-empty", png(chunk(b"eXIf", b"")), "OK", ""
    yield "png-exif-cut", png(chunk(b"eXIf", b"MM\0*\0\0")), "OK", ""


# ---- WebP ----


def riff(*chunks, size=None):
    body = b"WEBP" + b"".join(k + struct.pack("<I", len(b)) + b + bytes(len(b) & 1) for k, b in chunks)
    return b"RIFF" + struct.pack("<I", len(body) if size is None else size) + body


def canvas(width, height, flags=0):
    return (b"VP8X", bytes([flags, 0, 0, 0]) + struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3])


def webps():
    lossy, lossless = golden("webp-lossy.webp"), golden("webp-lossless.webp")
    for cut in (12, 16, 20, 25, 29):
        yield f"webp-cut-{cut:04}", lossy[:cut], "CORRUPT", f"{EARLY} at byte {cut} of {cut}"
    for name, whole in (("lossy", lossy), ("lossless", lossless), ("alpha", golden("webp-lossy-alpha.webp")),
                        ("animated", golden("webp-animated.webp"))):
        for part in (40, 97):
            cut = len(whole) * part // 100
            if name != "animated" or part < 50:  # the end of an animation is its second frame, which nobody reads
                yield f"webp-{name}-cut-{part}-percent", whole[:cut], "CORRUPT", "WebP"
    for size in (0, 4, 11, 0x7FFFFFFF, 0xFFFFFFFF):
        yield f"webp-riff-claims-{size}", patched(lossy, 4, struct.pack("<I", size)), "CORRUPT", "WebP"
    for size in (0, 5, 0x7FFFFFFF, 0xFFFFFFFF):
        yield f"webp-chunk-claims-{size}", patched(lossy, 16, struct.pack("<I", size)), "CORRUPT", "WebP"
    yield "webp-lossy-zero-width", patched(lossy, 26, b"\0\0"), "CORRUPT", "WebP"
    yield "webp-lossy-claims-16383", patched(lossy, 26, b"\xff\x3f\xff\x3f"), "LIMIT", "16383 x 16383"
    yield "webp-lossy-start-code", patched(lossy, 23, b"\0\0\0"), "CORRUPT", "WebP"
    yield "webp-lossy-no-key-frame", patched(lossy, 20, bytes([lossy[20] | 1])), "CORRUPT", "WebP"
    yield "webp-lossy-partition", patched(lossy, 20, b"\xf0\xff\xff"), "CORRUPT", "WebP"
    yield "webp-lossless-mark", patched(lossless, 20, b"\x30"), "CORRUPT", "WebP"
    yield "webp-lossless-claims-16384", patched(lossless, 21, b"\xff\xff\xff\x0f"), "LIMIT", "16384 x 16384"
    yield "webp-lossless-version", patched(lossless, 24, b"\xe0"), "CORRUPT", "WebP"
    yield "webp-lossless-noise", patched(lossless, 30, bytes((i * 89 + 7) % 256 for i in range(300))), "CORRUPT", "WebP"
    picture = (b"VP8 ", lossy[20:])
    yield "webp-canvas-16777216", riff(canvas(1 << 24, 255), picture), "CORRUPT", "WebP"
    yield "webp-canvas-overflows", riff(canvas(1 << 24, 1 << 24), picture), "CORRUPT", "WebP"
    yield "webp-canvas-60000", riff(canvas(60000, 60000), picture), "CORRUPT", "WebP"
    yield "webp-canvas-alone", riff(canvas(61, 43)), "CORRUPT", "WebP"
    yield "webp-canvas-other-size", riff(canvas(60, 43), picture), "CORRUPT", "WebP"
    yield "webp-animation-empty", riff(canvas(61, 43, 2), (b"ANIM", bytes(6))), "CORRUPT", "without a whole frame"
    yield "webp-animation-60000", riff(canvas(60000, 60000, 2), (b"ANIM", bytes(6))), "LIMIT", "60000 x 60000"

    def frame(x, y, width, height):
        return b"".join(struct.pack("<I", v)[:3] for v in (x, y, width - 1, height - 1, 100)) + b"\0"

    inner = b"VP8 " + struct.pack("<I", len(lossy) - 20) + lossy[20:]
    yield ("webp-frame-leaves-canvas", riff(canvas(61, 43, 2), (b"ANIM", bytes(6)), (b"ANMF", frame(1, 0, 61, 43) + inner)),
           "CORRUPT", "leaves the canvas")
    yield ("webp-frame-far-away", riff(canvas(61, 43, 2), (b"ANIM", bytes(6)),
                                       (b"ANMF", frame(0xFFFFFF, 0xFFFFFF, 1 << 24, 1 << 24) + inner)), "CORRUPT",
           "leaves the canvas")
    yield ("webp-frame-lies", riff(canvas(61, 43, 2), (b"ANIM", bytes(6)), (b"ANMF", frame(0, 0, 20, 20) + inner)), "CORRUPT",
           "its bitstream 61 x 43")
    yield ("webp-frame-empty", riff(canvas(61, 43, 2), (b"ANIM", bytes(6)), (b"ANMF", frame(0, 0, 61, 43))), "CORRUPT",
           "WebP")
    yield "webp-frame-short", riff(canvas(61, 43, 2), (b"ANIM", bytes(6)), (b"ANMF", bytes(9))), "CORRUPT", "whole frame"
    yield ("webp-animation-in-animation", riff(canvas(61, 43, 2), (b"ANIM", bytes(6)), (b"ANMF", frame(0, 0, 61, 43) +
           golden("webp-animated.webp"))), "UNSUPPORTED", "WebP")
    yield "webp-riff-misspelt", b"RIFX" + lossy[4:], "CORRUPT", "RIFF"
    yield "webp-png-body", lossy[:12] + golden("png-rgb-8.png"), "CORRUPT", "WebP"
    exif = golden("webp-exif-6.webp")
    at = exif.index(b"EXIF")
    yield "webp-exif-claims-all", patched(exif, at + 4, b"\xff\xff\xff\x7f"), "OK", ""


# ---- BMP ----


def bmp(width=8, height=8, bits=24, compression=0, size=40, colours=0, offset=None, extra=b"", body=None):
    info = struct.pack("<IiiHHIIiiII", size, width, height, 1, bits, compression, 0, 0, 0, colours, 0)
    body = bytes(range(192)) if body is None else body
    where = 14 + len(info) + len(extra) if offset is None else offset
    return struct.pack("<2sIHHI", b"BM", 14 + len(info) + len(extra) + len(body), 0, 0, where) + info + extra + body


def bmps():
    whole = bmp()
    for cut in (4, 14, 17, 30, 53, 54, 100, len(whole) - 1):
        yield f"bmp-cut-{cut:04}", whole[:cut], "CORRUPT", f"{EARLY} at byte {cut}"
    yield "bmp-zero-width", bmp(width=0), "CORRUPT", "holds nothing"
    yield "bmp-zero-height", bmp(height=0), "CORRUPT", "holds nothing"
    yield "bmp-negative-width", bmp(width=-8), "CORRUPT", "holds nothing"
    yield "bmp-lowest-height", bmp(height=-(1 << 31)), "LIMIT", "65535 pixels a side"
    yield "bmp-claims-60000", bmp(width=60000, height=60000), "CORRUPT", EARLY
    yield "bmp-claims-2147483647", bmp(width=2147483647, height=2147483647, bits=32), "LIMIT", "65535 pixels a side"
    yield "bmp-row-overflows", bmp(width=0x40000001, height=1, bits=32), "LIMIT", "65535 pixels a side"
    yield "bmp-rle-claims-60000", bmp(60000, 60000, 8, 1, extra=bytes(1024), body=b"\0\1"), "LIMIT", "60000 x 60000"
    for bits in (0, 2, 15, 25, 64, 65535):
        yield f"bmp-{bits}-bits", bmp(bits=bits), "UNSUPPORTED", f"{bits} bits a pixel"
    for bits, compression in ((24, 1), (4, 1), (8, 2), (24, 3), (24, 4), (24, 5), (32, 0xFFFFFFFF)):
        yield (f"bmp-{bits}-bits-compression-{compression}", bmp(bits=bits, compression=compression), "UNSUPPORTED",
               f"compression {compression}")
    for size in (0, 1, 13, 35):
        yield f"bmp-header-of-{size}", bmp(size=size), "UNSUPPORTED", f"header of {size} bytes"
    for size in (5000, 0x7FFFFFFF, 0xFFFFFFFF):
        yield f"bmp-header-of-{size}", bmp(size=size), "CORRUPT", EARLY
    for colours in (257, 0x7FFFFFFF, 0xFFFFFFFF):
        yield f"bmp-{colours}-colours", bmp(bits=8, colours=colours), "CORRUPT", f"palette of {colours} colours"
    yield "bmp-palette-cut", bmp(bits=8), "CORRUPT", EARLY
    for offset in (247, 0x7FFFFFFF, 0xFFFFFFFF):
        yield f"bmp-pixels-at-{offset}", bmp(offset=offset), "CORRUPT", f"pixels at byte {offset}"
    yield "bmp-pixels-a-byte-late", bmp(offset=55), "CORRUPT", EARLY
    yield "bmp-pixels-at-0", bmp(offset=0), "OK", ""
    yield "bmp-masks-odd", bmp(bits=16, compression=3, extra=struct.pack("<III", 0xF00, 0xF0, 0xF)), "UNSUPPORTED", "masks"
    yield "bmp-masks-cut", bmp(bits=16, compression=3, body=b"\0\xf8"), "CORRUPT", EARLY

    def runs(body, bits=8):
        return bmp(bits=bits, compression=1 if bits == 8 else 2, extra=bytes(range(256)) * 4 if bits == 8 else bytes(64), body=body)

    for bits in (8, 4):
        yield f"bmp-rle{bits}-nothing", runs(b"", bits), "CORRUPT", EARLY
        yield f"bmp-rle{bits}-run-too-long", runs(b"\x09\1", bits), "CORRUPT", "a run of 9 pixels leaves row 0"
        yield f"bmp-rle{bits}-literal-too-long", runs(b"\4\1\0\7" + bytes(8), bits), "CORRUPT", "a run of 7 pixels"
        yield f"bmp-rle{bits}-literal-cut", runs(b"\0\7\1", bits), "CORRUPT", EARLY
        yield f"bmp-rle{bits}-jump-cut", runs(b"\0\2\1", bits), "CORRUPT", EARLY
        yield f"bmp-rle{bits}-no-end", runs(b"\4\1\0\0", bits), "CORRUPT", EARLY
        yield f"bmp-rle{bits}-jumps-on-the-spot", runs(b"\0\2\0\0" * 500, bits), "CORRUPT", EARLY
    yield "bmp-rle8-jump-far", runs(b"\0\2\xff\xff"), "OK", ""
    yield "bmp-text-body", b"BM" + b"this is a text that begins with those letters " * 4, "CORRUPT", EARLY


# ---- everything else ----


def others():
    yield "empty", b"", "CORRUPT", "image is empty (0 bytes)"
    yield "one-byte", b"\xff", "CORRUPT", "image of 1 bytes is too short"
    yield "two-bytes", b"\xff\xd8", "CORRUPT", "image of 2 bytes is too short"
    yield "text", b"Hello, this is no picture.\n", "UNSUPPORTED", "image is text; JPEG, PNG, WebP and BMP are known"
    yield "html", b"<!DOCTYPE html><html><body>404 Not Found</body></html>", "UNSUPPORTED", "image is text"
    yield "zeros", bytes(100), "UNSUPPORTED", "image begins with 00 00 00 00"
    for name, data, seen in (
            ("gif", b"GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\1\0\1\0\0\2\2D\1\0;", "GIF"),
            ("tiff", b"II*\0\x08\0\0\0\0\0\0\0\0\0", "TIFF"), ("tiff-big-endian", b"MM\0*\0\0\0\x08\0\0\0\0\0\0", "TIFF"),
            ("avif", b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf", "AVIF"),
            ("heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
            ("mp4", b"\0\0\0\x18ftypisom\0\0\2\0isomiso2", "an MP4 video"),
            ("jpeg-xl", b"\xff\x0a\0\0\0\0\0\0", "JPEG XL"), ("jpeg-2000", b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
            ("svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"), ("pdf", b"%PDF-1.7\n", "PDF"),
            ("zip", b"PK\3\4\x14\0\0\0", "a ZIP archive"), ("gzip", b"\x1f\x8b\x08\0\0\0\0\0", "gzip"),
            ("avi", b"RIFF\x24\0\0\0AVI LIST", "an AVI video"), ("wave", b"RIFF\x24\0\0\0WAVEfmt ", "WAVE audio")):
        yield name, data, "UNSUPPORTED", f"image is {seen}; JPEG, PNG, WebP and BMP are known"


def main():
    folder = HERE / "images"
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    table, total = [], 0
    for make in (jpegs, pngs, webps, bmps, others):
        for name, data, code, text in make():
            (folder / name).write_bytes(data)
            table.append(f"{name}\t{code}\t{text}\n")
            total += len(data)
    (HERE / "images.tsv").write_text("".join(table))
    print(f"{len(table)} files, {total} bytes")


if __name__ == "__main__":
    main()
