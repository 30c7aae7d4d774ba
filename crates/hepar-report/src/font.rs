//! Lettering out of strokes for pictures, so that no font needs to be installed: printable ASCII.
//!
//! Glyphs stand on the baseline, y grows upwards; capitals are [`CAPITAL`] units high, small letters 10, tails reach
//! down to -4.

use tiny_skia::{Path, PathBuilder};

use Stroke::{Curve as C, Line as L};

/// Height of a capital in units.
const CAPITAL: f32 = 14.0;

/// Space between two glyphs in units.
const TRACKING: f32 = 4.0;

/// A point `[x, y]` in units.
type Point = [i8; 2];

/// A character: its width and its strokes.
struct Glyph {
    width: i8,
    strokes: &'static [Stroke],
}

/// One stroke of a pen.
enum Stroke {
    /// Straight from point to point.
    Line(&'static [Point]),
    /// From the first point to the last, pulled by those between: a quarter of an ellipse for each of these, joined in
    /// the middle between them.
    Curve(&'static [Point]),
}

/// Width of a line of text in pixels, when its capitals are `size` pixels high.
pub(crate) fn width(text: &str, size: f32) -> f32 {
    let units: f32 = text.chars().map(|c| f32::from(glyph(c).width) + TRACKING).sum();
    (units - TRACKING).max(0.0) * size / CAPITAL
}

/// The text as the font has it: what is no printable ASCII becomes `?`.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if (' '..='~').contains(&c) { c } else { '?' }).collect()
}

/// The longest beginning of a text that is at most `limit` pixels wide, with dots if it is not all.
pub(crate) fn fitted(text: &str, size: f32, limit: f32) -> String {
    if width(text, size) <= limit {
        return text.to_owned();
    }
    let mut kept = String::new();
    for c in text.chars() {
        if width(&format!("{kept}{c}..."), size) > limit {
            break;
        }
        kept.push(c);
    }
    kept + "..."
}

/// The strokes of a line of text that begins at `[x, y]` on its baseline; `None` when there is nothing to draw.
pub(crate) fn outline(text: &str, [x, y]: [f32; 2], size: f32) -> Option<Path> {
    let scale = size / CAPITAL;
    let mut path = PathBuilder::new();
    let mut left = x;
    for c in text.chars() {
        let glyph = glyph(c);
        for stroke in glyph.strokes {
            stroke.trace(&mut path, |[px, py]| [left + px * scale, y - py * scale]);
        }
        left += (f32::from(glyph.width) + TRACKING) * scale;
    }
    path.finish()
}

/// How thick the pen is when capitals are `size` pixels high.
pub(crate) fn pen(size: f32) -> f32 {
    (size / 8.0).max(1.3)
}

impl Stroke {
    fn trace(&self, path: &mut PathBuilder, place: impl Fn([f32; 2]) -> [f32; 2]) {
        let (Self::Line(points) | Self::Curve(points)) = self;
        let points: Vec<[f32; 2]> = points.iter().map(|&[x, y]| place([f32::from(x), f32::from(y)])).collect();
        let Some((&first, rest)) = points.split_first() else { return };
        path.move_to(first[0], first[1]);
        match self {
            Self::Line(_) => rest.iter().for_each(|&[x, y]| path.line_to(x, y)),
            Self::Curve(_) => trace_arcs(path, first, rest),
        }
    }
}

/// Adds the arcs of a curve that begins at `from`; the last of the points that follow is its end.
fn trace_arcs(path: &mut PathBuilder, mut from: [f32; 2], points: &[[f32; 2]]) {
    /// How far a cubic's handles reach towards the corner of a quarter of an ellipse.
    const REACH: f32 = 0.5523;
    let towards = |a: [f32; 2], b: [f32; 2], share: f32| [a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share];
    for (n, pair) in points.windows(2).enumerate() {
        let [pull, next] = [pair[0], pair[1]];
        let to = if n + 2 == points.len() { next } else { towards(pull, next, 0.5) };
        let [a, b] = [towards(from, pull, REACH), towards(to, pull, REACH)];
        path.cubic_to(a[0], a[1], b[0], b[1], to[0], to[1]);
        from = to;
    }
}

fn glyph(c: char) -> &'static Glyph {
    const QUESTION_MARK: usize = '?' as usize - ' ' as usize;
    let place = (c as usize).wrapping_sub(' ' as usize);
    GLYPHS.get(place).unwrap_or(&GLYPHS[QUESTION_MARK])
}

const fn g(width: i8, strokes: &'static [Stroke]) -> Glyph {
    Glyph { width, strokes }
}

/// From space to tilde, in the order of ASCII.
#[rustfmt::skip]
static GLYPHS: [Glyph; 95] = [
    /*   */ g(3, &[]),
    /* ! */ g(2, &[L(&[[1, 14], [1, 5]]), L(&[[1, 0], [1, 1]])]),
    /* " */ g(6, &[L(&[[1, 14], [1, 10]]), L(&[[5, 14], [5, 10]])]),
    /* # */ g(10, &[L(&[[2, 1], [4, 13]]), L(&[[6, 1], [8, 13]]), L(&[[0, 5], [9, 5]]), L(&[[1, 9], [10, 9]])]),
    /* $ */ g(8, &[C(&[[8, 10], [8, 12], [4, 12], [0, 12], [0, 9], [0, 7], [4, 7], [8, 6], [8, 4], [8, 1], [4, 1],
        [0, 1], [0, 4]]), L(&[[4, 15], [4, -2]])]),
    /* % */ g(11, &[L(&[[10, 14], [1, 0]]), C(&[[2, 14], [0, 14], [0, 8], [4, 8], [4, 14], [2, 14]]),
        C(&[[9, 6], [7, 6], [7, 0], [11, 0], [11, 6], [9, 6]])]),
    /* & */ g(10, &[C(&[[10, 0], [4, 7], [2, 9], [2, 14], [7, 14], [7, 9], [4, 8], [0, 6], [0, 3], [0, 0], [4, 0],
        [8, 0], [9, 6]])]),
    /* ' */ g(2, &[L(&[[1, 14], [1, 10]])]),
    /* ( */ g(4, &[C(&[[4, 16], [1, 12], [1, 6], [1, 0], [4, -4]])]),
    /* ) */ g(4, &[C(&[[0, 16], [3, 12], [3, 6], [3, 0], [0, -4]])]),
    /* * */ g(8, &[L(&[[4, 13], [4, 5]]), L(&[[1, 11], [7, 7]]), L(&[[1, 7], [7, 11]])]),
    /* + */ g(8, &[L(&[[4, 11], [4, 3]]), L(&[[0, 7], [8, 7]])]),
    /* , */ g(2, &[L(&[[1, 1], [0, -3]])]),
    /* - */ g(6, &[L(&[[0, 6], [6, 6]])]),
    /* . */ g(2, &[L(&[[1, 0], [1, 1]])]),
    /* / */ g(6, &[L(&[[6, 15], [0, -2]])]),
    /* 0 */ g(8, &[C(&[[4, 14], [0, 14], [0, 7], [0, 0], [8, 0], [8, 7], [8, 14], [4, 14]])]),
    /* 1 */ g(8, &[L(&[[1, 11], [5, 14], [5, 0]])]),
    /* 2 */ g(8, &[C(&[[0, 10], [0, 14], [4, 14], [8, 14], [8, 10], [8, 7], [4, 4], [0, 0]]), L(&[[0, 0], [8, 0]])]),
    /* 3 */ g(8, &[C(&[[0, 12], [1, 14], [4, 14], [8, 14], [8, 11], [8, 8], [3, 8]]),
        C(&[[3, 8], [8, 8], [8, 4], [8, 0], [4, 0], [1, 0], [0, 2]])]),
    /* 4 */ g(8, &[L(&[[6, 0], [6, 14], [0, 4], [8, 4]])]),
    /* 5 */ g(8, &[L(&[[7, 14], [1, 14], [0, 8]]),
        C(&[[0, 8], [2, 9], [4, 9], [8, 9], [8, 5], [8, 0], [4, 0], [1, 0], [0, 2]])]),
    /* 6 */ g(8, &[C(&[[7, 13], [6, 14], [4, 14], [0, 14], [0, 7], [0, 0], [4, 0], [8, 0], [8, 4], [8, 8], [4, 8],
        [1, 8], [0, 5]])]),
    /* 7 */ g(8, &[L(&[[0, 14], [8, 14], [3, 0]])]),
    /* 8 */ g(8, &[C(&[[4, 8], [1, 8], [1, 11], [1, 14], [4, 14], [7, 14], [7, 11], [7, 8], [4, 8]]),
        C(&[[4, 8], [0, 8], [0, 4], [0, 0], [4, 0], [8, 0], [8, 4], [8, 8], [4, 8]])]),
    /* 9 */ g(8, &[C(&[[1, 1], [2, 0], [4, 0], [8, 0], [8, 7], [8, 14], [4, 14], [0, 14], [0, 10], [0, 6], [4, 6],
        [7, 6], [8, 9]])]),
    /* : */ g(2, &[L(&[[1, 0], [1, 1]]), L(&[[1, 8], [1, 9]])]),
    /* ; */ g(2, &[L(&[[1, 1], [0, -3]]), L(&[[1, 8], [1, 9]])]),
    /* < */ g(8, &[L(&[[8, 12], [0, 7], [8, 2]])]),
    /* = */ g(8, &[L(&[[0, 9], [8, 9]]), L(&[[0, 5], [8, 5]])]),
    /* > */ g(8, &[L(&[[0, 12], [8, 7], [0, 2]])]),
    /* ? */ g(7, &[C(&[[0, 11], [0, 14], [4, 14], [7, 14], [7, 11], [7, 9], [4, 7], [3, 6], [3, 4]]),
        L(&[[3, 0], [3, 1]])]),
    /* @ */ g(13, &[C(&[[9, 9], [9, 10], [7, 10], [4, 10], [4, 6], [4, 4], [6, 4], [9, 4], [9, 8]]),
        C(&[[9, 9], [9, 4], [11, 4], [13, 4], [13, 8], [13, 14], [7, 14], [0, 14], [0, 6], [0, -1], [7, -1], [10, 0]])]),
    /* A */ g(10, &[L(&[[0, 0], [5, 14], [10, 0]]), L(&[[2, 5], [8, 5]])]),
    /* B */ g(9, &[L(&[[0, 14], [0, 0]]), C(&[[0, 14], [4, 14], [8, 14], [8, 8], [4, 8], [0, 8]]),
        C(&[[0, 8], [5, 8], [9, 8], [9, 0], [5, 0], [0, 0]])]),
    /* C */ g(9, &[C(&[[9, 11], [8, 14], [5, 14], [0, 14], [0, 7], [0, 0], [5, 0], [8, 0], [9, 3]])]),
    /* D */ g(10, &[L(&[[0, 14], [0, 0]]), C(&[[0, 14], [4, 14], [10, 14], [10, 7], [10, 0], [4, 0], [0, 0]])]),
    /* E */ g(8, &[L(&[[8, 14], [0, 14], [0, 0], [8, 0]]), L(&[[0, 7], [7, 7]])]),
    /* F */ g(8, &[L(&[[8, 14], [0, 14], [0, 0]]), L(&[[0, 7], [7, 7]])]),
    /* G */ g(10, &[C(&[[9, 12], [8, 14], [5, 14], [0, 14], [0, 7], [0, 0], [5, 0], [10, 0], [10, 4], [10, 6]]),
        L(&[[10, 6], [6, 6]])]),
    /* H */ g(9, &[L(&[[0, 0], [0, 14]]), L(&[[9, 0], [9, 14]]), L(&[[0, 7], [9, 7]])]),
    /* I */ g(2, &[L(&[[1, 0], [1, 14]])]),
    /* J */ g(7, &[C(&[[7, 14], [7, 7], [7, 0], [3, 0], [0, 0], [0, 3]])]),
    /* K */ g(9, &[L(&[[0, 0], [0, 14]]), L(&[[9, 14], [0, 5]]), L(&[[3, 8], [9, 0]])]),
    /* L */ g(8, &[L(&[[0, 14], [0, 0], [8, 0]])]),
    /* M */ g(12, &[L(&[[0, 0], [0, 14], [6, 4], [12, 14], [12, 0]])]),
    /* N */ g(9, &[L(&[[0, 0], [0, 14], [9, 0], [9, 14]])]),
    /* O */ g(10, &[C(&[[5, 14], [0, 14], [0, 7], [0, 0], [10, 0], [10, 7], [10, 14], [5, 14]])]),
    /* P */ g(9, &[L(&[[0, 14], [0, 0]]), C(&[[0, 14], [5, 14], [9, 14], [9, 6], [5, 6], [0, 6]])]),
    /* Q */ g(10, &[C(&[[5, 14], [0, 14], [0, 7], [0, 0], [10, 0], [10, 7], [10, 14], [5, 14]]),
        L(&[[6, 4], [10, -1]])]),
    /* R */ g(9, &[L(&[[0, 14], [0, 0]]), C(&[[0, 14], [5, 14], [9, 14], [9, 7], [5, 7], [0, 7]]),
        L(&[[4, 7], [9, 0]])]),
    /* S */ g(8, &[C(&[[8, 11], [8, 14], [4, 14], [0, 14], [0, 10], [0, 8], [4, 7], [8, 6], [8, 4], [8, 0], [4, 0],
        [0, 0], [0, 3]])]),
    /* T */ g(10, &[L(&[[0, 14], [10, 14]]), L(&[[5, 14], [5, 0]])]),
    /* U */ g(9, &[C(&[[0, 14], [0, 7], [0, 0], [9, 0], [9, 7], [9, 14]])]),
    /* V */ g(10, &[L(&[[0, 14], [5, 0], [10, 14]])]),
    /* W */ g(14, &[L(&[[0, 14], [3, 0], [7, 12], [11, 0], [14, 14]])]),
    /* X */ g(9, &[L(&[[0, 14], [9, 0]]), L(&[[9, 14], [0, 0]])]),
    /* Y */ g(10, &[L(&[[0, 14], [5, 7], [10, 14]]), L(&[[5, 7], [5, 0]])]),
    /* Z */ g(9, &[L(&[[0, 14], [9, 14], [0, 0], [9, 0]])]),
    /* [ */ g(4, &[L(&[[4, 16], [1, 16], [1, -4], [4, -4]])]),
    /* \ */ g(6, &[L(&[[0, 15], [6, -2]])]),
    /* ] */ g(4, &[L(&[[0, 16], [3, 16], [3, -4], [0, -4]])]),
    /* ^ */ g(8, &[L(&[[0, 9], [4, 14], [8, 9]])]),
    /* _ */ g(9, &[L(&[[0, -2], [9, -2]])]),
    /* ` */ g(3, &[L(&[[0, 14], [3, 11]])]),
    /* a */ g(8, &[C(&[[8, 7], [8, 10], [4, 10], [0, 10], [0, 5], [0, 0], [4, 0], [8, 0], [8, 3]]),
        L(&[[8, 10], [8, 0]])]),
    /* b */ g(8, &[L(&[[0, 14], [0, 0]]), C(&[[0, 7], [0, 10], [4, 10], [8, 10], [8, 5], [8, 0], [4, 0], [0, 0], [0, 3]])]),
    /* c */ g(7, &[C(&[[7, 8], [6, 10], [4, 10], [0, 10], [0, 5], [0, 0], [4, 0], [6, 0], [7, 2]])]),
    /* d */ g(8, &[C(&[[8, 7], [8, 10], [4, 10], [0, 10], [0, 5], [0, 0], [4, 0], [8, 0], [8, 3]]),
        L(&[[8, 14], [8, 0]])]),
    /* e */ g(8, &[L(&[[0, 5], [8, 5]]), C(&[[8, 5], [8, 10], [4, 10], [0, 10], [0, 5], [0, 0], [4, 0], [7, 0], [8, 2]])]),
    /* f */ g(6, &[C(&[[6, 14], [2, 14], [2, 10], [2, 0]]), L(&[[0, 10], [6, 10]])]),
    /* g */ g(8, &[C(&[[8, 7], [8, 10], [4, 10], [0, 10], [0, 5], [0, 0], [4, 0], [8, 0], [8, 3]]),
        C(&[[8, 10], [8, 3], [8, -4], [4, -4], [1, -4], [0, -2]])]),
    /* h */ g(8, &[L(&[[0, 14], [0, 0]]), C(&[[0, 6], [0, 10], [4, 10], [8, 10], [8, 6], [8, 0]])]),
    /* i */ g(2, &[L(&[[1, 10], [1, 0]]), L(&[[1, 13], [1, 14]])]),
    /* j */ g(3, &[C(&[[2, 10], [2, 3], [2, -4], [0, -4]]), L(&[[2, 13], [2, 14]])]),
    /* k */ g(7, &[L(&[[0, 14], [0, 0]]), L(&[[7, 10], [0, 3]]), L(&[[3, 6], [7, 0]])]),
    /* l */ g(4, &[C(&[[1, 14], [1, 4], [1, 0], [4, 0]])]),
    /* m */ g(12, &[L(&[[0, 10], [0, 0]]), C(&[[0, 6], [0, 10], [3, 10], [6, 10], [6, 6], [6, 0]]),
        C(&[[6, 6], [6, 10], [9, 10], [12, 10], [12, 6], [12, 0]])]),
    /* n */ g(8, &[L(&[[0, 10], [0, 0]]), C(&[[0, 6], [0, 10], [4, 10], [8, 10], [8, 6], [8, 0]])]),
    /* o */ g(8, &[C(&[[4, 10], [0, 10], [0, 5], [0, 0], [8, 0], [8, 5], [8, 10], [4, 10]])]),
    /* p */ g(8, &[L(&[[0, 10], [0, -4]]), C(&[[0, 7], [0, 10], [4, 10], [8, 10], [8, 5], [8, 0], [4, 0], [0, 0], [0, 3]])]),
    /* q */ g(8, &[C(&[[8, 7], [8, 10], [4, 10], [0, 10], [0, 5], [0, 0], [4, 0], [8, 0], [8, 3]]),
        L(&[[8, 10], [8, -4]])]),
    /* r */ g(5, &[L(&[[0, 10], [0, 0]]), C(&[[0, 5], [0, 10], [5, 10]])]),
    /* s */ g(7, &[C(&[[7, 8], [7, 10], [4, 10], [0, 10], [0, 8], [0, 6], [3, 5], [7, 4], [7, 2], [7, 0], [3, 0],
        [0, 0], [0, 2]])]),
    /* t */ g(6, &[C(&[[2, 14], [2, 4], [2, 0], [6, 0]]), L(&[[0, 10], [6, 10]])]),
    /* u */ g(8, &[C(&[[0, 10], [0, 4], [0, 0], [4, 0], [8, 0], [8, 4]]), L(&[[8, 10], [8, 0]])]),
    /* v */ g(8, &[L(&[[0, 10], [4, 0], [8, 10]])]),
    /* w */ g(12, &[L(&[[0, 10], [3, 0], [6, 9], [9, 0], [12, 10]])]),
    /* x */ g(8, &[L(&[[0, 10], [8, 0]]), L(&[[8, 10], [0, 0]])]),
    /* y */ g(8, &[L(&[[0, 10], [4, 0]]), C(&[[8, 10], [4, 0], [3, -4], [0, -4]])]),
    /* z */ g(7, &[L(&[[0, 10], [7, 10], [0, 0], [7, 0]])]),
    /* { */ g(5, &[C(&[[5, 16], [2, 16], [2, 12], [2, 6], [0, 6]]), C(&[[0, 6], [2, 6], [2, 0], [2, -4], [5, -4]])]),
    /* | */ g(2, &[L(&[[1, 16], [1, -4]])]),
    /* } */ g(5, &[C(&[[0, 16], [3, 16], [3, 12], [3, 6], [5, 6]]), C(&[[5, 6], [3, 6], [3, 0], [3, -4], [0, -4]])]),
    /* ~ */ g(9, &[C(&[[0, 6], [0, 9], [3, 9], [6, 5], [9, 5], [9, 8]])]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_but_space_has_strokes_within_its_width() {
        for c in '!'..='~' {
            let glyph = glyph(c);
            assert!(!glyph.strokes.is_empty(), "{c}");
            for L(points) | C(points) in glyph.strokes {
                assert!(points.len() >= 2, "{c}");
                let inside = |[x, y]: &Point| (0..=glyph.width).contains(x) && (-4..=16).contains(y);
                assert!(points.iter().all(inside), "{c}");
            }
        }
        assert!(glyph(' ').strokes.is_empty());
    }

    #[test]
    fn no_two_characters_look_the_same() {
        let path = |c: char| outline(&c.to_string(), [0.0, 0.0], 14.0);
        for a in ' '..='~' {
            for b in (' '..='~').filter(|&b| b != a) {
                assert!(path(a) != path(b), "{a} and {b}");
            }
        }
    }

    #[test]
    fn what_the_font_lacks_becomes_a_question_mark() {
        assert_eq!(printable("Müller\t7"), "M?ller?7");
        assert_eq!(width("ü", 14.0), width("?", 14.0));
    }

    #[test]
    fn a_long_text_is_cut_to_fit() {
        assert_eq!(fitted("short", 14.0, 100.0), "short");
        let cut = fitted(&"long ".repeat(40), 14.0, 200.0);
        assert!(cut.starts_with("long long") && cut.ends_with("...") && width(&cut, 14.0) <= 200.0, "{cut}");
    }
}
