"""Overlap of windows, threshold of the tumours and least lesion, chosen on patients that the models were not trained on.

    hepar train all --data DATA --config CONFIG --folds 3 --fold 0 --run RUNS/0     and the same with 1 and 2
    python3 benches/inference_choices.py HEPAR RUNS DATA... [--liver-only NAME...]

RUNS has a folder for each fold, named by its number, that `hepar train all` left. Every case is segmented by the model of its
fold with each overlap; thresholds and least volumes are tried on the probabilities that it writes. Needs nibabel, numpy and scipy.
Prints tables in Markdown: means over the cases; seconds are those of the two networks alone.
"""

import argparse
import json
import pathlib
import re
import shutil
import statistics
import subprocess
import tempfile

import nibabel
import numpy as np
from scipy import ndimage

from common import dice, labelled_cases

OVERLAPS = (0.0, 0.25, 0.5)
SHIPPED = 0.25
THRESHOLDS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
LEAST_ML = (0.0, 0.02, 0.04, 0.1, 0.2, 0.5)
CORNERS = np.ones((3, 3, 3))


def with_overlap(model: pathlib.Path, folder: pathlib.Path, overlap: float) -> pathlib.Path:
    copy = folder / f"model-{overlap}"
    shutil.copytree(model, copy)
    card = copy / "model.toml"
    localizer, networks = card.read_text().split("[liver]\n")
    networks = re.sub(r"overlap = \[[^]]*\]", f"overlap = [{overlap}, {overlap}, {overlap}]", networks)
    card.write_text(f"{localizer}[liver]\n{networks}")
    return copy


def large(found: np.ndarray, least_ml: float, voxel_ml: float) -> np.ndarray:
    components, count = ndimage.label(found, CORNERS)
    sizes = np.bincount(components.ravel(), minlength=count + 1) * voxel_ml
    sizes[0] = 0
    return (sizes >= least_ml)[components] & found


def false_lesions(found: np.ndarray, truth: np.ndarray) -> int:
    components, count = ndimage.label(found, CORNERS)
    return count - len(np.setdiff1d(np.unique(components[truth]), [0]))


def found_lesions(found: np.ndarray, truth: np.ndarray) -> int:
    components, _ = ndimage.label(truth, CORNERS)
    return len(np.setdiff1d(np.unique(components[found]), [0]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("hepar", type=pathlib.Path)
    parser.add_argument("runs", type=pathlib.Path)
    parser.add_argument("data", type=pathlib.Path, nargs="+")
    parser.add_argument("--liver-only", nargs="*", default=[])
    arguments = parser.parse_args()
    models = {int(path.parent.name): path for path in arguments.runs.glob("*/model") if path.parent.name.isdigit()}
    by_overlap = {overlap: [] for overlap in OVERLAPS}
    by_threshold = {threshold: [] for threshold in THRESHOLDS}
    by_least = {least: [] for least in LEAST_ML}
    for case in labelled_cases(arguments.hepar, arguments.data, len(models)):
        if case["name"] in arguments.liver_only:
            continue
        labels = nibabel.load(case["labels"])
        voxel_ml = float(abs(np.linalg.det(labels.affine[:3, :3]))) / 1000
        labels = np.asarray(labels.dataobj)
        truth = labels == 2
        for overlap in OVERLAPS:
            with tempfile.TemporaryDirectory() as temporary:
                folder = pathlib.Path(temporary)
                model, out = with_overlap(models[case["fold"]], folder, overlap), folder / "out"
                subprocess.run([arguments.hepar, "segment", case["image"], "-q", "--model", model, "-o", out, "--pictures",
                                "none", "--write", "labels,probabilities"], check=True, stderr=subprocess.DEVNULL)
                found = np.asarray(nibabel.load(out / "labels.nii.gz").dataobj)
                seconds = json.loads((out / "manifest.json").read_text())["seconds"]
                row = [dice(found > 0, labels > 0), dice(found == 2, truth), seconds["liver"] + seconds.get("tumour", 0.0)]
                by_overlap[overlap].append((case["lesions"], *row))
                if overlap != SHIPPED:
                    continue
                probability = np.asarray(nibabel.load(out / "tumour-probability.nii.gz").dataobj)
            scale = 255 if probability.dtype == np.uint8 else 1
            for threshold in THRESHOLDS:
                passed = probability > threshold * scale
                by_threshold[threshold].append((case["lesions"], dice(passed, truth), found_lesions(passed, truth),
                                                false_lesions(passed, truth)))
            passed = probability > 0.5 * scale
            for least in LEAST_ML:
                kept = large(passed, least, voxel_ml)
                by_least[least].append((case["lesions"], dice(kept, truth), found_lesions(kept, truth),
                                        false_lesions(kept, truth)))

    def mean(rows: list[tuple], column: int, with_lesions: bool = False) -> float:
        return statistics.mean(row[column] for row in rows if row[0] or not with_lesions)

    print("| overlap | liver Dice | tumour Dice, patients with tumours | seconds, networks |\n|---|---|---|---|")
    for overlap, rows in by_overlap.items():
        print(f"| {overlap} | {mean(rows, 1):.4f} | {mean(rows, 2, True):.3f} | {mean(rows, 3):.1f} |")
    for name, table in (("threshold", by_threshold), ("least lesion, ml", by_least)):
        print(f"\n| {name} | tumour Dice, patients with tumours | lesions found | false lesions a patient |\n|---|---|---|---|")
        for value, rows in table.items():
            found, there = sum(row[2] for row in rows), sum(row[0] for row in rows)
            print(f"| {value} | {mean(rows, 1, True):.3f} | {found} of {there} | {mean(rows, 3):.1f} |")


if __name__ == "__main__":
    main()
