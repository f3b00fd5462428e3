"""The JSON that deploy/STATUS.md shows, and whether an answer has just that shape: the same fields,
no more and no fewer, each of a kind that the document has for it.

Beside JSON the document has `// comments`, `a | b` for one or the other, `..` and `...` for "and so
on" (what stands in such an object or array is not looked at), and `"a|b"` for one of these words. 0
is any number, other whole numbers are whole; where null stands alone there may be a text.
"""

import json
import re

from lockstep_jobs import ROOT

DOCUMENT = ROOT / "deploy" / "STATUS.md"
TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?|\.\.\.?|true|false|null|[{}\[\]:,|])')
# Maps by names that are the task's own: in a document one example of them.
OPEN = ("metrics",)


class Shapes:
    """{path: shape} of a document's sections `## /path`."""

    def __init__(self, text=None):
        self.of = {}
        text = DOCUMENT.read_text() if text is None else text
        for title, body in re.findall(r"^## (/\S+)\n(.*?)(?=^## |\Z)", text, re.M | re.S):
            block = "\n".join(re.findall(r"^    (.*)", body, re.M)) or \
                " ".join(line for line in body.splitlines() if line.startswith("{"))
            self.of[title] = Reader(re.sub(r"//.*", "", block)).value()


class Reader:
    """Of a text to a shape: (kind, what), or a list of such: one of them."""

    def __init__(self, text):
        self.text, self.at = text, 0

    def peek(self):
        found = TOKEN.match(self.text, self.at)
        assert found, f"what is this in the document: {self.text[self.at:self.at + 60]!r}"
        return found

    def take(self, wanted=None):
        found = self.peek()
        assert wanted is None or found[1] == wanted, (wanted, self.text[self.at:self.at + 60])
        self.at = found.end()
        return found[1]

    def takes(self, wanted):
        if self.text[self.at:].strip() and self.peek()[1] == wanted:
            self.take()
            return True
        return False

    def value(self):
        alternatives = [self.one()]
        while self.takes("|"):
            alternatives.append(self.one())
        return [("text", None), *alternatives] if alternatives == [("null", None)] else alternatives

    def one(self):
        token = self.take()
        if token == "{":
            return self.listed("}", lambda: (json.loads(self.take()), self.take(":"), self.value()))
        if token == "[":
            return self.listed("]", self.value)
        if token.startswith('"'):
            words = json.loads(token).split("|")
            return ("word", words) if len(words) > 1 and "..." not in words else ("text", None)
        if token in ("true", "false"):
            return ("truth", None)
        if token == "null":
            return ("null", None)
        return ("number" if "." in token or token == "0" else "whole", None)

    def listed(self, end, member):
        found, open_ended = [], False
        while not self.takes(end):
            if self.takes("...") or self.takes(".."):
                open_ended = True
            else:
                found.append(member())
            self.takes(",")
        if end == "]":
            return ("array", sum(found, []) or None)  # each member is like one of them
        return ("object", None if open_ended else {name: value for name, _, value in found})


def differences(shape, value, place=""):
    """What in a value is not as its shape has it: sentences."""
    kinds = {bool: ("truth",), int: ("whole", "number"), float: ("number",), type(None): ("null",),
             str: ("text", "word"), dict: ("object",), list: ("array",)}[type(value)]
    fitting = [(kind, what) for kind, what in shape if kind in kinds]
    if isinstance(value, str) and all(kind == "word" for kind, _ in fitting):
        fitting = [(kind, words) for kind, words in fitting if value in words]
    if not fitting:
        return [f"{place or 'it'} is {json.dumps(value)[:60]}, not {shape}"]
    kind, what = fitting[0]
    found = []
    if kind == "object" and place.endswith(OPEN):
        for name, one in value.items():
            found += differences([("number", None), ("null", None)], one, f"{place}.{name}")
    elif kind == "object" and what is not None:
        found += [f"{place}.{name} is not there" for name in what.keys() - value.keys()]
        found += [f"{place}.{name} is in no document" for name in value.keys() - what.keys()]
        for name in what.keys() & value.keys():
            found += differences(what[name], value[name], f"{place}.{name}")
    elif kind == "array" and what is not None:
        for at, one in enumerate(value):
            found += differences(what, one, f"{place}[{at}]")
    return found
