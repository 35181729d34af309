from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from huggingface_hub import constants

from zoo.errors import ComponentError
from zoo.facts import Pretrained
from zoo.training.hub import one_try
from zoo.training.weights import HUB, load_weights


class Silent(BaseHTTPRequestHandler):
    """Answers that nothing is there, and prints nothing."""

    def do_HEAD(self) -> None:
        self.send_response(404)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[HTTPServer]:
    """Return a server on this machine that stands for the hub."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = HTTPServer(("127.0.0.1", 0), Silent)
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_a_hub_that_answers_is_used_whatever_it_says(server: HTTPServer) -> None:
    with one_try() as answers:
        assert answers
        assert not constants.is_offline_mode()


def test_a_hub_that_does_not_answer_is_asked_once_and_what_is_there_still_found(server: HTTPServer) -> None:
    server.shutdown()
    server.server_close()
    with one_try() as answers:
        assert not answers
        assert constants.is_offline_mode()
    assert not constants.is_offline_mode()


def test_without_the_hub_the_message_says_what_to_download_and_how_to_pass_it(server: HTTPServer) -> None:
    from torch import nn

    def load() -> dict[str, object]:
        raise FileNotFoundError("not in the cache")

    server.shutdown()
    server.server_close()
    there = Pretrained(mean=(0.5,), std=(0.5,), image_size=8, load=load, home=f"{HUB}/timm/some")
    with pytest.raises(ComponentError) as caught:
        load_weights(nn.Linear(2, 2), "pretrained", there, "some")
    assert (caught.value.problem, caught.value.possible, caught.value.hint) == (
        f"the weights of some are not on this machine, and {HUB} does not answer",
        f"a connection, or {HUB}/timm/some/resolve/main/model.safetensors, downloaded elsewhere",
        "weights=model.safetensors",
    )
