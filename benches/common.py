"""What several benches need: the cases of a data set, and the Dice of two masks."""

import json
import pathlib
import subprocess
import tempfile


def labelled_cases(hepar: pathlib.Path, data: list[pathlib.Path], folds: int) -> list[dict]:
    """The cases that may be trained on and have labels, as `hepar data check --json` describes them."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/cases.json"
        subprocess.run([hepar, "data", "check", *data, "--folds", str(folds), "--json", path], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        found = json.loads(pathlib.Path(path).read_text())["cases"]
    return [case for case in found if case["labels"] and not case["kept_for_tests"]]


def dice(found, truth) -> float:
    """2·|A ∩ B| / (|A| + |B|) of two arrays of booleans; 1 where both are empty."""
    total = int(found.sum()) + int(truth.sum())
    return 2 * int((found & truth).sum()) / total if total else 1.0
