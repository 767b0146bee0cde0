"""Changes that ``mutants.py`` draws and that change nothing: each was read, and says why no test can notice it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

PACKAGE = Path("metric_tracker_env")


class Equal(NamedTuple):
    """A line, what it is changed to (nothing where it is left out), and why that is the same."""

    module: str
    before: str
    after: str
    reason: str


EQUALS = (
    Equal(
        "play/focus.py",
        "self._waiting = np.arange(days + 1, dtype=np.float32) * np.float32(1.0 / days)",
        "self._waiting = np.arange(days + 2, dtype=np.float32) * np.float32(1.0 / days)",
        "an entry more of a table of which at most number ``days`` is read",
    ),
    Equal(
        "play/focus.py",
        "self._further = list(zip(inspections, self._inspected.tolist(), "
        "self._costs_on_focus[1:].tolist(), strict=True))",
        "self._further = list(zip(inspections, self._inspected.tolist(), "
        "self._costs_on_focus[1:].tolist(), strict=False))",
        "the three are as long; ``strict`` is a guard for who changes them",
    ),
    Equal(
        "world/calendar.py",
        "for whole, part in zip((gaps.active, gaps.day, gaps.first, gaps.last), (True, day, *hours), strict=True):",
        "for whole, part in zip((gaps.active, gaps.day, gaps.first, gaps.last), (True, day, *hours), strict=False):",
        "both have four; ``strict`` is a guard for who changes them",
    ),
    Equal(
        "world/episode.py",
        'direction="up" if change > 0 else "down",',
        'direction="up" if change >= 0 else "down",',
        "no event is announced to change nothing: ``_announced`` is at least one unit",
    ),
    Equal(
        "world/variants.py",
        "offer(anomaly_type(kind, +1), i, +1, low, min(high, up))",
        "offer(anomaly_type(kind, +2), i, +1, low, min(high, up))",
        "the name of an anomaly follows from the sign alone",
    ),
    Equal(
        "world/variants.py",
        "least[row] = alone_floor[links[0]] if alone[row] else TRAFFIC_FLOOR",
        "least[row] = alone_floor[links[-1]] if alone[row] else TRAFFIC_FLOOR",
        "there is one link",
    ),
    Equal(
        "world/source.py",
        "TRIES_GROWTH, MAX_TRIES = 4, 16  # redraws of an incident that are worked out together, "
        "when it fails again and again",
        "TRIES_GROWTH, MAX_TRIES = 4, 15  # redraws of an incident that are worked out together, "
        "when it fails again and again",
        "redraws worked out together are those one by one, which a test holds; this is how fast",
    ),
    Equal(
        "world/episode.py",
        "first, entity = int(events.first[0, place]), catalogue.entities[events.entity[0, place]]",
        "first, entity = int(events.first[0, place]), catalogue.entities[events.entity[-1, place]]",
        "the batch is of one episode",
    ),
    Equal(
        "world/bench.py",
        'direction="up" if ask.sign > 0 else "down",',
        'direction="up" if ask.sign > -1 else "down",',
        "a sign is 1 or -1",
    ),
    Equal(
        "tools/tables.py",
        'if len(tables) < 2 or any(told[name]["columns"] != told[tables[0]]["columns"] for name in tables):',
        'if len(tables) < 2 or any(told[name]["columns"] != told[tables[-1]]["columns"] for name in tables):',
        "all are compared with one of them, whichever it is",
    ),
    Equal(
        "world/labels.py",
        "return (np.sign(np.round(alone - usual, 9)) * plan.active[lane]).astype(np.int8)",
        "return (np.sign(np.round(alone - usual, 10)) * plan.active[lane]).astype(np.int8)",
        "a pull is far larger than the rounding of floats, which is far smaller than either",
    ),
    Equal(
        "play/supply.py",
        'made_by[place] = self._source_of(name.model_copy(update={"seed": 0, "number": 0}))',
        'made_by[place] = self._source_of(name.model_copy(update={"seed": 1, "number": 0}))',
        "a source makes the episodes of keys; the seed of its configuration is not used",
    ),
    Equal(
        "world/source.py",
        "if len(parts) == 1:",
        "if len(parts) <= 1:",
        "there is a part at least",
    ),
    Equal(
        "play/focus.py",
        "row, some = lanes * play.days + focus, (focus >= 0)[:, None]",
        "row, some = lanes * play.days + focus, (focus >= 1)[:, None]",
        "nothing is announced for the first date, which is no candidate",
    ),
    Equal(
        "world/episode.py",
        "first_hour=int(gaps.first[0, place]),",
        "first_hour=int(gaps.first[-1, place]),",
        "the batch is of one episode",
    ),
    Equal(
        "world/bench.py",
        "plan.limit[0, place], plan.alone[0, place] = limit, catalogue.links_of(entity.index)[1]",
        "plan.limit[0, place], plan.alone[-1, place] = limit, catalogue.links_of(entity.index)[1]",
        "the plan is of one episode",
    ),
    Equal(
        "play/single.py",
        "self._levels, self._known = supply.data.levels[0], self._play.known[0]",
        "self._levels, self._known = supply.data.levels[-1], self._play.known[0]",
        "there is one lane",
    ),
    Equal(
        "play/outcome.py",
        "recall=np.where(expected, matched / np.maximum(expected, 1), submitted == 0),",
        "recall=np.where(expected, matched / np.maximum(expected, 1), submitted <= 0),",
        "no number of rows is below 0",
    ),
    Equal(
        "tools/tables.py",
        "shared[name] = values[0]",
        "shared[name] = values[-1]",
        "it is shared if all are the same",
    ),
    Equal(
        "tools/cells.py",
        "if measure.anomaly_type(kind, -1.0) != family:",
        "if measure.anomaly_type(kind, -2.0) != family:",
        "the name of an anomaly follows from the sign alone",
    ),
    Equal(
        "world/replay.py",
        "beyond = 0 if stop == first else int((weekdays[stop - 1] - config.weekdays[-1]) % DAYS_PER_WEEK)",
        "beyond = 0 if stop <= first else int((weekdays[stop - 1] - config.weekdays[-1]) % DAYS_PER_WEEK)",
        "no part ends before it begins",
    ),
    Equal(
        "world/variants.py",
        "least[row] = most[row] = 1.0",
        "least[row] = most[row] = 2.0",
        "impossible counts multiply no count; the factor of what is 0 before them need only be finite",
    ),
    Equal(
        "world/injection.py",
        "cell = spot // plan.active.shape[1] * days + plan.day.reshape(-1)[spot]",
        "cell = spot // plan.active.shape[1] * days + plan.day.reshape(-2)[spot]",
        "NumPy takes any negative length for the one that is left over",
    ),
    Equal(
        "world/replay.py",
        "safe = np.where(known, share, 0.5)",
        "safe = np.where(known, share, -0.5)",
        "what is worked out with it is used only where the share is known",
    ),
    Equal(
        "world/injection.py",
        'step = (1 + plan.entity.reshape(-1)[spot] - catalogue.slices["data_quality"].start)[:, None]',
        'step = (1 + plan.entity.reshape(-2)[spot] - catalogue.slices["data_quality"].start)[:, None]',
        "NumPy takes any negative length for the one that is left over",
    ),
    Equal(
        "tools/registry.py",
        "details = error.errors(include_url=False)",
        "details = error.errors(include_url=True)",
        "a complaint has no use for the address",
    ),
    Equal(
        "world/source.py",
        "if len(parts) == 1:",
        "if len(parts) == 0:",
        "one part joined is that part; this is how fast",
    ),
    Equal(
        "world/episode.py",
        "went = np.sign(values[1][row, 0] - values[0][row, 0])",
        "went = np.sign(values[1][row, -1] - values[0][row, 0])",
        "they are of one date",
    ),
    Equal(
        "world/plan.py",
        'return words.astype("<u8", copy=False).view("<u2")',
        'return words.astype("<u8", copy=True).view("<u2")',
        "a copy holds the same; this is how fast",
    ),
    Equal(
        "world/episode.py",
        "first, entity = int(events.first[0, place]), catalogue.entities[events.entity[0, place]]",
        "first, entity = int(events.first[-1, place]), catalogue.entities[events.entity[0, place]]",
        "the batch is of one episode",
    ),
    Equal(
        "world/rng.py",
        'rows = keys.astype("<u8", copy=False)',
        'rows = keys.astype("<u8", copy=True)',
        "a copy holds the same; this is how fast",
    ),
    Equal(
        "play/single.py",
        "play.steps_left[0] = steps_left",
        "play.steps_left[-1] = steps_left",
        "there is one lane",
    ),
    Equal(
        "tools/cells.py",
        "return zip(days.tolist(), entities.tolist(), strict=True)",
        "return zip(days.tolist(), entities.tolist(), strict=False)",
        "both are as long; ``strict`` is a guard for who changes them",
    ),
    Equal(
        "world/layer.py",
        "@staticmethod",
        "",
        "the class is asked for it, never an instance",
    ),
    Equal(
        "world/calendar.py",
        "return cls(*(np.full((episodes, places), fill) for fill in (False, -1, 0, 0, 0, 0, False, 0.0, False)))",
        "return cls(*(np.full((episodes, places), fill) for fill in (False, -1, 1, 0, 0, 0, False, 0.0, False)))",
        "of a place without an event nothing is read but that it has none, and the first date, which sorts it",
    ),
    Equal(
        "world/calendar.py",
        "free = np.full(start.shape, ALL_LINKS | 1 << TAKEN, np.uint16)",
        "free = np.full(start.shape, ALL_LINKS | 0 << TAKEN, np.uint16)",
        "whatever takes a date touches a link there too",
    ),
    Equal(
        "play/layout.py",
        "return np.eye(1 + FAMILIES, FAMILIES, k=-1, dtype=np.float32)",
        "return np.eye(2 + FAMILIES, FAMILIES, k=-1, dtype=np.float32)",
        "a row more of a table, which no family points to",
    ),
    Equal(
        "world/episode.py",
        "rows = [self.row(int(d), int(e)) for d, e in zip(day, entity, strict=True)]",
        "rows = [self.row(int(d), int(e)) for d, e in zip(day, entity, strict=False)]",
        "both are as long; ``strict`` is a guard for who changes them",
    ),
    Equal(
        "world/rng.py",
        "index = np.arange(1, number + 1, dtype=np.uint64) + np.uint64(stream << STREAM_SHIFT)",
        "index = np.arange(1, number + 2, dtype=np.uint64) + np.uint64(stream << STREAM_SHIFT)",
        "a word more of a stream, which is cut off",
    ),
    Equal(
        "tools/registry.py",
        """return f"{units} unit{'' if units == 1 else 's'}{' a date' if self.dates_argument else ''}\"""",
        """return f"{units} unit{'' if units <= 1 else 's'}{' a date' if self.dates_argument else ''}\"""",
        "no price is below 0, and one of 0 is called free before",
    ),
    Equal(
        "world/reach.py",
        "low, high = 0.0, (1.0 - TRAFFIC_FLOOR) / max(units) if sign < 0 else max(100.0, (ratio - 1.0) / max(units))",
        "low, high = -1.0, (1.0 - TRAFFIC_FLOOR) / max(units) if sign < 0 else max(100.0, (ratio - 1.0) / max(units))",
        "the bisection ends at the same share, which is not below 0",
    ),
)


def reason_of(module: Path, diff: str) -> str | None:
    """Why a change is the same, if it is listed."""
    lines = [line for line in diff.splitlines() if line[:1] in ("-", "+") and line[:3] not in ("---", "+++")]
    before, after = ([line[1:].strip() for line in lines if line[0] == sign and line[1:].strip()] for sign in "-+")
    if len(before) != 1 or len(after) > 1:
        return None
    found = {(PACKAGE / e.module, e.before, e.after.replace(" ", "")): e.reason for e in EQUALS}
    return found.get((module, before[0], "".join(after).replace(" ", "")))


def stale() -> list[str]:
    """Lines of the list that the code no longer has; it is read from the working directory."""
    return [e.before for e in EQUALS if e.before not in (PACKAGE / e.module).read_text("utf-8")]
