"""Whether numbers of half the size pay for RA-UNet on this machine: OpenVINO in f32 and in bf16, with the shipped networks.

    python benches/peers/precision.py HEPAR CT LABELS [--threads N] [--rounds N]

CT and LABELS are NIfTI files: windows around voxels of the liver are brought to the grid of the stage (trilinear) and to 0..1, and
both precisions run on the same windows, in turn. Needs what requirements.txt names, nibabel and scipy. Prints a table in
Markdown: median seconds of a window, the greatest deviation of a probability, and the Dice of what lies above a half.
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

import nibabel
import numpy as np
import openvino
from scipy import ndimage

WINDOWS = 6
PATCH = (32, 128, 128)
# Millimetres, [k, j, i], and Hounsfield units as in models/raunet-lits/model.toml.
STAGES = {"liver": ((3.0, 2.0, 2.0), (-100.0, 200.0)), "tumour": ((2.5, 1.0, 1.0), (-100.0, 200.0))}


def windows(ct: pathlib.Path, labels: pathlib.Path, spacing: tuple, window: tuple) -> list[np.ndarray]:
    scan = nibabel.as_closest_canonical(nibabel.load(ct))
    mask = np.asarray(nibabel.as_closest_canonical(nibabel.load(labels)).dataobj).T > 0
    factors = np.array(scan.header.get_zooms()[:3])[::-1] / spacing
    hu = ndimage.zoom(np.asarray(scan.dataobj, dtype=np.float32).T, factors, order=1)
    liver = np.argwhere(ndimage.zoom(mask.astype(np.float32), factors, order=1) > 0.5)
    centres = liver[np.random.default_rng(1).choice(len(liver), WINDOWS)]
    values = np.clip((hu - window[0]) / (window[1] - window[0]), 0, 1)
    half = [side // 2 for side in PATCH]
    padded = np.pad(values, [(side, side) for side in PATCH])
    cut = [tuple(slice(c + s - h, c + s - h + s) for c, s, h in zip(centre, PATCH, half)) for centre in centres]
    return [np.ascontiguousarray(padded[part][None, None]) for part in cut]


def dice(a: np.ndarray, b: np.ndarray) -> str:
    total = int(a.sum()) + int(b.sum())
    return f"{2 * int((a & b).sum()) / total:.5f}" if total else "–"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("hepar", type=pathlib.Path)
    parser.add_argument("ct", type=pathlib.Path)
    parser.add_argument("labels", type=pathlib.Path)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    core = openvino.Core()
    print(f"{core.get_property('CPU', 'FULL_DEVICE_NAME')}, capabilities "
          f"{', '.join(core.get_property('CPU', 'OPTIMIZATION_CAPABILITIES'))}; OpenVINO {openvino.__version__}, "
          f"{arguments.threads} threads.\n")
    print("| network | f32, s | bf16, s | f32 / bf16 | greatest deviation | Dice of bf16 against f32 |\n|---|---|---|---|---|---|")
    for stage, (spacing, window) in STAGES.items():
        inputs = windows(arguments.ct, arguments.labels, spacing, window)
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/net.onnx"
            subprocess.run([arguments.hepar, "model", "export", "--stage", stage, "-o", path], check=True)
            model = core.read_model(path)
        model.reshape([1, 1, *PATCH])
        options = {"INFERENCE_NUM_THREADS": arguments.threads, "PERFORMANCE_HINT": "LATENCY"}
        networks = {name: core.compile_model(model, "CPU", options | {"INFERENCE_PRECISION_HINT": name})
                    for name in ("f32", "bf16")}
        seconds, outputs = {name: [] for name in networks}, {name: [] for name in networks}
        for turn in range(arguments.rounds):
            for values in inputs:
                for name, network in networks.items():
                    start = time.perf_counter()
                    output = network([values])[0]
                    seconds[name].append(time.perf_counter() - start)
                    if turn == 0:
                        outputs[name].append(np.array(output))
        exact, short = (np.stack(outputs[name]) for name in ("f32", "bf16"))
        [f32, bf16] = [statistics.median(seconds[name]) for name in ("f32", "bf16")]
        print(f"| {stage} | {f32:.3f} | {bf16:.3f} | {f32 / bf16:.2f} | {np.abs(exact - short).max():.3f} | "
              f"{dice(exact > 0.5, short > 0.5)} |", flush=True)


if __name__ == "__main__":
    main()
