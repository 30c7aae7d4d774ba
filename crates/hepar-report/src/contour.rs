//! Lines along which a picture has a value: marching squares.

use ndarray::ArrayView2;

const NONE: u32 = u32::MAX;

/// A line through the points `[x, y]` in pixels: the centre of pixel (0, 0) is at (0.5, 0.5).
///
/// A closed line ends where it begins; others end at the edge of the picture.
pub(crate) type Polyline = Vec<[f32; 2]>;

/// The lines along which `field`, `[y, x]`, is 0.5, linear between the centres of its pixels.
///
/// Where two opposite corners of a square of pixels lie above and two below, the mean of the four decides which are
/// joined. The order of lines depends on the field alone.
pub(crate) fn contours(field: ArrayView2<f32>) -> Vec<Polyline> {
    let graph = Graph::of(field);
    let mut visited = vec![false; graph.neighbours.len()];
    let mut lines = Vec::new();
    // Open lines begin at their ends; what is left after them are loops.
    for ends in [1, 2] {
        for edge in 0..graph.neighbours.len() {
            if !visited[edge] && graph.degree(edge) == ends {
                lines.push(graph.walk(edge, &mut visited));
            }
        }
    }
    lines
}

/// The crossed edges between neighbouring pixels, joined through the squares between four pixels.
///
/// Edge 2·(y·width + x) leads to the right from pixel (x, y), the next one down.
struct Graph<'a> {
    field: ArrayView2<'a, f32>,
    /// For each edge the one or two that follow it, or [`NONE`].
    neighbours: Vec<[u32; 2]>,
}

impl<'a> Graph<'a> {
    fn of(field: ArrayView2<'a, f32>) -> Self {
        let (height, width) = field.dim();
        let mut graph = Self { field, neighbours: vec![[NONE; 2]; 2 * height * width] };
        for y in 0..height.saturating_sub(1) {
            for x in 0..width.saturating_sub(1) {
                graph.join_through(y, x);
            }
        }
        graph
    }

    /// Joins the crossed edges of the square whose upper left pixel is (x, y).
    fn join_through(&mut self, y: usize, x: usize) {
        // Clockwise from the upper left.
        let corners = [[y, x], [y, x + 1], [y + 1, x + 1], [y + 1, x]].map(|corner| self.field[corner]);
        let [a, b, c, d] = corners.map(|value| value > 0.5);
        if a == b && b == c && c == d {
            return;
        }
        let width = self.field.ncols();
        let at = |y: usize, x: usize, down: usize| 2 * (y * width + x) + down;
        let (top, right, bottom, left) = (at(y, x, 0), at(y, x + 1, 1), at(y + 1, x, 0), at(y, x, 1));
        if a == c && b == d {
            let middle = corners.iter().sum::<f32>() > 2.0;
            // The two corners unlike the middle are cut off.
            let pairs = if a == middle { [(top, right), (bottom, left)] } else { [(left, top), (right, bottom)] };
            pairs.into_iter().for_each(|(one, other)| self.join(one, other));
            return;
        }
        let mut crossed = [(a != b, top), (b != c, right), (c != d, bottom), (d != a, left)]
            .into_iter()
            .filter_map(|(is_crossed, edge)| is_crossed.then_some(edge));
        if let (Some(one), Some(other)) = (crossed.next(), crossed.next()) {
            self.join(one, other);
        }
    }

    fn join(&mut self, one: usize, other: usize) {
        for (edge, next) in [(one, other), (other, one)] {
            // An edge lies between two squares, so that it never gets a third neighbour.
            let free = usize::from(self.neighbours[edge][0] != NONE);
            self.neighbours[edge][free] = next as u32;
        }
    }

    fn degree(&self, edge: usize) -> usize {
        self.neighbours[edge].iter().filter(|&&next| next != NONE).count()
    }

    fn walk(&self, start: usize, visited: &mut [bool]) -> Polyline {
        let mut line = Vec::new();
        let mut edge = start;
        loop {
            visited[edge] = true;
            line.push(self.crossing(edge));
            let next = self.neighbours[edge].iter().find(|&&next| next != NONE && !visited[next as usize]);
            match next {
                Some(&next) => edge = next as usize,
                None => break,
            }
        }
        if self.degree(start) == 2 {
            line.push(line[0]);
        }
        line
    }

    /// Where the value is passed on an edge.
    fn crossing(&self, edge: usize) -> [f32; 2] {
        let (pixel, down) = (edge / 2, edge % 2);
        let (y, x) = (pixel / self.field.ncols(), pixel % self.field.ncols());
        let (from, to) = (self.field[[y, x]], self.field[[y + down, x + 1 - down]]);
        let t = (0.5 - from) / (to - from);
        let (dx, dy) = if down == 1 { (0.0, t) } else { (t, 0.0) };
        [x as f32 + 0.5 + dx, y as f32 + 0.5 + dy]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, array};

    /// Area within closed lines, signed by the sense of their turn.
    fn area(line: &Polyline) -> f32 {
        line.windows(2).map(|ends| (ends[0][0] * ends[1][1] - ends[1][0] * ends[0][1]) / 2.0).sum()
    }

    #[test]
    fn a_disc_has_one_closed_line_at_its_radius() {
        let distance = |y: usize, x: usize| (y as f32 - 20.3).hypot(x as f32 - 17.8);
        let disc = Array2::from_shape_fn((40, 50), |(y, x)| 0.5 + 0.1 * (12.0 - distance(y, x)));
        let lines = contours(disc.view());
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].first(), lines[0].last());
        for [x, y] in &lines[0] {
            assert!(((x - 18.3).hypot(y - 20.8) - 12.0).abs() < 0.05);
        }
        assert!((area(&lines[0]).abs() - 144.0 * std::f32::consts::PI).abs() < 3.0);
    }

    #[test]
    fn a_hole_has_a_line_of_its_own_and_the_edge_of_the_picture_ends_lines() {
        let mut field = Array2::from_elem((9, 9), 1.0f32);
        field[[4, 4]] = 0.0;
        let lines = contours(field.view());
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].len(), 5);
        let half = Array2::from_shape_fn((3, 4), |(_, x)| if x < 2 { 1.0 } else { 0.0 });
        assert_eq!(contours(half.view()), [vec![[2.0, 0.5], [2.0, 1.5], [2.0, 2.5]]]);
    }

    #[test]
    fn at_a_saddle_the_mean_decides() {
        assert_eq!(contours(array![[1.0, 0.0], [0.0, 1.0]].view()).len(), 2);
        let joined = contours(array![[1.0, 0.4], [0.4, 1.0]].view());
        let cut_off = contours(array![[0.6, 0.0], [0.0, 0.6]].view());
        // Joined corners leave lines around the other two, on the upper right and the lower left.
        assert!(joined.iter().any(|line| line.iter().all(|[x, y]| x > y)));
        assert!(cut_off.iter().any(|line| line.iter().all(|[x, y]| x + y < 2.0)));
    }

    #[test]
    fn an_even_picture_and_one_of_a_single_pixel_have_no_lines() {
        assert!(contours(Array2::from_elem((4, 4), 1.0).view()).is_empty());
        assert!(contours(Array2::from_elem((1, 1), 1.0).view()).is_empty());
        assert!(contours(Array2::from_elem((1, 7), 0.0).view()).is_empty());
    }
}
