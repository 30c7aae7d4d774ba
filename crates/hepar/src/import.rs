//! A model's folder from weights that Keras saved.

use std::path::{Path, PathBuf};

use hepar_interchange::keras::{KerasError, read_weights};
use hepar_model::bundle::{Bundle, CARD_FILE, Card, SCHEMA, Training, sha256};
use hepar_model::stage::{Stage, StageName};
use hepar_model::topology::Dimensions;
use hepar_model::weights::Precision;
use hepar_train::TrainConfig;

use crate::assemble::{StageFiles, write_bundle};
use crate::embedded::open_model;
use crate::error::{Error, ErrorKind};

/// The files that Keras saved, by the stage whose network they hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KerasFiles {
    /// RA-UNet-I of the localizer.
    pub localizer: Option<PathBuf>,
    /// RA-UNet-II of the liver stage.
    pub liver: Option<PathBuf>,
    /// RA-UNet-II of the tumour stage.
    pub tumour: Option<PathBuf>,
}

/// Why a file gives no network of a stage.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The file holds no weights of RA-UNet.
    #[error("import {}", path.display())]
    Keras {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: KerasError,
    },
    /// The file holds a network of slices where one of volumes is needed, or the other way round.
    #[error(
        "import {} as the {stage} network: it holds {}, {} is needed",
        path.display(), named(*found), named(*needed)
    )]
    Dimensions {
        /// The file.
        path: PathBuf,
        /// The stage.
        stage: StageName,
        /// Dimensions of the file's network.
        found: Dimensions,
        /// Dimensions of the stage's network.
        needed: Dimensions,
    },
}

/// Puts a model together in `folder` from what Keras saved, and opens it; stages without a file are those of the
/// model in the folder `base`, or in the binary.
///
/// An imported stage has the article's settings (window, grid, patch, overlap, threshold), since nothing in the file
/// tells them, and its weights are stored whole. Files that are there already are not overwritten. See
/// [`hepar_interchange::keras`] for what is read and how its axes are understood.
///
/// # Errors
/// When a file cannot be read or holds no network of its stage, or the model cannot be written.
pub fn import_keras(files: &KerasFiles, base: Option<&Path>, folder: &Path) -> Result<Bundle, Error> {
    let needs_base = StageName::ALL.iter().any(|stage| files.of(*stage).is_none());
    let base = if needs_base { Some(open_model(base)?) } else { None };
    let stage = |name: StageName| match (files.of(name), &base) {
        (Some(path), _) => imported(name, path),
        (None, Some(base)) => Ok(taken(name, base)),
        (None, None) => unreachable!("the {name} has no file, so that there is a base"),
    };
    let stages = [stage(StageName::Localizer)?, stage(StageName::Liver)?, stage(StageName::Tumour)?];
    let card = files.card(base.as_ref(), stages.each_ref().map(|files| files.stage.clone()));
    let text = toml::to_string(&card)
        .map_err(|error| ErrorKind::Card { path: folder.join(CARD_FILE), problem: error.to_string() })?;
    write_bundle(&text, &stages, folder)
}

impl KerasFiles {
    fn of(&self, stage: StageName) -> Option<&Path> {
        match stage {
            StageName::Localizer => self.localizer.as_deref(),
            StageName::Liver => self.liver.as_deref(),
            StageName::Tumour => self.tumour.as_deref(),
        }
    }

    /// A card that says of each stage where it comes from.
    fn card(&self, base: Option<&Bundle>, [localizer, liver, tumour]: [Stage; 3]) -> Card {
        let (mut imported, mut taken) = (Vec::new(), Vec::new());
        for stage in StageName::ALL {
            match self.of(stage).and_then(Path::file_name) {
                Some(file) => imported.push(format!("{stage} from {}", file.display())),
                None => taken.push(stage.as_str()),
            }
        }
        let about = |text: &str, of_base: fn(&Card) -> &str| {
            let base = base.map(Bundle::card);
            let base = base.map(|c| format!(" {} ({} {}): {}", taken.join(", "), c.name, c.version, of_base(c)));
            format!("{}: {text}.{}", imported.join(", "), base.unwrap_or_default())
        };
        Card {
            schema: SCHEMA,
            name: "keras-import".into(),
            version: "1".into(),
            description: about("weights that Keras saved, with the article's settings", |base| &base.description),
            licence: about("whatever the weights' owner says", |base| &base.licence),
            limits: Some(about("not known", |base| base.limits.as_deref().unwrap_or("not known"))),
            training: Training {
                data: about("not known", |base| &base.training.data),
                method: about("not known", |base| &base.training.method),
            },
            scores: Vec::new(),
            localizer,
            liver,
            tumour,
        }
    }
}

/// The stage whose network is in the file `path`.
fn imported(name: StageName, path: &Path) -> Result<StageFiles, Error> {
    let bytes = std::fs::read(path).map_err(|source| ErrorKind::Input { path: path.to_owned(), source })?;
    let keras = |source| ImportError::Keras { path: path.to_owned(), source };
    let weights = read_weights(bytes).map_err(keras)?;
    let settings = TrainConfig::article(name);
    let (found, needed) = (weights.config().dimensions, settings.dimensions());
    if found != needed {
        return Err(ImportError::Dimensions { path: path.to_owned(), stage: name, found, needed }.into());
    }
    let bytes = weights.to_safetensors(Precision::Full).map_err(|error| keras(error.into()))?;
    let stage = Stage { widths: weights.config().widths, ..settings.stage_table("", &sha256(&bytes)) };
    Ok(StageFiles::named(name, stage, vec![bytes]))
}

/// The stage of a model as it is, but for its files' names.
fn taken(name: StageName, base: &Bundle) -> StageFiles {
    StageFiles::named(name, base.card().stage(name).clone(), base.weights_files(name).to_vec())
}

fn named(dimensions: Dimensions) -> &'static str {
    match dimensions {
        Dimensions::Planar => "RA-UNet-I (slices)",
        Dimensions::Spatial => "RA-UNet-II (volumes)",
    }
}
