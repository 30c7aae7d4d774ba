use serde_json::{Value, json};

use super::Surfaces;
use super::surface::Surface;
use crate::palette::{Colour, SKY_BLUE, VERMILLION};

/// A surface with what it is called and looks like.
struct Part<'a> {
    name: String,
    surface: &'a Surface,
    material: usize,
}

/// Surfaces as one binary glTF 2.0 file: the liver translucent, lesions solid and named `lesion 1`, `lesion 2`, …
///
/// Corners are RAS+ millimetres; the root node turns them to glTF's axes (y up, the patient's face towards +z) and
/// metres, so that any viewer shows the patient upright.
///
/// Source: Khronos Group, "glTF 2.0 Specification", sections 3.4 (axes and units) and 4 (binary files).
pub fn glb(surfaces: &Surfaces) -> Vec<u8> {
    let lesions =
        surfaces.lesions.iter().map(|(n, surface)| Part { name: format!("lesion {n}"), surface, material: 1 });
    let liver = surfaces.liver.iter().map(|surface| Part { name: "liver".to_owned(), surface, material: 0 });
    let parts: Vec<Part<'_>> = lesions.chain(liver).collect();
    let mut binary = Vec::new();
    let (mut views, mut accessors, mut meshes, mut nodes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for part in &parts {
        let first = accessors.len();
        let vectors =
            |vectors: &[[f32; 3]]| vectors.iter().flatten().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
        let indices = part.surface.triangles.iter().flatten().flat_map(|n| n.to_le_bytes()).collect();
        let blobs = [vectors(&part.surface.points), vectors(&part.surface.normals()), indices];
        for (blob, target) in blobs.into_iter().zip([ARRAY_BUFFER, ARRAY_BUFFER, ELEMENT_ARRAY_BUFFER]) {
            let (offset, length) = (binary.len(), blob.len());
            views.push(json!({"buffer": 0, "byteOffset": offset, "byteLength": length, "target": target}));
            binary.extend(blob);
        }
        let (points, corners) = (part.surface.points.len(), 3 * part.surface.triangles.len());
        let [least, greatest] = extent(part.surface);
        accessors.extend([
            json!({"bufferView": first, "componentType": FLOAT, "count": points, "type": "VEC3", "min": least, "max": greatest}),
            json!({"bufferView": first + 1, "componentType": FLOAT, "count": points, "type": "VEC3"}),
            json!({"bufferView": first + 2, "componentType": UNSIGNED_INT, "count": corners, "type": "SCALAR"}),
        ]);
        nodes.push(json!({"name": part.name, "mesh": meshes.len()}));
        let attributes = json!({"POSITION": first, "NORMAL": first + 1});
        meshes.push(json!({
            "name": part.name,
            "primitives": [{"attributes": attributes, "indices": first + 2, "material": part.material}],
        }));
    }
    let root = nodes.len();
    let mut top = json!({"name": "patient", "matrix": PATIENT_TO_GLTF});
    if root > 0 {
        top["children"] = json!((0..root).collect::<Vec<_>>());
    }
    nodes.push(top);
    let mut document = json!({
        "asset": {"version": "2.0", "generator": concat!("hepar ", env!("CARGO_PKG_VERSION"))},
        "scene": 0,
        "scenes": [{"nodes": [root]}],
        "nodes": nodes,
    });
    // Empty lists are not allowed.
    if root > 0 {
        document["materials"] = json!([material("liver", SKY_BLUE, 0.35), material("lesion", VERMILLION, 1.0)]);
        document["meshes"] = Value::Array(meshes);
        document["accessors"] = Value::Array(accessors);
        document["bufferViews"] = Value::Array(views);
        document["buffers"] = json!([{"byteLength": binary.len()}]);
    }
    container(&document, binary)
}

const FLOAT: u32 = 5126;
const UNSIGNED_INT: u32 = 5125;
const ARRAY_BUFFER: u32 = 34962;
const ELEMENT_ARRAY_BUFFER: u32 = 34963;

/// By columns: right (+x of RAS+) stays on the viewer's left when the patient faces it, superior is up, and 1000 mm are
/// 1 m.
#[rustfmt::skip]
const PATIENT_TO_GLTF: [f64; 16] = [
    -0.001, 0.0, 0.0, 0.0,
    0.0, 0.0, 0.001, 0.0,
    0.0, 0.001, 0.0, 0.0,
    0.0, 0.0, 0.0, 1.0,
];

fn extent(surface: &Surface) -> [[f32; 3]; 2] {
    let fold = |start: f32, choose: fn(f32, f32) -> f32| {
        [0, 1, 2].map(|axis| surface.points.iter().map(|point| point[axis]).fold(start, choose))
    };
    [fold(f32::INFINITY, f32::min), fold(f32::NEG_INFINITY, f32::max)]
}

fn material(name: &str, Colour(colour): Colour, opacity: f64) -> Value {
    // Factors are linear, colours are sRGB (IEC 61966-2-1).
    let linear = |byte: u8| {
        let share = f64::from(byte) / 255.0;
        if share <= 0.04045 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
    };
    let [r, g, b] = colour.map(linear);
    json!({
        "name": name,
        "alphaMode": if opacity < 1.0 { "BLEND" } else { "OPAQUE" },
        "pbrMetallicRoughness": {"baseColorFactor": [r, g, b, opacity], "metallicFactor": 0.0, "roughnessFactor": 0.6},
    })
}

/// The header and the two chunks of a binary file, each padded to four bytes.
fn container(document: &Value, mut binary: Vec<u8>) -> Vec<u8> {
    let mut text = document.to_string().into_bytes();
    text.resize(text.len().next_multiple_of(4), b' ');
    binary.resize(binary.len().next_multiple_of(4), 0);
    let mut chunks = Vec::new();
    for (kind, chunk) in [(*b"JSON", text), (*b"BIN\0", binary)] {
        if !chunk.is_empty() {
            chunks.extend((chunk.len() as u32).to_le_bytes());
            chunks.extend(kind);
            chunks.extend(chunk);
        }
    }
    let mut file = b"glTF".to_vec();
    file.extend(2u32.to_le_bytes());
    file.extend((12 + chunks.len() as u32).to_le_bytes());
    file.extend(chunks);
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(file: &[u8]) -> (Value, &[u8]) {
        let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap()) as usize;
        assert_eq!((&file[..4], word(4), word(8)), (&b"glTF"[..], 2, file.len()));
        let end = 20 + word(12);
        let rest = if end < file.len() { &file[end + 8..] } else { &[] };
        (serde_json::from_slice(&file[20..end]).unwrap(), rest)
    }

    #[test]
    fn a_file_has_a_node_for_each_surface_and_all_its_bytes() {
        let points = vec![[0.0; 3], [2.0, 0.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, -4.0]];
        let triangles = vec![[0, 1, 2], [0, 3, 1], [0, 2, 3], [1, 3, 2]];
        let surface = Surface { points, triangles };
        assert!(surface.is_closed() && surface.volume_ml() > 0.0);
        let file = glb(&Surfaces { liver: Some(surface.clone()), lesions: vec![(1, surface)] });
        let (document, binary) = parsed(&file);
        assert_eq!(document["nodes"][0]["name"], "lesion 1");
        assert_eq!(document["nodes"][1]["name"], "liver");
        assert_eq!(document["scenes"][0]["nodes"][0], 2);
        assert_eq!(document["accessors"][0]["min"], json!([0.0, 0.0, -4.0]));
        assert_eq!(document["buffers"][0]["byteLength"], 2 * (4 * 24 + 4 * 12));
        assert_eq!(binary.len(), 2 * (4 * 24 + 4 * 12));
        assert_eq!(f32::from_le_bytes(binary[12..16].try_into().unwrap()), 2.0);
    }

    #[test]
    fn without_surfaces_the_file_is_still_one() {
        let file = glb(&Surfaces { liver: None, lesions: Vec::new() });
        let (document, binary) = parsed(&file);
        assert!(document.get("meshes").is_none() && binary.is_empty());
    }
}
