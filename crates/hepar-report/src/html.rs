//! Pages of HTML that load nothing: escaping, tables, and the policy that keeps a page from asking for anything.

use std::fmt::{Display, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest, Sha256};

/// The look of all pages.
const STYLE: &str = include_str!("page/style.css");

/// Sorts tables whose columns have buttons.
const SORT: &str = include_str!("page/sort.js");

/// The notice that stands on every page.
pub const NOTICE: &str = "Research software. It is no medical device and must not be used for diagnosis or treatment.";

/// A page in the making: one file that needs no other.
///
/// What is pushed is HTML already; text from files goes through [`escaped`] first. The page's content security policy
/// lets the browser run the page's own scripts, known by their hashes, and show pictures that are in the page. Nothing
/// else: no request of any kind, no script that somebody smuggled in.
#[derive(Debug, Clone)]
pub struct Page {
    title: String,
    body: String,
    scripts: Vec<String>,
}

/// A column of a [`sortable_table`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column<'a> {
    /// What stands on top, as HTML.
    pub title: &'a str,
    /// Whether it holds numbers.
    pub numeric: bool,
}

/// A cell of a [`sortable_table`].
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// What it shows, as HTML.
    pub html: String,
    /// By what rows are sorted; `None` goes last.
    pub key: Option<f64>,
}

impl Page {
    /// A page whose title, plain text, stands in the browser's tab.
    pub fn new(title: &str) -> Self {
        Self { title: title.to_owned(), body: String::new(), scripts: Vec::new() }
    }

    /// Goes on with HTML.
    pub fn push(&mut self, html: &str) {
        self.body.push_str(html);
    }

    /// A script of the program's own that runs when the page is there.
    ///
    /// It must not hold `</script`, nor `<!--`, by which the browser would take its end for something else.
    pub fn script(&mut self, code: impl Into<String>) {
        self.scripts.push(code.into());
    }

    /// The whole page.
    pub fn finish(mut self) -> String {
        if self.body.contains("data-sort=") {
            self.scripts.insert(0, SORT.to_owned());
        }
        let hashes: String = self.scripts.iter().map(|code| format!(" {}", hash_source(code))).collect();
        let scripts = if hashes.is_empty() { " 'none'".to_owned() } else { hashes };
        let policy = format!(
            "default-src 'none'; script-src{scripts}; style-src {}; img-src data:; base-uri 'none'; form-action 'none'",
            hash_source(STYLE)
        );
        let mut page = format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"generator\" content=\"hepar {}\">\n<title>{}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n",
            env!("CARGO_PKG_VERSION"),
            escaped(&self.title),
        );
        page.push_str(&self.body);
        for code in &self.scripts {
            page.push_str("<script>");
            page.push_str(code);
            page.push_str("</script>\n");
        }
        page.push_str("</body>\n</html>\n");
        page
    }
}

/// Whether a page was made by [`Page`].
pub fn is_own_page(html: &[u8]) -> bool {
    let head = &html[..html.len().min(4096)];
    let marker = b"<meta name=\"generator\" content=\"hepar ";
    head.windows(marker.len()).any(|bytes| bytes == marker)
}

impl Cell {
    /// A text, escaped, by which rows are not sorted.
    pub fn text(text: &str) -> Self {
        Self { html: escaped(text), key: None }
    }

    /// A number with so many decimals; a dash where there is none.
    pub fn number(value: Option<f64>, decimals: usize) -> Self {
        Self { html: number(value, decimals), key: value }
    }
}

/// Text as it stands between tags or in quoted attributes. Characters that HTML forbids are replaced.
pub fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\n' | '\t' => safe.push(c),
            c if c.is_control() || is_noncharacter(c) => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

/// The characters that Unicode keeps for itself and HTML calls an error.
fn is_noncharacter(c: char) -> bool {
    let code = u32::from(c);
    (0xfdd0..=0xfdef).contains(&code) || code & 0xfffe == 0xfffe
}

/// A table; titles and cells are HTML already.
pub fn table<T: Display>(header: &[&str], rows: impl IntoIterator<Item = Vec<T>>) -> String {
    let mut text = "<div class=\"wide\"><table>\n<thead><tr>".to_owned();
    // Writing to a string cannot fail.
    for title in header {
        let _ = write!(text, "<th scope=\"col\">{title}</th>");
    }
    text.push_str("</tr></thead>\n<tbody>\n");
    for row in rows {
        text.push_str("<tr>");
        for cell in &row {
            let _ = write!(text, "<td>{cell}</td>");
        }
        text.push_str("</tr>\n");
    }
    text + "</tbody>\n</table></div>\n"
}

/// A table whose rows a click on a column's title sorts; `caption` is plain text.
///
/// The first cell of a row is its heading. Without scripts it is a table as any other.
pub fn sortable_table(caption: &str, columns: &[Column<'_>], rows: impl IntoIterator<Item = Vec<Cell>>) -> String {
    let mut text =
        format!("<div class=\"wide\"><table data-sort=\"yes\">\n<caption>{}</caption>\n<thead><tr>", escaped(caption));
    for column in columns {
        let kind = if column.numeric { "number" } else { "text" };
        let _ = write!(text, "<th scope=\"col\" data-kind=\"{kind}\">{}</th>", column.title);
    }
    text.push_str("</tr></thead>\n<tbody>\n");
    for row in rows {
        text.push_str("<tr>");
        for (n, (Cell { html, key }, column)) in row.iter().zip(columns).enumerate() {
            let key = key.map_or(String::new(), |key| format!(" data-key=\"{key}\""));
            let class = if column.numeric { "" } else { " class=\"text\"" };
            let _ = match n {
                0 => write!(text, "<th scope=\"row\"{key}>{html}</th>"),
                _ => write!(text, "<td{class}{key}>{html}</td>"),
            };
        }
        text.push_str("</tr>\n");
    }
    text + "</tbody>\n</table></div>\n"
}

/// A list of plain texts under a heading; nothing without any.
pub fn list(heading: &str, class: &str, texts: &[String]) -> String {
    if texts.is_empty() {
        return String::new();
    }
    let items: String = texts.iter().map(|text| format!("<li>{}</li>\n", escaped(text))).collect();
    format!("<section class=\"{class}\"><h2>{}</h2>\n<ul>\n{items}</ul></section>\n", escaped(heading))
}

/// A number with so many decimals and never −0; a dash where there is none.
pub fn number(value: Option<f64>, decimals: usize) -> String {
    let Some(value) = value else { return "–".to_owned() };
    let text = format!("{value:.decimals$}");
    if text.starts_with('-') && text.bytes().all(|c| matches!(c, b'-' | b'0' | b'.')) {
        text[1..].to_owned()
    } else {
        text
    }
}

/// A picture within the page; `alternative`, plain text, stands for it where it cannot be seen.
pub(crate) fn image(kind: &str, bytes: &[u8], [width, height]: [u32; 2], alternative: &str) -> String {
    format!(
        "<img src=\"data:{kind};base64,{}\" width=\"{width}\" height=\"{height}\" alt=\"{}\">",
        base64(bytes),
        escaped(alternative)
    )
}

/// Bytes as base64 has them.
pub(crate) fn base64(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

/// JSON as it can stand in a script element: nothing in it looks like a tag.
pub(crate) fn json_for_script(json: &str) -> String {
    json.replace('<', "\\u003c")
}

/// A text that begins with a capital.
pub(crate) fn sentence(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(rest).collect()
}

/// A source expression of a content security policy for what stands between two tags (CSP 3, section 2.3.1).
fn hash_source(text: &str) -> String {
    format!("'sha256-{}'", base64(&Sha256::digest(text.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_text_is_taken_for_markup() {
        assert_eq!(escaped("<b a=\"1\" c='2'>&amp;"), "&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;amp;");
        assert_eq!(escaped("a\u{0}b\u{1b}c\u{fffe}d\u{85}"), "a\u{fffd}b\u{fffd}c\u{fffd}d\u{fffd}");
        assert_eq!(json_for_script("{\"a\":\"</script><!--\"}"), "{\"a\":\"\\u003c/script>\\u003c!--\"}");
    }

    #[test]
    fn the_policy_lets_only_the_pages_own_scripts_run() {
        let mut page = Page::new("<title>");
        page.push("<p>text</p>\n");
        page.script("alert(1)");
        let html = page.finish();
        // echo -n 'alert(1)' | openssl dgst -sha256 -binary | base64
        assert!(html.contains("script-src 'sha256-bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI='"), "{}", &html[..500]);
        assert!(html.contains("default-src 'none'") && html.contains("<title>&lt;title&gt;</title>"));
        assert!(is_own_page(html.as_bytes()) && !is_own_page(b"<!DOCTYPE html><html></html>"));
        assert!(Page::new("").finish().contains("script-src 'none'"));
    }

    #[test]
    fn the_sorting_script_is_there_when_a_table_needs_it() {
        let columns = [Column { title: "name", numeric: false }, Column { title: "ml", numeric: true }];
        let table = sortable_table("<all>", &columns, [vec![Cell::text("a<b"), Cell::number(Some(1.25), 1)]]);
        assert!(table.contains("<th scope=\"row\">a&lt;b</th><td data-key=\"1.25\">1.2</td>"), "{table}");
        let mut page = Page::new("t");
        page.push(&table);
        assert!(page.finish().contains("aria-sort"));
    }

    #[test]
    fn numbers_are_never_minus_nought() {
        let texts = [Some(-0.001), Some(-0.5), Some(2.0), None].map(|value| number(value, 2));
        assert_eq!(texts, ["0.00", "-0.50", "2.00", "–"]);
    }
}
