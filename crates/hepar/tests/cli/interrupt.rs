//! Ctrl-C and SIGTERM.

#![cfg(unix)]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::program::{Run, command, folder_with_scan, json, model, names, segment};
use crate::tiny_model;

/// Runs `hepar segment` with a model that would take minutes, and sends it a signal.
fn interrupted(folder: &Path, signal: &str, arguments: &[&str]) -> Run {
    let model = tempfile::tempdir().unwrap();
    tiny_model::write_with(model.path(), |stage| {
        if stage.patch[0] > 1 {
            (stage.grid, stage.overlap) = (hepar_model::stage::Grid::Spacing { mm: [2.0; 3] }, [0.95; 3]);
        }
    });
    let mut command = command(folder, &["segment", "--model"]);
    command.arg(model.path()).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    wait_until_it_listens(&child);
    // Into the stages, so that there is work to break off.
    std::thread::sleep(Duration::from_millis(500));
    interrupt(child, signal)
}

fn send(child: &Child, signal: &str) {
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
}

/// Sends a signal, and waits for what the program says.
fn interrupt(child: Child, signal: &str) -> Run {
    let started = Instant::now();
    send(&child, signal);
    let run = child.wait_with_output().unwrap().into();
    assert!(started.elapsed() < Duration::from_secs(20), "it stops soon");
    run
}

/// Waits until the program handles SIGINT and SIGTERM, as far as the system tells.
fn wait_until_it_listens(child: &Child) {
    const BOTH: u64 = 1 << 1 | 1 << 14;
    let listens = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"))?;
        Some(u64::from_str_radix(caught.trim(), 16).ok()? & BOTH == BOTH)
    };
    for _ in 0..200 {
        if listens() == Some(true) {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn an_interrupted_run_leaves_nothing() {
    let folder = folder_with_scan();
    let run = interrupted(folder.path(), "-INT", &["a_ct.nii.gz", "-o", "x/y/z"]).expect(130);
    assert_eq!((run.err.as_str(), run.out.as_str()), ("hepar: interrupted\n", ""));
    assert_eq!(names(folder.path()), ["a_ct.nii.gz", "a_label.nii.gz"]);
}

#[test]
fn a_terminated_run_leaves_nothing_as_an_interrupted_one() {
    let folder = folder_with_scan();
    let run = interrupted(folder.path(), "-TERM", &["a_ct.nii.gz", "-o", "x/y/z"]).expect(130);
    assert_eq!((run.err.as_str(), run.out.as_str()), ("hepar: interrupted\n", ""));
    assert_eq!(names(folder.path()), ["a_ct.nii.gz", "a_label.nii.gz"]);
}

#[test]
fn a_second_signal_ends_a_run_whose_read_blocks() {
    let folder = tempfile::tempdir().unwrap();
    let scan = folder.path().join("ct.nii.gz");
    assert!(Command::new("mkfifo").arg(&scan).status().unwrap().success());
    let mut command = command(folder.path(), &["segment", "ct.nii.gz", "--model"]);
    command.arg(model()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    wait_until_it_listens(&child);
    // Opens once the program opens it, which then reads what nobody ever writes.
    let _writer = std::fs::OpenOptions::new().write(true).open(&scan).unwrap();
    send(&child, "-INT");
    std::thread::sleep(Duration::from_secs(1));
    assert!(child.try_wait().unwrap().is_none(), "the read blocks");
    interrupt(child, "-INT").expect(130);
}

#[test]
fn an_interrupted_run_keeps_the_old_result() {
    let folder = folder_with_scan();
    segment(folder.path(), &["a_ct.nii.gz", "-o", "out"]).expect(0);
    let before = (names(&folder.path().join("out")), json(&folder.path().join("out/manifest.json")));
    interrupted(folder.path(), "-INT", &["a_ct.nii.gz", "-o", "out", "--force"]).expect(130);
    assert_eq!((names(&folder.path().join("out")), json(&folder.path().join("out/manifest.json"))), before);
}

#[test]
fn the_table_of_an_interrupted_cohort_says_which_scans_are_not_done() {
    let folder = folder_with_scan();
    std::fs::write(folder.path().join("broken.nii"), "no image").unwrap();
    segment(folder.path(), &["broken.nii", "a_ct.nii.gz", "-o", "out"]).expect(6);
    let text = |name: &str| std::fs::read_to_string(folder.path().join("out").join(name)).unwrap();
    let files = || ["cohort.csv", "cohort.html"].map(text);
    let earlier = files();
    // While the first scan is not done, all results are still those of the table.
    interrupted(folder.path(), "-INT", &["a_ct.nii.gz", "broken.nii", "-o", "out", "--force"]).expect(130);
    assert_eq!(files(), earlier);
    let run = interrupted(folder.path(), "-INT", &["broken.nii", "a_ct.nii.gz", "-o", "out", "--force"]).expect(130);
    assert!(run.err.contains("failed to read broken.nii") && run.err.ends_with("hepar: interrupted\n"), "{}", run.err);
    let [table, page] = files();
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[1].starts_with("broken,") && lines[1].contains("failed to read broken.nii"), "{table}");
    assert_eq!(lines[2], "a_ct,interrupted,,,,,,");
    assert!(page.contains("a_ct: interrupted"), "{page}");
}

#[test]
fn an_interrupted_training_is_saved_and_goes_on_with_the_same_command() {
    let folder = tempfile::tempdir().unwrap();
    // The smallest network on phantoms, which saves itself only when it is told to.
    let config = "widths = [4, 4, 4, 4, 4, 4]\npatch = [1, 64, 64]\nbatch = 2\nphantoms = 2\nphantom_share = 1.0\n\
                  checkpoint_every = 1000000\ngrid = { kind = \"resized-in-plane\", size = [64, 64] }\n";
    std::fs::write(folder.path().join("config.toml"), config).unwrap();
    let train = |steps: &str| {
        command(folder.path(), &["train", "localizer", "--config", "config.toml", "--run", "run", "--steps", steps])
    };
    let child = train("1000000").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let log = || std::fs::read_to_string(folder.path().join("run/log.csv")).unwrap_or_default();
    let state = folder.path().join("run/last/state.json");
    for _ in 0..3000 {
        if log().lines().count() > 1 {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(!state.exists(), "nothing is saved yet");
    let run = interrupt(child, "-INT").expect(130);
    let done = json(&state)["step"].as_u64().unwrap();
    assert!(done >= 10, "{done}");
    let said = [format!("{done} of 1000000 steps"), "stopped; the same command goes on".to_owned()];
    assert!(said.iter().all(|said| run.out.contains(said)), "{}", run.out);
    let steps = (done + 1).to_string();
    let run = Run::from(train(&steps).output().unwrap()).expect(0);
    assert!(run.out.contains(&format!("{steps} of {steps} steps")), "{}", run.out);
}
