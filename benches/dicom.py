"""How fast a series of 1,000 slices of 512 × 512 is read: hepar beside pydicom + numpy and beside SimpleITK (GDCM).

Needs from PyPI: pydicom, numpy, SimpleITK. Run from the project's folder:

    cargo build --release -p hepar-formats --example load_scan
    python3 benches/dicom.py > benches/results/dicom.md

Each reads the same files, which the system has in its cache, in a process of its own; the least of several times counts.
"""

import os
import pathlib
import platform
import re
import subprocess
import sys
import tempfile
import time

import numpy as np
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

SLICES, SIZE, TIMES = 1000, 512, 3


def write_series(folder: pathlib.Path) -> None:
    rng = np.random.default_rng(1)
    base = rng.integers(0, 2000, (SIZE, SIZE)).astype(np.int16)
    for k in range(SLICES):
        meta = FileMetaDataset()
        meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, CTImageStorage
        meta.MediaStorageSOPInstanceUID = f"1.2.3.{k + 1}"
        ds = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
        ds.SOPClassUID, ds.SOPInstanceUID, ds.Modality = CTImageStorage, f"1.2.3.{k + 1}", "CT"
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SeriesNumber, ds.InstanceNumber = "1.2", "1.2.3", 1, k + 1
        ds.PatientName, ds.PatientID, ds.ImageType = "Bench", "1", ["ORIGINAL", "PRIMARY", "AXIAL"]
        ds.ImageOrientationPatient, ds.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [-200, -200, 0.7 * k]
        ds.PixelSpacing, ds.SliceThickness = [0.8, 0.8], 0.7
        ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.PhotometricInterpretation = SIZE, SIZE, 1, "MONOCHROME2"
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
        ds.RescaleIntercept, ds.RescaleSlope = -1024, 1
        ds.PixelData = np.roll(base, k, 1).tobytes()
        ds.save_as(folder / f"{(k * 37) % SLICES:04}.dcm")


def by_pydicom(folder: str) -> tuple:
    slices = [pydicom.dcmread(os.path.join(folder, name)) for name in os.listdir(folder)]
    slices.sort(key=lambda ds: float(ds.ImagePositionPatient[2]))
    volume = np.empty((len(slices), slices[0].Rows, slices[0].Columns), np.int16)
    for k, ds in enumerate(slices):
        volume[k] = ds.pixel_array * int(ds.RescaleSlope) + int(ds.RescaleIntercept)
    return volume.shape


def by_simpleitk(folder: str) -> tuple:
    import SimpleITK as sitk

    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(folder))
    return reader.Execute().GetSize()


def worker(which: str, folder: str) -> None:
    read = {"pydicom": by_pydicom, "simpleitk": by_simpleitk}[which]
    least = float("inf")
    for _ in range(TIMES):
        started = time.perf_counter()
        shape = read(folder)
        least = min(least, time.perf_counter() - started)
    status = pathlib.Path("/proc/self/status").read_text()
    peak = re.search(r"VmHWM:\s*(.*)", status)[1]
    print(f"{least:.3f} s, {peak}, {shape}")


def main() -> int:
    if len(sys.argv) == 3:
        worker(*sys.argv[1:])
        return 0
    example = pathlib.Path("target/release/examples/load_scan").resolve()
    with tempfile.TemporaryDirectory() as folder:
        write_series(pathlib.Path(folder))
        runs = {
            "hepar": [str(example), folder, str(TIMES)],
            "hepar, one thread": ["env", "RAYON_NUM_THREADS=1", str(example), folder, str(TIMES)],
            "pydicom + numpy": [sys.executable, __file__, "pydicom", folder],
            "SimpleITK (GDCM)": [sys.executable, __file__, "simpleitk", folder],
        }
        print("# Reading a series\n\nMade by `benches/dicom.py`: 1,000 slices of 512 × 512, 16 bits, uncompressed, in the")
        print(f"system's cache; the least of {TIMES} times. {os.cpu_count()} cores, {platform.machine()}.\n")
        print("| | seconds | peak memory | as fast as pydicom |\n|---|---|---|---|")
        said = {name: subprocess.run(run, capture_output=True, text=True, check=True).stdout.strip()
                for name, run in runs.items()}
        seconds = {name: float(text.split(" s")[0]) for name, text in said.items()}
        for name, text in said.items():
            peak = int(text.split(", ")[1].split()[0]) / 1024
            print(f"| {name} | {seconds[name]:.2f} | {peak:.0f} MiB | {seconds['pydicom + numpy'] / seconds[name]:.1f} × |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
