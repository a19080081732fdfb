#!/usr/bin/env python3
"""gguf_set.py IN.gguf OUT.gguf NAME=VALUE ...: a copy of a GGUF file with other metadata.  A value of true or false is a
boolean, any other a string; what the file has under that name goes.  The format: ggml's docs/gguf.md.
"""
import struct
import sys

SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
BOOL, STRING, ARRAY = 7, 8, 9


def string_end(data, at):
    return at + 8 + struct.unpack_from("<Q", data, at)[0]


def value_end(data, at, kind):
    if kind == STRING:
        return string_end(data, at)
    if kind != ARRAY:
        return at + SIZES[kind]
    of, n = struct.unpack_from("<IQ", data, at)
    at += 12
    for _ in range(n):
        at = value_end(data, at, of)
    return at


def main(path, out, *settings):
    data = open(path, "rb").read()
    magic, version, ntensor, npair = struct.unpack_from("<IIQQ", data)
    wanted = dict(s.split("=", 1) for s in settings)
    alignment, at, pairs = 32, 24, []
    for _ in range(npair):
        begin = at
        end = string_end(data, at)
        name = data[at + 8 : end].decode()
        at = value_end(data, end + 4, struct.unpack_from("<I", data, end)[0])
        if name == "general.alignment":
            alignment = struct.unpack_from("<I", data, end + 4)[0]
        if name not in wanted:
            pairs.append(data[begin:at])
    for name, value in wanted.items():
        text = value.encode()
        flag = value in ("true", "false")
        pairs.append(
            struct.pack("<Q", len(name)) + name.encode() + struct.pack("<I", BOOL if flag else STRING)
            + (bytes([value == "true"]) if flag else struct.pack("<Q", len(text)) + text)
        )
    begin = at
    for _ in range(ntensor):                   # name, dimensions, type, place in the data
        at = string_end(data, at)
        at += 4 + 8 * struct.unpack_from("<I", data, at)[0] + 12
    head = struct.pack("<IIQQ", magic, version, ntensor, len(pairs)) + b"".join(pairs) + data[begin:at]
    with open(out, "wb") as f:
        f.write(head + b"\0" * (-len(head) % alignment) + data[at + -at % alignment :])


if len(sys.argv) < 4:
    sys.exit(__doc__)
main(*sys.argv[1:])
