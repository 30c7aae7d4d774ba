//! NRRD, after <https://teem.sourceforge.net/nrrd/format.html>.

use std::collections::BTreeMap;

use crate::datatype::{ByteOrder, Datatype};
use crate::error::ReadErrorKind;
use crate::source::Packing;
use crate::text_header::{TextHeader, affine, field, numbers};

/// Takes a header apart; gives the first byte behind it too.
pub(super) fn parse(bytes: &[u8]) -> Result<(TextHeader, u64), ReadErrorKind> {
    let (fields, end) = fields(bytes)?;
    let get = |name: &str| fields.get(name).map(String::as_str);
    let need = |name: &'static str| get(name).ok_or_else(|| field(name, "", "is missing"));
    let wrong = |name: &str, problem: &str| field(name, get(name).unwrap_or_default(), problem);

    let mut sizes: Vec<u64> = need("sizes")?
        .split_whitespace()
        .map(|word| word.parse().map_err(|_| wrong("sizes", "are no whole numbers")))
        .collect::<Result<_, _>>()?;
    let declared = need("dimension")?.parse::<usize>().ok();
    if declared != Some(sizes.len()) || sizes.is_empty() || sizes.len() > 16 {
        return Err(wrong("dimension", "is not the number of sizes"));
    }
    let mut directions: Option<Vec<Option<[f64; 3]>>> = get("space directions").map(vectors).transpose()?;
    // An axis that is not in space and has one entry, as that of the layers of a segmentation.
    if sizes.len() == 4 && sizes[0] == 1 && directions.as_ref().is_none_or(|d| d.first() == Some(&None)) {
        sizes.remove(0);
        directions = directions.map(|directions| directions[1..].to_vec());
    }
    let to_ras = match get("space") {
        Some(space) => Some(to_ras(space).ok_or_else(|| wrong("space", "is not a space of the patient"))?),
        None => None,
    };
    let axes = match (directions, get("spacings").and_then(numbers)) {
        (Some(directions), _) => match directions[..] {
            [Some(i), Some(j), Some(k)] => [i, j, k],
            _ if sizes.len() != 3 => identity([1.0; 3]),
            _ => return Err(wrong("space directions", "are not three vectors of three numbers")),
        },
        (None, Some(spacing)) => match spacing[..] {
            [i, j, k] => identity([i, j, k]),
            _ => return Err(wrong("spacings", "are not three numbers")),
        },
        (None, None) => identity([1.0; 3]),
    };
    let origin = match get("space origin").map(vectors).transpose()?.as_deref() {
        None => [0.0; 3],
        Some([Some(origin)]) => *origin,
        Some(_) => return Err(wrong("space origin", "is not one vector of three numbers")),
    };
    let oriented = to_ras.is_some() && get("space directions").is_some();
    let sign = to_ras.unwrap_or([1.0; 3]);
    let turned = |v: [f64; 3]| std::array::from_fn(|axis| v[axis] * sign[axis]);
    let datatype = datatype(need("type")?).ok_or_else(|| wrong("type", "is no number type that is read"))?;
    let order = match get("endian") {
        Some("little") => ByteOrder::Little,
        Some("big") => ByteOrder::Big,
        None if datatype.bytes() == Some(1) => ByteOrder::Little,
        _ => return Err(wrong("endian", "is neither little nor big")),
    };
    let packing = match need("encoding")? {
        "raw" => Packing::None,
        "gzip" | "gz" => Packing::Gzip,
        _ => return Err(wrong("encoding", "is not read; raw and gzip are")),
    };
    if get("line skip").is_some_and(|skip| skip != "0") {
        return Err(wrong("line skip", "is not read"));
    }
    let skip = match get("byte skip") {
        None => Some(0),
        Some("-1") if packing == Packing::None => None,
        Some(skip) => Some(skip.parse().map_err(|_| wrong("byte skip", "is no number of bytes"))?),
    };
    let data_file = get("data file").or(get("datafile")).map(str::to_owned);
    let header = TextHeader {
        sizes,
        datatype,
        order,
        packing,
        oriented,
        affine: affine(axes.map(turned), turned(origin)),
        data_file,
        skip,
        description: get("content").unwrap_or_default().to_owned(),
    };
    Ok((header, end))
}

/// The fields up to the empty line, and the first byte behind it.
fn fields(bytes: &[u8]) -> Result<(BTreeMap<String, String>, u64), ReadErrorKind> {
    let mut fields = BTreeMap::new();
    let mut at = 0;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(length) = rest.iter().position(|byte| *byte == b'\n') else {
            // A header whose voxels are elsewhere may end with the file.
            if !fields.contains_key("data file") && !fields.contains_key("datafile") {
                return Err(ReadErrorKind::NotAnImage("it ends within the NRRD header".to_owned()));
            }
            return Ok((fields, bytes.len() as u64));
        };
        let line = String::from_utf8_lossy(&rest[..length]);
        let line = line.trim_end_matches('\r');
        at += length + 1;
        if line.is_empty() {
            return Ok((fields, at as u64));
        }
        if line.starts_with('#') || line.starts_with("NRRD0") {
            continue;
        }
        // Pairs of key and value are for programs; their key is none of the format's.
        if let Some((key, value)) = line.split_once(":=") {
            fields.insert(format!("={key}"), value.to_owned());
        } else if let Some((name, value)) = line.split_once(": ") {
            fields.insert(name.trim().to_lowercase(), value.trim().to_owned());
        }
    }
}

/// Vectors such as `(1,0,0)`; `None` for `none`.
fn vectors(text: &str) -> Result<Vec<Option<[f64; 3]>>, ReadErrorKind> {
    let wrong = || field("space directions", text, "are no vectors of three numbers");
    let mut rest = text.trim();
    let mut vectors = Vec::new();
    while !rest.is_empty() {
        if let Some(behind) = rest.strip_prefix("none") {
            vectors.push(None);
            rest = behind.trim_start();
            continue;
        }
        let (inside, behind) = rest.strip_prefix('(').and_then(|rest| rest.split_once(')')).ok_or_else(wrong)?;
        let numbers: Option<Vec<f64>> = inside.split(',').map(|word| word.trim().parse().ok()).collect();
        let vector: [f64; 3] = numbers.and_then(|numbers| numbers.try_into().ok()).ok_or_else(wrong)?;
        vectors.push(Some(vector));
        rest = behind.trim_start();
    }
    Ok(vectors)
}

/// Signs that make RAS of a space.
fn to_ras(space: &str) -> Option<[f64; 3]> {
    match space.to_lowercase().as_str() {
        "right-anterior-superior" | "ras" => Some([1.0, 1.0, 1.0]),
        "left-anterior-superior" | "las" => Some([-1.0, 1.0, 1.0]),
        "left-posterior-superior" | "lps" => Some([-1.0, -1.0, 1.0]),
        _ => None,
    }
}

fn identity(spacing: [f64; 3]) -> [[f64; 3]; 3] {
    let [i, j, k] = spacing;
    [[i, 0.0, 0.0], [0.0, j, 0.0], [0.0, 0.0, k]]
}

fn datatype(name: &str) -> Option<Datatype> {
    Some(match name {
        "signed char" | "int8" | "int8_t" => Datatype::I8,
        "uchar" | "unsigned char" | "uint8" | "uint8_t" => Datatype::U8,
        "short" | "short int" | "signed short" | "signed short int" | "int16" | "int16_t" => Datatype::I16,
        "ushort" | "unsigned short" | "unsigned short int" | "uint16" | "uint16_t" => Datatype::U16,
        "int" | "signed int" | "int32" | "int32_t" => Datatype::I32,
        "uint" | "unsigned int" | "uint32" | "uint32_t" => Datatype::U32,
        "longlong" | "long long" | "long long int" | "signed long long" | "int64" | "int64_t" => Datatype::I64,
        "ulonglong" | "unsigned long long" | "unsigned long long int" | "uint64" | "uint64_t" => Datatype::U64,
        "float" => Datatype::F32,
        "double" => Datatype::F64,
        _ => return None,
    })
}
