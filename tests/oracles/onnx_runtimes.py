"""Checks `hepar model export`: the files are valid ONNX, and other runtimes get from them what hepar gets.

    pip install -r requirements.txt
    python onnx_runtimes.py target/release/hepar [MODEL_DIR]

Each network of the model (by default the one in the program) is exported, checked by `onnx.checker` with shape
inference, and run by ONNX Runtime and OpenVINO on parts of a phantom in several shapes, the batch among them. Their
outputs must equal those of `hepar model run` to 1e-5, with `--engine burn`, which runs layer by layer, and with hepar's own engine, and
must not be flat: equality of flat outputs proves nothing.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import nibabel
import numpy as np
import onnx
import onnxruntime
import openvino

TOLERANCE = 1e-5
ENGINES = ["burn", "hepar"]
SHAPES = {
    "localizer": [(1, 1, 256, 256), (3, 1, 64, 96)],
    "liver": [(1, 1, 32, 64, 96), (2, 1, 64, 64, 32), (1, 1, 32, 96, 96)],
    "tumour": [(1, 1, 32, 64, 96), (2, 1, 64, 64, 32)],
}


def main():
    hepar = Path(sys.argv[1]).resolve()
    model = ["--model", str(Path(sys.argv[2]).resolve())] if len(sys.argv) > 2 else []
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        run([hepar, "phantom", "-o", "p", "--seed", "12", "--shape", "96,256,256", "--spacing", "4,1.6,1.6"], folder)
        # [k, j, i], in Hounsfield units
        scan = np.asarray(nibabel.load(folder / "p_ct.nii.gz").dataobj, dtype=np.float32).transpose()
        labels = np.asarray(nibabel.load(folder / "p_label.nii.gz").dataobj).transpose()
        tumours = [round(float(axis.mean())) for axis in np.nonzero(labels == 2)]
        worst = dict.fromkeys(ENGINES, 0.0)
        for stage in SHAPES:
            check(hepar, model, stage, scan, tumours, folder, worst)
    for engine, difference in worst.items():
        print(f"worst of all, {engine}: {difference:.2e}")
    assert max(worst.values()) <= TOLERANCE


def check(hepar, model, stage, scan, centre, folder, worst):
    """Notes the largest difference of a network's outputs in other runtimes and in each of hepar's engines."""
    file = folder / f"{stage}.onnx"
    run([hepar, "model", "export", *model, "--stage", stage, "-o", file], folder)
    net = onnx.load(file)
    onnx.checker.check_model(net, full_check=True)
    properties = {p.key: p.value for p in net.metadata_props}
    low, high = json.loads(properties["hepar.stage_settings"])["window"]
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    core = openvino.Core()
    # Otherwise OpenVINO computes in bf16 where the processor can.
    compiled = core.compile_model(core.read_model(file), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    for number, shape in enumerate(SHAPES[stage]):
        x = np.clip((cut(scan, shape, centre) - low) / (high - low), 0, 1).astype(np.float32)
        source = folder / f"{stage}{number}.x.npy"
        np.save(source, x)
        others = {
            "ONNX Runtime": session.run(["probability"], {"input": x})[0],
            "OpenVINO": compiled({"input": x})["probability"],
        }
        for engine in ENGINES:
            target = folder / f"{stage}{number}.{engine}.npy"
            run([hepar, "model", "run", *model, "--stage", stage, "--engine", engine, "--input", source, "--output", target], folder)
            ours = np.load(target)
            assert ours.max() - ours.min() > 0.2, "the output is flat"
            for name, theirs in others.items():
                assert theirs.shape == ours.shape, (theirs.shape, ours.shape)
                difference = float(np.abs(theirs - ours).max())
                print(f"{stage} {shape}, {name} and {engine}: {difference:.2e} (outputs {ours.min():.3f}..{ours.max():.3f})")
                worst[engine] = max(worst[engine], difference)


def cut(scan, shape, centre):
    """Parts of the scan around a voxel, the parts of a batch one above the other."""
    n, _, *sides = shape
    sides = [1, *sides] if len(sides) == 2 else sides
    parts = []
    for number in range(n):
        wanted = [centre[0] + 4 * number, *centre[1:]]
        starts = [min(max(c - side // 2, 0), size - side) for c, side, size in zip(wanted, sides, scan.shape)]
        parts.append(scan[tuple(slice(start, start + side) for start, side in zip(starts, sides))])
    return np.stack(parts).reshape(shape)


def run(command, folder):
    subprocess.run([str(part) for part in command], cwd=folder, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
