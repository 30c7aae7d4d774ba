//! DICOM series as they come: read into volumes, chosen, mended or refused.

mod choosing;
mod derived;
mod hostile;
mod reading;
mod real;
mod series;
mod syntaxes;
