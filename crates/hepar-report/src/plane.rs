//! The planes in which a scan is looked at, and how they are held.

/// A plane along two of the canonical axes `[k, j, i]` (to the head, to the back, to the patient's left).
///
/// Pictures are radiological: the patient's right is on the left, anterior on top of axial ones, the head on top of the
/// others, anterior on the left of sagittal ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plane {
    /// Along i and j.
    Axial,
    /// Along i and k.
    Coronal,
    /// Along j and k.
    Sagittal,
}

impl Plane {
    pub(crate) const ALL: [Self; 3] = [Self::Axial, Self::Coronal, Self::Sagittal];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Axial => "Axial",
            Self::Coronal => "Coronal",
            Self::Sagittal => "Sagittal",
        }
    }

    /// The canonical axis, 0 to 2 for k, j, i, along which planes follow each other.
    pub(crate) fn through(self) -> usize {
        match self {
            Self::Axial => 0,
            Self::Coronal => 1,
            Self::Sagittal => 2,
        }
    }

    /// The canonical axis along the picture's height.
    pub(crate) fn down(self) -> usize {
        if self == Self::Axial { 1 } else { 0 }
    }

    /// The canonical axis along the picture's width, growing to the right.
    pub(crate) fn across(self) -> usize {
        if self == Self::Sagittal { 1 } else { 2 }
    }

    /// Whether the axis along the height grows upwards.
    pub(crate) fn upwards(self) -> bool {
        self != Self::Axial
    }

    /// Where the left, right, upper and lower edge lie in the patient: right, left, anterior, posterior, head, feet.
    pub(crate) fn edges(self) -> [&'static str; 4] {
        match self {
            Self::Axial => ["R", "L", "A", "P"],
            Self::Coronal => ["R", "L", "H", "F"],
            Self::Sagittal => ["A", "P", "H", "F"],
        }
    }
}
