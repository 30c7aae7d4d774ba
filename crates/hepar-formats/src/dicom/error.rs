use std::fmt;
use std::path::PathBuf;

/// An element's tag, as `(0028,0010)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ElementTag(
    /// Group.
    pub u16,
    /// Element.
    pub u16,
);

impl fmt::Display for ElementTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({:04x},{:04x})", self.0, self.1)
    }
}

/// What is wrong with DICOM files.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DicomError {
    /// The bytes are no DICOM file.
    #[error("it is no DICOM file")]
    NotDicom,
    /// An element reaches beyond what surrounds it.
    #[error("element {tag} claims {claimed} bytes where {held} are left. Is the copy complete?")]
    Truncated {
        /// The element.
        tag: ElementTag,
        /// Its length.
        claimed: u64,
        /// What is left.
        held: u64,
    },
    /// The file ends where an element should begin.
    #[error("it ends after {0} bytes, within an element. Is the copy complete?")]
    Ends(u64),
    /// Sequences in sequences in sequences.
    #[error("its sequences are nested more than {0} deep, which no DICOM object needs")]
    Nesting(usize),
    /// More elements than any object has.
    #[error("its header has more than {0} elements, which no DICOM object needs")]
    Elements(usize),
    /// The bytes follow no rule of DICOM.
    #[error("at byte {at}, {problem}")]
    Malformed {
        /// Where.
        at: u64,
        /// What.
        problem: &'static str,
    },
    /// The header could not be parsed.
    #[error("its header cannot be read: {0}")]
    Header(String),
    /// The series that could be taken show several patients.
    #[error("it holds series of {0} patients. Name the folder of one study, or with --series the UID of one series")]
    SeveralPatients(usize),
    /// The transfer syntax has no decoder here.
    #[error("its transfer syntax {name} is not decoded{hint}")]
    TransferSyntax {
        /// Name or UID.
        name: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// An attribute that is needed is missing or senseless.
    #[error("{name} {tag} {problem}")]
    Attribute {
        /// The attribute.
        tag: ElementTag,
        /// Its name.
        name: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The compressed pixels cannot be decoded.
    #[error("frame {frame} cannot be decoded: {reason}")]
    Pixels {
        /// Number of the frame from 1.
        frame: u32,
        /// Why.
        reason: String,
    },
    /// The object is none of those that are read.
    #[error("it is {what}, where {wanted} is needed")]
    OtherObject {
        /// What it is.
        what: String,
        /// What is needed.
        wanted: &'static str,
    },
    /// A folder or an archive without DICOM files.
    #[error("{}", match files {
        0 => "it holds no files".to_owned(),
        1 => "it holds no DICOM files, but a file of another kind: name that one".to_owned(),
        files => format!("it holds no DICOM files, but {files} files of other kinds: name one of them"),
    })]
    NoFiles {
        /// How many files there are.
        files: usize,
    },
    /// Nothing that can be segmented.
    #[error("it holds no CT series that can be segmented: {0}")]
    NoSeries(String),
    /// The series that was asked for is not there.
    #[error("it has no series {wanted}; it has {}", found.join(", "))]
    OtherSeries {
        /// What was asked for.
        wanted: String,
        /// What there is.
        found: Vec<String>,
    },
    /// The slices make no volume.
    #[error("series {series}: {problem}")]
    Stack {
        /// Number or UID of the series.
        series: String,
        /// What is wrong with it.
        problem: StackProblem,
    },
    /// A file of a series is at fault.
    #[error("{file}: {source}")]
    File {
        /// The file.
        file: String,
        /// What is wrong with it.
        source: Box<DicomError>,
    },
    /// More than this program takes.
    #[error("{0}")]
    Limit(String),
    /// An archive that cannot be read.
    #[error("the zip archive cannot be read: {0}")]
    Archive(String),
    /// Contours without a grid to draw them on.
    #[error(
        "contours say nothing about voxels: the CT that they were drawn on is needed. It was not found beside the file"
    )]
    NoGrid,
    /// The frames of an object do not lie on the grid that is asked for.
    #[error("{0}")]
    OtherGrid(String),
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// What was read.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
}

/// Why slices make no volume; lengths in millimetres.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StackProblem {
    /// Two different images at one place.
    #[error(
        "{count} slices lie where another one lies (the first at {at:.2} mm along the normal) and differ from it; \
        they are several scans in one series"
    )]
    Doubled {
        /// How many.
        count: usize,
        /// Position along the normal of the first.
        at: f64,
    },
    /// A hole that is too wide to be filled.
    #[error(
        "slices are missing: neighbours are {gap:.2} mm apart at {at:.2} mm along the normal, where {spacing:.2} mm \
        is usual. Was the series sent completely?"
    )]
    Gap {
        /// Width of the gap.
        gap: f64,
        /// Position along the normal of its beginning.
        at: f64,
        /// The usual distance.
        spacing: f64,
    },
    /// Slices that are beside, not behind one another.
    #[error("its slices do not lie behind one another: they are shifted by up to {by:.2} mm in the plane")]
    Shifted {
        /// By how much.
        by: f64,
    },
    /// One slice that does not say how thick it is.
    #[error("its only slice does not say how thick it is")]
    NoThickness,
    /// With `strict`, what would have been mended.
    #[error("{0}. Without --strict it would be mended and reported")]
    Strict(String),
    /// The grid is none.
    #[error("{0}")]
    Grid(String),
}

impl DicomError {
    /// The error of an attribute.
    pub(crate) fn attribute(tag: dicom_core::Tag, name: &'static str, problem: impl Into<String>) -> Self {
        Self::Attribute { tag: ElementTag(tag.0, tag.1), name, problem: problem.into() }
    }

    /// The same error, of a file among others.
    pub(crate) fn of_file(self, file: impl fmt::Display) -> Self {
        Self::File { file: file.to_string(), source: Box::new(self) }
    }
}
