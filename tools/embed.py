#!/usr/bin/env python3
"""Makes the console's files a C source: a table of struct asset (src/admin/assets.h).

SPDX-License-Identifier: Apache-2.0

    embed.py OUT PATH=FILE ...      PATH is what the browser asks for, "/app.js"
"""
import hashlib
import pathlib
import sys

TYPES = {
    ".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml", ".txt": "text/plain; charset=utf-8", ".yaml": "application/yaml",
}


def main():
    out = pathlib.Path(sys.argv[1])
    lines = ["/* Made by tools/embed.py. */", '#include "admin/assets.h"', ""]
    table = []
    for number, argument in enumerate(sys.argv[2:]):
        path, file = argument.split("=", 1)
        content = pathlib.Path(file).read_bytes()
        lines.append(f"static const unsigned char file_{number}[] = {{")
        lines += [",".join(map(str, content[at:at + 40])) + "," for at in range(0, len(content), 40)]
        lines.append("};")
        etag = hashlib.sha256(content).hexdigest()[:20]
        table.append(f'    {{"{path}", "{TYPES[pathlib.Path(path).suffix]}", "\\"{etag}\\"", file_{number}, '
                     f"sizeof(file_{number})}},")
    lines += ["", "const struct asset assets[] = {", *table, "};", "const size_t asset_count = sizeof(assets) / sizeof(assets[0]);"]
    out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
