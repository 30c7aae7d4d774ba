"""Whole scans through the program: seconds, seconds of each stage and peak memory; and how soon it is ready.

    cargo build --release --workspace --bin hepar --example generated_bundle --example machine
    python3 benches/scans.py target/release DATA/lits/lits002_ct.nii.gz [--runs N] [--threads N]

Beside the scan lies its label, `…_label.nii.gz`. Phantoms of 500 and 1000 slices are drawn first. The rows `full widths` use
networks of the article's widths with generated weights, which find nothing that means anything: the liver stage runs in the box
of the whole scan, and the tumour stage in the true liver. Needs no package. Prints a table in Markdown; medians of the runs.
"""

import argparse
import json
import os
import pathlib
import statistics
import struct
import subprocess
import tempfile
import time

STAGES = ["read", "localizer", "liver", "tumour", "write"]


def measured(command: list, threads: int) -> tuple[float, float]:
    """Seconds and peak memory in megabytes of a command."""
    environment = dict(os.environ, RAYON_NUM_THREADS=str(threads))
    start = time.perf_counter()
    process = subprocess.Popen([str(part) for part in command], env=environment, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status != 0:
        raise SystemExit(f"{command} ended with status {status}")
    return seconds, usage.ru_maxrss / 1e3


def segmented(hepar, scan, arguments, out, more=()) -> list:
    """Medians over the runs: seconds in all, megabytes, and the seconds of each stage."""
    rows = []
    for _ in range(arguments.runs):
        command = [hepar, "segment", scan, "-o", out, "--force", "-q", *more]
        total = measured(command, arguments.threads)
        seconds = json.loads((out / "manifest.json").read_text())["seconds"]
        # What is not of the job itself is the start: above all, the networks are made ready.
        rows.append([*total, *[seconds.get(stage) or 0.0 for stage in STAGES], total[0] - seconds["total"]])
    return [statistics.median(column) for column in zip(*rows)]


def with_overlap(model: pathlib.Path, to: pathlib.Path, overlap: float) -> pathlib.Path:
    """A copy of a model whose tumour stage has another overlap."""
    subprocess.run(["cp", "-r", model, to], check=True)
    card = (to / "model.toml").read_text()
    before, tumour = card.split("[tumour]\n")
    start = tumour.index("overlap = [")
    end = tumour.index("]", start)
    (to / "model.toml").write_text(f"{before}[tumour]\n{tumour[:start]}overlap = [{overlap}, {overlap}, {overlap}{tumour[end:]}")
    return to


def write_npy(path: pathlib.Path, shape: tuple[int, ...]) -> None:
    """A file of zeros in NumPy's format 1.0."""
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}"
    header += " " * (-(len(header) + 11) % 64) + "\n"
    size = 4
    for side in shape:
        size *= side
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + bytes(size))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", type=pathlib.Path)
    parser.add_argument("scan", type=pathlib.Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    hepar = arguments.target / "hepar"
    label = pathlib.Path(str(arguments.scan).replace("_ct.", "_label."))
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        subprocess.run([arguments.target / "examples" / "generated_bundle", folder / "model"], check=True)
        half = with_overlap(folder / "model", folder / "half", 0.5)
        cases = [("the scan", arguments.scan, [])]
        cases.append(("the scan, full widths, stages 1 and 2", arguments.scan, ["--model", folder / "model", "--stages", "liver"]))
        given = ["--liver", label]
        cases.append(("the scan, full widths, stage 3", arguments.scan, ["--model", folder / "model", *given]))
        cases.append(("the scan, full widths, stage 3, half of overlap", arguments.scan, ["--model", half, *given]))
        for slices in (500, 1000):
            spacing = f"{500 / slices},0.75,0.75"
            subprocess.run([hepar, "phantom", "-o", folder / f"p{slices}", "--seed", "5", "--shape", f"{slices},512,512",
                            "--spacing", spacing], check=True, stdout=subprocess.DEVNULL)
            cases.append((f"phantom of 512×512×{slices}", folder / f"p{slices}_ct.nii.gz", []))
        machine = json.loads(subprocess.run([arguments.target / "examples" / "machine"], check=True, capture_output=True,
                                            env=dict(os.environ, RAYON_NUM_THREADS=str(arguments.threads))).stdout)
        cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
        version = subprocess.run([hepar, "model", "info"], check=True, capture_output=True, text=True).stdout.splitlines()[0]
        version = version.removeprefix("model").strip()
        print(f"{time.strftime('%Y-%m-%d')}, {cpu}, {arguments.threads} threads, {machine['gflops']} GFLOP/s of multiply-adds, "
              f"copies of {machine['gigabytes_per_second']} GB/s; medians of {arguments.runs} runs. Model: {version}.\n")
        print(f"| scan | s | peak MB | {' | '.join(STAGES)} | start |\n|---|---|---|{'---|' * len(STAGES)}---|")
        for name, scan, more in cases:
            seconds, memory, *stages = segmented(hepar, scan, arguments, folder / "out", more)
            print(f"| {name} | {seconds:.1f} | {memory:.0f} | {' | '.join(f'{s:.2f}' for s in stages)} |", flush=True)
        tiny = folder / "tiny.npy"
        write_npy(tiny, (1, 1, 32, 32))
        command = [hepar, "model", "run", "--stage", "localizer", "--input", tiny, "--output", folder / "o.npy"]
        seconds = []
        for _ in range(max(arguments.runs, 5)):
            (folder / "o.npy").unlink(missing_ok=True)
            seconds.append(measured(command, arguments.threads)[0])
        print(f"\nStart, a network of the program on one slice of 32×32, and end: {statistics.median(seconds):.2f} s.")


if __name__ == "__main__":
    main()
