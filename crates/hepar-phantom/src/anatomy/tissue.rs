use crate::random::{Stream, chance, range, stream};
use crate::spec::Phase;

/// HU of what does not depend on the patient.
pub(crate) const FAT: f32 = -105.0;
pub(crate) const LUNG: f32 = -860.0;
pub(crate) const GAS: f32 = -980.0;
pub(crate) const SPONGY_BONE: f32 = 165.0;
pub(crate) const COMPACT_BONE: f32 = 650.0;
pub(crate) const CARTILAGE: f32 = 110.0;
pub(crate) const DISC: f32 = 80.0;
pub(crate) const SPINAL_CANAL: f32 = 25.0;

/// Mean HU of the patient's tissues in the phase of the scan.
#[derive(Debug, Clone)]
pub(crate) struct Tissue {
    pub(crate) phase: Phase,
    pub(crate) skin: f32,
    pub(crate) muscle: f32,
    pub(crate) liver: f32,
    pub(crate) spleen: f32,
    pub(crate) pancreas: f32,
    pub(crate) bile: f32,
    pub(crate) kidney_cortex: f32,
    pub(crate) kidney_medulla: f32,
    pub(crate) heart_muscle: f32,
    pub(crate) aorta: f32,
    pub(crate) right_heart: f32,
    pub(crate) portal_vein: f32,
    pub(crate) hepatic_vein: f32,
    /// The inferior vena cava below the kidneys; above them it is as bright as `hepatic_vein`.
    pub(crate) vena_cava: f32,
    pub(crate) gut_wall: f32,
}

impl Tissue {
    pub(crate) fn new(seed: u64, phase: Phase) -> Self {
        let mut rng = stream(seed, Stream::Tissue);
        let rng = &mut rng;
        // A fatty liver is darker in every phase.
        let fatty = if chance(rng, 0.12) { range(rng, 10.0, 35.0) } else { 0.0 };
        let (strength, blood) = (range(rng, 0.8, 1.2), range(rng, 38.0, 48.0));
        let mut vary = |mean: f32, spread: f32| mean + range(rng, -spread, spread);
        let (liver, spleen) = (vary(56.0, 5.0), vary(48.0, 4.0));
        let muscle = vary(54.0, 5.0);
        let plain = Self {
            phase,
            skin: vary(10.0, 20.0),
            muscle,
            liver: liver - fatty,
            spleen,
            pancreas: vary(40.0, 6.0),
            bile: vary(8.0, 8.0),
            kidney_cortex: vary(32.0, 3.0),
            kidney_medulla: vary(30.0, 3.0),
            heart_muscle: vary(46.0, 3.0),
            aorta: blood,
            right_heart: blood,
            portal_vein: blood,
            hepatic_vein: blood,
            vena_cava: blood,
            gut_wall: vary(40.0, 8.0),
        };
        // What the contrast agent adds, at a usual dose.
        let mut brighter = |value: f32, least: f32, greatest: f32| value + strength * range(rng, least, greatest);
        match phase {
            Phase::NonContrast => plain,
            Phase::Arterial => Self {
                muscle: brighter(plain.muscle, 2.0, 6.0),
                liver: brighter(plain.liver, 6.0, 22.0),
                spleen: brighter(plain.spleen, 50.0, 90.0),
                pancreas: brighter(plain.pancreas, 45.0, 75.0),
                kidney_cortex: brighter(plain.kidney_cortex, 110.0, 170.0),
                kidney_medulla: brighter(plain.kidney_medulla, 25.0, 55.0),
                heart_muscle: brighter(plain.heart_muscle, 40.0, 70.0),
                aorta: brighter(plain.aorta, 180.0, 330.0),
                right_heart: brighter(plain.right_heart, 90.0, 200.0),
                portal_vein: brighter(plain.portal_vein, 20.0, 90.0),
                hepatic_vein: brighter(plain.hepatic_vein, 8.0, 25.0),
                vena_cava: brighter(plain.vena_cava, 5.0, 25.0),
                gut_wall: brighter(plain.gut_wall, 20.0, 60.0),
                ..plain
            },
            Phase::Portal => Self {
                muscle: brighter(plain.muscle, 5.0, 15.0),
                liver: brighter(plain.liver, 42.0, 68.0),
                spleen: brighter(plain.spleen, 58.0, 88.0),
                pancreas: brighter(plain.pancreas, 35.0, 60.0),
                kidney_cortex: brighter(plain.kidney_cortex, 110.0, 170.0),
                kidney_medulla: brighter(plain.kidney_medulla, 90.0, 150.0),
                heart_muscle: brighter(plain.heart_muscle, 45.0, 70.0),
                aorta: brighter(plain.aorta, 90.0, 140.0),
                right_heart: brighter(plain.right_heart, 85.0, 130.0),
                portal_vein: brighter(plain.portal_vein, 100.0, 150.0),
                hepatic_vein: brighter(plain.hepatic_vein, 90.0, 140.0),
                vena_cava: brighter(plain.vena_cava, 45.0, 95.0),
                gut_wall: brighter(plain.gut_wall, 25.0, 60.0),
                ..plain
            },
        }
    }
}
