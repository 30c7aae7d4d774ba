//! Who a case shows.

/// A patient, however the data sets that hold scans of them number them.
///
/// 3D-IRCADb patients 1 to 20 are volumes 28 to 47 of LiTS, and Task03 of the Medical Segmentation Decathlon numbers
/// its volumes as LiTS does. Some volumes of LiTS show the same patient.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PatientId(String);

/// Volumes of LiTS, first to last, that show one patient or may do so.
///
/// 6 to 10 and 14, 15 are scans of the same liver.
const SAME_PATIENT: [(u32, u32); 3] = [(6, 10), (14, 15), NOT_TOLD_APART];

/// Volumes of LiTS, first to last, that cannot be told apart where only single slices are at hand, so they stay together.
const NOT_TOLD_APART: (u32, u32) = (120, 129);

/// Volume of LiTS that shows the patient who is kept for tests.
const TEST_VOLUME: u32 = 46;

/// Volumes of LiTS and MSD Task03 for training.
const LITS_VOLUMES: u32 = 131;

impl PatientId {
    /// The patient that a case's name speaks of.
    ///
    /// Behind their folder, `volume-11`, `segmentation-11`, `liver_11`, `lits011` and `lits-11` are patient 11 of LiTS;
    /// `ircad07`, `3Dircadb1.7` and `3D-IRCADb-01-07` are patient 7 of 3D-IRCADb. Any other name, with its folder, is a
    /// patient of its own: `P001/portal` is not `P002/portal`.
    pub fn of(name: &str) -> Self {
        volume_of(name).map_or_else(|| Self(name.to_lowercase()), Self::lits)
    }

    /// Whether a name, in whatever folder, says whom a case shows: it is one of LiTS or 3D-IRCADb.
    pub(crate) fn is_known(name: &str) -> bool {
        volume_of(name).is_some()
    }

    /// The patient as whom a case is drawn, of the name `name` and the patient `self`.
    ///
    /// Volumes that only may show one patient are held out together, but are drawn each by itself: they are likely to be
    /// as many patients.
    pub(crate) fn drawn_as(&self, name: &str) -> Self {
        let (first, last) = NOT_TOLD_APART;
        match volume_of(name) {
            Some(volume) if (first..=last).contains(&volume) => Self(format!("lits{volume:03}")),
            _ => self.clone(),
        }
    }

    /// Whether `entry`, the name of a case with or without its folder, speaks of the patient.
    pub(crate) fn is_named(&self, entry: &str) -> bool {
        let is_bare = !entry.contains('/') && self.0.rsplit('/').next() == Some(entry.to_lowercase().as_str());
        is_bare || *self == Self::of(entry)
    }

    /// The patient of a volume of LiTS.
    pub fn lits(volume: u32) -> Self {
        let same = SAME_PATIENT.iter().find(|(first, last)| (*first..=*last).contains(&volume));
        Self(format!("lits{:03}", same.map_or(volume, |(first, _)| *first)))
    }

    /// The patient on whom the accuracy of models is measured: patient 19 of 3D-IRCADb, volume 46 of LiTS.
    ///
    /// No training uses any scan of this patient, whatever its configuration says.
    pub fn kept_for_tests() -> Self {
        Self::lits(TEST_VOLUME)
    }

    /// Number of the patient's first volume in LiTS; `None` for patients of other data sets.
    pub fn lits_volume(&self) -> Option<u32> {
        self.0.strip_prefix("lits")?.parse().ok()
    }

    /// A name that is the same for all cases of the patient.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The volume of LiTS that a case's name speaks of.
fn volume_of(name: &str) -> Option<u32> {
    let name = name.rsplit('/').next().unwrap_or(name).to_lowercase();
    let number: u32 = name.rsplit(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
    let is_lits = ["volume", "segmentation", "liver", "lits", "msd"].iter().any(|prefix| name.starts_with(prefix));
    match number {
        1..=20 if name.contains("ircad") => Some(number + 27),
        _ => (is_lits && number < LITS_VOLUMES).then_some(number),
    }
}

impl std::fmt::Display for PatientId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_spellings_of_a_patient_are_one() {
        let same = |names: &[&str]| {
            assert!(names.windows(2).all(|pair| PatientId::of(pair[0]) == PatientId::of(pair[1])), "{names:?}");
        };
        same(&["volume-46", "segmentation-46", "liver_46", "lits046", "ircad19", "3Dircadb1.19", "3D-IRCADb-01-19"]);
        same(&["lits/lits011", "lits-sparse/lits011", "volume-11"]);
        same(&["lits006", "volume-8", "liver_10"]);
        same(&["lits014", "lits015"]);
        // As docs/training.md names two scans of one patient.
        same(&["P001/volume-portal-1", "P001/volume-arterial-1"]);
    }

    #[test]
    fn patients_of_lits_know_their_first_volume() {
        assert_eq!(PatientId::of("ircad19").lits_volume(), Some(46));
        assert_eq!(PatientId::of("volume-8").lits_volume(), Some(6));
        assert_eq!(PatientId::of("case46").lits_volume(), None);
        assert_eq!(PatientId::of("3Dircadb1.19"), PatientId::kept_for_tests());
    }

    #[test]
    fn different_patients_stay_apart() {
        let names =
            ["volume-1", "volume-11", "ircad01", "ircad11", "volume-5", "volume-13", "volume-16", "case1", "case2"];
        let ids: std::collections::BTreeSet<_> = names.iter().map(|name| PatientId::of(name)).collect();
        assert_eq!(ids.len(), names.len());
    }

    #[test]
    fn files_of_one_name_in_two_folders_are_two_patients() {
        assert_ne!(PatientId::of("P001/portal"), PatientId::of("P002/portal"));
        let patient = PatientId::of("P001/portal");
        assert!(patient.is_named("P001/portal") && patient.is_named("portal"));
        assert!(!patient.is_named("P002/portal") && !patient.is_named("P001") && !patient.is_named("tal"));
        assert!(PatientId::of("lits/lits008").is_named("volume-6"));
    }

    #[test]
    fn volumes_that_may_show_one_patient_are_drawn_each_by_itself() {
        let drawn = |name: &str| PatientId::of(name).drawn_as(name);
        assert_eq!(PatientId::of("volume-121"), PatientId::of("lits/lits129"));
        assert_ne!(drawn("volume-121"), drawn("lits/lits129"));
        assert_eq!(drawn("volume-121"), drawn("liver_121"));
        assert_eq!(drawn("volume-7"), drawn("volume-8"));
        assert_eq!(drawn("data/anna"), PatientId::of("data/anna"));
    }
}
