use super::*;
use crate::config::{Augmentation, Loss, Schedule};
use hepar_formats::{GridHeader, write_labels, write_scan};
use hepar_model::stage::Grid;
use hepar_phantom::PhantomSpec;

/// A folder with small phantoms as a data set of `count` patients, whose names, and so their folds, are always the same.
fn data(count: u64) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("data")).unwrap();
    for seed in 0..count {
        let spec = PhantomSpec { seed, shape: [40, 80, 80], spacing: [6.0, 4.8, 4.8], ..PhantomSpec::default() };
        let phantom = spec.build().unwrap();
        let path = |what: &str| folder.path().join(format!("data/case{seed}_{what}.nii.gz"));
        let grid = GridHeader::from_geometry(phantom.ct.geometry());
        write_scan(&path("ct"), &phantom.ct, &grid).unwrap();
        write_labels(&path("label"), &phantom.labels, &grid).unwrap();
    }
    folder
}

fn tiny(stage: StageName) -> TrainConfig {
    let config = TrainConfig {
        widths: [4; 6],
        batch: 2,
        steps: 6,
        checkpoint_every: 2,
        recalibrate: 2,
        phantoms: 0,
        phantom_share: 0.0,
        ..TrainConfig::preset(stage)
    };
    match stage {
        StageName::Localizer => {
            TrainConfig { patch: [1, 64, 64], grid: Grid::ResizedInPlane { size: [64, 64] }, ..config }
        }
        StageName::Liver | StageName::Tumour => {
            TrainConfig { patch: [32, 64, 64], grid: Grid::Spacing { mm: [6.0, 4.0, 4.0] }, ..config }
        }
    }
}

fn quiet() -> Control {
    Control::default()
}

fn run(config: &TrainConfig, data: &Path, run: &Path) -> Result<Summary, TrainError> {
    train(config, &[data.to_owned()], run, &quiet())
}

fn last_weights(run: &Path) -> Vec<u8> {
    std::fs::read(run.join("last/weights.safetensors")).unwrap()
}

#[test]
fn a_resumed_run_ends_with_the_same_bits_as_an_uninterrupted_one() {
    let (data, runs) = (data(2), tempfile::tempdir().unwrap());
    let schedule = Schedule::Constant;
    let config = TrainConfig { schedule, ..tiny(StageName::Liver) };
    let (whole, parts) = (runs.path().join("whole"), runs.path().join("parts"));
    assert!(run(&config, data.path(), &whole).unwrap().finished);
    run(&TrainConfig { steps: 3, ..config.clone() }, data.path(), &parts).unwrap();
    let after_three = last_weights(&parts);
    assert_eq!(run(&config, data.path(), &parts).unwrap().step, 6);
    assert!(last_weights(&whole) != after_three, "the last three steps change something");
    assert!(last_weights(&whole) == last_weights(&parts));
}

#[test]
fn scans_in_a_file_train_the_same_network() {
    let (data, runs) = (data(2), tempfile::tempdir().unwrap());
    for stage in [StageName::Localizer, StageName::Tumour] {
        let config = TrainConfig { steps: 2, fold: None, ..tiny(stage) };
        let [memory, file] = [None, Some(0)].map(|memory| {
            let folder = runs.path().join(format!("{stage} {memory:?}"));
            let control = Control { memory, ..quiet() };
            assert!(train(&config, &[data.path().to_owned()], &folder, &control).unwrap().finished);
            last_weights(&folder)
        });
        assert!(memory == file, "{stage}");
    }
}

#[test]
fn every_stage_trains_validates_and_can_be_exported() {
    let (data, runs) = (data(4), tempfile::tempdir().unwrap());
    for stage in StageName::ALL {
        let config = TrainConfig { folds: 2, fold: Some(0), steps: 3, ..tiny(stage) };
        let folder = runs.path().join(stage.as_str());
        let summary = run(&config, data.path(), &folder).unwrap();
        assert!(summary.best_dice.is_some_and(|dice| (0.0..=1.0).contains(&dice)), "{summary:?}");
        let exported = crate::export_stage(&folder).unwrap();
        let weights =
            hepar_model::weights::Weights::from_safetensors(exported.stage.config().unwrap(), &exported.bytes);
        assert_eq!(weights.unwrap().config(), &config.network().unwrap());
        assert!(folder.join("best/score.json").exists());
    }
}

#[test]
fn a_network_learns_from_what_it_takes_for_tumours() {
    let (data, runs) = (data(2), tempfile::tempdir().unwrap());
    let first = runs.path().join("first");
    // Whatever it says of a voxel, it is a tumour.
    let config = TrainConfig { steps: 1, threshold: 0.0, ..tiny(StageName::Tumour) };
    run(&config, data.path(), &first).unwrap();
    let start = Some(first.join("last/weights.safetensors"));
    let config = TrainConfig { steps: 2, start, hard_negatives: 0.9, ..config };
    let second = runs.path().join("second");
    run(&TrainConfig { steps: 1, ..config.clone() }, data.path(), &second).unwrap();
    assert!(run(&config, data.path(), &second).unwrap().finished, "it goes on");
    let without = TrainConfig { hard_negatives: 0.0, ..config.clone() };
    assert!(run(&without, data.path(), &runs.path().join("third")).unwrap().finished);
    let asked_nobody = TrainConfig { start: None, ..config };
    let error = run(&asked_nobody, data.path(), &runs.path().join("fourth")).unwrap_err().to_string();
    assert!(error.contains("set start"), "{error}");
}

#[test]
fn hard_negatives_are_not_found_anew_by_another_network_than_the_run_began_with() {
    let (data, runs) = (data(1), tempfile::tempdir().unwrap());
    let (first, start, second) = (runs.path().join("a"), runs.path().join("start"), runs.path().join("b"));
    let config = TrainConfig { steps: 1, threshold: 0.0, ..tiny(StageName::Tumour) };
    run(&config, data.path(), &first).unwrap();
    let began_with = last_weights(&first);
    std::fs::write(&start, &began_with).unwrap();
    let config = TrainConfig { start: Some(start.clone()), hard_negatives: 0.9, ..config };
    run(&config, data.path(), &second).unwrap();
    let longer = TrainConfig { steps: 2, ..config };
    std::fs::write(&start, last_weights(&second)).unwrap();
    let error = run(&longer, data.path(), &second).unwrap_err();
    assert!(matches!(&error, TrainError::Start { source: StartError::Changed(_), .. }), "{error}");
    assert!(error.to_string().contains("put that one back"), "{error}");
    std::fs::write(&start, began_with).unwrap();
    assert_eq!(run(&longer, data.path(), &second).unwrap().step, 2);
}

#[test]
fn steps_are_kept_when_a_batch_for_the_statistics_fails() {
    let folder = tempfile::tempdir().unwrap();
    let config = TrainConfig { steps: 1, recalibrate: 2, checkpoint_every: 100, ..tiny(StageName::Localizer) };
    let (control, is_cancelled) = (quiet(), |_: Moment| false);
    let session = Session {
        config: &config,
        folder: OwnFolder::open(folder.path()).unwrap(),
        control: &control,
        is_cancelled: &is_cancelled,
        progress: Progress::begin(false, config.steps, 0),
        held_out: None,
    };
    let device = control.place.device().unwrap();
    let learner = Learner::new(&config, device, None, None, State::new(String::new())).unwrap();
    let make = |number: u64| {
        let values: Vec<f32> = (0..2 * 64 * 64).map(|n| (n % 97) as f32 / 97.0).collect();
        let target = values.iter().map(|value| f32::from(u8::from(*value > 0.5))).collect();
        let (weight, cases) = (vec![1.0; values.len()], vec!["a".to_owned(); 2]);
        Ok(Batch { samples: 2 * number..2 * number + 2, cases, input: values, target, weight })
    };
    // One for the step, and only one of the two for the statistics.
    let error =
        std::thread::scope(|scope| session.learn(learner, prefetch(scope, NonZeroUsize::MIN, 0..2, make)).unwrap_err());
    assert!(matches!(error, TrainError::Loader(_)), "{error}");
    let state = std::fs::read_to_string(folder.path().join("last/state.json")).unwrap();
    assert!(state.contains("\"step\": 1") && state.contains("\"recalibrated\": false"), "{state}");
}

#[test]
fn the_last_row_of_the_log_is_written_after_a_stop_within_the_statistics() {
    let (data, runs) = (data(1), tempfile::tempdir().unwrap());
    let config = TrainConfig { steps: 10, recalibrate: 1, ..tiny(StageName::Localizer) };
    run_until(&config, data.path(), runs.path(), |moment| moment == Moment::After(10)).unwrap();
    // As a stop leaves it: the steps are saved before the statistics, the row comes behind them.
    let log = runs.path().join("log.csv");
    let whole = std::fs::read_to_string(&log).unwrap();
    let last = whole.trim_end().rfind('\n').unwrap();
    assert!(whole[last..].starts_with("\n10,"), "{whole}");
    std::fs::write(&log, &whole[..=last]).unwrap();
    run(&config, data.path(), runs.path()).unwrap();
    let rows = std::fs::read_to_string(&log).unwrap();
    assert_eq!(rows.lines().filter(|row| row.starts_with("10,")).count(), 1, "{rows}");
}

#[test]
fn a_cancelled_run_leaves_a_checkpoint_and_says_so() {
    let (data, runs) = (data(1), tempfile::tempdir().unwrap());
    let control = Control { minutes: Some(0.0), ..Control::default() };
    let config = tiny(StageName::Localizer);
    let summary = train(&config, &[data.path().to_owned()], runs.path(), &control).unwrap();
    assert_eq!((summary.step, summary.finished), (0, false));
    let control = Control { minutes: Some(1e-9), ..Control::default() };
    control.cancel.store(true, Ordering::Relaxed);
    assert_eq!(train(&config, &[data.path().to_owned()], runs.path(), &control).unwrap().step, 0);
    assert!(run(&config, data.path(), runs.path()).unwrap().finished);
    assert!(runs.path().join("last/state.json").exists());
}

#[cfg(not(feature = "wgpu"))]
#[test]
fn that_no_gpu_can_be_used_is_said_before_anything_is_read_or_written() {
    let runs = tempfile::tempdir().unwrap();
    let control = Control { place: Place::Gpu, ..quiet() };
    let folder = runs.path().join("run");
    let error = train(&tiny(StageName::Liver), &[runs.path().join("none")], &folder, &control).unwrap_err();
    assert!(matches!(error, TrainError::Device(_)), "{error}");
    assert!(!folder.exists());
}

#[test]
fn a_run_whose_loss_or_weights_are_no_numbers_ends() {
    let (data, runs) = (data(1), tempfile::tempdir().unwrap());
    let config = TrainConfig { learning_rate: 1e38, schedule: Schedule::Constant, ..tiny(StageName::Localizer) };
    let error = run(&config, data.path(), runs.path()).unwrap_err();
    assert!(matches!(error, TrainError::Diverged { .. } | TrainError::DivergedWeights { .. }), "{error}");
    assert!(error.to_string().contains("lower the learning rate"), "{error}");
}

#[test]
fn a_run_folder_of_another_configuration_or_other_data_is_refused() {
    let (data1, data2, runs) = (data(1), data(2), tempfile::tempdir().unwrap());
    let config = TrainConfig { steps: 1, ..tiny(StageName::Localizer) };
    run(&config, data1.path(), runs.path()).unwrap();
    let other = TrainConfig { augmentation: Augmentation::NONE, ..config.clone() };
    let error = run(&other, data1.path(), runs.path()).unwrap_err().to_string();
    assert!(error.contains("augmentation"), "{error}");
    assert!(matches!(run(&config, data2.path(), runs.path()), Err(TrainError::OtherData(_))));
}

#[test]
fn a_network_learns_where_the_liver_of_a_phantom_is() {
    let (data, runs) = (data(1), tempfile::tempdir().unwrap());
    let config = TrainConfig {
        steps: 120,
        batch: 4,
        learning_rate: 3e-3,
        augmentation: Augmentation::NONE,
        schedule: Schedule::Constant,
        widths: [4, 4, 8, 8, 8, 8],
        ..tiny(StageName::Localizer)
    };
    run(&config, data.path(), runs.path()).unwrap();
    let log = std::fs::read_to_string(runs.path().join("log.csv")).unwrap();
    let losses: Vec<f64> = log.lines().skip(1).map(|l| l.split(',').nth(2).unwrap().parse().unwrap()).collect();
    assert!(losses[11] < losses[0] - 0.1, "{losses:?}");
}

/// Trains until `stop` says so.
fn run_until(
    config: &TrainConfig,
    data: &Path,
    run: &Path,
    stop: impl Fn(Moment) -> bool + Sync,
) -> Result<Summary, TrainError> {
    train_until(config, &[data.to_owned()], run, &quiet(), &stop)
}

fn rows(run: &Path) -> Vec<String> {
    std::fs::read_to_string(run.join("log.csv")).unwrap().lines().skip(1).map(str::to_owned).collect()
}

#[test]
fn a_run_that_is_cancelled_between_checkpoints_goes_on_from_the_very_step() {
    let (data, runs) = (data(1), tempfile::tempdir().unwrap());
    let config = TrainConfig { checkpoint_every: 100, ..tiny(StageName::Localizer) };
    let (whole, parts) = (runs.path().join("whole"), runs.path().join("parts"));
    run(&config, data.path(), &whole).unwrap();
    let summary = run_until(&config, data.path(), &parts, |moment| moment == Moment::After(3)).unwrap();
    assert_eq!((summary.step, summary.finished), (3, false));
    assert_eq!(run(&config, data.path(), &parts).unwrap().step, 6);
    assert!(last_weights(&whole) == last_weights(&parts));
}

#[test]
fn a_run_that_is_cancelled_while_it_validates_validates_when_it_goes_on() {
    let (data, runs) = (data(4), tempfile::tempdir().unwrap());
    let config = TrainConfig { folds: 2, fold: Some(0), validate_every: 2, steps: 4, ..tiny(StageName::Liver) };
    let (whole, parts) = (runs.path().join("whole"), runs.path().join("parts"));
    run(&config, data.path(), &whole).unwrap();
    let stop = |moment| matches!(moment, Moment::Validating(2) | Moment::After(2));
    let summary = run_until(&config, data.path(), &parts, stop).unwrap();
    assert_eq!((summary.step, summary.best_dice), (2, None));
    run(&config, data.path(), &parts).unwrap();
    let without_seconds = |run: &Path| -> Vec<String> {
        rows(run).iter().map(|row| row.rsplit_once(',').unwrap().0.to_owned()).collect()
    };
    assert_eq!(without_seconds(&parts), without_seconds(&whole));
    assert!(last_weights(&whole) == last_weights(&parts));
}

#[test]
fn a_plateau_and_the_best_score_survive_a_stop() {
    let (data, runs) = (data(4), tempfile::tempdir().unwrap());
    let schedule = Schedule::Plateau { factor: 0.1, patience: 1 };
    let config = TrainConfig { folds: 2, fold: Some(0), validate_every: 1, schedule, ..tiny(StageName::Localizer) };
    let (whole, parts) = (runs.path().join("whole"), runs.path().join("parts"));
    let summary = run(&config, data.path(), &whole).unwrap();
    for step in 1..6 {
        run_until(&config, data.path(), &parts, |moment| moment == Moment::After(step)).unwrap();
    }
    let last = run(&config, data.path(), &parts).unwrap();
    assert_eq!((last.step, last.best_dice, last.smoothed_loss), (6, summary.best_dice, summary.smoothed_loss));
    assert!(last_weights(&whole) == last_weights(&parts));
    let rate = |row: &String| row.split(',').nth(3).unwrap().parse::<f64>().unwrap();
    assert!(rate(rows(&whole).last().unwrap()) < config.learning_rate, "the rate has fallen at least once");
}

#[test]
fn a_folder_that_another_training_has_is_refused() {
    let (data, runs) = (data(1), tempfile::tempdir().unwrap());
    let config = tiny(StageName::Localizer);
    let other = OwnFolder::open(runs.path()).unwrap();
    let error = run(&config, data.path(), runs.path()).unwrap_err();
    assert!(matches!(error, TrainError::Folder { .. }) && error.to_string().contains("training"), "{error}");
    drop(other);
    assert!(run(&config, data.path(), runs.path()).unwrap().finished);
}

#[test]
fn the_best_of_an_earlier_run_is_not_handed_out_as_that_of_a_new_one() {
    let (data, runs) = (data(4), tempfile::tempdir().unwrap());
    let config = TrainConfig { folds: 2, fold: Some(0), steps: 2, ..tiny(StageName::Localizer) };
    run(&config, data.path(), runs.path()).unwrap();
    // Pictures, as whoever looks on leaves them.
    std::fs::create_dir(runs.path().join("validation")).unwrap();
    std::fs::write(runs.path().join("validation/validation.json"), "[]").unwrap();
    std::fs::remove_dir_all(runs.path().join("last")).unwrap();
    let other = TrainConfig { fold: None, seed: 2, ..config };
    run(&other, data.path(), runs.path()).unwrap();
    assert!(!runs.path().join("best").exists());
    assert!(!runs.path().join("validation/validation.json").exists());
    let exported = crate::export_stage(runs.path()).unwrap();
    assert!(!exported.bytes.is_empty());
}

#[test]
fn a_mean_of_weights_is_handed_out_and_survives_a_stop() {
    let (data, runs) = (data(1), tempfile::tempdir().unwrap());
    let plain = TrainConfig { schedule: Schedule::Constant, ..tiny(StageName::Localizer) };
    let config = TrainConfig { average: 0.9, ..plain.clone() };
    let (whole, parts) = (runs.path().join("whole"), runs.path().join("parts"));
    run(&config, data.path(), &whole).unwrap();
    run_until(&config, data.path(), &parts, |moment| moment == Moment::After(4)).unwrap();
    run(&config, data.path(), &parts).unwrap();
    let average = |run: &Path| std::fs::read(run.join("last/average.safetensors")).unwrap();
    assert!(average(&whole) == average(&parts) && last_weights(&whole) == last_weights(&parts));
    assert!(average(&whole) != last_weights(&whole));
    // The mean changes nothing of the training itself; it is what is handed out.
    let without = runs.path().join("without");
    run(&TrainConfig { recalibrate: 0, ..plain }, data.path(), &without).unwrap();
    assert!(last_weights(&without) == last_weights(&whole));
    let handed_out = |run: &Path| crate::export_stage(run).unwrap().bytes;
    assert!(handed_out(&whole) == handed_out(&parts) && handed_out(&whole) != handed_out(&without));
}

#[test]
fn a_step_can_take_several_batches_with_the_gradients_of_all() {
    let (data, runs) = (data(1), tempfile::tempdir().unwrap());
    let config = TrainConfig { steps: 2, accumulate: 3, clip_norm: Some(0.1), ..tiny(StageName::Localizer) };
    let folder = |name: &str| runs.path().join(name);
    assert!(run(&config, data.path(), &folder("a")).unwrap().finished);
    run(&TrainConfig { steps: 1, ..config.clone() }, data.path(), &folder("b")).unwrap();
    run(&config, data.path(), &folder("b")).unwrap();
    assert!(last_weights(&folder("a")) == last_weights(&folder("b")));
    run(&TrainConfig { accumulate: 1, ..config.clone() }, data.path(), &folder("c")).unwrap();
    assert!(last_weights(&folder("a")) != last_weights(&folder("c")));
    let refused = |config: TrainConfig| run(&config, data.path(), &folder("d")).unwrap_err().to_string();
    let error = refused(TrainConfig { accumulate: 0, ..config.clone() });
    assert!(error.contains("accumulate"), "{error}");
    let error = refused(TrainConfig { steps: u64::MAX, ..config });
    assert!(error.contains("18446744073709551615 steps are more than"), "{error}");
}

#[test]
fn a_run_ends_early_when_validations_bring_nothing_better() {
    let (data, runs) = (data(4), tempfile::tempdir().unwrap());
    let config = TrainConfig {
        folds: 2,
        fold: Some(0),
        steps: 50,
        validate_every: 1,
        early_stop: 2,
        learning_rate: 1e-12,
        schedule: Schedule::Constant,
        ..tiny(StageName::Liver)
    };
    let summary = run(&config, data.path(), runs.path()).unwrap();
    assert!(summary.finished && summary.step < 50, "{summary:?}");
    assert_eq!(run(&config, data.path(), runs.path()).unwrap().step, summary.step);
    let error = run(&TrainConfig { fold: None, ..config }, data.path(), &runs.path().join("x")).unwrap_err();
    assert!(error.to_string().contains("early_stop"), "{error}");
}

#[test]
fn every_loss_trains() {
    let (data, runs) = (data(1), tempfile::tempdir().unwrap());
    let weights = Loss::ALL.map(|loss| {
        let config = TrainConfig { loss, steps: 2, ..tiny(StageName::Localizer) };
        let folder = runs.path().join(loss.name());
        assert!(run(&config, data.path(), &folder).unwrap().finished);
        assert!(config.to_toml().unwrap().contains(&format!("loss = \"{}\"", loss.name())));
        last_weights(&folder)
    });
    assert!((1..weights.len()).all(|n| weights[n] != weights[n - 1]));
}

#[test]
fn a_run_starts_from_the_weights_that_it_is_given() {
    let (data, runs) = (data(1), tempfile::tempdir().unwrap());
    let config = TrainConfig { steps: 1, ..tiny(StageName::Localizer) };
    let (first, second) = (runs.path().join("first"), runs.path().join("second"));
    run(&config, data.path(), &first).unwrap();
    let start = Some(first.join("last/weights.safetensors"));
    let config = TrainConfig { start, learning_rate: 1e-12, schedule: Schedule::Constant, ..config };
    run(&config, data.path(), &second).unwrap();
    let weights = |run: &Path| {
        let bytes = last_weights(run);
        hepar_model::weights::Weights::from_safetensors(config.network().unwrap(), &bytes).unwrap()
    };
    assert_eq!(weights(&first).get("conv9.conv.weight"), weights(&second).get("conv9.conv.weight"));
    let missing = TrainConfig { start: Some(runs.path().join("none")), ..config };
    assert!(matches!(run(&missing, data.path(), &runs.path().join("third")), Err(TrainError::Start { .. })));
}

#[test]
fn a_start_file_that_is_no_network_is_an_input_that_cannot_be_used() {
    let folder = tempfile::tempdir().unwrap();
    let start = folder.path().join("start.safetensors");
    std::fs::write(&start, "photographs").unwrap();
    let config = TrainConfig { start: Some(start.clone()), ..tiny(StageName::Liver) };
    let error = starting_weights(&config).unwrap_err();
    assert!(matches!(&error, TrainError::Start { path, source: StartError::Weights(_) } if *path == start), "{error}");
    std::fs::remove_file(&start).unwrap();
    let error = starting_weights(&config).unwrap_err();
    assert!(matches!(error, TrainError::Start { source: StartError::Read(_), .. }), "{error}");
}

#[test]
fn a_run_that_has_gone_further_than_it_should_now_finishes_where_it_is() {
    let (data, runs) = (data(4), tempfile::tempdir().unwrap());
    let config = TrainConfig { folds: 2, fold: Some(0), accumulate: 2, ..tiny(StageName::Localizer) };
    let stopped = run_until(&config, data.path(), runs.path(), |moment| moment == Moment::After(5)).unwrap();
    assert_eq!((stopped.step, stopped.finished), (5, false));
    let summary = run(&TrainConfig { steps: 3, ..config }, data.path(), runs.path()).unwrap();
    assert_eq!((summary.step, summary.finished), (5, true));
    assert!(summary.best_dice.is_some(), "it is validated there");
}

#[test]
fn cross_entropy_and_light_surroundings_train_a_tumour_network() {
    let (data, runs) = (data(1), tempfile::tempdir().unwrap());
    let plain = TrainConfig { steps: 2, schedule: Schedule::Constant, ..tiny(StageName::Tumour) };
    let config = TrainConfig { loss: Loss::DiceCrossEntropy, outside_liver: 0.1, ..plain.clone() };
    let (first, second) = (runs.path().join("first"), runs.path().join("second"));
    let summary = run(&config, data.path(), &first).unwrap();
    assert!(summary.finished && summary.smoothed_loss.unwrap() > 0.0);
    run(&plain, data.path(), &second).unwrap();
    assert!(last_weights(&first) != last_weights(&second));
    let error = run(&TrainConfig { outside_liver: 0.2, ..config }, data.path(), &first).unwrap_err();
    assert!(matches!(error, TrainError::OtherConfig { .. }), "{error}");
}

/// Takes note of what it is shown, and has had enough from a step on.
struct Noting {
    steps: std::sync::Mutex<Vec<(u64, Vec<String>)>>,
    enough: u64,
}

impl Observer for Noting {
    fn validated(&self, step: u64, views: &[View]) -> Result<(), String> {
        self.steps.lock().unwrap().push((step, views.iter().map(|view| view.case.clone()).collect()));
        if step >= self.enough { Err("enough".to_owned()) } else { Ok(()) }
    }
}

#[test]
fn an_observer_is_shown_every_validation_and_ends_a_run_behind_a_checkpoint() {
    let (data, runs) = (data(4), tempfile::tempdir().unwrap());
    for stage in [StageName::Localizer, StageName::Liver] {
        let config = TrainConfig { folds: 2, fold: Some(0), validate_every: 2, checkpoint_every: 100, ..tiny(stage) };
        let observer = Arc::new(Noting { steps: Default::default(), enough: 4 });
        let control = Control { observer: Some(Arc::clone(&observer) as Arc<dyn Observer>), ..quiet() };
        let run = runs.path().join(stage.as_str());
        let error = train(&config, &[data.path().to_owned()], &run, &control).unwrap_err();
        assert_eq!(error.to_string(), "enough");
        let steps = observer.steps.lock().unwrap();
        assert_eq!(steps.iter().map(|(step, _)| *step).collect::<Vec<_>>(), [2, 4]);
        assert!(!steps[0].1.is_empty() && steps[0].1 == steps[1].1, "{steps:?}");
        assert!(std::fs::read_to_string(run.join("last/state.json")).unwrap().contains("\"step\": 4"));
    }
}
