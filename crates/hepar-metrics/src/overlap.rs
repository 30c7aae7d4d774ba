use ndarray::ArrayView3;

/// How many voxels two masks have and share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Overlap {
    /// Voxels of the prediction.
    pub predicted: u64,
    /// Voxels of the reference.
    pub reference: u64,
    /// Voxels of both.
    pub shared: u64,
}

/// Two masks have different shapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the prediction has shape {prediction:?}, the reference {reference:?} (k, j, i)")]
pub struct ShapeMismatch {
    prediction: [usize; 3],
    reference: [usize; 3],
}

impl Overlap {
    /// Counts the voxels of the object that `belongs` tells from labels.
    ///
    /// # Errors
    /// When the shapes differ.
    pub fn count(
        prediction: ArrayView3<'_, u8>,
        reference: ArrayView3<'_, u8>,
        belongs: impl Fn(u8) -> bool,
    ) -> Result<Self, ShapeMismatch> {
        if prediction.dim() != reference.dim() {
            let shape = |a: &ArrayView3<'_, u8>| [a.dim().0, a.dim().1, a.dim().2];
            return Err(ShapeMismatch { prediction: shape(&prediction), reference: shape(&reference) });
        }
        let mut overlap = Self::default();
        for (&p, &r) in prediction.iter().zip(reference.iter()) {
            let (p, r) = (belongs(p), belongs(r));
            overlap.predicted += u64::from(p);
            overlap.reference += u64::from(r);
            overlap.shared += u64::from(p && r);
        }
        Ok(overlap)
    }

    /// The liver: labels 1 and above, since tumours are part of it.
    ///
    /// # Errors
    /// When the shapes differ.
    pub fn liver(prediction: ArrayView3<'_, u8>, reference: ArrayView3<'_, u8>) -> Result<Self, ShapeMismatch> {
        Self::count(prediction, reference, |label| label >= 1)
    }

    /// Tumours: label 2.
    ///
    /// # Errors
    /// When the shapes differ.
    pub fn tumour(prediction: ArrayView3<'_, u8>, reference: ArrayView3<'_, u8>) -> Result<Self, ShapeMismatch> {
        Self::count(prediction, reference, |label| label == 2)
    }

    /// Dice, 2·|P∩R| / (|P| + |R|), 0..1; 1 when both masks are empty: nothing was to be found and nothing was.
    pub fn dice(&self) -> f64 {
        match self.predicted + self.reference {
            0 => 1.0,
            total => 2.0 * self.shared as f64 / total as f64,
        }
    }

    /// The counts of two cases together, for a Dice over all voxels of all cases (Dice global).
    pub fn merged(self, other: Self) -> Self {
        Self {
            predicted: self.predicted + other.predicted,
            reference: self.reference + other.reference,
            shared: self.shared + other.shared,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array3;
    use proptest::prelude::*;

    fn labels(values: &[u8]) -> Array3<u8> {
        Array3::from_shape_vec((1, 1, values.len()), values.to_vec()).unwrap()
    }

    #[test]
    fn tumours_are_part_of_the_liver() {
        let (p, r) = (labels(&[0, 1, 2, 2, 0]), labels(&[0, 1, 1, 2, 1]));
        let liver = Overlap::liver(p.view(), r.view()).unwrap();
        assert_eq!(liver, Overlap { predicted: 3, reference: 4, shared: 3 });
        assert_eq!(liver.dice(), 6.0 / 7.0);
        assert_eq!(Overlap::tumour(p.view(), r.view()).unwrap().dice(), 2.0 / 3.0);
    }

    #[test]
    fn two_empty_masks_agree_and_one_empty_mask_does_not() {
        let (empty, full) = (labels(&[0, 0]), labels(&[2, 2]));
        assert_eq!(Overlap::tumour(empty.view(), empty.view()).unwrap().dice(), 1.0);
        assert_eq!(Overlap::tumour(empty.view(), full.view()).unwrap().dice(), 0.0);
    }

    #[test]
    fn masks_of_different_shapes_are_refused() {
        assert!(Overlap::liver(labels(&[1]).view(), labels(&[1, 1]).view()).is_err());
    }

    proptest! {
        #[test]
        fn dice_is_symmetric_and_within_0_and_1(pairs in prop::collection::vec((0..3u8, 0..3u8), 1..50)) {
            let (p, r): (Vec<u8>, Vec<u8>) = pairs.into_iter().unzip();
            let (p, r) = (labels(&p), labels(&r));
            let dice = Overlap::liver(p.view(), r.view()).unwrap().dice();
            prop_assert!((0.0..=1.0).contains(&dice));
            prop_assert_eq!(dice, Overlap::liver(r.view(), p.view()).unwrap().dice());
        }
    }
}
