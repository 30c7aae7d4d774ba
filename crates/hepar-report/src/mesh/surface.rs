use fast_surface_nets::ndshape::RuntimeShape;
use fast_surface_nets::{SurfaceNetsBuffer, surface_nets};
use hepar_volume::{Geometry, Volume};
use ndarray::{Array3, Slice};

use super::smooth::smooth;
use crate::blocks::Blocks;

/// A closed surface of triangles.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Surface {
    /// Its corners in RAS+ millimetres.
    pub points: Vec<[f32; 3]>,
    /// Three corners each, counter-clockwise when seen from outside.
    pub triangles: Vec<[u32; 3]>,
}

impl Surface {
    /// Unit vectors outwards at its corners: the mean of the triangles around each, weighted by their areas.
    pub fn normals(&self) -> Vec<[f32; 3]> {
        let mut normals = vec![[0.0f32; 3]; self.points.len()];
        for triangle in &self.triangles {
            let normal = self.doubled_area(triangle);
            for &corner in triangle {
                (0..3).for_each(|axis| normals[corner as usize][axis] += normal[axis]);
            }
        }
        for normal in &mut normals {
            *normal = unit(*normal);
        }
        normals
    }

    /// The enclosed volume in millilitres; negative when the triangles face inwards.
    pub fn volume_ml(&self) -> f64 {
        let corner = |n: u32| self.points[n as usize].map(f64::from);
        let sixfold = |triangle: &[u32; 3]| {
            let [a, b, c] = triangle.map(corner);
            a[0] * (b[1] * c[2] - b[2] * c[1]) - a[1] * (b[0] * c[2] - b[2] * c[0]) + a[2] * (b[0] * c[1] - b[1] * c[0])
        };
        self.triangles.iter().map(sixfold).sum::<f64>() / 6000.0
    }

    /// Whether two triangles meet at every edge and pass it in opposite directions: no holes, one orientation.
    pub fn is_closed(&self) -> bool {
        let mut passes = std::collections::BTreeMap::new();
        for [a, b, c] in &self.triangles {
            for (from, to) in [(a, b), (b, c), (c, a)] {
                passes.entry((from.min(to), from.max(to))).or_insert([0; 2])[usize::from(from < to)] += 1;
            }
        }
        !self.triangles.is_empty() && passes.values().all(|&both| both == [1, 1])
    }

    /// Cross product of two edges of a triangle: its normal, as long as twice its area.
    pub(super) fn doubled_area(&self, triangle: &[u32; 3]) -> [f32; 3] {
        let [a, b, c] = triangle.map(|n| self.points[n as usize]);
        let (u, v): ([f32; 3], [f32; 3]) =
            (std::array::from_fn(|axis| b[axis] - a[axis]), std::array::from_fn(|axis| c[axis] - a[axis]));
        [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]]
    }

    /// The mean of its corners.
    #[cfg(test)]
    pub(super) fn centre(&self) -> [f32; 3] {
        let count = self.points.len() as f64;
        [0, 1, 2].map(|axis| (self.points.iter().map(|point| f64::from(point[axis])).sum::<f64>() / count) as f32)
    }
}

/// A vector of length 1 in the same direction; zero stays zero.
pub(super) fn unit(vector: [f32; 3]) -> [f32; 3] {
    let length = vector.iter().map(|v| v * v).sum::<f32>().sqrt();
    if length > 0.0 { vector.map(|v| v / length) } else { vector }
}

/// The smoothed surface of what is `inside` a volume, which is taken in blocks when it has more voxels than `limit`;
/// `None` of nothing.
pub(super) fn surface<T: Sync>(
    volume: &Volume<T>,
    inside: impl Fn(&T) -> bool + Sync,
    limit: usize,
) -> Option<Surface> {
    let blocks = Blocks::at_most(limit, volume.shape(), volume.geometry().spacing());
    // A geometry's axes are not parallel, and longer ones are not either.
    let grid = blocks.geometry(volume.geometry()).ok()?;
    let mut shares = blocks.shares(volume.data(), inside);
    join_at_edges(&mut shares);
    let mut surface = net(shares, &grid)?;
    smooth(&mut surface);
    Some(surface)
}

/// Fills voxels where parts touch along an edge alone: four triangles would meet there, and no one could say which two
/// of them go on into each other.
fn join_at_edges(shares: &mut Array3<f32>) {
    let (_, height, width) = shares.dim();
    let lengths = shares.raw_dim();
    let strides = [height * width, width, 1];
    let Some(voxels) = shares.as_slice_mut() else { return };
    let mut changed = true;
    while changed {
        changed = false;
        for [a, b] in [[0, 1], [0, 2], [1, 2]] {
            for (k, j, i) in ndarray::indices(lengths) {
                let index = [k, j, i];
                if index[a] + 1 == lengths[a] || index[b] + 1 == lengths[b] {
                    continue;
                }
                let first = k * strides[0] + j * strides[1] + i;
                let corners = [first, first + strides[a], first + strides[b], first + strides[a] + strides[b]];
                let [here, along, across, opposite] = corners.map(|corner| voxels[corner] > 0.5);
                if here == opposite && along == across && here != along {
                    voxels[if here { corners[1] } else { first }] = 1.0;
                    changed = true;
                }
            }
        }
    }
}

/// The surface along which shares, `[k, j, i]`, are a half; `None` when it is nowhere.
fn net(shares: Array3<f32>, grid: &Geometry) -> Option<Surface> {
    // Nothing around closes the surface: a voxel before, and two behind, since the net has no faces in the last row.
    let padded = grid.shape().map(|len| len + 3);
    let mut distances = Array3::from_elem(padded, 0.5f32);
    let mut inner = distances.slice_each_axis_mut(|_| Slice::new(1, Some(-2), 1));
    inner.zip_mut_with(&shares, |distance, share| *distance -= share);
    let [nk, nj, ni] = padded.map(|len| u32::try_from(len).ok());
    let shape = [ni?, nj?, nk?];
    let mut buffer = SurfaceNetsBuffer::default();
    let voxels = distances.as_slice()?;
    surface_nets(voxels, &RuntimeShape::<u32, 3>::new(shape), [0; 3], shape.map(|len| len - 1), &mut buffer);
    let place = |[i, j, k]: [f32; 3]| {
        grid.to_world([k, j, i].map(|index| f64::from(index) - 1.0)).0.map(|millimetres| millimetres as f32)
    };
    let points: Vec<[f32; 3]> = buffer.positions.into_iter().map(place).collect();
    let mut triangles: Vec<[u32; 3]> =
        buffer.indices.chunks_exact(3).map(|corners| [corners[0], corners[1], corners[2]]).collect();
    let mut surface = Surface { points, triangles: Vec::new() };
    if is_mirrored(grid) {
        triangles.iter_mut().for_each(|triangle| triangle.swap(1, 2));
    }
    surface.triangles = triangles;
    (!surface.triangles.is_empty()).then_some(surface)
}

/// Whether the axes i, j, k of a grid are left-handed, so that what turns one way in indices turns the other in space.
fn is_mirrored(grid: &Geometry) -> bool {
    let [k, j, i] = grid.directions();
    let determinant =
        i[0] * (j[1] * k[2] - j[2] * k[1]) - i[1] * (j[0] * k[2] - j[2] * k[0]) + i[2] * (j[0] * k[1] - j[1] * k[0]);
    determinant < 0.0
}
