//! Volumes as NRRD and MetaImage, compressed, in LPS as other programs write them.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::Path;

use flate2::write::ZlibEncoder;
use flate2::{Compression, GzBuilder};
use hepar_volume::{Geometry, Volume};

use crate::atomic::write_atomically;
use crate::error::WriteError;
use crate::segments::{Segment, Segments, SegmentsBy};
use crate::text_header::TextFormat;

/// What is written.
pub(crate) enum Contents<'a> {
    Scan(&'a Volume<i16>),
    Labels(&'a Volume<u8>),
    /// Labels with the names and colours by which 3D Slicer knows segments; NRRD alone.
    Segments(&'a Volume<u8>),
}

/// Writes a volume, whole or not at all; the same volume gives the same bytes.
pub(crate) fn write(path: &Path, format: TextFormat, contents: &Contents) -> Result<(), WriteError> {
    let (geometry, bytes) = match contents {
        Contents::Scan(scan) => (scan.geometry(), scan.data().iter().flat_map(|v| v.to_le_bytes()).collect()),
        Contents::Labels(labels) | Contents::Segments(labels) => {
            (labels.geometry(), labels.data().iter().copied().collect::<Vec<u8>>())
        }
    };
    let wide = matches!(contents, Contents::Scan(_));
    let written = write_atomically(path, |file| match format {
        TextFormat::Nrrd => {
            let mut header = nrrd_header(geometry, wide);
            if let Contents::Segments(labels) = contents {
                header += &slicer_segments(labels);
            }
            file.write_all(header.as_bytes())?;
            file.write_all(b"\n")?;
            let mut gzip = GzBuilder::new().mtime(0).write(file, Compression::default());
            gzip.write_all(&bytes)?;
            gzip.finish().map(drop)
        }
        TextFormat::MetaImage => {
            let packed = zlib(&bytes)?;
            file.write_all(metaimage_header(geometry, wide, packed.len()).as_bytes())?;
            file.write_all(&packed)
        }
    });
    written.map_err(|error| WriteError::new(path, error.into()))
}

fn zlib(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// Axes i, j, k in millimetres and the origin, LPS.
fn lps(geometry: &Geometry) -> ([[f64; 3]; 3], [f64; 3]) {
    let affine = geometry.affine();
    // Not -0, which would be written so.
    let column = |c: usize| [-affine[0][c] + 0.0, -affine[1][c] + 0.0, affine[2][c] + 0.0];
    ([column(0), column(1), column(2)], column(3))
}

fn nrrd_header(geometry: &Geometry, wide: bool) -> String {
    let [k, j, i] = geometry.shape();
    let (axes, origin) = lps(geometry);
    let vector = |v: [f64; 3]| format!("({},{},{})", v[0], v[1], v[2]);
    let kind = if wide { "short" } else { "unsigned char" };
    let directions = axes.map(vector).join(" ");
    format!(
        "NRRD0004\n# Complete NRRD file format specification at:\n# http://teem.sourceforge.net/nrrd/format.html\n\
         content: hepar\ntype: {kind}\ndimension: 3\nspace: left-posterior-superior\nsizes: {i} {j} {k}\n\
         space directions: {directions}\nkinds: domain domain domain\nendian: little\nencoding: gzip\n\
         space origin: {}\n",
        vector(origin)
    )
}

fn metaimage_header(geometry: &Geometry, wide: bool, packed: usize) -> String {
    let [k, j, i] = geometry.shape();
    let (axes, origin) = lps(geometry);
    let [sk, sj, si] = geometry.spacing();
    let matrix = [(axes[0], si), (axes[1], sj), (axes[2], sk)]
        .map(|(axis, spacing)| axis.map(|v| (v / spacing + 0.0).to_string()).join(" "))
        .join(" ");
    let kind = if wide { "MET_SHORT" } else { "MET_UCHAR" };
    format!(
        "ObjectType = Image\nNDims = 3\nComment = hepar\nBinaryData = True\nBinaryDataByteOrderMSB = False\n\
         CompressedData = True\nCompressedDataSize = {packed}\nTransformMatrix = {matrix}\nOffset = {}\n\
         CenterOfRotation = 0 0 0\nElementSpacing = {si} {sj} {sk}\nDimSize = {i} {j} {k}\nElementType = {kind}\n\
         ElementDataFile = LOCAL\n",
        origin.map(|v| v.to_string()).join(" ")
    )
}

/// The key-value pairs by which 3D Slicer knows segments
/// (<https://slicer.readthedocs.io/en/latest/developer_guide/modules/segmentations.html>).
fn slicer_segments(labels: &Volume<u8>) -> String {
    let segments = Segments::of(labels, SegmentsBy::Label).list;
    let [k, j, i] = labels.shape();
    let extent = format!("0 {} 0 {} 0 {}", i.saturating_sub(1), j.saturating_sub(1), k.saturating_sub(1));
    let mut text = "Segmentation_ConversionParameters:=\nSegmentation_MasterRepresentation:=Binary labelmap\n\
                    Segmentation_SourceRepresentation:=Binary labelmap\nSegmentation_ContainedRepresentationNames:=\
                    Binary labelmap|\nSegmentation_ReferenceImageExtentOffset:=0 0 0\n"
        .to_owned();
    for (n, segment) in segments.iter().enumerate() {
        let Segment { name, colour, number, meaning, .. } = segment;
        let colour = colour.map(|v| format!("{:.6}", f64::from(v) / 255.0)).join(" ");
        let [category, kind] = crate::dicom::terminology(*meaning);
        // Writing into a string cannot fail.
        let _ = write!(
            text,
            "Segment{n}_Color:={colour}\nSegment{n}_ColorAutoGenerated:=0\nSegment{n}_Extent:={extent}\n\
             Segment{n}_ID:=Segment_{number}\nSegment{n}_LabelValue:={number}\nSegment{n}_Layer:=0\n\
             Segment{n}_Name:={name}\nSegment{n}_NameAutoGenerated:=0\n\
             Segment{n}_Tags:=TerminologyEntry:Segmentation category and type - DICOM master list~{category}~{kind}\
             ~^^~Anatomic codes - DICOM master list~^^~^^|\n"
        );
    }
    text
}
