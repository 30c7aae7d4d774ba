//! The learning rate of a step.

use serde::{Deserialize, Serialize};

use crate::config::{Schedule, TrainConfig};

/// What a plateau schedule remembers.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plateau {
    /// How often the rate has fallen.
    pub falls: u32,
    /// Validations since the best one or the last fall.
    pub stalled: u32,
}

impl Plateau {
    /// Takes note of a validation.
    pub fn note(&mut self, schedule: Schedule, improved: bool) {
        let Schedule::Plateau { patience, .. } = schedule else { return };
        self.stalled = if improved { 0 } else { self.stalled + 1 };
        if self.stalled >= patience {
            (self.falls, self.stalled) = (self.falls + 1, 0);
        }
    }
}

/// The learning rate of step `step`, from 0.
pub(crate) fn learning_rate(config: &TrainConfig, plateau: Plateau, step: u64) -> f64 {
    let highest = config.learning_rate;
    match config.schedule {
        Schedule::Constant => highest,
        Schedule::Plateau { factor, .. } => highest * factor.powi(plateau.falls.min(1000) as i32),
        Schedule::Cosine { warmup, .. } if step < warmup => highest * (step + 1) as f64 / (warmup + 1) as f64,
        Schedule::Cosine { warmup, end } => {
            let length = config.steps.saturating_sub(warmup).max(1) as f64;
            let done = ((step - warmup) as f64 / length).min(1.0);
            highest * (end + (1.0 - end) * 0.5 * (1.0 + (std::f64::consts::PI * done).cos()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hepar_model::stage::StageName;

    #[test]
    fn a_cosine_rises_then_falls_to_its_end() {
        let schedule = Schedule::Cosine { warmup: 9, end: 0.1 };
        let config = TrainConfig { schedule, steps: 109, learning_rate: 1.0, ..TrainConfig::preset(StageName::Liver) };
        let rate = |step| learning_rate(&config, Plateau::default(), step);
        assert!((rate(0) - 0.1).abs() < 1e-12 && rate(9) == 1.0);
        assert!((rate(59) - 0.55).abs() < 1e-12);
        assert!((rate(109) - 0.1).abs() < 1e-12 && (rate(500) - 0.1).abs() < 1e-12);
    }

    #[test]
    fn a_plateau_falls_after_each_patience_without_improvement() {
        let schedule = Schedule::Plateau { factor: 0.1, patience: 2 };
        let config = TrainConfig { schedule, learning_rate: 1.0, ..TrainConfig::preset(StageName::Liver) };
        let mut plateau = Plateau::default();
        let rates: Vec<f64> = [true, false, true, false, false, false, false]
            .map(|improved| {
                plateau.note(schedule, improved);
                learning_rate(&config, plateau, 0)
            })
            .to_vec();
        assert_eq!(rates[..4], [1.0; 4]);
        assert!((rates[4] - 0.1).abs() < 1e-12 && (rates[5] - 0.1).abs() < 1e-12 && (rates[6] - 0.01).abs() < 1e-12);
    }
}
