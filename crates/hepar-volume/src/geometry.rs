/// Where the voxels of a grid lie in the patient.
///
/// The affine maps voxel indices `(i, j, k, 1)` to RAS+ world millimetres (x to the patient's right, y anterior,
/// z superior) at voxel centres. A geometry is always finite and invertible and has at least one voxel.
#[derive(Debug, Clone, PartialEq)]
pub struct Geometry {
    affine: [[f64; 4]; 4],
    inverse: [[f64; 4]; 4],
    shape: [usize; 3],
}

/// A point in the patient: RAS+ millimetres `[x, y, z]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Millimetres(pub [f64; 3]);

/// Why an affine and a shape are no grid in space.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GeometryError {
    /// A number of the affine is NaN or infinite.
    #[error("the affine holds {0}, which is no finite number")]
    NotFinite(f64),
    /// The last row is not (0, 0, 0, 1).
    #[error("the affine's last row is {0:?} instead of [0, 0, 0, 1]")]
    NotAffine([f64; 4]),
    /// Two axes point the same way, or one has no length.
    #[error("the affine cannot be inverted (determinant {0:e} mm³): an axis has no length or two axes are parallel")]
    Singular(f64),
    /// An axis has no voxels.
    #[error("the shape {0:?} (k, j, i) has an axis without voxels")]
    Empty([usize; 3]),
}

impl Geometry {
    /// A grid of `shape` voxels, `[k, j, i]`, whose `affine` maps `(i, j, k, 1)` to RAS+ millimetres.
    ///
    /// # Errors
    /// When the affine is not finite, not affine or not invertible, or an axis has no voxels.
    pub fn new(affine: [[f64; 4]; 4], shape: [usize; 3]) -> Result<Self, GeometryError> {
        if let Some(bad) = affine.iter().flatten().find(|v| !v.is_finite()) {
            return Err(GeometryError::NotFinite(*bad));
        }
        if affine[3] != [0.0, 0.0, 0.0, 1.0] {
            return Err(GeometryError::NotAffine(affine[3]));
        }
        if shape.contains(&0) {
            return Err(GeometryError::Empty(shape));
        }
        let inverse = invert(&affine).ok_or(GeometryError::Singular(determinant(&affine)))?;
        Ok(Self { affine, inverse, shape })
    }

    /// The grid of this one's voxels inside a box that is not empty, from voxel `start`, both `[k, j, i]`.
    ///
    /// Equal to [`Geometry::window`], but cannot fail.
    pub(crate) fn block(&self, start: [usize; 3], shape: [usize; 3]) -> Self {
        self.with_axes([0, 1, 2], [1.0; 3], start.map(|v| v as f64), shape)
    }

    /// The grid of the same voxels whose axes `[k, j, i]` are the axes `source` of this one, backwards where `flipped`.
    ///
    /// `source` is a permutation of 0, 1, 2.
    pub(crate) fn reoriented(&self, source: [usize; 3], flipped: [bool; 3]) -> Self {
        let mut first = [0.0; 3];
        for axis in 0..3 {
            if flipped[axis] {
                first[source[axis]] = (self.shape[source[axis]] - 1) as f64;
            }
        }
        let sign = flipped.map(|flip| if flip { -1.0 } else { 1.0 });
        self.with_axes(source, sign, first, source.map(|axis| self.shape[axis]))
    }

    /// Permutes the axes, turns them round where `sign` is -1 and begins at index `first` of this grid.
    ///
    /// The inverse stays what inverting the new matrix would give, but without a test for parallel axes that
    /// rounding could decide otherwise than it did for this grid.
    fn with_axes(&self, source: [usize; 3], sign: [f64; 3], first: [f64; 3], shape: [usize; 3]) -> Self {
        let origin = self.to_world(first).0;
        let (mut affine, mut inverse) = (self.affine, self.inverse);
        for axis in 0..3 {
            // An axis is counted in the order k, j, i, a column of the matrix in the order i, j, k.
            let (to, from) = (2 - axis, 2 - source[axis]);
            for row in 0..3 {
                affine[row][to] = sign[axis] * self.affine[row][from];
                inverse[to][row] = sign[axis] * self.inverse[from][row];
            }
        }
        for row in 0..3 {
            affine[row][3] = origin[row];
        }
        locate_origin(&mut inverse, origin);
        Self { affine, inverse, shape }
    }

    /// A grid whose axes i, j, k run along +x, +y, +z from the origin; `spacing` in millimetres, both `[k, j, i]`.
    ///
    /// # Errors
    /// As [`Geometry::new`], for a spacing that is zero or not finite.
    pub fn axis_aligned(shape: [usize; 3], spacing: [f64; 3]) -> Result<Self, GeometryError> {
        let [k, j, i] = spacing;
        let affine = [[i, 0.0, 0.0, 0.0], [0.0, j, 0.0, 0.0], [0.0, 0.0, k, 0.0], [0.0, 0.0, 0.0, 1.0]];
        Self::new(affine, shape)
    }

    /// The 4×4 matrix from `(i, j, k, 1)` to RAS+ millimetres, by rows.
    pub fn affine(&self) -> &[[f64; 4]; 4] {
        &self.affine
    }

    /// The 4×4 matrix from RAS+ millimetres to `(i, j, k, 1)`, by rows.
    pub fn inverse_affine(&self) -> &[[f64; 4]; 4] {
        &self.inverse
    }

    /// Number of voxels along `[k, j, i]`.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// Distance between neighbouring voxel centres along `[k, j, i]`, in millimetres; always positive.
    pub fn spacing(&self) -> [f64; 3] {
        let length = |column: usize| (0..3).map(|row| self.affine[row][column].powi(2)).sum::<f64>().sqrt();
        [length(2), length(1), length(0)]
    }

    /// Volume of one voxel in cubic millimetres; right for sheared grids too.
    pub fn voxel_volume(&self) -> f64 {
        determinant(&self.affine).abs()
    }

    /// Unit vectors, RAS+, along which `[k, j, i]` grow.
    pub fn directions(&self) -> [[f64; 3]; 3] {
        let [k, j, i] = self.spacing();
        let unit = |column: usize, length: f64| std::array::from_fn(|row| self.affine[row][column] / length);
        [unit(2, k), unit(1, j), unit(0, i)]
    }

    /// World position of a voxel centre, or of a point between voxels, given as `[k, j, i]`.
    pub fn to_world(&self, [k, j, i]: [f64; 3]) -> Millimetres {
        Millimetres(apply(&self.affine, [i, j, k]))
    }

    /// Index `[k, j, i]`, fractional and possibly outside of the grid, of a world position.
    pub fn to_index(&self, point: Millimetres) -> [f64; 3] {
        let [i, j, k] = apply(&self.inverse, point.0);
        [k, j, i]
    }

    /// The grid that begins at voxel `start`, `[k, j, i]`, of this one and has `shape` voxels of the same size.
    ///
    /// `start` may be negative and the new grid may reach beyond this one.
    ///
    /// # Errors
    /// When `shape` has an axis without voxels.
    pub fn window(&self, start: [i64; 3], shape: [usize; 3]) -> Result<Self, GeometryError> {
        let origin = self.to_world(start.map(|v| v as f64)).0;
        let mut affine = self.affine;
        for row in 0..3 {
            affine[row][3] = origin[row];
        }
        Self::new(affine, shape)
    }

    /// The grid over the same extent (outer voxel faces) with `shape` voxels, `[k, j, i]`.
    ///
    /// This is the geometry of a half-pixel resize: the first voxel's outer face stays where it is.
    ///
    /// # Errors
    /// When `shape` has an axis without voxels.
    pub fn resized(&self, shape: [usize; 3]) -> Result<Self, GeometryError> {
        if shape.contains(&0) {
            return Err(GeometryError::Empty(shape));
        }
        let factor: [f64; 3] = std::array::from_fn(|axis| self.shape[axis] as f64 / shape[axis] as f64);
        let first = self.to_world(factor.map(|f| (f - 1.0) / 2.0)).0;
        let mut affine = self.affine;
        for row in 0..3 {
            for column in 0..3 {
                affine[row][column] *= factor[2 - column];
            }
            affine[row][3] = first[row];
        }
        Self::new(affine, shape)
    }

    /// Whether both grids have the same shape and every corner of one lies within `tolerance` millimetres of the
    /// other's.
    pub fn matches(&self, other: &Self, tolerance: f64) -> bool {
        self.shape == other.shape
            && corners(self.shape).all(|corner| {
                let (a, b) = (self.to_world(corner).0, other.to_world(corner).0);
                (0..3).map(|axis| (a[axis] - b[axis]).powi(2)).sum::<f64>().sqrt() <= tolerance
            })
    }
}

/// The centres of the eight corner voxels of a grid, as indices `[k, j, i]`.
fn corners(shape: [usize; 3]) -> impl Iterator<Item = [f64; 3]> {
    (0..8usize)
        .map(move |bits| std::array::from_fn(|axis| if bits >> axis & 1 == 1 { (shape[axis] - 1) as f64 } else { 0.0 }))
}

fn apply(m: &[[f64; 4]; 4], p: [f64; 3]) -> [f64; 3] {
    std::array::from_fn(|row| m[row][0] * p[0] + m[row][1] * p[1] + m[row][2] * p[2] + m[row][3])
}

/// Determinant of the upper left 3×3 part.
fn determinant(m: &[[f64; 4]; 4]) -> f64 {
    m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0])
        + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0])
}

/// Inverse of an affine matrix, or `None` when its axes are parallel to within rounding or have no length.
fn invert(m: &[[f64; 4]; 4]) -> Option<[[f64; 4]; 4]> {
    let det = determinant(m);
    let scale: f64 = (0..3).map(|column| (0..3).map(|row| m[row][column].powi(2)).sum::<f64>().sqrt()).product();
    if !det.is_finite() || det == 0.0 || det.abs() < 1e-6 * scale {
        return None;
    }
    let mut inverse = [[0.0; 4]; 4];
    for row in 0..3 {
        for column in 0..3 {
            // Adjugate: cyclic indices give the cofactor with its sign.
            let (a, b) = ((column + 1) % 3, (column + 2) % 3);
            let (c, d) = ((row + 1) % 3, (row + 2) % 3);
            inverse[row][column] = (m[a][c] * m[b][d] - m[a][d] * m[b][c]) / det;
        }
    }
    locate_origin(&mut inverse, [m[0][3], m[1][3], m[2][3]]);
    inverse[3][3] = 1.0;
    inverse.iter().flatten().all(|v| v.is_finite()).then_some(inverse)
}

/// Sets the last column of an inverse so that `origin` has index 0.
fn locate_origin(inverse: &mut [[f64; 4]; 4], origin: [f64; 3]) {
    for row in inverse.iter_mut().take(3) {
        row[3] = -(0..3).map(|column| row[column] * origin[column]).sum::<f64>();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn oblique() -> Geometry {
        let affine = [[-0.7, 0.1, 0.3, 12.0], [0.05, 0.8, -0.4, -7.0], [0.2, 0.1, 2.4, 100.0], [0.0, 0.0, 0.0, 1.0]];
        Geometry::new(affine, [7, 5, 6]).unwrap()
    }

    #[test]
    fn to_index_undoes_to_world() {
        let index = [3.25, 1.5, -2.0];
        let back = oblique().to_index(oblique().to_world(index));
        assert!((0..3).all(|axis| (back[axis] - index[axis]).abs() < 1e-12), "{back:?}");
    }

    #[test]
    fn a_resized_grid_keeps_its_outer_faces() {
        let grid = oblique();
        let resized = grid.resized([14, 3, 9]).unwrap();
        let first_face = |g: &Geometry| g.to_world([-0.5; 3]).0;
        let last_face = |g: &Geometry| g.to_world(g.shape().map(|n| n as f64 - 0.5)).0;
        for axis in 0..3 {
            assert!((first_face(&grid)[axis] - first_face(&resized)[axis]).abs() < 1e-9);
            assert!((last_face(&grid)[axis] - last_face(&resized)[axis]).abs() < 1e-9);
        }
    }

    #[test]
    fn a_window_shares_its_voxels_with_the_grid() {
        let grid = oblique();
        let window = grid.window([2, -1, 3], [3, 4, 2]).unwrap();
        assert_eq!(window.to_world([0.0; 3]), grid.to_world([2.0, -1.0, 3.0]));
        assert_eq!(window.spacing(), grid.spacing());
    }

    #[test]
    fn parallel_axes_are_refused() {
        let affine = [[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]];
        assert!(matches!(Geometry::new(affine, [1, 1, 1]), Err(GeometryError::Singular(_))));
    }

    #[test]
    fn very_small_and_very_large_voxels_are_grids() {
        assert!(Geometry::axis_aligned([1, 1, 1], [1e-5; 3]).is_ok());
        assert!(Geometry::axis_aligned([1, 1, 1], [1e5; 3]).is_ok());
    }
}
