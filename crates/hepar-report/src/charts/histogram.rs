//! How the values of some groups are spread, as steps.

use std::fmt::Write;

use super::{EDGE, HEIGHT, Scale, WIDTH, axis_below, begin, end, key_entry, level_lines};

/// Counts of the values of a group in bins of equal width.
#[derive(Debug, Clone, PartialEq)]
pub struct Bins {
    /// Name of the group.
    pub name: String,
    /// Its colour, as CSS has it.
    pub colour: &'static str,
    /// Lower end of the first bin.
    pub first: f64,
    /// Width of a bin.
    pub width: f64,
    /// Number of values in each bin.
    pub counts: Vec<u64>,
}

impl Bins {
    /// Share of the group in each bin, in percent; nothing of a group without values.
    fn shares(&self) -> impl Iterator<Item = f64> {
        let all = self.counts.iter().sum::<u64>().max(1) as f64;
        self.counts.iter().map(move |&count| 100.0 * count as f64 / all)
    }

    fn end(&self) -> f64 {
        self.first + self.width * self.counts.len() as f64
    }
}

/// The shares of groups over their values, with a key; groups without values are left out. `across` names the values.
pub fn histogram(title: &str, across: &str, groups: &[Bins]) -> String {
    let groups: Vec<&Bins> = groups.iter().filter(|bins| bins.counts.iter().any(|&count| count > 0)).collect();
    if groups.is_empty() {
        return String::new();
    }
    let low = groups.iter().map(|bins| bins.first).fold(f64::INFINITY, f64::min);
    let high = groups.iter().map(|bins| bins.end()).fold(f64::NEG_INFINITY, f64::max);
    let most = groups.iter().flat_map(|bins| bins.shares()).fold(0.0, f64::max);
    let x = Scale { low, high, from: EDGE[0], to: WIDTH - EDGE[1] };
    // Room for the key above the highest step.
    let y = Scale { low: 0.0, high: 1.3 * most, from: HEIGHT - EDGE[3], to: EDGE[2] };
    let mut svg = begin(title);
    level_lines(&mut svg, &y);
    axis_below(&mut svg, &x, across);
    for (n, bins) in groups.iter().enumerate() {
        let mut path = format!("M{:.1} {:.1}", x.at(bins.first), y.at(0.0));
        for (bin, share) in bins.shares().enumerate() {
            let _ = write!(path, "V{:.1}H{:.1}", y.at(share), x.at(bins.first + bins.width * (bin + 1) as f64));
        }
        let colour = bins.colour;
        let _ = write!(
            svg,
            "<path d=\"{path}V{:.1}Z\" fill=\"{colour}\" fill-opacity=\".3\" stroke=\"{colour}\" stroke-width=\"1.5\"/>",
            y.at(0.0),
        );
        key_entry(&mut svg, n, colour, &bins.name);
    }
    end(svg, title)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bins(counts: &[u64]) -> Bins {
        Bins { name: "a<b".into(), colour: "#123456", first: -10.0, width: 5.0, counts: counts.to_vec() }
    }

    #[test]
    fn shares_add_up_to_all() {
        assert_eq!(bins(&[1, 3, 0]).shares().collect::<Vec<_>>(), [25.0, 75.0, 0.0]);
        let chart = histogram("HU", "HU", &[bins(&[1, 3, 0]), bins(&[0, 0, 0])]);
        assert!(chart.contains("a&lt;b") && !chart.contains("NaN") && chart.matches("fill-opacity").count() == 1);
        assert_eq!(histogram("HU", "HU", &[bins(&[0])]), "");
    }
}
