//! The figures of a case for programs: `result.json`.

use hepar_pipeline::{Caution, Findings, Lesion, Side};
use hepar_volume::{Geometry, Reorientation, VoxelBox, orientation_code};
use serde::{Deserialize, Serialize};

use crate::section::stored_axis;
use crate::tables::{outcome_name, tumours_were_looked_for};

/// Version of the layout; it grows when a key changes its meaning or goes.
const SCHEMA: u32 = 1;

/// Kind of the caution [`Caution::Sheets`].
const SHEETS: &str = "sheets-at-border";

/// Kind of the caution [`Caution::MassesBeside`].
const MASSES_BESIDE: &str = "masses-beside";

/// The names of a volume's axes `[k, j, i]`.
const AXES: [&str; 3] = ["k", "j", "i"];

/// What the JSON holds, in this order.
#[derive(Serialize)]
struct Layout<'a> {
    schema: u32,
    case: &'a str,
    /// `no-liver`, `liver-only` (tumours were not looked for), `no-tumour` or `tumours`.
    outcome: &'static str,
    liver_ml: f64,
    /// `null` when tumours were not looked for.
    tumour_ml: Option<f64>,
    /// Share of the liver that is tumour, 0 to 1; `null` without a liver or when tumours were not looked for.
    burden: Option<f64>,
    parenchyma_mean_hu: Option<f64>,
    parenchyma_sd_hu: Option<f64>,
    input: Input,
    /// First and last index of the liver along each axis; `null` without a liver.
    liver_box: Option<LiverBox>,
    lesions: Vec<LesionEntry>,
    cautions: Vec<CautionEntry>,
}

/// The grid of the input, so that indices can be understood. Arrays are in the order i, j, k.
#[derive(Serialize)]
struct Input {
    shape_ijk: [usize; 3],
    spacing_ijk_mm: [f64; 3],
    /// Where i, j and k grow to: `LPS`.
    orientation: String,
    /// The axis, `i`, `j` or `k`, along which slices are counted.
    slice_axis: &'static str,
    /// The same in words.
    slices: String,
}

#[derive(Serialize)]
struct LiverBox {
    i: [usize; 2],
    j: [usize; 2],
    k: [usize; 2],
}

#[derive(Serialize)]
struct LesionEntry {
    id: usize,
    volume_ml: f64,
    long_axis_mm: f64,
    short_axis_mm: f64,
    centroid_ras_mm: [f64; 3],
    long_axis_slice: usize,
    first_slice: usize,
    last_slice: usize,
    mean_hu: f64,
    sd_hu: f64,
    voxels: usize,
    at_liver_border: bool,
    /// Mean probability of its voxels, 0 to 1; `null` for labels that no network has made.
    confidence: Option<f64>,
}

#[derive(Serialize)]
struct CautionEntry {
    /// `liver-cut`, `thick-slices`, `no-contrast`, `unusual-intensity`, `lesions-at-border`, `doubtful-lesions`,
    /// `sheets-at-border`, `masses-beside`, or `other` for a kind that this layout does not know.
    kind: &'static str,
    /// The side of the scan that the liver reaches, for `liver-cut`.
    #[serde(skip_serializing_if = "Option::is_none")]
    side: Option<String>,
    /// Distance of slices in millimetres, for `thick-slices`.
    #[serde(skip_serializing_if = "Option::is_none")]
    mm: Option<f64>,
    /// Mean of the liver outside of tumours, for `no-contrast` and `unusual-intensity`.
    #[serde(skip_serializing_if = "Option::is_none")]
    mean_hu: Option<f64>,
    /// How many lesions, for `lesions-at-border` and `doubtful-lesions`; how many sheets, for `sheets-at-border`, or
    /// masses, for `masses-beside`.
    #[serde(skip_serializing_if = "Option::is_none")]
    lesions: Option<usize>,
    /// Their volume together, for `sheets-at-border` and `masses-beside`.
    #[serde(skip_serializing_if = "Option::is_none")]
    ml: Option<f64>,
    /// Volume of what hung on the liver by them alone, for `masses-beside`.
    #[serde(skip_serializing_if = "Option::is_none")]
    hanging_ml: Option<f64>,
    /// How many lesions were in it, for `masses-beside`.
    #[serde(skip_serializing_if = "Option::is_none")]
    hanging_lesions: Option<usize>,
    /// The caution as a sentence.
    text: String,
}

/// The findings of a case as JSON, ending in a new line; `geometry` is the grid of the input as it is stored.
///
/// Keys always come in the same order: `schema` (1), `case`, `outcome` (`no-liver`, `liver-only`, `no-tumour`,
/// `tumours`), `liver_ml`, `tumour_ml`, `burden` (0 to 1), `parenchyma_mean_hu`, `parenchyma_sd_hu`, `input` (the
/// grid), `liver_box` (first and last index, inclusive, along the axes `i`, `j`, `k` of the input), `lesions` (the
/// largest first), `cautions` (`kind`, what belongs to it, `text`). Figures are `null` where there are none: of
/// tumours, when these were not looked for. Millilitres, millimetres and Hounsfield units have three decimals, the
/// burden and spacings six. Slices are 0-based indices along the input's axis `input.slice_axis`.
pub fn result_json(case: &str, findings: &Findings, geometry: &Geometry) -> String {
    let layout = Layout {
        schema: SCHEMA,
        case,
        outcome: outcome_name(findings.outcome),
        liver_ml: rounded(findings.liver_ml),
        tumour_ml: tumours_were_looked_for(findings.outcome).then(|| rounded(findings.tumour_ml)),
        burden: findings.burden.map(|burden| rounded_to(burden, 1e6)),
        parenchyma_mean_hu: findings.parenchyma_mean_hu.map(rounded),
        parenchyma_sd_hu: findings.parenchyma_sd_hu.map(rounded),
        input: input(geometry),
        liver_box: findings.liver_box.as_ref().map(liver_box),
        lesions: findings.lesions.iter().map(lesion_entry).collect(),
        cautions: findings.cautions.iter().map(caution_entry).collect(),
    };
    // Serialising into a string fails only for maps whose keys are no strings; the layout has no maps.
    let mut text = serde_json::to_string_pretty(&layout).unwrap_or_else(|error| unreachable!("{error}"));
    text.push('\n');
    text
}

/// What the labels alone do not tell, read back from a [`result_json`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Told {
    /// The confidences of the lesions, in their order.
    pub confidences: Vec<Option<f64>>,
    /// The cautions of what the networks took for tumours and is not labelled so: thin sheets, and masses beside the
    /// liver.
    pub not_tumours: Vec<Caution>,
}

impl Told {
    /// What a [`result_json`] tells; nothing when the text is something else.
    pub fn of(json: &str) -> Self {
        #[derive(Deserialize)]
        struct Result {
            schema: u32,
            lesions: Vec<Lesion>,
            #[serde(default)]
            cautions: Vec<Entry>,
        }
        #[derive(Deserialize)]
        struct Lesion {
            #[serde(default)]
            confidence: Option<f64>,
        }
        #[derive(Deserialize)]
        struct Entry {
            kind: String,
            #[serde(default)]
            lesions: Option<usize>,
            #[serde(default)]
            ml: Option<f64>,
            #[serde(default)]
            hanging_ml: f64,
            #[serde(default)]
            hanging_lesions: usize,
        }
        let Some(result) = serde_json::from_str::<Result>(json).ok().filter(|result| result.schema == SCHEMA) else {
            return Self::default();
        };
        let not_tumour = |&Entry { ref kind, lesions, ml, hanging_ml, hanging_lesions }: &Entry| match kind.as_str() {
            SHEETS => Some(Caution::Sheets { sheets: lesions?, ml: ml? }),
            MASSES_BESIDE => Some(Caution::MassesBeside { masses: lesions?, ml: ml?, hanging_ml, hanging_lesions }),
            _ => None,
        };
        Self {
            confidences: result.lesions.iter().map(|lesion| lesion.confidence).collect(),
            not_tumours: result.cautions.iter().filter_map(not_tumour).collect(),
        }
    }
}

fn input(geometry: &Geometry) -> Input {
    let slice_axis = AXES[stored_axis(Reorientation::to_canonical(geometry), 0)];
    let ([nk, nj, ni], [sk, sj, si]) = (geometry.shape(), geometry.spacing());
    Input {
        shape_ijk: [ni, nj, nk],
        spacing_ijk_mm: [si, sj, sk].map(|mm| rounded_to(mm, 1e6)),
        orientation: orientation_code(geometry),
        slice_axis,
        slices: format!("slice indices are 0-based along the stored axis {slice_axis} of the input"),
    }
}

fn liver_box(voxels: &VoxelBox) -> LiverBox {
    let [k, j, i] = [0, 1, 2].map(|axis| [voxels.start()[axis], voxels.end()[axis] - 1]);
    LiverBox { i, j, k }
}

fn lesion_entry(lesion: &Lesion) -> LesionEntry {
    LesionEntry {
        id: lesion.id,
        volume_ml: rounded(lesion.volume_ml),
        long_axis_mm: rounded(lesion.long_axis_mm),
        short_axis_mm: rounded(lesion.short_axis_mm),
        centroid_ras_mm: lesion.centroid.0.map(rounded),
        long_axis_slice: lesion.axial_slice,
        first_slice: lesion.slices.0,
        last_slice: lesion.slices.1,
        mean_hu: rounded(lesion.mean_hu),
        sd_hu: rounded(lesion.sd_hu),
        voxels: lesion.voxels,
        at_liver_border: lesion.at_border,
        confidence: lesion.confidence.map(rounded),
    }
}

fn caution_entry(caution: &Caution) -> CautionEntry {
    let entry = |kind| CautionEntry {
        kind,
        side: None,
        mm: None,
        mean_hu: None,
        lesions: None,
        ml: None,
        hanging_ml: None,
        hanging_lesions: None,
        text: caution.to_string(),
    };
    match caution {
        Caution::LiverCut(side) => CautionEntry { side: Some(Side::to_string(side)), ..entry("liver-cut") },
        Caution::ThickSlices { mm } => CautionEntry { mm: Some(rounded(*mm)), ..entry("thick-slices") },
        Caution::NoContrast { mean_hu } => CautionEntry { mean_hu: Some(rounded(*mean_hu)), ..entry("no-contrast") },
        Caution::UnusualIntensity { mean_hu } => {
            CautionEntry { mean_hu: Some(rounded(*mean_hu)), ..entry("unusual-intensity") }
        }
        Caution::LesionsAtBorder { lesions } => CautionEntry { lesions: Some(*lesions), ..entry("lesions-at-border") },
        Caution::DoubtfulLesions { lesions } => CautionEntry { lesions: Some(*lesions), ..entry("doubtful-lesions") },
        Caution::Sheets { sheets, ml } => {
            CautionEntry { lesions: Some(*sheets), ml: Some(rounded(*ml)), ..entry(SHEETS) }
        }
        Caution::MassesBeside { masses, ml, hanging_ml, hanging_lesions } => CautionEntry {
            lesions: Some(*masses),
            ml: Some(rounded(*ml)),
            hanging_ml: Some(rounded(*hanging_ml)),
            hanging_lesions: Some(*hanging_lesions),
            ..entry(MASSES_BESIDE)
        },
        _ => entry("other"),
    }
}

fn rounded(value: f64) -> f64 {
    rounded_to(value, 1e3)
}

/// The nearest multiple of `1 / parts`, and 0 rather than -0.
fn rounded_to(value: f64, parts: f64) -> f64 {
    (value * parts).round() / parts + 0.0
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use hepar_pipeline::Outcome;
    use hepar_volume::Millimetres;
    use serde_json::Value;

    pub(crate) fn healthy() -> Findings {
        Findings {
            outcome: Outcome::NoTumour,
            liver_ml: 1400.5,
            tumour_ml: 0.0,
            burden: Some(0.0),
            parenchyma_mean_hu: Some(101.23456),
            parenchyma_sd_hu: Some(15.0),
            lesions: Vec::new(),
            liver_box: VoxelBox::new([1, 20, 300], [10, 200, 301]),
            cautions: Vec::new(),
        }
    }

    pub(crate) fn tumours() -> Findings {
        let first = Lesion {
            id: 1,
            volume_ml: 12.3456,
            long_axis_mm: 1000f64.sqrt(),
            short_axis_mm: 20.0,
            long_axis_ends: [Millimetres([0.0; 3]), Millimetres([30.0, 10.0, 0.0])],
            short_axis_ends: [Millimetres([0.0; 3]), Millimetres([0.0, 20.0, 0.0])],
            axial_slice: 14,
            slices: (11, 17),
            centroid: Millimetres([-10.5, -0.0001, 1200.125]),
            mean_hu: 61.25,
            sd_hu: 9.8764,
            voxels: 7716,
            at_border: true,
            confidence: Some(0.91666),
        };
        let second = Lesion {
            id: 2,
            volume_ml: 0.0016,
            long_axis_mm: 2f64.sqrt(),
            short_axis_mm: 0.5f64.sqrt(),
            axial_slice: 3,
            slices: (3, 3),
            centroid: Millimetres([0.0, 1.0, 2.0]),
            mean_hu: -5.0,
            sd_hu: 0.0,
            voxels: 1,
            at_border: false,
            confidence: None,
            ..first.clone()
        };
        Findings {
            outcome: Outcome::Tumours,
            liver_ml: 1500.0,
            tumour_ml: 12.3475,
            burden: Some(0.0082316666),
            lesions: vec![first, second],
            cautions: vec![Caution::LiverCut(Side::Superior), Caution::ThickSlices { mm: 7.00004 }],
            ..healthy()
        }
    }

    fn geometry() -> Geometry {
        // i runs down the body, k to the patient's right.
        let affine = [[0.0, 0.0, 0.8, 0.0], [0.0, -0.8, 0.0, 0.0], [-7.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]];
        Geometry::new(affine, [512, 400, 301]).unwrap()
    }

    fn parsed(findings: &Findings) -> Value {
        serde_json::from_str(&result_json("a \"case\"", findings, &geometry())).unwrap()
    }

    #[test]
    fn the_layout_is_that_of_schema_1() {
        let mut findings = tumours();
        findings.lesions.pop();
        findings.cautions.pop();
        assert_eq!(
            result_json("a \"case\"", &findings, &geometry()),
            r#"{
  "schema": 1,
  "case": "a \"case\"",
  "outcome": "tumours",
  "liver_ml": 1500.0,
  "tumour_ml": 12.348,
  "burden": 0.008232,
  "parenchyma_mean_hu": 101.235,
  "parenchyma_sd_hu": 15.0,
  "input": {
    "shape_ijk": [
      301,
      400,
      512
    ],
    "spacing_ijk_mm": [
      7.0,
      0.8,
      0.8
    ],
    "orientation": "IPR",
    "slice_axis": "i",
    "slices": "slice indices are 0-based along the stored axis i of the input"
  },
  "liver_box": {
    "i": [
      300,
      300
    ],
    "j": [
      20,
      199
    ],
    "k": [
      1,
      9
    ]
  },
  "lesions": [
    {
      "id": 1,
      "volume_ml": 12.346,
      "long_axis_mm": 31.623,
      "short_axis_mm": 20.0,
      "centroid_ras_mm": [
        -10.5,
        0.0,
        1200.125
      ],
      "long_axis_slice": 14,
      "first_slice": 11,
      "last_slice": 17,
      "mean_hu": 61.25,
      "sd_hu": 9.876,
      "voxels": 7716,
      "at_liver_border": true,
      "confidence": 0.917
    }
  ],
  "cautions": [
    {
      "kind": "liver-cut",
      "side": "superior",
      "text": "the liver reaches the superior edge of the scan and may go on beyond it; volumes may be too small"
    }
  ]
}
"#
        );
    }

    #[test]
    fn figures_that_were_not_looked_for_are_null() {
        let liver_only = Findings { outcome: Outcome::LiverOnly, burden: None, ..healthy() };
        let json = parsed(&liver_only);
        assert_eq!(
            (&json["outcome"], &json["tumour_ml"], &json["burden"]),
            (&"liver-only".into(), &Value::Null, &Value::Null)
        );
        let empty = Findings {
            outcome: Outcome::NoLiver,
            liver_ml: 0.0,
            burden: None,
            parenchyma_mean_hu: None,
            parenchyma_sd_hu: None,
            liver_box: None,
            ..healthy()
        };
        let json = parsed(&empty);
        assert_eq!((&json["outcome"], &json["liver_ml"]), (&"no-liver".into(), &0.0.into()));
        assert!(["tumour_ml", "burden", "parenchyma_mean_hu", "liver_box"].iter().all(|key| json[key].is_null()));
        assert_eq!(json["lesions"], Value::Array(Vec::new()));
    }

    #[test]
    fn what_labels_do_not_tell_is_read_back() {
        let mut findings = tumours();
        let told = |findings: &Findings| Told::of(&result_json("a", findings, &geometry()));
        assert_eq!(told(&findings), Told { confidences: vec![Some(0.917), None], not_tumours: Vec::new() });
        let beside = Caution::MassesBeside { masses: 2, ml: 5.25, hanging_ml: 1.5, hanging_lesions: 1 };
        let sheets = Caution::Sheets { sheets: 3, ml: 4.5 };
        findings.cautions.extend([sheets, beside]);
        assert_eq!(told(&findings).not_tumours, [sheets, beside]);
        let few_keys =
            r#"{"schema": 1, "lesions": [], "cautions": [{"kind": "masses-beside", "lesions": 2, "ml": 5.25}]}"#;
        let beside = Caution::MassesBeside { masses: 2, ml: 5.25, hanging_ml: 0.0, hanging_lesions: 0 };
        assert_eq!(Told::of(few_keys).not_tumours, [beside]);
        assert_eq!(Told::of("{\"schema\": 1, \"lesions\": [{\"id\": 1}]}").confidences, [None]);
        assert_eq!((Told::of("{}"), Told::of("<html>")), (Told::default(), Told::default()));
    }

    #[test]
    fn every_lesion_and_every_caution_is_there() {
        let json = parsed(&tumours());
        assert_eq!(json["case"], "a \"case\"");
        assert_eq!(json["lesions"].as_array().unwrap().len(), 2);
        assert_eq!((&json["lesions"][1]["id"], &json["lesions"][1]["volume_ml"]), (&2.into(), &0.002.into()));
        assert_eq!((&json["cautions"][1]["kind"], &json["cautions"][1]["mm"]), (&"thick-slices".into(), &7.0.into()));
        let text = json["cautions"][1]["text"].as_str().unwrap();
        assert!(text.starts_with("slices are 7.0 mm apart"), "{text}");
    }
}
