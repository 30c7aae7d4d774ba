"""Writes small files of every kind that hepar reads to fuzz/corpus, for fuzzing to start from."""

import gzip
import io
import pathlib
import struct
import tempfile
import zipfile

import h5py
import nibabel
import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian, \
    ImplicitVRLittleEndian, RLELossless

CORPUS = pathlib.Path(__file__).parent / "corpus"
VOXELS = (np.arange(4 * 6 * 5).reshape(5, 6, 4) * 37 % 400 - 160).astype(np.int16)


def write(target: str, name: str, data: bytes) -> None:
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def nifti() -> None:
    affine = np.array([[0, -0.8, 0, 10], [-0.7, 0, 0, 20], [0, 0, 2.5, -30], [0, 0, 0, 1.0]])
    for name, kind in {"one": nibabel.Nifti1Image, "two": nibabel.Nifti2Image}.items():
        for dtype in (np.int16, np.uint8, np.float32):
            image = kind(VOXELS.T.astype(dtype), affine)
            write("image", f"nifti-{name}-{np.dtype(dtype).name}.nii", image.to_bytes())
    write("image", "nifti.nii.gz", gzip.compress(nibabel.Nifti1Image(VOXELS.T, affine).to_bytes(), mtime=0))


def text_headers() -> None:
    image = sitk.GetImageFromArray(VOXELS)
    image.SetSpacing([0.7, 0.8, 2.5])
    with tempfile.TemporaryDirectory() as folder:
        for ending in ("nrrd", "mha"):
            for compressed in (False, True):
                path = pathlib.Path(folder) / f"a.{ending}"
                sitk.WriteImage(image, str(path), compressed)
                write("image", f"{'packed' if compressed else 'raw'}.{ending}", path.read_bytes())
    numbers = " ".join(str(v) for v in VOXELS.ravel())
    header = "NRRD0005\ntype: short\ndimension: 3\nsizes: 4 6 5\nspacings: 0.7 0.8 2.5\nencoding: ascii\n\n"
    write("image", "refused-ascii.nrrd", (header + numbers + "\n").encode())


def slice_of(k: int, syntax: str) -> bytes:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = f"1.2.3.4.{k + 1}"
    meta.TransferSyntaxUID = syntax
    little, implicit = syntax != ExplicitVRBigEndian, syntax == ImplicitVRLittleEndian
    data = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128, is_implicit_VR=implicit, is_little_endian=little)
    data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
    data.StudyInstanceUID, data.SeriesInstanceUID, data.FrameOfReferenceUID = "1.2.3", "1.2.3.4", "1.2.3.5"
    data.Modality, data.PatientID, data.PatientName = "CT", "42", "Muster^Anna"
    data.ImagePositionPatient, data.ImageOrientationPatient = [0, 0, 2.5 * k], [1, 0, 0, 0, 1, 0]
    data.PixelSpacing, data.SliceThickness = [0.8, 0.7], 2.5
    data.RescaleSlope, data.RescaleIntercept = 1, -1024
    data.Rows, data.Columns, data.SamplesPerPixel = 6, 4, 1
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 0
    data.PhotometricInterpretation = "MONOCHROME2"
    pixels = (VOXELS[k] + 1024).astype(np.uint16)
    data.PixelData = pixels.astype(">u2" if syntax == ExplicitVRBigEndian else "<u2").tobytes()
    data["PixelData"].VR = "OW"
    if syntax == RLELossless:
        data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data.compress(RLELossless, generate_instance_uid=False)
    out = io.BytesIO()
    data.save_as(out, enforce_file_format=True)
    return out.getvalue()


def dicom() -> None:
    syntaxes = {"explicit": ExplicitVRLittleEndian, "implicit": ImplicitVRLittleEndian, "big": ExplicitVRBigEndian,
                "deflated": DeflatedExplicitVRLittleEndian, "rle": RLELossless}
    for name, syntax in syntaxes.items():
        write("image", f"dicom-{name}.dcm", slice_of(0, syntax))
    for name, method in {"stored": zipfile.ZIP_STORED, "deflated": zipfile.ZIP_DEFLATED}.items():
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w", method) as out:
            for k in range(3):
                out.writestr(zipfile.ZipInfo(f"S1/IM{k}"), slice_of(k, ExplicitVRLittleEndian), compress_type=method)
        write("image", f"dicom-{name}.zip", archive.getvalue())
    nested = b""
    for _ in range(40):
        nested = struct.pack("<HHII", 0x0008, 0x1140, 0xFFFFFFFF, 0xE000FFFE) + struct.pack("<I", 0xFFFFFFFF) + nested
    write("image", "nested-behind-pixels.dcm", slice_of(0, ImplicitVRLittleEndian) + nested)


def derived(hepar: pathlib.Path) -> None:
    """Segmentations and contours, as hepar writes them."""
    import subprocess
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        (root / "ct").mkdir()
        for k in range(3):
            (root / "ct" / f"IM{k}").write_bytes(slice_of(k, ExplicitVRLittleEndian))
        labels = np.zeros((3, 6, 4), np.uint8)
        labels[:, 1:5, 1:3], labels[1, 2, 2] = 1, 2
        run = lambda *command: subprocess.run([str(hepar), *map(str, command)], check=True, capture_output=True)
        run("convert", root / "ct", root / "ct.nii.gz")
        image = sitk.GetImageFromArray(labels)
        image.CopyInformation(sitk.ReadImage(str(root / "ct.nii.gz")))
        sitk.WriteImage(image, str(root / "labels.nii.gz"))
        for name, options in {"seg": [], "labelmap": ["--labelmap"], "rtstruct": ["--as", "rtstruct"]}.items():
            run("convert", root / "labels.nii.gz", root / f"{name}.dcm", "--like", root / "ct", *options)
            write("image", f"{name}.dcm", (root / f"{name}.dcm").read_bytes())


def weights() -> None:
    header = b'{"conv1.weight":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}}'
    write("weights", "tiny.safetensors", struct.pack("<Q", len(header)) + header + b"\0" * 8)
    card = CORPUS.parent.parent / "models" / "raunet-lits" / "model.toml"
    write("weights", "model.toml", card.read_bytes())


def keras() -> None:
    for name, track in {"old": False, "new": True}.items():
        out = io.BytesIO()
        with h5py.File(out, "w", libver="latest" if track else "earliest", track_order=track) as file:
            file.attrs["layer_names"] = np.array([b"conv2d", b"batch_normalization"])
            for layer, parts in {"conv2d": ("kernel:0", "bias:0"), "batch_normalization": ("gamma:0",)}.items():
                group = file.create_group(layer)
                group.attrs["weight_names"] = np.array([f"{layer}/{part}".encode() for part in parts])
                for part in parts:
                    group.create_dataset(f"{layer}/{part}", data=np.arange(9, dtype=np.float32).reshape(3, 3))
        write("keras", f"{name}.h5", out.getvalue())


if __name__ == "__main__":
    import sys

    nifti()
    text_headers()
    dicom()
    derived(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else CORPUS.parent.parent / "target" / "release" / "hepar")
    weights()
    keras()
