"""Which links of the chain something touches, as bits: what touches different links of a date can be told apart."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from metric_tracker_env.config import GeneratorConfig

TRAFFIC = 0  # positions of bits are those of Catalogue.touched, and one more for the quality of the hours
TAKEN = 15  # position of a bit that is no link: one event, and one incident, a date
ALL_LINKS = (1 << TAKEN) - 1


def bits(positions: Iterable[int]) -> int:
    """The links at some positions."""
    return sum(1 << position for position in positions)


def links_of_gap(config: GeneratorConfig) -> int:
    """Lost hours take traffic, shift the mix, and hide what the hours held."""
    steps = config.catalogue.num_steps
    return bits([TRAFFIC, steps, steps + 1])


def links_of_entities(config: GeneratorConfig) -> np.ndarray:
    """(E,) uint16 links that an incident or event of each entity touches, where it has to be told from others.

    An end-to-end conversion touches all rates, since any rate beside those that it moves would hide its pattern; data
    quality touches everything, since a doubted hour tells nothing.
    """
    catalogue = config.catalogue
    found: list[int] = []
    for entity in catalogue.entities:
        several = len(catalogue.links_of(entity.index)[0]) > 1
        if entity.entity_type == "data_quality":
            found.append(ALL_LINKS)
        else:
            found.append(bits(range(1, catalogue.num_steps) if several else catalogue.touched[entity.index]))
    return np.array(found, np.uint16)
