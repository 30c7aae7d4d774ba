//! How values go with another one, as lines.

use std::fmt::Write;

use super::{EDGE, HEIGHT, Scale, WIDTH, axis_below, begin, end, key_entry, level_lines, plain};
use crate::html::escaped;

/// Points of a line that are drawn at most.
const MOST_POINTS: usize = 400;

/// Magnitudes that can be drawn.
const LEAST: f64 = 1e-30;
const GREATEST: f64 = 1e30;

/// A line of a chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Line<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its colour, as CSS has it.
    pub colour: &'static str,
    /// Its width in pixels.
    pub width: f64,
    /// What it goes through, across and up, from left to right.
    pub points: Vec<(f64, f64)>,
}

/// Lines over what `across` names, both axes from 0 on, with a key and in words; nothing without a point.
///
/// Points that are no numbers are left out. Of more than 400 points, 400 are drawn, evenly apart, the first and the last
/// among them.
pub fn line_chart(title: &str, across: &str, lines: &[Line<'_>]) -> String {
    let lines: Vec<Line<'_>> = lines.iter().map(Line::thinned).filter(|line| !line.points.is_empty()).collect();
    if lines.is_empty() {
        return String::new();
    }
    let points = || lines.iter().flat_map(|line| &line.points);
    let x = from_zero(points().map(|(x, _)| *x), 0.06, EDGE[0], WIDTH - EDGE[1]);
    // Room for the key above the highest point.
    let y = from_zero(points().map(|(_, y)| *y), 0.3, HEIGHT - EDGE[3], EDGE[2]);
    let mut svg = begin(title);
    let words: Vec<String> = lines.iter().map(|line| line.words(across, &y)).collect();
    let _ = write!(svg, "<desc>{}</desc>", escaped(&words.join(". ")));
    level_lines(&mut svg, &y);
    axis_below(&mut svg, &x, across);
    for (n, line) in lines.iter().enumerate() {
        line.draw(&mut svg, &x, &y);
        key_entry(&mut svg, n, line.colour, line.name);
    }
    end(svg, title)
}

impl Line<'_> {
    /// The same through the points that are drawn.
    fn thinned(&self) -> Self {
        let is_drawable = |(x, y): &(f64, f64)| x.abs() < GREATEST && y.abs() < GREATEST;
        let points: Vec<(f64, f64)> = self.points.iter().copied().filter(is_drawable).collect();
        let count = points.len().min(MOST_POINTS);
        let point = |n: usize| points[n * (points.len() - 1) / (count - 1).max(1)];
        Self { name: self.name, colour: self.colour, width: self.width, points: (0..count).map(point).collect() }
    }

    /// Where it begins, where it ends and what it lies between, for those who do not see it.
    fn words(&self, across: &str, y: &Scale) -> String {
        let (Some(first), Some(last)) = (self.points.first(), self.points.last()) else { return String::new() };
        let at = |(x, value): &(f64, f64)| format!("{} at {across} {}", y.text(*value), plain(*x));
        let least = self.points.iter().map(|(_, value)| *value).fold(f64::INFINITY, f64::min);
        let most = self.points.iter().map(|(_, value)| *value).fold(f64::NEG_INFINITY, f64::max);
        let (name, least, most) = (self.name, y.text(least), y.text(most));
        format!("{name}: from {} to {}, between {least} and {most}", at(first), at(last))
    }

    /// The line, with a dot where it ends.
    fn draw(&self, svg: &mut String, x: &Scale, y: &Scale) {
        let mut path = String::new();
        for (n, (across, up)) in self.points.iter().enumerate() {
            let command = if n == 0 { "M" } else { "L" };
            let _ = write!(path, "{command}{:.1} {:.1}", x.at(*across), y.at(*up));
        }
        let Self { colour, width, .. } = self;
        let _ =
            write!(svg, "<path d=\"{path}\" stroke=\"{colour}\" stroke-width=\"{width}\" stroke-linejoin=\"round\"/>");
        if let Some((across, up)) = self.points.last() {
            let (x, y) = (x.at(*across), y.at(*up));
            let _ = write!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.5\" fill=\"{colour}\"/>");
        }
    }
}

/// From `from` to `to` pixels, for 0 and all values; above the largest is a share `room` of what lies below it.
fn from_zero(values: impl Iterator<Item = f64>, room: f64, from: f64, to: f64) -> Scale {
    let (low, high) = values.fold((0.0f64, 0.0f64), |(low, high), value| (low.min(value), high.max(value)));
    let high = if high < LEAST { 1.0 } else { high };
    Scale { low, high: high + room * (high - low), from, to }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(points: impl IntoIterator<Item = (f64, f64)>) -> Line<'static> {
        Line { name: "a<b", colour: "#123456", width: 1.0, points: points.into_iter().collect() }
    }

    /// Corners of all lines of a chart.
    fn corners(chart: &str) -> usize {
        let (_, path) = chart.split_once("<path d=\"M56.0 ").unwrap();
        path.split_once('"').unwrap().0.matches('L').count() + 1
    }

    #[test]
    fn every_point_is_drawn_and_the_line_is_told_in_words() {
        let chart = line_chart("<Loss>", "step", &[line([(0.0, 1.0), (10.0, 0.25), (20.0, 0.5)])]);
        assert_eq!(corners(&chart), 3);
        assert!(chart.contains("a&lt;b: from 1 at step 0 to 0.5 at step 20, between 0.25 and 1</desc>"), "{chart}");
        assert!(chart.contains("aria-label=\"&lt;Loss&gt;\"") && chart.contains(">step</text>"));
    }

    #[test]
    fn long_lines_are_thinned_to_four_hundred_points_with_both_ends() {
        let long = line((0..10_001).map(|n| (f64::from(n), 1.0)));
        let points = long.thinned().points;
        assert_eq!((points[0].0, points[399].0), (0.0, 10_000.0));
        assert!(points.windows(2).all(|pair| (24.0..=27.0).contains(&(pair[1].0 - pair[0].0))));
        assert_eq!(corners(&line_chart("Loss", "step", &[long])), 400);
        let short = line((0..400).map(|n| (f64::from(n), 1.0)));
        assert_eq!(short.thinned(), short);
    }

    #[test]
    fn what_is_no_number_is_not_drawn() {
        let odd = [f64::NAN, f64::INFINITY, f64::MAX, -1e300].map(|value| (1.0, value));
        assert_eq!(line_chart("Loss", "step", &[line(odd), line([])]), "");
        for point in [(0.0, 0.0), (1.0, 1e-320), (1e29, -1e29), (1e19, 1e-4)] {
            let chart = line_chart("Loss", "step", &[line(odd.into_iter().chain([point]))]);
            assert!(chart.contains("<circle") && !chart.contains("NaN") && !chart.contains("inf"), "{chart}");
        }
    }

    #[test]
    fn small_values_have_ticks_that_differ() {
        let chart = line_chart("Learning rate", "step", &[line([(0.0, 1e-3), (10.0, 2.5e-4)])]);
        assert!(chart.contains(">5e-4</text>") && chart.contains(">1e-3</text>") && chart.contains(">0</text>"));
        assert!(chart.contains("from 1e-3 at step 0 to 2.5e-4 at step 10"), "{chart}");
    }
}
