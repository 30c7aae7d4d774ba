use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use sha2::{Digest, Sha256};

/// Bytes that are read at once.
const CHUNK: usize = 1 << 17;

/// SHA-256 of a file's bytes as 64 hexadecimal digits; the file is never in memory as a whole.
pub(crate) fn sha256_of_file(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        match file.read(&mut chunk) {
            Ok(0) => return Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
            Ok(read) => hasher.update(&chunk[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// One hash for several files in their order: SHA-256 of the hashes of their bytes, each as 64 digits; of one file that of
/// its bytes.
pub(crate) fn sha256_of_files(paths: &[PathBuf]) -> io::Result<String> {
    if let [path] = paths {
        return sha256_of_file(path);
    }
    let hashes: Vec<String> = paths.par_iter().map(|path| sha256_of_file(path)).collect::<io::Result<_>>()?;
    Ok(Sha256::digest(hashes.concat()).iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hepar_model::bundle::sha256;

    #[test]
    fn a_file_has_the_hash_of_its_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bytes");
        let bytes: Vec<u8> = (0..2 * CHUNK + 5).map(|n| (n % 251) as u8).collect();
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(sha256_of_file(&path).unwrap(), sha256(&bytes));
    }

    #[test]
    fn several_files_have_one_hash_that_depends_on_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["a", "b"].map(|name| folder.path().join(name));
        paths.iter().for_each(|path| std::fs::write(path, path.as_os_str().as_encoded_bytes()).unwrap());
        let hash = sha256_of_files(&paths).unwrap();
        assert_eq!(hash.len(), 64);
        assert_ne!(hash, sha256_of_files(&[paths[1].clone(), paths[0].clone()]).unwrap());
    }
}
