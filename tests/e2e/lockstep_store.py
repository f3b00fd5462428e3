"""Reads a store from outside: records, checkpoints, tensors. Knows FORMAT, not the programs' code.

Strict on purpose: whatever does not fit raises Unreadable, so that no test compares less than it
believes.
"""

import hashlib
import json
import math
import re
import struct
from pathlib import Path
from typing import NamedTuple

ITEM_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1,
              "U8": 1, "BOOL": 1}


class Unreadable(Exception):
    """A file of the store is not what the format promises."""


def require(holds, what):
    if not holds:
        raise Unreadable(what)


class Tensor(NamedTuple):
    dtype: str
    shape: tuple
    data: bytes

    def floats(self):
        require(self.dtype == "F32", f"{self.dtype} where F32 was expected")
        return struct.unpack(f"<{len(self.data) // 4}f", self.data)


class Heartbeat(NamedTuple):
    iteration: int
    committed: int | None


def read_shard(path):
    """{tensor: (first element, dtype, bytes)}, and the identity in the header."""
    raw = path.read_bytes()
    require(len(raw) >= 8, f"{path.name}: shorter than 8 bytes")
    (length,) = struct.unpack_from("<Q", raw)
    require(8 + length <= len(raw), f"{path.name}: its header is longer than the file")
    header = json.loads(raw[8:8 + length])
    metadata = header.pop("__metadata__")
    ranges = json.loads(metadata["lockstep.pieces"])
    require(set(ranges) == set(header), f"{path.name}: pieces are not one for each tensor")
    data, pieces, at = raw[8 + length:], {}, 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        begin, end = entry["data_offsets"]
        first, count = ranges[name]
        require(begin == at and end - begin == count * ITEM_BYTES[entry["dtype"]],
                f"{path.name}: {name} has a hole or another size")
        pieces[name], at = (first, entry["dtype"], data[begin:end]), end
    require(at == len(data), f"{path.name}: {len(data) - at} bytes after the last tensor")
    return pieces, json.loads(metadata["lockstep.shard"])


def read_checkpoint(folder):
    """{name: Tensor}, put together from the shards; each element must be there exactly once."""
    manifest = json.loads((folder / "manifest.json").read_text())
    parts = {tensor["name"]: [] for tensor in manifest["tensors"]}
    require(len(manifest["shards"]) == manifest["world_size"], f"{folder.name}: shards missing")
    for index, shard in enumerate(manifest["shards"]):
        path = folder / shard["file"]
        require(path.stat().st_size == shard["bytes"], f"{path.name}: another size")
        pieces, identity = read_shard(path)
        expected = {"attempt": manifest["attempt"], "iteration": manifest["iteration"],
                    "index": index, "count": manifest["world_size"]}
        require(identity == expected, f"{path.name}: is {identity}, expected {expected}")
        for name, piece in pieces.items():
            parts[name].append(piece)
    tensors = {}
    for tensor in manifest["tensors"]:
        name, dtype, shape = tensor["name"], tensor["dtype"], tuple(tensor["shape"])
        data = bytearray()
        for first, piece_dtype, piece in sorted(parts[name]):
            require(first * ITEM_BYTES[dtype] == len(data) and piece_dtype == dtype,
                    f"{folder.name}: {name} has a hole, an overlap or two dtypes")
            data += piece
        require(len(data) == math.prod(shape) * ITEM_BYTES[dtype],
                f"{folder.name}: {name} is short")
        tensors[name] = Tensor(dtype, shape, bytes(data))
    require(tensors, f"{folder.name}: no tensor")
    return tensors


def read_plain(path):
    """{name: Tensor} of a safetensors file of whole tensors, in the order of its data; its metadata."""
    raw = path.read_bytes()
    (length,) = struct.unpack_from("<Q", raw)
    header = json.loads(raw[8:8 + length])
    metadata, data, at, tensors = header.pop("__metadata__"), raw[8 + length:], 0, {}
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        begin, end = entry["data_offsets"]
        width = ITEM_BYTES[entry["dtype"]]
        require(begin == at and end - begin == math.prod(entry["shape"]) * width, f"{name}: a hole")
        require((8 + length + begin) % width == 0, f"{name}: not aligned")
        tensors[name], at = Tensor(entry["dtype"], tuple(entry["shape"]), data[begin:end]), end
    require(at == len(data), f"{path}: bytes behind the last tensor")
    return tensors, metadata


def snapshot(folder):
    """What lies below a folder: each file's digest, None for each folder; {} where it is not."""
    return {str(path.relative_to(folder)):
            hashlib.blake2b(path.read_bytes()).hexdigest() if path.is_file() else None
            for path in sorted(Path(folder).rglob("*"))}


def listing(folder):
    """What lies at and below a folder: each name's inode, size and time of change; {} where it is
    not. A file that came and went shows in the time of its folder."""
    def facts(path):
        found = path.lstat()
        return found.st_ino, found.st_size, found.st_mtime_ns

    found = {}
    for path in (Path(folder), *Path(folder).rglob("*")):
        try:
            found[str(path)] = facts(path)
        except FileNotFoundError:  # a job at work has removed it meanwhile
            pass
    return found


def difference(before, after):
    """Names that two snapshots or listings do not have alike."""
    return sorted(name for name in before.keys() | after.keys()
                  if name not in before or name not in after or before[name] != after[name])


class Store:
    """A store's folder. Checkpoints are pairs (attempt, iteration)."""

    def __init__(self, path):
        self.path = Path(path)

    def attempts(self):
        folder = self.path / "attempts"
        return sorted(int(p.name) for p in folder.iterdir()) if folder.is_dir() else []

    def attempt(self, number):
        return self.path / "attempts" / f"{number:04d}"

    def record(self, attempt, name):
        """A record of an attempt, such as "decision"; None where there is none."""
        path = self.attempt(attempt) / f"{name}.json"
        return json.loads(path.read_text()) if path.exists() else None

    def heartbeat(self, attempt):
        path = self.attempt(attempt) / "heartbeat"
        if not path.exists():
            return None
        found = re.fullmatch(r"counter +\d+ iteration +(\d+) committed +(\d+|-) *\n",
                             path.read_text())
        if not found:
            return None  # it is being made
        return Heartbeat(int(found[1]), None if found[2] == "-" else int(found[2]))

    def iteration(self, attempt=None):
        """Of the newest attempt's heartbeat, or of that of one; -1 where there is none yet."""
        attempt = attempt or max(self.attempts(), default=None)
        beat = self.heartbeat(attempt) if attempt else None
        return beat.iteration if beat else -1

    def committed(self):
        """{(attempt, iteration): folder}."""
        found = {}
        if (self.path / "checkpoints").is_dir():
            for path in (self.path / "checkpoints").iterdir():
                if name := re.fullmatch(r"(\d{4,})-(\d{10,})", path.name):
                    found[int(name[1]), int(name[2])] = path
        return found

    def of_attempt(self, attempt):
        """The iterations that an attempt has committed."""
        return sorted(i for a, i in self.committed() if a == attempt)

    def partials(self):
        folder = self.path / "checkpoints"
        return list(folder.glob(".*.partial")) if folder.is_dir() else []

    def checkpoint(self, attempt, iteration):
        return self.path / "checkpoints" / f"{attempt:04d}-{iteration:010d}"

    def manifest(self, attempt, iteration):
        return json.loads((self.checkpoint(attempt, iteration) / "manifest.json").read_text())

    def shard(self, attempt, iteration, index):
        shards = self.manifest(attempt, iteration)["shards"]
        return self.checkpoint(attempt, iteration) / shards[index]["file"]

    def tensors(self, attempt, iteration):
        return read_checkpoint(self.checkpoint(attempt, iteration))
