"""What several benches need: the cases of a data set, a network trained and scored, and the Dice of two masks."""

import csv
import json
import pathlib
import subprocess
import tempfile


# A network of a quarter of the widths that a few minutes train, as TOML.
SMALL = """widths = [8, 8, 16, 32, 64, 128]
patch = [32, 96, 96]
learning_rate = 1e-3
validate_every = 100000
fold = 0
schedule = { kind = "cosine", warmup = 50, end = 0.01 }
"""


def labelled_cases(hepar: pathlib.Path, data: list[pathlib.Path], folds: int) -> list[dict]:
    """The cases that may be trained on and have labels, as `hepar data check --json` describes them."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/cases.json"
        subprocess.run([hepar, "data", "check", *data, "--folds", str(folds), "--json", path], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        found = json.loads(pathlib.Path(path).read_text())["cases"]
    return [case for case in found if case["labels"] and not case["kept_for_tests"]]


def trained(hepar: pathlib.Path, stage: str, data: list[pathlib.Path], run: pathlib.Path, config: str, *options: str) -> dict:
    """The last row of the log of a network that is trained in `run` with this configuration; a run that is there goes on."""
    path = run.with_suffix(".toml")
    path.write_text(config)
    folders = [part for folder in data for part in ("--data", folder)]
    subprocess.run([hepar, "train", stage, *folders, "--run", run, "--config", path, "--cache", run.parent / "cache", "-q",
                    *options], check=True)
    with (run / "log.csv").open() as file:
        *_, last = csv.DictReader(file)
    return last


def dice(found, truth) -> float:
    """2·|A ∩ B| / (|A| + |B|) of two arrays of booleans; 1 where both are empty."""
    total = int(found.sum()) + int(truth.sum())
    return 2 * int((found & truth).sum()) / total if total else 1.0
