//! MetaImage, after <https://itk.org/Wiki/ITK/MetaIO/Documentation>.

use std::collections::BTreeMap;

use crate::datatype::{ByteOrder, Datatype};
use crate::error::ReadErrorKind;
use crate::source::Packing;
use crate::text_header::{TextHeader, affine, field, numbers};

/// Takes a header apart; gives the first byte behind it too.
pub(super) fn parse(bytes: &[u8]) -> Result<(TextHeader, u64), ReadErrorKind> {
    let (fields, end) = fields(bytes)?;
    let get = |name: &str| fields.get(name).map(String::as_str);
    let any = |names: &[&str]| names.iter().find_map(|name| get(name));
    let wrong = |name: &str, problem: &str| field(name, get(name).unwrap_or_default(), problem);
    let is_true = |name: &str| get(name).is_some_and(|value| value.eq_ignore_ascii_case("true") || value == "1");
    if get("BinaryData").is_some() && !is_true("BinaryData") {
        return Err(wrong("BinaryData", "is not read; binary voxels are"));
    }
    if get("ElementNumberOfChannels").is_some_and(|channels| channels != "1") {
        return Err(wrong("ElementNumberOfChannels", "is not read; one number a voxel is"));
    }
    let sizes = any(&["DimSize"]).ok_or_else(|| wrong("DimSize", "is missing"))?;
    let sizes: Vec<u64> = sizes
        .split_whitespace()
        .map(|word| word.parse().map_err(|_| wrong("DimSize", "is no list of whole numbers")))
        .collect::<Result<_, _>>()?;
    let three = |names: &[&str], default: [f64; 3]| -> Result<[f64; 3], ReadErrorKind> {
        let Some(text) = any(names) else { return Ok(default) };
        let numbers: Option<[f64; 3]> = numbers(text).and_then(|numbers| numbers.get(..3)?.try_into().ok());
        numbers.ok_or_else(|| field(names[0], text, "is not three numbers"))
    };
    let spacing = three(&["ElementSpacing", "ElementSize"], [1.0; 3])?;
    let origin = three(&["Offset", "Position", "Origin"], [0.0; 3])?;
    let matrix = any(&["TransformMatrix", "Rotation", "Orientation"]);
    let matrix: Vec<f64> = match matrix {
        Some(text) if sizes.len() == 3 => {
            let nine = numbers(text).filter(|numbers| numbers.len() == 9);
            nine.ok_or_else(|| field("TransformMatrix", text, "is not nine numbers"))?
        }
        _ => vec![1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
    };
    // Each three numbers are the direction of an axis, LPS.
    let axis =
        |n: usize| [-matrix[3 * n] * spacing[n], -matrix[3 * n + 1] * spacing[n], matrix[3 * n + 2] * spacing[n]];
    let oriented = any(&["TransformMatrix", "Rotation", "Orientation"]).is_some();
    let name = any(&["ElementType"]).ok_or_else(|| wrong("ElementType", "is missing"))?;
    let datatype = datatype(name).ok_or_else(|| wrong("ElementType", "is no number type that is read"))?;
    let big = is_true("BinaryDataByteOrderMSB") || is_true("ElementByteOrderMSB");
    let skip = match get("HeaderSize") {
        None | Some("0") => Some(0),
        Some("-1") => None,
        Some(skip) => Some(skip.parse().map_err(|_| wrong("HeaderSize", "is no number of bytes"))?),
    };
    let data_file = match get("ElementDataFile") {
        None => return Err(wrong("ElementDataFile", "is missing")),
        Some("LOCAL" | "Local" | "local") => None,
        Some(file) => Some(file.to_owned()),
    };
    let header = TextHeader {
        sizes,
        datatype,
        order: if big { ByteOrder::Big } else { ByteOrder::Little },
        packing: if is_true("CompressedData") { Packing::Zlib } else { Packing::None },
        oriented,
        affine: affine([axis(0), axis(1), axis(2)], [-origin[0], -origin[1], origin[2]]),
        data_file,
        skip,
        description: get("Comment").unwrap_or_default().to_owned(),
    };
    Ok((header, end))
}

/// The fields up to `ElementDataFile`, which is the last, and the first byte behind it.
fn fields(bytes: &[u8]) -> Result<(BTreeMap<String, String>, u64), ReadErrorKind> {
    let mut fields = BTreeMap::new();
    let mut at = 0;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let length = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        let line = String::from_utf8_lossy(&rest[..length]);
        at = (at + length + 1).min(bytes.len());
        let Some((name, value)) = line.split_once('=') else { continue };
        let name = name.trim().to_owned();
        let last = name == "ElementDataFile";
        fields.insert(name, value.trim().to_owned());
        if last {
            return Ok((fields, at as u64));
        }
    }
    Err(ReadErrorKind::NotAnImage("it ends within the MetaImage header".to_owned()))
}

fn datatype(name: &str) -> Option<Datatype> {
    Some(match name {
        "MET_CHAR" => Datatype::I8,
        "MET_UCHAR" => Datatype::U8,
        "MET_SHORT" => Datatype::I16,
        "MET_USHORT" => Datatype::U16,
        "MET_INT" => Datatype::I32,
        "MET_UINT" => Datatype::U32,
        "MET_LONG_LONG" => Datatype::I64,
        "MET_ULONG_LONG" => Datatype::U64,
        "MET_FLOAT" => Datatype::F32,
        "MET_DOUBLE" => Datatype::F64,
        _ => return None,
    })
}
