//! How the scorer brings predicted and reference lesions together.

use std::collections::{BTreeMap, BTreeSet};

/// The scorer's groups of lesions at one threshold.
///
/// 1. Each overlapped reference belongs to the prediction that shares most voxels with it. The references of one
///    prediction form a group, named by the lowest of their numbers. A reference that nobody overlaps stays alone.
/// 2. Each prediction that overlaps anything goes to the one group with which it shares most voxels.
/// 3. The predictions of a group become one, named by the lowest of their numbers; their voxels get the group's name as
///    their label, in 8 bits.
/// 4. The groups that have predictions are the true positives.
/// 5. In rising order of the predictions' names, a group whose shared voxels are no more than the threshold's part of a
///    "union" loses its label, and as many true positives go as it has references. The union is that of the references
///    and of the voxels that now have the *prediction's* name as their label, where the group's was meant: the
///    predictions of another group, of that name, if there is one.
///
/// Ties go to the lowest number.
pub(crate) struct Matching {
    /// What is left of the true positives; may be negative.
    pub(crate) true_positives: i64,
    groups: BTreeMap<usize, Group>,
}

/// References that belong together and the predictions that were given to them.
#[derive(Debug, Default)]
struct Group {
    references: Vec<usize>,
    predictions: Vec<usize>,
    /// Whether the voxels of its predictions have its label.
    labelled: bool,
}

/// Voxels that each prediction and each reference share, by both numbers.
type Shared = BTreeMap<(usize, usize), u64>;

impl Matching {
    /// The groups at a threshold. Lesions are numbered from 1; `predicted` and `reference` are their sizes in voxels.
    pub(crate) fn at(threshold: f64, shared: &Shared, predicted: &[usize], reference: &[usize]) -> Self {
        let mut groups = group_references(shared, reference.len());
        let group_of = names(&groups);
        give_predictions(&mut groups, &group_of, shared);
        let found = groups.values().filter(|group| group.labelled).count();
        let mut matching = Self { true_positives: found as i64, groups };
        // At 0 nothing would go: what is found shares a voxel.
        if threshold > 0.0 && !reference.is_empty() {
            matching.trim(threshold, shared, predicted, reference);
        }
        matching
    }

    /// The predictions and the references of each object that is left, by rising label; none without true positives.
    ///
    /// A label of 8 bits may stand for several groups, and the references of that name may have gone to another group.
    pub(crate) fn objects(&self) -> Vec<(Vec<usize>, Vec<usize>)> {
        if self.true_positives <= 0 {
            return Vec::new();
        }
        let labelled = || self.groups.iter().filter(|(_, group)| group.labelled);
        let labels: BTreeSet<usize> = labelled().map(|(name, _)| name % 256).filter(|&label| label > 0).collect();
        let predictions = |label: usize| {
            let of_label = labelled().filter(|(name, _)| *name % 256 == label);
            of_label.flat_map(|(_, group)| group.predictions.iter().copied()).collect()
        };
        let references = |label| self.groups.get(&label).map_or(Vec::new(), |group| group.references.clone());
        labels.into_iter().map(|label| (predictions(label), references(label))).collect()
    }

    /// Step 5.
    fn trim(&mut self, threshold: f64, shared: &Shared, predicted: &[usize], reference: &[usize]) {
        let mut by_prediction: Vec<(usize, usize)> =
            self.groups.iter().filter_map(|(&name, group)| Some((*group.predictions.first()?, name))).collect();
        by_prediction.sort_unstable();
        for (prediction, name) in by_prediction {
            let group = &self.groups[&name];
            let own = share(shared, &group.predictions, &group.references);
            let other = self.labelled_with(prediction);
            let sizes = |numbers: &[usize], sizes: &[usize]| numbers.iter().map(|n| sizes[n - 1] as u64).sum::<u64>();
            let union = sizes(&other, predicted) + sizes(&group.references, reference)
                - share(shared, &other, &group.references);
            if own as f64 / union as f64 <= threshold {
                self.true_positives -= group.references.len() as i64;
                self.remove_label(name);
            }
        }
    }

    /// The predictions whose voxels have a label; no 8 bits hold one above 255.
    fn labelled_with(&self, label: usize) -> Vec<usize> {
        let of_label = self.groups.iter().filter(|(name, group)| group.labelled && *name % 256 == label);
        of_label.flat_map(|(_, group)| group.predictions.iter().copied()).collect()
    }

    fn remove_label(&mut self, label: usize) {
        for (_, group) in self.groups.iter_mut().filter(|(name, _)| **name % 256 == label) {
            group.labelled = false;
        }
    }
}

/// Step 1: groups of references by their names.
fn group_references(shared: &Shared, references: usize) -> BTreeMap<usize, Group> {
    let mut owners: BTreeMap<usize, (usize, u64)> = BTreeMap::new();
    for (&(prediction, reference), &voxels) in shared {
        let owner = owners.entry(reference).or_insert((prediction, voxels));
        // Predictions come in rising order, so of equal ones the first stays.
        if voxels > owner.1 {
            *owner = (prediction, voxels);
        }
    }
    let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let mut groups = BTreeMap::new();
    for reference in 1..=references {
        match owners.get(&reference) {
            Some((owner, _)) => members.entry(*owner).or_default().push(reference),
            None => {
                groups.insert(reference, Group { references: vec![reference], ..Group::default() });
            }
        }
    }
    groups.extend(members.into_values().map(|references| (references[0], Group { references, ..Group::default() })));
    groups
}

/// The name of the group of each reference.
fn names(groups: &BTreeMap<usize, Group>) -> BTreeMap<usize, usize> {
    groups.iter().flat_map(|(&name, group)| group.references.iter().map(move |&reference| (reference, name))).collect()
}

/// Steps 2 and 3.
fn give_predictions(groups: &mut BTreeMap<usize, Group>, group_of: &BTreeMap<usize, usize>, shared: &Shared) {
    let mut with_groups: BTreeMap<usize, BTreeMap<usize, u64>> = BTreeMap::new();
    for (&(prediction, reference), &voxels) in shared {
        *with_groups.entry(prediction).or_default().entry(group_of[&reference]).or_insert(0) += voxels;
    }
    for (prediction, groups_shared) in with_groups {
        let most = groups_shared.values().copied().max();
        let name = groups_shared.into_iter().find(|(_, voxels)| Some(*voxels) == most).map(|(name, _)| name);
        if let Some(group) = name.and_then(|name| groups.get_mut(&name)) {
            group.predictions.push(prediction);
            group.labelled = true;
        }
    }
}

/// Voxels that some predictions share with some references.
fn share(shared: &Shared, predictions: &[usize], references: &[usize]) -> u64 {
    let pairs = predictions.iter().flat_map(|&p| references.iter().map(move |&r| (p, r)));
    pairs.filter_map(|pair| shared.get(&pair)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Groups at 0.5 of lesions that share `(prediction, reference, voxels)`.
    fn at_half(shared: &[(usize, usize, u64)], predicted: &[usize], reference: &[usize]) -> Matching {
        let shared = shared.iter().map(|&(p, r, voxels)| ((p, r), voxels)).collect();
        Matching::at(0.5, &shared, predicted, reference)
    }

    #[test]
    fn ties_go_to_the_lowest_number() {
        // Reference 1 belongs to prediction 1, not to the equal 2; prediction 3 goes to group 1, not to the equal 2.
        let matching = at_half(&[(1, 1, 5), (2, 1, 5), (3, 1, 4), (3, 2, 4)], &[5, 5, 8], &[20, 4]);
        assert_eq!(matching.groups[&1].predictions, [1, 2, 3]);
        assert_eq!(matching.groups[&2].predictions, []);
    }

    #[test]
    fn a_lower_neighbour_takes_the_place_of_the_right_union() {
        // Two equal pairs: each prediction is as its reference, but the names are crossed by a false positive 1.
        let matching = at_half(&[(2, 1, 10), (3, 2, 10)], &[1, 10, 10], &[10, 10]);
        // Prediction 2 is measured with group 2's voxels: 10 / 20; then prediction 3, of no group, with 10 / 10.
        assert_eq!(matching.true_positives, 1);
        assert_eq!(matching.objects(), [(vec![3], vec![2])]);
    }

    #[test]
    fn a_label_has_eight_bits() {
        let (sizes, found) = (vec![10; 300], [(1, 1, 10), (45, 44, 10), (300, 300, 10)]);
        let matching = at_half(&found, &sizes, &sizes);
        // Group 300 has the label 44, as group 44 has. Prediction 45 finds no group 45; 300 is no label.
        assert_eq!(matching.true_positives, 3);
        assert_eq!(matching.objects(), [(vec![1], vec![1]), (vec![45, 300], vec![44])]);
    }
}
