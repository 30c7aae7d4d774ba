//! What the labels of a data set mean.

use std::str::FromStr;

use hepar_volume::Volume;

/// The greatest label that the protocols know: 0 background, 1 liver, 2 tumour.
const GREATEST: u8 = 2;

/// Which label stands for which: written `5=1,6=2,*=0`.
///
/// Labels that are not named stay as they are, or become what `*` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LabelMap([u8; 256]);

impl Default for LabelMap {
    fn default() -> Self {
        Self(std::array::from_fn(|label| label as u8))
    }
}

impl LabelMap {
    /// Replaces every label; gives the least one that is still unknown, and how many voxels have it.
    pub fn apply(&self, labels: &mut Volume<u8>) -> Result<(), (u8, usize)> {
        let mut counts = [0usize; 256];
        for label in labels.data_mut() {
            counts[usize::from(*label)] += 1;
            *label = self.0[usize::from(*label)];
        }
        let is_unknown = |label: &u8| self.0[usize::from(*label)] > GREATEST && counts[usize::from(*label)] > 0;
        match (0..=u8::MAX).find(is_unknown) {
            Some(label) => Err((label, counts[usize::from(label)])),
            None => Ok(()),
        }
    }
}

impl FromStr for LabelMap {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut map = Self::default();
        let mut named = [false; 256];
        let mut others = None;
        for part in text.split(',') {
            let wrong = || format!("{part:?} is not FROM=TO, as 5=1 or *=0, with TO 0, 1 or 2");
            let (from, to) = part.trim().split_once('=').ok_or_else(wrong)?;
            let to = to.trim().parse().ok().filter(|to| *to <= GREATEST).ok_or_else(wrong)?;
            if from.trim() == "*" {
                others = Some(to);
                continue;
            }
            let from: u8 = from.trim().parse().map_err(|_| wrong())?;
            map.0[usize::from(from)] = to;
            named[usize::from(from)] = true;
        }
        if let Some(to) = others {
            // The background stays what it is unless it is named.
            (1..256).filter(|&label| !named[label]).for_each(|label| map.0[label] = to);
        }
        Ok(map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hepar_volume::Geometry;

    fn mapped(map: &str, labels: [u8; 4]) -> Result<Vec<u8>, (u8, usize)> {
        let mut volume = Volume::from_fn(Geometry::axis_aligned([1, 1, 4], [1.0; 3]).unwrap(), |[_, _, i]| labels[i]);
        map.parse::<LabelMap>().unwrap().apply(&mut volume).map(|()| volume.data().iter().copied().collect())
    }

    #[test]
    fn labels_become_what_they_are_named() {
        assert_eq!(mapped("5=1,6=2", [0, 5, 6, 1]), Ok(vec![0, 1, 2, 1]));
        assert_eq!(mapped("5=1,*=0", [0, 5, 6, 1]), Ok(vec![0, 1, 0, 0]));
        assert_eq!(mapped("1=2,2=1", [0, 1, 2, 2]), Ok(vec![0, 2, 1, 1]));
    }

    #[test]
    fn unknown_labels_are_told() {
        assert_eq!(mapped("5=1", [9, 5, 7, 7]), Err((7, 2)));
        for text in ["", "5", "5=3", "x=1", "300=1", "5=1,,"] {
            assert!(text.parse::<LabelMap>().is_err(), "{text}");
        }
    }
}
