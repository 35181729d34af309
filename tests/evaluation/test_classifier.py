from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.special import softmax

import zoo
from zoo.data.dataset import Dataset
from zoo.errors import DeviceError, ImageError, UnknownNameError
from zoo.training.reading import prepare_data

SMALL = ("architecture.filters=4", "architecture.hidden=32", "training.epochs=4", "training.threads=1")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> zoo.Run:
    """Return a run of a small conv-net on all digits, trained for a second."""
    return zoo.train("conv-net-momentum", *SMALL, run=tmp_path_factory.mktemp("home") / "runs" / "digits")


@pytest.fixture(scope="module")
def dataset(run: zoo.Run) -> Dataset:
    return prepare_data(zoo.resolve("conv-net-momentum", registry=run.path / "recipe.yaml"))


@pytest.fixture(scope="module")
def classifier(run: zoo.Run) -> zoo.Classifier:
    return zoo.load(run, device="cpu")


def pixels(dataset: Dataset, split: str = "test") -> np.ndarray[Any, Any]:
    return dataset.splits[split].pixels(dataset.size, 0)


def expected(run: zoo.Run) -> np.ndarray[Any, Any]:
    """Return the probabilities `(n, 10)` of the test split that the run kept when it ended."""
    rows = np.load(run.path / "predictions" / "test.npz")
    return softmax(rows["logits"].astype(np.float64), axis=1)  # type: ignore[no-any-return]


def test_a_loaded_run_says_what_it_is(run: zoo.Run, classifier: zoo.Classifier) -> None:
    assert classifier.classes == tuple("0123456789")
    assert (classifier.channels, classifier.size) == (1, (8, 8))
    assert repr(classifier) == f"<Classifier conv-net of {run.path}, 10 classes>"
    assert not classifier.network.training


def test_predictions_are_those_of_the_runs_own_evaluation(
    run: zoo.Run, dataset: Dataset, classifier: zoo.Classifier
) -> None:
    """The 359 images of test fill six batches; the run evaluated them in batches of 256."""
    predictions, probabilities = classifier.predict(pixels(dataset)), expected(run)
    assert [p.class_name for p in predictions] == [str(n) for n in probabilities.argmax(1)]
    assert [p.probability for p in predictions] == pytest.approx(probabilities.max(1).tolist(), abs=1e-5)
    hits = [int(p.class_name) == label for p, label in zip(predictions, dataset.splits["test"].labels, strict=True)]
    assert run.summary is not None and sum(hits) / len(hits) == run.summary["test"]["accuracy"] > 0.5


def test_top_classes_come_best_first(run: zoo.Run, dataset: Dataset, classifier: zoo.Classifier) -> None:
    probabilities = expected(run)[:5]
    for prediction, row in zip(classifier.predict(pixels(dataset)[:5], top=3), probabilities, strict=True):
        order = np.argsort(-row)[:3]
        assert [name for name, _ in prediction.top] == [str(n) for n in order]
        assert [value for _, value in prediction.top] == pytest.approx(row[order].tolist(), abs=1e-5)
        assert prediction.top[0] == (prediction.class_name, prediction.probability)


def test_more_classes_than_there_are_means_all_of_them(dataset: Dataset, classifier: zoo.Classifier) -> None:
    (prediction,) = classifier.predict(pixels(dataset)[0], top=99)
    assert sorted(name for name, _ in prediction.top) == list("0123456789")
    assert sum(value for _, value in prediction.top) == pytest.approx(1, abs=1e-9)
    (single,) = classifier.predict(pixels(dataset)[0])
    assert single.top == prediction.top[:1]


def test_files_are_decoded_to_the_runs_form(dataset: Dataset, classifier: zoo.Classifier, tmp_path: Path) -> None:
    images = pixels(dataset)[:3, 0]
    Image.fromarray(images[0]).save("grey.png")
    Image.fromarray(images[1]).convert("RGB").save("colour.png")
    Image.fromarray(images[2]).resize((32, 32), Image.Resampling.NEAREST).save("large.png")
    files = ["grey.png", tmp_path / "colour.png", Path("large.png")]
    predictions, arrays = classifier.predict(files), classifier.predict(images[:, None])
    assert [p.path for p in predictions] == ["grey.png", str(tmp_path / "colour.png"), "large.png"]
    assert [p.class_name for p in predictions] == [p.class_name for p in arrays]
    assert [p.probability for p in predictions[:2]] == pytest.approx([p.probability for p in arrays[:2]], abs=1e-6)
    assert [p.path for p in arrays] == ["image 0", "image 1", "image 2"]


def test_one_path_is_one_image(dataset: Dataset, classifier: zoo.Classifier) -> None:
    Image.fromarray(pixels(dataset)[7, 0]).save("one.png")
    for one in ("one.png", Path("one.png")):
        (prediction,) = classifier.predict(one)
        assert prediction.path == "one.png" and prediction.error is None


def test_a_file_that_does_not_decode_is_named_and_stops_no_other(dataset: Dataset, classifier: zoo.Classifier) -> None:
    Image.fromarray(pixels(dataset)[0, 0]).save("good.png")
    Path("broken.png").write_bytes(b"\x89PNG\r\n\x1a\n no more")
    Path("notes.txt").write_text("not a picture")
    first, broken, text, last, absent = classifier.predict(
        ["good.png", "broken.png", "notes.txt", "good.png", "absent.png"]
    )
    assert first == last and first.error is None
    for prediction in (broken, text, absent):
        assert prediction.error is not None and prediction.path in prediction.error
        assert (prediction.class_name, prediction.top) == ("", []) and math.isnan(prediction.probability)
    assert [p.error is None for p in classifier.predict(["broken.png", "notes.txt"])] == [False, False]


def test_no_images_are_no_predictions(classifier: zoo.Classifier) -> None:
    assert classifier.predict([]) == []


def test_an_array_of_another_shape_or_type_is_refused(dataset: Dataset, classifier: zoo.Classifier) -> None:
    with pytest.raises(
        ImageError, match=r"image 1 is uint8 \(1, 9, 8\)\n  possible: an array uint8 \(1, 8, 8\), or the path of"
    ):
        classifier.predict([pixels(dataset)[0], np.zeros((1, 9, 8), np.uint8)])
    with pytest.raises(ImageError, match=r"image 70 is float64 \(1, 8, 8\)"):
        classifier.predict([*pixels(dataset)[:70], pixels(dataset)[70].astype(float)])


@pytest.mark.parametrize("top", [0, -1])
def test_less_than_one_class_is_refused(dataset: Dataset, classifier: zoo.Classifier, top: int) -> None:
    with pytest.raises(zoo.ZooError, match=rf"top must be at least 1, got {top} instead"):
        classifier.predict(pixels(dataset)[:2], top=top)


def test_a_stream_reads_no_more_than_it_needs(dataset: Dataset, classifier: zoo.Classifier) -> None:
    taken = 0

    def images() -> Any:
        nonlocal taken
        for image in pixels(dataset, "train"):
            taken += 1
            yield image

    stream = classifier.stream(images())
    first = next(stream)
    assert taken == 64 and first.class_name in classifier.classes
    (alone,) = classifier.predict(pixels(dataset, "train")[0])
    assert alone.class_name == first.class_name
    assert alone.probability == pytest.approx(first.probability, abs=1e-6)


def test_a_run_is_loaded_by_path_name_and_latest(run: zoo.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run.path.parent.parent)
    for name in (run.path, "runs/digits", "digits", "latest"):
        assert zoo.load(name).run.path.resolve() == run.path
    with pytest.raises(UnknownNameError, match="unknown run 'letters'"):
        zoo.load("letters")


def test_the_best_epochs_weights_are_loaded_and_not_the_last(tmp_path: Path) -> None:
    """At this rate the last epochs are worse than the first."""
    run = zoo.train("conv-net-momentum", *SMALL, "optimizer.lr=5", "data.train_size=100", run="restless")
    assert run.summary is not None
    best = [line["validation/accuracy"] for line in run.history()]
    assert run.summary["best"]["value"] == max(best)
    dataset = prepare_data(zoo.resolve("conv-net-momentum", registry=run.path / "recipe.yaml"))
    predictions = zoo.load(run).predict(pixels(dataset, "validation"))
    hits = [
        int(p.class_name) == label for p, label in zip(predictions, dataset.splits["validation"].labels, strict=True)
    ]
    assert sum(hits) / len(hits) == pytest.approx(max(best))


def test_a_device_that_is_not_here_is_refused(run: zoo.Run) -> None:
    with pytest.raises(DeviceError, match="unknown device 'tpu'"):
        zoo.load(run, device="tpu")


def test_two_classes_with_one_sigmoid_output_have_two_probabilities() -> None:
    run = zoo.train(
        "conv-net-momentum", *SMALL, "loss=bce", "data.classes=[3, 8]", "data.train_size=100", run="three-or-eight"
    )
    dataset = prepare_data(zoo.resolve("conv-net-momentum", registry=run.path / "recipe.yaml"))
    rows = softmax(np.load(run.path / "predictions" / "test.npz")["logits"].astype(np.float64), axis=1)
    predictions = zoo.load(run).predict(pixels(dataset), top=2)
    assert [dict(p.top)["8"] for p in predictions] == pytest.approx(rows[:, 1].tolist(), abs=1e-5)
    assert all(sum(dict(p.top).values()) == pytest.approx(1) for p in predictions)
