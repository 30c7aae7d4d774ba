//! Findings and tables as text.

use comfy_table::{Cell, CellAlignment, Table, presets};
use hepar::{Findings, Outcome};

/// What was found in a case, in a line.
pub fn summary(findings: &Findings) -> String {
    let Findings { liver_ml, tumour_ml, .. } = findings;
    match findings.outcome {
        Outcome::NoLiver => "no liver found".to_owned(),
        Outcome::LiverOnly => format!("liver {liver_ml:.0} ml"),
        Outcome::NoTumour => format!("liver {liver_ml:.0} ml, no tumour found"),
        Outcome::Tumours => {
            let count = findings.lesions.len();
            let longest = findings.lesions.iter().map(|lesion| lesion.long_axis_mm).fold(0.0, f64::max);
            format!(
                "liver {liver_ml:.0} ml, tumour {tumour_ml:.1} ml, {count} {}, the longest {longest:.0} mm",
                if count == 1 { "lesion" } else { "lesions" }
            )
        }
    }
}

/// A table with a line under its header; the first column is text, the others are numbers.
pub fn table<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let cells = |row: [String; N]| {
        row.into_iter().enumerate().map(|(column, text)| {
            let side = if column == 0 { CellAlignment::Left } else { CellAlignment::Right };
            Cell::new(text).set_alignment(side)
        })
    };
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(cells(header.map(str::to_owned)).collect::<Vec<_>>());
    for row in rows {
        table.add_row(cells(row).collect::<Vec<_>>());
    }
    format!("{table}\n")
}

/// Lines of a name and a value, the values one under the other.
pub fn aligned(lines: &[(&str, String)]) -> String {
    let width = lines.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    lines.iter().map(|(name, value)| format!("{name:width$}  {value}\n")).collect()
}
