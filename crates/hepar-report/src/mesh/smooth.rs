use super::surface::Surface;

/// How often a surface is smoothed.
const ROUNDS: usize = 12;

/// How far corners move towards the mean of their neighbours, and then away from it: a low pass whose gain is 1 for
/// slow changes, so that volumes stay.
const STEPS: [f32; 2] = [0.5, -0.53];

/// Smooths a closed surface (Taubin, "A signal processing approach to fair surface design", SIGGRAPH 1995).
pub(super) fn smooth(surface: &mut Surface) {
    for step in STEPS.into_iter().cycle().take(2 * ROUNDS) {
        relax(surface, step);
    }
}

/// Moves every corner a share of the way to the mean of its neighbours.
fn relax(surface: &mut Surface, step: f32) {
    let mut sums = vec![([0.0f32; 3], 0u32); surface.points.len()];
    for &[a, b, c] in &surface.triangles {
        // In a closed surface every edge is passed both ways, so that each neighbour is counted once.
        for (from, to) in [(a, b), (b, c), (c, a)] {
            let (sum, count) = &mut sums[from as usize];
            let neighbour = surface.points[to as usize];
            (0..3).for_each(|axis| sum[axis] += neighbour[axis]);
            *count += 1;
        }
    }
    for (point, (sum, count)) in surface.points.iter_mut().zip(sums) {
        if count > 0 {
            (0..3).for_each(|axis| point[axis] += step * (sum[axis] / count as f32 - point[axis]));
        }
    }
}
