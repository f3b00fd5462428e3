#!/usr/bin/env -S python3 -B
"""plugin_abi.py HEADERS...: what plugins are compiled with is what it was when kPluginAbi got its
number. Comments and white space don't count."""

import hashlib
import re
import sys
from pathlib import Path

ABI = 3
DIGEST = "a91cf3376f72f8b5"

texts = {Path(name).name: Path(name).read_text() for name in sys.argv[1:]}
number = int(re.search(r"kPluginAbi = (\d+);", texts["plugin_abi.h"])[1])
code = "".join(re.sub(r"//.*|\s+", "", texts[name]) for name in sorted(texts))
digest = hashlib.sha256(code.encode()).hexdigest()[:16]
if (number, digest) != (ABI, DIGEST):
    sys.exit(f"what plugins are compiled with has changed: digest {digest}, kPluginAbi {number}; it "
             f"was {DIGEST} with {ABI}. Raise kPluginAbi in worker/plugin_abi.h, unless what was "
             f"built before goes on working, and note both in {sys.argv[0]}")
print(f"plugins of version {number} go on working")
