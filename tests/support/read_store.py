#!/usr/bin/env -S python3 -B
"""A reader of stores, written from deploy/FORMAT.md: Python's standard library, and for XXH3 the C
library xxhash. Whatever has a digest is checked against it; what is wrong ends it with code 1.

    tests/support/read_store.py STORE           attempts, and checkpoints: * in the newest lineage
    tests/support/read_store.py STORE 3@1200    tensors: SHA-256 of the bytes, dtype, shape, name
    tests/support/read_store.py STORE latest    the newest checkpoint of the newest lineage
"""
import ctypes, hashlib, json, math, re, sys
from pathlib import Path

class Hash128(ctypes.Structure):
    _fields_ = [("low", ctypes.c_uint64), ("high", ctypes.c_uint64)]

xxhash = ctypes.CDLL("libxxhash.so.0")
for function, result in (xxhash.XXH3_64bits, ctypes.c_uint64), (xxhash.XXH3_128bits, Hash128):
    function.argtypes, function.restype = [ctypes.c_char_p, ctypes.c_size_t], result

def xxh3_64(data):
    return f"{xxhash.XXH3_64bits(data, len(data)):016x}"

def xxh3_128(data):
    words = xxhash.XXH3_128bits(data, len(data))
    return f"{words.high:016x}{words.low:016x}"

def require(holds, what):
    if not holds:
        sys.exit(f"damaged: {what}")

def read_record(path):
    text = path.read_bytes()
    record = json.loads(text)
    before, after = text[:-1].split(b'"digest":"%s"' % record["digest"].encode())
    bare = before + after[1:] if after.startswith(b",") else before[:-1] + after
    require(xxh3_128(bare) == record["digest"], f"{path.parent.name}/{path.name}: digest")
    return record

def read_shard(folder, manifest, index):
    """(tensor, dtype, first element, how many, bytes) of each piece."""
    shard, what = manifest["shards"][index], f"{folder.name}: shard {index}"
    file = (folder / shard["file"]).read_bytes()
    begin = 8 + int.from_bytes(file[:8], "little")
    require(len(file) == shard["bytes"] and begin % 4096 == 0, f"{what}: size")
    require(xxh3_128(file[:begin]) == shard["header_digest"], f"{what}: header")
    header, data = json.loads(file[8:begin]), file[begin:]
    own = {key.partition(".")[2]: text for key, text in header.pop("__metadata__").items()}
    place = {key: manifest[key] for key in ("attempt", "iteration")}
    place |= {"index": index, "count": manifest["world_size"]}
    require(json.loads(own["shard"]) == place, f"{what}: another place")
    sums = [xxh3_64(data[at:at + (4 << 20)]) for at in range(0, len(data), 4 << 20)]
    require(own["checksums"] == "".join(sums), f"{what}: checksums")
    for name, piece in json.loads(own["pieces"]).items():
        yield name, header[name]["dtype"], *piece, data[slice(*header[name]["data_offsets"])]

def read_tensors(folder):
    """{name: (dtype, shape, bytes)}, in the manifest's order."""
    manifest = read_record(folder / "manifest.json")
    found = {t["name"]: (t["dtype"], t["shape"], bytearray()) for t in manifest["tensors"]}
    of_item = {kind: int(kind.strip("BFIULO") or 8) // 8 for kind, _, _ in found.values()}  # bytes
    for index in range(manifest["world_size"]):  # pieces of a tensor ascend with the shard
        for name, dtype, first, count, piece in read_shard(folder, manifest, index):
            fits = first * of_item[dtype] == len(found[name][2]) and found[name][0] == dtype
            require(fits and len(piece) == count * of_item[dtype], f"{folder.name}: {name}")
            found[name][2].extend(piece)
    for name, (dtype, shape, data) in found.items():
        require(len(data) == math.prod(shape) * of_item[dtype], f"{folder.name}: {name}: too short")
    return found

def read_store(path):
    """{attempt: {record's name: record}}, {(attempt, iteration): folder}"""
    require(read_record(path / "store.json")["format_version"] == 1, "store.json: another version")
    number, iteration = r"(\d{4}|[1-9]\d{4,})", r"(\d{10}|[1-9]\d{10,})"
    attempts = {int(p.name): {f.stem: read_record(f) for f in p.glob("[a-z]*.json")}
                for p in (path / "attempts").iterdir() if re.fullmatch(number, p.name)}
    checkpoints = {}
    for p in (path / "checkpoints").iterdir():
        name = re.fullmatch(rf"(?:\.trash-{number}-[0-9a-f]{{8,32}}-)?{number}-{iteration}", p.name)
        unended = name and name[1] and "outcome" not in attempts[int(name[1])]  # will be taken back
        if name and (not name[1] or unended and (p / "manifest.json").exists()):
            checkpoints[int(name[2]), int(name[3])] = p
    return attempts, checkpoints

def lineage(attempts, checkpoints, attempt, upto=math.inf):
    """Newest first."""
    own = sorted((c for c in checkpoints if c[0] == attempt and c[1] <= upto), reverse=True)
    parent = attempts.get(attempt, {}).get("decision", {}).get("parent") or {"store": None}
    if "store" in parent or parent["attempt"] >= attempt:  # of another store, or none
        return own
    return own + lineage(attempts, checkpoints, parent["attempt"], parent["iteration"])

def main(path, wanted=""):
    attempts, checkpoints = read_store(Path(path))
    ends = {a: attempts[a].get("outcome", {}).get("outcome", "-") for a in sorted(attempts)}
    all_lineages = [lineage(attempts, checkpoints, a) for a in ends if ends[a] != "refused"]
    newest = next(filter(None, reversed(all_lineages)), [])
    if wanted:
        chosen = newest[0] if wanted == "latest" else tuple(map(int, wanted.split("@")))
        for name, (dtype, shape, data) in read_tensors(checkpoints[chosen]).items():
            print(hashlib.sha256(data).hexdigest(), dtype, f"{shape} {name}")
    else:
        print(*(f"{a} {attempts[a]['claim']['run']} {ends[a]}" for a in ends), sep="\n")
        print(*(f"{a}@{i}{' *' * ((a, i) in newest)}" for a, i in sorted(checkpoints)), sep="\n")

if __name__ == "__main__":
    main(*sys.argv[1:])
