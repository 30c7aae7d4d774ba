//! The convolution as its definition says it, to test the fast one against.

use super::ConvShape;

/// `y[n, o, p] = b[o] + Σ x[n, i, p + t] · w[o, i, t]`, zeros beyond the border.
pub fn forward(shape: &ConvShape, x: &[f32], w: &[f32], b: &[f32]) -> Vec<f32> {
    let (voxels, taps) = (shape.voxels(), shape.taps());
    let mut y = vec![0.0; shape.batch * shape.outputs * voxels];
    for_each_term(shape, |n, o, i, output, input, tap| {
        let term =
            f64::from(x[(n * shape.inputs + i) * voxels + input]) * f64::from(w[(o * shape.inputs + i) * taps + tap]);
        y[(n * shape.outputs + o) * voxels + output] += term;
    });
    y.iter().enumerate().map(|(at, sum)| (sum + f64::from(b[at / voxels % shape.outputs])) as f32).collect()
}

/// Gradients of input, kernels and bias, given the gradient `g` of the output.
pub fn gradients(shape: &ConvShape, x: &[f32], w: &[f32], g: &[f32]) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let (voxels, taps) = (shape.voxels(), shape.taps());
    let (mut dx, mut dw, mut db) = (vec![0.0; x.len()], vec![0.0; w.len()], vec![0.0; shape.outputs]);
    for_each_term(shape, |n, o, i, output, input, tap| {
        let gradient = f64::from(g[(n * shape.outputs + o) * voxels + output]);
        let (at_x, at_w) = ((n * shape.inputs + i) * voxels + input, (o * shape.inputs + i) * taps + tap);
        dx[at_x] += gradient * f64::from(w[at_w]);
        dw[at_w] += gradient * f64::from(x[at_x]);
    });
    for (at, gradient) in g.iter().enumerate() {
        db[at / voxels % shape.outputs] += f64::from(*gradient);
    }
    let narrow = |values: Vec<f64>| values.into_iter().map(|v| v as f32).collect();
    (narrow(dx), narrow(dw), narrow(db))
}

/// Calls `term(n, output channel, input channel, output voxel, input voxel, tap)` for every product of the sum.
fn for_each_term(shape: &ConvShape, mut term: impl FnMut(usize, usize, usize, usize, usize, usize)) {
    let ([d, h, w], [kd, kh, kw]) = (shape.size, shape.kernel);
    let inside = |at: usize, tap: usize, side: usize, len: usize| (at + tap).checked_sub(side / 2).filter(|v| *v < len);
    for n in 0..shape.batch {
        for o in 0..shape.outputs {
            for i in 0..shape.inputs {
                for output in 0..d * h * w {
                    let (z, y, x) = (output / (h * w), output / w % h, output % w);
                    for tap in 0..kd * kh * kw {
                        let (tz, ty, tx) = (tap / (kh * kw), tap / kw % kh, tap % kw);
                        let at = (inside(z, tz, kd, d), inside(y, ty, kh, h), inside(x, tx, kw, w));
                        if let (Some(z), Some(y), Some(x)) = at {
                            term(n, o, i, output, (z * h + y) * w + x, tap);
                        }
                    }
                }
            }
        }
    }
}
