"""Which links of the chain something touches, as bits: what touches different links of a date can be told apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from metric_tracker_env.config import GeneratorConfig
from metric_tracker_env.world.variants import links_of

TRAFFIC = 0  # positions of bits; 1 to S - 1 are the step rates, then follow the mix and the quality of the hours
TAKEN = 15  # position of a bit that is no link: one event, and one incident, a date
ALL_LINKS = (1 << TAKEN) - 1


def bits(positions: Sequence[int]) -> int:
    """The links at some positions."""
    return sum(1 << position for position in positions)


def links_of_gap(config: GeneratorConfig) -> int:
    """Lost hours take traffic, shift the mix, and hide what the hours held."""
    steps = config.catalogue.num_steps
    return bits([TRAFFIC, steps, steps + 1])


def links_of_entities(config: GeneratorConfig) -> np.ndarray:
    """(E,) uint16 links that an incident or event of each entity touches.

    An end-to-end conversion touches all rates, since any rate beside those that it moves would hide its pattern; data
    quality touches everything, since a doubted hour tells nothing.
    """
    catalogue, steps = config.catalogue, config.catalogue.num_steps
    rates = range(1, steps)
    found: list[int] = []
    for entity in catalogue.entities:
        links, alone = links_of(config, entity.index)
        if entity.entity_type == "data_quality":
            found.append(ALL_LINKS)
        elif entity.entity_type == "hourly_mix":
            found.append(bits([steps]))
        elif alone:  # the rate in and the rate out
            found.append(bits([rate for rate in rates if rate in {alone, alone + 1}]))
        else:
            found.append(bits(list(rates) if len(links) > 1 else links))
    return np.array(found, np.uint16)
