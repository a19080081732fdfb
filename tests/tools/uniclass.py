"""Writes src/llm/file/uniclass_table.h: the classes of characters that tokenizers tell apart (src/llm/file/uniclass.h), from the
general categories of Python's unicodedata, or of the package unicodedata2, which follows newer versions of Unicode.

    python3 tests/tools/uniclass.py > src/llm/file/uniclass_table.h
"""
try:
    import unicodedata2 as unicodedata
except ImportError:
    import unicodedata

WHITE = set(range(9, 14)) | {0x20, 0x85, 0xa0, 0x1680, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000} | set(range(0x2000, 0x200b))
OTHER, UPPER, LOWER, LETTER, MARK, NUMBER, PUNCT, SYMBOL, SPACE, PAIRS_UL, PAIRS_LU = range(11)


def class_of(code):
    if code in WHITE:
        return SPACE
    c = unicodedata.category(chr(code))
    if c in ("Lu", "Lt"):
        return UPPER
    if c == "Ll":
        return LOWER
    return {"L": LETTER, "M": MARK, "N": NUMBER, "P": PUNCT, "S": SYMBOL}.get(c[0], OTHER)


# Runs of equal class; stretches in which upper and lower case take turns become one run, told by the parity of the first.
classes = [class_of(c) for c in range(0x110000)]
runs = []
at = 0
while at < len(classes):
    end = at + 1
    while end < len(classes) and classes[end] == classes[at]:
        end += 1
    turns = at + 1
    while turns < len(classes) and {classes[turns - 1], classes[turns]} == {UPPER, LOWER}:
        turns += 1
    if turns - at >= 4:
        upper_even = (classes[at] == UPPER) == (at % 2 == 0)
        runs.append((at, PAIRS_UL if upper_even else PAIRS_LU))
        at = turns
    else:
        runs.append((at, classes[at]))
        at = end
print("/* uniclass_table.h: made by tests/tools/uniclass.py from Unicode %s; not to be edited.  Each number is the first" %
      unicodedata.unidata_version)
print("   character of a run, times 16, and the run's class. */")
line = " "
for start, c in runs:
    word = " 0x%x," % (start * 16 + c)
    if len(line) + len(word) > 118:
        print(line)
        line = " "
    line += word
print(line)
