"""Golden digests of the generator: ``python tests/make_golden.py`` rewrites ``tests/golden.json``.

A digest changes when what (config, key) yields changes: then it is a new environment version, or a mistake.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # run as a script, the repository is not on the path

from metric_tracker_env.config import (
    EpisodeConfig,
    FunnelStep,
    GeneratorConfig,
    SyntheticAnomalyGenerator,
    WorldConfig,
)
from metric_tracker_env.schema import ConversionMetricDefinition
from metric_tracker_env.world.episode import MetricDataGenerator

GOLDEN = Path(__file__).with_name("golden.json")
SEEDS = list(range(64))
SHOP = GeneratorConfig(
    entry_step="visits",
    steps=(FunnelStep(name="carts", rate=0.2, noise_scale=1.5), FunnelStep(name="sales", rate=0.5)),
    conversion_definitions=(
        ConversionMetricDefinition(name="visit_to_cart", numerator="carts", denominator="visits"),
        ConversionMetricDefinition(name="visit_to_sale", numerator="sales", denominator="visits"),
    ),
    num_weeks=2,
    base_daily_count=7000,
)
SHIFTS = (
    SyntheticAnomalyGenerator(metric_name="menu_opens", date="2026-03-12", stddev_factor=5.0, direction="down"),
    SyntheticAnomalyGenerator(metric_name="app_open_to_payment_successful", stddev_factor=8.0, direction="down"),
)

WORLD = WorldConfig()

CASES: dict[str, tuple[GeneratorConfig, EpisodeConfig]] = {
    "easy": (GeneratorConfig(), EpisodeConfig(difficulty="easy", anomaly_count=3)),
    "medium": (GeneratorConfig(), EpisodeConfig(difficulty="medium", anomaly_count=(1, 5))),
    "hard": (GeneratorConfig(), EpisodeConfig(difficulty="hard", anomaly_count=None, anomaly_density="high")),
    "single family": (GeneratorConfig(), EpisodeConfig(scenario_family="hourly_traffic_mix_shift", difficulty="hard")),
    "three steps, two weeks": (SHOP, EpisodeConfig(difficulty="medium", anomaly_count=2)),
    "one week, many redraws": (GeneratorConfig(num_weeks=1), EpisodeConfig(difficulty="hard", anomaly_count=2)),
    "twelve weeks": (GeneratorConfig(num_weeks=12), EpisodeConfig(difficulty="hard", anomaly_count=20)),
    "large counts (float64)": (GeneratorConfig(base_daily_count=2_000_000), EpisodeConfig(difficulty="hard")),
    "explicit generators": (GeneratorConfig(), EpisodeConfig(anomaly_generators=SHIFTS)),
    "quiet": (GeneratorConfig(), EpisodeConfig(difficulty="hard", anomaly_count=0)),
    "world, easy": (GeneratorConfig(world=WORLD), EpisodeConfig(difficulty="easy", anomaly_count=(0, 4))),
    "world, medium": (GeneratorConfig(world=WORLD), EpisodeConfig(difficulty="medium", anomaly_count=(0, 4))),
    "world, hard": (GeneratorConfig(world=WORLD), EpisodeConfig(difficulty="hard", anomaly_count=(1, 7))),
    "world, single family": (
        GeneratorConfig(world=WORLD),
        EpisodeConfig(scenario_family="rate_spike_from_median", difficulty="hard", anomaly_count=(0, 4)),
    ),
    "world, three steps, three weeks": (
        SHOP.model_copy(update={"num_weeks": 3, "world": WORLD}),
        EpisodeConfig(difficulty="medium", anomaly_count=(0, 3)),
    ),
    "world, twelve weeks, large counts": (
        GeneratorConfig(num_weeks=12, base_daily_count=2_000_000, world=WorldConfig(events=(8, 12), gaps=(2, 6))),
        EpisodeConfig(difficulty="hard", anomaly_count=(0, 12)),
    ),
    "world, explicit generators": (GeneratorConfig(world=WORLD), EpisodeConfig(anomaly_generators=SHIFTS)),
}


def digest(name: str) -> str:
    """SHA-256 of the hourly counts (int32, little-endian, B x D x H x S) and of the classes (int8, E x B x D).

    In a world also of what was announced: its entities and first days (int64, B x K), and changes (float64).
    """
    config, episode = CASES[name]
    batch = MetricDataGenerator(config).generate_batch(episode, SEEDS)
    hashed = hashlib.sha256(np.ascontiguousarray(batch.hourly, dtype="<i4").tobytes())
    hashed.update(np.ascontiguousarray(batch.classes, dtype=np.int8).tobytes())
    if batch.layer is not None:
        events = batch.layer.events
        for told, dtype in ((events.entity, "<i8"), (events.first, "<i8"), (events.announced, "<f8")):
            hashed.update(np.ascontiguousarray(told, dtype=dtype).tobytes())
    return hashed.hexdigest()


def digests() -> dict[str, str]:
    """The digest of every case."""
    return {name: digest(name) for name in CASES}


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(digests(), indent=2) + "\n", encoding="utf-8")
