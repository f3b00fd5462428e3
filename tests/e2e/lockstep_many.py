"""A store of very many checkpoints, made from one that a job has written: manifests and shards are
the same but for their numbers, and sealed anew. Each is one that lockstep takes for good."""

import ctypes
import json
import struct

ALIGNED = 4096  # where a shard's data begins


class Hash128(ctypes.Structure):
    _fields_ = [("low", ctypes.c_uint64), ("high", ctypes.c_uint64)]


def xxh3_128(data):
    library = ctypes.CDLL("libxxhash.so.0")
    library.XXH3_128bits.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
    library.XXH3_128bits.restype = Hash128
    words = library.XXH3_128bits(data, len(data))
    return f"{words.high:016x}{words.low:016x}"


def line(record):
    return json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def sealed(record):
    bare = {key: value for key, value in record.items() if key != "digest"}
    return line({**bare, "digest": xxh3_128(line(bare))}) + b"\n"


def with_number(shard, place):
    """A shard's bytes with another place in its header; and the header's digest."""
    (length,) = struct.unpack_from("<Q", shard)
    header = json.loads(shard[8:8 + length])
    header["__metadata__"]["lockstep.shard"] = line(place).decode()
    text = line(header)
    text += b" " * (-(len(text) + 8) % ALIGNED)
    head = struct.pack("<Q", len(text)) + text
    return head + shard[8 + length:], xxh3_128(head)


def multiply(store, attempt, iteration, others, metrics=lambda iteration: {}):
    """Makes a checkpoint of each of `others`, iterations of the same attempt."""
    source = store.checkpoint(attempt, iteration)
    manifest = json.loads((source / "manifest.json").read_text())
    shards = [(source / entry["file"]).read_bytes() for entry in manifest["shards"]]
    for other in others:
        folder = store.checkpoint(attempt, other)
        folder.mkdir()
        manifest["iteration"], manifest["metrics"] = other, metrics(other)
        for index, (entry, shard) in enumerate(zip(manifest["shards"], shards)):
            place = {"attempt": attempt, "count": len(shards), "index": index, "iteration": other}
            data, entry["header_digest"] = with_number(shard, place)
            entry["bytes"] = len(data)
            (folder / entry["file"]).write_bytes(data)
        (folder / "manifest.json").write_bytes(sealed(manifest))
