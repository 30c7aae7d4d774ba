//! What labels mean: liver and tumours as named, coloured, coded segments.

use hepar_volume::{Connectivity, Reorientation, Volume, components};

/// The label of tumours.
const TUMOUR: u8 = 2;

/// Whether tumours are one segment or one for each lesion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SegmentsBy {
    /// Liver and liver tumour.
    #[default]
    Label,
    /// Liver, and a segment for each lesion: 26-connected voxels of tumours, the largest first.
    Lesion,
}

/// What a segment shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Meaning {
    /// The whole liver, its tumours included.
    Liver,
    /// All tumours, or one.
    Tumour,
}

impl Meaning {
    /// The label of its voxels.
    pub fn label(self) -> u8 {
        match self {
            Self::Liver => 1,
            Self::Tumour => TUMOUR,
        }
    }

    /// What the words of a segment's name mean; `None` for anything but liver and tumours.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        let name = name.to_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
        if has(&["tumor", "tumour", "lesion", "metastas", "neoplasm", "hcc", "mass"]) {
            Some(Self::Tumour)
        } else {
            has(&["liver", "hepar", "leber", "foie", "higado"]).then_some(Self::Liver)
        }
    }
}

/// A segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Its number, from 1.
    pub(crate) number: u16,
    pub(crate) name: String,
    pub(crate) meaning: Meaning,
    /// Red, green, blue.
    pub(crate) colour: [u8; 3],
    /// Number of the lesion, where it is one.
    pub(crate) lesion: Option<u16>,
}

impl Segment {
    /// The segment of all that is the liver, or a tumour.
    pub(crate) fn of_label(number: u16, meaning: Meaning) -> Self {
        let (name, colour) = match meaning {
            Meaning::Liver => ("Liver", [221, 130, 101]),
            Meaning::Tumour => ("Liver tumour", [144, 238, 144]),
        };
        Self { number, name: name.to_owned(), meaning, colour, lesion: None }
    }

    /// The segment of one lesion; the liver's is the first.
    fn of_lesion(lesion: u16) -> Self {
        let all = Self::of_label(lesion + 1, Meaning::Tumour);
        Self { name: format!("{} {lesion}", all.name), lesion: Some(lesion), ..all }
    }
}

/// Labels as segments.
pub(crate) struct Segments {
    pub(crate) list: Vec<Segment>,
    /// Number of the innermost segment of each voxel, 0 outside of all: `[k, j, i]` on the labels' grid.
    pub(crate) numbers: Volume<u16>,
}

impl Segments {
    /// The segments of labels (0 background, 1 liver, 2 tumour; others are none).
    ///
    /// There are always a liver and a tumour segment, or the liver alone when tumours are split and there are none.
    pub(crate) fn of(labels: &Volume<u8>, by: SegmentsBy) -> Self {
        let liver = Segment::of_label(1, Meaning::Liver);
        match by {
            SegmentsBy::Label => Self {
                list: vec![liver, Segment::of_label(2, Meaning::Tumour)],
                numbers: labels.map(|&label| u16::from(label).min(3) % 3),
            },
            SegmentsBy::Lesion => {
                let (numbers, lesions) = lesions(labels);
                let list = (1..=lesions).map(Segment::of_lesion);
                Self { list: std::iter::once(liver).chain(list).collect(), numbers }
            }
        }
    }

    /// Whether a voxel whose innermost segment is `number` belongs to `segment`: tumours belong to the liver too.
    pub(crate) fn holds(segment: &Segment, number: u16) -> bool {
        if segment.meaning == Meaning::Liver { number >= 1 } else { number == segment.number }
    }
}

/// 1 for the liver, 2 and above for its lesions, the largest first; and how many there are.
///
/// They are ordered as in the table of lesions. Beyond 65,000 they share the last number.
fn lesions(labels: &Volume<u8>) -> (Volume<u16>, u16) {
    const MOST: usize = 65_000;
    let turn = Reorientation::to_canonical(labels.geometry());
    let canonical = turn.apply(labels);
    let found = components(canonical.map(|&label| label == TUMOUR).data(), Connectivity::Corners26);
    let mut order: Vec<usize> = (0..found.count()).collect();
    // A stable sort: equal ones stay in array order.
    order.sort_by_key(|n| std::cmp::Reverse(found.sizes[*n]));
    let mut number_of = vec![0u16; found.count() + 1];
    for (rank, component) in order.into_iter().enumerate() {
        number_of[component + 1] = rank.min(MOST - 1) as u16 + 2;
    }
    let mut numbers = canonical.map(|&label| u16::from(label == 1));
    ndarray::Zip::from(numbers.data_mut()).and(&found.labels).for_each(|number, component| {
        if *component > 0 {
            *number = number_of[*component as usize];
        }
    });
    (turn.inverse().apply_into(numbers), found.count().min(MOST) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hepar_volume::Geometry;

    fn labels() -> Volume<u8> {
        let geometry = Geometry::axis_aligned([2, 3, 6], [1.0; 3]).unwrap();
        let mut labels = Volume::filled(geometry, 1u8);
        labels.data_mut()[[0, 0, 0]] = 2;
        for i in 3..5 {
            labels.data_mut()[[1, 2, i]] = 2;
        }
        labels.data_mut()[[0, 2, 5]] = 7;
        labels
    }

    #[test]
    fn lesions_are_segments_with_the_largest_first() {
        let segments = Segments::of(&labels(), SegmentsBy::Lesion);
        assert_eq!(
            segments.list.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(),
            ["Liver", "Liver tumour 1", "Liver tumour 2"]
        );
        let at = |index: [usize; 3]| segments.numbers.data()[index];
        assert_eq!([at([1, 2, 3]), at([0, 0, 0]), at([0, 1, 1])], [2, 3, 1]);
        assert_eq!(segments.numbers.geometry(), labels().geometry());
    }

    #[test]
    fn other_labels_belong_to_nothing_and_tumours_to_the_liver() {
        let segments = Segments::of(&labels(), SegmentsBy::Label);
        assert_eq!(segments.numbers.data()[[0, 2, 5]], 0);
        assert!(Segments::holds(&segments.list[0], 2) && !Segments::holds(&segments.list[1], 1));
    }

    #[test]
    fn names_of_other_programs_are_understood() {
        assert_eq!(Meaning::of_name("LIVER"), Some(Meaning::Liver));
        assert_eq!(Meaning::of_name("Liver lesion 3"), Some(Meaning::Tumour));
        assert_eq!(Meaning::of_name("spleen"), None);
    }
}
