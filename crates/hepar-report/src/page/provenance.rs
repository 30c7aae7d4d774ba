//! How a result came about, for readers.

use crate::html::{escaped, table};

/// How a result came about. What is unknown is empty or `None`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Provenance {
    /// Version of the program.
    pub version: String,
    /// When the result was made, UTC as RFC 3339 has it.
    pub finished: String,
    /// SHA-256 of the scan's file.
    pub input_sha256: String,
    /// Voxels along i, j, k.
    pub shape_ijk: [usize; 3],
    /// Millimetres between voxels along i, j, k.
    pub spacing_ijk_mm: [f64; 3],
    /// The model; `None` when the labels came from elsewhere.
    pub model: Option<ModelFacts>,
    /// What ran the networks, as the user reads it: engine, device, instruction set, threads.
    pub engine: Option<String>,
    /// Wall time of each step in its order, in seconds.
    pub seconds: Vec<(String, f64)>,
    /// The most memory that the process has held, in bytes.
    pub peak_memory_bytes: Option<u64>,
    /// What the reader of the scan, or the program, had to say, a sentence each.
    pub warnings: Vec<String>,
}

/// A model as its card describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelFacts {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// One hash over its settings and weights.
    pub sha256: String,
    /// What it is, in a sentence or two.
    pub description: String,
    /// How good it is: on what, by which figure, and the figure.
    pub scores: Vec<(String, String, String)>,
}

/// Who the patient is, as far as files say: shown only where the user asked for it. Name and value of each fact.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity(pub Vec<(String, String)>);

/// A list of facts; names and values are plain text, those without a value are left out.
pub(super) fn facts<'a>(facts: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let rows: String = facts
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("<dt>{}</dt><dd>{}</dd>\n", escaped(name), escaped(&value)))
        .collect();
    if rows.is_empty() { rows } else { format!("<dl class=\"facts\">\n{rows}</dl>\n") }
}

impl Provenance {
    /// The section of a page that says what was run.
    pub(super) fn section(&self) -> String {
        let ([ni, nj, nk], [si, sj, sk]) = (self.shape_ijk, self.spacing_ijk_mm);
        let mut html = "<section>\n<h2>What was run</h2>\n".to_owned();
        html.push_str(&facts([
            ("Program", format!("hepar {}", self.version)),
            ("Made", self.finished.clone()),
            ("Scan", format!("{ni} × {nj} × {nk} voxels of {si:.3} × {sj:.3} × {sk:.3} mm (i, j, k)")),
            ("SHA-256 of the scan", self.input_sha256.clone()),
            ("Model", self.model_line()),
            ("SHA-256 of the model", self.model.as_ref().map(|model| model.sha256.clone()).unwrap_or_default()),
            ("About the model", self.model.as_ref().map(|model| model.description.clone()).unwrap_or_default()),
            ("Run by", self.engine.clone().unwrap_or_default()),
            ("Seconds", self.seconds_line()),
            (
                "Peak memory",
                self.peak_memory_bytes.map(|bytes| format!("{} MB", bytes / 1_000_000)).unwrap_or_default(),
            ),
        ]));
        html.push_str(&self.scores());
        html + "</section>\n"
    }

    fn model_line(&self) -> String {
        match &self.model {
            Some(model) => format!("{} {}", model.name, model.version),
            None => "none: the labels came from elsewhere".to_owned(),
        }
    }

    fn seconds_line(&self) -> String {
        self.seconds.iter().map(|(step, seconds)| format!("{step} {seconds:.1}")).collect::<Vec<_>>().join(", ")
    }

    fn scores(&self) -> String {
        let Some(model) = self.model.as_ref().filter(|model| !model.scores.is_empty()) else { return String::new() };
        let rows = model.scores.iter().map(|(on, metric, value)| vec![escaped(on), escaped(metric), escaped(value)]);
        format!("<h3>How good the model is, by its card</h3>\n{}", table(&["on", "figure", "value"], rows))
    }
}
