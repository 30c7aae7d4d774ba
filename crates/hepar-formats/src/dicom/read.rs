//! A series as a volume.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use dicom_dictionary_std::tags;
use hepar_volume::{Geometry, Volume};
use ndarray::Array3;
use rayon::prelude::*;

use crate::datatype::Datatype;
use crate::dicom::catalogue::{Catalogue, Series, SliceOf};
use crate::dicom::choice::{SeriesInfo, Verdict, chosen, is_called, judge};
use crate::dicom::codec::FrameShape;
use crate::dicom::error::{DicomError, StackProblem};
use crate::dicom::hounsfield::{AIR, Table, odd_padding};
use crate::dicom::instance::Samples;
use crate::dicom::ircad::Patient;
use crate::dicom::object::{Attributes, Object};
use crate::dicom::pixels::{PixelReader, Room};
use crate::dicom::place::Place;
use crate::dicom::slices::Slices;
use crate::dicom::source::{DicomSource, SourceFrame};
use crate::dicom::stack::{GridSlice, Placed, Stack, at_one_place, stack};
use crate::error::ReadErrorKind;
use crate::grid::GridHeader;
use crate::image::{HeaderInfo, Scan, ScanOptions};
use crate::survey::Survey;
use crate::warning::Warning;

/// The series in a file, a folder or an archive, with what would become of each.
pub(crate) fn list(path: &Path, options: &ScanOptions) -> Result<(Vec<SeriesInfo>, Vec<Warning>), ReadErrorKind> {
    let patient = Patient::at(path);
    let catalogue = Catalogue::read(patient.as_ref().map_or(path, |patient| &patient.scan))?;
    let wanted = options.series.as_deref();
    let mut infos = judge(&catalogue, wanted);
    if patients(&catalogue, &infos, wanted) > 1 {
        for info in infos.iter_mut().filter(|info| matches!(info.verdict, Verdict::Chosen(_))) {
            info.verdict = Verdict::NotChosen("other series show other patients".into());
        }
    }
    for info in infos.iter_mut().filter(|info| matches!(info.verdict, Verdict::Chosen(_)) && info.slices == 1) {
        info.verdict = Verdict::Unusable("a single slice".into());
    }
    Ok((infos, catalogue.warnings))
}

/// The grid of the CT series that is chosen, without its voxels.
pub(crate) fn grid(path: &Path, options: &ScanOptions) -> Result<Geometry, DicomError> {
    Ok(slices(path, options)?.geometry)
}

/// The grid of the CT series that is chosen, and where its slices are on it.
fn slices(path: &Path, options: &ScanOptions) -> Result<Slices, DicomError> {
    let catalogue = Catalogue::read(path)?;
    let (infos, index) = taken(&catalogue, options)?;
    let of_series = |problem| DicomError::Stack { series: infos[index].name(), problem };
    let (series, _) = without_doubles(&catalogue, &catalogue.series[index]).map_err(of_series)?;
    let Stack { geometry, placed, .. } = stacked(&catalogue, &series, options.strict).map_err(of_series)?;
    let size = series.matrix(&catalogue).unwrap_or_default();
    Ok(Slices::new(geometry, size, series.planes().into_iter().zip(placed).collect()))
}

/// The files of the CT series that is chosen, in the order of its slices; of an archive the archive.
pub(crate) fn files_of_series(path: &Path, options: &ScanOptions) -> Result<Vec<PathBuf>, DicomError> {
    let patient = Patient::at(path);
    let path = patient.as_ref().map_or(path, |patient| &patient.scan);
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let catalogue = Catalogue::read(path)?;
    let (infos, index) = taken(&catalogue, options)?;
    let of_series = |problem| DicomError::Stack { series: infos[index].name(), problem };
    let (series, _) = without_doubles(&catalogue, &catalogue.series[index]).map_err(of_series)?;
    let mut slices: Vec<&SliceOf> = series.slices.iter().collect();
    slices.sort_by(|a, b| position(a).total_cmp(&position(b)));
    let mut instances: Vec<usize> = slices.into_iter().map(|slice| slice.instance).collect();
    instances.dedup();
    let file = |index: usize| match &catalogue.instances[index].place {
        Place::File(path) => Some(path.clone()),
        Place::Entry { .. } => None,
    };
    Ok(instances.into_iter().filter_map(file).collect())
}

/// The grid of a series that is known by its UID, and where its slices are on it.
pub(crate) fn slices_of_series(path: &Path, uid: &str) -> Result<Slices, DicomError> {
    slices(path, &ScanOptions { series: Some(uid.to_owned()), strict: false })
}

/// What the headers say of the CT series that is chosen.
pub(crate) fn inspect(path: &Path, options: &ScanOptions) -> Result<HeaderInfo, ReadErrorKind> {
    let patient = Patient::at(path);
    let catalogue = Catalogue::read(patient.as_ref().map_or(path, |patient| &patient.scan))?;
    let (infos, index) = taken(&catalogue, options)?;
    let of_series = |problem| DicomError::Stack { series: infos[index].name(), problem };
    let (series, doubled) = without_doubles(&catalogue, &catalogue.series[index]).map_err(of_series)?;
    let Stack { geometry, warnings, .. } = stacked(&catalogue, &series, options.strict).map_err(of_series)?;
    let first = series.slices[0];
    let Some(image) = &catalogue.instances[first.instance].image else { return Err(DicomError::NotDicom.into()) };
    let datatype = match (image.samples.allocated, image.samples.signed) {
        (8, false) => Datatype::U8,
        (8, true) => Datatype::I8,
        (_, false) => Datatype::U16,
        (_, true) => Datatype::I16,
    };
    Ok(HeaderInfo {
        format: "DICOM",
        pair: false,
        compressed: image.pixels.encapsulated,
        byte_order: image.syntax.order(),
        dims: geometry.shape().iter().rev().map(|n| *n as u64).collect(),
        datatype,
        scaling: first.it.rescale,
        position: None,
        orientation: hepar_volume::orientation_code(&geometry),
        description: title(&infos[index]),
        warnings: [catalogue.warnings.clone(), twice(doubled), warnings, of_intensities(&catalogue, &series)].concat(),
        geometry,
    })
}

fn stacked(catalogue: &Catalogue, series: &Series, strict: bool) -> Result<Stack, StackProblem> {
    let thickness = series.slices[0].it.thickness.filter(|mm| *mm > 0.0);
    stack(&series.planes(), series.matrix(catalogue).unwrap_or_default(), thickness, strict)
}

/// Reads the CT series that is chosen of those in a file, a folder or an archive.
pub(crate) fn scan(path: &Path, options: &ScanOptions) -> Result<Scan, ReadErrorKind> {
    // The masks of 3D-IRCADb beside its scans are CT images too.
    let patient = Patient::at(path);
    let path = patient.as_ref().map_or(path, |patient| &patient.scan);
    let catalogue = Catalogue::read(path)?;
    let (infos, index) = taken(&catalogue, options)?;
    let (info, series) = (&infos[index], &catalogue.series[index]);
    let mut warnings = catalogue.warnings.clone();
    let usable = infos.iter().filter(|info| !matches!(info.verdict, Verdict::Unusable(_))).count();
    if let (2.., Verdict::Chosen(reason), None) = (usable, &info.verdict, &options.series) {
        let (series, reason) = (title(info), reason.clone());
        warnings.push(Warning::SeriesChosen { series, reason, of: usable });
    }
    let of_series = |problem| DicomError::Stack { series: info.name(), problem };
    let (series, doubled) = without_doubles(&catalogue, series).map_err(of_series)?;
    warnings.extend(twice(doubled));
    if let (true, Some(first)) = (options.strict, warnings.iter().find(|w| !matches!(w, Warning::SeriesChosen { .. })))
    {
        return Err(of_series(StackProblem::Strict(first.to_string())).into());
    }
    volume(&catalogue, &series, info, options.strict, warnings)
}

/// All series, and the place of the one that is taken.
///
/// # Errors
/// When none can be, or those that could be show several patients.
fn taken(catalogue: &Catalogue, options: &ScanOptions) -> Result<(Vec<SeriesInfo>, usize), DicomError> {
    let wanted = options.series.as_deref();
    let infos = judge(catalogue, wanted);
    let index = chosen(&infos, wanted)?;
    match patients(catalogue, &infos, wanted) {
        0 | 1 => Ok((infos, index)),
        several => Err(DicomError::SeveralPatients(several)),
    }
}

/// How many patients the series that could be taken show, as far as they tell: those that are called `wanted`, or all.
fn patients(catalogue: &Catalogue, infos: &[SeriesInfo], wanted: Option<&str>) -> usize {
    let could_be = |info: &SeriesInfo| {
        !matches!(info.verdict, Verdict::Unusable(_)) && wanted.is_none_or(|wanted| is_called(info, wanted))
    };
    let usable = infos.iter().zip(&catalogue.series).filter(|(info, _)| could_be(info));
    let instances = usable.flat_map(|(_, series)| &series.instances);
    let names = instances.map(|&instance| catalogue.instances[instance].patient.as_str());
    names.filter(|name| !name.is_empty()).collect::<BTreeSet<_>>().len()
}

/// Number and description of a series.
fn title(info: &SeriesInfo) -> String {
    let part = info.part.as_ref().map(|part| format!(", {part}")).unwrap_or_default();
    match info.description.as_str() {
        "" => format!("{}{part}", info.name()),
        description => format!("{} \"{description}\"{part}", info.name()),
    }
}

/// What is to be said of `count` slices that were there twice.
fn twice(count: usize) -> Vec<Warning> {
    (count > 0).then_some(Warning::SlicesTwice { count }).into_iter().collect()
}

/// Takes out slices at the place of another one that show the same, and says how many there were. Only these are read.
fn without_doubles(catalogue: &Catalogue, series: &Series) -> Result<(Series, usize), StackProblem> {
    let mut places = at_one_place(&series.planes());
    places.retain(|place| place.len() > 1);
    let mut readers = Readers::new(catalogue);
    for &n in places.iter().flatten() {
        // What cannot be read is found to be like nothing else.
        let _ = readers.add(series.slices[n].instance);
    }
    let pixels = series.matrix(catalogue).map_or(0, |[rows, columns]| rows * columns);
    // One for the first of each place: the others are often in another object.
    let rooms = || [Room::default(), Room::default()];
    let different: Vec<usize> = places
        .par_iter()
        .map_init(rooms, |[of_first, of_other], place| {
            let first = shown(&readers, &series.slices[place[0]], of_first, pixels);
            let differs =
                |n: &&usize| first.is_none() || shown(&readers, &series.slices[**n], of_other, pixels) != first;
            place[1..].iter().filter(differs).count()
        })
        .collect();
    if let Some(n) = different.iter().position(|count| *count > 0) {
        let at = position(&series.slices[places[n][0]]);
        return Err(StackProblem::Doubled { count: different.iter().sum(), at });
    }
    let mut keep = vec![true; series.slices.len()];
    places.iter().flat_map(|place| &place[1..]).for_each(|&n| keep[n] = false);
    let kept: Vec<SliceOf> =
        series.slices.iter().zip(&keep).filter(|(_, keep)| **keep).map(|(slice, _)| *slice).collect();
    let doubled = series.slices.len() - kept.len();
    Ok((Series { slices: kept, copies: 0, ..series.clone() }, doubled))
}

fn position(slice: &SliceOf) -> f64 {
    crate::dicom::vectors::dot(slice.it.plane.position, slice.it.plane.normal())
}

/// The intensities of a slice of `pixels` pixels; `None` when they cannot be read.
fn shown(readers: &Readers<'_>, slice: &SliceOf, room: &mut Room, pixels: usize) -> Option<Vec<i16>> {
    let mut intensities = vec![0; pixels];
    readers.intensities(slice, room, &mut intensities, &mut Survey::new()).ok()?;
    Some(intensities)
}

fn volume(
    catalogue: &Catalogue,
    series: &Series,
    info: &SeriesInfo,
    strict: bool,
    mut warnings: Vec<Warning>,
) -> Result<Scan, ReadErrorKind> {
    let [rows, columns] = series.matrix(catalogue).unwrap_or_default();
    let of_series = |problem| DicomError::Stack { series: title(info), problem };
    let Stack { geometry, slices, placed, warnings: of_stack } =
        stacked(catalogue, series, strict).map_err(of_series)?;
    warnings.extend(of_stack);
    warnings.extend(of_intensities(catalogue, series));
    if let (true, Some(first)) = (strict, warnings.iter().find(|w| matches!(w, Warning::MixedRescale { .. }))) {
        return Err(of_series(StackProblem::Strict(first.to_string())).into());
    }
    let mut readers = Readers::new(catalogue);
    for slice in &series.slices {
        readers.add(slice.instance)?;
    }
    let (voxels, survey) = voxels(&readers, series, &slices, &placed, geometry.shape(), [rows, columns])?;
    warnings.extend(survey.judge(geometry.shape())?);
    let out_of_memory = |_| ReadErrorKind::OutOfMemory { voxels: geometry.shape().iter().product::<usize>() as u64 };
    let data = Array3::from_shape_vec(geometry.shape(), voxels).map_err(out_of_memory)?;
    let source = source(catalogue, series, info, &placed, &geometry)?;
    let grid = GridHeader::from_geometry(&geometry);
    let volume = Volume::new(data, geometry).map_err(|error| ReadErrorKind::Dimensions(error.to_string()))?;
    Ok(Scan { volume, grid, warnings, dicom: Some(source) })
}

/// What is odd about how numbers become intensities.
fn of_intensities(catalogue: &Catalogue, series: &Series) -> Vec<Warning> {
    let mut rescales: Vec<(f64, f64)> = series.slices.iter().map(|slice| slice.it.rescale).collect();
    rescales.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    rescales.dedup();
    let mixed = (rescales.len() > 1).then_some(Warning::MixedRescale { count: rescales.len() });
    let first = &series.slices[0];
    let samples = catalogue.instances[first.instance].image.as_ref().map(|image| image.samples);
    let padding = samples.and_then(|samples| odd_padding(samples, first.it.rescale));
    mixed.into_iter().chain(padding.map(|intensity| Warning::PaddingKept { intensity })).collect()
}

/// Pixel readers of the instances of a series.
struct Readers<'a> {
    catalogue: &'a Catalogue,
    readers: Vec<Option<PixelReader>>,
    /// The table that was used last: most series have one.
    table: Mutex<Option<Arc<Table>>>,
}

impl<'a> Readers<'a> {
    fn new(catalogue: &'a Catalogue) -> Self {
        let readers = (0..catalogue.instances.len()).map(|_| None).collect();
        Self { catalogue, readers, table: Mutex::new(None) }
    }

    fn add(&mut self, index: usize) -> Result<(), DicomError> {
        let instance = &self.catalogue.instances[index];
        let (None, Some(image)) = (&self.readers[index], &instance.image) else { return Ok(()) };
        let bytes = usize::from(image.samples.allocated / 8);
        let shape = FrameShape { rows: image.rows, columns: image.columns, bytes };
        let reader = PixelReader::new(&instance.place, &image.syntax, image.pixels, shape, image.frames.len());
        self.readers[index] = Some(reader.map_err(|error| error.of_file(&instance.place))?);
        Ok(())
    }

    /// Reads the stored samples of a slice.
    fn samples(&self, slice: &SliceOf, room: &mut Room) -> Result<(), DicomError> {
        let of_file = |error: DicomError| error.of_file(&self.catalogue.instances[slice.instance].place);
        let reader = self.readers[slice.instance].as_ref().ok_or(DicomError::NotDicom).map_err(of_file)?;
        reader.frame_into(slice.frame, room).map_err(of_file)
    }

    fn table(&self, samples: Samples, rescale: (f64, f64)) -> Arc<Table> {
        // A table is whole at any time.
        let mut last = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(table) = last.as_ref().filter(|table| table.is_of(samples, rescale)) {
            return Arc::clone(table);
        }
        let table = Arc::new(Table::new(samples, rescale));
        *last = Some(Arc::clone(&table));
        table
    }

    /// The intensities of a slice, `[row, column]` by rows; `room` is for what is stored.
    fn intensities(
        &self,
        slice: &SliceOf,
        room: &mut Room,
        to: &mut [i16],
        survey: &mut Survey,
    ) -> Result<(), DicomError> {
        self.samples(slice, room)?;
        let Some(image) = &self.catalogue.instances[slice.instance].image else { return Ok(()) };
        self.table(image.samples, slice.it.rescale).convert(&room.samples, to, survey);
        Ok(())
    }
}

/// The voxels of the volume, `[k, j, i]`.
fn voxels(
    readers: &Readers<'_>,
    series: &Series,
    slices: &[GridSlice],
    placed: &[Placed],
    shape: [usize; 3],
    frame: [usize; 2],
) -> Result<(Vec<i16>, Survey), ReadErrorKind> {
    let [depth, height, width] = shape;
    // Tilted slices need a larger volume than any file holds.
    let total = depth.checked_mul(height).and_then(|voxels| voxels.checked_mul(width)).unwrap_or(usize::MAX);
    let out_of_memory = |_| ReadErrorKind::OutOfMemory { voxels: total as u64 };
    Vec::<i16>::new().try_reserve_exact(total).map_err(out_of_memory)?;
    // Zeros come from the system as they are needed, in the thread that needs them; every voxel is written below.
    let mut voxels = vec![0i16; total];
    let survey = voxels
        .par_chunks_mut(height * width)
        .zip(slices)
        .map_init(Room::default, |room, (voxels, slice)| {
            let mut survey = Survey::new();
            let mut get = |given: usize, to: &mut [i16]| {
                let shift = placed[given].shift;
                if shift == [0.0; 2] && frame == [height, width] {
                    return readers.intensities(&series.slices[given], room, to, &mut survey);
                }
                let mut stored = vec![0; frame[0] * frame[1]];
                readers.intensities(&series.slices[given], room, &mut stored, &mut survey)?;
                shifted(&stored, frame, shift, to, width);
                Ok::<(), DicomError>(())
            };
            get(slice.below, voxels)?;
            if slice.weight > 0.0 {
                let mut above = vec![AIR; voxels.len()];
                get(slice.above, &mut above)?;
                voxels.iter_mut().zip(&above).for_each(|(below, above)| *below = between(*below, *above, slice.weight));
            }
            Ok::<Survey, DicomError>(survey)
        })
        .try_reduce(Survey::new, |a, b| Ok(a.and(b)))?;
    Ok((voxels, survey))
}

fn between(a: i16, b: i16, weight: f64) -> i16 {
    (f64::from(a) * (1.0 - weight) + f64::from(b) * weight).round() as i16
}

/// Moves a slice of `frame` rows and columns by `shift` rows and columns into one that is `width` wide, linearly; air
/// comes in from outside.
fn shifted(stored: &[i16], frame: [usize; 2], shift: [f64; 2], to: &mut [i16], width: usize) {
    let [rows, columns] = frame;
    let at = |row: i64, column: i64| match (usize::try_from(row), usize::try_from(column)) {
        (Ok(row), Ok(column)) if row < rows && column < columns => stored[row * columns + column],
        _ => AIR,
    };
    let split = |to: usize, shift: f64| {
        let from = to as f64 - shift;
        (from.floor() as i64, from - from.floor())
    };
    for (index, voxel) in to.iter_mut().enumerate() {
        let (row, down) = split(index / width, shift[0]);
        let (column, right) = split(index % width, shift[1]);
        let line = |row: i64| f64::from(at(row, column)) * (1.0 - right) + f64::from(at(row, column + 1)) * right;
        *voxel = (line(row) * (1.0 - down) + line(row + 1) * down).round() as i16;
    }
}

/// What objects made from this series need to know.
fn source(
    catalogue: &Catalogue,
    series: &Series,
    info: &SeriesInfo,
    placed: &[Placed],
    geometry: &Geometry,
) -> Result<DicomSource, DicomError> {
    let first = &catalogue.instances[series.slices[0].instance];
    let object = Object::read(&first.place)?;
    let [rows, columns] = series.matrix(catalogue).unwrap_or_default();
    let mut frames: Vec<SourceFrame> = series
        .slices
        .iter()
        .zip(placed)
        .map(|(slice, placed)| {
            let instance = &catalogue.instances[slice.instance];
            let several = instance.image.as_ref().is_some_and(|image| image.frames.len() > 1)
                || object.data.items(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE).len() == 1;
            SourceFrame {
                sop_class: instance.sop_class.clone(),
                sop_uid: instance.sop_uid.clone(),
                number: several.then_some(slice.frame + 1),
                plane: slice.it.plane,
                placed: *placed,
            }
        })
        .collect();
    let normal = frames[0].plane.normal();
    frames.sort_by(|a, b| {
        let at = |frame: &SourceFrame| crate::dicom::vectors::dot(frame.plane.position, normal);
        at(a).total_cmp(&at(b))
    });
    Ok(DicomSource {
        shared: DicomSource::shared_of(&object.data),
        series_uid: series.uid.clone(),
        rows,
        columns,
        thickness: series.slices[0].it.thickness.filter(|mm| *mm > 0.0).unwrap_or(geometry.spacing()[0]),
        frames,
        geometry: geometry.clone(),
        place: info.place,
        name: title(info),
    })
}
