"""The pictures that every server is asked with: pictures.py COCO128_IMAGES TO

TO/640x480 gets the photographs of that size as they are, TO/1920x1080 as many as 12 mosaics of nine of them each, at their own resolution
(an enlarged photograph would be too smooth a JPEG) and quality 90.
SPDX-License-Identifier: Apache-2.0
"""
import pathlib
import sys

import cv2

MOST_MOSAICS = 12


def main():
    source, target = map(pathlib.Path, sys.argv[1:])
    photos = [(path, cv2.imread(str(path))) for path in sorted(source.glob("*.jpg"))]
    photos = [(path, photo) for path, photo in photos if photo.shape == (480, 640, 3)]
    if len(photos) < 9:
        sys.exit(f"{source} has {len(photos)} photographs of 640 x 480, 9 are needed")
    small, large = target / "640x480", target / "1920x1080"
    small.mkdir()
    large.mkdir()
    for path, _ in photos:
        (small / path.name).write_bytes(path.read_bytes())
    for i in range(min(MOST_MOSAICS, len(photos))):
        tiles = [photos[(i + 3 * k) % len(photos)][1][60:420] for k in range(9)]
        mosaic = cv2.vconcat([cv2.hconcat(tiles[row:row + 3]) for row in (0, 3, 6)])
        cv2.imwrite(str(large / f"{i:02}.jpg"), mosaic, [cv2.IMWRITE_JPEG_QUALITY, 90])


main()
