//! Which series is the CT in which the liver is looked for.
//!
//! A series can be used when it is a CT with slices that lie somewhere, is no scout and no projection. Of several the
//! best by these rules is taken, the first that tells two apart deciding: axial; no lung or bone kernel; the portal
//! venous phase by its description, then one that names no phase; 10 cm or more from the first slice to the last; the
//! most slices; the smallest series number.

use std::cmp::Reverse;

use hepar_volume::{Geometry, orientation_code};

use crate::dicom::catalogue::{Catalogue, Series};
use crate::dicom::error::DicomError;
use crate::dicom::vectors::dot;

/// A normal this near to the patient's axis (cosine) makes slices axial: tilts of up to 30 degrees do.
const AXIAL: f64 = 0.86;

/// Less than this, in millimetres, does not hold a liver.
const SHORT: f64 = 100.0;

/// Words of the portal venous phase, and of the others, in lower case. Single words of descriptions are compared whole,
/// those with more than four letters also as parts.
const PORTAL: [&str; 12] =
    ["portal", "portovenous", "porto", "venous", "venös", "veineux", "ven", "pv", "pvp", "pvs", "70s", "70sec"];
const OTHER_PHASE: [&str; 18] = [
    "arterial",
    "arteriell",
    "artériel",
    "art",
    "ap",
    "delayed",
    "delay",
    "late",
    "spät",
    "native",
    "nativ",
    "nat",
    "noncontrast",
    "non-contrast",
    "unenhanced",
    "nc",
    "angio",
    "cta",
];

/// Words of kernels and descriptions that show lungs or bones.
const HARD: [&str; 8] = ["lung", "lunge", "bone", "knochen", "osteo", "edge", "boneplus", "sharp"];

/// Words of scouts and of projections.
const NO_SLICES: [&str; 12] = [
    "localizer",
    "scout",
    "topogram",
    "surview",
    "scanogram",
    "mip",
    "minip",
    "vrt",
    "projection image",
    "dose report",
    "screen save",
    "smartprep",
];

/// A series and what is to be said of it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SeriesInfo {
    /// `SeriesInstanceUID`, or, where it was taken out, one that follows from the instances.
    pub uid: String,
    /// Whether it was taken out.
    pub(crate) nameless: bool,
    /// `SeriesNumber`.
    pub number: Option<i64>,
    /// `SeriesDescription`.
    pub description: String,
    /// What tells it from other volumes of the same series.
    pub part: Option<String>,
    /// Its place among the volumes of the same series, from 1; `None` when it is the only one.
    pub place: Option<usize>,
    /// `Modality`.
    pub modality: String,
    /// Number of slices that lie somewhere; of objects when there are none.
    pub slices: usize,
    /// Rows and columns.
    pub matrix: Option<[usize; 2]>,
    /// From the first slice to the last along the normal, in millimetres.
    pub extent: f64,
    /// Where columns, rows and slices grow to, as `LPS`.
    pub orientation: Option<String>,
    /// Whether it is taken, and why or why not.
    pub verdict: Verdict,
}

impl SeriesInfo {
    /// What [`ScanOptions::series`](crate::ScanOptions::series) takes it by: its number, or its UID where it has none, and its
    /// place among the volumes of the series.
    pub fn name(&self) -> String {
        placed(&self.number.map_or_else(|| self.uid.clone(), |number| number.to_string()), self.place)
    }

    /// What it is called among all others: by its UID; a made-up one says nothing to anybody.
    fn listed(&self) -> String {
        if self.nameless { format!("{} (its UID was taken out)", self.name()) } else { placed(&self.uid, self.place) }
    }
}

/// What becomes of a series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is segmented.
    Chosen(String),
    /// It could be, but is not: another one is better, or shows another patient.
    NotChosen(String),
    /// It cannot be.
    Unusable(String),
}

/// What series are compared by; greater is better.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    axial: bool,
    soft: bool,
    phase: u8,
    long: bool,
    slices: usize,
    number: Reverse<i64>,
}

/// The series of a catalogue with their verdicts, in its order.
///
/// `wanted` is a series UID or number, with a colon and a place behind it where there are several, and overrides the rules.
pub(crate) fn judge(catalogue: &Catalogue, wanted: Option<&str>) -> Vec<SeriesInfo> {
    let mut infos: Vec<SeriesInfo> = catalogue.series.iter().map(|series| describe(catalogue, series)).collect();
    number_places(&mut infos);
    let ranks: Vec<Option<Rank>> = catalogue
        .series
        .iter()
        .zip(&infos)
        .map(|(series, info)| match info.verdict {
            Verdict::Unusable(_) => None,
            _ => Some(rank(catalogue, series, info)),
        })
        .collect();
    let is_wanted = |n: &usize| wanted.is_none_or(|wanted| is_called(&infos[*n], wanted));
    let candidates = (0..infos.len()).filter(is_wanted).filter(|n| ranks[*n].is_some());
    // Of equals the first.
    let Some(best) = candidates.rev().max_by(|a, b| ranks[*a].cmp(&ranks[*b])) else { return infos };
    let best_rank = ranks[best].clone();
    let runner_up = ranks.iter().enumerate().filter(|(n, _)| *n != best).filter_map(|(_, rank)| rank.as_ref()).max();
    for (n, info) in infos.iter_mut().enumerate() {
        let (Some(rank), Some(best_rank)) = (&ranks[n], &best_rank) else { continue };
        info.verdict = if n != best {
            let reason = difference(best_rank, rank).1;
            Verdict::NotChosen(wanted.map_or(reason, |_| "another series was asked for".to_owned()))
        } else if wanted.is_some() {
            Verdict::Chosen("it was asked for".to_owned())
        } else {
            Verdict::Chosen(runner_up.map_or("the only CT series".to_owned(), |other| difference(rank, other).0))
        };
    }
    infos
}

/// The place of the chosen series in the catalogue.
///
/// # Errors
/// When none can be used, or the one that is wanted is not there.
pub(crate) fn chosen(infos: &[SeriesInfo], wanted: Option<&str>) -> Result<usize, DicomError> {
    if let Some(chosen) = infos.iter().position(|info| matches!(info.verdict, Verdict::Chosen(_))) {
        return Ok(chosen);
    }
    if let Some(wanted) = wanted {
        return match infos.iter().find(|info| is_called(info, wanted)) {
            Some(SeriesInfo { verdict: Verdict::Unusable(reason), .. }) => {
                Err(DicomError::NoSeries(format!("series {wanted} is {reason}")))
            }
            _ => Err(DicomError::OtherSeries {
                wanted: wanted.to_owned(),
                found: infos.iter().map(SeriesInfo::listed).collect(),
            }),
        };
    }
    let reasons: Vec<String> = infos
        .iter()
        .filter_map(|info| match &info.verdict {
            Verdict::Unusable(reason) => Some(format!("series {} is {reason}", info.name())),
            _ => None,
        })
        .collect();
    Err(DicomError::NoSeries(reasons.join("; ")))
}

/// Numbers the volumes of each series that has several.
fn number_places(infos: &mut [SeriesInfo]) {
    let uids: Vec<String> = infos.iter().map(|info| info.uid.clone()).collect();
    for (n, info) in infos.iter_mut().enumerate() {
        let same = |uids: &[String]| uids.iter().filter(|uid| **uid == info.uid).count();
        info.place = (same(&uids) > 1).then(|| same(&uids[..=n]));
    }
}

/// A series' number or UID, with the place among its volumes behind a colon.
pub(crate) fn placed(series: &str, place: Option<usize>) -> String {
    place.map_or_else(|| series.to_owned(), |place| format!("{series}:{place}"))
}

/// Whether `wanted` is the UID or the number of a series, alone or with its place among the volumes of this series.
pub(crate) fn is_called(info: &SeriesInfo, wanted: &str) -> bool {
    let (series, place) = wanted.split_once(':').map_or((wanted, None), |(series, place)| (series, Some(place)));
    let is_series = info.uid == series || info.number.is_some_and(|number| number.to_string() == series);
    is_series && place.is_none_or(|wanted| info.place.is_some_and(|place| place.to_string() == wanted))
}

fn describe(catalogue: &Catalogue, series: &Series) -> SeriesInfo {
    let first = catalogue.first(series);
    let planes = series.planes();
    let extent = planes.first().map_or(0.0, |plane| {
        let at = planes.iter().map(|other| dot(other.position, plane.normal()));
        let (low, high) = at.fold((f64::MAX, f64::MIN), |(low, high), at| (low.min(at), high.max(at)));
        high - low
    });
    let matrix = series.matrix(catalogue);
    let orientation = planes.first().and_then(orientation);
    let verdict = unusable(catalogue, series).map_or(Verdict::NotChosen(String::new()), Verdict::Unusable);
    SeriesInfo {
        uid: series.uid.clone(),
        nameless: first.series_uid.is_empty(),
        number: first.number,
        description: first.description.clone(),
        part: series.part.clone(),
        place: None,
        modality: first.modality.clone(),
        slices: if planes.is_empty() { series.instances.len() } else { planes.len() - series.copies },
        matrix,
        extent,
        orientation,
        verdict,
    }
}

/// Where columns, rows and slices grow to.
fn orientation(plane: &crate::dicom::plane::Plane) -> Option<String> {
    let (a, b, c) = (plane.along_row, plane.along_column, plane.normal());
    // LPS to RAS.
    let row = |axis: usize, sign: f64| [sign * a[axis], sign * b[axis], sign * c[axis], 0.0];
    let affine = [row(0, -1.0), row(1, -1.0), row(2, 1.0), [0.0, 0.0, 0.0, 1.0]];
    Geometry::new(affine, [1; 3]).ok().map(|geometry| orientation_code(&geometry))
}

/// Why a series cannot be used.
fn unusable(catalogue: &Catalogue, series: &Series) -> Option<String> {
    let first = catalogue.first(series);
    if !first.is_ct() {
        let what = match first.modality.as_str() {
            "" => "no CT".to_owned(),
            modality => format!("no CT ({modality})"),
        };
        return Some(what);
    }
    let words = format!("{} {}", first.image_type.join(" "), first.description).to_lowercase();
    if let Some(word) = NO_SLICES.iter().find(|word| has_word(&words, word)) {
        return Some(format!("a scout, a projection or a report ({word})"));
    }
    let Some(sample) = series.slices.first() else {
        return Some("without slices that say where they lie".to_owned());
    };
    let samples = catalogue.instances[sample.instance].image.as_ref()?.samples;
    (samples.allocated == 1).then(|| "no CT (its pixels are single bits)".to_owned())
}

fn rank(catalogue: &Catalogue, series: &Series, info: &SeriesInfo) -> Rank {
    let first = catalogue.first(series);
    let words = format!("{} {}", first.protocol, first.contrast).to_lowercase();
    let kernel = format!("{} {}", first.kernel, first.description).to_lowercase();
    let axial = series.slices.first().is_some_and(|slice| slice.it.plane.normal()[2].abs() >= AXIAL);
    let described = info.description.to_lowercase();
    let phase = match (has_any(&described, &PORTAL), has_any(&described, &OTHER_PHASE)) {
        (true, _) => 2,
        (_, true) => 0,
        // The protocol speaks of the whole examination, and so counts less.
        _ if has_any(&words, &PORTAL) => 2,
        _ => 1,
    };
    Rank {
        axial,
        soft: !has_any(&kernel, &HARD) && !is_hard_kernel(&first.kernel),
        phase,
        long: info.extent >= SHORT,
        slices: info.slices,
        number: Reverse(info.number.unwrap_or(i64::MAX)),
    }
}

/// Siemens' kernels B60 and above, Br60, I70 and the like.
fn is_hard_kernel(kernel: &str) -> bool {
    let digits: String =
        kernel.chars().skip_while(|c| c.is_ascii_alphabetic()).take_while(char::is_ascii_digit).collect();
    let letters = kernel.chars().take_while(|c| c.is_ascii_alphabetic()).count();
    (1..=2).contains(&letters) && digits.len() == 2 && digits.as_str() >= "57"
}

fn has_any(text: &str, words: &[&str]) -> bool {
    // How the agent was given says nothing of the phase.
    let text = text.replace("intravenous", "").replace("intravenös", "");
    words.iter().any(|word| has_word(&text, word))
}

/// Whether `text` has `word`: as a whole, or, if that is long enough to mean nothing else, anywhere.
fn has_word(text: &str, word: &str) -> bool {
    if word.chars().count() > 4 {
        return text.contains(word);
    }
    text.split(|c: char| !c.is_alphanumeric()).any(|part| part == word)
}

/// Why `better` was taken, and why `worse` was not.
fn difference(better: &Rank, worse: &Rank) -> (String, String) {
    let said = |of_better: &str, of_worse: &str| (of_better.to_owned(), of_worse.to_owned());
    if better.axial != worse.axial {
        said("axial", "not axial")
    } else if better.soft != worse.soft {
        said("a soft kernel", "a kernel for lungs or bones")
    } else if better.phase != worse.phase {
        let of_better =
            if better.phase == 2 { "portal venous by its description" } else { "no other phase by its description" };
        let of_worse =
            if worse.phase == 0 { "another phase by its description" } else { "not portal venous by its description" };
        said(of_better, of_worse)
    } else if better.long != worse.long {
        said("long enough for a liver", "shorter than 10 cm")
    } else if better.slices != worse.slices {
        (format!("the most slices ({})", better.slices), format!("fewer slices ({})", worse.slices))
    } else {
        said("the first of equals", "equal to the one before")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rank(description: &str, slices: usize) -> Rank {
        let described = description.to_lowercase();
        let phase = match (has_any(&described, &PORTAL), has_any(&described, &OTHER_PHASE)) {
            (true, _) => 2,
            (_, true) => 0,
            _ => 1,
        };
        Rank { axial: true, soft: true, phase, long: true, slices, number: Reverse(1) }
    }

    #[test]
    fn the_portal_venous_phase_wins_over_more_slices_of_another() {
        for (portal, other) in [
            ("Abd PV 3.0", "Abd Art 1.0"),
            ("Leber portalvenös 5mm", "Leber nativ 1mm"),
            ("VENOUS PHASE", "DELAYED"),
            ("Abdomen 70s", "Abdomen 25s"),
        ] {
            assert!(rank(portal, 50) > rank(other, 400), "{portal} against {other}");
        }
        assert!(rank("Abdomen", 50) > rank("Abdomen arterial", 400), "no phase rather than another");
        assert!(rank("Abdomen 1.0", 400) > rank("Abdomen 5.0", 80));
    }

    #[test]
    fn short_words_are_not_found_in_long_ones() {
        assert!(!has_word("intravenous", "ven") && !has_word("oven", "pv") && !has_word("partial", "art"));
        assert!(has_word("abd_pv_3.0", "pv") && has_word("sureview scout", "scout"));
    }

    #[test]
    fn kernels_for_lungs_and_bones_are_known() {
        assert!(is_hard_kernel("B70f") && is_hard_kernel("Br64d") && is_hard_kernel("I70f\\3"));
        assert!(!is_hard_kernel("B30f") && !is_hard_kernel("STANDARD") && !is_hard_kernel("FC18"));
    }
}
