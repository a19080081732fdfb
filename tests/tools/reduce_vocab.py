"""Makes small vocabularies for tests/unit/test_vocab.c of llama.cpp's test files (models/ggml-vocab-NAME.gguf with .inp and
.out): of the tokens and merges those that can occur in the texts, numbered anew, and the expected tokens renumbered.

    python3 tests/tools/reduce_vocab.py LLAMA_CPP/models tests/data/vocab gpt-2 llama-bpe qwen2 phi-3 falcon

wants the Python package gguf.  Nothing that can be merged in the texts is left out: a merge whose result is no part of any
text never applies, so the tokens are those of the whole vocabulary.
"""
import sys
import gguf

MARK = "\n__ggml_vocab_test__\n"
NORMAL, UNKNOWN, CONTROL, USER, UNUSED, BYTE = range(1, 7)


def byte_letters():
    own = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    others = [b for b in range(256) if b not in own]
    return {b: chr(b) if b in own else chr(256 + others.index(b)) for b in range(256)}


def reduce(models, out, name):
    base = "%s/ggml-vocab-%s.gguf" % (models, name)
    fields = gguf.GGUFReader(base).fields
    get = lambda key: fields["tokenizer.ggml." + key].contents() if "tokenizer.ggml." + key in fields else None
    tokens, types, spm = get("tokens"), get("token_type"), get("model") == "llama"
    texts = open(base + ".inp", newline="", encoding="utf-8").read().split(MARK)[:-1]
    lines = open(base + ".out").read().split("\n")
    if spm:
        written = [" " + t for t in texts]
        written = "\0".join(t.replace(" ", "\u2581") for t in written)
    else:
        letters = byte_letters()
        written = "\0".join("".join(letters[b] for b in t.encode()) for t in texts)
    plain = "\0".join(texts)
    used = {int(i) for l in lines for i in l.split()}
    named = {get(k) for k in ("bos_token_id", "eos_token_id", "unknown_token_id", "padding_token_id")}
    single = set() if spm else set(byte_letters().values())

    def kept(i):
        t, kind = tokens[i], types[i]
        if i in used or i in named or kind == BYTE or t in single:
            return True
        return t in plain if kind in (USER, CONTROL, UNKNOWN) else t in written

    keep = [i for i in range(len(tokens)) if kept(i)]
    new = {i: k for k, i in enumerate(keep)}
    path = "%s/%s.gguf" % (out, name)
    w = gguf.GGUFWriter(path, "none")
    w.add_tokenizer_model(get("model"))
    if get("pre"):
        w.add_tokenizer_pre(get("pre"))
    w.add_token_list([tokens[i].encode() for i in keep])
    w.add_token_types([types[i] for i in keep])
    if get("scores"):
        w.add_token_scores([get("scores")[i] for i in keep])
    if get("merges"):
        w.add_token_merges([m for m in get("merges") if m[:1] + m[1:].replace(" ", "", 1) in written])
    if get("bos_token_id") is not None:
        w.add_bos_token_id(new[get("bos_token_id")])
    if get("eos_token_id") is not None:
        w.add_eos_token_id(new[get("eos_token_id")])
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.close()
    with open(path + ".out", "w") as f:
        for l in lines[: len(texts)]:
            f.write(" ".join(str(new[int(i)]) for i in l.split()) + "\n")
    return open(base + ".inp", newline="", encoding="utf-8").read()


inp = {reduce(sys.argv[1], sys.argv[2], name) for name in sys.argv[3:]}
assert len(inp) == 1, "the texts differ"
with open(sys.argv[2] + "/texts.inp", "w", newline="", encoding="utf-8") as f:
    f.write(inp.pop())
