"""Asking a set version, or a zone without one, by the function of token requests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from policies import inputs, rules
from policies.decision import ActiveSet, decide_input

Input = Mapping[str, Any]


def answer(document: Input, asked: ActiveSet | None) -> dict[str, Any]:
    """What a token request of this input would be answered. Raises InvalidInput."""
    return rules.answered(decide_input(inputs.normalised(document), asked))
