//! Compressed frames to samples.
//!
//! Before anything is decoded, the size that the compressed stream claims is compared with that of the image, which has
//! bounds: a small file cannot ask for much memory.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::dicom::syntax::PixelCoding;

/// What a frame is when it is decoded: one sample a pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameShape {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    /// 1 or 2.
    pub(crate) bytes: usize,
}

impl FrameShape {
    pub(crate) fn pixels(self) -> usize {
        self.rows * self.columns
    }

    /// Bytes of a decoded frame.
    pub(crate) fn length(self) -> usize {
        self.pixels() * self.bytes
    }
}

/// The samples of a compressed frame, by rows, little-endian.
///
/// # Errors
/// With the reason, when there is no such frame in `stream`.
pub(crate) fn decode(coding: PixelCoding, stream: &[u8], shape: FrameShape) -> Result<Vec<u8>, String> {
    // The decoders are of others, and some index without asking; a damaged file must not end the program.
    let decoded = catch_unwind(AssertUnwindSafe(|| match coding {
        PixelCoding::Rle => rle(stream, shape),
        PixelCoding::Jpeg => jpeg(stream, shape),
        PixelCoding::JpegLs => jpeg_ls(stream, shape),
        PixelCoding::Jpeg2000 => jpeg_2000(stream, shape),
        PixelCoding::JpegXl => jpeg_xl(stream, shape),
        PixelCoding::Native(_) | PixelCoding::Other => Err("there is no decoder for it".to_owned()),
    }));
    let bytes = decoded.unwrap_or_else(|_| Err("its decoder gave up: the data are damaged".to_owned()))?;
    match bytes.len() == shape.length() {
        true => Ok(bytes),
        false => Err(format!("it holds {} bytes, the image needs {}", bytes.len(), shape.length())),
    }
}

fn check_size(width: usize, height: usize, shape: FrameShape) -> Result<(), String> {
    if (height, width) == (shape.rows, shape.columns) {
        return Ok(());
    }
    Err(format!("it holds {width} × {height} pixels, the image has {} × {}", shape.columns, shape.rows))
}

/// Samples of 16 bits as wide as the image wants them.
fn narrowed(samples: impl Iterator<Item = u16>, shape: FrameShape) -> Vec<u8> {
    match shape.bytes {
        1 => samples.map(|sample| sample as u8).collect(),
        _ => samples.flat_map(u16::to_le_bytes).collect(),
    }
}

/// PS3.5 Annex G: a segment of packed bits for each byte of the samples, the highest byte first.
fn rle(stream: &[u8], shape: FrameShape) -> Result<Vec<u8>, String> {
    let (numbers, _) = stream.get(..64).ok_or("its header is cut short")?.as_chunks::<4>();
    let header: Vec<usize> = numbers.iter().map(|n| u32::from_le_bytes(*n) as usize).collect();
    if header[0] != shape.bytes {
        return Err(format!("it has {} segments, the image needs {}", header[0], shape.bytes));
    }
    let mut samples = vec![0; shape.length()];
    for segment in 0..shape.bytes {
        let start = header[1 + segment];
        let end = if segment + 1 < shape.bytes { header[2 + segment] } else { stream.len() };
        let packed = stream.get(start..end).ok_or("a segment lies outside of it")?;
        let plane = unpack_bits(packed, shape.pixels())?;
        let places = samples.iter_mut().skip(shape.bytes - 1 - segment).step_by(shape.bytes);
        places.zip(plane).for_each(|(sample, byte)| *sample = byte);
    }
    Ok(samples)
}

/// PackBits, until there are `length` bytes.
fn unpack_bits(packed: &[u8], length: usize) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(length);
    let mut rest = packed;
    while bytes.len() < length {
        let Some((&control, behind)) = rest.split_first() else { return Err("a segment ends too early".to_owned()) };
        let run = match control as i8 {
            0..=127 => {
                let count = usize::from(control) + 1;
                let Some(literal) = behind.get(..count) else { return Err("a segment ends too early".to_owned()) };
                bytes.extend(literal);
                count
            }
            -128 => 0,
            repeated => {
                let Some(&byte) = behind.first() else { return Err("a segment ends too early".to_owned()) };
                bytes.extend(std::iter::repeat_n(byte, 1 + usize::from(repeated.unsigned_abs())));
                1
            }
        };
        rest = &behind[run..];
    }
    bytes.truncate(length);
    Ok(bytes)
}

fn jpeg(stream: &[u8], shape: FrameShape) -> Result<Vec<u8>, String> {
    use jpeg_decoder::{PixelFormat, UnsupportedFeature};
    let mut decoder = jpeg_decoder::Decoder::new(stream);
    decoder.read_info().map_err(|error| match error {
        jpeg_decoder::Error::Unsupported(UnsupportedFeature::SamplePrecision(bits)) => {
            format!("lossy JPEG of {bits} bits has no decoder here. Convert it, with dcmdjpeg say")
        }
        error => error.to_string(),
    })?;
    let info = decoder.info().ok_or("it has no header")?;
    check_size(usize::from(info.width), usize::from(info.height), shape)?;
    let bytes = decoder.decode().map_err(|error| error.to_string())?;
    match info.pixel_format {
        PixelFormat::L8 => Ok(narrowed(bytes.into_iter().map(u16::from), shape)),
        // The decoder gives them in the order of the machine.
        PixelFormat::L16 => Ok(narrowed(bytes.as_chunks::<2>().0.iter().map(|b| u16::from_ne_bytes(*b)), shape)),
        other => Err(format!("its pixels are {other:?}, one grey value each is needed")),
    }
}

#[cfg(feature = "charls")]
fn jpeg_ls(stream: &[u8], shape: FrameShape) -> Result<Vec<u8>, String> {
    let mut decoder = charls::CharLS::default();
    let info = decoder.get_frame_info(stream).map_err(|error| error.to_string())?;
    check_size(info.width as usize, info.height as usize, shape)?;
    if info.component_count != 1 {
        return Err(format!("it has {} components, one is needed", info.component_count));
    }
    // A decoder reads one stream.
    let bytes = charls::CharLS::default().decode(stream).map_err(|error| error.to_string())?;
    match info.bits_per_sample {
        ..=8 => Ok(narrowed(bytes.into_iter().map(u16::from), shape)),
        _ => Ok(narrowed(bytes.as_chunks::<2>().0.iter().map(|b| u16::from_le_bytes(*b)), shape)),
    }
}

#[cfg(not(feature = "charls"))]
fn jpeg_ls(_: &[u8], _: FrameShape) -> Result<Vec<u8>, String> {
    Err("JPEG-LS is decoded only by a build with the feature charls".to_owned())
}

fn jpeg_2000(stream: &[u8], shape: FrameShape) -> Result<Vec<u8>, String> {
    let (width, height) = size_of_jpeg_2000(stream).ok_or("it does not begin as JPEG 2000")?;
    check_size(width, height, shape)?;
    let parameters = jpeg2k::DecodeParameters::new().strict(true);
    let image = jpeg2k::Image::from_bytes_with(stream, parameters).map_err(|error| error.to_string())?;
    let [component] = image.components() else {
        return Err(format!("it has {} components, one is needed", image.num_components()));
    };
    check_size(component.width() as usize, component.height() as usize, shape)?;
    // Negative samples keep their low bits.
    Ok(narrowed(component.data().iter().map(|sample| *sample as u16), shape))
}

/// Width and height by the SIZ marker, which is the first of a codestream (ISO 15444-1 section A.5.1).
fn size_of_jpeg_2000(stream: &[u8]) -> Option<(usize, usize)> {
    let rest = stream.strip_prefix(&[0xff, 0x4f, 0xff, 0x51])?;
    let number = |at: usize| rest.get(at..)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes) as usize);
    Some((number(4)?.checked_sub(number(12)?)?, number(8)?.checked_sub(number(16)?)?))
}

fn jpeg_xl(stream: &[u8], shape: FrameShape) -> Result<Vec<u8>, String> {
    let image = jxl_oxide::JxlImage::builder().read(stream).map_err(|error| error.to_string())?;
    check_size(image.width() as usize, image.height() as usize, shape)?;
    let frame = image.render_frame(0).map_err(|error| error.to_string())?;
    let mut samples = frame.stream();
    if samples.channels() != 1 {
        return Err(format!("it has {} channels, one is needed", samples.channels()));
    }
    if shape.bytes == 1 {
        let mut bytes = vec![0u8; shape.pixels()];
        let written = samples.write_to_buffer(&mut bytes);
        bytes.truncate(written);
        return Ok(bytes);
    }
    // Samples come scaled to 16 bits; those of fewer bits are scaled back.
    let bits = image.image_header().metadata.bit_depth.bits_per_sample().clamp(1, 16);
    let mut words = vec![0u16; shape.pixels()];
    let written = samples.write_to_buffer(&mut words);
    let greatest = f64::from((1u32 << bits) - 1);
    let unscaled = |word: u16| (f64::from(word) * greatest / f64::from(u16::MAX)).round() as u16;
    Ok(narrowed(words.into_iter().take(written).map(unscaled), shape))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: FrameShape = FrameShape { rows: 2, columns: 3, bytes: 2 };

    /// A header of `segments` and the packed bytes.
    fn rle_stream(segments: &[&[u8]]) -> Vec<u8> {
        let mut header = vec![segments.len() as u32];
        let mut at = 64;
        for segment in segments {
            header.push(at);
            at += segment.len() as u32;
        }
        header.resize(16, 0);
        header.iter().flat_map(|n| n.to_le_bytes()).chain(segments.concat()).collect()
    }

    #[test]
    fn the_first_segment_of_rle_holds_the_high_bytes() {
        // A run of six, then three literals and a run of three.
        let stream = rle_stream(&[&[0xfb, 1], &[2, 10, 11, 12, 0x80, 0xfe, 7]]);
        let samples: Vec<u16> =
            rle(&stream, SHAPE).unwrap().as_chunks().0.iter().map(|b| u16::from_le_bytes(*b)).collect();
        assert_eq!(samples, [266, 267, 268, 263, 263, 263]);
    }

    #[test]
    fn damaged_rle_is_an_error_wherever_it_is_cut() {
        let stream = rle_stream(&[&[0xfb, 1], &[2, 10, 11, 12, 0x80, 0xfe, 7]]);
        for length in 0..stream.len() {
            assert!(decode(PixelCoding::Rle, &stream[..length], SHAPE).is_err(), "{length}");
        }
        assert!(decode(PixelCoding::Rle, &rle_stream(&[&[0xfb, 1]]), SHAPE).unwrap_err().contains("1 segments"));
    }

    #[test]
    fn a_stream_of_another_size_is_refused_before_it_is_decoded() {
        let mut siz = vec![0xff, 0x4f, 0xff, 0x51, 0, 41, 0, 0];
        siz.extend([60_000u32, 60_000, 0, 0].iter().flat_map(|n| n.to_be_bytes()));
        let error = decode(PixelCoding::Jpeg2000, &siz, SHAPE).unwrap_err();
        assert_eq!(error, "it holds 60000 × 60000 pixels, the image has 3 × 2");
        assert!(decode(PixelCoding::Jpeg2000, &siz[..20], SHAPE).is_err());
    }
}
