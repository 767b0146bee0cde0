"""Whether the score can be trusted: labels checked again from the hourly counts, roots identifiable, nothing for free.

Over many episodes of each difficulty ("mixed", 3 incidents): expected rows that the data do not confirm, that point
the wrong way or that did not move from the clean twin; incidents that were lost; what else is flagged; how well the
signature rule and one-line detectors name the roots from the full data; what a submission without any tool can score;
how dates, families and entities are spread. Then the table of the realistic world, see ``validity_world``.

    python benchmarks/validity.py [--episodes 10000] [--only clean|realistic|trees] [--trees]
        [--json results/validity.json]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
from pathlib import Path

import numpy as np
import validity_world
from detectors import DETECTORS, Full, episode_f1, recheck

from metric_tracker_env.config import EpisodeConfig, GeneratorConfig
from metric_tracker_env.schema import ANOMALY_TYPES, DAYS_PER_WEEK, DIFFICULTIES, Difficulty
from metric_tracker_env.scoring import ScoringConfig
from metric_tracker_env.world.labels import CellClass
from metric_tracker_env.world.source import EpisodeSource
from metric_tracker_env.world.traffic import CleanTraffic

CHUNK = 250
INCIDENTS = 3
BLIND_QUALITY = 1 - ScoringConfig().values  # of a matched row whose values are guessed wrong and all else right
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def work(job: tuple[Difficulty, int, int]) -> dict[str, object]:
    """Figures of one chunk of episodes: (difficulty, seed of the keys, number)."""
    difficulty, seed, number = job
    config = GeneratorConfig()
    catalogue = config.catalogue
    source = EpisodeSource(config, EpisodeConfig(difficulty=difficulty, anomaly_count=INCIDENTS))
    keys = np.random.default_rng([seed, DIFFICULTIES.index(difficulty)]).integers(2**63, size=number, dtype=np.uint64)
    batch = source.generate(keys)
    clean, _ = CleanTraffic(config, difficulty).planes(keys)
    expected = batch.classes == CellClass.EXPECTED
    full = Full(config, difficulty, batch.final)
    named = {name: detector(full) for name, detector in DETECTORS.items()}
    rule, plan = named["signature rule"], batch.plan
    lane, place = np.nonzero(plan.active)
    family, entity, day = (a[lane, place] for a in (plan.family, plan.entity, plan.day))
    hit = rule[entity, lane, day]
    extra = (rule & ~expected).sum(axis=(1, 2))
    return {
        "check": recheck(catalogue, difficulty, batch, clean.transpose(2, 3, 1, 0).astype(np.float64)),
        "lost": int(plan.active.sum() - expected.sum()),
        "redraws": int(batch.redraws.sum()),
        "consequences": int((batch.classes == CellClass.CONSEQUENCE).sum()),
        "natural": int((batch.classes == CellClass.NATURAL).sum()),
        "f1": {name: episode_f1(cells, expected).tolist() for name, cells in named.items()},
        "cells": expected.sum(axis=1),  # (E, D)
        "family": np.bincount(family, minlength=len(ANOMALY_TYPES)),
        "family_hit": np.bincount(family, hit, minlength=len(ANOMALY_TYPES)),
        "entity": np.bincount(entity, minlength=catalogue.num_entities),
        "entity_hit": np.bincount(entity, hit, minlength=catalogue.num_entities),
        "entity_extra": extra,
        "family_weekday": np.bincount(
            family * DAYS_PER_WEEK + config.weekdays[day], minlength=len(ANOMALY_TYPES) * DAYS_PER_WEEK
        ),
    }


def blind_score(first: np.ndarray, second: np.ndarray, episodes: int) -> tuple[float, int]:
    """Best fixed submission of the n likeliest cells: chosen on one half, scored on the other; and its n."""
    order = np.argsort(-first.ravel(), kind="stable")
    matched = np.cumsum(second.ravel()[order]) / episodes
    rows = np.arange(1, len(order) + 1)
    scores = 2 * BLIND_QUALITY * matched / (rows + INCIDENTS)
    best = int(scores.argmax())
    return float(scores[best]), best + 1


def spread(counts: np.ndarray) -> str:
    """Least and largest share against uniform."""
    share = counts / counts.mean()
    return f"{share.min():.2f} to {share.max():.2f} x uniform"


def report(difficulty: Difficulty, parts: list[dict[str, object]], episodes: int) -> dict[str, object]:
    """Print the figures of a difficulty; the same as a dict."""
    catalogue = GeneratorConfig().catalogue

    def total(name: str) -> np.ndarray:
        return np.sum([np.asarray(part[name]) for part in parts], axis=0)

    checks: dict[str, int] = {}
    f1: dict[str, list[float]] = {name: [] for name in DETECTORS}
    for part in parts:
        check, scores = part["check"], part["f1"]
        assert isinstance(check, dict)
        assert isinstance(scores, dict)
        for name, value in check.items():
            checks[name] = checks.get(name, 0) + int(value)
        for name, values in scores.items():
            f1[name] += values
    checks["lost incidents"] = int(total("lost"))
    means = {name: float(np.mean(values)) for name, values in f1.items()}
    half = len(parts) // 2
    cells = [np.asarray(part["cells"]) for part in parts]
    blind, rows = blind_score(sum(cells[:half], np.zeros(1)), sum(cells[half:], np.zeros(1)), episodes // 2)
    family, entity, weekday = total("family"), total("entity"), total("family_weekday").reshape(-1, DAYS_PER_WEEK)
    recall = total("family_hit") / np.maximum(family, 1)
    entity_recall = total("entity_hit") / np.maximum(entity, 1)

    print(f"\n## {difficulty}: {episodes:,} episodes")
    print("expected rows: " + ", ".join(f"{value:,} {name}" for name, value in checks.items()))
    print(f"incidents drawn again after measuring: {100 * int(total('redraws')) / checks['expected']:.3f} %")
    consequences, natural = float(total("consequences") / episodes), float(total("natural") / episodes)
    print(f"an episode: {consequences:.2f} consequences, {natural:.2f} natural cells")
    print("F1 with full data: " + "; ".join(f"{name} {value:.4f}" for name, value in means.items()))
    print(f"best submission without a tool: score {blind:.4f} with {rows} rows")
    print("signature rule by family: " + ", ".join(f"{n} {r:.4f}" for n, r in zip(ANOMALY_TYPES, recall, strict=True)))
    extra = total("entity_extra")
    print("signature rule by entity (recall, wrong rows an episode):")
    for described in catalogue.entities:
        i = described.index
        if entity[i]:
            name = f"{described.entity_type}/{described.entity_name}"
            print(f"  {name:58s} {entity[i]:6,d} rows  {entity_recall[i]:.4f}  {extra[i] / episodes:.5f}")
    days = total("cells").sum(axis=0)
    days = days[days > 0]
    print(f"dates ({len(days)}): {spread(days)}; families: {spread(family)}")
    shares = 100 * weekday / np.maximum(weekday.sum(axis=1, keepdims=True), 1)
    print("weekday of the incidents, % (uniform 14.3; the candidate dates hold 3 or 4 of each):")
    print(f"  {'':36s}" + "".join(f"{name:>7s}" for name in WEEKDAYS))
    for name, row in zip(ANOMALY_TYPES, shares, strict=True):
        print(f"  {name:36s}" + "".join(f"{value:7.1f}" for value in row))
    return {
        "episodes": episodes,
        "checks": checks,
        "redraws": int(total("redraws")),
        "consequences": consequences,
        "natural": natural,
        "f1": means,
        "blind_score": blind,
        "recall_by_family": dict(zip(ANOMALY_TYPES, recall.tolist(), strict=True)),
        "recall_by_entity": {
            f"{e.entity_type}/{e.entity_name}": float(entity_recall[e.index])
            for e in catalogue.entities
            if entity[e.index]
        },
        "weekday_pct": dict(zip(ANOMALY_TYPES, shares.tolist(), strict=True)),
    }


def main() -> None:
    """Measure every difficulty, print, and write JSON if asked; exits with 1 if a label is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--episodes", type=int, default=10_000, help="episodes of each difficulty")
    parser.add_argument("--seed", type=int, default=0, help="of the episode keys")
    parser.add_argument("--only", choices=("clean", "realistic", "trees"), default=None, help="one of the tables")
    parser.add_argument("--trees", action="store_true", help="also the boosted trees, which need scikit-learn")
    parser.add_argument("--json", type=Path, default=None, help="write the figures to this file")
    options = parser.parse_args()
    chunks = max(2, -(-options.episodes // CHUNK))
    figures: dict[str, dict[str, object]] = {}
    wrong = 0
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        for difficulty in DIFFICULTIES if options.only in (None, "clean") else ():
            jobs: list[tuple[Difficulty, int, int]] = [(difficulty, options.seed + i, CHUNK) for i in range(chunks)]
            figures[difficulty] = report(difficulty, pool.map(work, jobs, chunksize=1), chunks * CHUNK)
            checks = figures[difficulty]["checks"]
            assert isinstance(checks, dict)
            wrong += sum(value for name, value in checks.items() if name != "expected")
        if options.only in (None, "realistic"):
            figures["realistic"], more = validity_world.table(pool, options.episodes, options.seed, options.trees)
            wrong += more
    if options.only == "trees":
        figures["trees"] = validity_world.trees_alone(options.episodes, options.seed)
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    if wrong:
        raise SystemExit(f"{wrong} labels are wrong")


if __name__ == "__main__":
    main()
