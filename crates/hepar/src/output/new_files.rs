//! New files that belong together, as those of a model.

use std::fs;
use std::io::Write;
use std::path::Path;

use hepar_formats::write_atomically;

use crate::output::folder::staging_folder;
use crate::output::{OutputError, make_parent, nearest_folder, plan_new_file};

/// Writes files of these names and bytes into `folder`, none of which may be there yet: all of them, or none.
///
/// They are made beside their place. A folder that was not there appears with all files in it; into one that was, they are
/// moved in their order, so that where the last one is, all are.
///
/// # Errors
/// When a file is there already, or the system refuses.
pub(crate) fn write_new_files(folder: &Path, files: &[(&str, &[u8])]) -> Result<(), OutputError> {
    files.iter().try_for_each(|(name, _)| plan_new_file(&folder.join(name)))?;
    let beside = if folder.is_dir() { folder.to_owned() } else { nearest_folder(folder) };
    let staging = staging_folder(&beside).map_err(|error| OutputError::new(folder, error))?;
    for (name, bytes) in files {
        let made = write_atomically(&staging.path().join(name), |file| file.write_all(bytes));
        made.map_err(|error| OutputError::new(&folder.join(name), error))?;
    }
    if !folder.exists() {
        make_parent(folder)?;
        fs::rename(staging.path(), folder).map_err(|error| OutputError::new(folder, error))?;
        // It is no temporary folder any more.
        let _ = staging.keep();
        return Ok(());
    }
    files.iter().try_for_each(|(name, _)| {
        let path = folder.join(name);
        fs::rename(staging.path().join(name), &path).map_err(|error| OutputError::new(&path, error))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn files_appear_together_and_replace_none() {
        let root = tempfile::tempdir().unwrap();
        let files: [(&str, &[u8]); 2] = [("weights", b"numbers"), ("card", b"text")];
        let (new, old) = (root.path().join("a/new"), root.path().join("old"));
        fs::create_dir(&old).unwrap();
        fs::write(old.join("notes"), "mine").unwrap();
        for folder in [&new, &old] {
            write_new_files(folder, &files).unwrap();
            assert_eq!(fs::read(folder.join("weights")).unwrap(), b"numbers");
            let again = write_new_files(folder, &files).unwrap_err();
            assert!(again.kind().to_string().contains("it exists"));
        }
        assert_eq!(names(&new), ["card", "weights"]);
        assert_eq!(names(&old), ["card", "notes", "weights"]);
        assert_eq!(names(root.path()), ["a", "old"]);
    }

    #[test]
    fn of_files_that_cannot_all_be_written_none_is_left() {
        let root = tempfile::tempdir().unwrap();
        // The second one's folder is not there.
        let files: [(&str, &[u8]); 2] = [("weights", b"numbers"), ("no/card", b"text")];
        let (new, old) = (root.path().join("new"), root.path().join("old"));
        fs::create_dir(&old).unwrap();
        for folder in [&new, &old] {
            let error = write_new_files(folder, &files).unwrap_err();
            assert!(error.to_string().contains(&folder.join("no/card").display().to_string()), "{error}");
        }
        assert_eq!(names(root.path()), ["old"]);
        assert!(names(&old).is_empty());
    }
}
