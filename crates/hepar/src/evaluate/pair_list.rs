//! A CSV file that names the pairs.

use std::collections::BTreeMap;
use std::path::Path;

use crate::evaluate::pairs::{Pair, Pairing, result_file};
use crate::evaluate::{EvaluateError, csv};

/// Reads the pairs of a CSV file with the columns `name` (or `case`), `prediction` and `reference` in any order; others
/// are passed over. Paths are relative to the file's folder.
///
/// # Errors
/// When the file cannot be read, lacks a column, has no case, or has two of one name.
pub fn read_pairs(path: &Path) -> Result<Pairing, EvaluateError> {
    let failed = |problem: String| EvaluateError::List { path: path.to_owned(), problem };
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    let mut lines = csv::parse(text.trim_start_matches('\u{feff}')).map_err(failed)?.into_iter();
    let header = lines.next().unwrap_or_default();
    let column = |names: &[&str]| {
        let found = header.iter().position(|title| names.contains(&title.trim().to_ascii_lowercase().as_str()));
        found.ok_or_else(|| failed(format!("its first line has no column {}", names.join(" or "))))
    };
    let (name, prediction, reference) = (column(&["name", "case"])?, column(&["prediction"])?, column(&["reference"])?);
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut pairs: Vec<Pair> = Vec::new();
    let mut seen = BTreeMap::new();
    for (n, line) in lines.enumerate() {
        let field = |column: usize| {
            let field = line.get(column).map(|field| field.trim()).filter(|field| !field.is_empty());
            field.ok_or_else(|| failed(format!("case {} has no {}", n + 1, header[column])))
        };
        let file = |column| field(column).map(|file| result_file(&folder.join(file)));
        let pair = Pair { case: field(name)?.to_owned(), prediction: file(prediction)?, reference: file(reference)? };
        if let Some(first) = seen.insert(pair.case.clone(), pair.prediction.clone()) {
            return Err(EvaluateError::Ambiguous { case: pair.case, first, second: pair.prediction });
        }
        pairs.push(pair);
    }
    if pairs.is_empty() {
        return Err(failed("it names no case".to_owned()));
    }
    Ok(Pairing { pairs, unpaired: Vec::new(), single: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Pairing, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pairs.csv");
        std::fs::write(&path, text).unwrap();
        read_pairs(&path).map_err(|error| error.to_string())
    }

    #[test]
    fn columns_stand_in_any_order_and_paths_beside_the_list() {
        let pairing = read("reference,note,name,prediction\r\n/r/a.nii,x,\"a, b\",p/a.nii\r\n").unwrap();
        let pair = &pairing.pairs[0];
        assert_eq!((pair.case.as_str(), pair.reference.to_str()), ("a, b", Some("/r/a.nii")));
        assert!(pair.prediction.is_absolute() && pair.prediction.ends_with("p/a.nii"));
    }

    #[test]
    fn what_is_wrong_with_a_list_is_said() {
        assert!(read("name,prediction\na,b\n").unwrap_err().contains("no column reference"));
        assert!(read("name,prediction,reference\n").unwrap_err().contains("names no case"));
        assert!(read("name,prediction,reference\na,b\n").unwrap_err().contains("case 1 has no reference"));
        assert!(read("name,prediction,reference\na,b,c\na,d,e\n").unwrap_err().contains("both of case a"));
    }
}
