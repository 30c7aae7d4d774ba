//! The layers with weights in a file, whichever layout Keras gave it.

use std::collections::BTreeMap;

use hdf5_reader::error::Error;
use hdf5_reader::group::Group;
use hdf5_reader::{Attribute, Dataset, Hdf5File, OpenOptions};
use hepar_model::tensors::Role;

use super::KerasError;

/// The most bytes that one array may have; the article's largest, of res5, has 1.8 MB.
const MOST_BYTES: usize = 1 << 28;

/// The most groups that are looked at; a file of the article's network has about 1,500.
const MOST_GROUPS: usize = 20_000;

/// How deep groups may lie in each other.
const DEEPEST: usize = 8;

/// Groups at the top that hold what is no layer's weights: the optimiser's copies of them, above all.
const ASIDE: [&str; 4] = ["optimizer_weights", "optimizer", "training", "top_level_model_weights"];

/// Which layers have weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Convolution,
    Normalisation,
}

/// A layer and its arrays.
pub(super) struct Layer {
    /// Keras' name of it.
    pub name: String,
    /// Its arrays, not read yet.
    pub arrays: BTreeMap<&'static str, Dataset>,
}

/// Layers of one kind by the number at the end of their names: the order in which they were made.
pub(super) type Layers = BTreeMap<u64, Layer>;

/// The convolutions and the batch normalisations of a file.
pub(super) fn read_layers(bytes: Vec<u8>) -> Result<[Layers; 2], KerasError> {
    let file = Hdf5File::from_vec_with_options(bytes, OpenOptions::default().with_max_read_bytes(MOST_BYTES));
    let root = file.and_then(|file| file.root_group()).map_err(broken)?;
    let mut walk = Walk { layers: [Layers::new(), Layers::new()], groups: 0 };
    // A whole model has its weights in a group of their own.
    match root.group("model_weights") {
        Ok(weights) => walk.visit(&weights, None, 0)?,
        Err(Error::GroupNotFound(_)) => walk.visit(&root, None, 0)?,
        Err(error) => return Err(broken(error)),
    }
    Ok(walk.layers)
}

/// What Keras calls the weight with this role.
pub(super) fn part_of(role: Role) -> &'static str {
    match role {
        Role::Kernel => "kernel",
        Role::Bias => "bias",
        Role::Gamma => "gamma",
        Role::Beta => "beta",
        Role::Mean => "moving_mean",
        Role::Variance => "moving_variance",
    }
}

pub(super) fn broken(error: Error) -> KerasError {
    match error {
        Error::InvalidMagic => KerasError::NotHdf5,
        error => KerasError::Broken(error.to_string()),
    }
}

impl Layer {
    /// One of the layer's arrays, by Keras' name of it.
    pub fn array(&self, part: &'static str) -> Result<&Dataset, KerasError> {
        self.arrays.get(part).ok_or_else(|| KerasError::Missing { layer: self.name.clone(), part })
    }
}

struct Walk {
    layers: [Layers; 2],
    groups: usize,
}

impl Walk {
    /// Collects the arrays in `group`, which belongs to the layer `layer` if it is in one already.
    fn visit(&mut self, group: &Group, layer: Option<(Kind, u64, String)>, depth: usize) -> Result<(), KerasError> {
        self.groups += 1;
        if depth > DEEPEST || self.groups > MOST_GROUPS {
            return Err(KerasError::Broken("its groups lie in each other without end".into()));
        }
        let (groups, datasets) = group.members().map_err(broken)?;
        if let Some((kind, number, name)) = &layer {
            for dataset in datasets {
                if let Some(part) = part_of_array(*kind, dataset.name()) {
                    self.add(*kind, *number, name, part, dataset)?;
                }
            }
        }
        for child in groups.iter().filter(|child| depth > 0 || !ASIDE.contains(&child.name())) {
            // The outermost name counts: in it, Keras may have called the weights after yet another layer.
            let of_child = match &layer {
                Some(layer) => Some(layer.clone()),
                None => layer_of(child)?,
            };
            self.visit(child, of_child, depth + 1)?;
        }
        Ok(())
    }

    fn add(
        &mut self,
        kind: Kind,
        number: u64,
        name: &str,
        part: &'static str,
        array: Dataset,
    ) -> Result<(), KerasError> {
        let layers = &mut self.layers[kind as usize];
        let layer = layers.entry(number).or_insert_with(|| Layer { name: name.to_owned(), arrays: BTreeMap::new() });
        match layer.arrays.insert(part, array) {
            None => Ok(()),
            Some(_) => Err(KerasError::Twice { layer: name.to_owned(), part }),
        }
    }
}

/// Which layer a group is, if it is one that has weights.
///
/// Today's `.weights.h5` numbers its groups in another order than that in which layers were made; the layer's name is
/// an attribute of the group `vars` in them.
fn layer_of(group: &Group) -> Result<Option<(Kind, u64, String)>, KerasError> {
    let Some((kind, number)) = parse(group.name()) else { return Ok(None) };
    let name = match group.group("vars") {
        Err(Error::GroupNotFound(_)) => return Ok(Some((kind, number, group.name().to_owned()))),
        Err(error) => return Err(broken(error)),
        Ok(vars) => match vars.attribute("name").as_ref().map(Attribute::read_string) {
            Ok(name) => name.map_err(broken)?,
            Err(_) => return Err(KerasError::NoNames),
        },
    };
    Ok(parse(&name).map(|(kind, number)| (kind, number, name)))
}

/// The kind and the number in a layer's name: `conv3d_12`, or `conv3d` for 0.
fn parse(name: &str) -> Option<(Kind, u64)> {
    const NAMES: [(&str, Kind); 3] =
        [("conv2d", Kind::Convolution), ("conv3d", Kind::Convolution), ("batch_normalization", Kind::Normalisation)];
    NAMES.iter().find_map(|(base, kind)| match name.strip_prefix(base)? {
        "" => Some((*kind, 0)),
        rest => Some((*kind, rest.strip_prefix('_')?.parse().ok()?)),
    })
}

/// Which weight an array is, by its name: `kernel:0`, `kernel`, or its number in today's `.weights.h5`.
fn part_of_array(kind: Kind, name: &str) -> Option<&'static str> {
    let parts: &[&'static str] = match kind {
        Kind::Convolution => &["kernel", "bias"],
        Kind::Normalisation => &["gamma", "beta", "moving_mean", "moving_variance"],
    };
    let name = name.strip_suffix(":0").unwrap_or(name);
    match name.parse::<usize>() {
        Ok(number) => parts.get(number).copied(),
        Err(_) => parts.iter().find(|part| **part == name).copied(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_known_by_kind_and_number() {
        assert_eq!(parse("conv3d"), Some((Kind::Convolution, 0)));
        assert_eq!(parse("conv2d_10"), Some((Kind::Convolution, 10)));
        assert_eq!(parse("batch_normalization_158"), Some((Kind::Normalisation, 158)));
        for other in ["conv3d_transpose", "conv3d_", "conv2dx", "conv3d_99999999999999999999", "atten1", "activation_3"]
        {
            assert_eq!(parse(other), None, "{other}");
        }
    }

    #[test]
    fn arrays_are_known_by_name_or_number() {
        assert_eq!(part_of_array(Kind::Convolution, "kernel:0"), Some("kernel"));
        assert_eq!(part_of_array(Kind::Convolution, "1"), Some("bias"));
        assert_eq!(part_of_array(Kind::Normalisation, "moving_variance"), Some("moving_variance"));
        assert_eq!(part_of_array(Kind::Normalisation, "3"), Some("moving_variance"));
        assert_eq!(part_of_array(Kind::Normalisation, "kernel:0"), None);
        assert_eq!(part_of_array(Kind::Convolution, "2"), None);
    }
}
