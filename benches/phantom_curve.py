"""The learning curve where patients are no limit: the tumour network on few and on many phantoms.

    python3 benches/phantom_curve.py HEPAR RUNS [--steps N] [--threads N]

Draws phantoms of random size and place of tumours, holds out a quarter of them, and trains a network of a quarter of the widths on
4, 16 and all of the others, as benches/departures.py does on patients. Needs no package. Prints a table in Markdown.
"""

import argparse
import json
import pathlib
import subprocess

from common import SMALL, labelled_cases, trained

PHANTOMS = 96
COUNTS = (4, 16, None)
CONFIG = SMALL + """loss = "tversky"
liver_hu = 105.0
outside_liver = 0.1
phantoms = 0
phantom_share = 0.0
folds = 4
grid = { kind = "spacing", mm = [2.5, 1.0, 1.0] }
augmentation = { lesions = 0.0, shift_hu = 10.0 }
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("hepar", type=pathlib.Path)
    parser.add_argument("runs", type=pathlib.Path)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    data = arguments.runs / "phantoms"
    data.mkdir(parents=True, exist_ok=True)
    for seed in range(1, PHANTOMS + 1):
        if not (data / f"phantom-{seed}_label.nii.gz").exists():
            subprocess.run([arguments.hepar, "phantom", "--seed", str(seed), "-o", data / f"phantom-{seed}", "--diameter", "6-40",
                            "--force"], check=True, stdout=subprocess.DEVNULL)
    cases = labelled_cases(arguments.hepar, [data], 4)
    names = [case["name"] for case in cases if case["fold"] != 0]
    print(f"{len(cases) - len(names)} phantoms held out\n")
    print("| phantoms trained on | Dice, mean of held-out phantoms | Dice of all voxels together |\n|---|---|---|")
    for count in COUNTS:
        left_out = names[count:] if count else []
        last = trained(arguments.hepar, "tumour", [data], arguments.runs / str(count or len(names)),
                       f"exclude = {json.dumps(left_out)}\n{CONFIG}", "--steps", str(arguments.steps), "--threads",
                       str(arguments.threads))
        print(f"| {len(names) - len(left_out)} | {float(last['dice_per_case']):.3f} | {float(last['dice_global']):.3f} |", flush=True)


if __name__ == "__main__":
    main()
