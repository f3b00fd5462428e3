"""What must hold when a rank is killed at a named point of a save: the points, and the judge of
fail_points_test.py. It knows facts alone, so that they can be doctored, and the judge tried."""

from typing import NamedTuple

from lockstep_nth import Launch, judge_store

END = 15  # of each job
KILLED = 137
SAID_AT_AN_END = (0, 2, 75, 77)


class Failure(NamedTuple):
    """A call of a rank that fails in the second save, before the point (nth_call_shim.cpp)."""
    rank: int
    call: str
    save: int = 2  # that the rank is killed in


A_BLOCK = Failure(1, "save pwrite 28 3")  # each save writes a block and a header
THE_LAST_FSYNC = Failure(0, "save fsync 5 8", save=3)  # of four: the save is tried again


class Point(NamedTuple):
    """Where a rank is killed. `there`: whether the save that it is killed in must have its final
    name afterwards; None: may have, since the others go on."""
    there: bool | None = False
    by_root: bool = False  # no other rank comes by
    beside: bool = False   # only where training goes on meanwhile
    large: bool = False    # shards of two blocks
    failure: Failure | None = None


POINTS = {
    "save begun": Point(),
    "partial made": Point(by_root=True),
    "snapshot begun": Point(beside=True),
    "block copied": Point(beside=True, large=True),
    "snapshot whole": Point(None, beside=True),
    "shard created": Point(),
    "shard reserved": Point(),
    "first block written": Point(),
    "later block written": Point(large=True),
    "header written": Point(),
    "shard complete": Point(large=True),
    "shard fsynced": Point(),
    "own shard durable": Point(),
    "all shards durable": Point(),
    "receipts gathered": Point(None),
    "commit begun": Point(by_root=True),
    "manifest created": Point(by_root=True),
    "manifest written": Point(by_root=True),
    "manifest fsynced": Point(by_root=True),
    "partial fsynced": Point(by_root=True),
    "newest looked at": Point(by_root=True),
    "renamed": Point(True, by_root=True),
    "checkpoints fsynced": Point(True, by_root=True),
    "newest looked at again": Point(True, by_root=True),
    "committed, not noted": Point(True, by_root=True),
    "commit noted": Point(True, by_root=True),
    "commit agreed": Point(True),
    "committed, not acknowledged": Point(True, by_root=True),
    "acknowledged": Point(True, by_root=True),
    "abandon begun": Point(by_root=True, failure=A_BLOCK),
    "abandoned": Point(by_root=True, failure=A_BLOCK),
    "earlier try found": Point(True, by_root=True, failure=THE_LAST_FSYNC),
    "earlier try deleted": Point(by_root=True, failure=THE_LAST_FSYNC),
}


class Kind(NamedTuple):
    """What a job's second save is."""
    checkpoint: dict
    outcome: str | None = None  # of the job that is through with it
    stop: str = ""  # the point at which the first save preempts the job


KINDS = {"beside training": Kind({"interval": 5}),
         "waiting": Kind({"interval": 5, "async": False}),
         "last": Kind({"interval": 10}, "finished"),
         "of a stop": Kind({"interval": 5, "async": False}, "preempted", "acknowledged")}
RANKS = {"0": {0}, "last": {1}, "all": {0, 1}}


class Case(NamedTuple):
    point: str
    ranks: str
    kind: str


def cases_of(name):
    point, kinds = POINTS[name], KINDS
    if point.beside:
        kinds = ["beside training"]
    if point.failure == THE_LAST_FSYNC:  # what others do is left to the next one
        kinds = ["last", "of a stop"]
    return [Case(name, ranks, kind)
            for ranks in (["0"] if point.by_root else RANKS) for kind in kinds]


class Facts(NamedTuple):
    fired: set          # (point, rank)
    codes: dict         # of the ranks, as far as they are known
    running: list       # processes that are left
    beaten: int | None  # the newest commit in the heartbeat of the job that was killed
    outcome: str | None  # in its outcome.json
    first: Launch       # which was killed
    second: Launch      # the same command, by the product
    reference: dict     # {iteration: digest} of a job that nothing disturbed

    def ledger(self):
        """What was acknowledged by the first launch."""
        noted = set() if self.beaten is None else {(1, self.beaten)}
        return self.first.committed() | noted


def judge(case, facts):
    """Breaches, each as (what it is, a sentence)."""
    found = []

    def require(what, holds, breach):
        if not holds:
            found.append((what, breach))

    judge_end(case, facts, require)
    for which, launch in (("first", facts.first), ("second", facts.second)):
        for id_ in sorted(facts.ledger() - launch.present.keys()):
            require("lost", False, f"{id_} was acknowledged, and is gone after the {which} launch")
        judge_store(which, launch, facts.reference,
                    lambda holds, breach: require("torn", holds or "is gone" in breach, breach))
    judge_next(case, facts, require)
    return found


def judge_end(case, facts, require):
    first, point = facts.first, POINTS[case.point]
    killed = {rank for at, rank in facts.fired if at == case.point}
    others = facts.fired - {(case.point, rank) for rank in RANKS[case.ranks]}
    require("not reached", killed and not others, f"killed: {sorted(facts.fired)}")
    require("end", first.code == KILLED, f"exit code {first.code}")
    for rank, code in facts.codes.items():
        require("end", code not in SAID_AT_AN_END, f"rank {rank} ends with {code}")
    require("end", not facts.running, f"processes {facts.running} are left")
    # Rank 0 may be through when another rank is killed.
    through = 0 not in RANKS[case.ranks] and point.there is not False
    require("end", facts.outcome in {None, KINDS[case.kind].outcome if through else None},
            f"an outcome is written: {facts.outcome}")
    made = KINDS[case.kind].checkpoint["interval"]
    require("end", (1, made) in first.committed(), f"the first save, of {made}, is not told")
    again = [id_ for id_ in first.present if id_ != (1, made)]
    require("order", point.there is None or len(again) == point.there,
            f"killed there the save must be {'there' if point.there else 'missing'}: {again}")


def judge_next(case, facts, require):
    second, newest = facts.second, max(facts.first.present, default=(0, 0))
    require("next", second.code == 0, f"the next launch ends with {second.code}")
    if newest[1] == END:  # it has nothing to do
        return
    require("next", second.parent == newest, f"the next launch starts from {second.parent}, "
                                             f"not from {newest}")
    interval = KINDS[case.kind].checkpoint["interval"]
    due = {i for i in range(interval, END, interval) if i > newest[1]} | {END}
    missing = sorted(due - {i for attempt, i in second.present if attempt != 1})
    require("next", not missing, f"the next launch does not save {missing}")
    require("next", not second.leftover, f"not swept: {second.leftover}")
