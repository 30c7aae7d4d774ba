use std::path::PathBuf;

use clap::Args;
use hepar::info::{Info, LabelCount, Voxels, as_json, verdict};
use hepar::{ScanOptions, exit};
use hepar_formats::{HeaderInfo, NiftiPosition, SeriesInfo};

use super::{Failure, check_series, print, text, warn_of};

/// What is this file or folder: geometry, intensities, whether it looks like a CT; of DICOM which series is taken, and why
#[derive(Debug, Args)]
pub struct Arguments {
    /// An image, or a folder or zip archive with DICOM files
    path: PathBuf,
    /// UID or number of the DICOM series to describe; 3:2 is the second volume of series 3 [default: the one that would be segmented]
    #[arg(long, value_name = "UID")]
    series: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Arguments {
    pub fn run(self) -> Result<u8, Failure> {
        check_series(self.series.as_deref(), &self.path)?;
        let info = Info::of(&self.path, &ScanOptions { series: self.series, strict: false })?;
        if self.json {
            print(format_args!("{:#}\n", as_json(&self.path, &info)))?;
        } else {
            if !info.series.is_empty() {
                print(series_table(&info.series))?;
            }
            print(text::aligned(&lines(&info)))?;
            info.warnings.iter().for_each(|warning| warn_of(format_args!("warning: {warning}")));
        }
        match info.voxels {
            Ok(_) => Ok(exit::DONE),
            Err(error) => Err(error.into()),
        }
    }
}

/// The series of a study, each with what becomes of it.
fn series_table(series: &[SeriesInfo]) -> String {
    let row = |info: &SeriesInfo| {
        let matrix = info.matrix.map_or(String::new(), |[rows, columns]| format!("{columns} × {rows}"));
        let (taken, reason) = verdict(info);
        let part = info.part.as_ref().map(|part| format!(", {part}")).unwrap_or_default();
        [
            info.number.map_or_else(|| "–".to_owned(), |_| info.name()),
            info.modality.clone(),
            format!("{}{part}", info.description),
            info.slices.to_string(),
            matrix,
            format!("{:.0}", info.extent),
            info.orientation.clone().unwrap_or_default(),
            format!("{taken}: {reason}"),
            info.uid.clone(),
        ]
    };
    let header = ["series", "", "description", "slices", "matrix", "mm", "axes", "segmented", "UID"];
    text::table(header, series.iter().map(row))
}

fn lines(info: &Info) -> Vec<(&'static str, String)> {
    let mut lines = info.header.as_ref().map(header_lines).unwrap_or_default();
    lines.extend(voxel_lines(info));
    lines
}

fn header_lines(header: &HeaderInfo) -> Vec<(&'static str, String)> {
    let compressed = if header.format.starts_with("NIfTI") { ", gzip" } else { ", compressed" };
    let flags = [(header.compressed, compressed), (header.pair, ", in two files")];
    let flags: String = flags.iter().filter(|(set, _)| *set).map(|(_, text)| *text).collect();
    let [k, j, i] = header.geometry.spacing();
    let [nk, nj, ni] = header.geometry.shape();
    let extent = [ni as f64 * i, nj as f64 * j, nk as f64 * k];
    let scaling = match header.scaling {
        (1.0, 0.0) => String::new(),
        (slope, intercept) => format!(", × {slope} + {intercept}"),
    };
    let mut lines = vec![
        ("format", format!("{}{flags}", header.format)),
        ("voxels", format!("{} (i × j × k)", joined(&header.dims))),
        ("stored as", format!("{}, {}{scaling}", header.datatype, header.byte_order)),
        ("spacing", format!("{i:.4} × {j:.4} × {k:.4} mm")),
        ("extent", format!("{} mm", extent.map(|mm| format!("{mm:.0}")).join(" × "))),
        ("orientation", header.orientation.clone()),
    ];
    lines.extend(header.position.map(|NiftiPosition { source, sform_code, qform_code }| {
        ("position from", format!("{source} (sform code {sform_code}, qform code {qform_code})"))
    }));
    if !header.description.is_empty() {
        lines.push(("description", header.description.clone()));
    }
    lines
}

fn voxel_lines(info: &Info) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    match &info.voxels {
        Ok(Voxels::Intensities { min, max, hounsfield }) => {
            lines.push(("intensities", format!("{min} to {max}")));
            let looks = match hounsfield {
                true => "a CT in Hounsfield units",
                false => "no CT in Hounsfield units: those would show fat (-100) and air (-1000)",
            };
            lines.push(("looks like", looks.to_owned()));
        }
        Ok(Voxels::Labels(counts)) => {
            lines.push(("looks like", "a label volume".to_owned()));
            lines.extend(counts.iter().map(|count| ("", labels(count))));
        }
        Err(_) => lines.push(("looks like", "nothing that can be segmented".to_owned())),
    }
    lines
}

fn labels(LabelCount { label, voxels, ml }: &LabelCount) -> String {
    format!("label {label}: {voxels} voxels, {ml:.1} ml")
}

fn joined(dims: &[u64]) -> String {
    dims.iter().map(u64::to_string).collect::<Vec<_>>().join(" × ")
}
