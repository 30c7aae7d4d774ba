use super::surface::{Surface, unit};

/// A surface as binary STL, in RAS+ millimetres, for printing and modelling programs.
///
/// `SPACE=RAS` in the text is for 3D Slicer, which else takes the axes for LPS and turns the surface by 180°.
///
/// Source: 3D Systems, "StereoLithography Interface Specification" (1988): 80 bytes of text, the number of triangles,
/// then for each a normal, three corners and two bytes of nothing, little-endian.
pub fn stl(surface: &Surface) -> Vec<u8> {
    const TEXT: &[u8] = b"hepar SPACE=RAS millimetres";
    let mut bytes = vec![b' '; 80];
    bytes[..TEXT.len()].copy_from_slice(TEXT);
    bytes.extend((surface.triangles.len() as u32).to_le_bytes());
    for triangle in &surface.triangles {
        let corners = triangle.map(|corner| surface.points[corner as usize]);
        let vectors = [unit(surface.doubled_area(triangle)), corners[0], corners[1], corners[2]];
        bytes.extend(vectors.into_iter().flatten().flat_map(f32::to_le_bytes));
        bytes.extend([0, 0]);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_triangle_takes_fifty_bytes_and_comes_with_its_normal() {
        let points = vec![[0.0; 3], [2.0, 0.0, 0.0], [0.0, 3.0, 0.0]];
        let bytes = stl(&Surface { points, triangles: vec![[0, 1, 2]] });
        assert_eq!((bytes.len(), &bytes[80..84]), (84 + 50, &1u32.to_le_bytes()[..]));
        assert!(!bytes.starts_with(b"solid"), "that is how text files begin");
        let number = |n: usize| f32::from_le_bytes(bytes[84 + 4 * n..88 + 4 * n].try_into().unwrap());
        assert_eq!([number(0), number(1), number(2), number(6), number(10)], [0.0, 0.0, 1.0, 2.0, 3.0]);
    }

    #[test]
    fn slicer_does_not_turn_the_surface_since_the_text_names_its_space() {
        let bytes = stl(&Surface { points: Vec::new(), triangles: Vec::new() });
        assert!(bytes[..80].starts_with(b"hepar SPACE=RAS "));
    }
}
