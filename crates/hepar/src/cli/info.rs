use std::path::PathBuf;

use clap::Args;
use hepar::exit;
use hepar::info::{Info, LabelCount, Voxels};
use serde_json::{Value, json};

use super::{Failure, print, text, warn_of};

/// What is this file: geometry, intensities, whether it looks like a CT
#[derive(Debug, Args)]
pub struct Arguments {
    /// A NIfTI file
    path: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Arguments {
    pub fn run(self) -> Result<u8, Failure> {
        let info = Info::of(&self.path)?;
        if self.json {
            print(format_args!("{:#}\n", as_json(&self.path.display().to_string(), &info)))?;
        } else {
            print(text::aligned(&lines(&info)))?;
            info.warnings().iter().for_each(|warning| warn_of(format_args!("warning: {warning}")));
        }
        match info.voxels {
            Ok(_) => Ok(exit::DONE),
            Err(error) => Err(error.into()),
        }
    }
}

fn lines(info: &Info) -> Vec<(&'static str, String)> {
    let header = &info.header;
    let flags = [(header.compressed, ", gzip"), (header.pair, ", in two files")];
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
        (
            "position from",
            format!("{} (sform code {}, qform code {})", header.affine_source, header.sform_code, header.qform_code),
        ),
    ];
    if !header.description.is_empty() {
        lines.push(("description", header.description.clone()));
    }
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

fn as_json(path: &str, info: &Info) -> Value {
    let header = &info.header;
    let [k, j, i] = header.geometry.spacing();
    let voxels = match &info.voxels {
        Ok(Voxels::Intensities { min, max, hounsfield }) => {
            json!({ "kind": "intensities", "min": min, "max": max, "looks_like_ct": hounsfield })
        }
        Ok(Voxels::Labels(counts)) => {
            let label = |c: &LabelCount| json!({ "label": c.label, "voxels": c.voxels, "ml": c.ml });
            json!({ "kind": "labels", "labels": counts.iter().map(label).collect::<Vec<_>>() })
        }
        Err(error) => json!({ "kind": "unusable", "problem": format!("failed to {}", hepar::sentence(error)) }),
    };
    json!({
        "schema": 1,
        "path": path,
        "format": header.format,
        "compressed": header.compressed,
        "pair": header.pair,
        "byte_order": header.byte_order.to_string(),
        "datatype": header.datatype.to_string(),
        "scaling": { "slope": header.scaling.0, "intercept": header.scaling.1 },
        "dims_ijk": header.dims,
        "spacing_ijk_mm": [i, j, k],
        "orientation": header.orientation,
        "affine_ras_mm": header.geometry.affine(),
        "affine_source": header.affine_source.to_string(),
        "sform_code": header.sform_code,
        "qform_code": header.qform_code,
        "description": header.description,
        "voxels": voxels,
        "warnings": info.warnings().iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}
