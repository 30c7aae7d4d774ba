"""Every patient segmented by the model that was trained without this patient.

    hepar train all --data DATA --config CONFIG --folds 3 --fold 0 --run RUNS/0     and the same with 1 and 2
    python3 benches/cross_validation.py HEPAR RUNS DATA... [--liver-only NAME...] [--out FOLDER]

RUNS has a folder for each fold, named by its number, that `hepar train all` left; the whole pipeline of its model runs, from
the localizer on. `--liver-only` names cases whose labels know no tumours. Labels go to FOLDER, or nowhere. Needs no package.
Prints a table in Markdown.
"""

import argparse
import csv
import json
import pathlib
import statistics
import subprocess
import tempfile

# Tumours of fewer millilitres together do not count in the mean that is asked for: one voxel more or less moves their Dice.
LEAST_ML = 5.0


def cases(hepar: pathlib.Path, data: list[pathlib.Path], folds: int) -> list[dict]:
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/cases.json"
        subprocess.run([hepar, "data", "check", *data, "--folds", str(folds), "--json", path], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        found = json.loads(pathlib.Path(path).read_text())["cases"]
    return [case for case in found if case["labels"] and not case["kept_for_tests"]]


def scores(hepar: pathlib.Path, model: pathlib.Path, case: dict, labels: pathlib.Path) -> dict:
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "check": True}
    if not labels.exists():
        subprocess.run([hepar, "segment", case["image"], "-q", "--model", model, "-o", labels], **quiet)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "scores.csv"
        subprocess.run([hepar, "evaluate", labels, case["labels"], "--csv", path], **quiet)
        with path.open() as file:
            return next(csv.DictReader(file))


def mean(values: list[float]) -> str:
    return f"{statistics.mean(values):.3f} ({len(values)} cases, least {min(values):.3f})" if values else "–"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("hepar", type=pathlib.Path)
    parser.add_argument("runs", type=pathlib.Path)
    parser.add_argument("data", type=pathlib.Path, nargs="+")
    parser.add_argument("--liver-only", nargs="*", default=[])
    parser.add_argument("--out", type=pathlib.Path)
    arguments = parser.parse_args()
    models = sorted(path for path in arguments.runs.glob("*/model") if path.parent.name.isdigit())
    livers, tumours, large = [], [], []
    print("| fold | case | liver Dice | tumour, ml | found, ml | tumour Dice | lesions found | false |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as temporary:
        out = arguments.out or pathlib.Path(temporary)
        for case in sorted(cases(arguments.hepar, arguments.data, len(models)), key=lambda case: case["fold"]):
            labels = out / f"{case['name'].replace('/', '-')}.nii.gz"
            labels.parent.mkdir(parents=True, exist_ok=True)
            score = scores(arguments.hepar, arguments.runs / str(case["fold"]) / "model", case, labels)
            liver, tumour, volume = (float(score[key]) for key in ("liver_dice", "tumour_dice", "tumour_reference_ml"))
            livers.append(liver)
            row = f"| {case['fold']} | {case['name']} | {liver:.3f} |"
            if case["name"] in arguments.liver_only:
                print(f"{row} not known | {float(score['tumour_predicted_ml']):.1f} | – | – | – |", flush=True)
                continue
            if volume > 0:
                tumours.append(tumour)
            if volume > LEAST_ML:
                large.append(tumour)
            print(f"{row} {volume:.1f} | {float(score['tumour_predicted_ml']):.1f} | "
                  f"{f'{tumour:.3f}' if volume > 0 else '–'} | {score['detection_0_tp']} of {score['lesion_reference']} | "
                  f"{score['detection_0_fp']} |", flush=True)
    print(f"\nLiver Dice, mean: {mean(livers)}.\n\nTumour Dice, mean over patients with tumours: {mean(tumours)}; over those "
          f"with more than {LEAST_ML:g} ml: {mean(large)}.")


if __name__ == "__main__":
    main()
