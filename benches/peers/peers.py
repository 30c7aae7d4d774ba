"""Times hepar and the engines that run the same network; see README.md beside it."""

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
WIDTHS = {2: [16, 16, 32, 64, 128, 256], 3: [32, 32, 64, 128, 256, 512]}

# name: kind, stage, shape of the input, batches of that shape that make up the case
CASES = {
    "forward RA-UNet-II 32×128×128": ("forward", "tumour", (1, 1, 32, 128, 128), 1),
    "forward RA-UNet-II 32×224×224": ("forward", "tumour", (1, 1, 32, 224, 224), 1),
    # Eight slices at once, as the pipeline runs them; OpenVINO, too, is fastest with eight (of 1, 2, 4, 8, 10, 13 and 26).
    "forward RA-UNet-I, 130 slices of 256×256": ("forward", "localizer", (8, 1, 256, 256), 130 / 8),
    "training step RA-UNet-II 32×128×128, batch 1": ("step", "tumour", (1, 1, 32, 128, 128), 1),
    "training step RA-UNet-II 32×128×128, batch 2": ("step", "tumour", (2, 1, 32, 128, 128), 1),
}
# With `-tuned`, the C library keeps memory instead of giving it back to the system after every layer.
PEERS = {
    "forward": ["openvino", "openvino-tuned", "onnxruntime", "torch", "torch-tuned", "torch-channels-last",
                "torch-channels-last-tuned"],
    "step": ["torch", "torch-tuned", "torch-channels-last", "torch-channels-last-tuned"],
}
TUNING = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 40), "MALLOC_TOP_PAD_": str(64 << 20)}
TOLERANCE = 1e-4


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--case", action="append", help="part of a case's name; repeatable")
    parser.add_argument("--output", type=Path, help="file for the table")
    arguments = parser.parse_args()
    # The whole workspace at once, as for its tests: package by package, burn would be built anew with other features.
    examples = [part for example in ["generated_bundle", "forward", "step", "machine"] for part in ["--example", example]]
    cargo("build", "--release", "--workspace", "--bin", "hepar", *examples)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        run([TARGET / "examples" / "generated_bundle", folder / "model"])
        for stage in ["localizer", "tumour"]:
            run([TARGET / "hepar", "model", "export", "--model", folder / "model", "--stage", stage,
                 "-o", folder / f"{stage}.onnx"])
        rows = []
        for name, case in CASES.items():
            if not arguments.case or any(part in name for part in arguments.case):
                rows += compare(name, case, folder, arguments)
                print(rows[-1] if rows else "", flush=True)
    text = table(rows, arguments)
    print(text)
    if arguments.output:
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        arguments.output.write_text(text)


def compare(name, case, folder, arguments):
    """One row an engine: case, engine, seconds, ratio to hepar, peak memory, deviation."""
    kind, stage, shape, batches = case
    engines = ["hepar"] + PEERS[kind]
    measured = {engine: [] for engine in engines}
    problems = {}
    expected = hepar_output(folder, stage, shape) if kind == "forward" else None
    for turn in range(arguments.rounds):
        for engine in [e for e in engines if e not in problems]:
            result = measure(engine, case, folder, arguments.threads)
            if turn == 0 and kind == "forward" and engine != "hepar":
                deviation = float(np.abs(np.load(folder / "output.npy") - expected).max())
                result["deviation"] = deviation
                if not deviation <= TOLERANCE:
                    problems[engine] = f"its output is off by {deviation:.1e}"
            if not result.get("finite", True):
                problems[engine] = "its gradients are not finite"
            measured[engine].append(result)
            print(f"{name}: {engine}: {result}", file=sys.stderr, flush=True)
    ours = statistics.median(r["seconds"] for r in measured["hepar"])
    rows = []
    for engine in engines:
        seconds = statistics.median(r["seconds"] for r in measured[engine])
        memory = statistics.median(r["memory"] for r in measured[engine]) / 1e6
        deviation = measured[engine][0].get("deviation")
        rows.append([
            name,
            engine,
            f"{seconds * batches:.3f}" if engine not in problems else problems[engine],
            f"{seconds / ours:.2f}" if engine not in problems else "",
            f"{memory:.0f}",
            "" if deviation is None else f"{deviation:.1e}",
        ])
    return rows


def measure(engine, case, folder, threads):
    """Seconds of one run and peak memory in bytes, in a process of its own."""
    kind, stage, shape, _ = case
    environment = dict(os.environ, RAYON_NUM_THREADS=str(threads), OMP_NUM_THREADS=str(threads))
    if engine == "hepar":
        sides = [shape[0], *([1] if len(shape) == 4 else []), *shape[2:]]
        dims = len(shape) - 2
        if kind == "forward":
            command = [TARGET / "examples" / "forward", dims, *sides, 5]
        else:
            widths = ",".join(map(str, WIDTHS[dims]))
            command = [TARGET / "examples" / "step", "ra-unet-ii", widths, *sides, "training"]
    else:
        base = engine.removesuffix("-tuned")
        environment |= TUNING if engine != base else {}
        command = [sys.executable, __file__.replace("peers.py", "worker.py"), base, kind, folder / f"{stage}.onnx",
                   "x".join(map(str, shape)), folder / "input.npy", folder / "output.npy", threads]
    output, memory = run_measured(list(map(str, command)), environment)
    last = json.loads(output.strip().splitlines()[-1])
    return dict(last, memory=memory)


def hepar_output(folder, stage, shape):
    """What hepar makes of the input that every engine is given."""
    values = np.random.default_rng(1).random(shape, dtype=np.float32)
    np.save(folder / "input.npy", values)
    (folder / "expected.npy").unlink(missing_ok=True)
    run([TARGET / "hepar", "model", "run", "--model", folder / "model", "--stage", stage,
         "--input", folder / "input.npy", "--output", folder / "expected.npy"])
    return np.load(folder / "expected.npy")


def run_measured(command, environment):
    """Standard output and peak memory in bytes of a command."""
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(command, stdout=output, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        if status != 0:
            raise SystemExit(f"{command} ended with status {status}")
        output.seek(0)
        return output.read(), usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def table(rows, arguments):
    heads = ["case", "engine", "s", "× hepar", "peak MB", "max abs. deviation"]
    lines = ["| " + " | ".join(row) + " |" for row in [heads, ["---"] * len(heads), *rows]]
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    environment = dict(os.environ, RAYON_NUM_THREADS=str(arguments.threads))
    output, _ = run_measured([str(TARGET / "examples" / "machine")], environment)
    peak = json.loads(output)
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ["openvino", "onnxruntime", "torch"])
    about = (f"{time.strftime('%Y-%m-%d')}, {platform.system()}, {cpu}, {arguments.threads} threads, "
             f"medians of {arguments.rounds} rounds, engines interleaved, f32. {versions}. The machine: "
             f"{peak['gflops']} GFLOP/s of multiply-adds, copies of {peak['gigabytes_per_second']} GB/s.")
    return "\n".join([about, "", *lines, ""])


def cargo(*arguments):
    run(["cargo", *arguments], cwd=ROOT)


def run(command, **options):
    subprocess.run(list(map(str, command)), check=True, **options)


if __name__ == "__main__":
    main()
