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
        check_shapes(&prediction, &reference)?;
        let mut overlap = Self::default();
        for (&p, &r) in prediction.iter().zip(reference.iter()) {
            overlap.add(belongs(p), belongs(r));
        }
        Ok(overlap)
    }

    /// Counts one more voxel, which belongs to the prediction and to the reference or does not.
    pub(crate) fn add(&mut self, predicted: bool, referred: bool) {
        self.predicted += u64::from(predicted);
        self.reference += u64::from(referred);
        self.shared += u64::from(predicted && referred);
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

    /// Jaccard coefficient or intersection over union, |P∩R| / |P∪R|, 0..1; 1 when both masks are empty.
    pub fn jaccard(&self) -> f64 {
        match self.predicted + self.reference - self.shared {
            0 => 1.0,
            union => self.shared as f64 / union as f64,
        }
    }

    /// Volumetric overlap error, 1 − Jaccard, 0..1; 0 when both masks are empty.
    pub fn voe(&self) -> f64 {
        1.0 - self.jaccard()
    }

    /// Relative volume difference, (|P| − |R|) / |R|, −1 and above; `None` when the reference is empty.
    pub fn rvd(&self) -> Option<f64> {
        (self.reference > 0).then(|| (self.predicted as f64 - self.reference as f64) / self.reference as f64)
    }

    /// Whether neither mask has a voxel.
    pub fn is_empty(&self) -> bool {
        self.predicted + self.reference == 0
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

/// Checks that two arrays have one shape.
pub(crate) fn check_shapes<T>(
    prediction: &ArrayView3<'_, T>,
    reference: &ArrayView3<'_, T>,
) -> Result<(), ShapeMismatch> {
    let shape = |array: &ArrayView3<'_, T>| [array.dim().0, array.dim().1, array.dim().2];
    let (prediction, reference) = (shape(prediction), shape(reference));
    if prediction == reference { Ok(()) } else { Err(ShapeMismatch { prediction, reference }) }
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
