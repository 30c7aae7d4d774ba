//! `hepar demo`.

use crate::program::{Run, command, model, names};

fn demo(folder: &std::path::Path, arguments: &[&str]) -> Run {
    command(folder, &["demo", "--model"]).arg(model()).args(arguments).output().unwrap().into()
}

#[test]
fn a_demonstration_says_how_good_the_result_is_and_can_be_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let run = demo(folder.path(), &[]).expect(0);
    for part in ["liver Dice", "tumour Dice", "tumours found", "preview.png", "seconds"] {
        assert!(run.out.contains(part), "no {part:?} in: {}", run.out);
    }
    let seed = "phantom-1";
    let out = folder.path().join("demo-hepar");
    let files = [format!("{seed}-hepar"), format!("{seed}_ct.nii.gz"), format!("{seed}_label.nii.gz")];
    assert_eq!(names(&out), files);
    let preview = out.join(&files[0]).join("preview.png");
    assert!(preview.is_file());
    let run = demo(folder.path(), &["--seeds", "2", "-q"]).expect(0);
    assert!(run.out.contains(" 2 ") && run.out.contains("mean"), "{}", run.out);
    assert_eq!(names(&out).len(), 6);
}

#[test]
fn seeds_beyond_the_greatest_are_refused_not_left_out_of_the_mean() {
    let folder = tempfile::tempdir().unwrap();
    let greatest = u64::MAX.to_string();
    demo(folder.path(), &["--seed", &greatest, "--seeds", "2"]).fails(2, &["take 1 seeds after", "the greatest seed"]);
    assert!(names(folder.path()).is_empty());
}
