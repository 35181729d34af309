from __future__ import annotations

import json
from pathlib import Path

from benchmarks import index
from fixtures.simulations import PLAN, drawn

from zoo.active.analysis import analyse


def test_a_file_of_runs_becomes_a_table_of_its_studies_the_newest_of_each_seed(tmp_path: Path) -> None:
    rows = [
        {"study": "a", "recipe": "net", "seed": seed, "test": test} for seed, test in [(0, 0.5), (1, 0.9), (0, 0.8)]
    ]
    (tmp_path / "accuracy.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    (tmp_path / "accuracy.md").write_text("# Accuracy of nets\n\ntext\n")
    index.write(tmp_path)
    page = (tmp_path / "README.md").read_text()
    assert "## [Accuracy of nets](accuracy.md)" in page
    assert "| a | `net` | 85.00 ± 7.07 | 0, 1 |" in page


def test_lines_of_another_form_are_counted(tmp_path: Path) -> None:
    (tmp_path / "speed.jsonl").write_text('{"network": "a", "images": 3}\n')
    assert "## [speed](speed.jsonl)\n\n1 line in [speed.jsonl](speed.jsonl)." in index.page(tmp_path)


def test_a_comparison_is_told_in_its_own_words(tmp_path: Path) -> None:
    question = {"recipes": ["net", "lstm"], "data": "digits", "seeds": 6, "vary": "data.train_size", "values": ["300"]}
    verdicts = [{"value": "300", "about": "pair", "text": "No difference is shown."}]
    (tmp_path / "families").mkdir()
    document = {"plan": {"question": question}, "verdicts": verdicts}
    (tmp_path / "families/analysis.json").write_text(json.dumps(document))
    page = index.page(tmp_path)
    assert "## [families](families/analysis.json)" in page
    assert "`net`, `lstm` on digits, 6 seeds; data.train_size 300." in page
    assert "- data.train_size 300: No difference is shown." in page


def test_simulations_are_told_as_a_table_and_in_their_own_words(tmp_path: Path) -> None:
    analysis = analyse(PLAN, drawn())
    (tmp_path / "labels").mkdir()
    machine = {"runs": 3, "cpu_minutes": 5.0, "processor": ["a processor"]}
    plan = {**analysis["plan"], "question": {"recipe": "net", "seeds": 6}, "pool": 1000}
    (tmp_path / "labels/analysis.json").write_text(json.dumps({**analysis, "plan": plan, "machine": machine}))
    page = index.page(tmp_path)
    assert all(f"- {verdict['text']}" in page for verdict in analysis["verdicts"])
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| `")]
    strategies = analysis["strategies"]
    assert [row[0] for row in rows] == [f"| `{each['name']}`" for each in strategies]
    assert [row[1] for row in rows] == [f"{100 * each['area']['mean']:.2f}" for each in strategies]
    targets = {row["strategy"]: [each["text"] for each in row["reached"]] for row in analysis["targets"]}
    assert [row[4 : 4 + len(PLAN["targets"])] for row in rows] == [targets[each["name"]] for each in strategies]
