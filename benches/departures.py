"""What each departure from the article's training brings, and each patient: a network trained again and again.

    python3 benches/departures.py HEPAR RUNS DATA... [--stage liver|tumour] [--steps N] [--threads N] [--only PART]

Each run differs in one thing from the first, which has the settings of the stage's last configuration in models/raunet-lits/train
at a quarter of the widths; all have as many steps of as many samples, and hold out the same third of the patients. Those are
validated in the box of the true liver, or the true liver for tumours. RUNS gets a folder for each; a run that is there already goes on. Needs no package. Prints a table in Markdown.
"""

import argparse
import json
import pathlib
import random

from common import SMALL, labelled_cases, trained

COMMON = SMALL + """loss = "dice-cross-entropy"
phantoms = 12
phantom_share = 0.1
liver_only = ["lits/lits011", "lits/lits013"]
cropped = ["lits-sparse"]
folds = 3
"""
RELATIVE = "liver_hu = 105.0\n"
OUTSIDE = "outside_liver = 0.1\n"
BY_SIZE = 'lesion_draw = "by-size"\n'
RESIZED = 'grid = { kind = "resized-in-plane", size = [96, 96] }\n'
# Their grids, the article's grids, and how samples are varied.
GRIDS = {"liver": "[3.0, 2.0, 2.0]", "tumour": "[2.5, 1.0, 1.0]"}
ARTICLE = {"liver": '{ kind = "resized-in-plane", size = [96, 96] }', "tumour": '{ kind = "native" }'}
VARIED = {"liver": "lesions = 0.4, bulging = 0.3, gain = 0.15", "tumour": "lesions = 0.5"}
STILL = """augmentation = { rotation_degrees = 0.0, tilt_degrees = 0.0, scale = [1.0, 1.0], flip = false, gain = 0.0, shift_hu = 0.0, \
noise_hu = 0.0, gamma = 0.0, blur = 0.0, thick_slices = 0.0, lesions = 0.0 }\n"""


def variants(stage: str) -> dict[str, str]:
    grid, article_grid = f'grid = {{ kind = "spacing", mm = {GRIDS[stage]} }}\n', f"grid = {ARTICLE[stage]}\n"
    def varied(settings: str, shift: str = "10.0") -> str:
        return f"augmentation = {{ {settings}, shift_hu = {shift} }}\n"
    common = COMMON + (OUTSIDE if stage == "tumour" else "")
    base = common + RELATIVE + grid + varied(VARIED[stage])
    article = (COMMON + STILL + article_grid).replace('"dice-cross-entropy"', '"dice"')
    if stage == "tumour":
        article += BY_SIZE
    article = article.replace("phantoms = 12\nphantom_share = 0.1", "phantoms = 0\nphantom_share = 0.0\nrecalibrate = 0")
    article = article.replace('{ kind = "cosine", warmup = 50, end = 0.01 }', '{ kind = "constant" }')
    rows = {
        "all of hepar's": base,
        "none: the article's": article,
        "but: intensities as they are": common + grid + varied(VARIED[stage], "25.0"),
        "but: no painted lesions": base.replace("lesions = 0.4, bulging = 0.3", "lesions = 0.0").replace("lesions = 0.5", "lesions = 0.0"),
        "but: soft Dice alone": base.replace('"dice-cross-entropy"', '"dice"'),
        "but: samples are not varied": common + RELATIVE + grid + STILL,
        "but: the article's grid": base.replace(grid, article_grid),
        "but: statistics that ran along": base + "recalibrate = 0\n",
        "but: no phantoms": base.replace("phantoms = 12\nphantom_share = 0.1", "phantoms = 0\nphantom_share = 0.0"),
    }
    if stage == "tumour":
        rows["but: outside of the liver counts too"] = base.replace(OUTSIDE, "outside_liver = 1.0\n")
        rows["but: lesions drawn by size"] = base + BY_SIZE
        rows["but: the liver's box resized to the patch in plane"] = base.replace(grid, RESIZED)
        rows["but: hard negatives of the first"] = base + 'hard_negatives = 0.15\nstart = "{runs}/0/last/weights.safetensors"\n'
        rows["but: no hard negatives, the first goes on"] = base + 'start = "{runs}/0/last/weights.safetensors"\n'
    else:
        rows["but: no painted lesion bulges"] = base.replace("bulging = 0.3, ", "")
    return rows


def training_patients(hepar: pathlib.Path, data: list[pathlib.Path]) -> dict[str, str]:
    """A case of each patient with tumours who is trained on, in an order that does not change."""
    trained = {case["patient"]: case["name"] for case in labelled_cases(hepar, data, 3)
               if case["fold"] != 0 and case["lesions"]}
    patients = sorted(trained)
    random.Random(1).shuffle(patients)
    return {patient: trained[patient] for patient in patients}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("hepar", type=pathlib.Path)
    parser.add_argument("runs", type=pathlib.Path)
    parser.add_argument("data", type=pathlib.Path, nargs="+")
    parser.add_argument("--stage", choices=sorted(GRIDS), default="tumour")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", default="", help="name of the run that is wanted, or part of the names of several")
    arguments = parser.parse_args()
    configs = variants(arguments.stage)
    patients = training_patients(arguments.hepar, arguments.data)
    for count in (3, 6) if arguments.stage == "tumour" else ():
        left_out = list(patients.values())[count:]
        configs[f"all of hepar's, {count} of {len(patients)} patients with tumours"] = (
            f"exclude = {json.dumps(left_out)}\n" + configs["all of hepar's"])
    arguments.runs.mkdir(parents=True, exist_ok=True)
    print("| departures from the article | Dice, mean of held-out cases | Dice of all voxels together |\n|---|---|---|")
    for number, (name, config) in enumerate(configs.items()):
        if name != arguments.only and (arguments.only in configs or arguments.only not in name):
            continue
        last = trained(arguments.hepar, arguments.stage, arguments.data, arguments.runs / str(number),
                       config.replace("{runs}", str(arguments.runs)), "--steps", str(arguments.steps), "--threads",
                       str(arguments.threads))
        print(f"| {name} | {float(last['dice_per_case']):.3f} | {float(last['dice_global']):.3f} |", flush=True)


if __name__ == "__main__":
    main()
