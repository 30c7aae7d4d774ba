//! What a network in training finds in held-out cases, as pictures in the folder of its run.

use std::path::Path;
use std::{fs, io};

use hepar_report::page::TrainingPicture;
use hepar_report::{embedded_png, overlay};
use hepar_train::{VIEWS, VIEWS_INDEX, View};
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind};
use crate::output::{OutputError, write_file};

/// What a picture shows.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    /// Name of the file in the folder.
    file: String,
    /// Steps after which it was made.
    step: u64,
    case: String,
    dice: f64,
}

/// Writes the pictures of a validation after `step` steps into the folder `run`, in place of those of the one before.
///
/// # Errors
/// When a picture cannot be made or written.
pub(crate) fn write_views(run: &Path, step: u64, views: &[View]) -> Result<(), Error> {
    let folder = run.join(VIEWS);
    let mut index = Vec::new();
    for (number, View { case, dice, hu, truth, found }) in (1..).zip(views) {
        let file = format!("{number}.png");
        let path = folder.join(&file);
        let failed = |error| OutputError::new(&path, io::Error::other(error));
        let picture = overlay(hu.view(), truth.view(), found.view()).map_err(failed)?;
        write_file(&path, &picture.png().map_err(|error| failed(error.into()))?)?;
        index.push(Entry { file, step, case: case.clone(), dice: *dice });
    }
    let path = folder.join(VIEWS_INDEX);
    let text = serde_json::to_string_pretty(&index).map_err(|error| OutputError::new(&path, io::Error::from(error)))?;
    Ok(write_file(&path, text.as_bytes())?)
}

/// The pictures of the last validation in the folder `run`; none when there was no validation.
///
/// # Errors
/// When a file that is there cannot be read.
pub(crate) fn read_views(run: &Path) -> Result<Vec<TrainingPicture>, Error> {
    let folder = run.join(VIEWS);
    let path = folder.join(VIEWS_INDEX);
    let text = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        text => text.map_err(|source| input(&path, source))?,
    };
    let index: Vec<Entry> = serde_json::from_slice(&text).map_err(|source| input(&path, source.into()))?;
    index.into_iter().filter_map(|entry| picture(&folder, entry).transpose()).collect()
}

fn input(path: &Path, source: io::Error) -> ErrorKind {
    ErrorKind::Input { path: path.to_owned(), source }
}

/// The picture of an entry; `None` when somebody has removed it.
fn picture(folder: &Path, Entry { file, step, case, dice }: Entry) -> Result<Option<TrainingPicture>, Error> {
    let path = folder.join(file);
    let png = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        png => png.map_err(|source| input(&path, source))?,
    };
    let element = embedded_png(&png, &format!("A slice of {case} with the outlines of labels and findings"))
        .map_err(|source| input(&path, io::Error::other(source)))?;
    Ok(Some(TrainingPicture { element, caption: format!("{case}: Dice {dice:.3} after {step} steps") }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    #[test]
    fn the_pictures_of_a_validation_replace_those_before() {
        let run = tempfile::tempdir().unwrap();
        assert!(read_views(run.path()).unwrap().is_empty());
        let view = |case: &str| View {
            case: case.into(),
            dice: 0.875,
            hu: Array2::zeros((8, 8)),
            truth: Array2::zeros((8, 8)),
            found: Array2::ones((8, 8)),
        };
        write_views(run.path(), 10, &[view("a"), view("b")]).unwrap();
        write_views(run.path(), 20, &[view("c")]).unwrap();
        let pictures = read_views(run.path()).unwrap();
        assert_eq!(pictures.len(), 1);
        assert_eq!(pictures[0].caption, "c: Dice 0.875 after 20 steps");
        assert!(pictures[0].element.starts_with("<img src=\"data:image/png;base64,"));
        fs::write(run.path().join("validation/1.png"), "text").unwrap();
        assert!(read_views(run.path()).unwrap_err().to_string().contains("1.png"));
        fs::remove_file(run.path().join("validation/1.png")).unwrap();
        assert!(read_views(run.path()).unwrap().is_empty(), "a picture less is no reason for no page");
    }
}
