"""Hugging Face's hub, asked once whether it answers: where it does not, its library tries again for most of a minute."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

SECONDS = 5.0


@contextmanager
def one_try() -> Iterator[bool]:
    """Tell whether the hub answers; where it does not, only what was downloaded before is found inside, and at once."""
    from huggingface_hub import constants

    answers, before = _answers(constants.ENDPOINT), constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or not answers
    try:
        yield answers
    finally:
        constants.HF_HUB_OFFLINE = before


def _answers(address: str) -> bool:
    """Return whether anything answers at an address, by the hub's own client: it knows of proxies and certificates."""
    from huggingface_hub import get_session

    try:
        get_session().head(address, timeout=SECONDS)
    except Exception:  # what is raised depends on the client, which is another one from version to version of the hub
        return False
    return True
