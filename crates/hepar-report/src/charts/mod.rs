//! Charts as SVG within a page; names are escaped.

mod histogram;
mod lines;

use std::fmt::Write;

use crate::html::escaped;

pub use histogram::{Bins, histogram};
pub use lines::{Line, line_chart};

const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 260.0;
/// Room for the axes: left, right, top, bottom.
const EDGE: [f64; 4] = [56.0, 12.0, 12.0, 34.0];

/// Where values stand in a chart.
struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Scale {
    /// From `from` to `to` pixels, for all values; wide enough for some when all are equal.
    fn over(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        let (low, high) = if low > high { (0.0, 1.0) } else { (low, high) };
        let room = if high > low { 0.06 * (high - low) } else { 0.5 * high.abs().max(1.0) };
        Self { low: low - room, high: high + room, from, to }
    }

    fn at(&self, value: f64) -> f64 {
        self.from + (value - self.low) / (self.high - self.low) * (self.to - self.from)
    }

    /// Round values within the scale, four to nine of them.
    fn ticks(&self) -> Vec<f64> {
        let rough = (self.high - self.low) / 5.0;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|step| *step >= rough).unwrap_or(rough);
        let first = (self.low / step).ceil() as i64;
        let last = (self.high / step).floor() as i64;
        (first..=last).map(|n| n as f64 * step).collect()
    }

    /// A value without needless zeros, as a power of ten where the whole scale is small.
    fn text(&self, value: f64) -> String {
        if value == 0.0 || self.low.abs().max(self.high.abs()) >= 0.01 {
            return plain(value);
        }
        format!("{value:.1e}").replace(".0e", "e")
    }
}

/// The smallest, the quarters and the largest of some values, linear between two; `None` without any.
fn quarters(values: &[f64]) -> Option<[f64; 5]> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    Some([0.0, 0.25, 0.5, 0.75, 1.0].map(|share| {
        let position = share * last as f64;
        let below = position.floor() as usize;
        sorted[below] + (sorted[(below + 1).min(last)] - sorted[below]) * (position - below as f64)
    }))
}

/// A box for each group of values: quarters, median, whiskers to the extremes, every value as a dot.
pub fn box_plot(title: &str, groups: &[(&str, Vec<f64>)], range: Option<(f64, f64)>) -> String {
    let (bottom, top) = (HEIGHT - EDGE[3], EDGE[2]);
    let all = groups.iter().flat_map(|(_, values)| values.iter().copied());
    let scale = Scale::over(all.chain(range.iter().flat_map(|(low, high)| [*low, *high])), bottom, top);
    let mut svg = begin(title);
    level_lines(&mut svg, &scale);
    let step = (WIDTH - EDGE[0] - EDGE[1]) / groups.len().max(1) as f64;
    for (n, (name, values)) in groups.iter().enumerate() {
        let x = EDGE[0] + step * (n as f64 + 0.5);
        let _ = write!(
            svg,
            "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            HEIGHT - 12.0,
            escaped(name)
        );
        let Some(quarters) = quarters(values) else { continue };
        let [least, low, middle, high, most] = quarters.map(|value| scale.at(value));
        let _ = write!(
            svg,
            "<path d=\"M{x:.1} {least:.1}V{low:.1}M{x:.1} {high:.1}V{most:.1}\" stroke=\"#57606a\"/>\
             <rect x=\"{:.1}\" y=\"{high:.1}\" width=\"60\" height=\"{:.1}\" fill=\"#b6d4f2\" stroke=\"#3a6ea5\"/>\
             <path d=\"M{:.1} {middle:.1}h60\" stroke=\"#16324f\" stroke-width=\"2\"/>",
            x - 30.0,
            low - high,
            x - 30.0,
        );
        for (m, value) in values.iter().enumerate() {
            // Side by side in a fixed order, so that equal values do not hide each other.
            let aside = ((m * 7) % 13) as f64 * 3.0 - 18.0;
            let (cx, cy) = (x + 56.0 + aside, scale.at(*value));
            let _ =
                write!(svg, "<circle cx=\"{cx:.1}\" cy=\"{cy:.1}\" r=\"2.2\" fill=\"#3a6ea5\" fill-opacity=\".55\"/>");
        }
    }
    end(svg, title)
}

/// Differences of two measurements (name, predicted, reference) over their means, with the mean difference and its
/// limits of agreement (± 1.96 standard deviations; Bland and Altman, Lancet 1986). Nothing without measurements.
pub fn bland_altman(title: &str, points: &[(String, f64, f64)]) -> String {
    if points.is_empty() {
        return String::new();
    }
    let title = format!("{title}: prediction less reference over their mean");
    let count = points.len() as f64;
    let differences = || points.iter().map(|(_, predicted, reference)| predicted - reference);
    let mean = differences().sum::<f64>() / count;
    let deviation = (differences().map(|d| (d - mean).powi(2)).sum::<f64>() / (count - 1.0).max(1.0)).sqrt();
    let limits = [mean - 1.96 * deviation, mean, mean + 1.96 * deviation];
    let across = Scale::over(points.iter().map(|(_, p, r)| (p + r) / 2.0), EDGE[0], WIDTH - EDGE[1]);
    let up = Scale::over(differences().chain(limits).chain([0.0]), HEIGHT - EDGE[3], EDGE[2]);
    let mut svg = begin(&title);
    level_lines(&mut svg, &up);
    ticks_below(&mut svg, &across, HEIGHT - 12.0);
    for (n, limit) in limits.into_iter().enumerate() {
        let dashes = if n == 1 { "none" } else { "5 4" };
        let y = up.at(limit);
        let _ = write!(
            svg,
            "<path d=\"M{} {y:.1}H{}\" stroke=\"#a0403a\" stroke-dasharray=\"{dashes}\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{limit:+.1}</text>",
            EDGE[0],
            WIDTH - EDGE[1],
            WIDTH - EDGE[1],
            y - 3.0,
        );
    }
    for (name, predicted, reference) in points {
        let (x, y) = (across.at((predicted + reference) / 2.0), up.at(predicted - reference));
        let name = escaped(name);
        let _ = write!(
            svg,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"#3a6ea5\" fill-opacity=\".7\">\
             <title>{name}</title></circle>"
        );
    }
    end(svg, &title)
}

fn begin(title: &str) -> String {
    let title = escaped(title);
    format!(
        "<figure><svg width=\"{WIDTH}\" height=\"{HEIGHT}\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
         aria-label=\"{title}\" fill=\"none\">"
    )
}

fn end(svg: String, title: &str) -> String {
    format!("{svg}</svg><figcaption>{}</figcaption></figure>\n", escaped(title))
}

/// Lines across the chart at round values.
fn level_lines(svg: &mut String, scale: &Scale) {
    for tick in scale.ticks() {
        let y = scale.at(tick);
        let _ = write!(
            svg,
            "<path d=\"M{} {y:.1}H{}\" stroke=\"#e4e8ec\"/><text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            EDGE[0],
            WIDTH - EDGE[1],
            EDGE[0] - 6.0,
            y + 4.0,
            scale.text(tick),
        );
    }
}

/// Round values below the chart, `y` pixels from its top.
fn ticks_below(svg: &mut String, scale: &Scale, y: f64) {
    for tick in scale.ticks() {
        let _ = write!(
            svg,
            "<text x=\"{:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{}</text>",
            scale.at(tick),
            scale.text(tick)
        );
    }
}

/// Round values below the chart, and below them what they are.
fn axis_below(svg: &mut String, scale: &Scale, name: &str) {
    ticks_below(svg, scale, HEIGHT - 19.0);
    let middle = (EDGE[0] + WIDTH - EDGE[1]) / 2.0;
    let _ = write!(svg, "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{}</text>", HEIGHT - 4.0, escaped(name));
}

/// What has this colour: the entry `n` of the key, from the top.
fn key_entry(svg: &mut String, n: usize, colour: &str, name: &str) {
    let (left, top) = (EDGE[0] + 10.0, EDGE[2] + 14.0 + 18.0 * n as f64);
    let _ = write!(
        svg,
        "<path d=\"M{left:.1} {:.1}h22\" stroke=\"{colour}\" stroke-width=\"4\"/><text x=\"{:.1}\" y=\"{top:.1}\">{}</text>",
        top - 4.0,
        left + 28.0,
        escaped(name),
    );
}

/// A round value without needless zeros.
fn plain(value: f64) -> String {
    let text = format!("{value:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quarters_are_linear_between_values() {
        assert_eq!(quarters(&[4.0, 0.0, 1.0, 2.0]), Some([0.0, 0.75, 1.5, 2.5, 4.0]));
        assert_eq!(quarters(&[]), None);
    }

    #[test]
    fn ticks_are_round() {
        let scale = Scale { low: -0.06, high: 1.06, from: 0.0, to: 1.0 };
        assert_eq!(scale.ticks().iter().map(|v| plain(*v)).collect::<Vec<_>>(), ["0", "0.5", "1"]);
    }

    #[test]
    fn one_case_can_be_drawn() {
        let chart = bland_altman("Liver", &[("a".to_owned(), 1.0, 1.0)]);
        assert!(chart.contains("<circle") && !chart.contains("NaN") && !chart.contains("inf"));
        assert_eq!(bland_altman("Liver", &[]), "");
    }
}
