"""A tumour network's threshold, chosen on patients that it was not trained on.

    python3 benches/thresholds.py HEPAR MODEL DATA... --run RUN [RUN...] [--liver-only NAME...] [--least-ml ML]

Every RUN is that of a tumour network with a fold held out (`hepar train tumour --fold N`). Its held-out cases are segmented by
MODEL with this network in place of its own, so that several networks are compared behind the same liver. Thresholds are tried
on the probabilities that `hepar segment` writes, and components below the model's least lesion, or ML, are left out; then lower
thresholds for lesions that have a voxel above a higher one. Needs nibabel, numpy and scipy. Prints a table in Markdown.
"""

import argparse
import hashlib
import pathlib
import re
import shutil
import statistics
import subprocess
import tempfile
import tomllib

import nibabel
import numpy as np
from scipy import ndimage

from common import dice, labelled_cases
from inference_choices import CORNERS, false_lesions, found_lesions, large

THRESHOLDS = (0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6)
# What a lesion extends to, and what a voxel of it must reach.
EXTENTS = (0.15, 0.2, 0.25, 0.3)
PEAKS = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def with_network(model: pathlib.Path, run: pathlib.Path, widths: list[int], folder: pathlib.Path) -> pathlib.Path:
    copy = folder / "model"
    shutil.copytree(model, copy)
    shutil.copy(run / "last" / "weights.safetensors", copy / "tumour.safetensors")
    digest = hashlib.sha256((copy / "tumour.safetensors").read_bytes()).hexdigest()
    card = copy / "model.toml"
    others, tumour = card.read_text().split("[tumour]\n")
    tumour = re.sub(r'sha256 = "[^"]*"', f'sha256 = "{digest}"', tumour)
    tumour = re.sub(r"widths = \[[^]]*\]", f"widths = {widths}", tumour)
    card.write_text(f"{others}[tumour]\n{tumour}")
    return copy


def with_peak(found: np.ndarray, probability: np.ndarray, least: float) -> np.ndarray:
    """The components of `found` in which the probability passes `least` somewhere."""
    components, count = ndimage.label(found, CORNERS)
    peaks = np.zeros(count + 1, dtype=bool)
    peaks[components[found & (probability > least)]] = True
    peaks[0] = False
    return peaks[components]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("hepar", type=pathlib.Path)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("data", type=pathlib.Path, nargs="+")
    parser.add_argument("--run", type=pathlib.Path, nargs="+", required=True)
    parser.add_argument("--liver-only", nargs="*", default=[])
    parser.add_argument("--least-ml", type=float)
    parser.add_argument("--threads", default="2")
    arguments = parser.parse_args()
    least_ml = arguments.least_ml
    if least_ml is None:
        least_ml = tomllib.loads((arguments.model / "model.toml").read_text())["tumour"]["least_volume_ml"]
    rows = {(threshold, threshold): [] for threshold in THRESHOLDS}
    rows |= {(extent, peak): [] for extent in EXTENTS for peak in PEAKS}
    names = []
    for run in arguments.run:
        config = tomllib.loads((run / "config.toml").read_text())
        for case in labelled_cases(arguments.hepar, arguments.data, config["folds"]):
            if case["fold"] != config["fold"] or case["name"] in arguments.liver_only:
                continue
            names.append(case["name"])
            with tempfile.TemporaryDirectory() as temporary:
                folder = pathlib.Path(temporary)
                model, out = with_network(arguments.model, run, config["widths"], folder), folder / "out"
                subprocess.run([arguments.hepar, "segment", case["image"], "-q", "--model", model, "-o", out, "--pictures",
                                "none", "--write", "labels,probabilities", "--threads", arguments.threads], check=True,
                               stderr=subprocess.DEVNULL)
                probability = np.asarray(nibabel.load(out / "tumour-probability.nii.gz").dataobj)
            labels = nibabel.load(case["labels"])
            voxel_ml = float(abs(np.linalg.det(labels.affine[:3, :3]))) / 1000
            truth = np.asarray(labels.dataobj) == 2
            scale = 255 if probability.dtype == np.uint8 else 1
            for (extent, peak), cases in rows.items():
                found = probability > extent * scale
                if peak > extent:
                    found = with_peak(found, probability, peak * scale)
                found = large(found, least_ml, voxel_ml)
                score = dice(found, truth) if truth.any() else None
                cases.append((score, case["lesions"], found_lesions(found, truth), false_lesions(found, truth),
                              found.sum() * voxel_ml, truth.sum() * voxel_ml))

    columns = "tumour Dice, mean | over 5 ml | lesions found | false lesions | " + " | ".join(names)
    print(f"| threshold | a voxel above | {columns} |")
    print("|---" * (6 + len(names)) + "|")
    for (extent, peak), cases in rows.items():
        mean = statistics.mean(score for score, *_ in cases if score is not None)
        big = statistics.mean(score for score, *_, there in cases if score is not None and there > 5)
        found, lesions = sum(case[2] for case in cases), sum(case[1] for case in cases)
        each = [f"{case[4]:.1f} ml" if case[0] is None else f"{case[0]:.3f}" for case in cases]
        false = sum(case[3] for case in cases)
        print(f"| {extent} | {peak} | {mean:.3f} | {big:.3f} | {found} of {lesions} | {false} | " + " | ".join(each) + " |")


if __name__ == "__main__":
    main()
