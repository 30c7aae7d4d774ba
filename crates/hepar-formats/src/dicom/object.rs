//! Objects with their attributes, and short ways to ask for these.

use dicom_core::Tag;
use dicom_object::InMemDicomObject;

use crate::dicom::error::DicomError;
use crate::dicom::place::Place;
use crate::dicom::structure::{Meta, PixelElement, Structure};
use crate::dicom::syntax::Syntax;

/// An object up to its pixels.
pub(crate) struct Object {
    pub(crate) data: InMemDicomObject,
    pub(crate) meta: Meta,
    pub(crate) syntax: Syntax,
    pub(crate) pixels: Option<PixelElement>,
}

impl Object {
    /// Reads everything but the pixels.
    ///
    /// # Errors
    /// When it is no DICOM object, or its structure or its header is not sound.
    pub(crate) fn read(place: &Place) -> Result<Self, DicomError> {
        let Structure { syntax, meta, header, pixels } = Structure::read(place)?;
        let data = InMemDicomObject::read_dataset_with_ts(header.as_slice(), &syntax.of_data_set())
            .map_err(|error| DicomError::Header(one_line(&error)))?;
        Ok(Self { data, meta, syntax, pixels })
    }
}

/// An error and its causes without line breaks.
pub(crate) fn one_line(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Short ways to ask for attributes: what is missing, empty or senseless is `None`.
pub(crate) trait Attributes {
    /// The text of an attribute, without the blanks around it.
    fn text(&self, tag: Tag) -> Option<String>;
    /// The texts of an attribute with several values.
    fn texts(&self, tag: Tag) -> Vec<String>;
    /// A finite number.
    fn number(&self, tag: Tag) -> Option<f64>;
    /// As many finite numbers as are wanted.
    fn numbers<const N: usize>(&self, tag: Tag) -> Option<[f64; N]>;
    /// A whole number.
    fn whole(&self, tag: Tag) -> Option<i64>;
    /// A whole number from 0 to 65535.
    fn short(&self, tag: Tag) -> Option<u16>;
    /// The items of a sequence; none when it is missing.
    fn items(&self, tag: Tag) -> &[InMemDicomObject];
    /// The first item of a sequence.
    fn item(&self, tag: Tag) -> Option<&InMemDicomObject>;
}

impl Attributes for InMemDicomObject {
    fn text(&self, tag: Tag) -> Option<String> {
        let text = self.get(tag)?.to_str().ok()?;
        let text = text.trim_matches(['\0', ' ']);
        (!text.is_empty()).then(|| text.to_owned())
    }

    fn texts(&self, tag: Tag) -> Vec<String> {
        let values = self.get(tag).and_then(|element| element.value().to_multi_str().ok().map(|v| v.into_owned()));
        values.unwrap_or_default().iter().map(|text| text.trim_matches(['\0', ' ']).to_owned()).collect()
    }

    fn number(&self, tag: Tag) -> Option<f64> {
        self.get(tag)?.to_float64().ok().filter(|number| number.is_finite())
    }

    fn numbers<const N: usize>(&self, tag: Tag) -> Option<[f64; N]> {
        let numbers = self.get(tag)?.to_multi_float64().ok()?;
        let numbers: [f64; N] = numbers.get(..N)?.try_into().ok()?;
        numbers.iter().all(|number| number.is_finite()).then_some(numbers)
    }

    fn whole(&self, tag: Tag) -> Option<i64> {
        self.get(tag)?.to_int::<i64>().ok()
    }

    fn short(&self, tag: Tag) -> Option<u16> {
        self.whole(tag).and_then(|number| u16::try_from(number).ok())
    }

    fn items(&self, tag: Tag) -> &[InMemDicomObject] {
        self.get(tag).and_then(|element| element.items()).unwrap_or_default()
    }

    fn item(&self, tag: Tag) -> Option<&InMemDicomObject> {
        self.items(tag).first()
    }
}
