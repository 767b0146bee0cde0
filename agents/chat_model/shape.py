"""How large a small language model is."""

from __future__ import annotations

from typing import Self

from pydantic import Field, StrictInt, model_validator

from metric_tracker_env.schema import StrictModel


class Shape(StrictModel):
    """How large a network is."""

    width: StrictInt = Field(default=96, ge=8, le=1024, description="Numbers that a token is, a multiple of 2 x heads.")
    layers: StrictInt = Field(default=3, ge=1, le=24)
    heads: StrictInt = Field(default=4, ge=1, le=32)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.width % (2 * self.heads):
            raise ValueError(f"width {self.width} is no multiple of 2 x heads = {2 * self.heads}")
        return self
