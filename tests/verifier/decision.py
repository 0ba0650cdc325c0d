"""May this subject do this to this object? (docs/decisions/0004-meaning-of-grant-and-deny.md)

The answer is read off the entries in the order of that page; its steps are named in the comments. This verifier
evaluates no conditions: one that is there is *indeterminate*, which can take access away and never gives it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ledger import Entry
from names import action_covers, covering, covers, is_role
from records import DENIED, GRANTED

CLOSURE_ROLES_MAX = 1024


@dataclass(frozen=True)
class Question:
    sub: str
    obj: str
    # None: every action.
    act: str | None
    # The interval in which the instant lies; an explicit instant is both.
    lo: int
    hi: int
    height: int


@dataclass(frozen=True)
class Answer:
    # "grant", "deny", "indeterminate" or "no_match".
    why: str
    # Indexes of the entries that decided, ascending.
    # Leaves, and places in sets: `57`, `57.3`.
    entries: list[int | str]

    @property
    def is_granted(self) -> bool:
        return self.why == "grant"


class Entries:
    """Accepted access records, found by their subjects."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.by_sub: defaultdict[str, list[Entry]] = defaultdict(list)
        for entry in entries:
            self.by_sub[entry.access.sub].append(entry)

    def decide(self, question: Question) -> Answer:
        return Evaluation(self, question).answer()


class Evaluation:
    """One question, worked out."""

    def __init__(self, entries: Entries, question: Question) -> None:
        self.entries = entries
        self.question = question
        self.about_name: dict[str, list[Entry]] = {}
        # Step 5: the names in W, each with the membership grants that lead on from it.
        self.leads: dict[str, list[Entry]] = {}
        # Step 6: the roots whose memberships led too far.
        self.cut: set[str] = set()

    def answer(self) -> Answer:
        question = self.question
        self.reach()
        wide, certain = set(self.leads), set(self.walk(is_true))
        # Step 7.
        denied = self.denied_roles(wide, lambda entry: True)
        denied_certainly = self.denied_roles(certain, is_true)
        # Step 8.
        denials = [
            entry
            for entry in self.about(wide)
            if entry.access.effect == DENIED
            and self.holds_somewhere(entry)
            and covers(entry.access.obj, question.obj)
            and (question.act is None or action_covers(entry.access.act, question.act))
        ]
        if denials:
            definite = any(is_true(entry) and covers_one(entry, certain) for entry in denials)
            return answer_with("deny" if definite else "indeterminate", denials)
        # Step 9.
        narrow = self.walk(lambda entry: self.gives(entry) and is_true(entry) and entry.access.obj not in denied)
        grants = [entry for entry in self.grants(narrow) if is_true(entry)]
        if grants:
            return answer_with("grant", grants + [over for grant in grants for over in way_to(grant, narrow)])
        # Step 10.
        perhaps = self.walk(lambda entry: self.gives(entry) and entry.access.obj not in denied_certainly)
        grants = self.grants(perhaps)
        return answer_with("indeterminate" if grants else "no_match", grants)

    # Step 1: when an entry holds, by what was known.

    def end_of(self, entry: Entry) -> int | None:
        ends = [] if entry.access.exp is None else [entry.access.exp]
        if entry.revoked is not None and entry.revoked[0] <= self.question.height:
            ends.append(entry.revoked[1])
        return min(ends, default=None)

    def holds(self, entry: Entry, start_by: int, end_after: int) -> bool:
        start, end = max(entry.access.iss or 0, entry.added), self.end_of(entry)
        return (end is None or (end > start and end > end_after)) and start <= start_by

    def holds_somewhere(self, entry: Entry) -> bool:
        return self.holds(entry, self.question.hi, self.question.lo)

    def holds_throughout(self, entry: Entry) -> bool:
        return self.holds(entry, self.question.lo, self.question.hi)

    # Which entries speak of a name.

    def about(self, names: Iterable[str]) -> list[Entry]:
        """The entries whose subject is, or covers, one of these names; each once, ascending."""
        found: dict[tuple[int, int], Entry] = {}
        for name in names:
            if name not in self.about_name:
                texts = covering(name)
                self.about_name[name] = [
                    entry
                    for text in texts
                    for entry in self.entries.by_sub.get(text, [])
                    if entry.height <= self.question.height
                ]
            found.update((entry.place, entry) for entry in self.about_name[name])
        return [found[place] for place in sorted(found)]

    # Steps 4 to 7: the roles of the subject.

    def reach(self) -> None:
        """W, level by level, each root within its budget."""
        roles_of_root: defaultdict[str, set[str]] = defaultdict(set)
        level = [self.question.sub]
        self.leads[self.question.sub] = []
        while level:
            to_role: defaultdict[str, list[tuple[str, Entry]]] = defaultdict(list)
            for name in level:
                for entry in self.about([name]):
                    access = entry.access
                    if access.effect == GRANTED and access.act == "member" and self.holds_somewhere(entry):
                        to_role[access.obj].append((name, entry))
            level = []
            for role in sorted(to_role):
                for name, entry in to_role[role]:
                    if role == self.question.sub or not self.is_within_budget(
                        role, roles_of_root[entry.authority], entry
                    ):
                        continue
                    self.leads[name].append(entry)
                    if role not in self.leads:
                        self.leads[role] = []
                        level.append(role)

    def is_within_budget(self, role: str, roles: set[str], entry: Entry) -> bool:
        """Step 6; counts the role."""
        if entry.authority not in self.cut and role not in roles:
            if len(roles) == CLOSURE_ROLES_MAX:
                self.cut.add(entry.authority)
            else:
                roles.add(role)
        return entry.authority not in self.cut

    def walk(self, follows: Callable[[Entry], bool]) -> dict[str, Entry | None]:
        """The part of W that is reached over such memberships, in the order of the distance; with each name the
        membership that leads to it on a shortest path (none for the subject).
        """
        reached: dict[str, Entry | None] = {self.question.sub: None}
        open_ = [self.question.sub]
        for name in open_:
            for entry in self.leads[name]:
                if entry.access.obj not in reached and follows(entry):
                    reached[entry.access.obj] = entry
                    open_.append(entry.access.obj)
        return reached

    def denied_roles(self, subjects: set[str], counts: Callable[[Entry], bool]) -> set[str]:
        """D, or D!."""
        denials = [
            entry.access.obj
            for entry in self.about(subjects)
            if entry.access.effect == DENIED
            and entry.access.act in ("member", "*")
            and self.holds_somewhere(entry)
            and counts(entry)
        ]
        return {name for name in self.leads if is_role(name) and any(covers(obj, name) for obj in denials)}

    # Step 9: what gives access.

    def gives(self, entry: Entry) -> bool:
        return self.holds_throughout(entry) and entry.authority not in self.cut

    def grants(self, narrow: Iterable[str]) -> list[Entry]:
        """Those that apply, of whatever condition."""
        return [
            entry
            for entry in self.about(narrow)
            if entry.access.effect == GRANTED and self.is_asked_for(entry) and self.gives(entry)
        ]

    def is_asked_for(self, grant: Entry) -> bool:
        act, obj = self.question.act, self.question.obj
        if act == "member":
            return grant.access.act == "member" and grant.access.obj == obj
        return grant.access.act in ("*", act) and covers(grant.access.obj, obj)


def way_to(grant: Entry, narrow: dict[str, Entry | None]) -> list[Entry]:
    """The memberships on one shortest path to this grant."""
    path: list[Entry] = []
    step: Entry | None = grant
    while step is not None:
        # The first name that it speaks of is one of those nearest to the subject.
        step = narrow[next(name for name in narrow if covers(step.access.sub, name))]
        if step is not None:
            path.append(step)
    return path


def is_true(entry: Entry) -> bool:
    return not entry.access.has_condition


def covers_one(entry: Entry, names: Iterable[str]) -> bool:
    return any(covers(entry.access.sub, name) for name in names)


def answer_with(why: str, entries: list[Entry]) -> Answer:
    by_place = {entry.place: entry for entry in entries}
    return Answer(why, [by_place[place].name for place in sorted(by_place)])
