//! A model that can be run without further flags: `model.toml` and its weights.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::stage::{Stage, StageError, StageName, WeightsFile};
use crate::weights::{Weights, WeightsError};

/// Name of the card in a bundle's folder.
pub const CARD_FILE: &str = "model.toml";

/// The version of `model.toml` that this program reads and writes.
pub const SCHEMA: u32 = 1;

/// `model.toml`: what the model is, where it comes from, how good it is, and its stages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// Version of this layout; [`SCHEMA`].
    pub schema: u32,
    /// Name of the model.
    pub name: String,
    /// Version of the model.
    pub version: String,
    /// What it is, in a few sentences.
    pub description: String,
    /// Licence of the weights.
    pub licence: String,
    /// What it is not made for, and what it is known to do badly; nothing where nobody has said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<String>,
    /// What it was trained on.
    pub training: Training,
    /// How good it is.
    #[serde(default, rename = "score")]
    pub scores: Vec<Score>,
    /// Finds the liver's box.
    pub localizer: Stage,
    /// Segments the liver.
    pub liver: Stage,
    /// Segments tumours.
    pub tumour: Stage,
}

/// What cards of all versions have.
#[derive(Deserialize)]
struct Layout {
    schema: u32,
}

/// What a model was trained on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// Data sets and patients, stage by stage where they differ.
    pub data: String,
    /// Steps, batch, loss and whatever else is needed to judge the figures.
    pub method: String,
}

/// One figure of accuracy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Score {
    /// On which cases, and whether the model was trained on them.
    pub on: String,
    /// Which figure, e.g. `liver Dice`.
    pub metric: String,
    /// The figure.
    pub value: f64,
    /// Ends of its 95 % interval, where one was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<[f64; 2]>,
}

impl Score {
    /// The figure with three decimals and, in brackets, its interval.
    pub fn figure(&self) -> String {
        match self.interval {
            Some([low, high]) => format!("{:.3} ({low:.3}–{high:.3})", self.value),
            None => format!("{:.3}", self.value),
        }
    }
}

/// A card with the bytes of the weights it names.
///
/// Weights are checked against their hashes when the bundle is opened and decoded when a stage is asked for.
#[derive(Debug, Clone)]
pub struct Bundle {
    card: Card,
    files: BTreeMap<StageName, Vec<Vec<u8>>>,
}

/// Why a model could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("open the model {origin}")]
pub struct BundleError {
    origin: String,
    #[source]
    kind: BundleErrorKind,
}

/// What is wrong with a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleErrorKind {
    /// A file of the bundle cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The card is no valid `model.toml`.
    #[error("{CARD_FILE} is not understood: {0}")]
    Card(#[from] Box<toml::de::Error>),
    /// The card is of another version.
    #[error("{CARD_FILE} has schema {0}; this program reads schema {SCHEMA}")]
    Schema(u32),
    /// A stage's values make no sense.
    #[error("the {stage} stage is not usable: {source}")]
    Stage {
        /// The stage.
        stage: StageName,
        /// What is wrong with it.
        source: StageError,
    },
    /// The name of a weights file would lead out of the bundle's folder.
    #[error("the weights file {0:?} is not a plain file name")]
    FileName(String),
    /// A weights file is not the one that the card was written for.
    #[error("{file} has the SHA-256 {found}, {CARD_FILE} says {expected}. Is the copy complete?")]
    Hash {
        /// Name of the file.
        file: String,
        /// Its hash.
        found: String,
        /// The hash in the card.
        expected: String,
    },
    /// The weights do not fit the network.
    #[error("the weights of the {stage} stage do not fit: {source}")]
    Weights {
        /// The stage.
        stage: StageName,
        /// What is wrong with them.
        source: WeightsError,
    },
}

impl BundleError {
    /// What is wrong.
    pub fn kind(&self) -> &BundleErrorKind {
        &self.kind
    }
}

impl Bundle {
    /// Opens the bundle in a folder.
    ///
    /// # Errors
    /// When a file is missing or is not the one the card names, or the card is not understood.
    pub fn open(folder: &Path) -> Result<Self, BundleError> {
        let read = |name: &str| {
            let path = folder.join(name);
            std::fs::read(&path).map_err(|source| BundleErrorKind::Io { path, source })
        };
        let open = || {
            let card = read(CARD_FILE)?;
            Self::assemble(&String::from_utf8_lossy(&card), read)
        };
        open().map_err(|kind| BundleError { origin: folder.display().to_string(), kind })
    }

    /// A bundle whose files are in memory: the card's text and the weights by file name.
    ///
    /// # Errors
    /// As [`Bundle::open`].
    pub fn from_memory(card: &str, weights: &[(&str, &[u8])]) -> Result<Self, BundleError> {
        let read = |name: &str| match weights.iter().find(|(file, _)| *file == name) {
            Some((_, bytes)) => Ok(bytes.to_vec()),
            None => {
                let source = std::io::Error::from(std::io::ErrorKind::NotFound);
                Err(BundleErrorKind::Io { path: PathBuf::from(name), source })
            }
        };
        Self::assemble(card, read).map_err(|kind| BundleError { origin: "in memory".into(), kind })
    }

    fn assemble(card: &str, read: impl Fn(&str) -> Result<Vec<u8>, BundleErrorKind>) -> Result<Self, BundleErrorKind> {
        // A newer card may have keys that this program does not know.
        let Layout { schema } = toml::from_str(card).map_err(Box::new)?;
        if schema != SCHEMA {
            return Err(BundleErrorKind::Schema(schema));
        }
        let card: Card = toml::from_str(card).map_err(Box::new)?;
        let mut files = BTreeMap::new();
        for name in StageName::ALL {
            let stage = card.stage(name);
            stage.config().map_err(|source| BundleErrorKind::Stage { stage: name, source })?;
            let checked = stage.files().into_iter().map(|file| checked(file, &read));
            files.insert(name, checked.collect::<Result<_, _>>()?);
        }
        Ok(Self { card, files })
    }

    /// The card.
    pub fn card(&self) -> &Card {
        &self.card
    }

    /// Decodes the weights of a stage: of its own network, then of those of its ensemble.
    ///
    /// # Errors
    /// When they do not fit the stage's network.
    pub fn weights(&self, stage: StageName) -> Result<Vec<Weights>, BundleError> {
        let decode = || {
            let config = self.card.stage(stage).config().map_err(|source| BundleErrorKind::Stage { stage, source })?;
            let decoded = self.files[&stage].iter().map(|bytes| Weights::from_safetensors(config, bytes));
            decoded.collect::<Result<_, _>>().map_err(|source| BundleErrorKind::Weights { stage, source })
        };
        decode().map_err(|kind| BundleError { origin: self.card.name.clone(), kind })
    }

    /// The bytes of the files that hold a stage's weights, in the order of [`Stage::files`].
    pub fn weights_files(&self, stage: StageName) -> &[Vec<u8>] {
        &self.files[&stage]
    }

    /// SHA-256 over the stages as the card states them, the hashes of their weights included: one number for "the same
    /// model", which changes with whatever changes the labels that it makes.
    pub fn hash(&self) -> String {
        let text = |stage| {
            // A stage that was read from TOML can be written as TOML.
            toml::to_string(self.card.stage(stage)).unwrap_or_else(|error| unreachable!("{error}"))
        };
        sha256(StageName::ALL.map(text).concat().as_bytes())
    }
}

/// The bytes of a file of weights, if they are those that the card was written for.
fn checked(
    WeightsFile { weights: file, sha256: expected }: WeightsFile,
    read: impl Fn(&str) -> Result<Vec<u8>, BundleErrorKind>,
) -> Result<Vec<u8>, BundleErrorKind> {
    if Path::new(&file).file_name() != Some(file.as_ref()) {
        return Err(BundleErrorKind::FileName(file));
    }
    let bytes = read(&file)?;
    let found = sha256(&bytes);
    if found.eq_ignore_ascii_case(&expected) { Ok(bytes) } else { Err(BundleErrorKind::Hash { file, found, expected }) }
}

impl Card {
    /// One of the stages.
    pub fn stage(&self, name: StageName) -> &Stage {
        match name {
            StageName::Localizer => &self.localizer,
            StageName::Liver => &self.liver,
            StageName::Tumour => &self.tumour,
        }
    }
}

/// SHA-256 as 64 hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generated::generated;
    use crate::stage::{BoxMargin, Grid, Window};
    use crate::topology::{Dimensions, NetworkConfig};
    use crate::weights::Precision;

    fn stage(network: Dimensions, weights: &str, bytes: &[u8]) -> Stage {
        Stage {
            network,
            widths: [4, 4, 4, 4, 4, 4],
            weights: weights.into(),
            sha256: sha256(bytes),
            window: Window([-100.0, 200.0]),
            grid: Grid::Native,
            patch: if network == Dimensions::Planar { [1, 32, 32] } else { [32, 32, 32] },
            overlap: [0.0; 3],
            threshold: 0.5,
            least_volume_ml: 1.0,
            margin: BoxMargin { in_plane_voxels: 10, through_plane_mm: 20.0 },
            mirror: false,
            liver_hu: None,
            greatest_exposure: None,
            sheet: None,
            centred_votes: false,
            enclosed: false,
            ensemble: Vec::new(),
        }
    }

    fn bytes(network: Dimensions) -> Vec<u8> {
        let config = NetworkConfig::new(network, [4; 6]).unwrap();
        generated(config).to_safetensors(Precision::Full).unwrap()
    }

    fn card() -> Card {
        let (planar, spatial) = (bytes(Dimensions::Planar), bytes(Dimensions::Spatial));
        Card {
            schema: SCHEMA,
            name: "test".into(),
            version: "1".into(),
            description: "a test".into(),
            licence: "none".into(),
            limits: None,
            training: Training { data: "none".into(), method: "none".into() },
            scores: vec![Score {
                on: "nothing".into(),
                metric: "liver Dice".into(),
                value: 0.5,
                interval: Some([0.25, 0.625]),
            }],
            localizer: stage(Dimensions::Planar, "localizer.safetensors", &planar),
            liver: stage(Dimensions::Spatial, "liver.safetensors", &spatial),
            tumour: stage(Dimensions::Spatial, "liver.safetensors", &spatial),
        }
    }

    fn write(card: &Card, folder: &Path) {
        std::fs::write(folder.join(CARD_FILE), toml::to_string(card).unwrap()).unwrap();
        std::fs::write(folder.join("localizer.safetensors"), bytes(Dimensions::Planar)).unwrap();
        std::fs::write(folder.join("liver.safetensors"), bytes(Dimensions::Spatial)).unwrap();
    }

    fn error_of(card: &Card) -> String {
        let folder = tempfile::tempdir().unwrap();
        write(card, folder.path());
        Bundle::open(folder.path()).unwrap_err().kind().to_string()
    }

    #[test]
    fn a_written_bundle_opens_again() {
        let folder = tempfile::tempdir().unwrap();
        write(&card(), folder.path());
        let bundle = Bundle::open(folder.path()).unwrap();
        assert_eq!(bundle.card(), &card());
        assert!(bundle.weights(StageName::Tumour).is_ok());
        assert_eq!(bundle.hash().len(), 64);
    }

    #[test]
    fn the_files_of_an_ensemble_are_read_and_checked_like_the_first() {
        let mut card = card();
        let member = card.liver.files().remove(0);
        card.liver.ensemble = vec![member.clone()];
        let folder = tempfile::tempdir().unwrap();
        write(&card, folder.path());
        let bundle = Bundle::open(folder.path()).unwrap();
        assert_eq!([StageName::Liver, StageName::Tumour].map(|s| bundle.weights(s).unwrap().len()), [2, 1]);
        card.liver.ensemble = vec![WeightsFile { sha256: "0".repeat(64), ..member.clone() }];
        assert!(error_of(&card).contains("SHA-256"));
        card.liver.ensemble = vec![WeightsFile { weights: "../x".into(), ..member }];
        assert!(error_of(&card).contains("plain file name"));
    }

    #[test]
    fn a_bundle_that_cannot_work_is_refused_when_it_is_opened() {
        let broken = |change: fn(&mut Card)| {
            let mut card = card();
            change(&mut card);
            error_of(&card)
        };
        assert!(broken(|c| c.schema = 9).contains("schema 9"));
        assert!(broken(|c| c.liver.patch = [32, 33, 32]).contains("no multiple of 32"));
        assert!(broken(|c| c.liver.overlap = [1.0; 3]).contains("overlap"));
        assert!(broken(|c| c.tumour.window = Window([5.0, 5.0])).contains("window"));
        assert!(broken(|c| c.tumour.weights = "../x".into()).contains("plain file name"));
        assert!(broken(|c| c.tumour.sha256 = "0".repeat(64)).contains("SHA-256"));
        assert!(broken(|c| c.liver.weights = "gone.safetensors".into()).contains("gone.safetensors"));
    }

    #[test]
    fn a_patch_that_no_memory_has_room_for_is_refused() {
        let refused = |patch: [usize; 3]| {
            let mut card = card();
            card.liver.patch = patch;
            error_of(&card)
        };
        assert!(refused([32, 32, 8192]).contains("a side of more than 4096 voxels"));
        assert!(refused([32, 2048, 2048]).contains("more than 67108864 voxels"));
        let of_article = Stage { patch: [32, 224, 224], ..card().liver };
        assert!(of_article.config().is_ok());
    }

    #[test]
    fn a_card_of_a_newer_schema_is_called_so_whatever_else_it_has() {
        let folder = tempfile::tempdir().unwrap();
        write(&card(), folder.path());
        let newer = format!("schema = {}\nnovelty = true", SCHEMA + 1);
        let text = toml::to_string(&card()).unwrap().replace(&format!("schema = {SCHEMA}"), &newer);
        std::fs::write(folder.path().join(CARD_FILE), text).unwrap();
        let error = Bundle::open(folder.path()).unwrap_err();
        assert!(matches!(error.kind(), BundleErrorKind::Schema(schema) if *schema == SCHEMA + 1), "{}", error.kind());
    }

    #[test]
    fn an_unknown_key_in_the_card_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        write(&card(), folder.path());
        let text = toml::to_string(&card()).unwrap().replace("threshold = 0.5", "treshold = 0.5");
        std::fs::write(folder.path().join(CARD_FILE), text).unwrap();
        let error = Bundle::open(folder.path()).unwrap_err();
        assert!(error.kind().to_string().contains("treshold"), "{}", error.kind());
    }
}
